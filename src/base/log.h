#ifndef BASE_LOG_H
#define BASE_LOG_H
/* Log lines on stderr, one write(2) each, `time level area text key=value` or JSON. error: a person
 * must act; warn: degraded; info: life cycle, few a minute; debug: per connection. No secrets, bodies
 * or tokens; requests are told by the access log. Any thread. */
#include "base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* "info" or per area "info,xds:debug,http:warn" (Istio's --proxyLogLevel form); -ERR_CONFIG when
 * unknown, nothing changed. */
MUST_USE int log_set_levels(const char *spec);
void log_set_json(bool json);
bool log_is_on(enum log_level level, const char *area);
void log_line(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_error(area, ...) log_line(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) log_line(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) log_line(LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...)                        \
    do {                                            \
        if (UNLIKELY(log_is_on(LOG_DEBUG, area))) { \
            log_line(LOG_DEBUG, area, __VA_ARGS__); \
        }                                           \
    } while (0)

/* What a peer can trigger is rate-limited: at most 10 lines in 10 s from one place, then one line that
 * says how many were left out. The owner keeps a struct log_limit beside what it watches. */
struct log_limit {
    int64_t window_ms;
    uint32_t lines;
    uint32_t dropped;
};
bool log_limit_allows(struct log_limit *limit, int64_t now_ms, uint32_t *dropped_before);
#endif

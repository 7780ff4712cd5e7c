#ifndef HTTP_LIMITS_H
#define HTTP_LIMITS_H
/* The limits of HTTP connections: one table, limits.def, with default, unit, the field of Envoy's that sets it,
 * what the peer gets, and the counter. */
#include <stdint.h>

#include "base/compiler.h"

#define LIMIT_TYPE_BYTES uint32_t
#define LIMIT_TYPE_COUNT uint32_t
#define LIMIT_TYPE_MS int64_t
struct http_limits {
#define LIMIT(field, value, unit, envoy, reply, stat, what) LIMIT_TYPE_##unit field;
#include "http/limits.def"
};
extern const struct http_limits limits_default;

/* LIMIT_head_bytes ...: which one was broken. */
enum limit {
    LIMIT_NONE,
#define LIMIT(field, value, unit, envoy, reply, stat, what) LIMIT_##field,
#define LIMIT_CONF(field, value, unit, envoy, reply, stat, what) LIMIT_##field,
#include "http/limits.def"
    LIMIT_COUNT
};

/* Defaults of what the proxy keeps: LIMIT_DEFAULT_stream_idle_ms ... */
enum {
#define LIMIT_CONF(field, value, unit, envoy, reply, stat, what) LIMIT_DEFAULT_##field = (value),
#include "http/limits.def"
};

enum limit_stat {
    LIMIT_STAT_none,
#define LIMIT_STAT(name, help) LIMIT_STAT_##name,
#include "http/limits.def"
    LIMIT_STAT_COUNT
};

enum limit_unit { LIMIT_BYTES, LIMIT_COUNTED, LIMIT_MS, LIMIT_RATE };
struct limit_row {
    const char *name;
    int64_t value; /* the default */
    enum limit_unit unit;
    const char *envoy; /* or "" */
    const char *reply;
    enum limit_stat stat;
    const char *what;
};
/* By enum limit; the first is empty. */
extern const struct limit_row limits_rows[LIMIT_COUNT];
/* By enum limit_stat: the counter's name, or NULL for none. */
extern const char *const limits_stats[LIMIT_STAT_COUNT];
#endif

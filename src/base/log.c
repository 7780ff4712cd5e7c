/* Log lines. A line is put together on the stack and leaves in one write(2), so lines of different
 * threads do not mix. Control bytes are escaped: a peer can not forge a line. */
#include "base/log.h"

#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/span.h"

#define LOG_LINE_BYTES 4096
#define LINE_END_BYTES 3 /* of JSON: quote, brace, newline */
#define LOG_AREAS_MAX 32
#define LOG_AREA_BYTES 24
#define LOG_LIMIT_WINDOW_MS 10000
#define LOG_LIMIT_LINES 10
#define LEVEL_NONE (-1) /* an area without a level of its own */

struct log_area {
    char name[LOG_AREA_BYTES]; /* written once, before `area_count` tells of it */
    _Atomic int level;
};

/* Set by the main thread, read by all. Areas are only ever added, so readers need no lock. */
static struct {
    _Atomic int level;
    _Atomic bool is_json;
    _Atomic unsigned area_count;
    struct log_area areas[LOG_AREAS_MAX];
} log_setup = {.level = LOG_INFO};

static const struct {
    const char *word;
    enum log_level level;
} level_words[] = {
    /* ours */
    {"error", LOG_ERROR},
    {"warn", LOG_WARN},
    {"info", LOG_INFO},
    {"debug", LOG_DEBUG},
    /* further words of Istio's --proxyLogLevel and Envoy's -l */
    {"warning", LOG_WARN},
    {"trace", LOG_DEBUG},
    {"critical", LOG_ERROR},
    {"off", LOG_ERROR},
};

static int level_parse(struct span word)
{
    for (size_t i = 0; i < ARRAY_LEN(level_words); i++) {
        if (span_is(word, level_words[i].word)) {
            return (int)level_words[i].level;
        }
    }
    return LEVEL_NONE;
}

static struct log_area *area_find(struct span name)
{
    unsigned count = atomic_load_explicit(&log_setup.area_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        if (span_is(name, log_setup.areas[i].name)) {
            return &log_setup.areas[i];
        }
    }
    return NULL;
}

static void area_set(struct span name, int level)
{
    struct log_area *area = area_find(name);
    if (area == NULL) {
        unsigned count = atomic_load_explicit(&log_setup.area_count, memory_order_relaxed);
        area = &log_setup.areas[count];
        (void)span_to_cstr(name, area->name, sizeof(area->name));
        atomic_store_explicit(&log_setup.area_count, count + 1, memory_order_release);
    }
    atomic_store_explicit(&area->level, level, memory_order_relaxed);
}

/* One part of a spec: `level`, or `area:level`. False if it is neither. */
static bool part_parse(struct span part, struct span *area, int *level)
{
    ssize_t colon = span_find_byte(part, ':');
    *area = colon < 0 ? SPAN_EMPTY : span_first(part, (size_t)colon);
    *level = level_parse(span_from_offset(part, (size_t)(colon + 1)));
    return *level != LEVEL_NONE && (colon < 0 || (area->len > 0 && area->len < LOG_AREA_BYTES));
}

int log_set_levels(const char *spec)
{
    struct span area;
    int level;
    unsigned fresh = atomic_load_explicit(&log_setup.area_count, memory_order_relaxed);
    for (struct span rest = span_of(spec); rest.at != NULL;) {
        if (!part_parse(span_trim(span_cut(&rest, ',')), &area, &level)) {
            return -ERR_CONFIG;
        }
        fresh += area.len > 0 && area_find(area) == NULL;
    }
    if (fresh > LOG_AREAS_MAX) {
        return -ERR_CONFIG;
    }
    unsigned known = atomic_load_explicit(&log_setup.area_count, memory_order_relaxed);
    for (unsigned i = 0; i < known; i++) {
        atomic_store_explicit(&log_setup.areas[i].level, LEVEL_NONE, memory_order_relaxed);
    }
    for (struct span rest = span_of(spec); rest.at != NULL;) {
        (void)part_parse(span_trim(span_cut(&rest, ',')), &area, &level); /* checked above */
        if (area.len > 0) {
            area_set(area, level);
        } else {
            atomic_store_explicit(&log_setup.level, level, memory_order_relaxed);
        }
    }
    return 0;
}

void log_set_json(bool json)
{
    atomic_store_explicit(&log_setup.is_json, json, memory_order_relaxed);
}

bool log_is_on(enum log_level level, const char *area)
{
    int most = LEVEL_NONE;
    if (atomic_load_explicit(&log_setup.area_count, memory_order_relaxed) > 0) {
        const struct log_area *own = area_find(span_of(area));
        most = own ? atomic_load_explicit(&own->level, memory_order_relaxed) : LEVEL_NONE;
    }
    if (most == LEVEL_NONE) {
        most = atomic_load_explicit(&log_setup.level, memory_order_relaxed);
    }
    return (int)level <= most;
}

/* A line under construction; what does not fit whole ends it. */
struct line {
    char text[LOG_LINE_BYTES];
    size_t len;
    bool is_full;
};

static void line_put(struct line *line, const char *text, size_t len)
{
    line->is_full |= len > sizeof(line->text) - LINE_END_BYTES - line->len;
    if (!line->is_full) {
        memcpy(line->text + line->len, text, len);
        line->len += len;
    }
}

/* Control bytes and what is not UTF-8 are escaped, so that a line is one line, and JSON is JSON. */
static void line_put_escaped(struct line *line, struct span text, bool json)
{
    while (text.len > 0 && !line->is_full) {
        unsigned char c = (unsigned char)text.at[0];
        size_t step = span_utf8_char(text);
        char escape[8];
        int len = 0;
        if (step == 0) {
            len = snprintf(escape, sizeof(escape), json ? "\\ufffd" : "\\x%02x", c);
        } else if (c < 0x20 || c == 0x7f) {
            len = snprintf(escape, sizeof(escape), json ? "\\u%04x" : "\\x%02x", c);
        } else if (json && (c == '"' || c == '\\')) {
            len = snprintf(escape, sizeof(escape), "\\%c", c);
        }
        line_put(line, len > 0 ? escape : text.at, len > 0 ? (size_t)len : step);
        text = span_from_offset(text, size_max(step, 1));
    }
}

static size_t format_time(char *to, size_t room)
{
    int64_t us = instant_wall_us();
    struct instant_civil c = instant_to_civil(us / 1000000);
    int len = snprintf(to, room, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", c.year, c.month, c.day,
                       c.hour, c.minute, c.second, (int)(us % 1000000));
    return size_min((size_t)len, room - 1);
}

/* Istio's key names, so that what reads the logs of a mesh reads ours. */
static void line_fill(struct line *line, enum log_level level, const char *area, const char *text)
{
    bool json = atomic_load_explicit(&log_setup.is_json, memory_order_relaxed);
    char time[40];
    char head[128];
    (void)format_time(time, sizeof(time));
    int len = snprintf(head, sizeof(head),
                       json ? "{\"time\":\"%s\",\"level\":\"%s\",\"scope\":\"%s\",\"msg\":\""
                            : "%s %-5s %s ",
                       time, level_words[level].word, area);
    line->len = 0;
    line->is_full = false;
    line_put(line, head, size_min((size_t)len, sizeof(head) - 1));
    line_put_escaped(line, span_of(text), json);
    const char *end = json ? "\"}\n" : "\n";
    memcpy(line->text + line->len, end, strlen(end));
    line->len += strlen(end);
}

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
    if (!log_is_on(level, area)) {
        return;
    }
    char text[LOG_LINE_BYTES - 256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    struct line line;
    line_fill(&line, level, area, text);
    ssize_t done = write(STDERR_FILENO, line.text, line.len);
    UNUSED(done); /* nobody is left to tell when stderr is gone */
}

bool log_limit_allows(struct log_limit *limit, int64_t now_ms, uint32_t *dropped_before)
{
    *dropped_before = 0;
    if (limit->lines == 0 || now_ms - limit->window_ms >= LOG_LIMIT_WINDOW_MS) {
        *dropped_before = limit->dropped;
        *limit = (struct log_limit){.window_ms = now_ms};
    }
    if (limit->lines >= LOG_LIMIT_LINES) {
        limit->dropped++;
        return false;
    }
    limit->lines++;
    return true;
}

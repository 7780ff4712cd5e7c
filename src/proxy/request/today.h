#ifndef PROXY_REQUEST_TODAY_H
#define PROXY_REQUEST_TODAY_H
/* The Date field's text, formatted once a second a worker and not once a request. */
#include "base/compiler.h"
#include "base/span.h"
#include "codec/date.h"

struct today {
    int64_t second;
    size_t len;
    char text[DATE_TEXT_BYTES];
};

/* Borrowed until the next call; a head that keeps it copies it when it is written. */
static inline struct span today_text(struct today *t, int64_t wall_us)
{
    if (t->second != wall_us / 1000000 || t->len == 0) {
        t->second = wall_us / 1000000;
        t->len = date_format_http(wall_us, t->text);
    }
    return span_from(t->text, t->len);
}
#endif

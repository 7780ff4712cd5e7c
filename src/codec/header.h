#ifndef CODEC_HEADER_H
#define CODEC_HEADER_H
/* One HTTP header field as spans. Names are kept in lower case (RFC 9113 section 8.2.1), whatever case
 * an HTTP/1 peer wrote, so that a comparison is a memcmp. Shared by http (which parses them) and policy
 * (which matches them). */
#include "base/span.h"

struct header {
    struct span name;  /* lower case */
    struct span value; /* no white space at the ends */
};

/* The first field of that (lower-case) name, or NULL. */
static inline const struct header *header_find(const struct header *fields, size_t count,
                                               struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}
#endif

/* Values as the API writes them. */
#include "control/api/api_value.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/date.h"

void api_set_text(struct arena *a, struct doc_node *map, const char *key, struct span text)
{
    if (text.len > 0) {
        doc_set_text(a, map, key, text);
    }
}

void api_set_int(struct arena *a, struct doc_node *map, const char *key, int64_t value)
{
    doc_set(a, map, key, doc_int(a, value));
}

void api_set_bool(struct arena *a, struct doc_node *map, const char *key, bool value)
{
    doc_set(a, map, key, doc_bool(a, value));
}

void api_set_number(struct arena *a, struct doc_node *map, const char *key, double value)
{
    char text[32];
    if (value >= 0) {
        snprintf(text, sizeof text, "%.6g", value);
        doc_set(a, map, key, doc_double(a, strtod(text, NULL)));
    }
}

void api_set_time_us(struct arena *a, struct doc_node *map, const char *key, int64_t us)
{
    char text[DATE_TEXT_BYTES];
    if (us > 0) {
        size_t len = date_format_rfc3339(us, 3, text);
        doc_set_text(a, map, key, span_from(text, len));
    }
}

struct doc_node *api_ip(struct arena *a, const struct ip *ip)
{
    char text[IP_TEXT_BYTES];
    return doc_cstr(a, ip_format(ip, text));
}

/* SPIFFE IDs. */
#include "mesh/identity.h"

#define SCHEME "spiffe://"
#define TRUST_DOMAIN_BYTES_MAX 255 /* SPIFFE section 2.3 */

/* Letters, digits, '.', '-', '_' (SPIFFE sections 2.1 and 2.2); a trust domain has no capitals. */
static bool is_name(struct span s, bool capitals)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                     c == '_' || (capitals && c >= 'A' && c <= 'Z');
        if (!plain) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_segment(struct span s)
{
    return is_name(s, true) && !span_is(s, ".") && !span_is(s, "..");
}

/* Segments of a path after its first '/'; the first four are kept. */
static int split_path(struct span path, struct span *parts, size_t *count)
{
    *count = 0;
    for (struct span rest = path; rest.at != NULL; (*count)++) {
        struct span segment = span_cut(&rest, '/');
        if (!is_segment(segment)) {
            return -ERR_PROTO;
        }
        if (*count < 4) {
            parts[*count] = segment;
        }
    }
    return 0;
}

int identity_parse(struct span text, struct identity *out)
{
    struct span parts[4];
    size_t count;
    *out = (struct identity){.path = SPAN_EMPTY};
    if (text.len > IDENTITY_BYTES_MAX || !span_starts_nocase(text, SPAN(SCHEME))) {
        return -ERR_PROTO;
    }
    struct span rest = span_from_offset(text, strlen(SCHEME));
    ssize_t slash = span_find_byte(rest, '/');
    out->trust_domain = slash < 0 ? rest : span_first(rest, (size_t)slash);
    if (!is_name(out->trust_domain, false) || out->trust_domain.len > TRUST_DOMAIN_BYTES_MAX) {
        return -ERR_PROTO;
    }
    if (slash < 0) {
        return 0;
    }
    out->path = span_from_offset(rest, (size_t)slash);
    int failed = split_path(span_from_offset(out->path, 1), parts, &count);
    if (failed == 0 && count == 4 && span_is(parts[0], "ns") && span_is(parts[2], "sa")) {
        out->ns = parts[1];
        out->sa = parts[3];
    }
    return failed;
}

int identity_format(struct span trust_domain, struct span ns, struct span sa, struct buf *out)
{
    return buf_printf(out, SCHEME "%.*s/ns/%.*s/sa/%.*s", SPAN_ARG(trust_domain), SPAN_ARG(ns),
                      SPAN_ARG(sa));
}

bool identity_eq(const struct identity *a, const struct identity *b)
{
    return span_eq(a->trust_domain, b->trust_domain) && span_eq(a->path, b->path);
}

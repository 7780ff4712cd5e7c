#ifndef CODEC_URL_H
#define CODEC_URL_H
/* URLs and HTTP request targets: RFC 3986, RFC 9112 section 3.2, and the path normalisation that
 * Istio's pathNormalization and Envoy's normalize_path, merge_slashes and path_with_escaped_slashes_action
 * ask for. Spans point into the input. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

struct url {
    struct span scheme;    /* as written; empty in origin form */
    struct span authority; /* host and port as written */
    struct span host;      /* without brackets */
    uint16_t port;         /* 0 = not given */
    struct span path;      /* begins with '/', or empty */
    struct span query;     /* without '?' */
    bool has_query;
};

/* "scheme://host[:port][/path][?query][#fragment]"; user information is refused. -ERR_PROTO. */
MUST_USE int url_parse(struct span text, struct url *out);
/* The port, or the scheme's own: http and ws 80, https and wss 443; else 0. */
uint16_t url_port(const struct url *u);

enum url_form { URL_ORIGIN, URL_ABSOLUTE, URL_AUTHORITY, URL_ASTERISK };
/* A request target: "/path?query", "http://host/path", "host:port" (when `is_connect`), "*". -ERR_PROTO on bytes
 * that no target may hold (blanks, controls, '#'). */
MUST_USE int url_parse_target(struct span text, bool is_connect, enum url_form *form,
                              struct url *out);
/* "host", "host:80", "[::1]:80"; port 0 when there is none. -ERR_PROTO. */
MUST_USE int url_split_authority(struct span text, struct span *host, uint16_t *port);

/* Cuts the next "name=value" off a query ("a=1&b"); false at the end. Nothing is decoded. */
bool url_query_next(struct span *rest, struct span *name, struct span *value);
/* The first value of a parameter with this (undecoded) name; NULL `at` when there is none. */
struct span url_query_get(struct span query, struct span name);

/* Appends with %XX decoded, and '+' as a blank if `plus`; -ERR_PROTO on a broken escape, -ERR_LIMIT. */
MUST_USE int url_decode(struct span text, bool plus, struct buf *out);
/* Appends with all but unreserved characters (RFC 3986 section 2.3) and those in `keep` escaped. */
MUST_USE int url_encode(struct span text, const char *keep, struct buf *out);

enum {
    URL_DOT_SEGMENTS = 1u << 0,   /* /a/./b/../c -> /a/c, \ -> /, %41 -> A (Istio BASE) */
    URL_MERGE_SLASHES = 1u << 1,  /* //a///b -> /a/b (MERGE_SLASHES) */
    URL_DECODE_SLASHES = 1u << 2, /* %2F, %5C -> / before the rest (DECODE_AND_MERGE_SLASHES) */
};
/* Normalises a path (no query) into `to`, which has room for path.len bytes and may not overlap.
 * Returns the length, or -ERR_PROTO for a path that does not begin with '/' or has a broken escape
 * or %00. */
ssize_t url_normalize_path(struct span path, unsigned steps, char *to);
/* The path has an escaped slash or backslash (Envoy REJECT_REQUEST asks). */
bool url_has_escaped_slash(struct span path);
#endif

#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H
/* The head of a request or response, or trailers, in one shape for HTTP/1 and HTTP/2 (RFC 9110). All
 * spans live in the arena of the exchange or in bytes that outlive it. Names are lower case. Connection-
 * level fields (connection, keep-alive, transfer-encoding, upgrade, te other than trailers, http2-settings,
 * proxy-connection and those nominated by Connection; RFC 9110 section 7.6.1) never appear here, nor do
 * `host` (it is `authority`) and `content-length` (a number of its own): the connections consume and
 * produce them. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "codec/header.h"
#include "http/header_names.h"

/* Fields that have a slot, so that finding them costs nothing; the list is in header_names.h. */
enum head_known {
    HEAD_OTHER,
#define HEAD_KNOWN_ENUM(id, name) HEAD_##id,
    HEADER_NAMES(HEAD_KNOWN_ENUM)
#undef HEAD_KNOWN_ENUM
        HEAD_KNOWN_COUNT
};

enum head_method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
};

#define HEAD_LENGTH_UNKNOWN (-1) /* chunked, or until the stream ends */

struct head {
    struct arena *arena; /* borrowed: where additions live */
    /* request */
    enum head_method method_id;
    struct span method;
    struct span scheme;    /* "http" or "https" */
    struct span authority; /* Host or :authority */
    struct span path;      /* origin form with query; "*" for OPTIONS; empty for CONNECT */
    /* response */
    unsigned status;
    struct span reason; /* HTTP/1 only; dropped between versions */
    /* both */
    uint8_t http_minor;     /* 1 or 0 for HTTP/1.x; unused for HTTP/2 */
    bool http2;             /* as it arrived */
    int64_t content_length; /* HEAD_LENGTH_UNKNOWN or the declared number */
    struct span
        upgrade; /* "websocket" when an upgrade is asked for or accepted (Extended CONNECT in h2) */
    struct header *fields; /* in order, duplicates kept */
    uint8_t *known;        /* enum head_known of each field */
    size_t count;
    /* private */
    size_t room;
    uint16_t slot[HEAD_KNOWN_COUNT]; /* index + 1 of the first, 0 = absent */
};

void head_init(struct head *h, struct arena *arena);
NONNULL_RETURN struct head *head_new(struct arena *arena);
/* Room for so many fields in all, to save growing. */
void head_reserve(struct head *h, size_t count);
/* `name` lower case; both borrowed for the arena's life. -ERR_LIMIT past HEAD_FIELDS_MAX. */
#define HEAD_FIELDS_MAX 200
MUST_USE int head_add(struct head *h, struct span name, struct span value);
/* As head_add when the caller knows which it is. */
MUST_USE int head_add_known(struct head *h, enum head_known id, struct span value);
/* As head_add for a field that the caller has looked at already: `name` is of `id`, or any if HEAD_OTHER. */
MUST_USE int head_add_as(struct head *h, enum head_known id, struct span name, struct span value);
/* Replaces all fields of that name by one. */
MUST_USE int head_set(struct head *h, struct span name, struct span value);
MUST_USE int head_set_known(struct head *h, enum head_known id, struct span value);
/* Removes all of that name. */
void head_remove(struct head *h, struct span name);
void head_remove_known(struct head *h, enum head_known id);
/* First value, or a span with NULL `at`. */
struct span head_get(const struct head *h, struct span name);
struct span head_get_known(const struct head *h, enum head_known id);
enum head_known head_known_of(struct span lower_name);
struct span head_known_name(enum head_known id);
enum head_method head_method_of(struct span method);
/* host or host:port, host a name, IPv4 or [IPv6] (RFC 3986 section 3.2.2), not empty, no user info. */
bool head_authority_is_valid(struct span authority);
#endif

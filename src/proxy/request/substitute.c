/* Operators in header values: see substitute.h. */
#include "proxy/request/substitute.h"

static struct span text_addr(struct request *rq, const struct addr *a)
{
    char *to = arena_bytes(rq->arena, ADDR_TEXT_BYTES);
    return span_of(addr_format(a, to));
}

static struct span text_ip(struct request *rq, const struct ip *ip)
{
    char *to = arena_bytes(rq->arena, IP_TEXT_BYTES);
    return span_of(ip_format(ip, to));
}

static struct span op_remote(struct request *rq)
{
    return text_addr(rq, &rq->place->peer);
}

static struct span op_remote_ip(struct request *rq)
{
    return text_ip(rq, &rq->traffic.remote_ip);
}

static struct span op_direct_ip(struct request *rq)
{
    return text_ip(rq, &rq->place->direct_ip);
}

static struct span op_local(struct request *rq)
{
    return text_addr(rq, &rq->place->local);
}

static struct span op_peer_uri(struct request *rq)
{
    return rq->place->peer_uri;
}

static struct span op_local_uri(struct request *rq)
{
    return rq->place->local_uri;
}

static struct span op_sni(struct request *rq)
{
    return rq->place->sni;
}

static struct span op_protocol(struct request *rq)
{
    return rq->head->http2             ? SPAN("HTTP/2")
           : rq->head->http_minor == 0 ? SPAN("HTTP/1.0")
                                       : SPAN("HTTP/1.1");
}

static struct span op_cluster(struct request *rq)
{
    return rq->cluster != NULL ? rq->cluster->name : rq->cluster_name;
}

static struct span op_route(struct request *rq)
{
    return rq->route != NULL ? rq->route->name : SPAN_EMPTY;
}

static struct span op_upstream(struct request *rq)
{
    return rq->upstream_addr.kind == ADDR_NONE ? SPAN_EMPTY : text_addr(rq, &rq->upstream_addr);
}

static const struct {
    const char *name;
    struct span (*value)(struct request *rq);
} operators[] = {
    {"DOWNSTREAM_REMOTE_ADDRESS", op_remote},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", op_remote_ip},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", op_direct_ip},
    {"DOWNSTREAM_LOCAL_ADDRESS", op_local},
    {"DOWNSTREAM_PEER_URI_SAN", op_peer_uri},
    {"DOWNSTREAM_LOCAL_URI_SAN", op_local_uri},
    {"REQUESTED_SERVER_NAME", op_sni},
    {"PROTOCOL", op_protocol},
    {"UPSTREAM_CLUSTER", op_cluster},
    {"UPSTREAM_REMOTE_ADDRESS", op_upstream},
    {"ROUTE_NAME", op_route},
};

/* REQ(X?Y): the first of the two that is there. Names are written in any case. */
static struct span op_request_field(struct request *rq, struct span names)
{
    while (names.at != NULL) {
        struct span name = arena_dup(rq->arena, span_cut(&names, '?'));
        for (size_t i = 0; i < name.len; i++) {
            char c = name.at[i];
            ((char *)(uintptr_t)name.at)[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        struct span value = span_is(name, ":path")        ? rq->head->path
                            : span_is(name, ":method")    ? rq->head->method
                            : span_is(name, ":authority") ? rq->head->authority
                                                          : head_get(rq->head, name);
        if (value.at != NULL) {
            return value;
        }
    }
    return SPAN_EMPTY;
}

static struct span evaluate(struct request *rq, struct span op)
{
    if (span_starts(op, SPAN("REQ(")) && span_ends(op, SPAN(")"))) {
        return op_request_field(rq, span_from(op.at + 4, op.len - 5));
    }
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (span_is(op, operators[i].name)) {
            return operators[i].value(rq);
        }
    }
    return SPAN_EMPTY;
}

struct span substitute(struct request *rq, struct span format)
{
    struct buf out;
    buf_init(&out, 16384);
    int code = 0;
    while (format.len > 0 && code == 0) {
        ssize_t mark = span_find_byte(format, '%');
        if (mark < 0) {
            code = buf_append_span(&out, format);
            format = SPAN_EMPTY;
            continue;
        }
        code = buf_append_span(&out, span_first(format, (size_t)mark));
        format = span_from_offset(format, (size_t)mark + 1);
        ssize_t close = span_find_byte(format, '%');
        if (close < 0 || code != 0) {
            break; /* past the ceiling the rest is cut off */
        }
        struct span op = span_first(format, (size_t)close);
        format = span_from_offset(format, (size_t)close + 1);
        struct span value = op.len == 0 ? SPAN("%") : evaluate(rq, op);
        code = buf_append_span(&out, value.len > 0 ? value : SPAN("-"));
    }
    struct span text = arena_dup(rq->arena, buf_span(&out));
    buf_dispose(&out);
    return text;
}

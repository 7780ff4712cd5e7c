/* The common face of HTTP/1 and HTTP/2 connections: calls go to the kind, events to the owner. */
#include "http/http_conn.h"

#include "http/http_conn_int.h"

const char *http_reset_name(enum http_reset why)
{
    switch (why) {
    case HTTP_RESET_NONE:
        return "ended";
    case HTTP_RESET_PEER:
        return "reset by the peer";
    case HTTP_RESET_REFUSED:
        return "refused by the peer";
    case HTTP_RESET_PROTO:
        return "protocol error";
    case HTTP_RESET_LIMIT:
        return "limit reached";
    case HTTP_RESET_TIMEOUT:
        return "timeout";
    case HTTP_RESET_LOCAL:
        return "closed by us";
    }
    return "unknown";
}

void http_conn_init(struct http_conn *c, struct loop *loop, const struct http_conn_spec *spec,
                    const struct http_conn_ops *ops)
{
    c->ops = ops;
    c->loop = loop;
    c->io = spec->io;
    c->limits = spec->limits ? spec->limits : &limits_default;
    c->events = spec->events;
    c->arg = spec->arg;
    c->scheme = spec->scheme;
    c->server = spec->server;
    c->proto = spec->proto;
}

struct http_conn *http_conn_new_take(struct loop *loop, const struct http_conn_spec *spec)
{
    return spec->proto == HTTP_PROTO_2 ? h2_conn_new_take(loop, spec)
                                       : h1_conn_new_take(loop, spec);
}

struct io *http_conn_io(struct http_conn *c)
{
    return c->io;
}

enum http_proto http_conn_proto(const struct http_conn *c)
{
    return c->proto;
}

unsigned http_conn_room(const struct http_conn *c)
{
    return c->ops->room(c);
}

unsigned http_conn_streams(const struct http_conn *c)
{
    return c->ops->streams(c);
}

bool http_conn_is_idle(const struct http_conn *c)
{
    return c->ops->is_idle(c);
}

uint64_t http_conn_served(const struct http_conn *c)
{
    return c->served;
}

bool http_conn_is_gone(const struct http_conn *c)
{
    return c->is_gone;
}

const char *http_conn_why(const struct http_conn *c)
{
    return c->why;
}

enum limit http_conn_broke(const struct http_conn *c)
{
    return c->broke;
}

struct http_stream *http_conn_request(struct http_conn *c, const struct http_stream_events *ev,
                                      void *arg)
{
    struct http_stream *s = c->ops->room(c) > 0 ? c->ops->request(c) : NULL;
    if (s) {
        s->ev = ev;
        s->arg = arg;
    }
    return s;
}

void http_conn_drain(struct http_conn *c)
{
    c->ops->drain(c);
}

void http_conn_close(struct http_conn *c)
{
    c->ops->close(c);
}

struct arena *http_stream_arena(struct http_stream *s)
{
    return &s->arena;
}

struct http_conn *http_stream_conn(struct http_stream *s)
{
    return s->conn;
}

void http_stream_set_events(struct http_stream *s, const struct http_stream_events *ev, void *arg)
{
    s->ev = ev;
    s->arg = arg;
}

int http_stream_head(struct http_stream *s, const struct head *head, bool end)
{
    return s->conn->ops->head(s, head, end);
}

int http_stream_data(struct http_stream *s, struct span data, bool end)
{
    return s->conn->ops->data(s, data, end);
}

int http_stream_trailers(struct http_stream *s, const struct head *trailers)
{
    return s->conn->ops->trailers(s, trailers);
}

size_t http_stream_queued(const struct http_stream *s)
{
    return s->conn->ops->queued(s);
}

void http_stream_consume(struct http_stream *s, size_t bytes)
{
    s->conn->ops->consume(s, bytes);
}

void http_stream_reset(struct http_stream *s, enum http_reset why)
{
    s->ev = NULL;
    s->conn->ops->reset(s, why);
}

int http_stream_reply(struct http_stream *s, unsigned status, struct span content_type,
                      struct span body)
{
    struct head head;
    head_init(&head, &s->arena);
    head.status = status;
    head.content_length = (int64_t)body.len;
    if (content_type.len > 0 && head_add_known(&head, HEAD_CONTENT_TYPE, content_type) != 0) {
        return -ERR_LIMIT;
    }
    int code = http_stream_head(s, &head, body.len == 0);
    return code != 0 || body.len == 0 ? code : http_stream_data(s, body, true);
}

void http_stream_tell_head(struct http_stream *s, struct head *head, bool end)
{
    if (s->ev) {
        s->ev->on_head(s->arg, head, end);
    }
}

void http_stream_tell_data(struct http_stream *s, struct span data, bool end)
{
    if (s->ev) {
        s->ev->on_data(s->arg, data, end);
    }
}

void http_stream_tell_trailers(struct http_stream *s, struct head *trailers)
{
    if (s->ev && s->ev->on_trailers) {
        s->ev->on_trailers(s->arg, trailers);
    } else {
        http_stream_tell_data(s, SPAN_EMPTY, true);
    }
}

void http_stream_tell_drained(struct http_stream *s)
{
    if (s->ev && s->ev->on_drained) {
        s->ev->on_drained(s->arg);
    }
}

void http_stream_tell_close(struct http_stream *s, enum http_reset why)
{
    const struct http_stream_events *ev = s->ev;
    s->ev = NULL;
    if (ev) {
        ev->on_close(s->arg, why);
    }
}

void http_conn_tell_bad(struct http_conn *c, unsigned status, const char *why)
{
    if (c->events->on_bad) {
        c->events->on_bad(c->arg, status, why);
    }
}

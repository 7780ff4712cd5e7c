/* Whole connections of both versions, both sides, fed by a peer that sends any bytes in any pieces. The
 * first byte: bit 0 server, bit 1 HTTP/2, bits 2-3 what the owner does, bit 4 small pieces. What must hold:
 * events come in their order, one close a stream, one end a connection, and nothing is left over. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/instant.h"
#include "http/http_conn.h"
#include "io/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) \
    if (!(cond)) {  \
        abort();    \
    }
#define STREAMS 8

struct owner {
    struct loop *loop;
    struct http_conn *conn;
    unsigned way; /* 0 answers at the end, 1 at the head, 2 echoes and keeps credit, 3 resets */
    bool server;
    struct stream {
        struct owner *owner;
        struct http_stream *s;
        bool used, headed, ended, opaque;
    } streams[STREAMS];
};

static void answer(struct stream *st)
{
    http_stream_reply(st->s, 200, SPAN("text/plain"), SPAN("ok"));
}

static void on_end(struct stream *st)
{
    CHECK(!st->ended);
    st->ended = true;
    if (!st->owner->server) {
        return;
    }
    if (st->owner->way == 2) {
        http_stream_data(st->s, SPAN_EMPTY, true);
    } else if (st->owner->way == 0) {
        answer(st);
    }
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct stream *st = arg;
    CHECK(st->used && !st->ended);
    bool interim = head->status >= 100 && head->status < 200 && head->status != 101;
    CHECK(!st->headed);
    st->headed = !interim;
    for (size_t i = 0; i < head->count; i++) {
        CHECK(head->fields[i].name.len > 0);
        CHECK(head->known[i] != HEAD_CONNECTION && head->known[i] != HEAD_TRANSFER_ENCODING &&
              head->known[i] != HEAD_UPGRADE && head->known[i] != HEAD_HTTP2_SETTINGS &&
              head->known[i] != HEAD_HOST && head->known[i] != HEAD_CONTENT_LENGTH);
    }
    if (st->owner->server) {
        struct head h;
        CHECK(head->method.len > 0);
        head_init(&h, http_stream_arena(st->s));
        h.status = head->upgrade.len > 0 ? 101 : 200;
        h.upgrade = head->upgrade;
        if (st->owner->way == 1) {
            answer(st);
        } else if (st->owner->way == 2) {
            http_stream_head(st->s, &h, false);
        } else if (st->owner->way == 3) {
            struct http_stream *s = st->s;
            st->used = false;
            http_stream_reset(s, HTTP_RESET_LOCAL);
            return;
        }
    }
    if (end) {
        on_end(st);
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct stream *st = arg;
    volatile char sink = 0;
    CHECK(st->used && st->headed && !st->ended);
    for (size_t i = 0; i < data.len; i++) {
        sink ^= data.at[i];
    }
    UNUSED(sink);
    if (st->owner->way == 2 && st->owner->server) {
        http_stream_data(st->s, data, false);
    } else {
        http_stream_consume(st->s, data.len);
    }
    if (end) {
        on_end(st);
    }
}

static void on_trailers(void *arg, struct head *trailers)
{
    struct stream *st = arg;
    CHECK(st->used && st->headed);
    CHECK(trailers->count <= HEAD_FIELDS_MAX);
    on_end(st);
}

static void on_drained(void *arg)
{
    CHECK(((struct stream *)arg)->used);
}

static void on_close(void *arg, enum http_reset why)
{
    struct stream *st = arg;
    CHECK(st->used);
    CHECK(why != HTTP_RESET_NONE || st->headed);
    st->used = false;
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

static struct stream *slot(struct owner *o)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if (!o->streams[i].used) {
            o->streams[i] = (struct stream){.owner = o, .used = true};
            return &o->streams[i];
        }
    }
    return NULL;
}

static void on_open(void *arg, struct http_stream *s, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct stream *st = slot(arg);
    if (st) {
        st->s = s;
        *ev = &stream_events;
        *stream_arg = st;
    }
}

static void on_gone(void *arg, enum http_reset why)
{
    struct owner *o = arg;
    UNUSED(why);
    CHECK(o->conn);
    o->conn = NULL;
    for (size_t i = 0; i < STREAMS; i++) {
        CHECK(!o->streams[i].used);
    }
}

static const struct http_conn_events conn_events = {.on_open = on_open, .on_gone = on_gone};

static void ask(struct owner *o)
{
    struct stream *st = o->conn && http_conn_room(o->conn) > 0 ? slot(o) : NULL;
    if (!st) {
        return;
    }
    struct head h;
    st->s = http_conn_request(o->conn, &stream_events, st);
    head_init(&h, http_stream_arena(st->s));
    h.method = o->way == 3 ? SPAN("CONNECT") : o->way == 2 ? SPAN("HEAD") : SPAN("GET");
    h.method_id = head_method_of(h.method);
    h.scheme = SPAN("http");
    h.authority = SPAN("a:1");
    h.path = o->way == 3 ? SPAN_EMPTY : SPAN("/");
    http_stream_head(st->s, &h, o->way != 3);
}

static void turns(struct owner *o, struct io *peer)
{
    char room[4096];
    for (int i = 0; i < 50 && loop_turn(o->loop, false); i++) {
        while (io_read(peer, room, sizeof(room)) > 0) {
        }
    }
}

static void feed(struct owner *o, struct io *peer, struct span in, size_t piece)
{
    while (in.len > 0 && o->conn) {
        ssize_t n = io_write(peer, in.at, size_min(in.len, piece));
        if (n < 0 && n != -EAGAIN) {
            break;
        }
        in = span_from_offset(in, n > 0 ? (size_t)n : 0);
        turns(o, peer);
        if (n <= 0) {
            break; /* it does not read any more: no credit */
        }
        if (!o->server) {
            ask(o);
        }
    }
    turns(o, peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct owner o;
    struct io *ours;
    struct io *peer;
    if (size == 0) {
        return 0;
    }
    memset(&o, 0, sizeof(o));
    instant_fake_start(1000000000, 1700000000000000);
    o.loop = loop_new(true);
    o.server = (data[0] & 1) != 0;
    o.way = data[0] >> 2 & 3;
    io_mem_pair(o.loop, 65536, &ours, &peer);
    struct http_limits limits = limits_default;
    limits.head_bytes = 4096;
    limits.streams = STREAMS / 2;
    struct http_conn_spec spec = {
        .io = ours,
        .proto = data[0] & 2 ? HTTP_PROTO_2 : HTTP_PROTO_1,
        .server = o.server,
        .limits = &limits,
        .events = &conn_events,
        .arg = &o,
        .scheme = SPAN("http"),
    };
    o.conn = http_conn_new_take(o.loop, &spec);
    if (!o.server) {
        ask(&o);
    }
    if (o.server && spec.proto == HTTP_PROTO_2) {
        feed(&o, peer, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 64);
    }
    feed(&o, peer, span_from(data + 1, size - 1), data[0] & 16 ? 3 : 65536);
    if (o.conn && (data[0] & 32)) {
        http_conn_drain(o.conn);
        turns(&o, peer);
    }
    instant_fake_advance(3000000000);
    turns(&o, peer);
    io_close(peer);
    for (int i = 0; i < 20 && o.conn; i++) {
        loop_turn(o.loop, false);
        instant_fake_advance(15000000000);
    }
    if (o.conn) {
        http_conn_close(o.conn);
    }
    CHECK(!o.conn);
    loop_turn(o.loop, false);
    loop_turn(o.loop, false);
    loop_free(o.loop);
    instant_fake_stop();
    return 0;
}

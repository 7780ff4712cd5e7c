/* An HTTP/1 connection: its life, its timers, and what follows an exchange (RFC 9112 section 9).
 * In: events of the stream below, deadlines, calls. Out: on_close, on_gone. Next: h1_recv.c, h1_send.c. */
#include "http/h1_conn_int.h"

#include "base/mem.h"

#define TRIM_MS 1000           /* idle for so long: give back what the last exchange used */
#define LINGER_MS 2000         /* for the peer to read our last answer */
#define ARENA_BLOCK_BYTES 4096 /* heads of a usual exchange */
#define ARENA_KEEP_BYTES 8192  /* used more: not kept for the next */
#define QUEUE_MAX (256u << 20) /* far above what an owner that waits for on_drained ever queues */
#define SETTLE_BATCH 32        /* pipelined exchanges in a row, before others get their turn */

static void conn_free(void *obj)
{
    struct h1_conn *c = obj;
    arena_dispose(&c->stream.arena);
    buf_dispose(&c->in);
    buf_dispose(&c->out);
    mem_free(c);
}

/* Tells the owner and closes the stream below; nothing of `c` may be used by the owner afterwards. */
static void conn_gone(struct h1_conn *c, enum http_reset why, bool abort)
{
    if (c->gone) {
        return;
    }
    c->gone = true;
    c->base.is_gone = true;
    if (c->open) {
        c->open = false;
        http_stream_tell_close(&c->stream, why);
    }
    deadline_disarm(&c->deadline);
    loop_task_cancel(&c->task);
    if (abort) {
        io_abort(c->base.io);
    } else {
        io_close(c->base.io);
    }
    c->base.events->on_gone(c->base.arg, why);
    loop_bury(c->base.loop, conn_free, c);
}

void h1_conn_end(struct h1_conn *c, enum http_reset why, bool abort)
{
    if (!c->ending) {
        c->ending = true;
        c->end_why = why;
        c->abort = abort;
        h1_conn_kick(c);
    }
}

void h1_conn_kick(struct h1_conn *c)
{
    if (!c->in_event && !c->gone) {
        loop_task_add(c->base.loop, &c->task);
    }
}

static int64_t timer_ms(const struct h1_conn *c, enum h1_timer timer)
{
    const struct http_limits *l = c->base.limits;
    switch (timer) {
    case H1_TIMER_NONE:
        break;
    case H1_TIMER_TRIM:
        return i64_min(TRIM_MS, l->idle_ms);
    case H1_TIMER_IDLE:
        return i64_max(l->idle_ms - TRIM_MS, 1);
    case H1_TIMER_HEAD:
        return l->head_ms;
    case H1_TIMER_HALF_CLOSE:
        return l->half_close_ms;
    case H1_TIMER_LINGER:
        return LINGER_MS;
    }
    return 0;
}

void h1_conn_arm(struct h1_conn *c, enum h1_timer timer)
{
    if (timer == H1_TIMER_TRIM) {
        c->rested_ms = loop_now_ms(c->base.loop);
    }
    if (timer == c->timer && deadline_is_armed(&c->deadline)) {
        return; /* TRIM after each exchange: on_due looks at rested_ms, which costs less than arming */
    }
    c->timer = timer;
    if (timer == H1_TIMER_NONE) {
        deadline_disarm(&c->deadline);
    } else {
        deadline_arm(&c->deadline, c->base.loop, timer_ms(c, timer));
    }
}

static void trim(struct h1_conn *c)
{
    arena_dispose(&c->stream.arena);
    arena_init(&c->stream.arena, ARENA_BLOCK_BYTES);
    if (buf_len(&c->out) == 0) {
        buf_release(&c->out);
    }
}

/* Watches what the states wait for. */
static void watch(struct h1_conn *c)
{
    bool read = false;
    switch (c->in_state) {
    case H1_IN_HEAD:
        read = true;
        break;
    case H1_IN_LENGTH:
    case H1_IN_CHUNKED:
    case H1_IN_TRAILERS:
    case H1_IN_UNTIL_CLOSE:
    case H1_IN_OPAQUE:
        read = !c->open || c->held < c->base.limits->stream_window;
        break;
    case H1_IN_HELD:
    case H1_IN_DONE: /* only to see the peer go */
        read = buf_len(&c->in) == 0;
        break;
    }
    bool write = buf_len(&c->out) > 0 || (c->opaque && c->out_state == H1_OUT_DONE && !c->shut);
    unsigned events = ((read || c->lingering) && !c->eof ? (unsigned)IO_READ : 0) |
                      (write ? (unsigned)IO_WRITE : 0);
    if (events != c->base.io->watched) {
        io_watch(c->base.io, events);
    }
}

/* The exchange has run its course; see the contract of http_conn. */
static bool exchange_is_over(const struct h1_conn *c)
{
    bool sent = c->out_state == H1_OUT_DONE && h1_is_flushed(c) && (!c->opaque || c->shut);
    if (c->opaque) { /* a peer that reads no more and has ended is gone */
        return (sent || c->out_dead) && c->in_state == H1_IN_DONE;
    }
    return c->base.server ? sent : c->in_state == H1_IN_DONE;
}

static void exchange_reset(struct h1_conn *c)
{
    c->head_out = SPAN_EMPTY;
    c->held = 0;
    c->discarded = 0;
    c->interim = 0;
    c->queued = false;
    c->upgrade = false;
    c->keep = true;
    c->out_state = H1_OUT_HEAD;
    if (c->in_state == H1_IN_DONE) {
        c->in_state = H1_IN_HEAD;
    }
    if (arena_used(&c->stream.arena) > ARENA_KEEP_BYTES) {
        trim(c);
    } else {
        arena_reset(&c->stream.arena);
    }
}

static void exchange_end(struct h1_conn *c)
{
    bool sent = c->out_state == H1_OUT_DONE && h1_is_flushed(c) && !c->out_dead;
    bool read = c->in_state == H1_IN_DONE;
    bool keep = c->keep && !c->opaque && !c->drain && !c->eof && sent;
    c->open = false;
    c->telling = true;
    http_stream_tell_close(&c->stream, HTTP_RESET_NONE);
    c->telling = false;
    if (c->gone) {
        return;
    }
    c->base.served++;
    if (keep && (c->base.server || buf_len(&c->in) == 0)) {
        exchange_reset(c);
        h1_conn_arm(c, read ? H1_TIMER_TRIM : H1_TIMER_HEAD);
        if (!c->base.server && c->base.events->on_room) {
            c->base.events->on_room(c->base.arg);
        }
    } else if (c->base.server && (!read || buf_len(&c->in) > 0) && !c->eof) {
        c->end_why =
            HTTP_RESET_NONE; /* closing over unread bytes would reset, and lose our answer */
        c->lingering = true;
    } else {
        h1_conn_end(c, HTTP_RESET_NONE, false);
    }
}

/* Ends our direction once everything has left. */
static void shut_if_due(struct h1_conn *c)
{
    bool due = (c->lingering || (c->opaque && c->out_state == H1_OUT_DONE)) && !c->shut;
    if (!due || !h1_is_flushed(c)) {
        return;
    }
    int code = io_shut(c->base.io);
    if (code == -EAGAIN) {
        return;
    }
    c->shut = true;
    if (code != 0) {
        h1_conn_end(c, HTTP_RESET_PEER, false);
    } else if (c->lingering) {
        h1_conn_arm(c, H1_TIMER_LINGER);
    }
}

static bool may_take_stash(const struct h1_conn *c)
{
    return buf_len(&c->in) > 0 && c->in_state != H1_IN_DONE && c->in_state != H1_IN_HELD &&
           !c->lingering && (c->in_state != H1_IN_HEAD || c->scan.at < buf_len(&c->in)) &&
           (c->in_state != H1_IN_TRAILERS || c->scan.at < buf_len(&c->in));
}

/* One step towards rest; false when nothing is left to do. */
static bool settle_step(struct h1_conn *c)
{
    if (c->ending) {
        conn_gone(c, c->end_why, c->abort);
        return false;
    }
    shut_if_due(c);
    if (c->ending) {
        return true;
    }
    if (c->open && exchange_is_over(c)) {
        exchange_end(c);
        return true;
    }
    if (!c->open && !c->lingering) {
        if (c->in_state == H1_IN_DONE) { /* the rest of a request that was answered early */
            exchange_reset(c);
            h1_conn_arm(c, H1_TIMER_TRIM);
        }
        if (c->drain && c->in_state == H1_IN_HEAD && buf_len(&c->in) == 0) {
            h1_conn_end(c, HTTP_RESET_NONE, false);
            return true;
        }
    }
    return may_take_stash(c) && h1_recv_stash(c);
}

static void settle(struct h1_conn *c)
{
    c->in_event = true;
    int steps = 0;
    while (!c->gone && steps < SETTLE_BATCH && settle_step(c)) {
        steps++;
    }
    c->in_event = false;
    if (c->gone) {
        return;
    }
    if (steps == SETTLE_BATCH) {
        loop_task_add(c->base.loop, &c->task);
    }
    watch(c);
}

static void on_io(void *arg, unsigned events)
{
    struct h1_conn *c = arg;
    c->in_event = true;
    if ((events & IO_WRITE) && !c->gone) {
        h1_send_flush(c);
    }
    if ((events & IO_READ) && !h1_is_over(c)) {
        h1_recv(c);
    }
    if (!c->gone) {
        settle(c);
    }
}

static void on_task(struct loop_task *task)
{
    struct h1_conn *c = container_of(task, struct h1_conn, task);
    c->in_event = true;
    if (c->head_out.len > 0 && !c->ending) {
        h1_send_flush(c);
    }
    if (UNLIKELY(c->raw) && !h1_is_over(c)) {
        h1_recv_raw(c);
    }
    settle(c);
}

/* Idle when TRIM is due: trims, unless there was an exchange since it was armed. */
static void rest(struct h1_conn *c)
{
    int64_t left = c->rested_ms + timer_ms(c, H1_TIMER_TRIM) - loop_now_ms(c->base.loop);
    if (left > 0) {
        c->timer = H1_TIMER_TRIM;
        deadline_arm(&c->deadline, c->base.loop, left);
        return;
    }
    trim(c);
    h1_conn_arm(c, H1_TIMER_IDLE);
}

static void on_due(struct deadline *d)
{
    struct h1_conn *c = container_of(d, struct h1_conn, deadline);
    enum h1_timer timer = c->timer;
    bool idle = !c->open && c->in_state == H1_IN_HEAD && !c->lingering;
    c->timer = H1_TIMER_NONE;
    switch (timer) {
    case H1_TIMER_NONE:
        break;
    case H1_TIMER_TRIM:
        if (idle) {
            rest(c);
        }
        break;
    case H1_TIMER_IDLE:
        if (idle) {
            c->base.broke = LIMIT_idle_ms;
            h1_conn_end(c, HTTP_RESET_TIMEOUT, false);
        }
        break;
    case H1_TIMER_HEAD:
        if (c->in_state != H1_IN_HEAD) { /* the rest of a request that was answered early */
            h1_conn_end(c, HTTP_RESET_TIMEOUT, false);
            break;
        }
        c->base.broke = LIMIT_head_ms;
        http_conn_tell_bad(&c->base, 408, "the request head took too long");
        if (!h1_is_over(c)) {
            c->in_event = true;
            h1_send_refusal(c, 408);
            c->end_why = HTTP_RESET_TIMEOUT;
            c->lingering = true;
            settle(c);
        }
        break;
    case H1_TIMER_HALF_CLOSE:
        if (c->open && !c->opaque) {
            h1_conn_end(c, HTTP_RESET_PEER, false);
        }
        break;
    case H1_TIMER_LINGER:
        h1_conn_end(c, c->end_why, false);
        break;
    }
}

static unsigned op_room(const struct http_conn *base)
{
    const struct h1_conn *c = container_of(base, const struct h1_conn, base);
    bool busy = c->open || c->drain || c->telling || c->eof || h1_is_over(c) || base->server;
    return busy || buf_len(&c->in) > 0 || c->in_state != H1_IN_HEAD ? 0 : 1;
}

static unsigned op_streams(const struct http_conn *base)
{
    const struct h1_conn *c = container_of(base, const struct h1_conn, base);
    return c->open ? 1 : 0;
}

static bool op_is_idle(const struct http_conn *base)
{
    const struct h1_conn *c = container_of(base, const struct h1_conn, base);
    return c->timer == H1_TIMER_IDLE && !c->open && buf_len(&c->in) == 0;
}

static struct http_stream *op_request(struct http_conn *base)
{
    struct h1_conn *c = h1_of(base);
    uint32_t most = base->limits->requests;
    c->open = true;
    c->keep = !(most > 0 && base->served + 1 >= most);
    return &c->stream;
}

static void op_drain(struct http_conn *base)
{
    struct h1_conn *c = h1_of(base);
    c->drain = true;
    h1_conn_kick(c);
}

static void op_close(struct http_conn *base)
{
    conn_gone(h1_of(base), HTTP_RESET_LOCAL, false);
}

static size_t op_queued(const struct http_stream *s)
{
    return buf_len(&h1_of(s->conn)->out);
}

static void op_consume(struct http_stream *s, size_t bytes)
{
    struct h1_conn *c = h1_of(s->conn);
    c->held -= size_min(bytes, c->held);
    if (!c->in_event && !h1_is_over(c)) {
        watch(c);
    }
}

static void op_reset(struct http_stream *s, enum http_reset why)
{
    struct h1_conn *c = h1_of(s->conn);
    if (!h1_is_over(c) && c->open) {
        h1_conn_end(c, why, true);
    }
}

static const struct http_conn_ops h1_ops = {
    .room = op_room,
    .streams = op_streams,
    .is_idle = op_is_idle,
    .request = op_request,
    .drain = op_drain,
    .close = op_close,
    .head = h1_send_head,
    .data = h1_send_data,
    .trailers = h1_send_trailers,
    .queued = op_queued,
    .consume = op_consume,
    .reset = op_reset,
};

struct http_conn *h1_conn_new_take(struct loop *loop, const struct http_conn_spec *spec)
{
    struct h1_conn *c = mem_new(struct h1_conn);
    http_conn_init(&c->base, loop, spec, &h1_ops);
    c->stream.conn = &c->base;
    c->keep = true;
    c->raw = spec->proto == HTTP_PROTO_RAW;
    arena_init(&c->stream.arena, ARENA_BLOCK_BYTES);
    buf_init(&c->in, c->base.limits->head_bytes + 2 * LOOP_READ_BYTES);
    buf_init(&c->out, QUEUE_MAX);
    loop_task_init(&c->task, on_task);
    deadline_init(&c->deadline, on_due);
    h1_conn_arm(c, H1_TIMER_IDLE);
    io_set_owner(spec->io, on_io, c);
    if (spec->first_bytes.len > 0) {
        if (buf_append_span(&c->in, spec->first_bytes) != 0) {
            h1_conn_end(c, HTTP_RESET_LIMIT, true);
        }
        h1_conn_kick(c);
    }
    watch(c);
    return &c->base;
}

/* An HTTP/2 connection: its life, limits, timers and drain (RFC 9113 sections 3, 5.1, 6.8, 10.5).
 * In: events of the stream below, deadlines, calls. Out: on_close, on_room, on_gone. Next: h2_recv.c,
 * h2_send.c. */
#include "http/h2_conn_int.h"

#include "base/mem.h"

#define TRIM_MS 1000
#define LINGER_MS 1000
#define DRAIN_MS 1000 /* a round trip, for requests on their way when we said GOAWAY */
#define ARENA_BLOCK_BYTES 4096
#define ARENA_KEEP_BYTES 8192
#define SPARE_MAX 8u
#define QUEUE_MAX (256u << 20)
#define RESETS_PER_SECOND 20
#define SEND_HEAD_MAX (1u << 20)
#define SETTINGS_MAX 32

/* ---- nghttp2's memory is ours, and counted ---- */

static void *hook_malloc(size_t size, void *arg)
{
    UNUSED(arg);
    return mem_alloc(size_max(size, 1));
}

static void hook_free(void *p, void *arg)
{
    UNUSED(arg);
    mem_free(p);
}

static void *hook_calloc(size_t count, size_t size, void *arg)
{
    UNUSED(arg);
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : mem_zalloc(size_max(bytes, 1));
}

static void *hook_realloc(void *p, size_t size, void *arg)
{
    UNUSED(arg);
    return mem_realloc(p, size_max(size, 1));
}

/* ---- streams ---- */

static void stream_free(struct h2_stream *s)
{
    arena_dispose(&s->base.arena);
    buf_dispose(&s->out);
    mem_free(s);
}

/* Ready for another exchange, or given back. */
static void stream_retire(struct h2_conn *c, struct h2_stream *s)
{
    if (c->spare_count == SPARE_MAX || arena_used(&s->base.arena) > ARENA_KEEP_BYTES) {
        stream_free(s);
        return;
    }
    struct arena arena = s->base.arena;
    struct buf out = s->out;
    arena_reset(&arena);
    buf_release(&out);
    *s = (struct h2_stream){.base.conn = &c->base, .base.arena = arena, .out = out};
    list_init(&s->queued_node);
    list_init(&s->node);
    list_push_front(&c->spare, &s->node);
    c->spare_count++;
}

void h2_conn_stream_closed(struct h2_conn *c, struct h2_stream *s, enum http_reset why)
{
    if (s->closed) {
        return;
    }
    s->closed = true;
    s->why = why;
    list_remove(&s->queued_node);
    list_remove(&s->node);
    list_push_back(&c->closed, &s->node);
    h2_conn_kick(c);
}

static void tell_closed(struct h2_conn *c)
{
    struct list *node;
    while (!c->gone && (node = list_pop_front(&c->closed)) != NULL) {
        struct h2_stream *s = list_item(node, struct h2_stream, node);
        c->stream_count--;
        c->room_told = true;
        http_stream_tell_close(&s->base, s->why);
        stream_retire(c, s);
    }
}

struct h2_stream *h2_conn_add_stream(struct h2_conn *c)
{
    if (c->base.server && c->stream_count > c->base.limits->streams) {
        tell_closed(
            c); /* opened and reset in one turn: their memory is not to pile up till its end */
    }
    struct list *node = list_pop_front(&c->spare);
    struct h2_stream *s;
    if (node) {
        s = list_item(node, struct h2_stream, node);
        c->spare_count--;
    } else {
        s = mem_new(struct h2_stream);
        s->base.conn = &c->base;
        arena_init(&s->base.arena, ARENA_BLOCK_BYTES);
        buf_init(&s->out, QUEUE_MAX);
        list_init(&s->node);
        list_init(&s->queued_node);
    }
    list_push_back(&c->streams, &s->node);
    c->stream_count++;
    c->was_busy = true;
    return s;
}

static void tell_drained(struct h2_conn *c)
{
    LIST_EACH(node, next, &c->queued) {
        struct h2_stream *s = list_item(node, struct h2_stream, queued_node);
        if (buf_len(&s->out) == 0) {
            list_remove(node);
            buf_release(&s->out);
            if (!s->out_end) {
                http_stream_tell_drained(&s->base);
                if (c->gone) {
                    return;
                }
                next = c->queued.next; /* the list may have changed: from the start */
            }
        }
    }
}

/* ---- the connection ---- */

static void free_all(struct list *streams)
{
    struct list *node;
    while ((node = list_pop_front(streams)) != NULL) {
        stream_free(list_item(node, struct h2_stream, node));
    }
}

static void conn_free(void *obj)
{
    struct h2_conn *c = obj;
    nghttp2_session_del(c->session);
    free_all(&c->streams);
    free_all(&c->closed);
    free_all(&c->spare);
    buf_dispose(&c->out);
    buf_dispose(&c->first);
    mem_free(c);
}

static void close_streams(struct list *streams, enum http_reset why)
{
    LIST_EACH(node, next, streams) {
        struct h2_stream *s = list_item(node, struct h2_stream, node);
        http_stream_tell_close(&s->base, s->closed ? s->why : why);
        next = node->next;
        s->closed = true;
    }
}

static void conn_gone(struct h2_conn *c, enum http_reset why, bool abort)
{
    if (c->gone) {
        return;
    }
    c->gone = true;
    c->base.is_gone = true;
    deadline_disarm(&c->deadline);
    loop_task_cancel(&c->task);
    close_streams(&c->closed, why);
    close_streams(&c->streams, why == HTTP_RESET_NONE ? HTTP_RESET_PEER : why);
    if (abort) {
        io_abort(c->base.io);
    } else {
        io_close(c->base.io);
    }
    c->base.events->on_gone(c->base.arg, why);
    loop_bury(c->base.loop, conn_free, c);
}

void h2_conn_end(struct h2_conn *c, enum http_reset why, bool abort)
{
    if (!c->ending) {
        c->ending = true;
        c->end_why = why;
        c->abort = abort;
        h2_conn_kick(c);
    }
}

void h2_conn_kick(struct h2_conn *c)
{
    if (!c->gone) {
        loop_task_add(c->base.loop, &c->task);
    }
}

void h2_conn_calm(struct h2_conn *c, enum limit broke, const char *why)
{
    if (c->end_why == HTTP_RESET_NONE) {
        c->base.why = why;
        c->base.broke = broke;
        c->end_why = HTTP_RESET_LIMIT;
        http_conn_tell_bad(&c->base, 0, why);
        if (!c->gone) {
            (void)nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
            h2_conn_kick(c);
        }
    }
}

void h2_conn_count_reset(struct h2_conn *c)
{
    int64_t now = loop_now_ms(c->base.loop);
    int64_t paid = (now - c->resets_ms) * RESETS_PER_SECOND / 1000;
    if (paid > 0) {
        c->resets -= paid < c->resets ? (unsigned)paid : c->resets;
        c->resets_ms = now;
    }
    c->resets_all++;
    if (++c->resets > c->base.limits->resets && 2 * c->resets_all >= c->base.served) {
        h2_conn_calm(c, LIMIT_resets, "too many resets");
    }
}

static void arm(struct h2_conn *c, enum h2_timer timer)
{
    const struct http_limits *l = c->base.limits;
    int64_t after[] = {
        [H2_TIMER_NONE] = 0,
        [H2_TIMER_TRIM] = i64_min(TRIM_MS, l->idle_ms),
        [H2_TIMER_IDLE] = i64_max(l->idle_ms - TRIM_MS, 1),
        [H2_TIMER_HEAD] = l->head_ms,
        [H2_TIMER_DRAIN] = DRAIN_MS,
        [H2_TIMER_LINGER] = LINGER_MS,
        [H2_TIMER_WRITE] = l->write_ms,
        [H2_TIMER_PING] = l->ping_ms,
    };
    if (timer == c->timer && deadline_is_armed(&c->deadline)) {
        return;
    }
    c->timer = timer;
    if (timer == H2_TIMER_NONE) {
        deadline_disarm(&c->deadline);
    } else {
        deadline_arm(&c->deadline, c->base.loop, after[timer]);
    }
}

/* The second GOAWAY names the last request that we have taken. */
static void drain_final(struct h2_conn *c)
{
    if (!c->drain_final) {
        c->drain_final = true;
        int32_t last = nghttp2_session_get_last_proc_stream_id(c->session);
        (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
        h2_conn_kick(c);
    }
}

static void drain_begin(struct h2_conn *c)
{
    if (c->draining || c->gone) {
        return;
    }
    c->draining = true;
    if (c->base.server) {
        (void)nghttp2_submit_shutdown_notice(c->session);
        arm(c, H2_TIMER_DRAIN);
    } else {
        drain_final(c);
    }
    h2_conn_kick(c);
}

/* Which wait is on, from what is going on; a longer one gives way to a shorter. */
static void arm_timer(struct h2_conn *c)
{
    bool leaving = c->end_why != HTTP_RESET_NONE || (c->drain_final && c->stream_count == 0);
    if (c->lingering || leaving) { /* also when the peer does not read our last frames */
        arm(c, H2_TIMER_LINGER);
    } else if (c->draining && !c->drain_final) {
        arm(c, H2_TIMER_DRAIN);
    } else if (c->head_open || (!c->settled && c->base.server)) {
        arm(c, H2_TIMER_HEAD);
    } else if (buf_len(&c->out) > 0 && c->stream_count > 0) {
        arm(c, H2_TIMER_WRITE);
    } else if (c->stream_count > 0) {
        enum h2_timer timer = c->base.limits->ping_ms > 0 ? H2_TIMER_PING : H2_TIMER_NONE;
        if (c->timer != timer) {
            c->heard_ms = loop_now_ms(c->base.loop);
            c->pinged = false;
            arm(c, timer);
        }
    } else if (c->was_busy || c->timer != H2_TIMER_IDLE || !deadline_is_armed(&c->deadline)) {
        if (c->was_busy) { /* from now on, also when all of it was in one turn */
            deadline_disarm(&c->deadline);
            c->was_busy = false;
        }
        arm(c, H2_TIMER_TRIM);
    }
}

/*
 * Nothing is left to say or to hear: ends, but lets the peer read our GOAWAY first. A server always
 * waits for the peer to close: what a client still sends (a PING after its GOAWAY, a WINDOW_UPDATE)
 * to a closed socket would be answered with a reset, which can take our last frames from its hands.
 */
static void finish(struct h2_conn *c)
{
    if (c->end_why == HTTP_RESET_NONE && !c->base.server && !c->lingering) {
        h2_conn_end(c, HTTP_RESET_NONE, false);
        return;
    }
    if (!c->lingering) {
        c->lingering = true;
        LIST_EACH(node, next, &c->streams) {
            h2_conn_stream_closed(c, list_item(node, struct h2_stream, node), c->end_why);
        }
        return; /* they are told first */
    }
    int code = c->shut ? 0 : io_shut(c->base.io);
    if (code == -EAGAIN) {
        return;
    }
    c->shut = true;
    if (code != 0) {
        h2_conn_end(c, c->end_why, false);
    }
}

static bool is_finished(const struct h2_conn *c)
{
    if (buf_len(&c->out) > 0 || nghttp2_session_want_write(c->session)) {
        return false;
    }
    bool leaving = c->drain_final || c->peer_going;
    return !nghttp2_session_want_read(c->session) || (leaving && c->stream_count == 0);
}

/* After an event: frames leave, ended streams are told, and what follows is watched for. */
static void settle(struct h2_conn *c)
{
    c->in_event = true;
    if (!c->ending && !c->lingering) {
        h2_send_flush(c);
        if (buf_len(&c->out) == 0 && !c->ending) {
            tell_drained(c);
        }
    }
    tell_closed(c);
    if (!c->gone && c->bad_owed) {
        c->bad_owed = false;
        if (!c->bad_told) {
            c->bad_told = true;
            http_conn_tell_bad(&c->base, 0, c->base.why);
        }
    }
    if (!c->gone && c->room_told && !c->ending) {
        c->room_told = false;
        if (!c->base.server && c->base.events->on_room) {
            c->base.events->on_room(c->base.arg);
        }
    }
    c->in_event = false;
    if (c->gone) {
        return;
    }
    uint32_t most = c->base.limits->requests;
    if (most > 0 && c->base.served >= most) {
        drain_begin(c);
    }
    if (!c->ending && (c->lingering || is_finished(c))) {
        finish(c);
    }
    if (c->ending) {
        conn_gone(c, c->end_why, c->abort);
        return;
    }
    arm_timer(c);
    bool write = buf_len(&c->out) > 0 || (c->lingering && !c->shut);
    unsigned events = (unsigned)IO_READ | (write ? (unsigned)IO_WRITE : 0);
    if (events != c->base.io->watched) {
        io_watch(c->base.io, events);
    }
}

static void on_io(void *arg, unsigned events)
{
    struct h2_conn *c = arg;
    if (events & IO_READ) {
        h2_recv(c);
    }
    /* Frames leave at the end of the turn, together with those that others cause until then. */
    if ((events & IO_WRITE) || c->ending) {
        if (!c->gone) {
            settle(c);
        }
        return;
    }
    h2_conn_kick(c);
}

static void on_task(struct loop_task *task)
{
    struct h2_conn *c = container_of(task, struct h2_conn, task);
    if (buf_len(&c->first) > 0) {
        h2_recv_bytes(c, buf_span(&c->first));
        if (c->gone) {
            return;
        }
        buf_release(&c->first);
    }
    settle(c);
}

static void trim(struct h2_conn *c)
{
    free_all(&c->spare);
    c->spare_count = 0;
}

/* Nothing was heard for a while: asks; and ends it when there was no answer to that either. */
static void check_peer(struct h2_conn *c)
{
    int64_t ping_ms = c->base.limits->ping_ms;
    int64_t quiet_ms = loop_now_ms(c->base.loop) - c->heard_ms;
    if (quiet_ms < ping_ms) {
        c->timer = H2_TIMER_PING;
        deadline_arm(&c->deadline, c->base.loop, ping_ms - quiet_ms);
    } else if (!c->pinged) {
        c->pinged = true;
        (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL); /* no memory = exit */
        arm(c, H2_TIMER_PING);
        h2_conn_kick(c);
    } else {
        c->base.why = "the peer does not answer a PING";
        h2_conn_end(c, HTTP_RESET_TIMEOUT, true);
    }
}

/* What waits for the peer to read: it may go slowly, but it must go. */
static void check_write(struct h2_conn *c)
{
    int64_t left = c->wrote_ms + c->base.limits->write_ms - loop_now_ms(c->base.loop);
    if (buf_len(&c->out) == 0) {
        arm_timer(c);
    } else if (left > 0) {
        c->timer = H2_TIMER_WRITE;
        deadline_arm(&c->deadline, c->base.loop, left);
    } else {
        c->base.why = "the peer does not read";
        c->base.broke = LIMIT_write_ms;
        h2_conn_end(c, HTTP_RESET_TIMEOUT, true);
    }
}

static void on_due(struct deadline *d)
{
    struct h2_conn *c = container_of(d, struct h2_conn, deadline);
    enum h2_timer timer = c->timer;
    c->timer = H2_TIMER_NONE;
    switch (timer) {
    case H2_TIMER_NONE:
        break;
    case H2_TIMER_TRIM:
        if (c->stream_count == 0) {
            trim(c);
            arm(c, H2_TIMER_IDLE);
        }
        break;
    case H2_TIMER_IDLE:
        c->base.broke = LIMIT_idle_ms;
        drain_begin(c);
        drain_final(c);
        break;
    case H2_TIMER_HEAD:
        c->base.why = "the preface or a head took too long";
        c->base.broke = LIMIT_head_ms;
        http_conn_tell_bad(&c->base, 0, c->base.why);
        if (!c->gone) {
            c->end_why = HTTP_RESET_TIMEOUT;
            (void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
            h2_conn_kick(c);
        }
        break;
    case H2_TIMER_DRAIN:
        drain_final(c);
        break;
    case H2_TIMER_LINGER:
        h2_conn_end(c, c->end_why, false);
        break;
    case H2_TIMER_WRITE:
        check_write(c);
        break;
    case H2_TIMER_PING:
        check_peer(c);
        break;
    }
}

/* ---- ops ---- */

static unsigned op_room(const struct http_conn *base)
{
    const struct h2_conn *c = container_of(base, const struct h2_conn, base);
    if (base->server || c->draining || c->peer_going || c->gone || c->ending || c->lingering ||
        !nghttp2_session_check_request_allowed(c->session)) {
        return 0;
    }
    uint32_t theirs =
        nghttp2_session_get_remote_settings(c->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t most = theirs < base->limits->streams ? theirs : base->limits->streams;
    return most > c->stream_count ? most - c->stream_count : 0;
}

static unsigned op_streams(const struct http_conn *base)
{
    return container_of(base, const struct h2_conn, base)->stream_count;
}

static bool op_is_idle(const struct http_conn *base)
{
    const struct h2_conn *c = container_of(base, const struct h2_conn, base);
    return c->timer == H2_TIMER_IDLE && c->stream_count == 0;
}

static struct http_stream *op_request(struct http_conn *base)
{
    struct h2_stream *s = h2_conn_add_stream(h2_of(base));
    s->open = true;
    return &s->base;
}

static void op_drain(struct http_conn *base)
{
    drain_begin(h2_of(base));
}

static void op_close(struct http_conn *base)
{
    struct h2_conn *c = h2_of(base);
    if (!c->gone && !c->in_session && !c->ending && !c->lingering) {
        (void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
        h2_send_flush(c); /* as much as the socket takes */
    }
    conn_gone(c, HTTP_RESET_LOCAL, false);
}

static void op_consume(struct http_stream *base, size_t bytes)
{
    struct h2_conn *c = h2_of(base->conn);
    struct h2_stream *s = h2_stream_of(base);
    size_t n = size_min(bytes, s->held);
    s->held -= n;
    if (n > 0 && !s->closed && !c->gone) {
        (void)nghttp2_session_consume_stream(c->session, s->id, n); /* it is there */
        h2_conn_kick(c);
    }
}

static uint32_t code_of(const struct h2_conn *c, enum http_reset why)
{
    switch (why) {
    case HTTP_RESET_REFUSED:
        return NGHTTP2_REFUSED_STREAM;
    case HTTP_RESET_PROTO:
        return NGHTTP2_PROTOCOL_ERROR;
    case HTTP_RESET_NONE:
        return NGHTTP2_NO_ERROR;
    case HTTP_RESET_TIMEOUT: /* a gRPC client whose deadline it was takes this for it */
        return NGHTTP2_CANCEL;
    case HTTP_RESET_PEER:
    case HTTP_RESET_LIMIT:
    case HTTP_RESET_LOCAL:
        break;
    }
    return c->base.server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL;
}

static void op_reset(struct http_stream *base, enum http_reset why)
{
    struct h2_conn *c = h2_of(base->conn);
    struct h2_stream *s = h2_stream_of(base);
    if (s->closed || c->gone) {
        return;
    }
    s->bad = true;
    if (s->id == 0) {
        h2_conn_stream_closed(c, s, why);
        return;
    }
    if (s->held > 0) {
        (void)nghttp2_session_consume_stream(c->session, s->id, s->held);
        s->held = 0;
    }
    bool tunnel =
        s->opaque && why == HTTP_RESET_PEER; /* RFC 9113 section 8.5: its other end failed */
    uint32_t code = tunnel ? (uint32_t)NGHTTP2_CONNECT_ERROR : code_of(c, why);
    (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, code);
    h2_conn_kick(c);
}

static const struct http_conn_ops h2_ops = {
    .room = op_room,
    .streams = op_streams,
    .is_idle = op_is_idle,
    .request = op_request,
    .drain = op_drain,
    .close = op_close,
    .head = h2_send_head,
    .data = h2_send_data,
    .trailers = h2_send_trailers,
    .queued = h2_send_queued,
    .consume = op_consume,
    .reset = op_reset,
};

static void submit_settings(struct h2_conn *c)
{
    const struct http_limits *l = c->base.limits;
    nghttp2_settings_entry all[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->head_bytes},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, /* a client's; the last two are exclusive */
    };
    if (c->base.server) {
        all[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams};
    }
    int code = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, all, ARRAY_LEN(all));
    ASSERT(code == 0);
    code = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)l->conn_window);
    ASSERT(code == 0);
}

static void make_session(struct h2_conn *c)
{
    nghttp2_mem mem = {NULL, hook_malloc, hook_free, hook_calloc, hook_realloc};
    nghttp2_session_callbacks *set;
    nghttp2_option *option;
    int code = nghttp2_session_callbacks_new(&set) || nghttp2_option_new(&option);
    ASSERT(code == 0);
    h2_recv_callbacks(set);
    h2_send_callbacks(set);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_outbound_ack(option, c->base.limits->control_queue);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    /* It counts reads, not frames: its default breaks slow senders. */
    nghttp2_option_set_max_continuations(option, c->base.limits->continuations);
    nghttp2_option_set_max_send_header_block_length(option, SEND_HEAD_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX / 2,
                                               UINT64_MAX / 2); /* we count */
    if (c->base.server) {
        code = nghttp2_session_server_new3(&c->session, set, c, option, &mem);
    } else {
        code = nghttp2_session_client_new3(&c->session, set, c, option, &mem);
    }
    ASSERT(code == 0);
    nghttp2_session_callbacks_del(set);
    nghttp2_option_del(option);
}

struct http_conn *h2_conn_new_take(struct loop *loop, const struct http_conn_spec *spec)
{
    struct h2_conn *c = mem_new(struct h2_conn);
    http_conn_init(&c->base, loop, spec, &h2_ops);
    list_init(&c->streams);
    list_init(&c->closed);
    list_init(&c->spare);
    list_init(&c->queued);
    buf_init(&c->out, QUEUE_MAX);
    buf_init(&c->first, spec->first_bytes.len + 1);
    loop_task_init(&c->task, on_task);
    deadline_init(&c->deadline, on_due);
    c->resets_ms = c->noise_ms = loop_now_ms(loop);
    make_session(c);
    submit_settings(c);
    if (spec->first_bytes.len > 0 && buf_append_span(&c->first, spec->first_bytes) != 0) {
        ASSERT(false); /* it was made for them */
    }
    io_set_owner(spec->io, on_io, c);
    io_watch(spec->io, IO_READ);
    h2_conn_kick(c);
    return &c->base;
}

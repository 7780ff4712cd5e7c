/* One aggregated discovery stream to a control plane, kept open.
 * In: http/grpc. Out: on_update. Next: proxy/config/ingest.
 *
 *   IDLE --start--> WAIT --deadline--> CALLING --on_head--> OPEN
 *                    ^                    |                  |
 *                    '------ on_end ------'------------------'
 */
#include "xds/xds_client.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/deadline.h"
#include "xds/xds_protocol.h"

#define REQUEST_BYTES_MAX 67108864

enum state {
    IDLE,    /* for xds_client_start */
    WAIT,    /* for the deadline of the next attempt */
    CALLING, /* for the server's first sign of life; requests are sent already */
    OPEN,    /* for responses */
};

struct xds_client {
    struct loop *loop;
    struct http_client *http;       /* owned */
    struct http_client *http_fresh; /* owned; for the next stream, or NULL */
    const struct xds_protocol *protocol;
    struct xds_subs *subs; /* owned */
    struct xds_client_events ev;
    void *arg;
    enum state state;
    unsigned failures;          /* in a row, without a response between them */
    struct grpc_stream *stream; /* in CALLING and OPEN */
    struct loop_task say;       /* requests leave at the end of the turn */
    struct deadline retry;
    struct rng rng;
    struct buf out;
};

/* ---- ends of a stream ---- */

/* Exponential with jitter: between half and all of 0.5 s, 1 s, 2 s ... 30 s, so that a fleet does not
 * return as one. */
static void wait_and_retry(struct xds_client *c)
{
    int64_t longest = XDS_CLIENT_BACKOFF_MIN_MS;
    for (unsigned i = 0; i < c->failures && longest < XDS_CLIENT_BACKOFF_MAX_MS; i++) {
        longest *= 2;
    }
    longest = i64_min(longest, XDS_CLIENT_BACKOFF_MAX_MS);
    int64_t after = longest / 2 + (int64_t)rng_below(&c->rng, (uint64_t)(longest / 2 + 1));
    c->failures++;
    c->state = WAIT;
    deadline_arm(&c->retry, c->loop, after);
}

static void tell_state(struct xds_client *c, bool is_connected, const struct err *why)
{
    if (c->ev.on_state) {
        c->ev.on_state(c->arg, is_connected, why);
    }
}

/* The stream is gone, by its own or by us. */
static void lose(struct xds_client *c, const struct err *why)
{
    c->stream = NULL;
    loop_task_cancel(&c->say);
    wait_and_retry(c);
    log_warn("xds", "stream ended protocol=%s why=\"%s\"", c->protocol->name, why->text);
    tell_state(c, false, why);
}

static void hang_up(struct xds_client *c, const struct err *why)
{
    grpc_cancel(c->stream);
    lose(c, why);
}

/* ---- requests ---- */

static void say(struct loop_task *task)
{
    struct xds_client *c = container_of(task, struct xds_client, say);
    struct err why;
    int rc = 0;
    while (c->stream) {
        buf_reset(&c->out);
        rc = c->protocol->next(c->subs, &c->out);
        if (rc <= 0) {
            break;
        }
        rc = grpc_send(c->stream, buf_span(&c->out));
        if (rc < 0) {
            break; /* on_end follows */
        }
    }
    buf_release(&c->out); /* requests are rare, and the first may be large */
    if (rc == -ERR_LIMIT && c->stream) {
        (void)err_set(&why, rc, "a request is larger than %d bytes", REQUEST_BYTES_MAX);
        hang_up(c, &why);
    }
}

static void say_soon(struct xds_client *c)
{
    if (c->stream) {
        loop_task_add(c->loop, &c->say);
    }
}

/* ---- events ---- */

static void on_head(void *arg, const struct head *head)
{
    struct xds_client *c = arg;
    (void)head; /* grpc has looked at it */
    c->state = OPEN;
    log_info("xds", "stream open protocol=%s", c->protocol->name);
    tell_state(c, true, NULL);
}

static void on_message(void *arg, struct span message)
{
    struct xds_client *c = arg;
    struct err why;
    err_clear(&why);
    int rc = c->protocol->receive(c->subs, message, &why);
    if (rc == 0) {
        c->failures = 0;
    } else if (rc == -ERR_CONFIG) {
        log_warn("xds", "nack why=\"%s\"", why.text);
    } else {
        hang_up(c, &why);
        return;
    }
    say_soon(c);
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    struct xds_client *c = arg;
    struct err why;
    struct span text = span_first(message, 200);
    (void)err_set(&why, -ERR_UNAVAILABLE, "%s%s%.*s", grpc_status_name(status),
                  text.len ? ": " : "", SPAN_ARG(text));
    lose(c, &why);
}

static const struct grpc_events stream_events = {
    .on_message = on_message,
    .on_end = on_end,
    .on_head = on_head,
};

static void call(struct xds_client *c)
{
    if (c->http_fresh) {
        http_client_free(c->http);
        c->http = c->http_fresh;
        c->http_fresh = NULL;
    }
    struct header fields[XDS_CLIENT_METADATA_MAX];
    struct arena arena;
    arena_init(&arena, 4096);
    size_t count = c->ev.on_metadata ? c->ev.on_metadata(c->arg, &arena, fields) : 0;
    ASSERT(count <= XDS_CLIENT_METADATA_MAX);
    c->state = CALLING;
    c->stream = grpc_call(c->http, c->protocol->path, fields, count, 0, &stream_events, c);
    arena_dispose(&arena);
    c->protocol->start(c->subs);
    say_soon(c);
}

static void on_retry(struct deadline *d)
{
    call(container_of(d, struct xds_client, retry));
}

/* ---- what people call ---- */

int xds_client_new(struct xds_client **out, struct loop *loop, const struct xds_client_spec *spec,
                   const struct xds_client_events *ev, void *arg, struct err *err)
{
    struct xds_client *c = mem_new(struct xds_client);
    c->loop = loop;
    int rc = xds_client_set_http(c, &spec->http, false, err);
    if (rc < 0) {
        mem_free(c);
        return rc;
    }
    c->protocol = spec->sotw ? &sotw_protocol : &delta_protocol;
    c->subs = xds_protocol_subs_new(spec->node, ev->on_update, arg);
    c->ev = *ev;
    c->arg = arg;
    loop_task_init(&c->say, say);
    deadline_init(&c->retry, on_retry);
    rng_init(&c->rng);
    buf_init(&c->out, REQUEST_BYTES_MAX);
    *out = c;
    return 0;
}

void xds_client_start(struct xds_client *c)
{
    ASSERT(c->state == IDLE);
    call(c);
}

void xds_client_subscribe(struct xds_client *c, struct span type_url, struct span name)
{
    if (xds_protocol_subscribe(c->subs, type_url, name) < 0) {
        log_warn("xds", "subscription over a limit type=%.*s name=%.*s", SPAN_ARG(type_url),
                 SPAN_ARG(span_first(name, 200)));
        return;
    }
    say_soon(c);
}

void xds_client_unsubscribe(struct xds_client *c, struct span type_url, struct span name)
{
    xds_protocol_unsubscribe(c->subs, type_url, name);
    say_soon(c);
}

void xds_client_hold(struct xds_client *c, const struct xds_update *u)
{
    if (c->protocol == &delta_protocol) {
        xds_protocol_hold(c->subs, u);
    }
}

void xds_client_restart(struct xds_client *c)
{
    if (c->stream) {
        grpc_cancel(c->stream);
        call(c);
    }
}

bool xds_client_is_connected(const struct xds_client *c)
{
    return c->state == OPEN;
}

struct http_client *xds_client_http(struct xds_client *c)
{
    return c->state == OPEN ? c->http : NULL;
}

int xds_client_set_http(struct xds_client *c, const struct http_client_spec *http, bool now,
                        struct err *err)
{
    struct http_client_spec spec = *http;
    spec.http2 = true;
    struct http_client *fresh;
    int rc = http_client_new(&fresh, c->loop, &spec, err);
    if (rc < 0) {
        return rc;
    }
    http_client_free(c->http_fresh);
    c->http_fresh = fresh;
    if (now && c->stream) {
        grpc_cancel(c->stream);
        call(c);
    }
    return 0;
}

void xds_client_free(struct xds_client *c)
{
    if (!c) {
        return;
    }
    if (c->stream) {
        grpc_cancel(c->stream);
    }
    loop_task_cancel(&c->say);
    deadline_disarm(&c->retry);
    http_client_free(c->http);
    http_client_free(c->http_fresh);
    xds_protocol_subs_free(c->subs);
    buf_dispose(&c->out);
    mem_free(c);
}

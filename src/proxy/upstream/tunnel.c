/* CONNECT through a cluster: see tunnel.h.
 * In: where to, and through whom. Out: an open stream. Next: upstream/connect, downstream/session_tcp. */
#include "proxy/upstream/tunnel.h"

#include "base/mem.h"
#include "http/io_tunnel.h"
#include "io/deadline.h"
#include "proxy/upstream/attempt.h"
#include "tls/io_tls.h"

struct tunnel {
    struct loop *loop;
    struct attempt attempt;
    struct endpoint *endpoint; /* a reference is held */
    const struct connect_events *ev;
    void *arg;
    struct addr to;
    struct span authority, identity; /* in `texts` */
    struct deadline limit;           /* until it stands; at once when it can not */
    enum outcome why;                /* OUTCOME_OK until it has failed */
    struct span failure;             /* in `texts` */
    bool retried;
    struct arena texts;
};

static void tunnel_free(void *obj)
{
    struct tunnel *t = obj;
    arena_dispose(&t->texts);
    mem_free(t);
}

static void let_go(struct tunnel *t)
{
    deadline_disarm(&t->limit);
    if (t->endpoint != NULL) {
        endpoint_put(t->endpoint);
    }
    loop_bury(t->loop, tunnel_free, t);
}

static void fail(struct tunnel *t, enum outcome why, struct span failure)
{
    attempt_cancel(&t->attempt, HTTP_RESET_LOCAL);
    t->ev->on_fail(t->arg, why, failure);
    let_go(t);
}

/* Told in the next turn: the caller has to have the tunnel first. */
static void fail_soon(struct tunnel *t, enum outcome why, struct span failure)
{
    t->why = why;
    t->failure = arena_dup(&t->texts, failure);
    attempt_cancel(&t->attempt, HTTP_RESET_LOCAL);
    deadline_disarm(&t->limit);
    deadline_arm(&t->limit, t->loop, 0);
}

static void on_limit(struct deadline *d)
{
    struct tunnel *t = container_of(d, struct tunnel, limit);
    if (t->why == OUTCOME_OK) {
        fail(t, OUTCOME_CONNECT_TIMEOUT, SPAN("the tunnel was not answered in time"));
    } else {
        fail(t, t->why, t->failure);
    }
}

/* ---- the attempt ---- */

static void send_connect(struct tunnel *t)
{
    struct http_stream *s = t->attempt.stream;
    struct head h;
    head_init(&h, http_stream_arena(s));
    h.method = SPAN("CONNECT");
    h.method_id = METHOD_CONNECT;
    h.authority = t->authority;
    if (http_conn_proto(http_stream_conn(s)) == HTTP_PROTO_1) {
        h.path = t->authority; /* authority-form, RFC 9112 section 3.2.3 */
    }
    int code = http_stream_head(s, &h, false);
    UNUSED(code); /* a stream that takes no more tells by on_fail */
}

static void on_open(void *arg)
{
    struct tunnel *t = arg;
    struct io *io = http_conn_io(http_stream_conn(t->attempt.stream));
    if (t->identity.len > 0) {
        struct span is = io_is_tls(io) ? io_tls_peer(io)->spiffe_id : SPAN_EMPTY;
        if (!span_eq(is, t->identity)) {
            metric_add(t->endpoint->cluster->stats.ssl_fail_verify_san, 1);
            fail_soon(t, OUTCOME_WRONG_IDENTITY,
                      span_of(arena_printf(&t->texts, "peer is '%.*s', allowed is '%.*s'",
                                           SPAN_ARG(is), SPAN_ARG(t->identity))));
            return;
        }
    }
    send_connect(t);
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct tunnel *t = arg;
    if (head->status < 200) {
        return;
    }
    if (head->status >= 300 || end) {
        fail(t, OUTCOME_CONNECT_FAILURE,
             span_of(arena_printf(&t->texts, "the tunnel was answered %u", head->status)));
        return;
    }
    struct http_stream *s = t->attempt.stream;
    struct addr local = t->attempt.local;
    attempt_let_go(&t->attempt);
    t->ev->on_done(t->arg, io_tunnel_take(s, &t->to, &local));
    let_go(t);
}

static void on_data(void *arg, struct span data, bool end)
{
    UNUSED(arg); /* before an answer nothing comes */
    UNUSED(data);
    UNUSED(end);
}

static void on_trailers(void *arg, struct head *trailers)
{
    UNUSED(arg);
    UNUSED(trailers);
}

static void on_drained(void *arg)
{
    UNUSED(arg);
}

static void on_end(void *arg)
{
    fail_soon(arg, OUTCOME_CONNECT_FAILURE, SPAN("the tunnel ended at once"));
}

static void begin(struct tunnel *t, bool fresh);

static enum outcome of_connection(enum outcome why)
{
    switch (
        why) { /* NOLINT(clang-diagnostic-switch-enum): those that say more than that it failed */
    case OUTCOME_CONNECT_TIMEOUT:
    case OUTCOME_WRONG_IDENTITY:
    case OUTCOME_TLS_FAILURE:
    case OUTCOME_OVERFLOW:
        return why;
    default:
        return OUTCOME_CONNECT_FAILURE;
    }
}

static void on_fail(void *arg, enum outcome why, struct span failure, bool replayable)
{
    struct tunnel *t = arg;
    if (replayable && t->attempt.reused && !t->retried) { /* a pooled connection that was going */
        t->retried = true;
        begin(t, true);
        return;
    }
    fail_soon(t, of_connection(why), failure);
}

static const struct attempt_events attempt_events = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_fail = on_fail,
};

static void begin(struct tunnel *t, bool fresh)
{
    struct cluster *via = t->endpoint->cluster;
    enum outcome why = attempt_start(&t->attempt, t->endpoint,
                                     via->http2 ? HTTP_PROTO_2 : HTTP_PROTO_1, fresh, false);
    if (why != OUTCOME_OK) {
        fail_soon(t, why, SPAN("no room for the tunnel"));
    }
}

struct tunnel *tunnel_start(const struct tunnel_spec *spec)
{
    struct tunnel *t = mem_new(struct tunnel);
    struct cluster_want want = {.original_dst = spec->to};
    t->loop = spec->via->up->loop;
    t->ev = spec->ev;
    t->arg = spec->arg;
    arena_init(&t->texts, 512);
    t->authority = arena_dup(&t->texts, spec->authority);
    t->identity = arena_dup(&t->texts, spec->identity);
    attempt_init(&t->attempt, &attempt_events, t);
    deadline_init(&t->limit, on_limit);
    deadline_arm(&t->limit, t->loop, spec->timeout_ms);
    t->endpoint = cluster_pick(spec->via, &want);
    if (t->endpoint == NULL) {
        fail_soon(t, OUTCOME_CONNECT_FAILURE, SPAN("no endpoint for the tunnel"));
        return t;
    }
    endpoint_get(t->endpoint);
    t->to = spec->to != NULL ? *spec->to : t->endpoint->addr;
    begin(t, false);
    return t;
}

void tunnel_cancel(struct tunnel *t)
{
    attempt_cancel(&t->attempt, HTTP_RESET_LOCAL);
    let_go(t);
}

struct span tunnel_local_uri(const struct tunnel *t)
{
    return t->endpoint != NULL && t->endpoint->tls != NULL ? t->endpoint->tls->local_uri
                                                           : SPAN_EMPTY;
}

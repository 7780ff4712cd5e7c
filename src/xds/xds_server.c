/* The aggregated discovery service.
 * In: requests from http/grpc. Out: on_ask; answers back. Next: control/push. */
#include "xds/xds_server.h"

#include "base/log.h"
#include "base/mem.h"

#define ANSWER_BYTES_MAX GRPC_MESSAGE_MAX

struct xds_server {
    struct loop *loop;
    struct xds_server_events ev;
    void *arg;
    struct list streams;
    size_t count;
    struct buf out; /* one answer at a time, of any stream */
};

struct xds_stream {
    struct list node;
    struct xds_server *server;
    const struct xds_protocol *protocol;
    struct xds_session *session; /* owned */
    struct grpc_stream *grpc;
    void *own;
    bool is_open;   /* the owner knows of it */
    bool is_closed; /* and only waits to be freed */
};

static void stream_free(void *obj)
{
    struct xds_stream *s = obj;
    xds_protocol_session_free(s->session);
    mem_free(s);
}

/* Its call is over; it is freed at the end of the turn, for it may be in use above us. */
static void retire(struct xds_stream *s)
{
    struct xds_server *x = s->server;
    s->is_closed = true;
    s->grpc = NULL;
    list_remove(&s->node);
    x->count--;
    if (s->is_open && x->ev.on_close) {
        x->ev.on_close(x->arg, s);
    }
    s->is_open = false;
    loop_bury(x->loop, stream_free, s);
}

void xds_server_close(struct xds_stream *s, enum grpc_status status, struct span message)
{
    if (!s->is_closed) {
        grpc_finish(s->grpc, status, message);
        retire(s);
    }
}

static void refuse(struct xds_stream *s, enum grpc_status status, const struct err *why)
{
    log_debug("xds", "stream refused why=\"%s\"", why->text);
    xds_server_close(s, status, span_of(why->text));
}

static void on_message(void *arg, struct span message)
{
    struct xds_stream *s = arg;
    struct xds_server *x = s->server;
    struct xds_ask ask;
    struct err why;
    err_clear(&why);
    int rc = s->protocol->hear(s->session, message, &ask, &why);
    if (rc < 0) {
        refuse(s, rc == -ERR_LIMIT ? GRPC_RESOURCE_EXHAUSTED : GRPC_INVALID_ARGUMENT, &why);
        return;
    }
    if (!s->is_open) {
        rc = x->ev.on_open ? x->ev.on_open(x->arg, s, ask.node, &why) : 0;
        if (rc < 0) {
            refuse(s, GRPC_PERMISSION_DENIED, &why);
            return;
        }
        s->is_open = true;
    }
    if (!s->is_closed) {
        x->ev.on_ask(x->arg, s, &ask);
    }
}

static void on_half_close(void *arg)
{
    xds_server_close(arg, GRPC_OK, SPAN_EMPTY);
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    UNUSED(status);
    UNUSED(message);
    retire(arg);
}

static void on_drained(void *arg)
{
    struct xds_stream *s = arg;
    if (s->is_open && s->server->ev.on_drained) {
        s->server->ev.on_drained(s->server->arg, s);
    }
}

static const struct grpc_events stream_events = {
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_end = on_end,
    .on_drained = on_drained,
};

static void accept_call(struct xds_server *x, const struct xds_protocol *protocol,
                        struct grpc_stream *g, const struct grpc_events **ev, void **arg)
{
    struct xds_stream *s = mem_new(struct xds_stream);
    s->server = x;
    s->protocol = protocol;
    s->session = xds_protocol_session_new();
    s->grpc = g;
    list_push_back(&x->streams, &s->node);
    x->count++;
    *ev = &stream_events;
    *arg = s;
}

static void on_delta_call(void *service, struct grpc_stream *g, const struct grpc_events **ev,
                          void **arg)
{
    accept_call(service, &delta_protocol, g, ev, arg);
}

static void on_sotw_call(void *service, struct grpc_stream *g, const struct grpc_events **ev,
                         void **arg)
{
    accept_call(service, &sotw_protocol, g, ev, arg);
}

struct xds_server *xds_server_new(struct loop *loop, const struct xds_server_events *ev, void *arg)
{
    struct xds_server *x = mem_new(struct xds_server);
    x->loop = loop;
    x->ev = *ev;
    x->arg = arg;
    list_init(&x->streams);
    buf_init(&x->out, ANSWER_BYTES_MAX);
    return x;
}

void xds_server_attach(struct xds_server *x, struct http_server *s)
{
    grpc_serve(s, delta_protocol.path, on_delta_call, x);
    grpc_serve(s, sotw_protocol.path, on_sotw_call, x);
}

void xds_server_free(struct xds_server *x)
{
    if (!x) {
        return;
    }
    LIST_EACH(node, next, &x->streams) {
        struct xds_stream *s = list_item(node, struct xds_stream, node);
        s->is_open = false; /* no on_close */
        xds_server_close(s, GRPC_UNAVAILABLE, SPAN("the server is going away"));
    }
    buf_dispose(&x->out);
    mem_free(x);
}

size_t xds_server_count(const struct xds_server *x)
{
    return x->count;
}

int xds_server_send(struct xds_stream *s, const struct xds_answer *answer)
{
    if (s->is_closed) {
        return -EPIPE;
    }
    struct xds_server *x = s->server;
    buf_reset(&x->out);
    int rc = s->protocol->answer(s->session, answer, &x->out);
    if (rc > 0) {
        int sent = grpc_send(s->grpc, buf_span(&x->out));
        rc = sent < 0 ? sent : rc;
    }
    buf_release(&x->out);
    if (rc < 0) {
        struct err why;
        (void)err_set(&why, rc, "an answer can not be sent: %s", err_name(rc));
        refuse(s, GRPC_RESOURCE_EXHAUSTED, &why);
    }
    return rc;
}

bool xds_server_is_busy(struct xds_stream *s, struct span type_url)
{
    return s->is_closed || xds_protocol_is_waiting(s->session, type_url) ||
           grpc_queued(s->grpc) > XDS_SERVER_QUEUE_BYTES;
}

bool xds_server_asks(struct xds_stream *s, struct span type_url, struct span name)
{
    return xds_protocol_asks(s->session, type_url, name);
}

void xds_server_each(struct xds_stream *s, struct span type_url,
                     void (*on_name)(void *arg, struct span name), void *arg)
{
    xds_protocol_each(s->session, type_url, on_name, arg);
}

void xds_server_set(struct xds_stream *s, void *own)
{
    s->own = own;
}

void *xds_server_get(const struct xds_stream *s)
{
    return s->own;
}

struct grpc_stream *xds_server_grpc(struct xds_stream *s)
{
    return s->grpc;
}

const char *xds_server_protocol(const struct xds_stream *s)
{
    return s->protocol->name;
}

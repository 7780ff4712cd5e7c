/* Reports of proxies. In: http/grpc, on a stream worker. Out: on_metrics, on_log. Next: push_worker, which mails them. */
#include "control/push/telemetry.h"

#include "base/mem.h"
#include "tls/io_tls.h"

#define METRICS_PATH "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#define LOGS_PATH "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

/* Lives as long as the server (http_server_keep). */
struct telemetry {
    const struct telemetry_events *ev;
    void *arg;
};

/* One call; in the stream's arena. */
struct call {
    const struct telemetry *of;
    struct grpc_stream *grpc;
    bool is_log; /* a stream of messages, answered at its end; else one, answered at once */
    bool has_message;
};

static struct io *io_of(struct grpc_stream *g)
{
    return http_conn_io(http_stream_conn(grpc_http(g)));
}

static void on_message(void *arg, struct span message)
{
    struct call *c = arg;
    struct io *io = io_of(c->grpc);
    struct span identity = io_is_tls(io) ? io_tls_peer(io)->spiffe_id : SPAN_EMPTY;
    if (io_is_tls(io) && identity.len == 0) {
        grpc_finish(c->grpc, GRPC_UNAUTHENTICATED,
                    SPAN("MESH4001 a client certificate is needed on this port"));
    } else if (message.len > TELEMETRY_MESSAGE_MAX) {
        grpc_finish(c->grpc, GRPC_RESOURCE_EXHAUSTED, SPAN("the report is too large"));
    } else if (c->is_log) {
        c->of->ev->on_log(c->of->arg, message, identity);
    } else if (!c->has_message) {
        c->has_message = true;
        c->of->ev->on_metrics(c->of->arg, message, identity);
    }
}

/* The responses of both methods are empty messages. */
static void on_half_close(void *arg)
{
    struct call *c = arg;
    if (grpc_send(c->grpc, SPAN_EMPTY) >= 0) {
        grpc_finish(c->grpc, GRPC_OK, SPAN_EMPTY);
    }
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    UNUSED(arg);
    UNUSED(status);
    UNUSED(message);
}

static const struct grpc_events events = {
    .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};

static void begin(const struct telemetry *t, struct grpc_stream *g, bool is_log,
                  const struct grpc_events **ev, void **arg)
{
    struct call *c = arena_new(http_stream_arena(grpc_http(g)), struct call);
    *c = (struct call){.of = t, .grpc = g, .is_log = is_log};
    *ev = &events;
    *arg = c;
}

static void on_export(void *service, struct grpc_stream *g, const struct grpc_events **ev,
                      void **arg)
{
    begin(service, g, false, ev, arg);
}

static void on_stream_logs(void *service, struct grpc_stream *g, const struct grpc_events **ev,
                           void **arg)
{
    begin(service, g, true, ev, arg);
}

void telemetry_attach(struct http_server *s, const struct telemetry_events *ev, void *arg)
{
    struct telemetry *t = http_server_keep(s, sizeof *t);
    *t = (struct telemetry){.ev = ev, .arg = arg};
    grpc_serve(s, METRICS_PATH, on_export, t);
    grpc_serve(s, LOGS_PATH, on_stream_logs, t);
}

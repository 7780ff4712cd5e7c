#ifndef CONTROL_PUSH_TELEMETRY_H
#define CONTROL_PUSH_TELEMETRY_H
/* What proxies report on the connection they hold: metrics by OTLP (MetricsService/Export, opentelemetry-proto 1.x) and, while somebody
 * watches, finished requests by Envoy's access log service (AccessLogService/StreamAccessLogs). Messages are handed on as bytes. */
#include "base/compiler.h"
#include "http/grpc.h"
#include "http/http_server.h"

/* One report; larger ones end the call (RESOURCE_EXHAUSTED). */
#define TELEMETRY_MESSAGE_MAX (4u << 20)

struct telemetry_events {
    /* `identity`: the SPIFFE ID that the sender proved; empty on a plain connection. Borrowed for the call. */
    void (*on_metrics)(void *arg, struct span message, struct span identity);
    void (*on_log)(void *arg, struct span message, struct span identity);
};

/* `ev` and `arg` outlive the server. A TLS peer without identity is refused (UNAUTHENTICATED). */
void telemetry_attach(struct http_server *s, const struct telemetry_events *ev, void *arg);
#endif

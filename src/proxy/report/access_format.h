#ifndef PROXY_REPORT_ACCESS_FORMAT_H
#define PROXY_REPORT_ACCESS_FORMAT_H
/* Lines of an access log by Envoy's operators: %REQ(X?Y):Z%, %RESP()%, %START_TIME(...)%, %DURATION% and so on, as
 * text or JSON. A format is compiled once; writing a line walks its parts. What has no value is "-" (text) or
 * null (JSON). Source: Envoy "Access Logging"; Istio's default format. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "http/head.h"
#include "io/addr.h"
#include "policy/traffic.h"
#include "proxy/config/snapshot.h"
#include "proxy/report/outcome.h"

/* Everything an operator may ask for, about a finished request or connection. Spans are borrowed. */
struct access_entry {
    int64_t start_us;    /* wall time */
    int64_t duration_us; /* whole exchange */
    int64_t request_us,
        response_us;     /* until the request was whole; until the response began; -1 = never */
    int64_t upstream_us; /* time to the upstream's first byte: x-envoy-upstream-service-time; -1 */
    const struct traffic *traffic; /* as it arrived */
    const struct head *request;    /* NULL for opaque connections */
    const struct head *response;   /* NULL when there was none */
    const struct head *trailers;   /* NULL when there were none */
    struct span protocol;          /* "HTTP/1.1", "HTTP/2", empty */
    unsigned status;
    enum outcome outcome;
    uint32_t flags;
    struct span details; /* replaces the outcome's text when not empty */
    struct span failure; /* UPSTREAM_TRANSPORT_FAILURE_REASON */
    struct span cluster, route_name, original_path;
    uint64_t bytes_received, bytes_sent;
    struct addr downstream_remote, downstream_local, upstream_remote, upstream_local;
    struct span requested_server; /* SNI */
    struct span peer_principal, local_principal;
    uint32_t attempts;
};

struct access_format;
/* Memory from `arena`. -ERR_CONFIG naming the operator: a word that Envoy does not have is an error; one that it
 * has and that has no meaning here prints "-". */
MUST_USE int access_format_compile(struct access_format **out, struct arena *arena,
                                   const struct conf_access_log *conf, struct err *err);
/* Appends one line with its newline; what goes past the buffer's ceiling is cut off. */
void access_format_write(const struct access_format *f, const struct access_entry *e,
                         struct buf *out);
#endif

#ifndef POD_APP_PROBE_H
#define POD_APP_PROBE_H
/* The application's own probes, which the injector rewrote so that kubelet asks us: /app-health/CONTAINER/{livez,readyz,startupz}. Each is carried out
 * on the application as kubelet would have done it, and its outcome is the answer: httpGet (redirects on the same host are followed, others are a
 * success, certificates are not looked at), tcpSocket, grpc.
 * Sources: kubernetes pkg/probe/{http,tcp,grpc}; istio pilot/cmd/pilot-agent/status/server.go (ISTIO_KUBE_APP_PROBERS).
 *
 *   READY --request--> ASKING --refused--> ASKING (the next address) ... --answer--> answered
 *                         '----redirect----> ASKING
 * In: pod_ports. Out: http_client, dial, grpc. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_server.h"
#include "proxy/pod/app_reach.h"

#define APP_PROBE_RUNS_MAX 64 /* at a time */
#define APP_PROBE_REDIRECTS_MAX 10
#define APP_PROBE_BODY_MAX 10240 /* of the answer that is passed on */

struct app_probes;

/* `json`: {"/app-health/web/readyz": {"httpGet": {"path": "/", "port": 8080}, "timeoutSeconds": 1}, ...}; NULL or empty: none. -ERR_CONFIG: what is
 * wrong with which. `reach` is borrowed. */
MUST_USE int app_probes_new(struct app_probes **out, struct loop *loop, const char *json,
                            const struct app_reach *reach, struct err *err);
/* An http_handler for the paths, with the probes as `arg`: 404 for one that is not known. */
void app_probes_answer(void *arg, const struct http_request *rq);
/* After the server. NULL is fine. */
void app_probes_free(struct app_probes *p);
#endif

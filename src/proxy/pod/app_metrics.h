#ifndef POD_APP_METRICS_H
#define POD_APP_METRICS_H
/* One scrape for both: the proxy's own numbers, and those that the application offers on a port of its own (the pod's prometheus.io annotations, which the
 * injector points at us). The application is asked for the form that the scraper takes, at most APP_METRICS_MS or four fifths of the time that the scraper
 * says it has (X-Prometheus-Scrape-Timeout-Seconds). Whatever it does wrong leaves the proxy's numbers as they are, and is counted under Istio's names.
 * Source: istio pilot/cmd/pilot-agent/status/server.go (handleStats, scrape).
 * In: pod_ports. Out: http_client, metrics_merge. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "http/http_server.h"
#include "proxy/pod/app_reach.h"

#define APP_METRICS_MS 1000
#define APP_METRICS_MS_MAX 30000
#define APP_METRICS_BYTES_MAX (16u << 20)
#define APP_METRICS_RUNS_MAX 8 /* at a time; beyond: the proxy's numbers alone */

struct app_metrics;

/* `json`: {"port": "9080", "path": "/metrics"}; NULL or empty: there are none. `own_port` may not be scraped: that would be us. -ERR_CONFIG. `reach` and
 * `registry` are borrowed. */
MUST_USE int app_metrics_new(struct app_metrics **out, struct loop *loop,
                             struct metric_registry *registry, const char *json, uint16_t own_port,
                             const struct app_reach *reach, struct err *err);
/* An http_handler: both, with the metrics as `arg`. */
void app_metrics_answer(void *arg, const struct http_request *rq);
/* The same for the proxy's numbers alone; `arg` is the registry. */
void app_metrics_answer_own(void *arg, const struct http_request *rq);
/* After the server. NULL is fine. */
void app_metrics_free(struct app_metrics *m);
#endif

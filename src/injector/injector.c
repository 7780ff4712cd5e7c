/* The webhook on a host. In: control, or injector_role. Next: review. */
#include "injector/injector.h"

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http/host.h"
#include "injector/review.h"

#define ANSWER_MAX (16u << 20)

/* Istio's names (pkg/kube/inject/monitoring.go). */
static const char *const no_labels[] = {NULL};
static const double time_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1};
static const struct metric_family_spec families[] = {
    {.name = "sidecar_injection_requests_total",
     .help = "Pods that the API server asked about.",
     .kind = METRIC_COUNTER,
     .labels = no_labels},
    {.name = "sidecar_injection_success_total",
     .help = "Pods that got a proxy.",
     .kind = METRIC_COUNTER,
     .labels = no_labels},
    {.name = "sidecar_injection_skip_total",
     .help = "Pods that need none.",
     .kind = METRIC_COUNTER,
     .labels = no_labels},
    {.name = "sidecar_injection_failure_total",
     .help = "Pods that were refused, and questions that were none.",
     .kind = METRIC_COUNTER,
     .labels = no_labels},
    {.name = "sidecar_injection_time_seconds",
     .help = "Seconds that an answer took.",
     .kind = METRIC_HISTOGRAM,
     .labels = no_labels,
     .buckets = time_bounds,
     .bucket_count = ARRAY_LEN(time_bounds)},
};
enum { REQUESTS, SUCCESSES, SKIPS, FAILURES, TIME };

struct injector {
    struct injector_spec spec;
    struct metric_series *series[ARRAY_LEN(families)]; /* NULL: not counted */
    struct log_limit refusals;
};

static void count(struct injector *i, const struct review_answer *a, int64_t took_ns)
{
    static const int counters[] = {[REVIEW_BAD] = FAILURES,
                                   [REVIEW_SKIPPED] = SKIPS,
                                   [REVIEW_INJECTED] = SUCCESSES,
                                   [REVIEW_REFUSED] = FAILURES};
    if (i->spec.metrics && !a->dry_run) {
        metric_add(i->series[REQUESTS], 1);
        metric_add(i->series[counters[a->outcome]], 1);
        metric_observe(i->series[TIME], (double)took_ns / 1e9);
    }
}

static void tell(struct injector *i, const struct review_answer *a)
{
    uint32_t dropped;
    if (a->outcome != REVIEW_BAD && a->outcome != REVIEW_REFUSED) {
        log_debug("injector", "pod namespace=%.*s name=%.*s injected=%d why=\"%s\"",
                  SPAN_ARG(a->namespace), SPAN_ARG(a->name), a->outcome == REVIEW_INJECTED, a->why);
    } else if (log_limit_allows(&i->refusals, instant_mono_ms(), &dropped)) {
        log_warn("injector", "refused namespace=%.*s name=%.*s code=MESH%04u why=\"%s\" more=%u",
                 SPAN_ARG(a->namespace), SPAN_ARG(a->name), a->code, a->why, dropped);
    }
}

static void answer(struct injector *i, const struct http_request *rq, bool namespace_wants)
{
    const struct review_spec spec = {
        .settings = i->spec.settings,
        .namespace_labels = i->spec.namespace_labels,
        .arg = i->spec.arg,
        .namespace_wants = namespace_wants,
    };
    struct review_answer a;
    struct arena arena;
    struct buf body;
    int64_t begin_ns = instant_mono_ns();
    arena_init(&arena, 65536);
    buf_init(&body, ANSWER_MAX);
    int code = review_answer(&spec, rq->body, &arena, &body, &a);
    count(i, &a, instant_mono_ns() - begin_ns);
    tell(i, &a);
    /* The stream tells by itself when the client is gone. */
    if (code != 0) {
        (void)http_stream_reply(rq->stream, 500, SPAN("text/plain"), SPAN("answer too large\n"));
    } else {
        (void)http_stream_reply(rq->stream, a.status,
                                a.status == 200 ? SPAN("application/json") : SPAN("text/plain"),
                                buf_span(&body));
    }
    buf_dispose(&body);
    arena_dispose(&arena);
}

static void on_review(void *arg, const struct http_request *rq)
{
    answer(arg, rq, false);
}

static void on_namespace_review(void *arg, const struct http_request *rq)
{
    answer(arg, rq, true);
}

int injector_attach(struct injector **out, const struct injector_spec *spec, struct host *host,
                    struct err *err)
{
    struct http_server *server = host_server(host, INJECTOR_SERVER);
    if (server == NULL) {
        return err_set(err, -ERR_CONFIG, "the injector has no server '%s' to answer on",
                       INJECTOR_SERVER);
    }
    struct injector *i = mem_new(struct injector);
    i->spec = *spec;
    if (spec->metrics) {
        struct metric_family *all[ARRAY_LEN(families)];
        for (size_t k = 0; k < ARRAY_LEN(families); k++) {
            all[k] = metric_family_add(spec->metrics, &families[k]);
        }
        struct metric_shard *shard = metric_shard_new(spec->metrics);
        for (size_t k = 0; k < ARRAY_LEN(families); k++) {
            i->series[k] = metric_series_get(shard, all[k], NULL);
        }
    }
    http_server_body_max(server, INJECTOR_BODY_MAX);
    http_server_route(server, "POST", INJECTOR_PATH, false, on_review, i);
    http_server_route(server, "POST", INJECTOR_PATH_NAMESPACE, false, on_namespace_review, i);
    *out = i;
    return 0;
}

void injector_set_settings(struct injector *i, const struct inject_settings *settings)
{
    i->spec.settings = settings;
}

void injector_free(struct injector *i)
{
    mem_free(i);
}

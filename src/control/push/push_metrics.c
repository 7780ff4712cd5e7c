/* What is counted of pushes. In: push, from the news of workers. Out: base/metric; read by control's monitoring. */
#include "control/push/push_metrics.h"

static const char *const types[PROXIES_TYPE_COUNT] = {"cds",  "eds", "lds", "rds",
                                                      "vhds", "nds", "sds"};
static const char *const by_type[] = {"type", NULL};
static const char *const no_labels[] = {NULL};

/* Seconds. Istio begins with 0.1. */
static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                0.5,   1,      3,     5,    10,    20,   30};

static const struct metric_family_spec pushes = {
    .name = "pilot_xds_pushes",
    .help = "Answers with resources that were sent to proxies.",
    .kind = METRIC_COUNTER,
    .labels = by_type};
static const struct metric_family_spec rejects = {.name = "pilot_total_xds_rejects",
                                                  .help = "Answers that proxies refused (NACK).",
                                                  .kind = METRIC_COUNTER,
                                                  .labels = by_type};
static const struct metric_family_spec triggers = {
    .name = "pilot_push_triggers",
    .help = "Worlds given to be pushed, by what had changed.",
    .kind = METRIC_COUNTER,
    .labels = by_type};
static const struct metric_family_spec convergence = {
    .name = "pilot_proxy_convergence_time",
    .help = "Seconds from a change's world to a proxy's ACK, one an answer.",
    .kind = METRIC_HISTOGRAM,
    .labels = no_labels,
    .buckets = bounds,
    .bucket_count = ARRAY_LEN(bounds)};

static struct metric_series *of_type(struct metric_shard *shard, struct metric_family *family,
                                     const char *type)
{
    const struct span value = span_of(type);
    return metric_series_get(shard, family, &value);
}

void push_metrics_init(struct push_metrics *m, struct metric_registry *r)
{
    *m = (struct push_metrics){.convergence = NULL};
    if (!r) {
        return;
    }
    struct metric_family *push_family = metric_family_add(r, &pushes);
    struct metric_family *reject_family = metric_family_add(r, &rejects);
    struct metric_family *trigger_family = metric_family_add(r, &triggers);
    struct metric_family *time_family = metric_family_add(r, &convergence);
    struct metric_shard *shard = metric_shard_new(r);
    for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
        m->pushes[i] = of_type(shard, push_family, types[i]);
        m->rejects[i] = of_type(shard, reject_family, types[i]);
    }
    m->trigger_config = of_type(shard, trigger_family, "config");
    m->trigger_endpoint = of_type(shard, trigger_family, "endpoint");
    m->convergence = metric_series_get(shard, time_family, NULL);
}

void push_metrics_count(struct push_metrics *m, const struct push_news *n, int64_t now_us)
{
    if (!m->convergence) {
        return;
    }
    if (n->step == PUSH_SENT) {
        metric_add(m->pushes[n->type], 1);
    } else if (n->step == PUSH_REFUSED) {
        metric_add(m->rejects[n->type], 1);
    } else if (n->step == PUSH_TAKEN && n->since_us > 0) {
        metric_observe(m->convergence, (double)i64_max(now_us - n->since_us, 0) / 1e6);
    }
}

void push_metrics_trigger(struct push_metrics *m, const struct world_change *change)
{
    if (m->convergence) {
        metric_add(change->config ? m->trigger_config : m->trigger_endpoint, 1);
    }
}

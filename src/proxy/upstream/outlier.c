/* Leaving out endpoints that fail: see outlier.h.
 * In: request/sending and downstream/session_tcp tell how attempts end. Out: which endpoints cluster_pick may choose. */
#include "proxy/upstream/outlier.h"

static int64_t ejection_ms(const struct conf_outlier *conf, const struct endpoint *e)
{
    int64_t ms;
    if (__builtin_mul_overflow(conf->base_ejection_ms, (int64_t)e->ejections, &ms)) {
        return conf->max_ejection_ms;
    }
    return i64_min(ms, conf->max_ejection_ms);
}

static size_t count_ejected(const struct cluster *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->endpoint_count; i++) {
        count += c->endpoints[i]->ejected ? 1 : 0;
    }
    return count;
}

static void reset(struct endpoint *e)
{
    e->fails_5xx = e->fails_gateway = e->fails_local = 0;
}

static void arm(struct cluster *c)
{
    if (!deadline_is_armed(&c->outlier_look)) {
        deadline_arm(&c->outlier_look, c->up->loop, i64_max(c->outlier.interval_ms, 1));
    }
}

static void eject(struct endpoint *e)
{
    struct cluster *c = e->cluster;
    size_t out = count_ejected(c) + 1;
    bool may = out * 100 <= (size_t)c->outlier.max_ejection_percent * c->endpoint_count ||
               (out == 1 && c->outlier.always_one);
    reset(e);
    if (!may) {
        metric_add(c->stats.outlier_detection_ejections_overflow, 1);
        return;
    }
    e->ejected = true;
    e->ejected_ms = loop_now_ms(c->up->loop);
    if (ejection_ms(&c->outlier, e) < c->outlier.max_ejection_ms) {
        e->ejections++;
    }
    metric_add(c->stats.outlier_detection_ejections_enforced_total, 1);
    metric_gauge_add(c->stats.outlier_detection_ejections_active, 1);
    cluster_health_changed(c);
    arm(c);
}

static void take_back(struct endpoint *e)
{
    e->ejected = false;
    reset(e);
    metric_gauge_add(e->cluster->stats.outlier_detection_ejections_active, -1);
}

/* Each interval: who has been out long enough comes back; who behaves has its past forgiven, step by step. */
void outlier_look(struct deadline *d)
{
    struct cluster *c = container_of(d, struct cluster, outlier_look);
    int64_t now = loop_now_ms(c->up->loop);
    bool changed = false;
    bool more = false;
    for (size_t i = 0; i < c->endpoint_count; i++) {
        struct endpoint *e = c->endpoints[i];
        if (e->ejected && now - e->ejected_ms >= ejection_ms(&c->outlier, e)) {
            take_back(e);
            changed = true;
        } else if (!e->ejected && e->ejections > 0) {
            e->ejections--;
        }
        more = more || e->ejected || e->ejections > 0;
    }
    if (changed) {
        cluster_health_changed(c);
    }
    if (more) {
        arm(c);
    }
}

void outlier_update(struct cluster *c)
{
    if (c->outlier.enabled && !c->gone) {
        return;
    }
    deadline_disarm(&c->outlier_look);
    for (size_t i = 0; i < c->endpoint_count; i++) {
        struct endpoint *e = c->endpoints[i];
        if (e->ejected) {
            take_back(e);
        }
        e->ejections = 0;
        reset(e);
    }
}

/* ---- what happens ---- */

static bool is_watched(const struct endpoint *e)
{
    return e->cluster->outlier.enabled && !e->removed && !e->ejected &&
           e->cluster->discovery != CONF_ORIGINAL_DST;
}

/* One more in a row; at the threshold it is out. `threshold` 0: not looked at. */
static bool count_one(struct endpoint *e, uint32_t *count, uint32_t threshold)
{
    if (threshold == 0 || ++*count < threshold) {
        return false;
    }
    eject(e);
    return true;
}

static void count_status(struct endpoint *e, unsigned status)
{
    const struct conf_outlier *conf = &e->cluster->outlier;
    if (status < 500) {
        e->fails_5xx = e->fails_gateway = 0;
        return;
    }
    if (status >= 502 && status <= 504) {
        if (count_one(e, &e->fails_gateway, conf->consecutive_gateway)) {
            return;
        }
    } else {
        e->fails_gateway = 0;
    }
    (void)count_one(e, &e->fails_5xx, conf->consecutive_5xx);
}

void outlier_answered(struct endpoint *e, unsigned status)
{
    if (LIKELY(!is_watched(e))) {
        return;
    }
    e->fails_local = 0;
    count_status(e, status);
}

void outlier_failed(struct endpoint *e, bool timed_out)
{
    if (LIKELY(!is_watched(e))) {
        return;
    }
    if (e->cluster->outlier.split_local) {
        (void)count_one(e, &e->fails_local, e->cluster->outlier.consecutive_local);
    } else {
        count_status(e, timed_out ? 504 : 503);
    }
}

void outlier_connected(struct endpoint *e)
{
    if (UNLIKELY(is_watched(e))) {
        e->fails_local = 0;
        if (!e->cluster->outlier.split_local) {
            count_status(e, 200);
        }
    }
}

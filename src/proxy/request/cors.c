/* The step that tells browsers who may call from other origins, where the chain has the cors filter and the route a policy: it answers
 * preflights, and puts the permission on the answers to the others. Nothing is refused here: browsers do that.
 * In: request/injecting. Out: NEXT, or an answer. Next: request/target.
 * Source: Envoy's cors filter, CorsPolicy; the Fetch standard, section 3.3. */
#include "base/rng.h"
#include "proxy/request/steps.h"

#define FIELDS_MAX 6
#define MILLION 1000000

static const struct route_cors *policy_of(const struct request *rq)
{
    const struct route_override *o =
        rq->route ? route_override(rq->route, rq->route_cluster, rq->conf->cors_name) : NULL;
    return o != NULL && !o->disabled ? o->cors : NULL;
}

static bool is_enabled(const struct request *rq, const struct route_cors *c)
{
    return c->enabled_ppm >= MILLION ||
           rng_below(rq->place->upstream->rng, MILLION) < c->enabled_ppm;
}

struct fields {
    struct header at[FIELDS_MAX];
    size_t count;
};

static void put(struct fields *f, struct span name, struct span value)
{
    if (value.len > 0) {
        f->at[f->count++] = (struct header){.name = name, .value = value};
    }
}

/* What an allowed origin gets beside what on_response puts on every answer to it. */
static void answer_preflight(struct request *rq, const struct route_cors *c)
{
    struct fields f = {.count = 0};
    if (rq->cors != NULL) {
        put(&f, SPAN("access-control-allow-methods"), c->methods);
        put(&f, SPAN("access-control-allow-headers"), c->headers);
        put(&f, SPAN("access-control-max-age"), c->max_age);
        bool asks =
            span_is(head_get(rq->head, SPAN("access-control-request-private-network")), "true");
        put(&f, SPAN("access-control-allow-private-network"),
            c->private_network && asks ? SPAN("true") : SPAN_EMPTY);
    }
    struct request_answer a = {
        .why = OUTCOME_DIRECT, .status = 200, .fields = f.at, .count = f.count};
    rq->details = SPAN("cors_response");
    request_reply(rq, &a);
}

static enum step_answer on_request(struct request *rq)
{
    const struct route_cors *c = rq->conf->cors_name.len > 0 ? policy_of(rq) : NULL;
    if (LIKELY(c == NULL)) {
        return STEP_NEXT;
    }
    struct span origin = head_get(rq->head, SPAN("origin"));
    if (origin.len == 0 || !is_enabled(rq, c)) {
        return STEP_NEXT;
    }
    bool allowed = route_cors_allows(c, origin);
    const struct stats_http *stats = rq->place->stats;
    metric_add(allowed ? stats->cors_origin_valid : stats->cors_origin_invalid, 1);
    if (allowed) {
        rq->cors = c;
    }
    bool preflight = rq->head->method_id == METHOD_OPTIONS &&
                     head_get(rq->head, SPAN("access-control-request-method")).len > 0;
    if (!preflight || (!allowed && c->forward_unmatched)) {
        return STEP_NEXT;
    }
    answer_preflight(rq, c);
    return STEP_DONE;
}

static void on_response(struct request *rq, struct head *response)
{
    const struct route_cors *c = rq->cors;
    if (LIKELY(c == NULL)) {
        return;
    }
    rq->cors = NULL; /* of the view, which goes now */
    struct span origin = head_get(rq->head, SPAN("origin"));
    int code = head_set(response, SPAN("access-control-allow-origin"), origin);
    if (code == 0 && c->credentials) {
        code = head_set(response, SPAN("access-control-allow-credentials"), SPAN("true"));
    }
    if (code == 0 && c->expose.len > 0) {
        code = head_set(response, SPAN("access-control-expose-headers"), c->expose);
    }
    UNUSED(code); /* at the limit of fields the browser refuses the answer */
}

const struct step step_cors = {
    .name = "cors", .on_request = on_request, .on_response = on_response};

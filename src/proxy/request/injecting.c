/* The step that delays or aborts requests on purpose, where the chain has a fault filter and it or the route says so.
 * In: request/authorize. Out: NEXT, at once or later, or an answer. Next: request/target.
 * Source: Envoy's fault filter: the delay comes first, then the abort; each is drawn for itself. */
#include "base/rng.h"
#include "http/grpc.h"
#include "proxy/request/steps.h"

#define MILLION 1000000

/* A request that is held back; in the request's arena. */
struct request_delay {
    struct deadline due;
    struct request *rq;
    const struct route_fault *fault;
};

static const struct route_fault *fault_of(const struct request *rq)
{
    const struct route_override *o =
        rq->route ? route_override(rq->route, rq->route_cluster, rq->conf->fault_name) : NULL;
    if (o == NULL) {
        return rq->conf->fault;
    }
    return o->disabled ? NULL : o->fault;
}

static bool drawn(const struct request *rq, uint32_t parts_per_million)
{
    return parts_per_million > 0 &&
           rng_below(rq->place->upstream->rng, MILLION) < parts_per_million;
}

/* Whether the request has been answered by an abort. */
static bool abort_request(struct request *rq, const struct route_fault *f)
{
    bool has_status = f->abort_status > 0 || f->abort_grpc >= 0;
    if (!has_status || !drawn(rq, f->abort_ppm)) {
        return false;
    }
    const struct outcome_row *row = outcome_row(OUTCOME_ABORTED);
    const struct request_answer a = {
        .why = OUTCOME_ABORTED,
        .status = f->abort_grpc >= 0 ? grpc_http_of_status((enum grpc_status)f->abort_grpc)
                                     : f->abort_status,
        .grpc_status = f->abort_grpc > 0 ? f->abort_grpc : 0,
        .content_type = SPAN("text/plain"),
        .body = row->body,
    };
    metric_add(rq->place->stats->fault_aborts_injected, 1);
    request_reply(rq, &a);
    return true;
}

static void on_due(struct deadline *d)
{
    struct request_delay *delay = container_of(d, struct request_delay, due);
    struct request *rq = delay->rq;
    rq->delay = NULL;
    if (rq->response_ended || rq->down == NULL) {
        return; /* another deadline was first */
    }
    if (!abort_request(rq, delay->fault)) {
        request_resume(rq);
    }
}

static enum step_answer on_request(struct request *rq)
{
    const struct route_fault *f = rq->conf->fault_name.len > 0 ? fault_of(rq) : NULL;
    if (LIKELY(f == NULL) || !route_fault_applies(f, rq->route_cluster, &rq->traffic, rq->arena)) {
        return STEP_NEXT;
    }
    if (f->delay_ms > 0 && drawn(rq, f->delay_ppm)) {
        struct request_delay *delay = arena_new(rq->arena, struct request_delay);
        delay->rq = rq;
        delay->fault = f;
        rq->delay = delay;
        rq->flags |= FLAG_DI;
        metric_add(rq->place->stats->fault_delays_injected, 1);
        deadline_init(&delay->due, on_due);
        deadline_arm(&delay->due, rq->place->loop, f->delay_ms);
        return STEP_WAIT;
    }
    return abort_request(rq, f) ? STEP_DONE : STEP_NEXT;
}

static void on_done(struct request *rq)
{
    if (UNLIKELY(rq->delay != NULL)) {
        deadline_disarm(&rq->delay->due);
        rq->delay = NULL;
    }
}

const struct step step_inject = {.name = "inject", .on_request = on_request, .on_done = on_done};

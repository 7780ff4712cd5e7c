/* The step that chooses: the route of this request, then one of its clusters; redirects and direct responses are
 * answered here. In: request/authorize. Out: rq->route, rq->cluster. Next: request/rewrite. */
#include "http/grpc.h"
#include "proxy/request/steps.h"

static const struct route_table *table_of(const struct request *rq)
{
    if (rq->conf->routes != NULL) {
        return rq->conf->routes;
    }
    const struct snapshot *s = rq->view->snapshot;
    uint32_t slot = rq->conf->route_slot;
    const struct conf_routes *routes = slot < s->slots ? s->routes[slot] : NULL;
    return routes != NULL ? routes->table : NULL;
}

static enum step_answer answer_directly(struct request *rq, const struct route *r)
{
    struct header location = {.name = SPAN("location")};
    struct request_answer a = {
        .why = OUTCOME_DIRECT,
        .status = r->direct_status,
        .content_type = SPAN("text/plain"),
        .body = r->direct_body,
    };
    if (r->action == ROUTE_REDIRECT) {
        location.value = route_redirect_location(r, &rq->traffic, rq->arena);
        a = (struct request_answer){
            .why = OUTCOME_DIRECT, .status = r->redirect_status, .fields = &location, .count = 1};
    }
    request_reply(rq, &a);
    return STEP_DONE;
}

static struct cluster *choose_cluster(struct request *rq, const struct route *r)
{
    if (r->cluster_header.len > 0) {
        rq->cluster_name = head_get(rq->head, r->cluster_header);
        return rq->cluster_name.len > 0 ? rq->place->cluster_named(rq->place->arg, rq->cluster_name) : NULL;
    }
    rq->route_cluster = route_pick_cluster(r, rq->traffic.random);
    rq->cluster_name = rq->route_cluster->name;
    return rq->place->cluster_at(rq->place->arg, rq->route_cluster->slot);
}

/* RouteAction.max_stream_duration.grpc_timeout_header_max: the caller's own deadline counts, bounded. */
static int64_t grpc_deadline(const struct request *rq, const struct route *r)
{
    int64_t ms;
    struct span text = head_get_known(rq->head, HEAD_GRPC_TIMEOUT);
    if (!rq->is_grpc || !r->grpc_timeout || text.at == NULL || !grpc_timeout_parse(text, &ms)) {
        return 0;
    }
    return r->grpc_timeout_max_ms > 0 ? i64_min(ms, r->grpc_timeout_max_ms) : ms;
}

static void take_times(struct request *rq, const struct route *r)
{
    rq->timeout_ms = r->timeout_ms;
    if (r->idle_ms >= 0 && r->idle_ms != rq->idle_ms) {
        rq->idle_ms = r->idle_ms;
        deadline_disarm(&rq->idle);
        if (rq->idle_ms > 0) {
            deadline_arm(&rq->idle, rq->place->loop, rq->idle_ms);
        }
    }
    int64_t grpc_ms = grpc_deadline(rq, r);
    int64_t longest = grpc_ms > 0 ? grpc_ms : r->max_stream_ms;
    if (longest > 0) {
        rq->timeout_ms = 0; /* max_stream_duration takes the time-out's place */
        deadline_arm(&rq->longest, rq->place->loop, longest);
    }
}

/* The view may go before the last retry is decided, so what it needs is copied. */
static void copy_for_later(struct request *rq, const struct route *r)
{
    rq->retry = r->retry;
    if (r->retry.status_count > 0) {
        size_t bytes = r->retry.status_count * sizeof(*r->retry.status_codes);
        uint16_t *codes = arena_alloc(rq->arena, bytes);
        memcpy(codes, r->retry.status_codes, bytes);
        rq->retry.status_codes = codes;
    }
    if (rq->place->log_count > 0) {
        rq->route_name = arena_dup(rq->arena, r->name);
        rq->cluster_name = arena_dup(rq->arena, rq->cluster_name);
    }
    rq->priority_high = r->priority_high;
    rq->auto_host = r->auto_host_rewrite;
}

static enum step_answer fail(struct request *rq, enum outcome why)
{
    rq->outcome = why;
    return STEP_FAIL;
}

static enum step_answer on_request(struct request *rq)
{
    const struct route_table *table = table_of(rq);
    const struct route *r = table ? route_find(table, &rq->traffic, rq->arena, NULL) : NULL;
    if (r == NULL) {
        metric_add(rq->place->stats->no_route, 1);
        return fail(rq, OUTCOME_NO_ROUTE);
    }
    rq->route = r;
    if (r->action != ROUTE_FORWARD) {
        return answer_directly(rq, r);
    }
    if (rq->head->upgrade.len > 0 && !rq->conf->websocket && !r->websocket) {
        return fail(rq, OUTCOME_UPGRADE_REFUSED);
    }
    rq->cluster = choose_cluster(rq, r);
    if (rq->cluster == NULL) {
        return fail(rq, OUTCOME_NO_CLUSTER);
    }
    cluster_get(rq->cluster);
    take_times(rq, r);
    copy_for_later(rq, r);
    return STEP_NEXT;
}

const struct step step_route = {.name = "route", .on_request = on_request};

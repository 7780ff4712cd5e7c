/* The step that finds the route of this request and draws one of its clusters; both are looked at by the next
 * steps. No answer is given here: authorization comes before "not found", so that a stranger learns nothing.
 * In: request/tracing. Out: rq->route (NULL = none), rq->route_cluster. Next: request/authorize. */
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

static enum step_answer on_request(struct request *rq)
{
    const struct route_table *table = table_of(rq);
    const struct route *r = table ? route_find(table, &rq->traffic, rq->arena, NULL) : NULL;
    rq->route = r;
    if (r != NULL && r->action == ROUTE_FORWARD && r->cluster_header.len == 0) {
        rq->route_cluster = route_pick_cluster(r, rq->traffic.random);
    }
    return STEP_NEXT;
}

const struct step step_route = {.name = "route", .on_request = on_request};

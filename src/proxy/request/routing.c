/* The step that finds the route of this request and draws one of its clusters; both are looked at by the next
 * steps. No answer is given here: authorization comes before "not found", so that a stranger learns nothing.
 * Where the route table learns virtual hosts on demand, a host that it does not name is asked for first: found
 * or not, the request goes on with the newest view, and then "*" may decide.
 * In: request/tracing. Out: rq->route (NULL = none), rq->route_cluster. Next: request/authorize. */
#include "proxy/config/ask.h"
#include "proxy/request/steps.h"

#define AUTHORITY_BYTES_MAX 262 /* a DNS name, ':', a port, brackets */

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

static void take(struct request *rq, const struct route *r)
{
    rq->route = r;
    if (r != NULL && r->action == ROUTE_FORWARD && r->cluster_header.len == 0) {
        rq->route_cluster = route_pick_cluster(r, rq->traffic.random);
    }
}

/* ---- a virtual host that is not known yet ---- */

struct route_wait {
    struct ask_wait wait;
    struct request *rq;
};

static void use_newest_view(struct request *rq)
{
    struct view *before = rq->view;
    rq->place->newest(rq->place, &rq->conf, &rq->view);
    view_get(rq->view);
    view_put(before);
}

static void on_answer(struct ask_wait *w, enum ask_answer answer)
{
    struct request *rq = container_of(w, struct route_wait, wait)->rq;
    UNUSED(answer); /* the table says */
    rq->wait = NULL;
    if (rq->response_ended || rq->down == NULL) {
        return; /* another deadline was first */
    }
    use_newest_view(rq);
    const struct route_table *table = table_of(rq);
    take(rq, table ? route_find(table, &rq->traffic, rq->arena, NULL) : NULL);
    request_resume(rq);
}

/* "TABLE/AUTHORITY", lower case; empty when the authority could be in no virtual host's name. */
static struct span name_of(struct request *rq, const struct route_table *table)
{
    struct span authority = rq->traffic.authority;
    struct span name = route_table_name(table);
    if (authority.len == 0 || authority.len > AUTHORITY_BYTES_MAX) {
        return SPAN_EMPTY;
    }
    char *text = arena_bytes(rq->arena, name.len + 1 + authority.len);
    memcpy(text, name.at, name.len);
    text[name.len] = '/';
    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.at[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= ':') || c == '.' || c == '-' ||
                       c == '_' || c == '[' || c == ']';
        if (!is_fine) {
            return SPAN_EMPTY;
        }
        text[name.len + 1 + i] = c;
    }
    return span_from(text, name.len + 1 + authority.len);
}

static bool ask(struct request *rq, const struct route_table *table)
{
    struct asks *asks = rq->place->asks;
    struct span name = asks != NULL ? name_of(rq, table) : SPAN_EMPTY;
    if (name.len == 0) {
        return false;
    }
    struct route_wait *w = arena_new(rq->arena, struct route_wait);
    w->rq = rq;
    ask_wait_init(&w->wait, on_answer);
    enum ask_answer answer;
    if (!ask_wait(asks, CONF_VIRTUAL_HOST, name, &w->wait, &answer)) {
        return false;
    }
    rq->wait = &w->wait;
    return true;
}

/* ---- the step ---- */

static enum step_answer on_request(struct request *rq)
{
    const struct route_table *table = table_of(rq);
    bool unknown = false;
    const struct route *r =
        table ? route_find_known(table, &rq->traffic, rq->arena, &unknown) : NULL;
    if (UNLIKELY(unknown) && ask(rq, table)) {
        return STEP_WAIT;
    }
    take(rq, r);
    return STEP_NEXT;
}

static void on_done(struct request *rq)
{
    if (UNLIKELY(rq->wait != NULL)) {
        ask_cancel(rq->wait);
        rq->wait = NULL;
    }
}

const struct step step_route = {.name = "route", .on_request = on_request, .on_done = on_done};

/* The step that changes what goes on: path, host and header fields as the route says, and the response's fields on
 * the way back. Source: RouteAction.prefix_rewrite, regex_rewrite, host_rewrite_literal;
 * request_headers_to_add and the like of weighted cluster, route, virtual host, table (in that order).
 * In: request/target. Out: the head as the upstream shall see it. Next: request/sending. */
#include "mesh/names.h"
#include "proxy/request/steps.h"
#include "proxy/request/substitute.h"

static void apply(struct request *rq, struct head *h, const struct route_header_op *ops,
                  size_t count)
{
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        const struct route_header_op *op = &ops[i];
        struct span value = op->formatted ? substitute(rq, op->value) : op->value;
        if (value.len == 0 && !op->keep_empty && op->op != ROUTE_HEADER_REMOVE) {
            continue;
        }
        switch (op->op) {
        case ROUTE_HEADER_REMOVE:
            head_remove(h, op->name);
            break;
        case ROUTE_HEADER_SET:
            code = head_set(h, op->name, value);
            break;
        case ROUTE_HEADER_SET_IF_PRESENT:
            code = head_get(h, op->name).at != NULL ? head_set(h, op->name, value) : 0;
            break;
        case ROUTE_HEADER_ADD_IF_ABSENT:
            code = head_get(h, op->name).at == NULL ? head_add(h, op->name, value) : 0;
            break;
        case ROUTE_HEADER_APPEND:
            code = head_add(h, op->name, value);
            break;
        }
    }
    UNUSED(code); /* at the limit of fields the rest is left out, and the message still goes */
}

static void apply_one(struct request *rq, struct head *h, const struct route_header_ops *ops,
                      bool response)
{
    apply(rq, h, response ? ops->response : ops->request,
          response ? ops->response_count : ops->request_count);
}

static void apply_all(struct request *rq, struct head *h, bool response)
{
    const struct route *r = rq->route;
    const struct route_header_ops *own = rq->route_cluster ? &rq->route_cluster->headers : NULL;
    if (own != NULL && !r->cluster_headers_last) {
        apply_one(rq, h, own, response);
    }
    for (const struct route_header_ops *const *ops = r->headers; ops != NULL && *ops != NULL;
         ops++) {
        apply_one(rq, h, *ops, response);
    }
    if (own != NULL && r->cluster_headers_last) {
        apply_one(rq, h, own, response);
    }
}

static void rewrite_path(struct request *rq)
{
    struct head *h = rq->head;
    struct span path = route_rewrite_path(rq->route, h->path, rq->arena);
    if (path.at == h->path.at && path.len == h->path.len) {
        return;
    }
    rq->original_path = h->path;
    int code =
        rq->conf->suppress_envoy_headers ? 0 : head_set(h, SPAN(HEADER_ORIGINAL_PATH), h->path);
    UNUSED(code);
    h->path = path;
}

static enum step_answer on_request(struct request *rq)
{
    apply_all(rq, rq->head, false);
    rewrite_path(rq);
    struct span host = rq->route_cluster && rq->route_cluster->host_rewrite.len > 0
                           ? rq->route_cluster->host_rewrite
                           : rq->route->host_rewrite;
    if (host.len > 0) {
        if (rq->route->append_forwarded_host) {
            int code = head_add_known(rq->head, HEAD_X_FORWARDED_HOST, rq->head->authority);
            UNUSED(code);
        }
        /* Until the request is over: the route goes with the view. */
        rq->head->authority = arena_dup(rq->arena, host);
    }
    if (UNLIKELY(rq->route->hash_count > 0)) {
        hashing_take(rq);
    }
    return STEP_NEXT;
}

static void on_response(struct request *rq, struct head *response)
{
    if (rq->route != NULL) {
        apply_all(rq, response, true);
        if (UNLIKELY(rq->has_hash)) {
            hashing_answer(rq, response);
        }
    }
}

const struct step step_rewrite = {
    .name = "rewrite", .on_request = on_request, .on_response = on_response};

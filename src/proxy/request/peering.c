/* The step that tells sidecars from each other: what the peer says of itself becomes the labels of what is counted, and we say who
 * we are; nobody behind or before the mesh sees it, and nobody is believed without a certificate of the mesh.
 *
 *   outbound: ours is put on when a connection to a mesh peer is there (peering_send); its answer is read
 *   inbound:  what came is read once a connection; who asked is answered
 * Source: istio/proxy, HTTP filter peer_metadata. In: request/normalize. Next: request/forwarding. */
#include "proxy/request/steps.h"

static bool says_something(const struct head *h)
{
    return (h->slot[HEAD_X_ENVOY_PEER_METADATA] | h->slot[HEAD_X_ENVOY_PEER_METADATA_ID]) != 0;
}

static void strip(struct head *h)
{
    head_remove_known(h, HEAD_X_ENVOY_PEER_METADATA);
    head_remove_known(h, HEAD_X_ENVOY_PEER_METADATA_ID);
}

static int put_on(struct head *h, const struct peer_self *self)
{
    int code = head_set_known(h, HEAD_X_ENVOY_PEER_METADATA_ID, self->id);
    return code ? code : head_set_known(h, HEAD_X_ENVOY_PEER_METADATA, self->value);
}

/* A connection belongs to one peer, so it says the same every time. */
static void learn_source(struct request *rq, struct span value)
{
    const struct request_place *p = rq->place;
    if (p->edges->told != NULL && span_eq(p->edges->told->key, value)) {
        return;
    }
    const struct peer *told = peers_of_header(p->upstream->peers, value);
    if (told != NULL && peers_believe(p->peer_labels, told, p->peer_uri)) {
        *p->edges = (struct request_edges){.told = told};
    }
}

static enum step_answer on_request(struct request *rq)
{
    if (!says_something(rq->head)) {
        return STEP_NEXT;
    }
    struct span value = head_get_known(rq->head, HEAD_X_ENVOY_PEER_METADATA);
    if (rq->place->direction == CONF_INBOUND && value.len > 0 && rq->place->peer_uri.len > 0) {
        learn_source(rq, value);
        rq->peer_asks = true;
    }
    strip(rq->head); /* the next step tells policy of the fields that are left */
    return STEP_NEXT;
}

static bool is_of_mesh(const struct endpoint *e)
{
    return e->labels.principal.len > 0 && endpoint_local_uri(e).len > 0;
}

void peering_sign(struct head *h, const struct endpoint *e, const struct upstream *up)
{
    if (is_of_mesh(e) && up->self != NULL && up->self->value.len > 0) {
        int code = put_on(h, up->self);
        UNUSED(code); /* at the limit of fields the label is lost, not the request */
    } else if (says_something(h)) {
        strip(h); /* of a try before */
    }
}

void peering_send(struct request *rq)
{
    if (rq->place->direction != CONF_INBOUND) {
        peering_sign(rq->head, rq->attempt.endpoint, rq->place->upstream);
    }
}

/* The configuration may not say who is behind an address (passed through, headless). */
static void learn_destination(struct request *rq, struct span value)
{
    struct endpoint *e = rq->attempt.endpoint;
    if (e == NULL || e->labels.workload.len > 0 || rq->place->direction == CONF_INBOUND) {
        return;
    }
    const struct peer *told = peers_of_header(rq->place->upstream->peers, value);
    if (endpoint_learn_peer(e, told)) {
        rq->edge = endpoint_edge(e, rq->is_grpc ? STATS_GRPC : STATS_HTTP);
    }
}

static void on_response(struct request *rq, struct head *response)
{
    if (says_something(response)) {
        learn_destination(rq, head_get_known(response, HEAD_X_ENVOY_PEER_METADATA));
        strip(response);
    }
    const struct peer_self *self = rq->peer_asks ? rq->place->upstream->self : NULL;
    if (self != NULL && self->value.len > 0) {
        int code = put_on(response, self);
        UNUSED(code);
    }
}

const struct step step_peer = {
    .name = "peer", .on_request = on_request, .on_response = on_response};

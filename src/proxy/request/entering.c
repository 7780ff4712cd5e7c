/* CONNECT whose cluster leads to a listener of our own: the exchange becomes a connection to that listener, with its own chains, policy
 * and reports, as in Envoy by an internal upstream (Istio: connect_terminate -> main_internal).
 * In: request/sending, which found an internal address. Out: a tunnel, or 400 or 403. Next: downstream/arrival, by the connection. */
#include "http/io_tunnel.h"
#include "proxy/request/steps.h"

static void refuse(struct request *rq, unsigned status, struct span details)
{
    struct request_answer a = {.why = OUTCOME_UPGRADE_REFUSED, .status = status};
    metric_add(rq->place->stats->downstream_tunnel_refused, 1);
    rq->details = details;
    request_reply(rq, &a);
}

void entering_start(struct request *rq, const struct addr *to)
{
    struct addr dst;
    const struct request_place *p = rq->place;
    if (!rq->tunnel_ends || p->inner == NULL) {
        refuse(rq, 403, SPAN("internal_listener_takes_tunnels_only"));
        return;
    }
    if (rq->request_ended ||
        buf_len(&rq->up.kept) > 0) { /* RFC 9113 section 8.5: after the answer */
        refuse(rq, 400, SPAN("tunnel_data_before_the_answer"));
        return;
    }
    if (addr_parse(rq->head->authority, &dst, NULL) != 0 || dst.kind != ADDR_IP || dst.port == 0) {
        refuse(rq, 400, SPAN("tunnel_authority_is_no_address"));
        return;
    }
    struct span why = SPAN_EMPTY;
    struct entry *e = p->inner(p, span_of(to->path), &dst, &why);
    if (e == NULL) {
        refuse(rq, 403, why);
        return;
    }
    metric_add(p->stats->downstream_tunnel_total, 1);
    p->enter_take(p, e, request_hand_over(rq), &dst);
}

/* The step that keeps traces together: the trace id and the sampling decision go on, and this hop gets a span id of
 * its own, in the form that came (W3C traceparent, B3 single or multi header); a request without any gets a
 * traceparent. Only when the connection manager has tracing configured; else all headers pass as they are.
 * Source: W3C Trace Context section 3.2; openzipkin B3; HttpConnectionManager.tracing.
 * In: request/forwarding. Next: request/authorize. */
#include "codec/hex.h"
#include "proxy/request/steps.h"

#define TRACEPARENT_LEN 55 /* 00-<32>-<16>-<2> */

static uint64_t random_id(struct request *rq)
{
    uint64_t id;
    do {
        id = rng_u64(rq->place->upstream->rng);
    } while (id == 0);
    return id;
}

static struct span new_span_id(struct request *rq)
{
    char *to = arena_bytes(rq->arena, 16);
    hex_put_u64(random_id(rq), 16, to);
    return span_from(to, 16);
}

static bool is_sampled_by_chance(struct request *rq)
{
    return (double)(rng_u64(rq->place->upstream->rng) >> 11) * 0x1p-53 < rq->conf->sampling;
}

static bool is_traceparent(struct span s)
{
    if (s.len < TRACEPARENT_LEN || s.at[2] != '-' || s.at[35] != '-' || s.at[52] != '-') {
        return false;
    }
    uint64_t high, low, parent, flags;
    return hex_to_u64(span_from(s.at + 3, 16), &high) &&
           hex_to_u64(span_from(s.at + 19, 16), &low) &&
           hex_to_u64(span_from(s.at + 36, 16), &parent) &&
           hex_to_u64(span_from(s.at + 53, 2), &flags) && (high | low) != 0 && parent != 0;
}

static int continue_traceparent(struct request *rq, struct span had)
{
    uint64_t flags = 0;
    rq->sampled = hex_to_u64(span_from(had.at + 53, 2), &flags) && (flags & 1) != 0;
    char *to = arena_bytes(rq->arena, TRACEPARENT_LEN);
    memcpy(to, had.at, TRACEPARENT_LEN);
    memcpy(to, "00", 2);
    hex_put_u64(random_id(rq), 16, to + 36);
    return head_set_known(rq->head, HEAD_TRACEPARENT, span_from(to, TRACEPARENT_LEN));
}

/* b3: <trace>-<span>[-<sampled>[-<parent>]] */
static int continue_b3(struct request *rq, struct span had)
{
    struct span rest = had;
    struct span trace = span_cut(&rest, '-');
    struct span parent = rest.at ? span_cut(&rest, '-') : SPAN_EMPTY;
    struct span sampled = rest.at ? span_cut(&rest, '-') : SPAN_EMPTY;
    if (parent.len == 0) {
        return 0; /* "0": a bare decision, passed on */
    }
    rq->sampled = span_is(sampled, "1") || span_is(sampled, "d");
    struct span own = new_span_id(rq);
    char *text = arena_printf(rq->arena, "%.*s-%.*s-%.*s-%.*s", SPAN_ARG(trace), SPAN_ARG(own),
                              SPAN_ARG(sampled.len > 0 ? sampled : SPAN("0")), SPAN_ARG(parent));
    return head_set_known(rq->head, HEAD_B3, span_of(text));
}

static int continue_b3_multi(struct request *rq)
{
    struct head *h = rq->head;
    struct span parent = head_get_known(h, HEAD_X_B3_SPANID);
    struct span sampled = head_get_known(h, HEAD_X_B3_SAMPLED);
    rq->sampled = span_is(sampled, "1");
    int code = 0;
    if (parent.len > 0) {
        code = head_set_known(h, HEAD_X_B3_PARENTSPANID, parent);
    }
    return code ? code : head_set_known(h, HEAD_X_B3_SPANID, new_span_id(rq));
}

static int begin_trace(struct request *rq)
{
    rq->sampled = is_sampled_by_chance(rq);
    char *to = arena_bytes(rq->arena, TRACEPARENT_LEN);
    memcpy(to, "00-", 3);
    hex_put_u64(random_id(rq), 16, to + 3);
    hex_put_u64(random_id(rq), 16, to + 19);
    to[35] = '-';
    hex_put_u64(random_id(rq), 16, to + 36);
    memcpy(to + 52, rq->sampled ? "-01" : "-00", 3);
    return head_set_known(rq->head, HEAD_TRACEPARENT, span_from(to, TRACEPARENT_LEN));
}

static enum step_answer on_request(struct request *rq)
{
    if (!rq->conf->tracing) {
        return STEP_NEXT;
    }
    struct head *h = rq->head;
    struct span parent = head_get_known(h, HEAD_TRACEPARENT);
    struct span b3 = head_get_known(h, HEAD_B3);
    int code;
    if (parent.at != NULL && is_traceparent(parent)) {
        code = continue_traceparent(rq, parent);
    } else if (b3.at != NULL) {
        code = continue_b3(rq, b3);
    } else if (head_get_known(h, HEAD_X_B3_TRACEID).at != NULL) {
        code = continue_b3_multi(rq);
    } else {
        code = begin_trace(rq);
    }
    UNUSED(code); /* at the limit of fields the trace is lost, not the request */
    rq->traffic.fields = h->fields;
    rq->traffic.field_count = h->count;
    return STEP_NEXT;
}

const struct step step_trace = {.name = "trace", .on_request = on_request};

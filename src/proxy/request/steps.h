#ifndef PROXY_REQUEST_STEPS_H
#define PROXY_REQUEST_STEPS_H
/* The stations of a request, in the order of request.c's road. One step a file. */
#include "proxy/request/request.h"

extern const struct step step_normalize; /* normalize.c: the path, before any policy sees it */
extern const struct step step_peer;      /* peering.c: who the sidecars at both ends are */
extern const struct step step_forward; /* forwarding.c: x-forwarded-*, x-request-id, XFCC, server */
extern const struct step step_trace;   /* tracing.c: traceparent, B3 */
extern const struct step step_grpc_web;  /* grpc_web.c: gRPC from browsers */
extern const struct step step_route;     /* routing.c: which route, which of its clusters */
extern const struct step step_compress;  /* compress.c: gzip on the way back */
extern const struct step step_authorize; /* authorize.c: RBAC */
extern const struct step step_inject;    /* injecting.c: delays and aborts on purpose */
extern const struct step step_cors;      /* cors.c: who may call from other origins */
extern const struct step
    step_target; /* target.c: an answer of ours, or the cluster with its times and retries */
extern const struct step step_rewrite; /* rewrite.c: path, host and header changes of the route */
extern const struct step step_send;    /* sending.c: endpoint, attempts, retries, time-outs */

/* entering.c: the cluster's endpoint is a listener of ours. */
void entering_start(struct request *rq, const struct addr *to);
/* sending.c, for request.c */
void sending_init(struct request *rq);
void sending_body(struct request *rq, struct span data, bool end);
void sending_trailers(struct request *rq, struct head *trailers);
/* The request is over: gives the upstream up. */
void sending_stop(struct request *rq, enum http_reset why);
/* retry.c: may this failure be tried again? Delay in ms, 0 = at once, -1 = no. */
struct retry_case {
    enum outcome why;
    unsigned status; /* of a response, 0 = none */
    int grpc_status; /* of a trailers-only response; -1 = none */
    bool replayable; /* the upstream can not have processed it */
};
int64_t retry_decide(struct request *rq, const struct retry_case *c);
/* Gives the place in the retry breaker back. */
void retry_over(struct request *rq, bool success);
/* peering.c: tells the endpoint of the attempt in hand who we are, if it is one of the mesh. */
void peering_send(struct request *rq);
/* The same for any head that is ours alone, and outbound. */
void peering_sign(struct head *h, const struct endpoint *e, const struct upstream *up);
/* hashing.c: what the route's hash_policy makes of the request, and the cookies that it hands out. */
void hashing_take(struct request *rq);
void hashing_answer(struct request *rq, struct head *response);
/* grpc_web.c: sends an answer of ours, in place of request.c's own forms. */
void grpc_web_reply(struct request *rq, struct head *h, const struct request_answer *a);
/* finish.c: metrics and access log of a request that is over. */
void finish_report(struct request *rq);
#endif

#ifndef PROXY_REQUEST_MIRROR_H
#define PROXY_REQUEST_MIRROR_H
/* Copies of requests to other clusters (RouteAction.request_mirror_policies): sent beside the request, each by an attempt of its own,
 * never delaying or failing it; answers are read and thrown away. A copy outlives its request once that is whole. What a slow mirror
 * has not taken of the body is held up to MIRROR_QUEUE_BYTES; beyond, the copy is dropped, and counted.
 *
 *   request --head, body--> mirror (WAITING for a connection -> OPEN) --> counted at the endpoint's edge
 * Source: Envoy's router filter, RequestMirrorPolicy. In: request/sending. Out: upstream/attempt. */
#include "base/compiler.h"
#include "proxy/request/request.h"

#define MIRROR_QUEUE_BYTES 65536 /* of one copy */
#define MIRRORS_MAX 1000         /* copies at a time; a worker */
#define MIRROR_LONGEST_MS 60000  /* once the request is whole, where the route has no time-out */

/* Of a worker: those under way. */
struct mirrors;
NONNULL_RETURN struct mirrors *mirrors_new(struct loop *loop);
/* Gives all of them up. Before the clusters. */
void mirrors_free(struct mirrors *all);

/* COLD: most requests have none, and these shall not keep what all use from being inlined. */
/* The head is as the upstream shall see it: draws which mirrors of the route get a copy, and begins them (rq->mirrors). */
COLD void mirror_begin(struct request *rq);
/* What the request brings further; only with rq->mirrors. */
COLD void mirror_body(struct request *rq, struct span data, bool end);
COLD void mirror_trailers(struct request *rq, const struct head *trailers);
/* The request is over: copies of what did not come whole are given up, the others go on. */
COLD void mirror_leave(struct request *rq);
#endif

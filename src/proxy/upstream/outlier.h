#ifndef PROXY_UPSTREAM_OUTLIER_H
#define PROXY_UPSTREAM_OUTLIER_H
/* Endpoints that fail again and again are left out for a while: each worker looks at what it sees itself.
 *
 *   picked --N failures in a row, and not too many are out--> ejected --base time * how often, at the next
 *     ^                                                          |        look (interval)
 *     '----------------------------------------------------------'
 * Source: envoy.config.cluster.v3.OutlierDetection: consecutive 5xx, gateway failures and failures of our own
 * (connecting, resets, time-outs; counted as 503 and 504 unless split_external_local_origin_errors). Success rate and
 * failure percentage, which compare endpoints, are not looked at. */
#include "io/deadline.h"
#include "proxy/upstream/cluster.h"

/* The endpoint has answered with this HTTP status (of gRPC: what stands for it). */
void outlier_answered(struct endpoint *e, unsigned status);
/* It has not: no connection, a reset, or no answer in time. */
void outlier_failed(struct endpoint *e, bool timed_out);
/* An opaque connection to it stands. */
void outlier_connected(struct endpoint *e);
/* Due each interval while anybody is out; cluster.c arms nothing itself. */
void outlier_look(struct deadline *d);
/* The cluster's settings or endpoints have changed, or it has gone. */
void outlier_update(struct cluster *c);
#endif

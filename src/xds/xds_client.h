#ifndef XDS_XDS_CLIENT_H
#define XDS_XDS_CLIENT_H
/* One aggregated discovery stream to a control plane, kept open: it reconnects with backoff and jitter and
 * tells the new server what it already has. Subscriptions outlive streams. Main thread.
 * In: http/grpc. Out: on_update, one call a response; its answer becomes ACK or NACK.
 * Next: proxy/config/ingest. */
#include "http/grpc.h"
#include "http/http_client.h"
#include "proto/core.pb.h"
#include "xds/xds.h"

#define XDS_CLIENT_BACKOFF_MIN_MS 500
#define XDS_CLIENT_BACKOFF_MAX_MS 30000
#define XDS_CLIENT_METADATA_MAX 8

struct xds_client;

struct xds_client_events {
    xds_on_update on_update;
    /* The server serves the stream (why is NULL), or it has ended. May be NULL. */
    void (*on_state)(void *arg, bool is_connected, const struct err *why);
    /* Metadata of the next attempt (a token that is renewed): fills `fields` (room for
     * XDS_CLIENT_METADATA_MAX) with texts in `arena` and returns how many. May be NULL. */
    size_t (*on_metadata)(void *arg, struct arena *arena, struct header *fields);
};

struct xds_client_spec {
    struct http_client_spec http;    /* http2 is implied */
    const struct pb_core_Node *node; /* copied */
    bool sotw;                       /* else delta */
};

MUST_USE int xds_client_new(struct xds_client **out, struct loop *loop,
                            const struct xds_client_spec *spec, const struct xds_client_events *ev,
                            void *arg, struct err *err);
/* Connects, and from then on keeps connected. Subscribe first to what is known: it goes into the first
 * requests. */
void xds_client_start(struct xds_client *c);
/* XDS_WILDCARD for all of the type. Subscribing twice is subscribing once. Requests leave at the end of the
 * turn, so that many changes share one. */
void xds_client_subscribe(struct xds_client *c, struct span type_url, struct span name);
void xds_client_unsubscribe(struct xds_client *c, struct span type_url, struct span name);
/* These are held already, from before: the next stream says so. Of names that are asked for; nothing in the state of the world, which
 * is always told whole. */
void xds_client_hold(struct xds_client *c, const struct xds_update *u);
/* Begins the stream anew, if there is one: what it was told no longer holds. */
void xds_client_restart(struct xds_client *c);
bool xds_client_is_connected(const struct xds_client *c);
/* While the stream is open: what it goes over, for other calls to the same control plane on the same connection. It may be
 * freed with the next stream; their calls then end. NULL otherwise. */
struct http_client *xds_client_http(struct xds_client *c);
/* Another address or identity, from the next stream on; with `now` the stream in hand is left for it. */
MUST_USE int xds_client_set_http(struct xds_client *c, const struct http_client_spec *http,
                                 bool now, struct err *err);
/* NULL is fine. Not from within its own events. */
void xds_client_free(struct xds_client *c);
#endif

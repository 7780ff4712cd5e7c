#ifndef XDS_XDS_SERVER_H
#define XDS_XDS_SERVER_H
/* The aggregated discovery service, both protocols, on servers that the role has (http/host). It keeps what
 * each client has and asks for; what there is to tell is the owner's: it answers with everything it has for
 * a node, or with what changed, and only what concerns the client is sent.
 * In: http/grpc. Out: on_ask. Next: control/push. */
#include "http/grpc.h"
#include "http/http_server.h"
#include "xds/xds_protocol.h"

/* A client that has so much unread is left alone until on_drained. */
#define XDS_SERVER_QUEUE_BYTES 4194304

struct xds_server;
struct xds_stream;

struct xds_server_events {
    /* The first request of a stream. A negative code refuses it with PERMISSION_DENIED and `why`. May be NULL. */
    int (*on_open)(void *arg, struct xds_stream *s, const struct pb_core_Node *node,
                   struct err *why);
    /* Each request, also the first: `ask` says whether an answer is wanted, and how the last one was taken.
     * The answer (xds_server_send) may come now or later. */
    void (*on_ask)(void *arg, struct xds_stream *s, const struct xds_ask *ask);
    /* A client that was over XDS_SERVER_QUEUE_BYTES has read it all. May be NULL. */
    void (*on_drained)(void *arg, struct xds_stream *s);
    /* Once, last, for streams that were opened. May be NULL. */
    void (*on_close)(void *arg, struct xds_stream *s);
};

NONNULL_RETURN struct xds_server *xds_server_new(struct loop *loop,
                                                 const struct xds_server_events *ev, void *arg);
/* Serves both methods on `s`, which must not outlive it. */
void xds_server_attach(struct xds_server *x, struct http_server *s);
/* Ends all streams (UNAVAILABLE), without on_close. NULL is fine. */
void xds_server_free(struct xds_server *x);
size_t xds_server_count(const struct xds_server *x);

/* 1 when something was sent, 0 when the client has it all. A negative code means that the stream is over,
 * and on_close has come. */
int xds_server_send(struct xds_stream *s, const struct xds_answer *answer);
/* Better not send now: the last answer is not yet taken, or too much is unread. */
bool xds_server_is_busy(struct xds_stream *s, struct span type_url);
bool xds_server_asks(struct xds_stream *s, struct span type_url, struct span name);
void xds_server_each(struct xds_stream *s, struct span type_url,
                     void (*on_name)(void *arg, struct span name), void *arg);
/* The owner's own pointer for the stream. */
void xds_server_set(struct xds_stream *s, void *own);
void *xds_server_get(const struct xds_stream *s);
/* For the peer's identity and metadata. */
struct grpc_stream *xds_server_grpc(struct xds_stream *s);
/* "delta" or "sotw". */
const char *xds_server_protocol(const struct xds_stream *s);
/* Ends it with this status; on_close follows at once. */
void xds_server_close(struct xds_stream *s, enum grpc_status status, struct span message);
#endif

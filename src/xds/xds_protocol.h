#ifndef XDS_XDS_PROTOCOL_H
#define XDS_XDS_PROTOCOL_H
/* The bookkeeping of one stream of either protocol, both ends, without input or output: delta_protocol
 * (delta.c) and sotw_protocol (sotw.c) are two rows of the same table. Bytes in, bytes out, so that sequences
 * of messages can be tested and fuzzed.
 *
 *   client: subscribe* start ( next* receive )*    start again for each new stream
 *   server: new ( hear answer* )* free             one for each stream */
#include "base/buf.h"
#include "base/list.h"
#include "proto/core.pb.h"
#include "xds/xds.h"
#include "xds/xds_table.h"

/* A client's subscriptions, and what it holds. */
struct xds_subs {
    struct xds_table table;
    struct arena node_arena;
    struct pb_core_Node *node; /* in node_arena; NULL = none */
    bool node_is_told;
    struct list acks; /* responses not yet answered, in order */
    xds_on_update on_update;
    void *arg;
};

/* `node` (may be NULL) is copied. */
NONNULL_RETURN struct xds_subs *xds_protocol_subs_new(const struct pb_core_Node *node,
                                                      xds_on_update on_update, void *arg);
void xds_protocol_subs_free(struct xds_subs *s);
/* -ERR_LIMIT over the limits of xds.h. To subscribe anew to what is subscribed changes nothing. */
MUST_USE int xds_protocol_subscribe(struct xds_subs *s, struct span type_url, struct span name);
void xds_protocol_unsubscribe(struct xds_subs *s, struct span type_url, struct span name);

/* The consumer has these from elsewhere: as if they had been received, in the versions that are told (those without one are left out). */
void xds_protocol_hold(struct xds_subs *s, const struct xds_update *u);

/* What a request meant. Spans live until the next request of the stream. */
struct xds_ask {
    struct span type_url;
    const struct pb_core_Node *node; /* in the first request of a stream, else NULL */
    bool is_first;                   /* of this type */
    bool wants_answer;               /* there is something to be sent now */
    bool is_ack;                     /* of the answer last sent */
    bool is_nack;                    /* the same, refused: `why` */
    struct span why;
};

/* What there is to say about a type; the bookkeeping leaves out what the client has or did not ask for. */
struct xds_answer {
    struct span type_url;
    struct span version;
    const struct xds_resource *resources;
    size_t count;
    bool is_complete; /* all there are: others are gone. Else only what changed (sotw: not for
                                full types) */
    const struct span *gone; /* names, if not complete */
    size_t gone_count;
};

/* What a server knows of one stream's client. */
struct xds_session {
    struct xds_table table;
    struct arena arena; /* the request in hand */
    bool has_begun;
    uint64_t nonces;
};

NONNULL_RETURN struct xds_session *xds_protocol_session_new(void);
void xds_protocol_session_free(struct xds_session *s);
/* An answer is on its way that was neither accepted nor refused: the next had better wait. */
bool xds_protocol_is_waiting(struct xds_session *s, struct span type_url);
/* Is this name, or all of the type, asked for? */
bool xds_protocol_asks(struct xds_session *s, struct span type_url, struct span name);
/* Calls for each name asked for, XDS_WILDCARD among them. */
void xds_protocol_each(struct xds_session *s, struct span type_url,
                       void (*on_name)(void *arg, struct span name), void *arg);

struct xds_protocol {
    const char *name;
    const char *path; /* of the gRPC method */
    /* Client: a stream begins; subscriptions and what we hold will be told anew. */
    void (*start)(struct xds_subs *s);
    /* Client: appends the next request: 1, or 0 when there is nothing to say; -ERR_LIMIT when `out` is
     * full. Call until 0 after start, after receive, and after changes of subscriptions. */
    int (*next)(struct xds_subs *s, struct buf *out);
    /* Client: takes a response; on_update decides between ACK and NACK, which the next request says. 0
     * when it was taken, -ERR_CONFIG when it was refused (err is what the server is told); any other
     * code means that the stream is of no use. */
    int (*receive)(struct xds_subs *s, struct span wire, struct err *err);
    /* Server: takes a request and tells what it meant; an error means that the stream should end. */
    int (*hear)(struct xds_session *s, struct span wire, struct xds_ask *ask, struct err *err);
    /* Server: appends a response: 1, or 0 when the client has it all. -ERR_LIMIT when `out` is full;
     * then the stream should end. */
    int (*answer)(struct xds_session *s, const struct xds_answer *answer, struct buf *out);
};

extern const struct xds_protocol delta_protocol;
extern const struct xds_protocol sotw_protocol;

/* ---- for the two protocols only ---- */

/* A response that waits for its ACK or NACK. */
struct xds_ack {
    struct list node;
    struct xds_type *type;
    char *nonce; /* owned */
    char *why;   /* owned; NULL = ACK */
};
/* Notes an answer to a response. */
void xds_protocol_ack(struct xds_subs *s, struct xds_type *type, struct span nonce, int rc,
                      const struct err *err);
/* The oldest unanswered one of this type, taken from the list, or NULL. */
struct xds_ack *xds_protocol_ack_take(struct xds_subs *s, const struct xds_type *type);
void xds_protocol_ack_free(struct xds_ack *ack);
/* A new nonce for this type, in the session's table. */
struct span xds_protocol_nonce(struct xds_session *s, struct xds_type *type);
/* The first request is heard: its node, if any. */
const struct pb_core_Node *xds_protocol_begin(struct xds_session *s,
                                              const struct pb_core_Node *node);
#endif

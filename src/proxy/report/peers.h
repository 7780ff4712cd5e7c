#ifndef PROXY_REPORT_PEERS_H
#define PROXY_REPORT_PEERS_H
/* Istio's exchange of workload metadata between sidecars: each tells the other who it is, so that both can label what they count.
 * The form is a google.protobuf.Struct with NAME, NAMESPACE, WORKLOAD_NAME, OWNER, CLUSTER_ID and LABELS; in HTTP it goes as base64 in
 * x-envoy-peer-metadata, with the node's id in x-envoy-peer-metadata-id; in TCP as a frame before the first byte (ALPN
 * istio-peer-exchange): magic, length, google.protobuf.Any of a Struct with both. What a peer says is believed only after mutual TLS, and
 * only for the namespace that its certificate names.
 * Source: istio/proxy, filters peer_metadata (HTTP) and metadata_exchange (TCP). */
#include "base/arena.h"
#include "base/compiler.h"
#include "proxy/report/stats.h"

/* ---- what we say: made once, read by all threads ---- */
struct peer_self {
    struct span id;    /* of the node */
    struct span value; /* of the header; empty: there is nothing to tell */
    struct span frame; /* of TCP */
};

struct peer_facts {
    struct span node_id, name, owner;
    const struct stats_workload *self;
};
/* Lives in `arena`. */
NONNULL_RETURN const struct peer_self *peers_self_new(struct arena *arena,
                                                      const struct peer_facts *facts);

/* ---- what others say: a worker's memory of it ---- */
#define PEER_VALUE_MAX 4096     /* a longer header or frame is not read */
#define PEERS_BYTES_MAX 1048576 /* what a worker remembers of all; further ones stay unknown */

struct peer {
    struct span key; /* the bytes it came in */
    struct stats_workload labels;
};

struct peers;
NONNULL_RETURN struct peers *peers_new(void);
/* NULL is fine. */
void peers_free(struct peers *p);
/* Who a header, or the Any of a frame, tells of; read once, then found by its bytes. NULL: nonsense, or too many. The answer lives as
 * long as `p`. */
const struct peer *peers_of_header(struct peers *p, struct span value);
const struct peer *peers_of_frame(struct peers *p, struct span any);
/* Takes over what it says, unless it names another namespace than the peer's SPIFFE ID (or there is none: false). The principal stays. */
bool peers_believe(struct stats_workload *labels, const struct peer *told, struct span spiffe_id);

/* ---- the frame ---- */
#define PEER_MAGIC 0x3D230467u
#define PEER_FRAME_HEAD 8 /* magic and length, in network byte order */
/* Length of the Any after the head, PEER_MORE, or PEER_BAD when it does not begin with the magic. */
enum { PEER_MORE = -1, PEER_BAD = -2 };
ssize_t peers_frame_read(struct span bytes);
#endif

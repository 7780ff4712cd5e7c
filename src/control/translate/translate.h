#ifndef CONTROL_TRANSLATE_TRANSLATE_H
#define CONTROL_TRANSLATE_TRANSLATE_H
/* World + node -> xDS resources; pure, any thread, no I/O. One resource at a time, by type and name, so that a proxy that subscribes to
 * what it uses costs what it uses; the list of names serves wildcards. Names are Istio's:
 *
 *   Listener       "virtualOutbound", "virtualInbound" (interception REDIRECT, TPROXY); "<ip>_<port>" inbound ones (interception NONE);
 *                  "<ip>_<port>" of the HTTP proxy port; "0.0.0.0_<port>" or "<bind>_<port>" of gateways: all these are the node's own side,
 *                  and what "*" gives in on-demand discovery.
 *                  "<ip>:<port>" ("[v6]:port"): outbound, on demand, for a service's address or a headless endpoint.
 *                  Full discovery ("*"): "0.0.0.0_<port>" for HTTP ports and "<vip>_<port>" for the others, as Istio has them.
 *   Routes         "<port>" sidecar outbound; "http_proxy"; "http.<port>" and "https.<port>.<server>.<gateway>.<ns>" of gateways. Inbound
 *                  routes are inline in the listener ("inbound|<port>||").
 *                  On-demand: the table holds only the catch-all virtual host (allow_any, block_all) and `vhds`.
 *   VirtualHost    "<route name>/<host header as the client wrote it, lower case>": on demand only.
 *   Cluster        "outbound|<port>|<subset>|<host>", "inbound|<port>||", PassthroughCluster, InboundPassthroughCluster, BlackHoleCluster
 *   Endpoints      the cluster's name
 *   Secret         "kubernetes://NAME", "kubernetes-gateway://NS/NAME", and either with "-cacert": for gateways that name it
 *   NameTable      "<host>" one name a resource (NAME_TABLE_TYPE), on demand: answers of the proxy's DNS
 *
 * Sources: Istio's pilot (names, defaults: PERMISSIVE with auto mutual TLS, ALLOW_ANY, retries), Envoy's API. */
#include "base/arena.h"
#include "base/compiler.h"
#include "control/world/world.h"

#define NAME_TABLE_TYPE "type.googleapis.com/istio.networking.nds.v1.NameTable"

enum node_kind { NODE_SIDECAR, NODE_GATEWAY };
enum node_interception { NODE_REDIRECT, NODE_TPROXY, NODE_NONE };

/* Who asks: the xDS Node, read once per stream. Texts are in its arena. */
#define TRANSLATE_ALPN_FILTER "istio.alpn" /* Istio's, of HTTP; its Envoys are built with it */

struct node {
    struct arena arena;
    struct span id; /* "sidecar~10.0.0.5~reviews-v1.default~default.svc.cluster.local" */
    enum node_kind kind;
    struct ip *addresses; /* from the id, and INSTANCE_IPS; at least one */
    size_t address_count;
    struct span name, namespace, service_account, workload, cluster_id, network;
    struct label *labels;
    size_t label_count;
    enum node_interception interception;
    uint16_t http_proxy_port; /* HTTP_PROXY_PORT; 0 = none */
    struct ip
        app_address; /* MESH_APP_ADDRESS: where the application listens in interception NONE; family 0: 127.0.0.1 */
    struct span admin;   /* MESH_ADMIN: "unix:/path" or "ip:port" */
    bool on_demand;      /* MESH_DISCOVERY: on-demand */
    bool dns;            /* DNS_CAPTURE */
    bool hbone;          /* ENABLE_HBONE: understands internal listeners */
    bool no_alpn_filter; /* an Envoy that lists its extensions, and Istio's is not among them */
    struct span version; /* user agent */
    struct span region, zone, sub_zone;
    /* Filled by control: names that proxies of this workload have used; told to an on-demand node by its own listeners (metadata
     * "mesh.discovery"). Texts must live as long as the node; a change shows at the next translation. */
    const struct span *known;
    size_t known_count;
};
struct pb_core_Node;
/* -ERR_CONFIG: which part is missing or wrong. */
MUST_USE int node_read(struct node *n, const struct pb_core_Node *message, struct err *err);
void node_dispose(struct node *n);
/* "spiffe://td/ns/NS/sa/SA" that this node must prove; memory from `arena`. */
struct span node_identity(const struct node *n, const struct world *w, struct arena *arena);

enum translate_scope {
    TRANSLATE_FOR_NODE,      /* holds for this node only */
    TRANSLATE_FOR_NAMESPACE, /* for every node of its namespace and kind: may be shared between them */
};

struct translated {
    struct span value; /* the message's bytes, in `arena` */
    enum translate_scope scope;
    const struct world_service *service; /* endpoints and clusters: of which service; else NULL */
};
/* True: there is such a resource. False: there is none (removed_resources). */
bool translate(const struct world *w, const struct node *n, struct span type_url, struct span name,
               struct arena *arena, struct translated *out);
/* Names of all resources of the type that this node's wildcard gives, in `arena`. */
size_t translate_names(const struct world *w, const struct node *n, struct span type_url,
                       struct arena *arena, struct span **out);
/* The service of an endpoints resource's name, without translating: for the fast road. NULL: none. */
const struct world_service *translate_service_of(const struct world *w, struct span name);

/* The authorization of a workload's port in Envoy's form, the way its listener carries it: for `authz check|explain`, which evaluates it by
 * policy/rbac. DENY first, then ALLOW; NULL when there is none of that action. In `arena`. */
struct pb_rbac_RBAC;
struct translated_authz {
    const struct pb_rbac_RBAC *deny, *allow;
};
void translate_authz(const struct world *w, struct span namespace, const struct label *labels,
                     size_t label_count, uint16_t port, bool opaque, struct arena *arena,
                     struct translated_authz *out);
#endif

#ifndef PROXY_UPSTREAM_TUNNEL_H
#define PROXY_UPSTREAM_TUNNEL_H
/* A byte stream by CONNECT through a cluster: HBONE towards a workload (its port 15008), or TcpProxy.tunneling_config. Many tunnels
 * share a pooled HTTP/2 connection; an HTTP/1 cluster has one connection each.
 *
 *   WAITING (attempt: a connection, then the answer) --2xx--> on_done(io_tunnel)
 *                  | refused, lost, too late, or another identity: on_fail
 * Secure naming: the cluster's TLS says who may answer at all; `identity` narrows that to one (the workload behind the address).
 * In: upstream/connect, downstream/session_tcp. Next: http/io_tunnel.
 * Sources: Istio's HBONE; Envoy TcpProxy.TunnelingConfig; RFC 9113 section 8.5. */
#include "base/compiler.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/connect.h"

struct tunnel;
struct tunnel_spec {
    struct cluster *via;   /* borrowed for the call */
    const struct addr *to; /* for ORIGINAL_DST clusters, and the io's peer; may be NULL */
    struct span authority; /* copied */
    struct span identity;  /* copied; empty = anybody whom the cluster believes */
    int64_t timeout_ms;    /* until the tunnel stands */
    const struct connect_events *ev;
    void *arg;
};

/* Never calls back at once. on_done takes the io. */
struct tunnel *tunnel_start(const struct tunnel_spec *spec);
/* No answer will come. */
void tunnel_cancel(struct tunnel *t);
/* By which certificate we speak in it; empty where there is none. For on_done. */
struct span tunnel_local_uri(const struct tunnel *t);
#endif

#ifndef XDS_XDS_H
#define XDS_XDS_H
/* Words that both xDS protocols share (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol):
 * delta ("incremental") and sotw ("state of the world"). delta.h and sotw.h are their bookkeeping, without
 * input or output; xds_client.h, xds_server.h and xds_file.h move the bytes. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* The name that stands for all resources of a type. */
#define XDS_WILDCARD SPAN("*")

#define XDS_LISTENER "type.googleapis.com/envoy.config.listener.v3.Listener"
#define XDS_ROUTES "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
#define XDS_VIRTUAL_HOST "type.googleapis.com/envoy.config.route.v3.VirtualHost"
#define XDS_CLUSTER "type.googleapis.com/envoy.config.cluster.v3.Cluster"
#define XDS_ENDPOINTS "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
#define XDS_SECRET "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

/* Limits of one stream; a peer that goes over them loses it. */
#define XDS_TYPES_MAX 32        /* types in use */
#define XDS_NAMES_MAX 1000000   /* resources of one type, held or asked for */
#define XDS_NAME_BYTES_MAX 4096 /* of one name or type URL */

struct xds_resource {
    struct span name;
    struct span version; /* sotw: that of the response */
    struct span type_url;
    struct span value; /* the message's bytes */
};

/* One response, file, or other change of one type. Everything is borrowed for the call. */
struct xds_update {
    struct span type_url;
    struct span version; /* of the whole, for people */
    const struct xds_resource *added;
    size_t added_count;
    const struct span *removed; /* gone, or asked for and not there */
    size_t removed_count;
    bool full; /* `added` is all there is: what is not in it is gone */
};

/* Takes all of it, or nothing: then a negative code, and err says why, which becomes the NACK. */
typedef int (*xds_on_update)(void *arg, const struct xds_update *u, struct err *err);

/* "Listener" of a type URL, for log lines. */
struct span xds_short_type(struct span type_url);
/* Types of which a sotw response is full: Listener and Cluster. */
bool xds_type_is_full(struct span type_url);
/* What a sotw response or a file lists: a resource, or an envoy.service.discovery.v3.Resource around one. Fills
 * `to` but for its version; texts stay in `value` or go to `arena`. 1; 0 for an envelope without contents,
 * which only extends a time to live; -ERR_CONFIG. */
MUST_USE int xds_unwrap(struct arena *arena, struct span type_url, struct span value,
                        struct xds_resource *to, struct err *err);
/* The name in the message: field 1 of all our types. Empty when it has none. */
struct span xds_name_of(struct span value);
#endif

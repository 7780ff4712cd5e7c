#ifndef CONTROL_WORLD_WORLD_STATUS_H
#define CONTROL_WORLD_WORLD_STATUS_H
/* What an object's `status` says: conditions as Kubernetes has them, from a world and what was found wrong. Pure; the writer adds
 * observedGeneration (object.generation) and lastTransitionTime. All texts are in `arena`, or live as long as the world.
 * Sources: Gateway API v1 (apis/v1: GatewayConditionReason, ListenerConditionReason, RouteConditionReason, GatewayClassConditionReason; GEP-1364 "Status
 * and Conditions Update"); for Istio's kinds the words are ours: Accepted (taken, in force), ResolvedRefs (all that it names is there), Programmed.
 * In: world, findings. Next: the writer of status (control in Kubernetes). */
#include "base/arena.h"
#include "control/world/world.h"

struct world_status_condition {
    const char *type;    /* "Accepted" */
    const char *status;  /* "True", "False", "Unknown" */
    const char *reason;  /* "NoMatchingListenerHostname" */
    struct span message; /* a sentence; never empty */
};
#define WORLD_STATUS_CONDITIONS_MAX 4
struct world_status_conditions {
    struct world_status_condition items[WORLD_STATUS_CONDITIONS_MAX];
    size_t count;
};
const struct world_status_condition *world_status_condition_of(
    const struct world_status_conditions *c, const char *type);

/* One pass: findings of sources (what could not be read) and of the world, by object. */
struct world_status {
    const struct world *world;
    const struct findings *findings; /* both kinds in one list (findings_copy); may be NULL */
    struct arena *arena;
};

/* ---- Gateway API ---- */

struct world_status_kind { /* supportedKinds */
    const char *group, *kind;
};
struct world_status_listener {
    struct span name;
    uint32_t attached_routes;
    struct world_status_kind kinds[2];
    size_t kind_count;
    struct world_status_conditions conditions; /* Accepted, ResolvedRefs, Conflicted, Programmed */
};
struct world_status_address {
    const char *type; /* "IPAddress", "Hostname" */
    struct span value;
};
struct world_status_gateway {
    struct world_status_conditions conditions; /* Accepted, Programmed */
    const struct world_status_listener *listeners;
    size_t listener_count;
    const struct world_status_address *addresses; /* of the Service in front of its proxies */
    size_t address_count;
};
/* False: it is another controller's, and its status is none of our business. */
MUST_USE bool world_status_gateway(const struct world_status *s, const struct object *gateway,
                                   struct world_status_gateway *out);

/* One of status.parents; the reference as the route wrote it, absent parts empty. */
struct world_status_parent {
    struct span group, kind, namespace, name, section;
    bool has_port;
    uint16_t port;
    struct world_status_conditions conditions; /* Accepted, ResolvedRefs */
};
struct world_status_route {
    const struct world_status_parent *parents; /* only those that are ours */
    size_t parent_count;
};
void world_status_route(const struct world_status *s, const struct object *route,
                        struct world_status_route *out);

/* False: another controller's. */
MUST_USE bool world_status_class(const struct world_status *s, const struct object *class,
                                 struct world_status_conditions *out);

/* ---- Istio's kinds ---- */
/* False: the kind has no status of ours (Service, Pod ...). */
MUST_USE bool world_status_istio(const struct world_status *s, const struct object *o,
                                 struct world_status_conditions *out);
/* The same of one that is not in force, as no version of it could ever be read. */
MUST_USE bool world_status_named(const struct world_status *s, enum object_kind kind,
                                 struct span namespace, struct span name,
                                 struct world_status_conditions *out);
#endif

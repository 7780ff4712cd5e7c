#ifndef CONTROL_WORLD_WORLD_INT_H
#define CONTROL_WORLD_WORLD_INT_H
/* What the files of world/ share: the tables behind the lookups, and the steps of a build in their order. All steps write
 * into the config's arena, and point into objects, of which the config holds a reference. */
#include "control/world/world.h"
#include "model/spec.h"

/* ---- growing list of pointers on the heap ---- */
struct world_ptrs {
    void **items; /* owned; what they point to is not */
    size_t count, room;
};
void world_ptrs_add(struct world_ptrs *p, void *item);
/* Takes it out if it is there; the order of the others changes. */
void world_ptrs_remove(struct world_ptrs *p, const void *item);
bool world_ptrs_has(const struct world_ptrs *p, const void *item);
void world_ptrs_dispose(struct world_ptrs *p);

/* ---- tables ---- */
struct world_address { /* of config.by_address */
    struct ip ip;      /* all of it is the key */
    const struct world_service **services;
    size_t count;
};
struct world_range { /* of config.ranges */
    struct cidr cidr;
    const struct world_service *service;
};
struct world_candidates { /* virtual hosts of one host, in order of precedence */
    struct span host;
    const struct world_virtual_host **items;
    size_t count;
};

static inline unsigned world_shard_of(const struct ip *ip)
{
    uint32_t hash = 2166136261U; /* FNV-1a: who chooses addresses is the mesh's own people */
    for (size_t i = 0; i < ip_len(ip); i++) {
        hash = (hash ^ ip->bytes[i]) * 16777619U;
    }
    return (hash ^ hash >> 15) % WORLD_SHARDS;
}
static inline struct span world_ip_key(const struct ip *ip)
{
    return span_from(ip, sizeof(*ip));
}

/* ---- names and visibility ---- */
/* As world_find_host, for what objects write: visibility only decides among several of one host. */
const struct world_service *world_resolve(const struct world_config *c, struct span host,
                                          struct span namespace);
const struct world_service *world_find_in(const struct world_config *c, struct span host,
                                          struct span client_namespace);
/* What exportTo says, with "." resolved; no entries: everywhere. */
void world_export_to(struct world_config *c, const struct spec_texts *words, struct span namespace,
                     const struct span **out, size_t *count);
bool world_is_exported(const struct span *export_to, size_t count, struct span namespace);
/* "*.x" covers "a.x" and "*.a.x"; "*" covers all; else equality. */
bool world_host_covers(struct span wide, struct span host);
/* All of them are among the labels. No `wanted`: true. */
bool world_labels_match(const struct label *wanted, size_t wanted_count, const struct label *labels,
                        size_t count);
/* Calls `found` for each wildcard of the table that covers `host` ("*.b.c", "*.c", "*"), longest first, until it answers true. */
bool world_each_wildcard(const struct map *table, struct span host,
                         bool (*found)(void *arg, void *value), void *arg);
/* Oldest first, then namespace, then name: how all objects are ordered that compete. */
int world_object_order(const struct object *a, const struct object *b);

/* ---- steps of a build of config, in their order; lower_destination_rules (lower.h) comes after services ---- */
struct world_vips;
void world_mesh_lower(struct world_config *c, struct span trust_domain, struct span cluster_id);
void world_services_lower(struct world_config *c, struct world_vips *vips);
void world_gateways_lower(struct world_config *c);
void world_routes_lower(struct world_config *c);
void world_security_lower(struct world_config *c);

/* ---- virtual addresses that we give: world_vips.c ---- */
#define WORLD_VIPS_RANGE "240.240.0.0/16"
NONNULL_RETURN struct world_vips *world_vips_new(void);
void world_vips_free(struct world_vips *v);
/* A round: begin, then claim what objects say themselves, then give, then end (what was not asked for again is free). */
void world_vips_begin(struct world_vips *v);
void world_vips_claim(struct world_vips *v, const struct ip *ip);
/* The same address for the same key as long as it is asked for in each round. False: all are taken. */
MUST_USE bool world_vips_give(struct world_vips *v, struct span key, struct ip *out);
void world_vips_end(struct world_vips *v);

/* ---- endpoints: world_endpoints.c ---- */
/* From all that contribute: EndpointSlices, WorkloadEntries and Pods (`members`), and the ServiceEntry's own. What a slice does not say of an
 * endpoint is taken from its Pod, or from what is at its address. One reference for the caller. */
struct world_endpoint_source {
    const struct world_service *service;
    const struct object *const *members;
    size_t member_count;
    /* Where Pods are known an endpoint whose Pod is not (yet, or any more) is left out, and `on_unknown` told: else it would be taken for one
     * without identity. */
    bool has_pods;
    const struct object *(*pod_of)(void *arg, struct span namespace, struct span name);
    const struct object *(*node_of)(void *arg, struct span name);
    const struct object *(*occupant_at)(void *arg, const struct ip *ip); /* Pod, WorkloadEntry */
    void (*on_unknown)(void *arg, struct span namespace, struct span pod);
    void *arg;
};
NONNULL_RETURN struct world_endpoints *world_endpoints_new(const struct world_endpoint_source *s);
struct world_endpoints *world_endpoints_ref(struct world_endpoints *e);
void world_endpoints_unref(struct world_endpoints *e);
/* The first item of a service port at an address, or where it would be. */
size_t world_endpoints_find(const struct world_endpoints *e, uint16_t service_port,
                            const struct ip *ip);
int world_endpoint_order(const struct world_endpoint *a, const struct world_endpoint *b);
/* Labels of a WorkloadEntry: those of its metadata win over those of its spec (Istio's rule). In the arena if need be. */
const struct label *world_entry_labels(const struct object *entry, struct arena *arena,
                                       size_t *count);
/* Name, canonical name and revision of what has these labels. */
struct world_names {
    struct span workload, app, version;
};
struct world_names world_names_of(const struct label *labels, size_t count, struct span name);

/* ---- who contributes to which service: world_members.c ---- */
/* Of one config; the builder's memory. */
struct world_members;
NONNULL_RETURN struct world_members *world_members_new(const struct world_config *c);
void world_members_free(struct world_members *m);
/* An EndpointSlice, WorkloadEntry or Pod came or went. Calls for each service that it contributes to, once. */
void world_members_add(struct world_members *m, const struct object *o,
                       void (*on_service)(void *arg, unsigned service), void *arg);
void world_members_remove(struct world_members *m, const struct object *o,
                          void (*on_service)(void *arg, unsigned service), void *arg);
/* The services that it contributes to. */
void world_members_each(struct world_members *m, const struct object *o,
                        void (*on_service)(void *arg, unsigned service), void *arg);
const struct world_ptrs *world_members_of(const struct world_members *m, unsigned service);

/* ---- workloads: world_workloads.c ---- */
/* What is known of each address; the builder's memory. */
struct world_places;
NONNULL_RETURN struct world_places *world_places_new(void);
void world_places_free(struct world_places *p);
void world_places_clear(struct world_places *p);
/* A WorkloadEntry or Pod came or went. Calls for each service with an endpoint at its addresses: an EndpointSlice's endpoint there
 * takes labels and identity from it. A Pod in its node's network is no workload of its own, and one that has ended is none any more. */
void world_places_add(struct world_places *p, const struct object *occupant,
                      void (*on_service)(void *arg, unsigned service), void *arg);
void world_places_remove(struct world_places *p, const struct object *occupant,
                         void (*on_service)(void *arg, unsigned service), void *arg);
/* The services with an endpoint at its addresses. */
void world_places_each_service(struct world_places *p, const struct object *occupant,
                               void (*on_service)(void *arg, unsigned service), void *arg);
/* A Pod was replaced by one that says the same of itself (pod_is_same): nothing changes at its addresses. */
void world_places_swap(struct world_places *p, const struct object *before,
                       const struct object *after);
/* Endpoints of a service were replaced; either may be NULL. */
void world_places_replace(struct world_places *p, unsigned service,
                          const struct world_endpoints *before,
                          const struct world_endpoints *after);
/* What is there: a Pod before a WorkloadEntry; NULL: nothing that is known. */
const struct object *world_places_occupant_at(const struct world_places *p, const struct ip *ip);
/* Makes the shards of `w` (all are NULL before) anew where something changed, else takes those of `before`; counts. */
void world_places_build(struct world_places *p, struct world *w, const struct world *before);
/* Addresses that changed since the last call, in the places' memory until then. */
size_t world_places_changed(struct world_places *p, const struct ip **out);
struct world_shard *world_shard_ref(struct world_shard *s);
void world_shard_unref(struct world_shard *s);
#endif

/* In: cluster. Next: keeper. */
#include "control/cluster/root_maps.h"

#include "control/cluster/cluster_object.h"

static const struct kube_kind config_maps = {
    .group = "", .version = "v1", .plural = "configmaps", .namespaced = true};

static void want_map(struct keeper *k, const struct object *ns, const char *name,
                     struct span roots_pem)
{
    struct arena arena;
    arena_init(&arena, 8192);
    struct doc_node *map = cluster_object(&arena, "v1", "ConfigMap", ns->name, span_of(name));
    doc_set_text(&arena, doc_map_in(&arena, map, "data"), "root-cert.pem", roots_pem);
    keeper_want(k, &(struct keeper_want){.kind = &config_maps,
                                         .object = map,
                                         .salt = (uint64_t)ns->created_us}); /* made anew */
    arena_dispose(&arena);
}

void root_maps_want(struct keeper *k, const struct world *w, struct span roots_pem)
{
    for (struct map_slot *s = NULL; (s = map_next(&w->config->namespaces, s));) {
        const struct object *ns = s->value;
        if (doc_path(ns->doc, "metadata.deletionTimestamp") == NULL) {
            want_map(k, ns, "istio-ca-root-cert", roots_pem);
            want_map(k, ns, "mesh-ca-root-cert", roots_pem);
        }
    }
}

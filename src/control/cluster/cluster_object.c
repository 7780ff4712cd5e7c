#include "control/cluster/cluster_object.h"

struct doc_node *cluster_object(struct arena *arena, const char *api_version, const char *kind,
                                struct span ns, struct span name)
{
    struct doc_node *object = doc_new_map(arena);
    doc_set_text(arena, object, "apiVersion", span_of(api_version));
    doc_set_text(arena, object, "kind", span_of(kind));
    struct doc_node *meta = doc_map_in(arena, object, "metadata");
    doc_set_text(arena, meta, "name", name);
    if (ns.len > 0) {
        doc_set_text(arena, meta, "namespace", ns);
    }
    struct doc_node *labels = doc_map_in(arena, meta, "labels");
    doc_set_text(arena, labels, "app.kubernetes.io/managed-by", SPAN("mesh"));
    doc_set_text(arena, labels, "app.kubernetes.io/part-of", SPAN("mesh"));
    return object;
}

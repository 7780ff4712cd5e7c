/* What is kept of an object: a tree of names for each kind that there is much of.
 * In: from_kube (documents).  Next: model/object. */
#include "control/sources/from_kube_prune.h"

#include "mesh/names.h"

struct keep {
    const char *name;         /* NULL ends */
    const struct keep *below; /* NULL: all of it. Of a list: of each item */
};

#define ALL(name) {(name), NULL}
#define TYPE ALL("apiVersion"), ALL("kind")
#define END {NULL, NULL}

static const struct keep name_only[] = {ALL("name"), ALL("namespace"), ALL("creationTimestamp"),
                                        END};

/* ---- Pod ---- */
static const struct keep owner[] = {ALL("kind"), ALL("name"), ALL("controller"), END};
static const struct keep pod_metadata[] = {ALL("name"),
                                           ALL("namespace"),
                                           ALL("creationTimestamp"),
                                           ALL("labels"),
                                           ALL("deletionTimestamp"),
                                           {"ownerReferences", owner},
                                           END};
static const struct keep port[] = {ALL("name"), ALL("containerPort"), END};
static const struct keep container[] = {{"ports", port}, END};
static const struct keep pod_spec[] = {ALL("serviceAccountName"),
                                       ALL("nodeName"),
                                       ALL("hostNetwork"),
                                       {"containers", container},
                                       {"initContainers", container},
                                       END};
static const struct keep condition[] = {ALL("type"), ALL("status"), END};
static const struct keep pod_status[] = {
    ALL("phase"), ALL("podIP"), ALL("podIPs"), {"conditions", condition}, END};
static const struct keep pod[] = {
    TYPE, {"metadata", pod_metadata}, {"spec", pod_spec}, {"status", pod_status}, END};

/* ---- Node, Namespace, ServiceAccount ---- */
static const struct keep node_labels[] = {ALL(LABEL_REGION), ALL(LABEL_ZONE), ALL(LABEL_SUBZONE),
                                          END};
static const struct keep node_metadata[] = {ALL("name"), {"labels", node_labels}, END};
static const struct keep node[] = {TYPE, {"metadata", node_metadata}, END};
static const struct keep labelled[] = {ALL("name"), ALL("creationTimestamp"), ALL("labels"), END};
static const struct keep namespace[] = {TYPE, {"metadata", labelled}, END};
static const struct keep account[] = {TYPE, {"metadata", name_only}, END};

/* ---- EndpointSlice ---- */
static const struct keep slice_labels[] = {ALL(LABEL_SLICE_SERVICE), END};
static const struct keep slice_metadata[] = {
    ALL("name"), ALL("namespace"), ALL("creationTimestamp"), {"labels", slice_labels}, END};
static const struct keep target[] = {ALL("kind"), ALL("namespace"), ALL("name"), END};
static const struct keep endpoint[] = {ALL("addresses"),
                                       ALL("conditions"),
                                       ALL("hostname"),
                                       ALL("nodeName"),
                                       {"targetRef", target},
                                       ALL("zone"),
                                       END};
static const struct keep slice[] = {TYPE,         {"metadata", slice_metadata}, ALL("addressType"),
                                    ALL("ports"), {"endpoints", endpoint},      END};

/* ---- Secret ---- */
static const struct keep secret_data[] = {ALL("tls.crt"), ALL("tls.key"), ALL("ca.crt"),
                                          ALL("ca.crl"),  ALL("cert"),    ALL("key"),
                                          ALL("cacert"),  ALL("crl"),     END};
static const struct keep secret[] = {
    TYPE, {"metadata", name_only}, ALL("type"), {"data", secret_data}, END};

/* ---- copying ---- */

static struct doc_node *copy(struct arena *arena, const struct doc_node *from)
{
    struct doc_node *to;
    switch (from->kind) {
    case DOC_LIST:
        to = doc_new_list(arena);
        for (size_t i = 0; i < from->count; i++) {
            doc_list_add(arena, to, copy(arena, from->entries[i].value));
        }
        return to;
    case DOC_MAP:
        to = doc_new_map(arena);
        for (size_t i = 0; i < from->count; i++) {
            doc_set_span(arena, to, from->entries[i].key, copy(arena, from->entries[i].value));
        }
        return to;
    case DOC_NULL:
    case DOC_BOOL:
    case DOC_INT:
    case DOC_DOUBLE:
    case DOC_TEXT:
        break;
    }
    to = doc_dup(arena, from);
    to->line = 0;
    to->file = NULL;
    return to;
}

/* The trees are a few levels deep. NULL: nothing is left. */
static struct doc_node *copy_kept(struct arena *arena, const struct doc_node *from,
                                  const struct keep *keep)
{
    if (keep == NULL || from->kind < DOC_LIST) {
        return copy(arena, from);
    }
    struct doc_node *to = NULL;
    if (from->kind == DOC_LIST) {
        for (size_t i = 0; i < from->count; i++) {
            struct doc_node *item = copy_kept(arena, from->entries[i].value, keep);
            to = to != NULL || item == NULL ? to : doc_new_list(arena);
            if (item != NULL) {
                doc_list_add(arena, to, item);
            }
        }
        return to;
    }
    for (; keep->name != NULL; keep++) {
        const struct doc_node *value = doc_get(from, keep->name);
        struct doc_node *kept =
            value != NULL && value->kind != DOC_NULL ? copy_kept(arena, value, keep->below) : NULL;
        if (kept != NULL) {
            to = to != NULL ? to : doc_new_map(arena);
            doc_set(arena, to, keep->name, kept);
        }
    }
    return to;
}

/* Of a Pod's conditions only Ready is asked for. */
static void keep_ready(struct arena *arena, struct doc_node *pod_doc)
{
    struct doc_node *status = doc_get(pod_doc, "status");
    const struct doc_node *all = doc_get(status, "conditions");
    struct doc_node *kept = doc_new_list(arena);
    for (size_t i = 0; i < doc_count(all); i++) {
        const struct doc_node *type = doc_get(doc_at(all, i), "type");
        if (doc_is(type, DOC_TEXT) && span_is(type->text, "Ready")) {
            doc_list_add(arena, kept, doc_at(all, i));
        }
    }
    if (doc_count(kept) > 0) {
        doc_set(arena, status, "conditions", kept);
    } else if (all != NULL) {
        (void)doc_remove(status, "conditions"); /* it is there */
        if (doc_count(status) == 0) {
            (void)doc_remove(pod_doc, "status"); /* it is there */
        }
    }
}

static void drop_noise(enum object_kind kind, struct doc_node *doc)
{
    static const char *const noise[] = {"managedFields", "resourceVersion", "selfLink"};
    bool keeps_status =
        kind == OBJECT_GATEWAY || kind == OBJECT_HTTP_ROUTE || kind == OBJECT_GATEWAY_CLASS;
    struct doc_node *metadata = doc_get(doc, "metadata");
    for (size_t i = 0; doc_is(metadata, DOC_MAP) && i < ARRAY_LEN(noise); i++) {
        (void)doc_remove(metadata, noise[i]); /* it may have none */
    }
    struct doc_node *annotations = doc_get(metadata, "annotations");
    if (doc_is(annotations, DOC_MAP)) {
        (void)doc_remove(annotations, "kubectl.kubernetes.io/last-applied-configuration");
    }
    if (!keeps_status && kind != OBJECT_SERVICE) {
        (void)doc_remove(doc, "status");
    } else if (kind == OBJECT_SERVICE && doc_is(doc_get(doc, "status"), DOC_MAP)) {
        (void)doc_remove(doc_get(doc, "status"), "conditions");
    }
}

static const struct keep *keep_of(enum object_kind kind)
{
    return kind == OBJECT_POD               ? pod
           : kind == OBJECT_NODE            ? node
           : kind == OBJECT_NAMESPACE       ? namespace
           : kind == OBJECT_SERVICE_ACCOUNT ? account
           : kind == OBJECT_ENDPOINT_SLICE  ? slice
           : kind == OBJECT_SECRET          ? secret
                                            : NULL;
}

struct doc_node *from_kube_prune(struct arena *arena, enum object_kind kind,
                                 const struct doc_node *doc)
{
    const struct keep *keep = keep_of(kind);
    if (doc->kind != DOC_MAP) {
        return copy(arena, doc);
    }
    struct doc_node *out = keep != NULL ? copy_kept(arena, doc, keep) : copy(arena, doc);
    if (out == NULL) {
        return doc_new_map(arena);
    }
    if (kind == OBJECT_POD) {
        keep_ready(arena, out);
    } else if (keep == NULL) {
        drop_noise(kind, out);
    }
    return out;
}

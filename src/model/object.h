#ifndef MODEL_OBJECT_H
#define MODEL_OBJECT_H
/* The objects people write, whatever brought them: Kubernetes-shaped documents turned into plain structs. An object is
 * immutable once made, counted, and may be read from any thread. Kinds are rows of kinds.def; the struct of each kind's spec is in its own
 * header. Sources: Kubernetes API conventions (metadata), Gateway API v1, Istio networking/v1 and security/v1. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "codec/doc.h"
#include "mesh/selector.h"
#include "model/finding.h"

enum object_kind {
#define KIND(id, group, versions, kind, plural, short_names, namespaced) OBJECT_##id,
#include "model/kinds.def"
#undef KIND
    OBJECT_KIND_COUNT
};

struct object_kind_row {
    const char *group;       /* "" for core */
    const char *versions;    /* comma-separated, the first is the one we write: "v1,v1beta1" */
    const char *kind;        /* "HTTPRoute" */
    const char *plural;      /* "httproutes" */
    const char *short_names; /* comma-separated, may be "": "vs" */
    bool namespaced;
};
extern const struct object_kind_row object_kinds[OBJECT_KIND_COUNT];
/* By kind, plural, singular or short name, any case, with an optional ".group". -1: none. */
int object_kind_find(struct span word);

#define OBJECT_KEY_BYTES 512
/* The key that an object of this kind and name has, in `to`; empty: there is no such object, as it would be longer than any. */
struct span object_key(enum object_kind kind, struct span namespace, struct span name,
                       char to[static OBJECT_KEY_BYTES]);

struct object {
    enum object_kind kind;
    struct span namespace; /* empty for kinds without one; "default" when the text names none */
    struct span name;
    struct span
        key; /* "virtualservices.networking.istio.io/default/reviews"; namespace "-" of kinds without: as the API's paths */
    struct label *labels;
    size_t label_count;
    struct label *annotations;
    size_t annotation_count;
    int64_t generation;
    int64_t created_us;   /* metadata.creationTimestamp, wall time; 0 = not told */
    struct span file;     /* where it came from; empty: API or store */
    struct doc_node *doc; /* the whole document, as it was written */
    const void *spec;     /* struct <kind>_spec of the kind's header */
    unsigned refs;        /* private; atomic */
    struct arena arena;   /* private; owns everything above */
};

/* Reads one document. Findings (also warnings on objects that are taken: an unknown field has no effect and is said) go to `f`, with
 * file and line of the text. NULL when it can not be taken: then there is an ERROR, or a WARNING that its kind is none of
 * ours (a Deployment beside its Service is no mistake). The document is copied. */
struct object *object_read(const struct doc_node *doc, struct findings *f);
/* A whole text, YAML with any number of documents, or JSON (an object, or a List of them). `file` names it in findings. `on_object` gets each good
 * one, with a reference it owns. Bad ones leave findings, the others are still read. Answers the number of good ones. */
size_t object_read_text(struct span text, const char *file, struct findings *f,
                        void (*on_object)(void *arg, struct object *o), void *arg);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);                               /* NULL is fine */
struct span object_label(const struct object *o, const char *key); /* NULL `at`: none */
struct span object_annotation(const struct object *o, const char *key);
#endif

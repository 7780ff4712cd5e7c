#ifndef KUBE_REFLECTOR_INT_H
#define KUBE_REFLECTOR_INT_H
/* What the parts of the reflector share: reading objects and watch events (reflector_event.c), and the book of what was told (reflector_book.c). */
#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "kube/reflector.h"

/* A member that is text, or empty. */
static inline struct span reflector_text(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

/* The part of metadata that following needs; of the document. `namespace` and `uid` may be empty. */
struct reflector_meta {
    struct span namespace, name, uid, version;
};
/* -ERR_PROTO: no object of Kubernetes, with the reason. */
MUST_USE int reflector_meta_read(const struct doc_node *object, struct reflector_meta *meta,
                                 struct err *err);

enum reflector_event_type {
    REFLECTOR_ADDED,
    REFLECTOR_MODIFIED,
    REFLECTOR_DELETED,
    REFLECTOR_BOOKMARK, /* only meta.version is there */
    REFLECTOR_ERROR,    /* only status, why and retry_after_s are there */
    REFLECTOR_OTHER,    /* of a server that is newer than we; to be passed over */
};
struct reflector_event {
    enum reflector_event_type type;
    struct doc_node *object;
    struct reflector_meta meta;
    int64_t status;        /* ERROR: Status.code; 410 also for the reasons Expired and Gone */
    int64_t retry_after_s; /* ERROR: -1 = not told */
    struct span why;       /* ERROR: Status.message */
};
/* One line of a watch; what is found lives in `arena`. -ERR_PROTO and the like: the line is none. */
MUST_USE int reflector_event_read(struct arena *arena, struct span line,
                                  struct reflector_event *out, struct err *err);

/* What was told: per object its key, and version and uid as numbers. */
struct reflector_known;
struct reflector_book {
    struct map known; /* "namespace/name" -> struct reflector_known, owned */
    uint32_t round;   /* of the list in hand */
};
void reflector_book_init(struct reflector_book *b);
void reflector_book_dispose(struct reflector_book *b);
/* A list begins: reflector_book_sweep then finds what it did not have. */
void reflector_book_begin(struct reflector_book *b);
/* The object is there: true when it must be told (new, or another version). */
bool reflector_book_note(struct reflector_book *b, const struct reflector_meta *m);
/* The object is gone: true when that must be told (it was told, and is not another of the same name). */
bool reflector_book_drop(struct reflector_book *b, const struct reflector_meta *m);
typedef void (*reflector_on_gone)(void *arg, struct span ns, struct span name);
/* Takes out what was not noted since reflector_book_begin and tells it; ends early when *stop becomes true. Returns how many were told. */
size_t reflector_book_sweep(struct reflector_book *b, reflector_on_gone on_gone, void *arg,
                            const bool *stop);
#endif

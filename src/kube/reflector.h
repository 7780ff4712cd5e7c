#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H
/* Follows one collection: list in pages, then watch with bookmarks from there; on 410 or a gap, list again; on errors, again after a back-off with jitter (250 ms
 * doubling to 30 s); what vanished between is told as gone. Every `relist_ms` the collection is listed afresh and compared with what was told, so
 * that a lost event can not leave anything stale for longer.
 * Sources: Kubernetes "API Concepts" (efficient detection of changes, resource versions, bookmarks, 410 Gone), client-go tools/cache Reflector. */
#include "base/compiler.h"
#include "codec/doc.h"
#include "kube/kube_client.h"
#include "kube/kube_path.h"

enum reflector_state {
    REFLECTOR_LISTING, /* not yet synced once */
    REFLECTOR_SYNCED,
    REFLECTOR_BEHIND, /* was synced; the server can not be reached: what was told may be old */
    REFLECTOR_ABSENT, /* 404: the server has no such kind; asked again every 10 s; counts as synced, empty */
    REFLECTOR_DENIED, /* 403 to listing or watching: asked again every 30 s; counts as synced with what was told before */
};
struct reflector_spec {
    struct kube_client *client;
    struct kube_kind kind;
    struct span namespace;      /* empty = all */
    const char *label_selector; /* NULL = none; unescaped */
    const char *field_selector;
    unsigned page;     /* 0 = 500 */
    int64_t relist_ms; /* 0 = 5 min; -1 = never */
    /* `doc` is the whole object, for the time of the call only, with apiVersion and kind filled in (lists leave them out). Told only when its resourceVersion is
     * another than the one told before. An object that was deleted and made again while nobody watched is told by this alone, with its other uid: there is no
     * on_gone between. */
    void (*on_object)(void *arg, const struct doc_node *doc);
    void (*on_gone)(void *arg, struct span ns, struct span name);
    /* After each batch (a list that was told whole, even if it held nothing new, and after its on_state; what one turn of the loop brought of a watch): a
     * good time to settle. */
    void (*on_batch)(void *arg);
    /* It became another. A cut that the next try mends is not told. May be NULL, as on_batch may. */
    void (*on_state)(void *arg, enum reflector_state state, const char *why);
    void *arg;
};
struct reflector;
/* All texts are copied. Tells nothing before it returned. */
NONNULL_RETURN struct reflector *reflector_new(const struct reflector_spec *spec);
/* Tells nothing any more; NULL is fine. Before kube_client_free; callbacks may call it. */
void reflector_free(struct reflector *r);
enum reflector_state reflector_state(const struct reflector *r);
size_t reflector_count(const struct reflector *r);
/* Lists afresh now (it goes on if it does so already). */
void reflector_relist(struct reflector *r);
#endif

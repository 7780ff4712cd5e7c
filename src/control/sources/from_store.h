#ifndef CONTROL_SOURCES_FROM_STORE_H
#define CONTROL_SOURCES_FROM_STORE_H
/* Objects that came by the API, kept in the store: loaded at start, changed all or nothing, and in force only once the store has
 * them on its disk. */
#include "base/compiler.h"
#include "base/err.h"
#include "control/sources/source.h"
#include "store/store.h"

struct from_store;
/* `on_loaded` comes once all objects are in `sources` (the caller settles), or with an error. What can no longer be read is left out, with a finding. */
NONNULL_RETURN struct from_store *from_store_new(
    struct loop *loop, struct sources *sources, struct store *store,
    void (*on_loaded)(void *arg, const struct err *err), void *arg);
/* Changes under way are carried out, but their on_done hears that control is stopping. NULL is fine. */
void from_store_free(struct from_store *f);

/* One step of a change. `object` as it shall be (with its generation in the document), NULL: `key` shall be gone. */
struct from_store_step {
    struct object *object; /* borrowed */
    struct span key;
};
/* All of them or none. Carried out one after the other, in the order of the calls; sources are told and settled, then `on_done` (err NULL: it is on the disk). */
void from_store_change(struct from_store *f, const struct from_store_step *steps, size_t count,
                       struct span author, void (*on_done)(void *arg, const struct err *err),
                       void *arg);
/* As the changes under way will leave it; `is_kept` (may be NULL): the store has confirmed it. */
const struct object *from_store_get(const struct from_store *f, struct span key, bool *is_kept);
#endif

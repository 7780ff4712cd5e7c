#ifndef INJECT_POD_UNDO_H
#define INJECT_POD_UNDO_H
/* The way back: how a pod with its proxy becomes what it was, kept in the pod itself, so that `mesh uninject` needs nothing else. It names what came and what
 * was there before, by names and not by positions, so that what people change afterwards stays.
 *
 *   {"metadata": {"labels": {"security.istio.io/tlsMode": null}},
 *    "spec": {"volumes": {"mesh-root": null, "$made": true}, "containers": {"app": {"livenessProbe": {"$was": {...}}}}}}
 *
 * null: it came; $was: the value before; $made: the list or map came too, and goes if it is empty. */
#include "base/arena.h"
#include "base/compiler.h"
#include "codec/doc.h"

/* Metadata and spec alone. NULL: they are equal. */
struct doc_node *pod_undo_make(const struct doc_node *now, const struct doc_node *before,
                               struct arena *arena);
/* Changes `pod`. What does not fit to it any more is left out. */
void pod_undo_apply(struct doc_node *pod, const struct doc_node *undo, struct arena *arena);
#endif

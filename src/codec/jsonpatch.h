#ifndef CODEC_JSONPATCH_H
#define CODEC_JSONPATCH_H
/* JSON Patch: what has to be done to a document so that it becomes another (RFC 6902), with places as JSON Pointers (RFC 6901). */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"

#define JSONPATCH_OPS_MAX 10000

/* A list of operations (add, remove, replace). Entries of lists that are maps with the same `name` count as one that changed, as Kubernetes' lists are
 * meant: a container in front of others is one `add`. Empty list: they are equal. Values are shared with `to`. */
NONNULL_RETURN struct doc_node *jsonpatch_make(struct arena *arena, const struct doc_node *from,
                                               const struct doc_node *to);
/* All operations, or none: `target` is not touched. -ERR_CONFIG: "operation 3 (remove /spec/x): there is nothing"; -ERR_DENIED: a `test` did not hold;
 * -ERR_LIMIT: more than JSONPATCH_OPS_MAX, or what comes out is larger or deeper than doc.h has it. */
MUST_USE int jsonpatch_apply(struct arena *arena, const struct doc_node *target,
                             const struct doc_node *patch, struct doc_node **out, struct err *err);
#endif

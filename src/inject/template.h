#ifndef INJECT_TEMPLATE_H
#define INJECT_TEMPLATE_H
/* Documents with holes: templates/NAME.yaml, read as plain YAML, whose texts are then filled in. There is no language in it but this:
 *
 *   ${name}         alone: the value itself, of whatever kind. Where it has none, the key or item falls away; in a list, a list's
 *                   items come one by one. Within other text: the text or number.
 *   $if: name       in a map: the map falls away unless the value is there and not false; "!name" the other way round
 *
 * So a value can never be more than a value, whatever is written in it. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"

/* One of templates/, or NULL. */
const struct doc_node *template_find(struct span name, struct arena *arena);
/* `values`: a map; null = known, without a value. What comes out shares nothing with either. -ERR_CONFIG: a name that is not known, or a list or map
 * within text; `*out` NULL: all of it fell away. */
MUST_USE int template_fill(const struct doc_node *node, const struct doc_node *values,
                           struct arena *arena, struct doc_node **out, struct err *err);
#endif

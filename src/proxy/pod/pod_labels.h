#ifndef POD_POD_LABELS_H
#define POD_POD_LABELS_H
/* A pod's labels as the downward API writes them into a file: one `key="value"` a line, the value quoted as Go's %q does
 * (kubernetes pkg/fieldpath, FormatMap; Go strconv.Quote). Pure. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define POD_LABELS_BYTES_MAX (1 << 20)

/* The next label of `rest`, which moves on; memory of `arena`. 1; 0 at the end; -ERR_CONFIG: which line is none. */
MUST_USE int pod_labels_next(struct span *rest, struct arena *arena, struct span *key,
                             struct span *value, struct err *err);
#endif

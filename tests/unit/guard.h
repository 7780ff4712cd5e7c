#ifndef UNIT_GUARD_H
#define UNIT_GUARD_H
/* Memory that ends at an unreadable page: a parser that reads one byte too far dies on the spot, with or
 * without a sanitizer. */
#include "base/span.h"

/* A copy of `bytes` right before such a page; lives until the next call with the same slot (0 to 3). */
struct span guard_copy(unsigned slot, struct span bytes);
#endif

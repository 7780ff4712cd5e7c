#ifndef MODEL_NEAR_H
#define MODEL_NEAR_H
/* "did you mean": the nearest of some names to a mistyped one. */
#include "base/compiler.h"
#include "base/span.h"

struct near {
    struct span word;  /* borrowed */
    struct span best;  /* NULL `at`: none is near */
    size_t best_steps; /* private */
};

void near_init(struct near *n, struct span word);
/* Letters of either case are the same; two letters that changed places are one mistake. */
void near_try(struct near *n, struct span name);
#endif

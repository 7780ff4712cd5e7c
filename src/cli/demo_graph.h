#ifndef CLI_DEMO_GRAPH_H
#define CLI_DEMO_GRAPH_H
/* mesh demo --services N: beside the book shop a made-up graph of N services behind the same gateway (/graph): real workloads, each
 * with its proxy, for those who work on what draws meshes. The same seed makes the same graph. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/rng.h"

#define DEMO_GRAPH_MAX 200
#define DEMO_GRAPH_CALLS 6 /* most that one service calls */

/* calls[i][0..counts[i]): whom service i asks; always later ones, so that it ends. Every service but the first is asked by somebody. */
struct demo_graph {
    unsigned count;
    unsigned counts[DEMO_GRAPH_MAX];
    unsigned calls[DEMO_GRAPH_MAX][DEMO_GRAPH_CALLS];
};
void demo_graph_draw(struct demo_graph *g, unsigned count, struct rng *rng);

struct demo;
/* Draws it and adds its workloads and its load to the crew. */
void demo_graph_plan(struct demo *d);
/* Writes its objects to the folder that control watches. */
MUST_USE int demo_graph_write(struct demo *d, struct err *err);
#endif

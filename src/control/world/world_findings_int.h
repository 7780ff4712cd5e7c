#ifndef CONTROL_WORLD_WORLD_FINDINGS_INT_H
#define CONTROL_WORLD_WORLD_FINDINGS_INT_H
/* What the files of world_findings share: one pass over a world. */
#include "control/world/world_int.h"
#include "model/near.h"

struct world_check {
    const struct world *world;
    const struct world_config *config;
    struct findings *findings;
    const struct world_workload **workloads; /* all; owned by the pass */
    size_t workload_count, workload_room;
};

/* Adds a finding about a part of an object: `path` as doc_path takes it ("spec.http.0.route"); a part that is not in the text is said at
 * what is around it. */
NONNULL_RETURN struct finding *world_findings_tell(struct world_check *k, unsigned code,
                                                   const struct object *o, const char *path,
                                                   const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The facts found. */
void world_findings_why(struct world_check *k, struct finding *f, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* What to do, when the facts say it. */
void world_findings_fix(struct world_check *k, struct finding *f, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* "did you mean", when `best` is somebody. */
void world_findings_near(struct world_check *k, struct finding *f, const struct near *n);
/* "app=reviews,version=v4" in the findings' arena. */
const char *world_findings_labels(struct world_check *k, const struct label *labels, size_t count);

void world_findings_gateways(struct world_check *k);
void world_findings_routes(struct world_check *k);
void world_findings_rules(struct world_check *k);
void world_findings_security(struct world_check *k);
#endif

#ifndef CLI_INSTALL_INT_H
#define CLI_INSTALL_INT_H
/* Between install_plan.c and install_remove.c. */
#include "cli/install.h"

void install_plan_add(struct install_plan *plan, struct arena *a, const struct install_item *item);
/* Adds what an installation left that is not in the plan any more. Exit code. */
MUST_USE int install_plan_prune(struct kube_verb *k, struct install_plan *plan);
#endif

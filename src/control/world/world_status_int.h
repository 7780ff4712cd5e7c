#ifndef CONTROL_WORLD_WORLD_STATUS_INT_H
#define CONTROL_WORLD_WORLD_STATUS_INT_H
/* What the files of world_status share. */
#include "control/world/world_status.h"

void world_status_say(struct world_status_conditions *c, const char *type, bool is_true,
                      const char *reason, struct span message);
#endif

#ifndef CONTROL_API_API_OBJECTS_H
#define CONTROL_API_API_OBJECTS_H
/* What deleting and applying objects share. */
#include "control/api/api.h"
#include "control/sources/from_store.h"

/* False: objects are not there (yet), or can not be written; the call was refused. */
MUST_USE bool api_objects_are_read(struct api_call *c);
MUST_USE bool api_objects_can_write(struct api_call *c);
/* {"kind","group","namespace","name","result","generation"} */
NONNULL_RETURN struct doc_node *api_objects_result(const struct api_call *c, const struct object *o,
                                                   const char *result, int64_t generation);
/* Gives the steps to the store and sends `answer` (in the call's arena) once it has them. */
void api_objects_change(struct api_call *c, const struct from_store_step *steps, size_t count,
                        struct doc_node *answer);
#endif

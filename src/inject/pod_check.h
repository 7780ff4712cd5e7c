#ifndef INJECT_POD_CHECK_H
#define INJECT_POD_CHECK_H
/* What is known to go wrong with a pod that has its proxy: told as notes, because what the pod's owner wants is not ours to refuse. */
#include "inject/pod_wish.h"

void pod_check(const struct doc_node *pod, const struct pod_wish *w,
               const struct inject_subject *subject, struct arena *arena,
               struct inject_answer *answer);
#endif

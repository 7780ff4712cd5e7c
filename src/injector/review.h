#ifndef INJECTOR_REVIEW_H
#define INJECTOR_REVIEW_H
/* An AdmissionReview in, an AdmissionReview out; pure.
 * Source: Kubernetes "Dynamic Admission Control", k8s.io/api/admission/v1. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "inject/inject.h"

struct review_spec {
    const struct inject_settings *settings;
    /* As in injector_spec; NULL = the namespace wants it. */
    const struct doc_node *(*namespace_labels)(void *arg, struct span name);
    void *arg;
    bool namespace_wants; /* the webhook's namespaceSelector has looked */
};

enum review_outcome {
    REVIEW_BAD, /* not answered as asked: HTTP 400 and a sentence */
    REVIEW_SKIPPED,
    REVIEW_INJECTED,
    REVIEW_REFUSED,
};
struct review_answer {
    enum review_outcome outcome;
    unsigned status; /* HTTP */
    bool dry_run;
    struct span namespace, name; /* of the pod; the name may be what it begins with */
    unsigned code;               /* MESH12nn */
    const char *why;
};
/* Appends the answer's body. -ERR_LIMIT: `body` is full. */
MUST_USE int review_answer(const struct review_spec *spec, struct span request, struct arena *arena,
                           struct buf *body, struct review_answer *out);
#endif

#ifndef INJECT_MANIFEST_H
#define INJECT_MANIFEST_H
/* A YAML stream (or one JSON document) as people have it in files: what makes pods gets proxies, or is rid of them; every other document stays byte by byte
 * as it is. Comments of documents that change are lost, but for those at their head. */
#include "base/buf.h"
#include "inject/inject.h"

/* What came of one object that makes pods; for the time of the call. */
struct manifest_object {
    struct span kind, namespace, name;
    uint32_t line;
    const struct inject_answer *answer; /* NULL when undoing */
    bool changed;
};
struct manifest_spec {
    const struct inject_settings *settings;
    const char *file;      /* for messages */
    struct span namespace; /* of objects that name none */
    bool asked;            /* as in struct inject_subject */
    bool undo;             /* take proxies out again */
    void (*on_object)(void *arg, const struct manifest_object *o);
    void *arg;
};

/* Appends the stream to `out`. -ERR_CONFIG: it does not parse ("file:line: ..."); -ERR_LIMIT. A pod that is refused stays as it is, and on_object
 * tells. */
MUST_USE int manifest_inject(const struct manifest_spec *spec, struct span text,
                             struct arena *arena, struct buf *out, struct err *err);
#endif

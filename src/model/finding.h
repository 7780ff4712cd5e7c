#ifndef MODEL_FINDING_H
#define MODEL_FINDING_H
/* What is wrong with an object, told in five parts: what, where, why, how to mend it, where to read more (its code in
 * mesh/codes.def). The same finding is printed by the CLI, answered by the API and written into status conditions. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/span.h"
#include "codec/doc.h"
#include "mesh/codes.h"

struct finding {
    struct finding *next;
    unsigned code; /* a row of mesh/codes.def */
    enum code_severity severity;
    struct span what; /* one line, present tense, the user's own names */
    /* where */
    struct span kind, namespace, name; /* of the object; empty when the text is not even that */
    struct span path;                  /* "spec.http[0].route[1].weight" */
    struct span file;                  /* empty: did not come from a file */
    uint32_t line;                     /* from 1; 0 = unknown */
    struct span why;                   /* the facts found; may be empty */
    struct span fix;                   /* what to change, or a command that runs; may be empty */
};

/* Findings in the order in which they were found; memory is the arena's. At most FINDINGS_MAX of one text: then one that
 * says so. */
#define FINDINGS_MAX 100
struct findings {
    struct arena *arena;
    size_t limit; /* FINDINGS_MAX; may be set to more for what is of many objects */
    struct finding *first, **last;
    size_t count;
    size_t errors; /* of severity ERROR; those left out count too */
    /* private */
    struct finding *spare; /* for those beyond the limit */
};

void findings_init(struct findings *f, struct arena *arena);
/* Adds a finding of the code's severity about `at` (file and line are taken from it; may be NULL); `what` is formatted. The answer is
 * there to be filled further; texts given to it must live as long as the arena. */
NONNULL_RETURN struct finding *finding_add(struct findings *f, unsigned code,
                                           const struct doc_node *at, const char *what, ...)
    PRINTF_LIKE(4, 5);
/* The same finding in another list, with texts of its own. */
void findings_copy(struct findings *to, const struct finding *f);
/* A text for `path`, `why` or `fix`: formatted, at most 1 KiB, without control characters. */
struct span finding_text(struct findings *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* {"code":"MESH2031","severity":"error","what":...,"where":{"kind","namespace","name","path","file","line"},"why":[...],"fix":[...]} */
struct doc_node *finding_to_doc(const struct finding *f, struct arena *arena);
#endif

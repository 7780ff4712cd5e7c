#ifndef CLI_DEMO_ASK_H
#define CLI_DEMO_ASK_H
/* Requests of a story that is told in order: each turns the loop until its answer is there, so that the rest of the
 * demo lives on meanwhile. Not to be used from within a callback of the loop. */
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"
#include "http/http_client.h"
#include "io/loop.h"

struct demo_asker;
NONNULL_RETURN struct demo_asker *demo_asker_new(struct loop *loop);
/* NULL is fine. */
void demo_asker_free(struct demo_asker *a);
/* From a signal's callback: what waits, and all that comes after, ends with -EINTR. */
void demo_asker_interrupt(struct demo_asker *a);
bool demo_asker_is_interrupted(const struct demo_asker *a);

struct demo_question {
    const char *origin;        /* "http://127.0.0.1:8080", "unix:/path" */
    struct resolver *resolver; /* borrowed; NULL: an origin has no name */
    const char *method;        /* NULL = GET */
    const char *path;
    const char *host;         /* Host to ask for, or NULL */
    const char *name, *value; /* of one header field, or NULL */
    struct span body;
    int64_t timeout_ms; /* 0 = 5 s */
};
struct demo_answer {
    unsigned status;
    struct span body;           /* valid until the next question */
    struct doc_node *doc;       /* when the body is JSON; else NULL; as long as the body */
    struct span reason, cookie; /* x-mesh-reason; set-cookie up to its ';' */
    int64_t took_us;
};
/* 0 with any status; -EINTR; else what the client says. */
MUST_USE int demo_ask(struct demo_asker *a, const struct demo_question *q,
                      struct demo_answer *answer, struct err *err);

/* The same question many times, `conns` at once; `each` sees every answer (err NULL) or failure. */
struct demo_volley {
    struct demo_question question;
    unsigned count, conns;
    void (*each)(void *arg, const struct http_answer *answer);
    void *arg;
};
MUST_USE int demo_ask_volley(struct demo_asker *a, const struct demo_volley *v, struct err *err);

/* Turns the loop until `holds` says so (0), the time is over (-ERR_TIMEOUT), or -EINTR. It is asked after every turn, at
 * least each 10 ms; NULL: only time counts, and its end is 0. */
MUST_USE int demo_ask_wait(struct demo_asker *a, int64_t ms, bool (*holds)(void *arg), void *arg);
#endif

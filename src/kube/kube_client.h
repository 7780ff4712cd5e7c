#ifndef KUBE_KUBE_CLIENT_H
#define KUBE_KUBE_CLIENT_H
/* A client of the Kubernetes API on one loop: one origin, HTTP/2 over TLS (HTTP/1 for http://), credentials put on each call and
 * renewed (token files each minute, exec plugins at their expiry and once after a 401), 429 and 503 with Retry-After obeyed, API errors (Status) as sentences.
 *
 *   reflector, lease, patches, token reviews, CLI --kube_call--> kube_client --> http/http_client
 *
 * All calls and answers on the loop's thread. */
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"
#include "http/head.h"
#include "io/loop.h"
#include "kube/kube_conf.h"

struct kube_client;
struct kube_client_spec {
    const struct kube_conf *conf; /* borrowed while the client lives */
    const char *user_agent;       /* "mesh-control"; NULL = "mesh" */
};
MUST_USE int kube_client_new(struct kube_client **out, struct loop *loop,
                             const struct kube_client_spec *spec, struct err *err);
/* What is outstanding ends with an error, in whose callbacks nothing new may be asked: who asks again by himself (reflector, lease ...) is freed
 * before. NULL is fine. */
void kube_client_free(struct kube_client *c);
struct loop *kube_client_loop(const struct kube_client *c);
const struct kube_conf *kube_client_conf(const struct kube_client *c);

/* What came of a call; for the time of the callback only. */
struct kube_answer {
    int code; /* 0 when status is 2xx; -ENOENT 404, -EEXIST 409 AlreadyExists, -ESTALE 409 Conflict, -EACCES 401 and 403, -ERR_LIMIT 429, -ERR_CONFIG 400
                              and 422, -EREMOTEIO 5xx and 410, -ETIMEDOUT, -ECONNREFUSED and the like when nobody answered */
    unsigned status; /* HTTP; 0 = no answer */
    const char *why; /* one sentence, the Status' message where there is one; "" when code is 0 */
    struct span reason;      /* Status.reason ("AlreadyExists"); may be empty */
    struct span body;        /* as it came */
    struct doc_node *doc;    /* parsed, when it is JSON; NULL else */
    int64_t retry_after_s;   /* -1 = not told */
    const struct head *head; /* NULL = no answer */
};
/* The row of mesh/codes.def for a failed one (1402 to 1407), for who shows it to a person. */
unsigned kube_answer_code(const struct kube_answer *a);
typedef void (*kube_on_answer)(void *arg, const struct kube_answer *a);

#define KUBE_JSON "application/json"
#define KUBE_APPLY "application/apply-patch+yaml" /* JSON is YAML */
#define KUBE_MERGE "application/merge-patch+json"

struct kube_call_spec {
    const char *method;       /* "GET" */
    const char *path;         /* as kube_path makes it, with a query if any */
    const char *content_type; /* NULL = KUBE_JSON when there is a body */
    struct span body;
    const struct header *fields; /* more request fields */
    size_t field_count;
    int64_t timeout_ms; /* 0 = 10 s, over all tries */
    size_t body_max;    /* 0 = 64 MiB */
    bool
        no_retry; /* 429, 503, a broken connection on an idempotent call: else tried again within timeout_ms, with back-off and jitter */
    kube_on_answer on_answer;
    void *arg;
};
/* All texts are copied. on_answer comes once, never before this returned. */
struct kube_call;
struct kube_call *kube_call(struct kube_client *c, const struct kube_call_spec *spec);
/* No answer comes; only before it has come. */
void kube_call_cancel(struct kube_call *call);

/* A stream of JSON documents, one a line (watch; also logs). */
struct kube_stream_spec {
    const char *path;
    const struct header *fields; /* more request fields */
    size_t field_count;
    int64_t idle_ms; /* nothing for so long (not even a bookmark) ends it; 0 = 10 min */
    size_t line_max; /* 0 = 8 MiB */
    /* The head came: 200, or the answer is an error and on_end follows. May be NULL. */
    void (*on_begin)(void *arg);
    void (*on_line)(void *arg, struct span line); /* borrowed */
    /* Once: code 0 = the server closed it in order. The stream is gone. */
    void (*on_end)(void *arg, const struct kube_answer *a);
    void *arg;
};
struct kube_stream;
struct kube_stream *kube_stream_open(struct kube_client *c, const struct kube_stream_spec *spec);
/* No event comes any more. NULL is fine. */
void kube_stream_close(struct kube_stream *s);

/* For the CLI and for starting: runs the loop until the answer is there. The answer lives in `arena`. Returns a->code, with err saying "METHOD path:
 * why". Not from within callbacks of that loop. */
MUST_USE int kube_ask(struct kube_client *c, struct arena *arena, const struct kube_call_spec *spec,
                      struct kube_answer *a, struct err *err);
/* Several at once, on one connection: runs the loop until all answers are there, in the order of the calls. Each says itself what came of it
 * (answers[i].code). */
void kube_ask_all(struct kube_client *c, struct arena *arena, const struct kube_call_spec *specs,
                  size_t count, struct kube_answer *answers);
#endif

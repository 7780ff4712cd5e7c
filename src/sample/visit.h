#ifndef SAMPLE_VISIT_H
#define SAMPLE_VISIT_H
/* A request that is answered from what other services say: asks them at the same time, hands on the headers that
 * Bookinfo hands on (tracing, end-user, session), and calls back when all have answered or failed. Lives longer
 * than its stream when the caller leaves first; then nobody is called back. */
#include "base/arena.h"
#include "base/list.h"
#include "codec/doc.h"
#include "http/http_server.h"
#include "sample/peer.h"
#include "sample/reply.h"

#define VISIT_PARTS_MAX 8

struct visit_ask {
    struct peer *peer; /* NULL: not asked */
    const char *path;
    int64_t timeout_ms;
    unsigned tries; /* at least 1 */
};

struct visit_part {
    unsigned status;      /* 200, or what was answered last; 500 without an answer; 0 = not asked */
    struct doc_node *doc; /* of a 200 with JSON; else NULL */
    /* private */
    struct visit *visit;
    struct visit_ask ask;
};

struct visit {
    struct http_stream *stream;
    struct arena arena;
    struct visit_part parts[VISIT_PARTS_MAX];
    /* private */
    struct list node;
    struct reply_wait wait;
    struct header *fields;
    size_t field_count;
    unsigned missing;
    void (*done)(void *arg, struct visit *v);
    void *arg;
    bool dropped;
};

/* `visits` is the owner's list of those that are out. `end_user` is added unless the request names one; may be
 * empty. `done` answers on v->stream; nothing of `v` lives longer than the call. Never before this returned. */
void visit_start(struct list *visits, const struct http_request *rq, struct span end_user,
                 const struct visit_ask *asks, size_t ask_count,
                 void (*done)(void *arg, struct visit *v), void *arg);
/* No more callbacks: before the owner goes. The peers must live until then. */
void visit_drop_all(struct list *visits);
#endif

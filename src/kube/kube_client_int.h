#ifndef KUBE_KUBE_CLIENT_INT_H
#define KUBE_KUBE_CLIENT_INT_H
/* What the files of kube_client share.
 *
 *   kube_call (one answer, tries again)  --+
 *   kube_stream (lines without end)      --+--> kube_exchange (one request, once) --> kube_way (http_client)
 *                                                       |
 *                                                 kube_credentials (who we are) --> kube_exec (a plugin)
 */
#include "base/arena.h"
#include "base/list.h"
#include "base/rng.h"
#include "http/http_client.h"
#include "io/deadline.h"
#include "kube/kube_client.h"
#include "kube/kube_credentials.h"

/* Connections made with one identity. Another client certificate is another way; the old one ends with its last exchange. */
struct kube_way {
    struct list node;
    unsigned users; /* exchanges, and the client whose present way it is */
    struct http_client *http;
};

struct kube_client {
    struct loop *loop;            /* borrowed */
    const struct kube_conf *conf; /* borrowed */
    struct arena arena;
    struct span origin; /* scheme and authority of the server */
    struct span prefix; /* its path, before that of each request; may be empty */
    struct span user_agent;
    struct span tls_host;      /* whom the server's certificate must name */
    struct resolver *resolver; /* owned; NULL = the server is an address */
    struct kube_credentials credentials;
    struct kube_way *way;   /* NULL once the client is freed */
    struct list ways;       /* this one, and old ones that are still used */
    struct loop_task sweep; /* of ways without users */
    struct list calls;
    struct list streams;
    struct http_limits limits;
    struct rng rng;
    bool was_reached; /* the server has answered once: when it is away, it will come back */
};

/* The server for one more exchange; put it back. */
struct kube_way *kube_client_way_get(struct kube_client *c);
void kube_client_way_put(struct kube_client *c, struct kube_way *way);

/* ---- kube_exchange.c ---- */

/*
 * WAITING (for credentials) --> OPENING (for a stream) --> SENT --on_head, on_data--> on_end
 *
 * Events may come within kube_exchange_start, so let it be the last that a function does. After on_end it may be started again.
 */
struct kube_exchange {
    struct kube_client *client;
    const struct kube_exchange_events *events;
    void *arg;
    /* what is asked; borrowed */
    const char *method;
    const char *path;
    const char *content_type;
    struct span body;
    const struct header *fields;
    size_t field_count;
    bool holds; /* what on_data brought is given back by kube_exchange_consume */
    /* what came */
    struct head *head;   /* NULL = none; until on_end has returned */
    uint64_t generation; /* of the credentials that it went with */
    bool may_have_run;   /* the server may have seen it */
    /* private */
    struct kube_way *way;
    struct kube_ticket ticket;
    struct http_client_wait *wait;
    struct http_stream *stream;
    bool complete; /* nothing follows: may be read in on_head and on_data */
    bool running;
};
struct kube_exchange_events {
    void (*on_ready)(void *arg); /* credentials are there, now it goes out; may be NULL */
    void (*on_head)(void *arg, const struct head *head);
    void (*on_data)(void *arg, struct span data);
    void (*on_end)(void *arg, const struct err *err); /* NULL: the answer is complete */
};
/* Copies of request fields, for who keeps them. */
const struct header *kube_exchange_fields(struct arena *arena, const struct header *fields,
                                          size_t count);
void kube_exchange_start(struct kube_exchange *x);
void kube_exchange_consume(struct kube_exchange *x, size_t bytes);
/* No event comes any more. Again is harmless. */
void kube_exchange_stop(struct kube_exchange *x);

/* ---- kube_answer.c ---- */

/* Of an HTTP answer: code, why, reason from a Status. `body` and all that is told live in the arena, or as long as `body`. */
void kube_answer_read(struct kube_answer *a, struct arena *arena, const struct kube_client *c,
                      const struct head *head, struct span body);
/* Nobody answered. */
void kube_answer_fail(struct kube_answer *a, struct arena *arena, const struct err *err);

/* ---- kube_call.c ---- */

/* As kube_call; the answer's texts and documents live in `into` (NULL: for the callback's time). */
struct kube_call *kube_call_into(struct kube_client *c, const struct kube_call_spec *spec,
                                 struct arena *into);
/* All that are outstanding end with an error. */
void kube_call_end_all(struct kube_client *c);
void kube_stream_end_all(struct kube_client *c);
#endif

#ifndef PROXY_DNS_FORWARD_H
#define PROXY_DNS_FORWARD_H
/* Questions that the mesh has no answer for, passed on to the resolvers that the host is configured with, as they
 * are: over UDP from a new random port each, with a random id; over TCP when the client came so. The next server
 * is asked when one does not answer. Main thread. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/addr.h"
#include "io/loop.h"

#define DNS_FORWARD_SERVERS_MAX 4
#define DNS_FORWARD_MAX 500     /* at a time; beyond: refused */
#define DNS_FORWARD_TRY_MS 2000 /* for one server */
#define DNS_FORWARD_BYTES 65535

struct dns_forward; /* the forwarder */
struct dns_question_out;

struct dns_forward_spec {
    const char
        *servers; /* "10.0.0.10,[fd00::1]:5353"; NULL or empty = nameservers of `resolv_conf` */
    const char *resolv_conf; /* NULL = /etc/resolv.conf */
    struct addr self;        /* left out of the servers: it would ask itself */
};

/* -ERR_CONFIG: `servers` can not be read. A host without nameservers is fine: every question fails. */
MUST_USE int dns_forward_new(struct dns_forward **out, struct loop *loop,
                             const struct dns_forward_spec *spec, struct err *err);
/* Nobody is told. NULL is fine. */
void dns_forward_free(struct dns_forward *f);
size_t dns_forward_server_count(const struct dns_forward *f);

/* Sends the message `query` (copied), whose question part ends at `question_end`. on_answer comes once, later:
 * `answer` is the message with the query's id, borrowed; empty: nobody answered. NULL: too many at a time, or
 * nobody to ask. */
struct dns_question_out *dns_forward_ask(struct dns_forward *f, struct span query,
                                         size_t question_end, bool tcp,
                                         void (*on_answer)(void *arg, struct span answer),
                                         void *arg);
/* Before the answer. */
void dns_forward_cancel(struct dns_question_out *q);
#endif

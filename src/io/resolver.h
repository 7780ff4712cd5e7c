#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H
/* Names to addresses by c-ares, with no NSS: /etc/resolv.conf and /etc/hosts where they exist. */
#include "base/compiler.h"
#include "base/err.h"
#include "io/addr.h"
#include "io/loop.h"

#define RESOLVER_ADDRS_MAX 64

struct resolver_spec {
    const char *servers;    /* "10.0.0.10,10.0.0.11:5353", or NULL = the system's */
    const char *hosts_file; /* NULL = /etc/hosts */
    const char *
        resolv_conf; /* NULL = /etc/resolv.conf: search domains, ndots, and servers unless they are given */
    int64_t timeout_ms; /* for a whole look-up; 0 = 5 s */
};

struct resolver;
struct resolver_answer {
    int code; /* 0, -ENOENT no such name, -ERR_TIMEOUT, -ERR_UNAVAILABLE */
    struct ip ips[RESOLVER_ADDRS_MAX];
    size_t count;
    uint32_t ttl_s; /* the shortest */
};
enum resolver_family { RESOLVER_V4, RESOLVER_V6, RESOLVER_ANY };

MUST_USE int resolver_new(struct resolver **out, struct loop *loop,
                          const struct resolver_spec *spec, struct err *err);
/* Outstanding look-ups are dropped without an answer. */
void resolver_free(struct resolver *r);
struct resolver_lookup;
/* `answer` is borrowed for the call. Never calls back before it returned. */
struct resolver_lookup *resolver_start(
    struct resolver *r, struct span name, enum resolver_family family,
    void (*on_answer)(void *arg, const struct resolver_answer *answer), void *arg);
void resolver_cancel(struct resolver_lookup *lookup);
#endif

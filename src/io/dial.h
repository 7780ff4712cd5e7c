#ifndef IO_DIAL_H
#define IO_DIAL_H
/* Connecting, with a deadline. */
#include "base/compiler.h"
#include "io/io.h"
#include "io/sockopt.h"

struct dial_spec {
    struct addr to;
    struct addr from;   /* kind ADDR_NONE = kernel's choice; else bound before connecting */
    int64_t timeout_ms; /* 0 = 10 s */
    uint32_t mark;      /* SO_MARK, 0 = none */
    bool transparent;   /* `from` is not ours (IP_TRANSPARENT) */
    const struct sockopt_keepalive *keepalive; /* or NULL */
};

struct dial;
/* `io` is taken by the callee; NULL with `code` -errno or -ERR_TIMEOUT. */
typedef void (*dial_on_done)(void *arg, struct io *io, int code);

/* The answer never comes before dial_start has returned. */
struct dial *dial_start(struct loop *loop, const struct dial_spec *spec, dial_on_done on_done,
                        void *arg);
/* No answer will come; only before it has come. */
void dial_cancel(struct dial *d);
#endif

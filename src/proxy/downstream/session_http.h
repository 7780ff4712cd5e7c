#ifndef PROXY_DOWNSTREAM_SESSION_HTTP_H
#define PROXY_DOWNSTREAM_SESSION_HTTP_H
/* A downstream HTTP connection: each exchange becomes a request (request/request.h) under the configuration that
 * is current when it begins. In: downstream/arrival. Next: request/request. */
#include "http/http_conn.h"
#include "proxy/downstream/entry.h"
#include "proxy/downstream/session.h"

/* What arrival hands to either kind of session. */
struct session_start {
    struct entry *entry;
    int chain_index;
    struct io *io;           /* taken */
    struct span first_bytes; /* copied if needed */
    struct addr original_dst;
    bool redirected;       /* see arrival.h */
    struct span sni;       /* copied */
    enum http_proto proto; /* HTTP sessions */
    uint64_t ticket;       /* of shared_enter; 0 = not counted */
    struct ip direct_ip;   /* the peer's own address; `io->peer` is what the PROXY protocol tells */
    uint16_t direct_port;
};

void session_http_start_take(const struct session_start *start);
#endif

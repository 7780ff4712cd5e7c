#ifndef PROXY_DOWNSTREAM_CHAIN_H
#define PROXY_DOWNSTREAM_CHAIN_H
/* Which filter chain of a listener a connection belongs to. Criteria are compared in Envoy's order, each narrowing
 * the candidates to the most specific that match: destination port, destination IP (longest prefix), server
 * name (exact, then the longest "*." suffix, then none), transport protocol, application protocols, source type,
 * source IP, source port. Source: Envoy FilterChainMatch.                                                     */
#include "base/compiler.h"
#include "proxy/config/snapshot.h"

struct chain_facts {
    struct ip destination_ip;
    uint16_t destination_port;
    struct span server_name; /* lower case; empty = none */
    bool tls;
    const struct span *alpn; /* offered, or "http/1.1" / "h2c" found by sniffing */
    size_t alpn_count;
    struct ip source_ip;
    uint16_t source_port;
};

/* Index into conf->chains, CHAIN_DEFAULT, or CHAIN_NONE. */
enum { CHAIN_NONE = -1, CHAIN_DEFAULT = -2 };
int chain_find(const struct conf_listener *conf, const struct chain_facts *facts);
const struct conf_chain *chain_at(const struct conf_listener *conf, int index);
#endif

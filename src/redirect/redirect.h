#ifndef REDIRECT_REDIRECT_H
#define REDIRECT_REDIRECT_H
/* Transparent interception: which rules send an application's traffic through its proxy, as data; their text for people (nft syntax) and
 * their bytes for the kernel (netlink). All of it is in one table of the `inet` family, "mesh", so that nobody else's rules are touched and removing it
 * removes everything.
 *
 *   output      what the application sends: TCP -> outbound port, DNS -> dns port; not what the proxy itself sends, not loopback,
 *               not what is excluded. What the proxy sends to an own address other than loopback goes to the inbound port: a pod that
 *               calls itself by its service.
 *   prerouting  what comes from outside: TCP -> inbound port, but for the excluded ports
 *
 * Sources: Istio's iptables rules (tools/istio-iptables, in meaning), nft(8), linux/netfilter/nf_tables.h. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/ip.h"

#define REDIRECT_TABLE "mesh"
#define REDIRECT_LIST_MAX 256 /* of each list below */

struct redirect_spec {
    uint16_t outbound_port, inbound_port; /* 0 = that direction is left alone */
    uint16_t dns_port;                    /* 0 = DNS is left alone */
    bool ipv4_only;                       /* IPv6 is left alone */
    const uint32_t *uids, *gids;          /* of the proxy, and whoever else is left alone */
    size_t uid_count, gid_count;
    const uint16_t *inbound_ports; /* only these; none = all */
    size_t inbound_count;
    const uint16_t *inbound_off, *outbound_off; /* but these not */
    size_t inbound_off_count, outbound_off_count;
    /* Only these destinations, and these ports wherever they are; none of either = all. */
    const struct cidr *outbound_to;
    size_t outbound_to_count;
    const uint16_t *outbound_ports;
    size_t outbound_port_count;
    const struct cidr *outbound_not_to;
    size_t outbound_not_to_count;
    const char *const *interfaces_off; /* what comes in there is left alone */
    size_t interface_off_count;
};

enum redirect_match_kind {
    REDIRECT_IPV6,
    REDIRECT_TCP,
    REDIRECT_UDP,
    REDIRECT_DPORT, /* with TCP or UDP before it */
    REDIRECT_DADDR, /* the family is implied */
    REDIRECT_SADDR,
    REDIRECT_SKUID,
    REDIRECT_SKGID,
    REDIRECT_IIF,
    REDIRECT_OIF,
};
struct redirect_match {
    enum redirect_match_kind kind;
    bool negated;
    uint32_t number; /* port, uid, gid */
    struct cidr cidr;
    const char *name; /* of an interface */
};

#define REDIRECT_MATCHES_MAX 6
struct redirect_rule {
    struct redirect_match matches[REDIRECT_MATCHES_MAX];
    size_t match_count;
    uint16_t to_port; /* 0: the rest of the chain is skipped ("return") */
};
struct redirect_chain {
    const char *name; /* "output", "prerouting" */
    unsigned hook;    /* NF_INET_* */
    struct redirect_rule *rules;
    size_t rule_count;
};
struct redirect_rules {
    struct redirect_chain chains[2];
    size_t chain_count;
};

/* Memory is the arena's. */
void redirect_build(const struct redirect_spec *spec, struct arena *arena,
                    struct redirect_rules *out);
/* As `nft -f` reads it, beginning with the removal of what is there; with `gone` only that. -ERR_LIMIT. */
MUST_USE int redirect_write_text(const struct redirect_rules *rules, bool gone, struct buf *out);
/* One batch of netlink messages: all of it happens, or nothing. With `gone` the table is only removed. -ERR_LIMIT. */
MUST_USE int redirect_write_netlink(const struct redirect_rules *rules, bool gone, struct buf *out);
/* Hands a batch to the kernel, and unless `gone` gives lo the address ::6, from which a proxy passes things on. -EPERM: the sentence
 * names the capability; -EOPNOTSUPP: what the kernel lacks. */
MUST_USE int redirect_send(struct span batch, bool gone, struct err *err);
#endif

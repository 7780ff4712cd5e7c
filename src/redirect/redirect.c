/* Which rules there are. In: a spec. Out: chains of rules. Next: redirect_text, redirect_netlink. */
#include "redirect/redirect.h"

#include <linux/netfilter.h>

#include "mesh/ports.h"

#define DNS_PORT 53

/* Source addresses of what a proxy passes on to ports that nobody declared (Istio's InboundPassthroughCluster). */
static const struct cidr passthrough[] = {
    {.ip = {.family = 4, .bytes = {127, 0, 0, 6}}, .bits = 32},
    {.ip = {.family = 6, .bytes = {[15] = 6}}, .bits = 128},
};
static const struct cidr loopback[] = {
    {.ip = {.family = 4, .bytes = {127, 0, 0, 1}}, .bits = 32},
    {.ip = {.family = 6, .bytes = {[15] = 1}}, .bits = 128},
};
static const struct cidr all_loopback[] = {
    {.ip = {.family = 4, .bytes = {127}}, .bits = 8},
    {.ip = {.family = 6, .bytes = {[15] = 1}}, .bits = 128},
};

struct builder {
    struct arena *arena;
    struct redirect_chain *chain;
    size_t room;
};

static struct redirect_rule *rule(struct builder *b, uint16_t to_port)
{
    struct redirect_chain *c = b->chain;
    if (c->rule_count == b->room) {
        size_t room = b->room ? b->room * 2 : 32;
        struct redirect_rule *more = arena_array(b->arena, room, sizeof *more);
        for (size_t i = 0; i < c->rule_count; i++) {
            more[i] = c->rules[i];
        }
        c->rules = more;
        b->room = room;
    }
    struct redirect_rule *r = &c->rules[c->rule_count++];
    *r = (struct redirect_rule){.to_port = to_port};
    return r;
}

static struct redirect_rule *with(struct redirect_rule *r, struct redirect_match m)
{
    ASSERT(r->match_count < REDIRECT_MATCHES_MAX);
    r->matches[r->match_count++] = m;
    return r;
}

static struct redirect_match tcp(void)
{
    return (struct redirect_match){.kind = REDIRECT_TCP};
}

static struct redirect_match number(enum redirect_match_kind kind, uint32_t value)
{
    return (struct redirect_match){.kind = kind, .number = value};
}

static struct redirect_match daddr(const struct cidr *c, bool negated)
{
    return (struct redirect_match){.kind = REDIRECT_DADDR, .cidr = *c, .negated = negated};
}

static struct redirect_match oif_lo(void)
{
    return (struct redirect_match){.kind = REDIRECT_OIF, .name = "lo"};
}

/* What the proxy sends to an own address: a workload that calls itself through its service comes in by the front door, so that its
 * policies hold. */
static void self_calls(struct builder *b, const struct redirect_spec *s)
{
    for (size_t i = 0; i < s->uid_count && s->inbound_port; i++) {
        for (size_t f = 0; f < ARRAY_LEN(loopback); f++) {
            struct redirect_rule *r = rule(b, s->inbound_port);
            with(with(with(r, oif_lo()), daddr(&loopback[f], true)),
                 number(REDIRECT_SKUID, s->uids[i]));
            with(r, tcp());
            struct redirect_match hbone = number(REDIRECT_DPORT, PORT_HBONE);
            hbone.negated = true;
            with(r, hbone);
        }
    }
}

static void dns(struct builder *b, const struct redirect_spec *s)
{
    if (s->dns_port) {
        with(with(rule(b, s->dns_port), (struct redirect_match){.kind = REDIRECT_UDP}),
             number(REDIRECT_DPORT, DNS_PORT));
        with(with(rule(b, s->dns_port), tcp()), number(REDIRECT_DPORT, DNS_PORT));
    }
}

/* For a proxy that listens on IPv4 alone: what it does not take must not be sent to it. */
static void families(struct builder *b, const struct redirect_spec *s)
{
    if (s->ipv4_only) {
        with(rule(b, 0), (struct redirect_match){.kind = REDIRECT_IPV6});
    }
}

static void output(struct builder *b, const struct redirect_spec *s)
{
    families(b, s);
    for (size_t f = 0; f < ARRAY_LEN(passthrough); f++) {
        with(with(rule(b, 0), oif_lo()),
             (struct redirect_match){.kind = REDIRECT_SADDR, .cidr = passthrough[f]});
    }
    self_calls(b, s);
    for (size_t i = 0; i < s->uid_count; i++) {
        with(rule(b, 0), number(REDIRECT_SKUID, s->uids[i]));
    }
    for (size_t i = 0; i < s->gid_count; i++) {
        with(rule(b, 0), number(REDIRECT_SKGID, s->gids[i]));
    }
    dns(b, s);
    with(rule(b, 0), oif_lo());
    for (size_t f = 0; f < ARRAY_LEN(all_loopback); f++) {
        with(rule(b, 0), daddr(&all_loopback[f], false));
    }
    for (size_t i = 0; i < s->outbound_not_to_count; i++) {
        with(rule(b, 0), daddr(&s->outbound_not_to[i], false));
    }
    for (size_t i = 0; i < s->outbound_off_count; i++) {
        with(with(rule(b, 0), tcp()), number(REDIRECT_DPORT, s->outbound_off[i]));
    }
    for (size_t i = 0; i < s->outbound_port_count && s->outbound_port; i++) {
        with(with(rule(b, s->outbound_port), tcp()), number(REDIRECT_DPORT, s->outbound_ports[i]));
    }
    for (size_t i = 0; i < s->outbound_to_count && s->outbound_port; i++) {
        with(with(rule(b, s->outbound_port), daddr(&s->outbound_to[i], false)), tcp());
    }
    if (s->outbound_to_count + s->outbound_port_count == 0 && s->outbound_port) {
        with(rule(b, s->outbound_port), tcp());
    }
}

/* The proxy's own ports are no application's. */
static void prerouting(struct builder *b, const struct redirect_spec *s)
{
    static const uint16_t own[] = {PORT_HBONE, PORT_MERGED_STATS, PORT_HEALTH, PORT_STATS};
    families(b, s);
    for (size_t i = 0; i < s->interface_off_count; i++) {
        with(rule(b, 0),
             (struct redirect_match){.kind = REDIRECT_IIF, .name = s->interfaces_off[i]});
    }
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        with(with(rule(b, 0), tcp()), number(REDIRECT_DPORT, own[i]));
    }
    for (size_t i = 0; i < s->inbound_off_count; i++) {
        with(with(rule(b, 0), tcp()), number(REDIRECT_DPORT, s->inbound_off[i]));
    }
    for (size_t i = 0; i < s->inbound_count; i++) {
        with(with(rule(b, s->inbound_port), tcp()), number(REDIRECT_DPORT, s->inbound_ports[i]));
    }
    if (s->inbound_count == 0) {
        with(rule(b, s->inbound_port), tcp());
    }
}

void redirect_build(const struct redirect_spec *spec, struct arena *arena,
                    struct redirect_rules *out)
{
    *out = (struct redirect_rules){.chain_count = 0};
    if (spec->outbound_port || spec->dns_port) {
        struct redirect_chain *c = &out->chains[out->chain_count++];
        *c = (struct redirect_chain){.name = "output", .hook = NF_INET_LOCAL_OUT};
        output(&(struct builder){.arena = arena, .chain = c}, spec);
    }
    if (spec->inbound_port) {
        struct redirect_chain *c = &out->chains[out->chain_count++];
        *c = (struct redirect_chain){.name = "prerouting", .hook = NF_INET_PRE_ROUTING};
        prerouting(&(struct builder){.arena = arena, .chain = c}, spec);
    }
}

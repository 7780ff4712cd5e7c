/* The rules as one batch of nfnetlink messages: begin, table (made, removed, made: so that what was there goes), chains, rules, end. The kernel
 * does all of a batch or nothing.
 * Sources: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>

#include "base/netlink.h"
#include "redirect/redirect.h"

#define PRIORITY_DSTNAT (-100) /* NF_IP_PRI_NAT_DST */

/* nf_tables writes numbers in network order. */
static void put_be32(struct netlink *m, uint16_t type, uint32_t value)
{
    netlink_put_u32(m, type, htonl(value));
}

static void begin(struct netlink *m, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
    struct nfgenmsg nf = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(res_id)};
    netlink_begin(m, type, flags, &nf, sizeof nf);
}

static void begin_nft(struct netlink *m, uint16_t type, uint16_t flags)
{
    begin(m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
}

/* ---- expressions ---- */

static size_t expr(struct netlink *m, const char *name, size_t *data)
{
    size_t at = netlink_nest(m, NFTA_LIST_ELEM);
    netlink_put_text(m, NFTA_EXPR_NAME, name);
    *data = netlink_nest(m, NFTA_EXPR_DATA);
    return at;
}

static void expr_end(struct netlink *m, size_t at, size_t data)
{
    netlink_nest_end(m, data);
    netlink_nest_end(m, at);
}

static void load_meta(struct netlink *m, uint32_t key)
{
    size_t data;
    size_t at = expr(m, "meta", &data);
    put_be32(m, NFTA_META_KEY, key);
    put_be32(m, NFTA_META_DREG, NFT_REG_1);
    expr_end(m, at, data);
}

static void load_payload(struct netlink *m, uint32_t base, uint32_t offset, uint32_t len)
{
    size_t data;
    size_t at = expr(m, "payload", &data);
    put_be32(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_be32(m, NFTA_PAYLOAD_BASE, base);
    put_be32(m, NFTA_PAYLOAD_OFFSET, offset);
    put_be32(m, NFTA_PAYLOAD_LEN, len);
    expr_end(m, at, data);
}

static void value(struct netlink *m, uint16_t type, const void *bytes, size_t len)
{
    size_t at = netlink_nest(m, type);
    netlink_put(m, NFTA_DATA_VALUE, bytes, len);
    netlink_nest_end(m, at);
}

static void compare(struct netlink *m, bool negated, const void *bytes, size_t len)
{
    size_t data;
    size_t at = expr(m, "cmp", &data);
    put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(m, NFTA_CMP_OP, negated ? NFT_CMP_NEQ : NFT_CMP_EQ);
    value(m, NFTA_CMP_DATA, bytes, len);
    expr_end(m, at, data);
}

static void mask(struct netlink *m, unsigned bits, uint32_t len)
{
    uint8_t ones[16] = {0};
    uint8_t zero[16] = {0};
    size_t data;
    for (unsigned i = 0; i < bits; i++) {
        ones[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    size_t at = expr(m, "bitwise", &data);
    put_be32(m, NFTA_BITWISE_SREG, NFT_REG_1);
    put_be32(m, NFTA_BITWISE_DREG, NFT_REG_1);
    put_be32(m, NFTA_BITWISE_LEN, len);
    value(m, NFTA_BITWISE_MASK, ones, len);
    value(m, NFTA_BITWISE_XOR, zero, len);
    expr_end(m, at, data);
}

static void match_protocol(struct netlink *m, uint8_t protocol)
{
    load_meta(m, NFT_META_L4PROTO);
    compare(m, false, &protocol, 1);
}

static void match_family(struct netlink *m, uint8_t family)
{
    load_meta(m, NFT_META_NFPROTO);
    compare(m, false, &family, 1);
}

/* RFC 791: source at 12, destination at 16. RFC 8200: 8 and 24. */
static void match_address(struct netlink *m, const struct redirect_match *x)
{
    bool is_v6 = x->cidr.ip.family == 6;
    bool is_destination = x->kind == REDIRECT_DADDR;
    uint32_t len = is_v6 ? 16 : 4;
    match_family(m, is_v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    load_payload(m, NFT_PAYLOAD_NETWORK_HEADER,
                 is_v6 ? (is_destination ? 24 : 8) : (is_destination ? 16 : 12), len);
    if (x->cidr.bits < len * 8) {
        mask(m, x->cidr.bits, len);
    }
    compare(m, x->negated, x->cidr.ip.bytes, len);
}

static void match_interface(struct netlink *m, const struct redirect_match *x)
{
    char name[IFNAMSIZ] = {0};
    snprintf(name, sizeof name, "%s", x->name);
    load_meta(m, x->kind == REDIRECT_IIF ? NFT_META_IIFNAME : NFT_META_OIFNAME);
    compare(m, x->negated, name, sizeof name);
}

static void match(struct netlink *m, const struct redirect_match *x)
{
    uint16_t port = htons((uint16_t)x->number);
    switch (x->kind) {
    case REDIRECT_IPV6:
        match_family(m, NFPROTO_IPV6);
        break;
    case REDIRECT_TCP:
        match_protocol(m, 6);
        break;
    case REDIRECT_UDP:
        match_protocol(m, 17);
        break;
    case REDIRECT_DPORT: /* RFC 9293, RFC 768: at 2 */
        load_payload(m, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
        compare(m, x->negated, &port, sizeof port);
        break;
    case REDIRECT_DADDR:
    case REDIRECT_SADDR:
        match_address(m, x);
        break;
    case REDIRECT_SKUID:
    case REDIRECT_SKGID: /* in the order of the host */
        load_meta(m, x->kind == REDIRECT_SKUID ? NFT_META_SKUID : NFT_META_SKGID);
        compare(m, x->negated, &x->number, sizeof x->number);
        break;
    case REDIRECT_IIF:
    case REDIRECT_OIF:
        match_interface(m, x);
        break;
    }
}

static void go_to_port(struct netlink *m, uint16_t port)
{
    uint16_t be = htons(port);
    size_t data;
    size_t at = expr(m, "immediate", &data);
    put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    value(m, NFTA_IMMEDIATE_DATA, &be, sizeof be);
    expr_end(m, at, data);
    at = expr(m, "redir", &data);
    put_be32(m, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
    expr_end(m, at, data);
}

static void go_back(struct netlink *m)
{
    size_t data;
    size_t at = expr(m, "immediate", &data);
    put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t outer = netlink_nest(m, NFTA_IMMEDIATE_DATA);
    size_t verdict = netlink_nest(m, NFTA_DATA_VERDICT);
    put_be32(m, NFTA_VERDICT_CODE, (uint32_t)NFT_RETURN);
    netlink_nest_end(m, verdict);
    netlink_nest_end(m, outer);
    expr_end(m, at, data);
}

/* ---- objects ---- */

static int put_table(struct netlink *m, uint16_t type, uint16_t flags, uint32_t *sequence,
                     struct buf *out)
{
    begin_nft(m, type, flags);
    netlink_put_text(m, NFTA_TABLE_NAME, REDIRECT_TABLE);
    return netlink_end(m, sequence, out);
}

static int put_chain(struct netlink *m, const struct redirect_chain *c, uint32_t *sequence,
                     struct buf *out)
{
    begin_nft(m, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    netlink_put_text(m, NFTA_CHAIN_TABLE, REDIRECT_TABLE);
    netlink_put_text(m, NFTA_CHAIN_NAME, c->name);
    size_t hook = netlink_nest(m, NFTA_CHAIN_HOOK);
    put_be32(m, NFTA_HOOK_HOOKNUM, c->hook);
    put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_DSTNAT);
    netlink_nest_end(m, hook);
    put_be32(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
    netlink_put_text(m, NFTA_CHAIN_TYPE, "nat");
    return netlink_end(m, sequence, out);
}

static int put_rule(struct netlink *m, const struct redirect_chain *c,
                    const struct redirect_rule *r, uint32_t *sequence, struct buf *out)
{
    begin_nft(m, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    netlink_put_text(m, NFTA_RULE_TABLE, REDIRECT_TABLE);
    netlink_put_text(m, NFTA_RULE_CHAIN, c->name);
    size_t list = netlink_nest(m, NFTA_RULE_EXPRESSIONS);
    for (size_t i = 0; i < r->match_count; i++) {
        match(m, &r->matches[i]);
    }
    if (r->to_port) {
        go_to_port(m, r->to_port);
    } else {
        go_back(m);
    }
    netlink_nest_end(m, list);
    return netlink_end(m, sequence, out);
}

static int put_edge(struct netlink *m, uint16_t type, uint16_t flags, uint32_t *sequence,
                    struct buf *out)
{
    begin(m, type, flags, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    return netlink_end(m, sequence, out);
}

int redirect_write_netlink(const struct redirect_rules *rules, bool gone, struct buf *out)
{
    struct netlink m;
    uint32_t sequence = 0;
    int code = put_edge(&m, NFNL_MSG_BATCH_BEGIN, 0, &sequence, out);
    code = code ? code : put_table(&m, NFT_MSG_NEWTABLE, NLM_F_CREATE, &sequence, out);
    code = code ? code : put_table(&m, NFT_MSG_DELTABLE, gone ? NLM_F_ACK : 0, &sequence, out);
    if (!gone) {
        code =
            code ? code : put_table(&m, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, &sequence, out);
    }
    for (size_t c = 0; c < rules->chain_count && code == 0 && !gone; c++) {
        const struct redirect_chain *chain = &rules->chains[c];
        code = put_chain(&m, chain, &sequence, out);
        for (size_t i = 0; i < chain->rule_count && code == 0; i++) {
            code = put_rule(&m, chain, &chain->rules[i], &sequence, out);
        }
    }
    return code ? code : put_edge(&m, NFNL_MSG_BATCH_END, 0, &sequence, out);
}

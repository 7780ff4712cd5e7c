/* The batch for the kernel, read back attribute by attribute. That the kernel takes it: tests/e2e/test_init.py. */
#include "redirect/redirect_netlink.c"

#include <linux/netlink.h>

#include "unit/cm.h"

static const uint32_t proxy[] = {1337};
static const struct redirect_spec sidecar = {.outbound_port = 15001,
                                             .inbound_port = 15006,
                                             .dns_port = 15053,
                                             .uids = proxy,
                                             .uid_count = 1,
                                             .gids = proxy,
                                             .gid_count = 1};

/* The next attribute: its kind and value; false at the end. Lengths that do not fit fail the test. */
static bool next(struct span *rest, uint16_t *type, struct span *value)
{
    struct nlattr head;
    if (rest->len == 0) {
        return false;
    }
    assert_true(rest->len >= sizeof(head));
    memcpy(&head, rest->at, sizeof(head));
    assert_true(head.nla_len >= sizeof(head) && (size_t)NLA_ALIGN(head.nla_len) <= rest->len);
    *type = head.nla_type & NLA_TYPE_MASK;
    *value = span_from(rest->at + sizeof(head), head.nla_len - sizeof(head));
    *rest = span_from_offset(*rest, NLA_ALIGN(head.nla_len));
    return true;
}

static struct span get(struct span attrs, uint16_t want)
{
    uint16_t type;
    struct span value;
    while (next(&attrs, &type, &value)) {
        if (type == want) {
            return value;
        }
    }
    return SPAN_EMPTY;
}

static uint32_t get_u32(struct span attrs, uint16_t want)
{
    uint32_t be;
    struct span value = get(attrs, want);
    assert_int_equal(value.len, sizeof(be));
    memcpy(&be, value.at, sizeof(be));
    return ntohl(be);
}

static void put_hex(struct buf *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        assert_int_equal(buf_printf(out, "%02x", (unsigned char)bytes.at[i]), 0);
    }
}

/* "meta 16; cmp 0 06; ..." */
static void put_expr(struct buf *out, struct span name, struct span d)
{
    int code = buf_printf(out, "%.*s", (int)name.len - 1, name.at);
    if (span_eq(name, span_from("meta", 5))) {
        code |= buf_printf(out, " %u", get_u32(d, NFTA_META_KEY));
    } else if (span_eq(name, span_from("payload", 8))) {
        code |= buf_printf(out, " %u %u %u", get_u32(d, NFTA_PAYLOAD_BASE),
                           get_u32(d, NFTA_PAYLOAD_OFFSET), get_u32(d, NFTA_PAYLOAD_LEN));
    } else if (span_eq(name, span_from("cmp", 4))) {
        code |= buf_printf(out, " %u ", get_u32(d, NFTA_CMP_OP));
        put_hex(out, get(get(d, NFTA_CMP_DATA), NFTA_DATA_VALUE));
    } else if (span_eq(name, span_from("bitwise", 8))) {
        code |= buf_printf(out, " ");
        put_hex(out, get(get(d, NFTA_BITWISE_MASK), NFTA_DATA_VALUE));
    } else if (span_eq(name, span_from("immediate", 10))) {
        struct span data = get(d, NFTA_IMMEDIATE_DATA);
        struct span verdict = get(data, NFTA_DATA_VERDICT);
        code |= buf_printf(out, " %u ", get_u32(d, NFTA_IMMEDIATE_DREG));
        put_hex(out,
                verdict.len > 0 ? get(verdict, NFTA_VERDICT_CODE) : get(data, NFTA_DATA_VALUE));
    } else {
        assert_span(span_first(name, name.len - 1), "redir");
        code |= buf_printf(out, " %u", get_u32(d, NFTA_REDIR_REG_PROTO_MIN));
    }
    assert_int_equal(code | buf_printf(out, "; "), 0);
}

static void put_rule_text(struct buf *out, struct span attrs)
{
    struct span list = get(attrs, NFTA_RULE_EXPRESSIONS);
    uint16_t type;
    struct span one;
    while (next(&list, &type, &one)) {
        assert_int_equal(type, NFTA_LIST_ELEM);
        put_expr(out, get(one, NFTA_EXPR_NAME), get(one, NFTA_EXPR_DATA));
    }
}

/* Messages of the batch; `each` gets the attributes. */
struct walk {
    uint32_t count;
    struct buf text; /* "begin\ntable\n..." */
};

static const char *kind_of(uint16_t type)
{
    switch (type) {
    case NFNL_MSG_BATCH_BEGIN:
        return "begin";
    case NFNL_MSG_BATCH_END:
        return "end";
    case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE:
        return "table";
    case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE:
        return "gone";
    case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN:
        return "chain";
    case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE:
        return "rule";
    }
    fail();
    return NULL;
}

static void read_batch(struct span batch, struct walk *w)
{
    *w = (struct walk){.count = 0};
    buf_init(&w->text, 1 << 20);
    while (batch.len > 0) {
        struct nlmsghdr head;
        struct nfgenmsg nf;
        assert_true(batch.len >= NLMSG_HDRLEN + sizeof(nf));
        memcpy(&head, batch.at, sizeof(head));
        memcpy(&nf, batch.at + NLMSG_HDRLEN, sizeof(nf));
        assert_true(head.nlmsg_len <= batch.len);
        assert_int_equal(head.nlmsg_seq, ++w->count);
        assert_true(head.nlmsg_flags & NLM_F_REQUEST);
        bool is_edge = head.nlmsg_type < NLMSG_MIN_TYPE + 2;
        assert_int_equal(nf.nfgen_family, is_edge ? AF_UNSPEC : NFPROTO_INET);
        assert_int_equal(ntohs(nf.res_id), is_edge ? NFNL_SUBSYS_NFTABLES : 0);
        struct span attrs = span_from(batch.at + NLMSG_HDRLEN + sizeof(nf),
                                      head.nlmsg_len - NLMSG_HDRLEN - sizeof(nf));
        int code = buf_printf(&w->text, "%s%s", kind_of(head.nlmsg_type),
                              head.nlmsg_flags & NLM_F_ACK ? "!" : "");
        if (span_is(span_of(kind_of(head.nlmsg_type)), "rule")) {
            code |= buf_printf(&w->text, " %s: ", get(attrs, NFTA_RULE_CHAIN).at);
            put_rule_text(&w->text, attrs);
        } else if (span_is(span_of(kind_of(head.nlmsg_type)), "chain")) {
            struct span hook = get(attrs, NFTA_CHAIN_HOOK);
            code |= buf_printf(&w->text, " %s: %s %u %d %u", get(attrs, NFTA_CHAIN_NAME).at,
                               get(attrs, NFTA_CHAIN_TYPE).at, get_u32(hook, NFTA_HOOK_HOOKNUM),
                               (int)get_u32(hook, NFTA_HOOK_PRIORITY),
                               get_u32(attrs, NFTA_CHAIN_POLICY));
        } else if (!is_edge) {
            code |= buf_printf(&w->text, " %s", get(attrs, NFTA_TABLE_NAME).at);
        }
        assert_int_equal(code | buf_printf(&w->text, "\n"), 0);
        batch = span_from_offset(batch, head.nlmsg_len);
    }
}

static void check(const struct redirect_spec *spec, bool gone, const char *want)
{
    struct redirect_rules rules;
    struct arena arena;
    struct buf batch;
    struct walk walk;
    arena_init(&arena, 4096);
    buf_init(&batch, 1 << 20);
    redirect_build(spec, &arena, &rules);
    assert_int_equal(redirect_write_netlink(&rules, gone, &batch), 0);
    read_batch(buf_span(&batch), &walk);
    assert_span(buf_span(&walk.text), want);
    buf_dispose(&walk.text);
    buf_dispose(&batch);
    arena_dispose(&arena);
}

#define TCP "meta 16; cmp 0 06; "
#define UDP "meta 16; cmp 0 11; "
#define V4 "meta 15; cmp 0 02; "
#define V6 "meta 15; cmp 0 0a; "
#define LO "meta 7; cmp 0 6c6f0000000000000000000000000000; "
#define PORT_IS(hex) "payload 2 2 2; cmp 0 " hex "; "
#define BACK "immediate 0 fffffffb; "
#define TO(hex) "immediate 1 " hex "; redir 1; "
#define IP6_1 "00000000000000000000000000000001"
#define IP6_6 "00000000000000000000000000000006"
#define SELF(match)                                          \
    "rule output: " LO match "meta 10; cmp 0 39050000; " TCP \
    "payload 2 2 2; cmp 1 3aa0; " TO("3a9e") "\n"

static void test_a_sidecar(void **state)
{
    UNUSED(state);
    check(
        &sidecar, false,
        "begin\ntable mesh\ngone mesh\ntable! mesh\n"
        "chain output: nat 3 -100 1\n"
        "rule output: " LO V4 "payload 1 12 4; cmp 0 7f000006; " BACK "\n"
        "rule output: " LO V6 "payload 1 8 16; cmp 0 " IP6_6 "; " BACK
        "\n" SELF(V4 "payload 1 16 4; cmp 1 7f000001; ") SELF(
            V6
            "payload 1 24 16; cmp 1 " IP6_1
            "; ") "rule output: meta 10; cmp 0 39050000; " BACK "\n"
                  "rule output: meta 11; cmp 0 39050000; " BACK "\n"
                  "rule output: " UDP PORT_IS("0035") TO(
                      "3acd") "\n"
                              "rule output: " TCP PORT_IS("0035") TO(
                                  "3acd") "\n"
                                          "rule output: " LO BACK "\n"
                                          "rule output: " V4
                                          "payload 1 16 4; bitwise ff000000; cmp 0 7f000000; " BACK
                                          "\n"
                                          "rule output: " V6 "payload 1 24 16; cmp 0 " IP6_1
                                          "; " BACK "\n"
                                          "rule output: " TCP TO(
                                              "3a99") "\n"
                                                      "chain prerouting: nat 0 -100 1\n"
                                                      "rule prerouting: " TCP PORT_IS("3aa0") BACK
        "\n"
        "rule prerouting: " TCP PORT_IS("3aac") BACK "\n"
                                                     "rule prerouting: " TCP PORT_IS("3aad") BACK
        "\n"
        "rule prerouting: " TCP PORT_IS("3af2") BACK "\n"
                                                     "rule prerouting: " TCP TO("3a9e") "\n"
                                                                                        "end\n");
}

static void test_removal(void **state)
{
    UNUSED(state);
    check(&sidecar, true, "begin\ntable mesh\ngone! mesh\nend\n");
}

/* A prefix that ends within a byte. */
static void test_masks(void **state)
{
    UNUSED(state);
    struct cidr to[2];
    assert_int_equal(cidr_parse(SPAN("10.32.0.0/11"), &to[0]), 0);
    assert_int_equal(cidr_parse(SPAN("0.0.0.0/0"), &to[1]), 0);
    const struct redirect_spec spec = {
        .outbound_port = 1, .outbound_not_to = to, .outbound_not_to_count = 2};
    struct redirect_rules rules;
    struct arena arena;
    struct buf batch;
    struct walk walk;
    arena_init(&arena, 4096);
    buf_init(&batch, 1 << 20);
    redirect_build(&spec, &arena, &rules);
    assert_int_equal(redirect_write_netlink(&rules, false, &batch), 0);
    read_batch(buf_span(&batch), &walk);
    assert_true(
        span_find(buf_span(&walk.text), SPAN("bitwise ffe00000; cmp 0 0a200000; " BACK "\n")) > 0);
    assert_true(
        span_find(buf_span(&walk.text), SPAN("bitwise 00000000; cmp 0 00000000; " BACK "\n")) > 0);
    buf_dispose(&walk.text);
    buf_dispose(&batch);
    arena_dispose(&arena);
}

static void test_limit(void **state)
{
    UNUSED(state);
    struct redirect_rules rules;
    struct arena arena;
    struct buf batch;
    arena_init(&arena, 4096);
    redirect_build(&sidecar, &arena, &rules);
    for (size_t room = 16; room < 4096; room += 128) {
        buf_init(&batch, room);
        assert_int_equal(redirect_write_netlink(&rules, false, &batch), -ERR_LIMIT);
        buf_dispose(&batch);
    }
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sidecar),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which rules a spec gives, in the form that people read: tests/unit/redirect/redirect_netlink_test.c has the same for the kernel. */
#include "redirect/redirect.c"

#include "unit/cm.h"

static const uint32_t proxy[] = {1337};
static const uint16_t ports[] = {9080, 9081};

static struct cidr cidr_of(const char *text)
{
    struct cidr c;
    assert_int_equal(cidr_parse(span_of(text), &c), 0);
    return c;
}

/* The text between the braces of one chain, or nothing. */
static struct span chain_of(struct span text, const char *name)
{
    char head[64];
    (void)snprintf(head, sizeof(head), "    chain %s {\n", name);
    ssize_t at = span_find(text, span_of(head));
    if (at < 0) {
        return SPAN_EMPTY;
    }
    struct span rest = span_from_offset(text, (size_t)at + strlen(head));
    ssize_t end = span_find(rest, SPAN("    }\n"));
    assert_true(end > 0);
    return span_first(rest, (size_t)end);
}

static void check(const struct redirect_spec *spec, const char *output_rules,
                  const char *prerouting_rules)
{
    struct redirect_rules rules;
    struct arena arena;
    struct buf text;
    arena_init(&arena, 4096);
    buf_init(&text, 1 << 20);
    redirect_build(spec, &arena, &rules);
    assert_int_equal(redirect_write_text(&rules, false, &text), 0);
    assert_true(span_starts(buf_span(&text),
                            SPAN("table inet mesh\ndelete table inet mesh\ntable inet mesh {\n")));
    assert_span(chain_of(buf_span(&text), "output"), output_rules);
    assert_span(chain_of(buf_span(&text), "prerouting"), prerouting_rules);
    buf_dispose(&text);
    arena_dispose(&arena);
}

#define HEAD(hook) "        type nat hook " hook " priority -100; policy accept;\n"
#define PASS                                             \
    "        oifname \"lo\" ip saddr 127.0.0.6 return\n" \
    "        oifname \"lo\" ip6 saddr ::6 return\n"
#define SELF                                                                                       \
    "        oifname \"lo\" ip daddr != 127.0.0.1 meta skuid 1337 tcp dport != 15008 redirect to " \
    ":15006\n"                                                                                     \
    "        oifname \"lo\" ip6 daddr != ::1 meta skuid 1337 tcp dport != 15008 redirect to "      \
    ":15006\n"
#define OWN                            \
    "        meta skuid 1337 return\n" \
    "        meta skgid 1337 return\n"
#define LOOP                                \
    "        oifname \"lo\" return\n"       \
    "        ip daddr 127.0.0.0/8 return\n" \
    "        ip6 daddr ::1 return\n"
#define ADMIN                          \
    "        tcp dport 15008 return\n" \
    "        tcp dport 15020 return\n" \
    "        tcp dport 15021 return\n" \
    "        tcp dport 15090 return\n"
#define ALL_OUT "        meta l4proto tcp redirect to :15001\n"
#define ALL_IN "        meta l4proto tcp redirect to :15006\n"
#define SIDECAR                                                                                  \
    .outbound_port = 15001, .inbound_port = 15006, .uids = proxy, .uid_count = 1, .gids = proxy, \
    .gid_count = 1

static void test_a_sidecar(void **state)
{
    UNUSED(state);
    const struct redirect_spec spec = {SIDECAR};
    check(&spec, HEAD("output") PASS SELF OWN LOOP ALL_OUT, HEAD("prerouting") ADMIN ALL_IN);
}

/* Questions go to the proxy wherever they were sent, so before loopback is let go: a resolver at 127.0.0.53. */
static void test_dns_comes_before_loopback(void **state)
{
    UNUSED(state);
    const struct redirect_spec spec = {SIDECAR, .dns_port = 15053};
    check(&spec,
          HEAD("output") PASS SELF OWN "        udp dport 53 redirect to :15053\n"
                                       "        tcp dport 53 redirect to :15053\n" LOOP ALL_OUT,
          HEAD("prerouting") ADMIN ALL_IN);
}

static void test_what_is_left_alone(void **state)
{
    UNUSED(state);
    static const char *const names[] = {"eth1"};
    const struct cidr off[] = {cidr_of("10.0.0.0/8"), cidr_of("fd00::/8")};
    const struct redirect_spec spec = {
        SIDECAR,
        .inbound_off = ports,
        .inbound_off_count = 1,
        .outbound_off = ports,
        .outbound_off_count = 2,
        .outbound_not_to = off,
        .outbound_not_to_count = 2,
        .interfaces_off = names,
        .interface_off_count = 1,
    };
    check(&spec,
          HEAD("output") PASS SELF OWN LOOP "        ip daddr 10.0.0.0/8 return\n"
                                            "        ip6 daddr fd00::/8 return\n"
                                            "        tcp dport 9080 return\n"
                                            "        tcp dport 9081 return\n" ALL_OUT,
          HEAD("prerouting") "        iifname \"eth1\" return\n" ADMIN
                             "        tcp dport 9080 return\n" ALL_IN);
}

static void test_only_what_is_named(void **state)
{
    UNUSED(state);
    const struct cidr to[] = {cidr_of("10.0.0.0/8"), cidr_of("fd66::1")};
    const struct redirect_spec spec = {SIDECAR,
                                       .inbound_ports = ports,
                                       .inbound_count = 2,
                                       .outbound_to = to,
                                       .outbound_to_count = 2,
                                       .outbound_ports = ports,
                                       .outbound_port_count = 1};
    check(&spec,
          HEAD("output") PASS SELF OWN LOOP
          "        tcp dport 9080 redirect to :15001\n"
          "        ip daddr 10.0.0.0/8 meta l4proto tcp redirect to :15001\n"
          "        ip6 daddr fd66::1 meta l4proto tcp redirect to :15001\n",
          HEAD("prerouting") ADMIN "        tcp dport 9080 redirect to :15006\n"
                                   "        tcp dport 9081 redirect to :15006\n");
}

static void test_ipv6_left_alone(void **state)
{
    UNUSED(state);
    const struct redirect_spec spec = {SIDECAR, .ipv4_only = true};
    check(&spec, HEAD("output") "        meta nfproto ipv6 return\n" PASS SELF OWN LOOP ALL_OUT,
          HEAD("prerouting") "        meta nfproto ipv6 return\n" ADMIN ALL_IN);
}

static void test_one_direction(void **state)
{
    UNUSED(state);
    const struct redirect_spec out = {
        .outbound_port = 15001, .uids = proxy, .uid_count = 1, .outbound_to = NULL};
    const struct redirect_spec in = {.inbound_port = 7000};
    const struct redirect_spec dns_alone = {.dns_port = 5353};
    const struct redirect_spec nothing = {.outbound_port = 0};
    check(&out, HEAD("output") PASS "        meta skuid 1337 return\n" LOOP ALL_OUT, "");
    check(&in, "", HEAD("prerouting") ADMIN "        meta l4proto tcp redirect to :7000\n");
    check(&dns_alone,
          HEAD("output") PASS "        udp dport 53 redirect to :5353\n"
                              "        tcp dport 53 redirect to :5353\n" LOOP,
          "");
    check(&nothing, "", "");
}

static void test_each_user_is_left_alone(void **state)
{
    UNUSED(state);
    static const uint32_t uids[] = {1337, 0, 4294967294u};
    const struct redirect_spec spec = {.outbound_port = 15001, .uids = uids, .uid_count = 3};
    check(&spec,
          HEAD("output") PASS "        meta skuid 1337 return\n"
                              "        meta skuid 0 return\n"
                              "        meta skuid 4294967294 return\n" LOOP ALL_OUT,
          "");
}

static void test_text_of_removal_and_its_limit(void **state)
{
    UNUSED(state);
    const struct redirect_spec spec = {SIDECAR};
    struct redirect_rules rules;
    struct arena arena;
    struct buf text;
    arena_init(&arena, 4096);
    redirect_build(&spec, &arena, &rules);
    buf_init(&text, 4096);
    assert_int_equal(redirect_write_text(&rules, true, &text), 0);
    assert_span(buf_span(&text), "table inet mesh\ndelete table inet mesh\n");
    buf_dispose(&text);
    for (size_t room = 16; room < 900; room += 64) {
        buf_init(&text, room);
        assert_int_equal(redirect_write_text(&rules, false, &text), -ERR_LIMIT);
        buf_dispose(&text);
    }
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sidecar),
        cmocka_unit_test(test_dns_comes_before_loopback),
        cmocka_unit_test(test_what_is_left_alone),
        cmocka_unit_test(test_only_what_is_named),
        cmocka_unit_test(test_ipv6_left_alone),
        cmocka_unit_test(test_one_direction),
        cmocka_unit_test(test_each_user_is_left_alone),
        cmocka_unit_test(test_text_of_removal_and_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

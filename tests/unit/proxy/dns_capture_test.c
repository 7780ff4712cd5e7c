/* The proxy's DNS over real sockets of loopback: a client, a resolver further up, and a control plane that is a
 * table, all in one loop. */
#include "unit/cm.h"

#include "proto/nds.pb.h"
#include "proxy/dns_capture.c"

#include "base/instant.h"
#include "io/dial.h"

#define TURNS_MAX 2000

struct bench {
    struct loop *loop;
    struct metric_registry *registry;
    struct dns_names *names;
    struct discovery *discovery;
    struct dns_capture *dns;
    struct udp *upstream, *client;
    char wanted[256]; /* by discovery, in order */
    bool upstream_is_dead;
    unsigned passed_on;
    uint8_t got[4096];
    size_t got_len;
    struct arena arena;
};
static struct bench b;

/* ---- a control plane ---- */

static void on_want(void *arg, enum discovery_type type, struct span name, bool wanted)
{
    (void)arg;
    assert_int_equal(type, DISCOVERY_NAME_TABLE);
    dns_names_want(b.names, name, wanted);
    if (wanted) {
        size_t len = strlen(b.wanted);
        (void)snprintf(b.wanted + len, sizeof(b.wanted) - len, "%.*s ", SPAN_ARG(name));
    }
}

static enum ingest_state on_look(void *arg, enum discovery_type type, struct span name)
{
    (void)arg;
    (void)type;
    return dns_names_look(b.names, name);
}

static bool is_connected(void *arg)
{
    (void)arg;
    return true;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* What control says about all that is wanted: this name has this address, the others are none. */
static void control_says(const char *name, const char *const *ips)
{
    struct err err;
    struct span rest = span_of(b.wanted);
    while (rest.len > 0) {
        struct span one = span_cut(&rest, ' ');
        struct xds_update u = {
            .type_url = SPAN(DNS_NAMES_TYPE), .removed = &one, .removed_count = 1};
        struct xds_resource r = {.name = one, .version = SPAN("1")};
        if (name != NULL && span_is(one, name)) {
            struct pb_nds_NameTable t = {0};
            struct pb_nds_NameTable_NameInfo info = {0};
            struct pb_nds_NameTable_TableEntry e = {.key = one, .value = &info};
            for (size_t i = 0; ips[i] != NULL; i++) {
                PB_ADD(&b.arena, &info.ips, span_of(ips[i]));
            }
            PB_ADD(&b.arena, &t.table, &e);
            r.value = pb_encode_in(&pb_nds_NameTable_desc, &t, &b.arena);
            u = (struct xds_update){.type_url = u.type_url, .added = &r, .added_count = 1};
        }
        if (one.len > 0) {
            assert_int_equal(dns_names_update(b.names, &u, &err), 0);
        }
    }
    b.wanted[0] = '\0';
    discovery_settled(b.discovery);
}

/* ---- a resolver further up: answers every question with 192.0.2.1 ---- */

static void on_upstream(void *arg, const struct addr *from, struct span bytes)
{
    (void)arg;
    b.passed_on++;
    if (b.upstream_is_dead) {
        return;
    }
    struct dns_msg m;
    assert_int_equal(dns_msg_parse(&m, bytes, &b.arena), 0);
    uint8_t out[512];
    struct dns_msg_writer w;
    struct dns_head head = {.id = m.head.id, .is_response = true};
    assert_int_equal(dns_msg_start(&w, out, sizeof(out), &head, &m.question), 0);
    struct dns_record r = {.name = m.question.name, .type = DNS_A, .class = 1, .ttl_s = 9};
    assert_int_equal(ip_parse(SPAN("192.0.2.1"), &r.ip), 0);
    assert_int_equal(dns_msg_add(&w, &r), 0);
    size_t len = dns_msg_finish(&w, 0);
    out[0] ^= 1; /* first with a wrong id: not the answer */
    assert_int_equal(udp_send(b.upstream, from, span_from((char *)out, len)), 0);
    out[0] ^= 1;
    assert_int_equal(udp_send(b.upstream, from, span_from((char *)out, len)), 0);
}

/* ---- a client ---- */

static void on_client(void *arg, const struct addr *from, struct span bytes)
{
    (void)arg;
    (void)from;
    memcpy(b.got, bytes.at, bytes.len);
    b.got_len = bytes.len;
}

static size_t question(uint8_t *to, const char *name, uint16_t type, uint16_t udp_bytes)
{
    struct dns_msg_writer w;
    struct dns_head head = {.id = 0x1234, .wants_recursion = true};
    struct dns_question q = {.name = span_of(name), .type = type, .class = 1};
    assert_int_equal(dns_msg_start(&w, to, 512, &head, &q), 0);
    return dns_msg_finish(&w, udp_bytes);
}

static void ask(const char *name, uint16_t type, uint16_t udp_bytes)
{
    uint8_t out[512];
    b.got_len = 0;
    size_t len = question(out, name, type, udp_bytes);
    assert_int_equal(udp_send(b.client, NULL, span_from((char *)out, len)), 0);
}

static void wait_until_wanted(void)
{
    for (int i = 0; i < TURNS_MAX && b.wanted[0] == '\0'; i++) {
        loop_turn(b.loop, true);
    }
    assert_true(b.wanted[0] != '\0');
}

static void wait_answer(struct dns_msg *m)
{
    for (int i = 0; i < TURNS_MAX && b.got_len == 0; i++) {
        loop_turn(b.loop, true);
    }
    assert_int_equal(dns_msg_parse(m, span_from((char *)b.got, b.got_len), &b.arena), 0);
    assert_int_equal(m->head.id, 0x1234);
    assert_true(m->head.is_response);
}

static int setup(void **state)
{
    (void)state;
    b = (struct bench){0};
    struct err err;
    arena_init(&b.arena, 4096);
    b.loop = loop_new(false);
    b.registry = metric_registry_new();
    b.names = dns_names_new(SPAN("shop"), SPAN("cluster.local"));
    static const struct discovery_ops ops = {.want = on_want,
                                             .look = on_look,
                                             .is_connected = is_connected,
                                             .on_sweep = nothing,
                                             .on_known = nothing};
    b.discovery = discovery_new(b.loop, b.registry, &ops, NULL);
    struct udp_spec up = {.on_packet = on_upstream};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &up.local, &err), 0);
    assert_int_equal(udp_open(&b.upstream, b.loop, &up, &err), 0);
    char server[ADDR_TEXT_BYTES];
    struct dns_capture_spec spec = {.addr = up.local,
                                    .upstream = addr_format(udp_addr(b.upstream), server),
                                    .names = b.names,
                                    .discovery = b.discovery,
                                    .registry = b.registry};
    int code = -EADDRINUSE; /* UDP's port may be taken for TCP */
    for (int i = 0; i < 10 && code == -EADDRINUSE; i++) {
        code = dns_capture_new(&b.dns, b.loop, &spec, &err);
    }
    assert_int_equal(code, 0);
    struct udp_spec client = {.remote = *dns_capture_addr(b.dns), .on_packet = on_client};
    assert_int_equal(udp_open(&b.client, b.loop, &client, &err), 0);
    return 0;
}

static void drop(struct discovery_wait *w)
{
    (void)w;
    fail();
}

static int teardown(void **state)
{
    (void)state;
    dns_capture_free(b.dns);
    discovery_free(b.discovery, drop);
    dns_names_free(b.names);
    udp_close(b.client);
    udp_close(b.upstream);
    loop_turn(b.loop, false);
    metric_registry_free(b.registry);
    loop_free(b.loop);
    arena_dispose(&b.arena);
    return 0;
}

static const char *const one[] = {"10.1.2.3", "fd00::7", NULL};

static void a_name_of_the_mesh(void **state)
{
    (void)state;
    struct dns_msg m;
    ask("reviews", DNS_A, 0);
    wait_until_wanted();
    assert_string_equal(b.wanted, "reviews.shop.svc.cluster.local ");
    control_says("reviews.shop.svc.cluster.local", one);
    wait_answer(&m);
    assert_int_equal(m.head.rcode, DNS_NO_ERROR);
    assert_int_equal(m.record_count, 1);
    assert_int_equal(m.records[0].ip.family, 4);
    assert_int_equal(m.records[0].ttl_s, DNS_CAPTURE_TTL_S);
    ask("reviews.shop.svc.cluster.local", DNS_AAAA, 0); /* known by now */
    wait_answer(&m);
    assert_int_equal(m.record_count, 1);
    assert_int_equal(m.records[0].ip.family, 6);
    assert_string_equal(b.wanted, "");
    assert_int_equal(b.passed_on, 0);
}

/* Questions to an IPv6 nameserver are redirected to ::1. */
static void by_ipv6(void **state)
{
    (void)state;
    struct err err;
    struct dns_msg m;
    struct udp_spec client = {.remote = *dns_capture_addr(b.dns), .on_packet = on_client};
    assert_int_equal(ip_parse(SPAN("::1"), &client.remote.ip), 0);
    if (b.dns->udp6 == NULL) {
        skip();
    }
    udp_close(b.client);
    b.client = NULL;
    assert_int_equal(udp_open(&b.client, b.loop, &client, &err), 0);
    ask("reviews", DNS_A, 0);
    wait_until_wanted();
    control_says("reviews.shop.svc.cluster.local", one);
    wait_answer(&m);
    assert_int_equal(m.record_count, 1);
    b.got_len = 0;
    assert_int_equal(udp_send(b.client, NULL, SPAN("\x12\x34\x01\0\0\0\0\0\0\0\0\0")), 0);
    for (int i = 0; i < TURNS_MAX && b.got_len == 0; i++) {
        loop_turn(b.loop, true);
    }
    assert_int_equal(b.got[3] & 15, DNS_FORMAT_ERROR);
}

static void a_family_that_it_has_not(void **state)
{
    static const char *const v4[] = {"10.1.2.3", NULL};
    (void)state;
    struct dns_msg m;
    ask("reviews", DNS_AAAA, 1400);
    wait_until_wanted();
    control_says("reviews.shop.svc.cluster.local", v4);
    wait_answer(&m);
    assert_int_equal(m.head.rcode, DNS_NO_ERROR);
    assert_int_equal(m.record_count, 0);
    assert_true(m.udp_bytes > 0); /* who has EDNS gets it */
}

static void another_name_is_passed_on(void **state)
{
    (void)state;
    struct dns_msg m;
    ask("www.example.com", DNS_A, 0);
    wait_until_wanted();
    control_says(NULL, NULL);
    wait_answer(&m);
    assert_int_equal(m.record_count, 1);
    assert_int_equal(m.records[0].ttl_s, 9);
    assert_int_equal(b.passed_on, 1);
    ask("www.example.com", DNS_A, 0); /* known to be unknown */
    wait_answer(&m);
    assert_string_equal(b.wanted, "");
    ask("reviews", DNS_TXT, 0); /* the mesh has addresses only */
    wait_answer(&m);
    assert_int_equal(b.passed_on, 3);
}

static void both_meanings_are_asked_for(void **state)
{
    (void)state;
    struct dns_msg m;
    ask("reviews.prod", DNS_A, 0);
    wait_until_wanted();
    control_says(NULL, NULL);
    assert_string_equal(b.wanted, "reviews.prod.svc.cluster.local ");
    control_says("reviews.prod.svc.cluster.local", one);
    wait_answer(&m);
    assert_int_equal(m.record_count, 1);
}

static void many_addresses_are_truncated(void **state)
{
    (void)state;
    const char *ips[121] = {0};
    for (int i = 0; i < 120; i++) {
        ips[i] = arena_printf(&b.arena, "10.1.2.%d", i);
    }
    struct dns_msg m;
    ask("reviews", DNS_A, 0);
    wait_until_wanted();
    control_says("reviews.shop.svc.cluster.local", ips);
    wait_answer(&m);
    assert_true(m.head.is_truncated);
    assert_true(b.got_len <= DNS_UDP_BYTES);
}

static void broken_questions(void **state)
{
    (void)state;
    static const struct {
        struct span bytes;
        int rcode; /* -1: nothing comes */
    } cases[] = {
        {SPAN_INIT("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), DNS_FORMAT_ERROR},
        {SPAN_INIT("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"),
         DNS_FORMAT_ERROR},
        {SPAN_INIT("\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x01\x00\x01"),
         DNS_NOT_IMPLEMENTED},
        {SPAN_INIT("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x01\x00\x01"),
         -1},
        {SPAN_INIT("\x12\x34"), -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        b.got_len = 0;
        assert_int_equal(udp_send(b.client, NULL, cases[i].bytes), 0);
        for (int k = 0; k < TURNS_MAX && b.got_len == 0 && cases[i].rcode >= 0; k++) {
            loop_turn(b.loop, true);
        }
        if (cases[i].rcode >= 0) {
            assert_true(b.got_len >= 12);
            assert_int_equal(b.got[3] & 15, cases[i].rcode);
        }
    }
}

/* ---- TCP ---- */

static struct io *tcp;
static struct buf tcp_got;

static void on_tcp(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
    char part[4096];
    ssize_t n = io_read(tcp, part, sizeof(part));
    if (n > 0) {
        assert_int_equal(buf_append(&tcp_got, part, (size_t)n), 0);
    } else if (n != -EAGAIN) {
        io_watch(tcp, 0);
    }
}

static void on_connected(void *arg, struct io *io, int code)
{
    (void)arg;
    assert_int_equal(code, 0);
    tcp = io;
    io_set_owner(io, on_tcp, NULL);
    io_watch(io, IO_READ);
}

static void many_questions_over_one_connection(void **state)
{
    (void)state;
    struct dial_spec to = {.to = *dns_capture_addr(b.dns)};
    tcp = NULL;
    buf_init(&tcp_got, 1 << 20);
    dial_start(b.loop, &to, on_connected, NULL);
    for (int i = 0; i < TURNS_MAX && tcp == NULL; i++) {
        loop_turn(b.loop, true);
    }
    uint8_t out[512];
    size_t len = question(out, "reviews", DNS_A, 0);
    struct buf all;
    buf_init(&all, 1 << 20);
    for (int i = 0; i < 200; i++) {
        const char head[2] = {(char)(len >> 8), (char)len};
        assert_int_equal(buf_append(&all, head, 2), 0);
        assert_int_equal(buf_append(&all, out, len), 0);
    }
    assert_int_equal(io_write(tcp, buf_span(&all).at, buf_len(&all)), (ssize_t)buf_len(&all));
    buf_dispose(&all);
    wait_until_wanted();
    control_says("reviews.shop.svc.cluster.local", one);
    size_t answers = 0;
    size_t at = 0;
    for (int i = 0; i < TURNS_MAX && answers < 200; i++) {
        struct span got = span_from_offset(buf_span(&tcp_got), at);
        size_t n = got.len >= 2 ? (size_t)(uint8_t)got.at[0] << 8 | (uint8_t)got.at[1] : 0;
        if (got.len < 2 || got.len < n + 2) {
            loop_turn(b.loop, true);
            continue;
        }
        struct dns_msg m;
        assert_int_equal(dns_msg_parse(&m, span_first(span_from_offset(got, 2), n), &b.arena), 0);
        assert_int_equal(m.record_count, 1);
        at += n + 2;
        answers++;
    }
    assert_int_equal(answers, 200);
    io_close(tcp);
    buf_dispose(&tcp_got);
}

static void clients_and_servers_that_leave(void **state)
{
    (void)state;
    b.upstream_is_dead = true;
    ask("reviews", DNS_TXT, 0);
    ask("reviews", DNS_A, 0);
    wait_until_wanted();
    for (int i = 0; i < TURNS_MAX && b.passed_on == 0; i++) {
        loop_turn(b.loop, true);
    }
    /* teardown: one waits for control, one for the resolver */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_name_of_the_mesh),
        CASE(by_ipv6),
        CASE(a_family_that_it_has_not),
        CASE(another_name_is_passed_on),
        CASE(both_meanings_are_asked_for),
        CASE(many_addresses_are_truncated),
        CASE(broken_questions),
        CASE(many_questions_over_one_connection),
        CASE(clients_and_servers_that_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

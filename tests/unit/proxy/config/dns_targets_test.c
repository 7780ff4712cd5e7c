/* proxy/config/dns_targets, through ingest: DNS clusters get their addresses, keep the last good ones, and ask
 * again when it is time. The resolver is played here. */
#include "proxy/config/dns_targets.c"

#include "unit/cm.h"
#include "unit/proxy/config/ingest_help.h"

#define LOOKUPS_MAX 8

struct resolver_lookup {
    char name[64];
    enum resolver_family family;
    void (*done)(void *arg, const struct resolver_answer *answer);
    void *arg;
    bool active;
};

static struct bench b;
static struct resolver_lookup lookups[LOOKUPS_MAX];
static size_t asked; /* in all */
static size_t cancelled;

struct resolver_lookup *resolver_start(
    struct resolver *r, struct span name, enum resolver_family family,
    void (*done)(void *arg, const struct resolver_answer *answer), void *arg)
{
    (void)r;
    struct resolver_lookup *l = &lookups[asked++ % LOOKUPS_MAX];
    assert_false(l->active);
    *l = (struct resolver_lookup){.family = family, .done = done, .arg = arg, .active = true};
    (void)span_to_cstr(name, l->name, sizeof(l->name));
    return l;
}

void resolver_cancel(struct resolver_lookup *l)
{
    l->active = false;
    cancelled++;
}

/* Answers the look-up of `name` with "ip,ip", or with a code. */
static void answer(const char *name, const char *ips, int code, uint32_t ttl_s)
{
    struct resolver_answer a = {.code = code, .ttl_s = ttl_s};
    struct span rest = span_of(ips);
    while (rest.at && rest.len > 0) {
        assert_int_equal(ip_parse(span_cut(&rest, ','), &a.ips[a.count++]), 0);
    }
    for (size_t i = 0; i < LOOKUPS_MAX; i++) {
        if (lookups[i].active && strcmp(lookups[i].name, name) == 0) {
            lookups[i].active = false;
            lookups[i].done(lookups[i].arg, &a);
            bench_settle(&b);
            return;
        }
    }
    print_error("nobody asked for '%s'\n", name);
    fail();
}

static int begin(void **state)
{
    (void)state;
    bench_begin(&b);
    ingest_free(b.ingest);
    struct ingest_events events = {.on_snapshot = bench_on_snapshot,
                                   .on_interest = bench_on_interest};
    b.ingest =
        ingest_new(b.loop, (struct resolver *)&b, &events, &b); /* any pointer: it is played here */
    memset(lookups, 0, sizeof(lookups));
    asked = 0;
    cancelled = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    bench_end(&b);
    return 0;
}

/* "ip:port ip:port" of what the snapshot has for the cluster. */
static const char *now(const char *cluster)
{
    const struct conf_cluster *c = bench_cluster(&b, cluster);
    if (!c) {
        return "(no cluster)";
    }
    char *text = arena_strdup(&b.arena, "");
    const struct conf_endpoints *e = b.snapshot->endpoints[c->slot];
    for (size_t i = 0; e && i < e->count; i++) {
        char addr[ADDR_TEXT_BYTES];
        text = arena_printf(&b.arena, "%s%s%s", text, i ? " " : "",
                            addr_format(&e->items[i].addr, addr));
    }
    return text;
}

#define NAMED(host, port) \
    "{endpoint: {address: {socket_address: {address: " host ", port_value: " port "}}}}"
#define DNS(name, options, endpoints)              \
    "[{" TYPE CLUSTER ", name: " name ", " options \
    ", load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [" endpoints "]}]}}]"

static void resolves_all_names(void **state)
{
    (void)state;
    bench_apply(
        &b,
        DNS("c", "type: STRICT_DNS, dns_lookup_family: V4_ONLY, dns_refresh_rate: 10s",
            NAMED("a.example", "80") ", " NAMED("10.9.9.9", "81") ", " NAMED("b.example", "82")),
        "1");
    bench_settle(&b);
    bench_advance(&b, 1);
    assert_int_equal(asked, 2);
    assert_int_equal(lookups[0].family, RESOLVER_V4);
    assert_string_equal(now("c"), "(no cluster)");
    answer("a.example", "10.0.0.2,10.0.0.1", 0, 60);
    assert_string_equal(now("c"), "(no cluster)"); /* b is still open */
    assert_false(ingest_is_complete(b.ingest));
    answer("b.example", "", -ENOENT, 0);
    assert_string_equal(now("c"), "10.0.0.1:80 10.0.0.2:80 10.9.9.9:81");
    assert_true(ingest_is_complete(b.ingest));
    unsigned snapshots = b.snapshots;

    bench_advance(&b, 10001);
    assert_int_equal(asked, 4);
    answer("a.example", "10.0.0.1,10.0.0.2", 0, 60); /* another order is no change */
    assert_int_equal(b.snapshots, snapshots);
    answer("b.example", "10.0.0.3", 0, 60);
    assert_string_equal(now("c"), "10.0.0.1:80 10.0.0.2:80 10.9.9.9:81 10.0.0.3:82");

    bench_advance(&b, 10001);
    answer("b.example", "", -ERR_TIMEOUT, 0); /* the last good ones stay */
    assert_string_equal(now("c"), "10.0.0.1:80 10.0.0.2:80 10.9.9.9:81 10.0.0.3:82");
    answer("a.example", "", -ENOENT, 0);
    assert_string_equal(now("c"), "10.9.9.9:81 10.0.0.3:82");
}

static void takes_one_address_of_a_logical_name(void **state)
{
    (void)state;
    bench_apply(&b, DNS("c", "type: LOGICAL_DNS, respect_dns_ttl: true", NAMED("a.example", "80")),
                "1");
    bench_settle(&b);
    bench_advance(&b, 1);
    assert_int_equal(lookups[0].family, RESOLVER_ANY);
    answer("a.example", "10.0.0.2,2001:db8::1,10.0.0.1", 0, 30);
    assert_string_equal(now("c"), "[2001:db8::1]:80"); /* AUTO: IPv6 if there is any */
    bench_advance(&b, 29000);
    assert_int_equal(asked, 1);
    bench_advance(&b, 1100);
    assert_int_equal(asked, 2); /* the TTL, not dns_refresh_rate */
    answer("a.example", "10.0.0.1", 0, 0);
    assert_string_equal(now("c"), "10.0.0.1:80");
    bench_advance(&b, 900);
    assert_int_equal(asked, 2); /* a TTL of 0 is a second */
    bench_advance(&b, 200);
    assert_int_equal(asked, 3);
}

static void heeds_the_family(void **state)
{
    (void)state;
    static const struct {
        const char *family, *want;
    } cases[] = {
        {"AUTO", "[::2]:80"},       {"V4_PREFERRED", "10.0.0.1:80"}, {"V6_ONLY", "[::2]:80"},
        {"V4_ONLY", "10.0.0.1:80"}, {"ALL", "10.0.0.1:80 [::2]:80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bench_apply(
            &b,
            arena_printf(&b.arena,
                         DNS("c%zu", "type: STRICT_DNS, dns_lookup_family: %s", NAMED("a", "80")),
                         i, cases[i].family),
            "1");
        bench_settle(&b);
        bench_advance(&b, 1);
        answer("a", "10.0.0.1,::2", 0, 60);
        assert_string_equal(now(arena_printf(&b.arena, "c%zu", i)), cases[i].want);
    }
}

static void starts_over_with_a_new_cluster(void **state)
{
    (void)state;
    bench_apply(&b, DNS("c", "type: STRICT_DNS", NAMED("a", "80")), "1");
    bench_settle(&b);
    bench_advance(&b, 1);
    answer("a", "10.0.0.1", 0, 60);
    struct snapshot *old = b.snapshot;
    snapshot_get(old);
    bench_apply(&b, DNS("c", "type: STRICT_DNS", NAMED("b", "90")), "2");
    bench_settle(&b);
    bench_advance(&b, 1);
    assert_string_equal(now("c"), "10.0.0.1:80"); /* in use until the new one has answers */
    answer("b", "10.0.0.2", 0, 60);
    assert_string_equal(now("c"), "10.0.0.2:90");
    for (size_t i = 0; i < old->slots; i++) {
        if (old->endpoints[i]) {
            assert_int_equal(old->endpoints[i]->items[0].addr.port, 80);
            assert_span(old->endpoints[i]->items[0].hostname, "a");
        }
    }
    ingest_snapshot_done(b.ingest, old);
    bench_remove(&b, CLUSTER, "c");
    bench_settle(&b);
    assert_string_equal(now("c"), "(no cluster)");
    bench_apply(&b, DNS("c", "type: STRICT_DNS", NAMED("c", "90")), "3");
    bench_settle(&b);
    bench_advance(&b, 1);
    bench_remove(&b, CLUSTER, "c"); /* with a look-up under way */
    assert_int_equal(cancelled, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        T(resolves_all_names),
        T(takes_one_address_of_a_logical_name),
        T(heeds_the_family),
        T(starts_over_with_a_new_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

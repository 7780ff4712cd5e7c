/* control/world/lower_destination_rule: fields, defaults, and what overrides what. */
#include "control/world/lower_destination_rule.c"

#include "unit/control/world/world_test.h"

#define SERVICES                                                                  \
    SERVICE("a", "one", "ports: [{port: 80, name: http}, {port: 81, name: tcp}]") \
    SERVICE_ENTRY("wide", "one",                                                  \
                  "hosts: [\"*.example.com\"], resolution: NONE, ports: "         \
                  "[{number: 80, name: http, protocol: HTTP}]")

static const struct world_rule *rule_of(const struct world *w, const char *host, const char *client)
{
    return world_rule_for(w, world_test_service(w, host, "one"), span_of(client));
}

static void lowers(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(SERVICES RULE(
        "r", "one",
        "host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: c, path: /p, ttl: "
        "60s}, maglev: {tableSize: 65537}}}, connectionPool: {tcp: {maxConnections: 10, connectTimeout: 2s, "
        "idleTimeout: 3s, tcpKeepalive: {probes: 3, time: 7s, interval: 8s}}, http: {http1MaxPendingRequests: 11, "
        "http2MaxRequests: 12, maxRetries: 13, maxRequestsPerConnection: 14, idleTimeout: 4s, "
        "h2UpgradePolicy: UPGRADE}}, outlierDetection: {consecutive5xxErrors: 7, interval: 1s}, "
        "tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca, sni: s, "
        "subjectAltNames: [x, z]}}"));
    const struct world_traffic *t = rule_of(w, "a", "one")->traffic;
    assert_int_equal(t->lb, WORLD_LB_HASH);
    assert_span(t->hash_cookie, "c");
    assert_span(t->hash_cookie_path, "/p");
    assert_int_equal(t->hash_cookie_ttl_s, 60);
    assert_true(t->maglev);
    assert_int_equal(t->hash_size, 65537);
    assert_int_equal(t->max_connections, 10);
    assert_int_equal(t->connect_timeout_ms, 2000);
    assert_int_equal(t->idle_timeout_ms, 3000);
    assert_int_equal(t->http_idle_timeout_ms, 4000);
    assert_int_equal(t->max_pending, 11);
    assert_int_equal(t->max_requests, 12);
    assert_int_equal(t->max_retries, 13);
    assert_int_equal(t->max_requests_per_connection, 14);
    assert_true(t->h2_upgrade && t->keepalive);
    assert_int_equal(t->keepalive_time_ms, 7000);
    assert_true(t->outlier.enabled);
    assert_int_equal(t->outlier.consecutive_5xx, 7);
    assert_int_equal(t->outlier.interval_ms, 1000);
    assert_int_equal(t->outlier.base_ejection_ms, 30000);
    assert_int_equal(t->outlier.max_ejection_percent, 10);
    assert_int_equal(t->tls, WORLD_TLS_MUTUAL);
    assert_span(t->tls_sni, "s");
    assert_int_equal(t->tls_san_count, 2);
    assert_span(t->tls_ca_file, "/ca");
    assert_span(rule_of(w, "a", "other")->object->name, "r");
    world_unref(w);
}

static void balancers(void **state)
{
    static const struct {
        const char *lb;
        enum world_lb want;
        const char *header;
    } rows[] = {
        {"simple: ROUND_ROBIN", WORLD_LB_ROUND_ROBIN, ""},
        {"simple: RANDOM", WORLD_LB_RANDOM, ""},
        {"simple: PASSTHROUGH", WORLD_LB_PASSTHROUGH, ""},
        {"simple: LEAST_REQUEST", WORLD_LB_LEAST_REQUEST, ""},
        {"simple: LEAST_CONN", WORLD_LB_LEAST_REQUEST, ""},
        {"simple: UNSPECIFIED", WORLD_LB_LEAST_REQUEST, ""},
        {"consistentHash: {useSourceIp: true}", WORLD_LB_HASH, ""},
        {"consistentHash: {httpHeaderName: x}", WORLD_LB_HASH, "x"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[1024];
        (void)snprintf(text, sizeof(text),
                       SERVICES RULE("r", "one", "host: a, trafficPolicy: {loadBalancer: {%s}}"),
                       rows[i].lb);
        struct world *w = world_test_of(text);
        assert_int_equal(rule_of(w, "a", "one")->traffic->lb, rows[i].want);
        assert_span(rule_of(w, "a", "one")->traffic->hash_header, rows[i].header);
        world_unref(w);
    }
}

/* Rule, its port, the subset, the subset's port. */
static void overrides(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(SERVICES RULE(
        "r", "one",
        "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}, tls: {mode: DISABLE}, portLevelSettings: ["
        "{port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}]}, subsets: ["
        "{name: v1, labels: {version: v1}}, "
        "{name: v2, labels: {version: v2}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}, "
        "{name: v3, labels: {version: v3}, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: ["
        "{port: {number: 80}, connectionPool: {tcp: {maxConnections: 6}}}]}}]"));
    const struct world_rule *r = rule_of(w, "a", "one");
    assert_int_equal(r->subset_count, 3);
    static const struct {
        int subset; /* -1: the rule */
        size_t port;
        enum world_lb lb;
        enum world_tls tls;
        uint32_t connections;
    } rows[] = {
        {-1, 0, WORLD_LB_RANDOM, WORLD_TLS_DISABLE, 0},
        {-1, 1, WORLD_LB_ROUND_ROBIN, WORLD_TLS_AUTO, 0}, /* a port inherits nothing */
        {0, 0, WORLD_LB_RANDOM, WORLD_TLS_DISABLE, 0},
        {0, 1, WORLD_LB_ROUND_ROBIN, WORLD_TLS_AUTO, 0},
        {1, 0, WORLD_LB_RANDOM, WORLD_TLS_DISABLE, 5},
        {1, 1, WORLD_LB_ROUND_ROBIN, WORLD_TLS_AUTO, 5},
        {2, 0, WORLD_LB_LEAST_REQUEST, WORLD_TLS_AUTO, 6},
        {2, 1, WORLD_LB_ROUND_ROBIN, WORLD_TLS_SIMPLE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct world_traffic *t = rows[i].subset < 0
                                            ? r->by_port[rows[i].port]
                                            : r->subsets[rows[i].subset].by_port[rows[i].port];
        assert_int_equal(t->lb, rows[i].lb);
        assert_int_equal(t->tls, rows[i].tls);
        assert_int_equal(t->max_connections, rows[i].connections);
    }
    assert_int_equal(r->subsets[1].traffic->max_connections, 5);
    world_unref(w);
}

#define AGED_RULE(name, age, spec)                                           \
    "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n" AGED( \
        name, "one", age) "spec: {" spec "}\n"

static void merges(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        SERVICES AGED_RULE(
            "young", "30",
            "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: ["
            "{name: v1, labels: {version: wrong}}, {name: v2, labels: {version: v2}}]")
            AGED_RULE("old", "10",
                      "host: a.one.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}]")
                AGED_RULE("selected", "05",
                          "host: a, workloadSelector: {matchLabels: {app: x}}, subsets: "
                          "[{name: v9, labels: {version: v9}}]"));
    const struct world_rule *r = rule_of(w, "a", "one");
    assert_span(r->object->name, "old");
    assert_int_equal(r->traffic->lb, WORLD_LB_RANDOM); /* the only policy */
    assert_int_equal(r->subset_count, 2);
    assert_span(r->subsets[0].labels[0].value, "v1");
    assert_span(r->subsets[1].name, "v2");
    assert_int_equal(r->subsets[0].traffic->lb, WORLD_LB_RANDOM);
    world_unref(w);
}

static void most_specific(void **state)
{
    static const struct {
        const char *host, *want;
    } rows[] = {
        {"a", "exact"},
        {"b", "wide"},
        {"x.example.com", "entry"},
    };
    UNUSED(state);
    struct world *w = world_test_of(SERVICES SERVICE("b", "one", "ports: [{port: 80}]") RULE(
        "widest", "one", "host: \"*\"") RULE("wide", "one", "host: \"*.one.svc.cluster.local\"")
                                        RULE("exact", "one", "host: a.one")
                                            RULE("entry", "one", "host: \"*.example.com\""));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_span(rule_of(w, rows[i].host, "one")->object->name, rows[i].want);
    }
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowers), cmocka_unit_test(balancers),     cmocka_unit_test(overrides),
        cmocka_unit_test(merges), cmocka_unit_test(most_specific),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

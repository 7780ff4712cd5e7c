/* DestinationRule. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/destination_rule.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct destination_rule_spec *s = destination_rule_of(model_test_good(
        state,
        "apiVersion: networking.istio.io/v1\n"
        "kind: DestinationRule\n"
        "metadata: {name: reviews}\n"
        "spec:\n"
        "  host: reviews\n"
        "  trafficPolicy:\n"
        "    loadBalancer: {consistentHash: {httpCookie: {name: u, path: /, ttl: 0s}, maglev: {tableSize: 65537}}, warmupDurationSecs: 30s}\n"
        "    connectionPool:\n"
        "      tcp: {maxConnections: 7, connectTimeout: 1s, tcpKeepalive: {probes: 3, time: 7200s}}\n"
        "      http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, h2UpgradePolicy: UPGRADE, idleTimeout: 0s}\n"
        "    outlierDetection: {consecutive5xxErrors: 0, interval: 10s, baseEjectionTime: 30s, maxEjectionPercent: 100}\n"
        "    tls: {mode: ISTIO_MUTUAL}\n"
        "    portLevelSettings: [{port: {number: 9080}, loadBalancer: {simple: LEAST_CONN}}]\n"
        "  subsets:\n"
        "  - {name: v1, labels: {version: v1}}\n"
        "  - {name: v2, labels: {version: v2}, trafficPolicy: {tls: {mode: SIMPLE, sni: a.example.com, insecureSkipVerify: true}}}\n"
        "  exportTo: [\"*\"]\n"));
    const struct destination_rule_traffic *t = &s->policy.traffic;
    assert_true(s->policy.set && t->balancing.set && t->pool.set && t->outlier.set && t->tls.set);
    assert_int_equal(t->balancing.lb, DESTINATION_RULE_LB_CONSISTENT_HASH);
    assert_int_equal(t->balancing.hash, DESTINATION_RULE_HASH_COOKIE);
    assert_span(t->balancing.hash_name, "u");
    assert_int_equal(t->balancing.cookie_ttl_ms, 0);
    assert_true(t->balancing.maglev);
    assert_int_equal(t->balancing.ring_size, 65537);
    assert_int_equal(t->balancing.warmup_ms, 30000);
    assert_int_equal(t->pool.max_connections, 7);
    assert_int_equal(t->pool.connect_timeout_ms, 1000);
    assert_int_equal(t->pool.tcp_idle_timeout_ms, SPEC_UNSET);
    assert_int_equal(t->pool.idle_timeout_ms, 0);
    assert_int_equal(t->pool.keepalive_interval_ms, SPEC_UNSET);
    assert_int_equal(t->pool.keepalive_time_ms, 7200000);
    assert_int_equal(t->pool.h2, DESTINATION_RULE_H2_UPGRADE);
    assert_int_equal(t->outlier.consecutive_5xx, 0);
    assert_int_equal(t->outlier.consecutive_gateway, SPEC_UNSET);
    assert_int_equal(t->outlier.max_ejection_percent, 100);
    assert_int_equal(t->tls.mode, DESTINATION_RULE_TLS_ISTIO_MUTUAL);
    assert_int_equal(s->policy.ports[0].port, 9080);
    assert_int_equal(s->policy.ports[0].traffic.balancing.lb, DESTINATION_RULE_LB_LEAST_REQUEST);
    assert_false(s->policy.ports[0].traffic.pool.set);
    assert_int_equal(s->subset_count, 2);
    assert_false(s->subsets[0].policy.set);
    assert_int_equal(s->subsets[1].policy.traffic.tls.skip_verify, SPEC_BOOL_TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

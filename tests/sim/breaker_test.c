/* sim: circuit breakers and load balancing. */
#include "sim/expect.h"

SIM_FILE

#define LIMITS(text) "circuit_breakers: {thresholds: [{" text "}]}"
#define LOG "%RESPONSE_CODE% %RESPONSE_FLAGS%"

CASE(requests)
{
    BEGIN(.cluster = LIMITS("max_requests: 2"), .log = LOG);
    struct sim_peer *first = sim_ask(&s, GET);
    sim_ask(&s, GET);
    struct sim_peer *third = sim_ask(&s, GET);
    sim_expect(third, "HTTP/1.1 503");
    sim_expect(third, "reset reason: overflow");
    assert_string_equal(sim_log(&s), "503 UO\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_active", NULL, 2);
    sim_peer_abort(first);
    sim_settle(&s);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_active", NULL, 1);
    sim_send(&s, third, GET);
    sim_expect_silence(third);
}

CASE(connections_and_pending)
{
    BEGIN(.cluster = LIMITS("max_connections: 1, max_pending_requests: 2"), .log = LOG);
    struct sim_origin *o = sim_origin(&s, 1);
    struct sim_peer *c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = sim_ask(&s, GET);
    }
    assert_int_equal(o->accepted, 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_pending_active", NULL, 2);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_pending_overflow", NULL, 1);
    assert_true(sim_metric(&s, "envoy_cluster_upstream_cx_overflow", NULL) > 0);
    sim_expect(c[3], "HTTP/1.1 503");
    assert_string_equal(sim_log(&s), "503 UO\n");
    o->reply = SIM_OK; /* one after the other, on the one connection */
    sim_settle(&s);
    for (int i = 0; i < 3; i++) {
        sim_expect(c[i], "HTTP/1.1 200");
    }
    assert_int_equal(o->accepted, 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_pending_active", NULL, 0);
}

CASE(a_pool_may_always_have_one_connection)
{
    BEGIN(.endpoints = "1 2", .cluster = LIMITS("max_connections: 1"));
    struct sim_peer *a = sim_ask(&s, GET);
    struct sim_peer *b = sim_ask(&s, GET);
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    sim_settle(&s);
    sim_expect(a, "HTTP/1.1 200");
    sim_expect(b, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->accepted + sim_origin(&s, 2)->accepted, 2);
}

CASE(those_who_wait_are_served_when_a_connection_fails)
{
    BEGIN(.cluster = LIMITS("max_connections: 1"));
    struct sim_peer *a = sim_ask(&s, GET);
    struct sim_peer *b = sim_ask(&s, GET);
    sim_peer_abort(sim_upstream(&s, 1));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_settle(&s);
    sim_expect(a, "HTTP/1.1 503");
    sim_expect(b, "HTTP/1.1 200");
}

CASE(those_who_wait_fail_when_no_connection_comes)
{
    BEGIN();
    sim_origin(&s, 1)->fault = SIM_BLACK_HOLE;
    struct sim_peer *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = sim_ask(&s, GET);
    }
    sim_peer_abort(c[1]);
    sim_advance(&s, 5000);
    sim_expect(c[0], "connection timeout");
    sim_expect(c[2], "connection timeout");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_pending_active", NULL, 0);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
}

CASE(retries)
{
    BEGIN(.cluster = LIMITS("max_retries: 1"), .log = LOG,
          .route =
              "cluster: a, retry_policy: {retry_on: 5xx, num_retries: 1, retry_back_off: {base_interval: 10s}}");
    sim_origin(&s, 1)->reply = "HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n";
    struct sim_peer *a = sim_ask(&s, GET);
    struct sim_peer *b = sim_ask(&s, GET);
    sim_expect(b, "HTTP/1.1 503");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_retry_overflow", NULL, 1);
    sim_advance(&s, 10000);
    sim_expect(a, "HTTP/1.1 503");
    assert_string_equal(sim_log(&s), "503 UO\n503 URX\n");
}

CASE(priorities_have_their_own)
{
    BEGIN(.cluster =
              "circuit_breakers: {thresholds: [{priority: DEFAULT, max_requests: 1}, {priority: HIGH, max_requests: 2}]}",
          .routes =
              "{match: {prefix: /high}, route: {cluster: a, priority: HIGH}}, {match: {prefix: /}, route: {cluster: a}}");
    sim_ask(&s, GET);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 503");
    struct sim_peer *high = sim_ask(&s, "GET /high HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect_silence(high);
}

CASE(opaque_connections_count)
{
    BEGIN(.tcp = "cluster: a", .cluster = LIMITS("max_connections: 1"), .log = "%RESPONSE_FLAGS%");
    sim_ask(&s, "x");
    struct sim_peer *c = sim_ask(&s, "y");
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_overflow", NULL, 1);
    assert_string_equal(sim_log(&s), "UO\n");
}

CASE(round_robin_takes_turns)
{
    BEGIN(.endpoints = "1 2 3");
    for (unsigned n = 1; n <= 3; n++) {
        sim_origin(&s, n)->reply = SIM_OK;
    }
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 30; i++) {
        sim_send(&s, c, GET);
    }
    for (unsigned n = 1; n <= 3; n++) {
        assert_int_equal(sim_origin(&s, n)->requests, 10);
    }
}

CASE(weights_hold)
{
    BEGIN(.endpoints = "1 2*3");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 40; i++) {
        sim_send(&s, c, GET);
    }
    assert_int_equal(sim_origin(&s, 1)->requests, 10);
    assert_int_equal(sim_origin(&s, 2)->requests, 30);
}

CASE(least_request_prefers_the_idle)
{
    BEGIN(.endpoints = "1 2", .cluster = "lb_policy: LEAST_REQUEST");
    sim_origin(&s, 1)->reply = SIM_OK;
    for (int i = 0; i < 200;
         i++) { /* the second never answers: it is chosen only when both draws are it */
        sim_ask(&s, GET);
    }
    assert_in_range(sim_origin(&s, 2)->accepted, 30, 70);
}

CASE(random_reaches_all)
{
    BEGIN(.endpoints = "1 2 3", .cluster = "lb_policy: RANDOM");
    for (unsigned n = 1; n <= 3; n++) {
        sim_origin(&s, n)->reply = SIM_OK;
    }
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 300; i++) {
        sim_send(&s, c, GET);
    }
    for (unsigned n = 1; n <= 3; n++) {
        assert_in_range(sim_origin(&s, n)->requests, 70, 130);
    }
}

CASE(weighted_clusters_split)
{
    BEGIN(.clusters = SIM_CLUSTER("b", "2", ""),
          .route = "weighted_clusters: {clusters: [{name: a, weight: 90}, {name: b, weight: 10}]}");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 1000; i++) {
        sim_send(&s, c, GET);
    }
    assert_in_range(sim_origin(&s, 1)->requests, 870, 930);
    assert_int_equal(sim_origin(&s, 1)->requests + sim_origin(&s, 2)->requests, 1000);
}

CASE(connections_serve_so_many_requests)
{
    BEGIN(.cluster = "max_requests_per_connection: 3");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 7; i++) {
        sim_send(&s, c, GET);
        sim_expect(c, "HTTP/1.1 200");
    }
    assert_int_equal(sim_origin(&s, 1)->accepted, 3);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_max_requests", NULL, 2);
}

CASE(spent_connections_are_counted_with_a_queue_too)
{
    BEGIN(.cluster = "max_requests_per_connection: 1, " LIMITS("max_connections: 1"));
    struct sim_peer *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = sim_ask(&s, GET);
    }
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_settle(&s);
    for (int i = 0; i < 3; i++) {
        sim_expect(c[i], "HTTP/1.1 200");
    }
    assert_int_equal(sim_origin(&s, 1)->accepted, 3);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_max_requests", NULL, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(requests),
        RUN(connections_and_pending),
        RUN(a_pool_may_always_have_one_connection),
        RUN(those_who_wait_are_served_when_a_connection_fails),
        RUN(those_who_wait_fail_when_no_connection_comes),
        RUN(retries),
        RUN(priorities_have_their_own),
        RUN(opaque_connections_count),
        RUN(round_robin_takes_turns),
        RUN(weights_hold),
        RUN(least_request_prefers_the_idle),
        RUN(random_reaches_all),
        RUN(weighted_clusters_split),
        RUN(connections_serve_so_many_requests),
        RUN(spent_connections_are_counted_with_a_queue_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

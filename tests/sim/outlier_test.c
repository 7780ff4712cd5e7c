/* sim: endpoints that fail in a row are left out for a while (outlier_detection). */
#include "sim/expect.h"

SIM_FILE

#define BAD "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
#define GATEWAY_BAD "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
#define DETECT(text) \
    "common_lb_config: {healthy_panic_threshold: {value: 0}}, outlier_detection: {" text "}"
#define THREE                                                           \
    DETECT("consecutive_5xx: 3, interval: 1s, base_ejection_time: 5s, " \
           "max_ejection_percent: 67")

/* So many requests, each on a client of its own; how many of them endpoint n got. */
static unsigned ask_many(struct sim *sim, unsigned count, unsigned n)
{
    unsigned before = sim_origin(sim, n)->requests;
    for (unsigned i = 0; i < count; i++) {
        sim_peer_close(sim_ask(sim, GET));
        sim_settle(sim);
    }
    return sim_origin(sim, n)->requests - before;
}

static void all_reply(struct sim *sim, const char *first, const char *others)
{
    sim_origin(sim, 1)->reply = first;
    sim_origin(sim, 2)->reply = others;
    sim_origin(sim, 3)->reply = others;
}

CASE(who_fails_in_a_row_is_left_out_and_comes_back)
{
    BEGIN(.endpoints = "1 2 3", .cluster = THREE);
    all_reply(&s, BAD, SIM_OK);
    assert_int_equal(ask_many(&s, 30, 1), 3);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 1);
    sim_expect_metric(&s, "envoy_cluster_membership_healthy", NULL, 2);
    sim_advance(&s, 4500);
    assert_int_equal(ask_many(&s, 9, 1), 0);
    all_reply(&s, SIM_OK, SIM_OK);
    sim_advance(&s, 1000);
    assert_int_equal(ask_many(&s, 9, 1), 3);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 0);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_enforced_total", NULL, 1);
}

CASE(a_success_in_between_begins_anew)
{
    BEGIN(.endpoints = "1", .cluster = THREE);
    for (int i = 0; i < 4; i++) {
        sim_origin(&s, 1)->reply = BAD;
        assert_int_equal(ask_many(&s, 2, 1), 2);
        sim_origin(&s, 1)->reply = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        assert_int_equal(ask_many(&s, 1, 1), 1);
    }
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_enforced_total", NULL, 0);
}

CASE(each_time_it_is_longer)
{
    BEGIN(.endpoints = "1 2 3", .cluster = THREE);
    all_reply(&s, BAD, SIM_OK);
    assert_int_equal(ask_many(&s, 30, 1), 3);
    sim_advance(&s, 5500);
    assert_int_equal(ask_many(&s, 30, 1), 3); /* the second time: 10 s */
    sim_advance(&s, 8500);
    assert_int_equal(ask_many(&s, 9, 1), 0);
    sim_advance(&s, 2000);
    assert_int_equal(ask_many(&s, 30, 1), 3);
}

CASE(not_more_than_may_be_left_out)
{
    BEGIN(.endpoints = "1 2 3", .cluster = THREE);
    all_reply(&s, BAD, BAD);
    ask_many(&s, 60, 1);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 2);
    assert_true(sim_metric(&s, "envoy_cluster_outlier_detection_ejections_overflow", NULL) > 0);
    sim_end(&s);
    BEGIN(.endpoints = "1 2 3",
          .cluster = DETECT("consecutive_5xx: 1")); /* 10 % of three is none */
    all_reply(&s, BAD, SIM_OK);
    assert_int_equal(ask_many(&s, 30, 1), 10);
    sim_end(&s);
    BEGIN(.endpoints = "1 2 3",
          .cluster = DETECT("consecutive_5xx: 1, always_eject_one_host: true"));
    all_reply(&s, BAD, SIM_OK);
    assert_int_equal(ask_many(&s, 30, 1), 1);
}

CASE(all_out_is_nobody_left)
{
    BEGIN(.endpoints = "1", .cluster = DETECT("consecutive_5xx: 2, max_ejection_percent: 100"));
    sim_origin(&s, 1)->reply = BAD;
    assert_int_equal(ask_many(&s, 5, 1), 2);
    sim_expect(sim_ask(&s, GET), "no healthy upstream");
}

CASE(gateway_failures)
{
    BEGIN(.endpoints = "1", .cluster = DETECT("consecutive_5xx: 0, enforcing_consecutive_5xx: 0, "
                                              "consecutive_gateway_failure: 2, "
                                              "enforcing_consecutive_gateway_failure: 100, "
                                              "max_ejection_percent: 100"));
    sim_origin(&s, 1)->reply = BAD;
    assert_int_equal(ask_many(&s, 5, 1), 5);
    sim_origin(&s, 1)->reply = GATEWAY_BAD;
    assert_int_equal(ask_many(&s, 5, 1), 2);
}

/* Failures of ours count as 503 and 504, or for themselves. */
CASE(no_connection_and_no_answer)
{
    BEGIN(.endpoints = "1", .cluster = DETECT("consecutive_5xx: 2, max_ejection_percent: 100"));
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    ask_many(&s, 2, 1);
    sim_expect(sim_ask(&s, GET), "no healthy upstream");
    sim_end(&s);
    BEGIN(.endpoints = "1", .route = "cluster: a, timeout: 1s",
          .cluster = DETECT("consecutive_5xx: 2, max_ejection_percent: 100"));
    for (int i = 0; i < 2; i++) {
        struct sim_peer *c = sim_ask(&s, GET);
        sim_advance(&s, 1000);
        sim_expect(c, "HTTP/1.1 504");
    }
    sim_expect(sim_ask(&s, GET), "no healthy upstream");
    sim_end(&s);
    BEGIN(.endpoints = "1", .cluster = DETECT("consecutive_5xx: 2, max_ejection_percent: 100, "
                                              "split_external_local_origin_errors: true, "
                                              "consecutive_local_origin_failure: 3"));
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    ask_many(&s, 2, 1);
    sim_expect(sim_ask(&s, GET), "connection failure");
    sim_expect(sim_ask(&s, GET), "no healthy upstream");
}

CASE(opaque_connections)
{
    BEGIN(.tcp = "cluster: a", .endpoints = "1 2",
          .cluster = DETECT("consecutive_5xx: 2, max_ejection_percent: 50"));
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    for (int i = 0; i < 8; i++) {
        sim_ask(&s, "x");
    }
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_connect_fail", NULL, 2);
}

CASE(changes_of_the_configuration)
{
    BEGIN(.endpoints = "1 2 3", .cluster = THREE);
    all_reply(&s, BAD, SIM_OK);
    ask_many(&s, 30, 1);
    CONFIG(.endpoints = "1 2", .cluster = THREE); /* it stays out */
    assert_int_equal(ask_many(&s, 4, 1), 0);
    CONFIG(.endpoints = "2 3", .cluster = THREE);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 0);
    CONFIG(.endpoints = "1 2 3", .cluster = THREE); /* a new one */
    assert_int_equal(ask_many(&s, 30, 1), 3);
    CONFIG(.endpoints = "1 2 3"); /* nobody looks any more */
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 0);
    assert_int_equal(ask_many(&s, 30, 1), 10);
    CONFIG(.endpoints = "1 2 3", .cluster = THREE);
    ask_many(&s, 30, 1);
    CONFIG(.no_cluster = true);
    sim_expect_metric(&s, "envoy_cluster_outlier_detection_ejections_active", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(who_fails_in_a_row_is_left_out_and_comes_back),
        RUN(a_success_in_between_begins_anew),
        RUN(each_time_it_is_longer),
        RUN(not_more_than_may_be_left_out),
        RUN(all_out_is_nobody_left),
        RUN(gateway_failures),
        RUN(no_connection_and_no_answer),
        RUN(opaque_connections),
        RUN(changes_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

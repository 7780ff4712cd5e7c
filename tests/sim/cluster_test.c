/* sim: which endpoints of a cluster may be picked at all. */
#include "sim/expect.h"

SIM_FILE

#define ENDPOINT(n, health)                                     \
    "{endpoint: {address: {socket_address: {address: 10.0.0." n \
    ", port_value: 80}}}, health_status: " health "}"
#define CLUSTER(more, localities) \
    "{name: p, " more "load_assignment: {cluster_name: p, endpoints: [" localities "]}}"

/* Of 60 requests, how many each of four origins got. */
static void expect_share(const char *cluster, const unsigned want[4])
{
    BEGIN(.route = "cluster: p", .clusters = cluster);
    for (unsigned n = 1; n <= 4; n++) {
        sim_origin(&s, n)->reply = SIM_OK;
    }
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 60; i++) {
        sim_send(&s, c, GET);
    }
    for (unsigned n = 1; n <= 4; n++) {
        if (sim_origin(&s, n)->requests != want[n - 1]) {
            print_error("%s\norigin %u: %u requests, want %u\n", cluster, n,
                        sim_origin(&s, n)->requests, want[n - 1]);
            fail();
        }
    }
}

CASE(health_and_priority)
{
    static const struct {
        const char *cluster;
        unsigned want[4];
    } rows[] = {
        {CLUSTER("",
                 "{lb_endpoints: [" ENDPOINT("1", "HEALTHY") ", " ENDPOINT("2", "UNKNOWN") "]}"),
         {30, 30}},
        {CLUSTER("",
                 "{lb_endpoints: [" ENDPOINT("1", "HEALTHY") ", " ENDPOINT("2", "UNHEALTHY") "]}"),
         {60}},
        {CLUSTER("",
                 "{lb_endpoints: [" ENDPOINT("1", "HEALTHY") ", " ENDPOINT("2", "DRAINING") "]}"),
         {60}},
        {CLUSTER("", "{lb_endpoints: [" ENDPOINT("1", "UNHEALTHY") ", " ENDPOINT("2",
                                                                                 "UNHEALTHY") "]}"),
         {30, 30}},
        {CLUSTER(
             "",
             "{priority: 0, lb_endpoints: [" ENDPOINT(
                 "1", "HEALTHY") "]}, {priority: 1, lb_endpoints: [" ENDPOINT("2", "HEALTHY") "]}"),
         {60}},
        {CLUSTER("", "{priority: 0, lb_endpoints: [" ENDPOINT(
                         "1",
                         "UNHEALTHY") "]}, {priority: 1, lb_endpoints: [" ENDPOINT("2",
                                                                                   "HEALTHY") "]}"),
         {0, 60}},
        /* One of three is healthy: fewer than half, so everybody is tried; unless the threshold is off. */
        {CLUSTER("", "{lb_endpoints: [" ENDPOINT("1", "HEALTHY") ", " ENDPOINT(
                         "2", "UNHEALTHY") ", " ENDPOINT("3", "UNHEALTHY") "]}"),
         {20, 20, 20}},
        {CLUSTER("common_lb_config: {healthy_panic_threshold: {value: 0}}, ",
                 "{lb_endpoints: [" ENDPOINT("1", "HEALTHY") ", " ENDPOINT(
                     "2", "UNHEALTHY") ", " ENDPOINT("3", "UNHEALTHY") "]}"),
         {60}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        expect_share(rows[i].cluster, rows[i].want);
    }
}

CASE(all_unhealthy_without_panic_is_no_upstream)
{
    BEGIN(.route = "cluster: p",
          .clusters = CLUSTER("common_lb_config: {healthy_panic_threshold: {value: 0}}, ",
                              "{lb_endpoints: [" ENDPOINT("1", "UNHEALTHY") "]}"));
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "no healthy upstream");
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_none_healthy", "envoy_cluster_name=p", 1);
    sim_expect_metric(&s, "envoy_cluster_membership_total", "envoy_cluster_name=p", 1);
    sim_expect_metric(&s, "envoy_cluster_membership_healthy", "envoy_cluster_name=p", 0);
}

#define ORIGINAL "{name: p, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}"

CASE(the_original_destination_is_made_when_asked_for)
{
    BEGIN(.tcp = "cluster: p", .clusters = ORIGINAL, .listener = "transparent: true");
    struct sim_peer *c = sim_ask(&s, "x");
    struct sim_peer *o = sim_net_newest(sim_net_origin(s.net, SIM_LISTENER_ADDR));
    assert_non_null(o);
    sim_expect(o, "x");
    CONFIG(.tcp = "cluster: p",
           .listener = "transparent: true"); /* the cluster goes; its connections do not */
    sim_send(&s, c, "y");
    sim_expect(o, "y");
    struct sim_peer *late = sim_ask(&s, "x");
    assert_true(late->ended);
}

/* Its "original destination" is this proxy: it would connect to itself until descriptors run out. */
CASE(a_connection_that_was_not_redirected_has_no_original_destination)
{
    BEGIN(.route = "cluster: p", .clusters = ORIGINAL);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 503");
    assert_int_equal(sim_net_origin(s.net, SIM_LISTENER_ADDR)->dials, 0);
    CONFIG(.tcp = "cluster: p", .clusters = ORIGINAL);
    sim_expect_end(sim_ask(&s, "x"));
}

CASE(a_cluster_that_comes_back_starts_anew)
{
    BEGIN();
    struct sim_peer *old = sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    for (int i = 0; i < 3; i++) {
        CONFIG(.no_cluster = true);
        CONFIG();
    }
    struct sim_peer *c = sim_ask(&s, GET);
    assert_ptr_not_equal(sim_upstream(&s, 1), o);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_send(&s, o, SIM_OK);
    sim_expect(old, "HTTP/1.1 200");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 1);
}

CASE(limits_hold_from_the_next_request)
{
    BEGIN();
    sim_ask(&s, GET);
    sim_ask(&s, GET);
    CONFIG(.cluster = "circuit_breakers: {thresholds: [{max_requests: 2}]}");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "overflow");
}

CASE(pools_outlive_a_change_of_others)
{
    BEGIN(.endpoints = "1 2");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    static const char *const lists[] = {"1 2", "2 1", "2 1*7 3", "1 2", "1"};
    sim_origin(&s, 3)->reply = SIM_OK;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        CONFIG(.endpoints = lists[i]);
        for (int n = 0; n < 12; n++) {
            sim_send(&s, c, GET);
        }
    }
    assert_int_equal(sim_origin(&s, 1)->accepted, 1);
    assert_int_equal(sim_origin(&s, 2)->accepted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(health_and_priority),
        RUN(all_unhealthy_without_panic_is_no_upstream),
        RUN(the_original_destination_is_made_when_asked_for),
        RUN(a_connection_that_was_not_redirected_has_no_original_destination),
        RUN(a_cluster_that_comes_back_starts_anew),
        RUN(limits_hold_from_the_next_request),
        RUN(pools_outlive_a_change_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

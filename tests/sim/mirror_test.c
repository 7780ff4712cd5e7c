/* sim: copies of requests to other clusters. */
#include "sim/expect.h"

SIM_FILE

#define MIRROR(more) "cluster: a, request_mirror_policies: [{cluster: b" more "}]"
#define TO_B .clusters = SIM_CLUSTER("b", "2", "connect_timeout: 2s")
#define SAYS(n) "HTTP/1.1 500 x\r\ncontent-length: " #n "\r\n\r\n"
#define POST(n) "POST /a?b HTTP/1.1\r\nhost: h:81\r\nx-one: 1\r\ncontent-length: " #n "\r\n\r\n"

CASE(a_copy_goes_beside)
{
    BEGIN(.route = MIRROR(""), TO_B, .log = "%RESPONSE_CODE% %UPSTREAM_HOST%");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, POST(5) "hel");
    sim_send(&s, c, "lo");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "ok");
    struct sim_peer *b = sim_upstream(&s, 2);
    sim_expect(b, "POST /a?b HTTP/1.1\r\n");
    sim_expect(b, "host: h-shadow:81\r\n");
    sim_expect(b, "x-one: 1\r\n");
    sim_expect(b, "\r\n\r\nhello");
    sim_expect(sim_upstream(&s, 1), "host: h:81\r\n");
    sim_send(&s, b, SAYS(4) "gone"); /* long after the request: read, and forgotten */
    sim_expect_silence(c);
    assert_string_equal(sim_log(&s), "200 10.0.0.1:80\n");
    sim_expect_metric(&s, "envoy_http_downstream_rq_mirrored", NULL, 1);
    sim_expect_metric(&s, "istio_requests_total", "response_code=500", 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_total", "envoy_cluster_name=b", 1);
}

/* Its connection is used again. */
CASE(many_copies_one_connection)
{
    BEGIN(.route = MIRROR(""), TO_B);
    sim_origin(&s, 1)->reply = sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 20; i++) {
        sim_send(&s, c, GET);
        sim_expect(c, "HTTP/1.1 200");
    }
    assert_int_equal(sim_origin(&s, 2)->requests, 20);
    assert_int_equal(sim_origin(&s, 2)->accepted, 1);
}

CASE(a_mirror_that_fails_harms_nobody)
{
    static const enum sim_fault faults[] = {SIM_REFUSE, SIM_BLACK_HOLE};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        BEGIN(.route = MIRROR(""), TO_B);
        sim_origin(&s, 1)->reply = SIM_OK;
        sim_origin(&s, 2)->fault = faults[i];
        sim_expect(sim_ask(&s, POST(2) "ab"), "HTTP/1.1 200");
        sim_advance(&s, 3000);
        sim_expect_metric(&s, "istio_requests_total", "response_code=503", 1);
        sim_expect_metric(&s, "istio_requests_total", "response_code=200", 1);
        if (i + 1 < ARRAY_LEN(faults)) {
            sim_end(&s);
        }
    }
}

CASE(no_cluster_no_endpoint_no_room)
{
    BEGIN(.route = "cluster: a, request_mirror_policies: [{cluster: b}, {cluster: c}]",
          .clusters = "{name: b, load_assignment: {cluster_name: b}}, " SIM_CLUSTER(
              "c", "3", "circuit_breakers: {thresholds: [{max_requests: 0}]}"));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_http_downstream_rq_mirror_dropped", NULL, 1);
    sim_expect_metric(&s, "istio_requests_total", "response_code=503", 1);
}

CASE(never_an_answer)
{
    BEGIN(.route = MIRROR("") ", timeout: 5s", TO_B);
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    sim_expect(sim_upstream(&s, 2), "GET / HTTP/1.1");
    sim_advance(&s, 4999);
    sim_expect_metric(&s, "istio_requests_total", NULL, 1);
    sim_advance(&s, 1);
    sim_expect_metric(&s, "istio_requests_total", "response_code=504", 1);
    assert_true(sim_upstream(&s, 2)->ended);
}

/* The route has none: a minute. */
CASE(never_an_answer_and_no_timeout)
{
    BEGIN(.route = MIRROR("") ", timeout: 0s", TO_B);
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    sim_advance(&s, 60000);
    assert_true(sim_upstream(&s, 2)->ended);
}

CASE(the_client_leaves_in_the_middle)
{
    BEGIN(.route = MIRROR(""), TO_B);
    struct sim_peer *c = sim_ask(&s, POST(5) "he");
    sim_expect(sim_upstream(&s, 2), "\r\n\r\nhe");
    sim_peer_abort(c);
    sim_settle(&s);
    assert_true(sim_upstream(&s, 2)->ended);
    sim_expect_metric(&s, "istio_requests_total", "response_code=0", 2);
}

/* The upstream answers before it has all: the copy has no end, so it is given up. */
CASE(an_early_answer)
{
    BEGIN(.route = MIRROR(""), TO_B);
    struct sim_peer *c = sim_ask(&s, POST(5) "he");
    sim_send(&s, sim_upstream(&s, 1), "HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n");
    sim_expect(c, "HTTP/1.1 413");
    sim_peer_close(c);
    sim_settle(&s);
    assert_true(sim_upstream(&s, 2)->ended);
}

/* What a mirror does not take is held up to a limit; then it gets no more, and the request goes on. */
CASE(a_slow_mirror)
{
    static char body[400000];
    BEGIN(.route = MIRROR(""), TO_B);
    sim_origin(&s, 2)->room = 1000;
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, POST(400000));
    sim_upstream(&s, 2)->slow = true;
    memset(body, 'x', sizeof(body));
    for (size_t at = 0; at < sizeof(body); at += 10000) {
        sim_peer_write(c, span_from(body + at, 10000));
        sim_settle(&s);
    }
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_http_downstream_rq_mirror_dropped", NULL, 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_tx_reset", "envoy_cluster_name=b", 1);
}

/* The same before there is a connection. */
CASE(a_mirror_that_does_not_connect)
{
    static char body[100000];
    BEGIN(.route = MIRROR(""), TO_B);
    sim_origin(&s, 2)->fault = SIM_BLACK_HOLE;
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, POST(100000));
    memset(body, 'x', sizeof(body));
    for (size_t at = 0; at < sizeof(body); at += 10000) {
        sim_peer_write(c, span_from(body + at, 10000));
        sim_settle(&s);
    }
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_http_downstream_rq_mirror_dropped", NULL, 1);
}

CASE(a_share_of_the_requests)
{
    BEGIN(.route = MIRROR(", runtime_fraction: {default_value: {numerator: 50}}"), TO_B);
    sim_origin(&s, 1)->reply = sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 400; i++) {
        sim_send(&s, c, GET);
    }
    assert_int_equal(sim_origin(&s, 1)->requests, 400);
    assert_in_range(sim_origin(&s, 2)->requests, 140, 260); /* six standard deviations */
}

CASE(several_and_their_hosts)
{
    BEGIN(.route = "cluster: a, prefix_rewrite: /new, host_rewrite_literal: other, "
                   "request_mirror_policies: [{cluster: b}, "
                   "{cluster: c, disable_shadow_host_suffix_append: true}, "
                   "{cluster: d, host_rewrite_literal: 'said:9'}]",
          .clusters = SIM_CLUSTER("b", "2", "connect_timeout: 2s") ", " SIM_CLUSTER(
              "c", "3", "connect_timeout: 2s") ", " SIM_CLUSTER("d", "4", "connect_timeout: 2s"));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    static const char *const hosts[] = {"host: other-shadow\r\n", "host: other\r\n",
                                        "host: said:9\r\n"};
    for (unsigned i = 0; i < ARRAY_LEN(hosts); i++) {
        sim_expect(sim_upstream(&s, 2 + i), "GET /new");
        sim_expect(sim_upstream(&s, 2 + i), hosts[i]);
    }
    sim_expect_metric(&s, "envoy_http_downstream_rq_mirrored", NULL, 3);
}

/* A whole body that came while the request was held back; and an HTTP/2 mirror with trailers. */
CASE(what_came_before_it_was_sent)
{
    BEGIN(.route = MIRROR(""), TO_B,
          .filters = "{name: fault, typed_config: {'@type': "
                     "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, delay: "
                     "{fixed_delay: 0.1s, percentage: {numerator: 100}}}}");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, POST(4) "abcd");
    sim_advance(&s, 100);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(sim_upstream(&s, 2), "\r\n\r\nabcd");
}

CASE(trailers_over_http2)
{
    BEGIN(.route = MIRROR(""), .clusters = SIM_CLUSTER("b", "2", SIM_HTTP2));
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(
        &s, "POST / HTTP/1.1\r\nhost: h\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n");
    sim_send(&s, c, "0\r\nx-end: 1\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_frames(&s, sim_upstream(&s, 2), "x-end");
}

/* An upgrade has no end that could be copied. */
CASE(an_upgrade)
{
    BEGIN(.route = MIRROR(""), TO_B, .hcm = "upgrade_configs: [{upgrade_type: websocket}]");
    struct sim_peer *c = sim_ask(&s, "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: "
                                     "websocket\r\n\r\n");
    sim_send(&s, sim_upstream(&s, 1),
             "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    sim_expect(c, "HTTP/1.1 101");
    assert_int_equal(sim_origin(&s, 2)->dials, 0);
}

/* The main request is tried again; the copy is not. */
CASE(retries_are_not_copied)
{
    BEGIN(.route = MIRROR("") ", retry_policy: {retry_on: 5xx, num_retries: 2}", TO_B);
    sim_origin(&s, 1)->reply = SAYS(0);
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, POST(2) "ab");
    sim_advance(&s, 1000);
    sim_expect(c, "HTTP/1.1 500");
    assert_int_equal(sim_origin(&s, 1)->requests, 3);
    assert_int_equal(sim_origin(&s, 2)->requests, 1);
}

/* The process ends, or the cluster goes, while copies are under way. */
CASE(the_end_meanwhile)
{
    BEGIN(.route = MIRROR(""), TO_B);
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    CONFIG(.route = "cluster: a");
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_copy_goes_beside),
        RUN(many_copies_one_connection),
        RUN(a_mirror_that_fails_harms_nobody),
        RUN(no_cluster_no_endpoint_no_room),
        RUN(never_an_answer),
        RUN(never_an_answer_and_no_timeout),
        RUN(the_client_leaves_in_the_middle),
        RUN(an_early_answer),
        RUN(a_slow_mirror),
        RUN(a_mirror_that_does_not_connect),
        RUN(a_share_of_the_requests),
        RUN(several_and_their_hosts),
        RUN(what_came_before_it_was_sent),
        RUN(trailers_over_http2),
        RUN(an_upgrade),
        RUN(retries_are_not_copied),
        RUN(the_end_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

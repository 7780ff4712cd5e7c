/* sim: everything that ends because time has passed. */
#include "sim/expect.h"

SIM_FILE

#define LOG "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"

CASE(route_timeout)
{
    BEGIN(.route = "cluster: a, timeout: 2s", .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 1999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 504 Gateway Timeout\r\n");
    sim_expect(c, "upstream request timeout");
    assert_string_equal(sim_log(&s), "504 UT response_timeout\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_timeout", NULL, 1);
    assert_true(sim_upstream(&s, 1)->ended);
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_send(&s, c, GET); /* the client's connection goes on */
    sim_expect(c, "HTTP/1.1 200");
}

CASE(the_route_timeout_is_15_s_by_default_and_may_be_off)
{
    BEGIN();
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 14999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 504");
    sim_end(&s);
    BEGIN(.route = "cluster: a, timeout: 0s");
    c = sim_ask(&s, GET);
    sim_advance(&s, 299000);
    sim_expect_silence(c);
}

CASE(the_route_timeout_begins_when_the_request_is_whole)
{
    BEGIN(.route = "cluster: a, timeout: 2s");
    struct sim_peer *c = sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\na");
    sim_advance(&s, 10000);
    sim_send(&s, c, "b");
    sim_advance(&s, 1999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 504");
}

CASE(a_timeout_after_the_answer_began_resets)
{
    BEGIN(.route = "cluster: a, timeout: 2s", .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    sim_expect(c, "abc");
    sim_advance(&s, 2000);
    sim_expect_reset(c);
    sim_expect_reset(sim_upstream(&s, 1));
    assert_string_equal(sim_log(&s), "200 UT response_timeout\n");
}

CASE(each_try_has_its_time)
{
    BEGIN(.route =
              "cluster: a, timeout: 10s, retry_policy: {retry_on: 5xx, num_retries: 2, per_try_timeout: 1s,"
              " retry_back_off: {base_interval: 0.001s}}",
          .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 2500);
    sim_expect_silence(c);
    sim_advance(&s, 600);
    sim_expect(c, "HTTP/1.1 504");
    assert_int_equal(sim_origin(&s, 1)->accepted, 3);
    assert_string_equal(sim_log(&s), "504 URX,UT upstream_per_try_timeout\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_per_try_timeout", NULL, 3);
}

CASE(a_slow_try_goes_on_elsewhere)
{
    BEGIN(.endpoints = "1 2",
          .route = "cluster: a, retry_policy: {retry_on: 5xx, num_retries: 1, per_try_timeout: 1s,"
                   " retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}]}");
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 1100);
    sim_expect(c, "HTTP/1.1 200");
    assert_true(sim_upstream(&s, 1)->ended);
}

CASE(the_route_timeout_bounds_all_tries)
{
    BEGIN(.route =
              "cluster: a, timeout: 2.5s, retry_policy: {retry_on: 5xx, num_retries: 9, per_try_timeout: 1s,"
              " retry_back_off: {base_interval: 0.001s}}",
          .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 2500);
    sim_expect(c, "HTTP/1.1 504");
    assert_string_equal(sim_log(&s), "504 UT response_timeout\n");
}

CASE(a_request_that_does_not_come_whole_in_time)
{
    BEGIN(.hcm = "request_timeout: 2s", .log = LOG);
    struct sim_peer *c = sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\na");
    sim_advance(&s, 1999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 408 Request Timeout\r\n");
    assert_string_equal(sim_log(&s), "408 - request_overall_timeout\n");
}

/* http/limits.def: body_rate, after body_grace_ms */
CASE(a_body_that_drips_is_cut_off)
{
    BEGIN(.route = "cluster: a, timeout: 0s", .log = LOG);
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n");
    for (int i = 0; i < 29; i++) {
        sim_advance(&s, 1000);
        sim_send(&s, c, "a");
    }
    sim_expect_silence(c);
    sim_advance(&s, 1000);
    sim_expect(c, "HTTP/1.1 408 Request Timeout\r\n");
    assert_string_equal(sim_log(&s), "408 - request_overall_timeout\n");
    sim_expect_metric(&s, "envoy_http_downstream_rq_too_slow", NULL, 1);
}

CASE(a_body_that_is_only_slow_is_not)
{
    BEGIN(.route = "cluster: a, timeout: 0s");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n");
    char piece[151];
    memset(piece, 'a', 150);
    piece[150] = '\0';
    for (int i = 0; i < 200; i++) {
        sim_send(&s, c, piece);
        sim_advance(&s, 1000);
    }
    sim_expect_silence(c);
}

/* One without a length may be a stream that has nothing to say now. */
CASE(a_body_without_a_length_may_drip)
{
    BEGIN(.route = "cluster: a, timeout: 0s");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        sim_send(&s, c, "1\r\na\r\n");
        sim_advance(&s, 10000);
    }
    sim_expect_silence(c);
}

CASE(stream_idle)
{
    BEGIN(.hcm = "stream_idle_timeout: 1s", .route = "cluster: a, timeout: 0s", .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 504");
    sim_expect(c, "stream timeout");
    assert_string_equal(sim_log(&s), "504 SI stream_idle_timeout\n");
    sim_expect_metric(&s, "envoy_http_downstream_rq_idle_timeout", NULL, 1);
}

CASE(movement_keeps_a_stream)
{
    BEGIN(.hcm = "stream_idle_timeout: 1s", .route = "cluster: a, timeout: 0s");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    for (int i = 0; i < 5; i++) {
        sim_advance(&s, 900);
        sim_send(&s, c, "1\r\na\r\n");
    }
    sim_send(&s, o, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        sim_advance(&s, 900);
        sim_send(&s, o, "1\r\nb\r\n");
        sim_expect(c, "1\r\nb\r\n");
    }
    sim_advance(&s, 1000);
    sim_expect_reset(c);
}

CASE(a_route_may_be_more_patient)
{
    BEGIN(.hcm = "stream_idle_timeout: 1s", .route = "cluster: a, timeout: 0s, idle_timeout: 5s");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 4999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 504");
}

CASE(max_stream_duration)
{
    BEGIN(.hcm = "common_http_protocol_options: {max_stream_duration: 3s}",
          .route = "cluster: a, timeout: 0s", .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 29; i++) {
        sim_advance(&s, 100);
        sim_send(&s, sim_upstream(&s, 1), "1\r\nb\r\n");
    }
    assert_false(c->ended);
    sim_advance(&s, 100);
    sim_expect_reset(c);
    assert_string_equal(sim_log(&s), "200 - max_duration_timeout\n");
}

CASE(idle_clients_are_closed)
{
    BEGIN(.hcm = "common_http_protocol_options: {idle_timeout: 5s}");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "\r\n\r\nok");
    sim_advance(&s, 4999);
    sim_expect_silence(c);
    sim_advance(&s, 2);
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_http_downstream_cx_active", NULL, 0);
}

CASE(pooled_connections_are_closed_when_idle)
{
    BEGIN(.cluster =
              "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
              "{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
              "common_http_protocol_options: {idle_timeout: 5s}, explicit_http_config: {http_protocol_options: {}}}}");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_ask(&s, GET);
    sim_advance(&s, 4999);
    assert_false(sim_upstream(&s, 1)->ended);
    sim_advance(&s, 2);
    sim_expect_end(sim_upstream(&s, 1));
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
}

CASE(a_head_must_come_in_time)
{
    BEGIN(.hcm = "request_headers_timeout: 2s");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "\r\n\r\nok");
    sim_send(&s, c, "GET / HT");
    sim_advance(&s, 1999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 408");
    sim_expect_end(c);
}

CASE(a_client_that_says_nothing_is_closed)
{
    BEGIN();
    struct sim_peer *c = sim_connect(&s);
    sim_advance(&s, 60000);
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_listener_downstream_pre_cx_timeout", NULL, 1);
}

CASE(connections_have_an_age)
{
    BEGIN(.hcm = "common_http_protocol_options: {max_connection_duration: 10s}");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 9; i++) {
        sim_send(&s, c, GET);
        sim_expect(c, "\r\n\r\nok");
        sim_advance(&s, 1000);
    }
    sim_expect_silence(c);
    sim_advance(&s, 2000);
    sim_expect_end(c);
}

CASE(grpc_deadlines_are_kept)
{
    BEGIN(.route = "cluster: a, max_stream_duration: {grpc_timeout_header_max: 5s}");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\n"
                    "grpc-timeout: 500m\r\ncontent-length: 0\r\n\r\n");
    sim_advance(&s, 499);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "grpc-status: ");
    struct sim_peer *capped =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\n"
                    "grpc-timeout: 1H\r\ncontent-length: 0\r\n\r\n");
    sim_advance(&s, 4999);
    sim_expect_silence(capped);
    sim_advance(&s, 1);
    sim_expect(capped, "grpc-status: 4\r\ngrpc-message: downstream duration timeout\r\n");
}

/* RouteAction.max_grpc_timeout, grpc_timeout_offset: what holds here, and what the service is told. */
CASE(grpc_timeouts_of_the_route)
{
    static const struct {
        const char *route, *sent;
        int64_t ms; /* 0 = none */
        const char *told;
    } rows[] = {
        {"max_grpc_timeout: 5s", "grpc-timeout: 500m\r\n", 500, "grpc-timeout: 500m\r\n"},
        {"max_grpc_timeout: 5s", "grpc-timeout: 1H\r\n", 5000, "grpc-timeout: 5000m\r\n"},
        {"max_grpc_timeout: 5s", "", 5000, "grpc-timeout: 5000m\r\n"},
        {"max_grpc_timeout: 0s", "grpc-timeout: 20S\r\n", 20000, "grpc-timeout: 20S\r\n"},
        {"max_grpc_timeout: 0s", "", 0, "POST"},
        {"max_grpc_timeout: 5s, grpc_timeout_offset: 0.1s", "grpc-timeout: 1S\r\n", 900,
         "grpc-timeout: 900m\r\n"},
        {"max_grpc_timeout: 5s, grpc_timeout_offset: 0.1s", "grpc-timeout: 50m\r\n", 50,
         "grpc-timeout: 50m\r\n"},
        {"max_stream_duration: {grpc_timeout_header_max: 5s, grpc_timeout_header_offset: 1s}",
         "grpc-timeout: 9S\r\n", 4000, "grpc-timeout: 9S\r\n"},
        {"timeout: 1s", "grpc-timeout: 9S\r\n", 1000, "grpc-timeout: 9S\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char route[200];
        char request[200];
        (void)snprintf(route, sizeof(route), "cluster: a, %s", rows[i].route);
        (void)snprintf(request, sizeof(request),
                       "POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\n"
                       "%scontent-length: 0\r\n\r\n",
                       rows[i].sent);
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.route = route);
        struct sim_peer *c = sim_ask(&s, request);
        sim_expect(sim_upstream(&s, 1), rows[i].told);
        sim_advance(&s, rows[i].ms > 0 ? rows[i].ms - 1 : 60000);
        sim_expect_silence(c);
        if (rows[i].ms > 0) {
            sim_advance(&s, 1);
            sim_expect(c, "grpc-status: ");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(route_timeout),
        RUN(the_route_timeout_is_15_s_by_default_and_may_be_off),
        RUN(the_route_timeout_begins_when_the_request_is_whole),
        RUN(a_timeout_after_the_answer_began_resets),
        RUN(each_try_has_its_time),
        RUN(a_slow_try_goes_on_elsewhere),
        RUN(the_route_timeout_bounds_all_tries),
        RUN(a_request_that_does_not_come_whole_in_time),
        RUN(a_body_that_drips_is_cut_off),
        RUN(a_body_that_is_only_slow_is_not),
        RUN(a_body_without_a_length_may_drip),
        RUN(stream_idle),
        RUN(movement_keeps_a_stream),
        RUN(a_route_may_be_more_patient),
        RUN(max_stream_duration),
        RUN(idle_clients_are_closed),
        RUN(pooled_connections_are_closed_when_idle),
        RUN(a_head_must_come_in_time),
        RUN(a_client_that_says_nothing_is_closed),
        RUN(connections_have_an_age),
        RUN(grpc_deadlines_are_kept),
        RUN(grpc_timeouts_of_the_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

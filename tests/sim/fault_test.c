/* sim: delays and aborts on purpose (the fault filter). */
#include "sim/expect.h"

SIM_FILE

#define LOG "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"
#define FAULT "'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
#define EMPTY_FILTER "{name: fault, typed_config: {" FAULT "}}"
#define FILTER(text) "{name: fault, typed_config: {" FAULT ", " text "}}"
#define ROUTES(text)                                                                               \
    "{match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {fault: {" FAULT ", " text \
    "}}}"
#define DELAY(ms, percent) "delay: {fixed_delay: 0." ms "s, percentage: {numerator: " percent "}}"
#define ABORT(what, percent) "abort: {" what ", percentage: {numerator: " percent "}}"
#define GRPC                                                                              \
    "POST /a/b HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\ncontent-length: " \
    "0\r\n\r\n"

CASE(a_delay)
{
    BEGIN(.routes = ROUTES(DELAY("250", "100")), .filters = EMPTY_FILTER, .log = LOG);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 249);
    sim_expect_silence(c);
    assert_int_equal(sim_origin(&s, 1)->requests, 0);
    sim_advance(&s, 1);
    sim_expect(c, "HTTP/1.1 200");
    assert_string_equal(sim_log(&s), "200 DI via_upstream\n");
    sim_expect_metric(&s, "envoy_http_fault_delays_injected", NULL, 1);
}

CASE(the_body_waits_too)
{
    BEGIN(.routes = ROUTES(DELAY("250", "100")), .filters = EMPTY_FILTER);
    struct sim_peer *c = sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nab");
    sim_send(&s, c, "cd");
    sim_advance(&s, 250);
    sim_expect(sim_upstream(&s, 1), "\r\n\r\nabcd");
}

CASE(an_abort)
{
    BEGIN(.routes = ROUTES(ABORT("http_status: 418", "100")), .filters = EMPTY_FILTER, .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET GET);
    sim_expect(c, "HTTP/1.1 418");
    sim_expect(c, "fault filter abort");
    sim_expect(c, "HTTP/1.1 418");
    assert_string_equal(sim_log(&s), "418 FI fault_filter_abort\n418 FI fault_filter_abort\n");
    assert_int_equal(sim_origin(&s, 1)->accepted, 0);
    sim_expect_metric(&s, "envoy_http_fault_aborts_injected", NULL, 2);
}

CASE(a_delay_and_then_an_abort)
{
    BEGIN(.routes = ROUTES(DELAY("250", "100") ", " ABORT("http_status: 500", "100")),
          .filters = EMPTY_FILTER, .log = LOG);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect_silence(c);
    sim_advance(&s, 250);
    sim_expect(c, "HTTP/1.1 500");
    assert_string_equal(sim_log(&s), "500 DI,FI fault_filter_abort\n");
}

CASE(grpc_is_told_in_its_own_words)
{
    BEGIN(.routes = ROUTES(ABORT("grpc_status: 8", "100")), .filters = EMPTY_FILTER);
    struct sim_peer *c = sim_ask(&s, GRPC GET);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "grpc-status: 8\r\n");
    sim_expect(c, "HTTP/1.1 429");
}

CASE(a_share_of_the_requests)
{
    BEGIN(.routes = ROUTES(ABORT("http_status: 500", "50")), .filters = EMPTY_FILTER);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    for (int i = 1; i < 400; i++) {
        sim_send(&s, c, GET);
    }
    int64_t aborted = sim_metric(&s, "envoy_http_fault_aborts_injected", NULL);
    assert_in_range(aborted, 140, 260); /* six standard deviations */
}

/* Without the filter in the chain a route's word has no effect; the filter's own holds where no route has one. */
CASE(the_filter_and_the_route)
{
    BEGIN(.routes = ROUTES(ABORT("http_status: 500", "100")));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    sim_end(&s);
    BEGIN(.filters = FILTER(ABORT("http_status: 501", "100")));
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 501");
    sim_end(&s);
    BEGIN(.filters = FILTER(ABORT("http_status: 501", "100")),
          .routes = ROUTES(ABORT("http_status: 502", "100")));
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 502");
}

CASE(only_some_requests)
{
    BEGIN(.filters = FILTER(ABORT("http_status: 500", "100") ", headers: [{name: end-user, "
                                                             "string_match: {exact: jason}}]"));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
    sim_expect(sim_ask(&s, "GET / HTTP/1.1\r\nhost: h\r\nend-user: jason\r\n\r\n"), "HTTP/1.1 500");
    sim_end(&s);
    BEGIN(.filters = FILTER(ABORT("http_status: 500", "100") ", upstream_cluster: b"));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_expect(sim_ask(&s, GET), "HTTP/1.1 200");
}

/* Who leaves, or is timed out, while it is held back. */
CASE(the_client_leaves_meanwhile)
{
    BEGIN(.routes = ROUTES(DELAY("900", "100")), .filters = EMPTY_FILTER);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_peer_close(c);
    sim_advance(&s, 20000);
    assert_int_equal(sim_origin(&s, 1)->requests, 0);
    sim_end(&s);
    BEGIN(.routes = ROUTES(DELAY("900", "100")), .filters = EMPTY_FILTER,
          .hcm = "stream_idle_timeout: 0.3s");
    c = sim_ask(&s, GET);
    sim_advance(&s, 300);
    sim_expect(c, "HTTP/1.1 504");
    sim_advance(&s, 1000);
    assert_int_equal(sim_origin(&s, 1)->requests, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_delay),
        RUN(the_body_waits_too),
        RUN(an_abort),
        RUN(a_delay_and_then_an_abort),
        RUN(grpc_is_told_in_its_own_words),
        RUN(a_share_of_the_requests),
        RUN(the_filter_and_the_route),
        RUN(only_some_requests),
        RUN(the_client_leaves_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

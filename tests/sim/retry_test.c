/* sim: what is tried again, when, where, and what is not. */
#include "sim/expect.h"

SIM_FILE

#define RETRY(on, more) "cluster: a, retry_policy: {retry_on: '" on "', " more "}"
#define BACKOFF "retry_back_off: {base_interval: 0.025s, max_interval: 0.25s}"
#define BUSY "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
#define PUT "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"
#define POST "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"

CASE(a_busy_endpoint_is_left_for_another)
{
    BEGIN(.endpoints = "1 2", .log = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST%",
          .route = RETRY(
              "5xx",
              "num_retries: 2, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}]"));
    sim_origin(&s, 1)->reply = BUSY;
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (int i = 0; i < 6; i++) {
        sim_send(&s, c, GET);
        sim_advance(&s, 1000);
        sim_expect(c, "HTTP/1.1 200");
    }
    int64_t retries = sim_metric(&s, "envoy_cluster_upstream_rq_retry", NULL);
    assert_int_equal(retries, sim_origin(&s, 1)->requests);
    assert_true(retries > 0);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_retry_success", NULL, retries);
    assert_null(strstr(sim_log(&s), "URX"));
}

CASE(the_last_answer_goes_down)
{
    BEGIN(.route = RETRY("5xx", "num_retries: 2"),
          .log = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%");
    sim_origin(&s, 1)->reply = BUSY;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 1000);
    sim_expect(c, "HTTP/1.1 503");
    sim_expect(c, "\r\n\r\nbusy");
    assert_int_equal(sim_origin(&s, 1)->requests, 3);
    assert_string_equal(sim_log(&s), "503 URX 3\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_retry_limit_exceeded", NULL, 1);
}

CASE(what_is_retried)
{
    static const struct {
        const char *on, *reply;
        bool retried;
    } rows[] = {
        {"5xx", "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", true},
        {"gateway-error", "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", false},
        {"gateway-error", "HTTP/1.1 502 x\r\ncontent-length: 0\r\n\r\n", true},
        {"gateway-error", "HTTP/1.1 504 x\r\ncontent-length: 0\r\n\r\n", true},
        {"gateway-error", "HTTP/1.1 505 x\r\ncontent-length: 0\r\n\r\n", false},
        {"retriable-4xx", "HTTP/1.1 409 x\r\ncontent-length: 0\r\n\r\n", true},
        {"retriable-4xx", "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", false},
        {"5xx", "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", false},
        {"connect-failure,reset", "HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", false},
        {"retriable-status-codes", "HTTP/1.1 429 x\r\ncontent-length: 0\r\n\r\n", true},
        {"retriable-status-codes", "HTTP/1.1 430 x\r\ncontent-length: 0\r\n\r\n", false},
        {"5xx", "HTTP/1.1 503 x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
         true}, /* its body is not waited for */
        {"5xx", "nonsense\r\n\r\n", true},
        {"connect-failure", "nonsense\r\n\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char route[256];
        (void)snprintf(
            route, sizeof(route),
            "cluster: a, retry_policy: {retry_on: '%s', num_retries: 1, retriable_status_codes: [429]}",
            rows[i].on);
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.route = route);
        sim_origin(&s, 1)->reply = rows[i].reply;
        sim_ask(&s, GET);
        sim_advance(&s, 1000);
        if (sim_origin(&s, 1)->requests != (rows[i].retried ? 2 : 1)) {
            print_error("row %zu: %u requests\n", i, sim_origin(&s, 1)->requests);
            fail();
        }
    }
}

CASE(refused_connections_are_retried_elsewhere)
{
    BEGIN(.endpoints = "1 2", .route = RETRY("connect-failure", "num_retries: 3"));
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    sim_origin(&s, 2)->reply = SIM_OK;
    for (int i = 0; i < 3; i++) {
        struct sim_peer *c = sim_ask(&s, POST);
        sim_advance(&s, 1000);
        sim_expect(c, "HTTP/1.1 200");
    }
    assert_int_equal(sim_origin(&s, 1)->dials,
                     sim_metric(&s, "envoy_cluster_upstream_rq_retry", NULL));
}

CASE(without_a_policy_nothing_is_retried)
{
    static const struct {
        enum sim_fault fault;
        int64_t wait_ms;
        const char *body, *log;
    } rows[] = {
        {SIM_REFUSE, 0, "connection failure", "503 UF\n"},
        {SIM_BLACK_HOLE, 1000, "connection timeout", "503 UF\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.cluster = "connect_timeout: 1s", .log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
        sim_origin(&s, 1)->fault = rows[i].fault;
        struct sim_peer *c = sim_ask(&s, GET);
        if (rows[i].wait_ms > 0) {
            sim_advance(&s, rows[i].wait_ms - 1);
            sim_expect_silence(c);
            sim_advance(&s, 1);
        }
        sim_expect(c, "HTTP/1.1 503");
        sim_expect(c, rows[i].body);
        assert_int_equal(sim_origin(&s, 1)->dials, 1);
        assert_string_equal(sim_log(&s), rows[i].log);
    }
}

CASE(a_reset_is_retried)
{
    BEGIN(.route = RETRY("reset", "num_retries: 1"));
    struct sim_peer *c = sim_ask(&s, GET);
    sim_peer_abort(sim_upstream(&s, 1));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_advance(&s, 1000);
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->accepted, 2);
}

CASE(a_close_without_an_answer_gets_503)
{
    BEGIN(.log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_peer_close(sim_upstream(&s, 1));
    sim_settle(&s);
    sim_expect(c, "HTTP/1.1 503");
    sim_expect(c, "connection termination");
    assert_string_equal(sim_log(&s), "503 UC\n");
    assert_int_equal(sim_origin(&s, 1)->accepted, 1);
}

/* The n-th retry waits a random time below base * (2^n - 1), at most max_interval. */
CASE(back_off_grows_and_is_bounded)
{
    BEGIN(.route = RETRY("5xx", "num_retries: 6, " BACKOFF), .hcm = "stream_idle_timeout: 0s");
    sim_origin(&s, 1)->reply = BUSY;
    static const int64_t most_ms[] = {25, 75, 175, 250, 250, 250};
    int64_t longest[6] = {0};
    for (int round = 0; round < 20; round++) {
        unsigned before = sim_origin(&s, 1)->requests;
        struct sim_peer *c = sim_ask(&s, GET);
        for (unsigned n = 0; n < ARRAY_LEN(most_ms); n++) {
            int64_t waited_ms = 0;
            while (sim_origin(&s, 1)->requests < before + n + 2) {
                sim_advance(&s, 1);
                waited_ms++;
                assert_true(waited_ms <= most_ms[n]);
            }
            longest[n] = i64_max(longest[n], waited_ms);
        }
        sim_expect(c, "HTTP/1.1 503");
        sim_peer_close(c);
    }
    for (unsigned n = 0; n < ARRAY_LEN(most_ms); n++) {
        assert_true(longest[n] > most_ms[n] / 2); /* twenty draws: it is no shorter range */
    }
}

/* RFC 9112 section 9.3.1: a reused connection may have been closed for being idle when the request came. */
CASE(a_stale_connection_is_replaced_once)
{
    BEGIN(.log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    struct sim_origin *o = sim_origin(&s, 1);
    o->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 200");
    o->reply = NULL;
    struct sim_peer *old = sim_upstream(&s, 1);
    sim_send(&s, c, PUT);
    sim_peer_close(old);
    sim_settle(&s);
    struct sim_peer *fresh = sim_upstream(&s, 1);
    assert_ptr_not_equal(fresh, old);
    sim_expect(fresh, "\r\n\r\nhello");
    sim_send(&s, fresh, SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
    sim_send(&s, c, PUT); /* and fails a second time: on a reused one, then on a fresh one */
    sim_peer_close(fresh);
    sim_settle(&s);
    sim_peer_close(sim_upstream(&s, 1));
    sim_settle(&s);
    sim_expect(c, "HTTP/1.1 503");
    assert_int_equal(o->accepted, 3);
    assert_string_equal(sim_log(&s), "200 -\n200 -\n503 UC\n");
}

/* RFC 9110 section 9.2.2: nobody knows whether the service has done what it was asked. */
CASE(what_is_not_idempotent_is_not_sent_twice)
{
    static const char *const requests[] = {
        POST,
        "PATCH / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        "BREW / HTTP/1.1\r\nhost: h\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN();
        struct sim_origin *o = sim_origin(&s, 1);
        o->reply = SIM_OK;
        struct sim_peer *c = sim_ask(&s, GET);
        o->reply = NULL;
        sim_send(&s, c, requests[i]);
        sim_peer_close(sim_upstream(&s, 1));
        sim_settle(&s);
        sim_expect(c, "HTTP/1.1 503");
        assert_int_equal(o->accepted, 1);
    }
}

CASE(an_answer_that_broke_off_is_no_stale_connection)
{
    static const char *const begun[] = {"HTTP/1.1 2", "HTTP/1.1 103 x\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(begun); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN();
        struct sim_peer *c = sim_ask(&s, GET);
        sim_send(&s, sim_upstream(&s, 1), SIM_OK);
        sim_send(&s, c, POST);
        sim_send(&s, sim_upstream(&s, 1), begun[i]);
        sim_peer_close(sim_upstream(&s, 1));
        sim_settle(&s);
        sim_expect(c, "HTTP/1.1 503");
        assert_int_equal(sim_origin(&s, 1)->accepted, 1);
    }
}

CASE(a_connection_that_closed_while_idle_is_not_used)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_peer_close(sim_upstream(&s, 1));
    sim_settle(&s);
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_retry", NULL, 0);
}

static void post_of(struct sim_peer *c, size_t len)
{
    char head[128];
    (void)snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %zu\r\n\r\n",
                   len);
    sim_peer_write(c, span_of(head));
    char *body = arena_bytes(&s.texts, len);
    memset(body, 'b', len);
    sim_peer_write(c, span_from(body, len));
    sim_settle(&s);
}

CASE(a_body_is_sent_again_unless_it_is_long)
{
    static const struct {
        size_t len;
        bool retried;
    } rows[] = {{1, true}, {30000, true}, {65536, true}, {65537, false}, {200000, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.route = RETRY("reset", "num_retries: 1"));
        struct sim_peer *c = sim_connect(&s);
        post_of(c, rows[i].len);
        struct sim_peer *first = sim_upstream(&s, 1);
        assert_true(buf_len(&first->got) > rows[i].len);
        sim_peer_abort(first);
        sim_origin(&s, 1)->reply = SIM_OK;
        sim_advance(&s, 1000);
        sim_expect(c, rows[i].retried ? "HTTP/1.1 200" : "HTTP/1.1 503");
        assert_int_equal(sim_origin(&s, 1)->accepted, rows[i].retried ? 2 : 1);
        if (rows[i].retried) {
            struct span got = buf_span(&sim_upstream(&s, 1)->got);
            ssize_t at = span_find(got, SPAN("\r\n\r\n"));
            assert_int_equal(got.len - (size_t)at - 4, rows[i].len);
        }
    }
}

CASE(a_body_that_is_under_way_is_sent_again)
{
    BEGIN(.route = RETRY("reset", "num_retries: 1"));
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n");
    sim_peer_abort(sim_upstream(&s, 1));
    sim_settle(&s);
    sim_send(&s, c, "2\r\ncd\r\n"); /* while the retry waits */
    sim_advance(&s, 1000);
    sim_send(&s, c, "2\r\nef\r\n0\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "4\r\nabcd\r\n");
    sim_expect(o, "2\r\nef\r\n0\r\n\r\n");
    sim_send(&s, o, SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(nothing_is_retried_once_the_answer_began)
{
    BEGIN(.route = RETRY("5xx,reset,connect-failure", "num_retries: 3"),
          .log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    sim_peer_abort(sim_upstream(&s, 1));
    sim_advance(&s, 1000);
    sim_expect(c, "\r\n\r\nabc");
    sim_expect_reset(c); /* it must not take that for the whole */
    assert_int_equal(sim_origin(&s, 1)->accepted, 1);
    assert_string_equal(sim_log(&s), "200 UC\n");
}

CASE(a_client_that_leaves_stops_the_retries)
{
    BEGIN(.route = RETRY("5xx",
                         "num_retries: 5, retry_back_off: {base_interval: 10s, max_interval: 10s}"),
          .log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    sim_origin(&s, 1)->reply = BUSY;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_peer_abort(c);
    sim_advance(&s, 60000);
    assert_int_equal(sim_origin(&s, 1)->requests, 1);
    assert_string_equal(sim_log(&s), "0 DC\n");
}

CASE(attempts_are_counted_for_both_sides)
{
    BEGIN(.route = RETRY("5xx", "num_retries: 1"),
          .vhost = "include_request_attempt_count: true, include_attempt_count_in_response: true");
    sim_origin(&s, 1)->reply = BUSY;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(sim_upstream(&s, 1), "x-envoy-attempt-count: 1\r\n");
    sim_advance(&s, 1000);
    sim_expect(sim_upstream(&s, 1), "x-envoy-attempt-count: 2\r\n");
    sim_expect(c, "x-envoy-attempt-count: 2\r\n");
}

CASE(a_grpc_status_is_retried)
{
    BEGIN(.route = RETRY("unavailable", "num_retries: 1"));
    sim_origin(&s, 1)->reply =
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 0\r\n\r\n";
    struct sim_peer *c = sim_ask(
        &s,
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n");
    sim_advance(&s, 1000);
    assert_int_equal(sim_origin(&s, 1)->requests, 2);
    sim_expect(c, "grpc-status: 14");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_busy_endpoint_is_left_for_another),
        RUN(the_last_answer_goes_down),
        RUN(what_is_retried),
        RUN(refused_connections_are_retried_elsewhere),
        RUN(without_a_policy_nothing_is_retried),
        RUN(a_reset_is_retried),
        RUN(a_close_without_an_answer_gets_503),
        RUN(back_off_grows_and_is_bounded),
        RUN(a_stale_connection_is_replaced_once),
        RUN(what_is_not_idempotent_is_not_sent_twice),
        RUN(an_answer_that_broke_off_is_no_stale_connection),
        RUN(a_connection_that_closed_while_idle_is_not_used),
        RUN(a_body_is_sent_again_unless_it_is_long),
        RUN(a_body_that_is_under_way_is_sent_again),
        RUN(nothing_is_retried_once_the_answer_began),
        RUN(a_client_that_leaves_stops_the_retries),
        RUN(attempts_are_counted_for_both_sides),
        RUN(a_grpc_status_is_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

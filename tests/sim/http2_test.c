/* sim: HTTP/2 on either side, and from one version to the other. */
#include "sim/expect.h"

SIM_FILE

#define OK2 "H1 :status=200|content-type=text/plain;D1e ok"

static struct sim_peer *h2_client(const char *frames)
{
    struct sim_peer *c = sim_connect(&s);
    sim_send_frames(&s, c, "M;S");
    sim_send_frames(&s, c, frames);
    return c;
}

CASE(both_sides)
{
    BEGIN(.cluster = SIM_HTTP2, .log = "%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_SENT%");
    struct sim_peer *c = h2_client("H1e Q|x-a=b");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_frames(&s, o, "H1e :method=GET|:scheme=http|");
    sim_expect_frames(&s, o, "x-a=b");
    sim_send_frames(&s, o, "S;" OK2);
    sim_expect_frames(&s, c, "H1 :status=200|");
    sim_expect_frames(&s, c, "D1e ok\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_tx_reset", NULL, 0);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_active", NULL, 0);
    assert_string_equal(sim_log(&s), "HTTP/2 200 - 2\n");
}

CASE(http1_down_http2_up_with_trailers)
{
    BEGIN(.cluster = SIM_HTTP2);
    struct sim_peer *c =
        sim_ask(&s, "POST /p HTTP/1.1\r\nhost: h\r\nte: trailers\r\nconnection: te\r\n"
                    "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-end: 1\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_frames(&s, o, ":method=POST|");
    sim_expect_frames(&s, o, "D1 abc\n");
    sim_expect_frames(&s, o, "H1e x-end=1\n");
    sim_send_frames(&s, o, "S;H1 :status=200;D1 xyz;H1e grpc-status=0");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "transfer-encoding: chunked");
    sim_expect(c, "3\r\nxyz\r\n0\r\ngrpc-status: 0\r\n\r\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_tx_reset", NULL, 0);
    sim_send(&s, c, GET);
    assert_ptr_equal(sim_upstream(&s, 1), o);
    sim_expect_frames(&s, o, "H3e ");
}

CASE(http2_down_http1_up_with_trailers)
{
    BEGIN();
    struct sim_peer *c = h2_client(
        "H1 :method=POST|:scheme=http|:path=/p|:authority=h|te=trailers;D1 abc;H1e x-end=1");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "POST /p HTTP/1.1\r\n");
    sim_expect(o, "3\r\nabc\r\n");
    sim_expect(o, "0\r\nx-end: 1\r\n\r\n");
    sim_send(
        &s, o,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nx-sum: 2\r\n\r\n");
    sim_expect_frames(&s, c, "H1 :status=200");
    sim_expect_frames(&s, c, "D1 xyz\n");
    sim_expect_frames(&s, c, "H1e x-sum=2\n");
    assert_false(c->ended);
}

CASE(trailers_survive_a_retry)
{
    BEGIN(.cluster = SIM_HTTP2,
          .route = "cluster: a, retry_policy: {retry_on: reset, num_retries: 1}");
    struct sim_peer *c = h2_client("H1 Q|te=trailers;D1 abc;H1e x-end=1");
    sim_peer_abort(sim_upstream(&s, 1));
    sim_advance(&s, 100);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_frames(&s, o, "D1 abc\n");
    sim_expect_frames(&s, o, "H1e x-end=1\n");
    sim_send_frames(&s, o, "S;" OK2);
    sim_expect_frames(&s, c, "D1e ok\n");
}

CASE(grpc_outcomes_are_counted)
{
    BEGIN(.cluster = SIM_HTTP2, .listener = "traffic_direction: INBOUND");
    struct sim_peer *c = h2_client(
        "H1e :method=POST|:scheme=http|:path=/s/M|:authority=h|content-type=application/grpc");
    sim_send_frames(&s, sim_upstream(&s, 1),
                    "S;H1 :status=200|content-type=application/grpc;D1 12345;H1e grpc-status=7");
    sim_expect_frames(&s, c, "H1e grpc-status=7\n");
    sim_expect_metric(&s, "istio_requests_total",
                      "request_protocol=grpc,grpc_response_status=7,response_code=200", 1);
}

CASE(streams_share_a_connection)
{
    BEGIN(.cluster = SIM_HTTP2);
    struct sim_peer *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = sim_ask(&s, GET);
    }
    struct sim_peer *o = sim_upstream(&s, 1);
    assert_int_equal(sim_origin(&s, 1)->accepted, 1);
    sim_send_frames(&s, o, "S;H5 :status=200;D5e 5;H3 :status=200;D3e 3;" OK2);
    sim_expect(c[2], "1\r\n5\r\n");
    sim_expect(c[1], "1\r\n3\r\n");
    sim_expect(c[0], "2\r\nok\r\n");
}

CASE(the_peers_limit_of_streams_holds)
{
    BEGIN(.cluster = SIM_HTTP2);
    sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send_frames(&s, o, "S 3=1");
    struct sim_peer *c = sim_ask(&s, GET);
    assert_int_equal(sim_origin(&s, 1)->accepted, 2); /* one more connection, not one more stream */
    sim_send_frames(&s, sim_upstream(&s, 1), "S;" OK2);
    sim_expect(c, "2\r\nok\r\n");
}

CASE(refused_streams_go_elsewhere)
{
    static const char *const how[] = {"S;R1 7", "S;G 0"};
    for (size_t i = 0; i < ARRAY_LEN(how); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.cluster = SIM_HTTP2,
              .route = "cluster: a, retry_policy: {retry_on: refused-stream, num_retries: 1}");
        struct sim_peer *c =
            sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab");
        struct sim_peer *first = sim_upstream(&s, 1);
        sim_send_frames(&s, first, how[i]);
        sim_advance(&s, 100);
        struct sim_peer *o = sim_upstream(&s, 1);
        sim_send_frames(&s, o, i == 0 ? "H3 :status=200;D3e ok" : "S;" OK2);
        sim_expect(c, "HTTP/1.1 200");
        sim_expect(c, "ok");
        assert_int_equal(sim_origin(&s, 1)->accepted, i == 0 ? 1 : 2);
    }
}

CASE(a_connection_that_goes_away_finishes_its_streams)
{
    BEGIN(.cluster = SIM_HTTP2);
    struct sim_peer *c = sim_ask(&s, GET);
    struct sim_peer *old = sim_upstream(&s, 1);
    sim_send_frames(&s, old, "S;X7.0.0 0000000100000000"); /* GOAWAY, last stream 1 */
    struct sim_peer *other = sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    assert_ptr_not_equal(o, old);
    sim_send_frames(&s, o, "S;" OK2);
    sim_expect(other, "HTTP/1.1 200");
    sim_send_frames(&s, old, OK2);
    sim_expect(c, "HTTP/1.1 200");
    assert_true(old->ended);
}

CASE(a_client_resets_a_stream)
{
    BEGIN(.cluster = SIM_HTTP2, .log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    struct sim_peer *c = h2_client("H1e Q;H3e Q");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send_frames(&s, c, "R1 8");
    sim_expect_frames(&s, o, "R1=8\n");
    sim_send_frames(&s, o, "S;H3 :status=200;D3e ok");
    sim_expect_frames(&s, c, "D3e ok\n");
    sim_expect_metric(&s, "envoy_http_downstream_rq_rx_reset", NULL, 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_tx_reset", NULL, 1);
    assert_string_equal(sim_log(&s), "0 DC\n200 -\n");
}

CASE(an_upstream_resets_a_stream)
{
    BEGIN(.cluster = SIM_HTTP2, .log = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%");
    struct sim_peer *c = h2_client("H1e Q;H3e Q");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send_frames(&s, o, "S;R1 2;H3 :status=200;D3 abc");
    sim_expect_frames(&s, c, "H1 :status=503");
    sim_expect_frames(&s, c, "remote reset");
    sim_expect_frames(&s, c, "D3 abc\n");
    sim_send_frames(&s, o, "R3 2");
    sim_expect_frames(&s, c, "R3=");
    assert_false(c->ended);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_rx_reset", NULL, 2);
    assert_string_equal(sim_log(&s),
                        "503 UR upstream_reset_before_response_started{remote_reset}\n"
                        "200 UR upstream_reset_after_response_started{remote_reset}\n");
}

/* Only what the upstream can not have processed is sent again unasked. */
CASE(a_reset_on_a_used_connection_is_no_stale_one)
{
    BEGIN(.cluster = SIM_HTTP2);
    struct sim_peer *c = sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send_frames(&s, o, "S;" OK2);
    sim_expect(c, "ok");
    sim_send(&s, c, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab");
    sim_send_frames(&s, o, "R3 2");
    sim_expect(c, "HTTP/1.1 503");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_total", NULL, 2);
    sim_send(&s, c, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab");
    sim_send_frames(&s, o, "R5 7"); /* refused */
    sim_advance(&s, 1);
    sim_send_frames(&s, sim_upstream(&s, 1), "S;" OK2);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(downstream_protocol_may_be_kept)
{
    BEGIN(.cluster =
              "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
              "{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
              "use_downstream_protocol_config: {http2_protocol_options: {}}}}");
    h2_client("H1e Q");
    sim_expect_frames(&s, sim_upstream(&s, 1), "H1e :method=GET");
    sim_ask(&s, GET);
    sim_expect(sim_upstream(&s, 1), "GET / HTTP/1.1\r\n");
}

CASE(connect_is_refused)
{
    BEGIN();
    struct sim_peer *c = h2_client("H1 :method=CONNECT|:authority=h:80");
    sim_expect_no_frames(&s, c, ":status=200");
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

/* A body that a stream's reader does not take stops where its sender can be stopped, and others go on. */
CASE(a_slow_stream_holds_only_itself)
{
    BEGIN(.cluster = SIM_HTTP2);
    struct sim_peer *c = h2_client("H1e Q;H3e Q");
    struct sim_peer *o = sim_upstream(&s, 1);
    size_t before = mem_live_bytes();
    sim_send_frames(
        &s, o,
        "S;H1 :status=200;D1 *16384;D1 *16384;D1 *16384;D1 *16383"); /* the window of a stream */
    sim_send_frames(&s, o, "D1 *1");
    sim_send_frames(&s, o, "H3 :status=200;D3e quick");
    sim_expect_frames(&s, c, "H3 :status=200");
    assert_true(mem_live_bytes() - before < 600000);
    sim_send_frames(&s, c, "W0 1000000;W1 1000000");
    sim_expect_frames(&s, c, "D3e quick\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(both_sides),
        RUN(http1_down_http2_up_with_trailers),
        RUN(http2_down_http1_up_with_trailers),
        RUN(trailers_survive_a_retry),
        RUN(grpc_outcomes_are_counted),
        RUN(streams_share_a_connection),
        RUN(the_peers_limit_of_streams_holds),
        RUN(refused_streams_go_elsewhere),
        RUN(a_connection_that_goes_away_finishes_its_streams),
        RUN(a_client_resets_a_stream),
        RUN(an_upstream_resets_a_stream),
        RUN(a_reset_on_a_used_connection_is_no_stale_one),
        RUN(downstream_protocol_may_be_kept),
        RUN(connect_is_refused),
        RUN(a_slow_stream_holds_only_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sim: a request and its answer, and what the proxy adds to them. */
#include "sim/expect.h"

SIM_FILE

CASE(plain_request)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 200 OK\r\n");
    sim_expect(c, "\r\n\r\nok");
    sim_expect_silence(c);
    sim_expect(sim_upstream(&s, 1), "GET / HTTP/1.1\r\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_total", "envoy_cluster_name=a", 1);
    sim_expect_metric(&s, "envoy_http_downstream_rq_xx", "envoy_response_code_class=2", 1);
    sim_expect_metric(&s, "envoy_http_downstream_rq_active", NULL, 0);
    sim_expect_metric(&s, "envoy_http_downstream_cx_active", NULL, 1);
}

CASE(connections_are_reused)
{
    BEGIN();
    struct sim_origin *o = sim_origin(&s, 1);
    o->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, c, GET GET); /* pipelined */
    struct sim_peer *other = sim_ask(&s, GET);
    for (int i = 0; i < 3; i++) {
        sim_expect(c, "HTTP/1.1 200");
    }
    sim_expect(other, "HTTP/1.1 200");
    assert_int_equal(o->accepted, 1);
    assert_int_equal(o->requests, 4);
}

CASE(head_has_no_body)
{
    BEGIN();
    struct sim_origin *o = sim_origin(&s, 1);
    o->reply = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    struct sim_peer *c = sim_ask(&s, "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect(c, "content-length: 5\r\n");
    sim_send(&s, c, "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(o->accepted, 1);
}

CASE(interim_answers_are_forwarded)
{
    BEGIN();
    struct sim_peer *c = sim_ask(
        &s, "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "expect: 100-continue");
    sim_send(&s, o, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    sim_expect(c, "HTTP/1.1 103");
    sim_expect(c, "link: </x>\r\n");
    sim_expect(c, "HTTP/1.1 100");
    sim_send(&s, c, "ab");
    sim_expect(o, "\r\n\r\nab");
    sim_send(&s, o, SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(bodies_pass_chunk_by_chunk)
{
    BEGIN();
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "transfer-encoding: chunked");
    sim_expect(o, "3\r\nabc\r\n");
    sim_send(&s, o, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxy\r\n");
    sim_expect(c, "2\r\nxy\r\n");
    sim_send(&s, c, "1\r\nd\r\n0\r\n\r\n");
    sim_expect(o, "1\r\nd\r\n0\r\n\r\n");
    sim_send(&s, o, "0\r\n\r\n");
    sim_expect(c, "0\r\n\r\n");
    sim_expect_silence(c);
}

CASE(no_route_no_cluster_no_endpoint)
{
    static const struct {
        const char *path, *status, *flags;
    } rows[] = {
        {"/gone", "HTTP/1.1 503", "NC"},
        {"/none", "HTTP/1.1 503", "UH"},
        {"/other", "HTTP/1.1 404", "NR"},
    };
    BEGIN(.log = "%RESPONSE_FLAGS%",
          .routes =
              "{match: {prefix: /gone}, route: {cluster: gone}}, {match: {prefix: /none}, route: {cluster: a}}",
          .endpoints = "");
    struct sim_peer *c = sim_connect(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nhost: h\r\n\r\n", rows[i].path);
        sim_send(&s, c, text);
        sim_expect(c, rows[i].status);
    }
    assert_string_equal(sim_log(&s), "NC\nUH\nNR\n");
    sim_expect_metric(&s, "envoy_http_no_route", NULL, 1);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_none_healthy", "envoy_cluster_name=a", 1);
}

CASE(redirects_and_direct_responses)
{
    BEGIN(.routes =
              "{match: {path: /old}, redirect: {path_redirect: /new, response_code: FOUND}},"
              "{match: {path: /say}, direct_response: {status: 418, body: {inline_string: tea}}}",
          .log = "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %BYTES_SENT%");
    struct sim_peer *c = sim_ask(&s, "GET /old HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect(c, "HTTP/1.1 302");
    sim_expect(c, "location: http://h/new\r\n");
    sim_send(&s, c, "GET /say HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect(c, "HTTP/1.1 418");
    sim_expect(c, "\r\n\r\ntea");
    assert_string_equal(sim_log(&s), "302 direct_response 0\n418 direct_response 3\n");
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

CASE(headers_change_on_the_way)
{
    BEGIN(.routes =
              "{match: {prefix: /a}, route: {cluster: a, prefix_rewrite: /b, host_rewrite_literal: x},"
              " request_headers_to_add: [{header: {key: q, value: '%REQ(:path)%'}}],"
              " request_headers_to_remove: [secret],"
              " response_headers_to_add: [{header: {key: r, value: '1'}}],"
              " response_headers_to_remove: [inner]}");
    sim_origin(&s, 1)->reply = "HTTP/1.1 200 OK\r\ninner: 1\r\ncontent-length: 0\r\n\r\n";
    struct sim_peer *c = sim_ask(&s, "GET /a/z HTTP/1.1\r\nhost: h\r\nsecret: 1\r\n\r\n");
    sim_expect_no(c, "inner");
    sim_expect(c, "r: 1\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_no(o, "secret");
    sim_expect(o, "GET /b/z HTTP/1.1\r\nhost: x\r\n");
    sim_expect(o, "q: /a/z\r\n");
}

CASE(envoys_own_headers_may_be_left_out)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        if (quiet) {
            sim_end(&s);
        }
        BEGIN(.routes = "{match: {prefix: /a}, route: {cluster: a, prefix_rewrite: /b}}",
              .router = quiet ? "suppress_envoy_headers: true" : NULL,
              .cluster = "circuit_breakers: {thresholds: [{max_requests: 1}]}");
        struct sim_peer *c = sim_ask(&s, "GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
        struct sim_peer *o = sim_upstream(&s, 1);
        struct sim_peer *busy = sim_ask(&s, "GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
        sim_send(&s, o, SIM_OK);
        struct span up = sim_unseen(o);
        assert_int_equal(span_find(up, SPAN("x-envoy-original-path: /a\r\n")) >= 0, !quiet);
        struct span answer = sim_unseen(c);
        assert_int_equal(span_find(answer, SPAN("x-envoy-upstream-service-time: 0\r\n")) >= 0,
                         !quiet);
        struct span refusal = sim_unseen(busy);
        assert_int_equal(span_find(refusal, SPAN("x-envoy-overloaded: true\r\n")) >= 0, !quiet);
    }
}

CASE(the_path_is_normal_before_policy_sees_it)
{
    static const char *const paths[] = {"/admin",   "/x/../admin", "//admin",
                                        "/%61dmin", "/./admin/",   "/x%2F..%2Fadmin"};
    BEGIN(.hcm =
              "normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD",
          .filters =
              "{name: rbac, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC,"
              " rules: {action: DENY, policies: {p: {permissions: [{url_path: {path: {prefix: /admin}}}],"
              " principals: [{any: true}]}}}}}",
          .log = "%RESPONSE_CODE_DETAILS%");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, "GET /fine HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nhost: h\r\n\r\n", paths[i]);
        sim_send(&s, c, text);
        sim_expect(c, "HTTP/1.1 403");
        sim_expect(c, "RBAC: access denied");
    }
    assert_int_equal(sim_origin(&s, 1)->requests, 1);
    sim_expect_metric(&s, "envoy_http_rbac_denied", NULL, (int64_t)ARRAY_LEN(paths));
    sim_expect_metric(&s, "envoy_http_rbac_allowed", NULL, 1);
    assert_non_null(strstr(sim_log(&s), "rbac_access_denied_matched_policy[p]"));
}

CASE(who_asks_is_told)
{
    BEGIN(.hcm = "use_remote_address: true");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_ask(&s,
            "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 9.9.9.9\r\nx-forwarded-proto: https\r\n"
            "x-request-id: mine\r\nx-forwarded-client-cert: URI=spiffe://evil\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_no(o, "mine");
    sim_expect_no(o, "evil");
    sim_expect_no(o, "x-forwarded-proto: https");
    struct span got = sim_unseen(o);
    assert_true(span_find(got, SPAN("x-forwarded-for: 9.9.9.9,192.0.2.1\r\n")) >= 0);
    assert_true(span_find(got, SPAN("x-forwarded-proto: http\r\n")) >= 0);
    assert_true(span_find(got, SPAN("x-request-id: ")) >= 0);
}

CASE(inside_the_mesh_headers_are_kept)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_ask(&s,
            "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 9.9.9.9\r\nx-request-id: mine\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    struct span got = sim_unseen(o);
    assert_true(span_find(got, SPAN("x-forwarded-for: 9.9.9.9\r\n")) >= 0);
    assert_true(span_find(got, SPAN("x-request-id: mine\r\n")) >= 0);
}

CASE(traces_go_on)
{
    static const struct {
        const char *sent, *has, *has_not;
    } rows[] = {
        {"traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n",
         "traceparent: 00-0123456789abcdef0123456789abcdef-", "-0123456789abcdef-01"},
        {"b3: 0123456789abcdef-0123456789abcdef-1\r\n", "b3: 0123456789abcdef-",
         "b3: 0123456789abcdef-0123456789abcdef-1\r"},
        {"x-b3-traceid: 0123456789abcdef\r\nx-b3-spanid: 1123456789abcdef\r\nx-b3-sampled: 1\r\n",
         "x-b3-parentspanid: 1123456789abcdef", "x-b3-spanid: 1123456789abcdef"},
        {"traceparent: 00-00000000000000000000000000000000-0123456789abcdef-01\r\n",
         "traceparent: 00-", "00000000000000000000000000000000"},
        {"", "traceparent: 00-", "b3"},
    };
    BEGIN(.hcm = "tracing: {random_sampling: {value: 100}}");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nhost: h\r\n%s\r\n", rows[i].sent);
        sim_send(&s, c, text);
        struct sim_peer *o = sim_upstream(&s, 1);
        sim_expect_no(o, rows[i].has_not);
        sim_expect(o, rows[i].has);
        o->at = buf_len(&o->got);
    }
}

CASE(grpc_clients_get_grpc_answers)
{
    static const struct {
        const char *route, *status, *message;
    } rows[] = {
        {"route: {cluster: gone}", "grpc-status: 14", NULL},
        {"direct_response: {status: 403}", "HTTP/1.1 403", NULL},
        {"route: {cluster: a}", "grpc-status: 14", "grpc-message: upstream connect error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char route[128];
        (void)snprintf(route, sizeof(route), "{match: {prefix: /}, %s}", rows[i].route);
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.routes = route);
        sim_origin(&s, 1)->fault = SIM_REFUSE;
        struct sim_peer *c =
            sim_ask(&s, "POST /s/M HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\n"
                        "content-length: 0\r\n\r\n");
        sim_expect(c, rows[i].status);
        if (rows[i].message != NULL) {
            sim_expect(c, rows[i].message);
        }
    }
}

#define UPGRADE "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

CASE(upgrades_become_tunnels)
{
    BEGIN(.hcm = "upgrade_configs: [{upgrade_type: websocket}]",
          .log = "%RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT%");
    struct sim_peer *c = sim_ask(&s, UPGRADE);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "upgrade: websocket");
    sim_send(
        &s, o,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi");
    sim_expect(c, "HTTP/1.1 101");
    sim_expect(c, "\r\n\r\nhi");
    sim_advance(&s, 60000); /* no route timeout holds for it */
    sim_send(&s, c, "abc");
    sim_expect(o, "abc");
    sim_peer_shut(o);
    sim_settle(&s);
    sim_expect_end(c);
    sim_send(&s, c, "d");
    sim_expect(o, "d");
    sim_peer_close(c);
    sim_settle(&s);
    sim_expect_end(o);
    assert_string_equal(sim_log(&s), "101 4 2\n");
}

CASE(a_tunnel_to_nobody_ends)
{
    BEGIN(.hcm = "upgrade_configs: [{upgrade_type: websocket}]");
    struct sim_peer *c = sim_ask(&s, UPGRADE);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send(&s, o, "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    sim_peer_close(o);
    sim_settle(&s);
    sim_expect_end(c);
    sim_send(&s, c, "abc");
    sim_peer_close(c);
    sim_settle(&s);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
    sim_expect_metric(&s, "envoy_http_downstream_rq_active", NULL, 0);
}

CASE(upgrades_may_be_refused)
{
    BEGIN(.hcm = "upgrade_configs: [{upgrade_type: websocket}]");
    struct sim_peer *c = sim_ask(&s, UPGRADE);
    sim_send(&s, sim_upstream(&s, 1), "HTTP/1.1 400 no\r\ncontent-length: 0\r\n\r\n");
    sim_expect(c, "HTTP/1.1 400");
    sim_end(&s);
    BEGIN();
    c = sim_ask(&s, UPGRADE);
    sim_expect(c, "HTTP/1.1 403");
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

CASE(the_log_says_how_it_was)
{
    BEGIN(.log =
              "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% "
              "%BYTES_SENT% %DURATION% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %ROUTE_NAME% %RESP(x-a)% "
              "%UPSTREAM_REQUEST_ATTEMPT_COUNT%");
    struct sim_peer *c = sim_ask(&s, "PUT /p HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc");
    sim_advance(&s, 25);
    sim_send(&s, sim_upstream(&s, 1),
             "HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 4\r\n\r\nfour");
    sim_expect(c, "HTTP/1.1 201");
    sim_expect(c, "x-envoy-upstream-service-time: 25\r\n");
    assert_string_equal(sim_log(&s), "PUT /p HTTP/1.1 201 - 3 4 25 10.0.0.1:80 a one b 1\n");
}

CASE(both_reporters_count)
{
    static const char *const directions[] = {"OUTBOUND", "INBOUND"};
    static const char *const reporters[] = {"source", "destination"};
    for (size_t i = 0; i < 2; i++) {
        char listener[64];
        char labels[256];
        (void)snprintf(listener, sizeof(listener), "traffic_direction: %s", directions[i]);
        (void)snprintf(labels, sizeof(labels),
                       "reporter=%s,response_code=200,request_protocol=http,response_flags=-,%s=w",
                       reporters[i], i == 0 ? "source_workload" : "destination_workload");
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.listener = listener);
        sim_origin(&s, 1)->reply = SIM_OK;
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc");
        sim_expect_metric(&s, "istio_requests_total", labels, 1);
        sim_expect_metric(&s, "istio_requests_total", NULL, 1);
        sim_expect_metric(&s, "istio_request_duration_milliseconds", labels, 1);
    }
}

CASE(what_is_not_http_is_refused)
{
    BEGIN();
    struct sim_peer *c = sim_ask(
        &s, "GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n");
    sim_expect(c, "HTTP/1.1 400");
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_http_downstream_cx_protocol_error", NULL, 1);
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

CASE(an_upstream_that_breaks_http_gets_502)
{
    BEGIN(.log = "%RESPONSE_CODE% %RESPONSE_FLAGS%");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1),
             "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n");
    sim_expect(c, "HTTP/1.1 502");
    assert_string_equal(sim_log(&s), "502 UPE\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(plain_request),
        RUN(connections_are_reused),
        RUN(head_has_no_body),
        RUN(interim_answers_are_forwarded),
        RUN(bodies_pass_chunk_by_chunk),
        RUN(no_route_no_cluster_no_endpoint),
        RUN(redirects_and_direct_responses),
        RUN(headers_change_on_the_way),
        RUN(envoys_own_headers_may_be_left_out),
        RUN(the_path_is_normal_before_policy_sees_it),
        RUN(who_asks_is_told),
        RUN(inside_the_mesh_headers_are_kept),
        RUN(traces_go_on),
        RUN(grpc_clients_get_grpc_answers),
        RUN(upgrades_become_tunnels),
        RUN(a_tunnel_to_nobody_ends),
        RUN(upgrades_may_be_refused),
        RUN(the_log_says_how_it_was),
        RUN(both_reporters_count),
        RUN(what_is_not_http_is_refused),
        RUN(an_upstream_that_breaks_http_gets_502),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sim: tunnels by CONNECT, that end here or go on, and clients of HTTP/1.0. */
#include "sim/expect.h"

SIM_FILE

#define CONNECT "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n"
#define ALLOWED "upgrade_configs: [{upgrade_type: CONNECT}]"
#define ENDS                                                                \
    "{match: {connect_matcher: {}}, route: {cluster: a, upgrade_configs: [" \
    "{upgrade_type: CONNECT, connect_config: {}}]}}"

CASE(a_tunnel_ends_here)
{
    BEGIN(.hcm = ALLOWED, .routes = ENDS, .log = "%RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT%");
    struct sim_peer *c = sim_ask(&s, CONNECT);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(c, "HTTP/1.1 200 OK\r\n");
    sim_expect_silence(o);  /* no HTTP goes to the service */
    sim_advance(&s, 60000); /* no route timeout holds for it */
    sim_send(&s, c, GET);
    sim_expect(o, GET);
    sim_send(&s, o, "HTTP");
    sim_expect(c, "HTTP");
    sim_peer_shut(c);
    sim_settle(&s);
    sim_expect_end(o);
    sim_send(&s, o, "more");
    sim_expect(c, "more");
    sim_peer_close(o);
    sim_settle(&s);
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
    sim_expect_metric(&s, "envoy_http_downstream_rq_active", NULL, 0);
}

CASE(a_service_may_speak_first)
{
    BEGIN(.hcm = ALLOWED, .routes = ENDS);
    sim_origin(&s, 1)->reply = NULL;
    struct sim_peer *c = sim_ask(&s, CONNECT "early");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "early");
    sim_send(&s, o, "220 hello");
    sim_expect(c, "220 hello");
    sim_peer_close(o); /* and both ends are told */
    sim_settle(&s);
    sim_expect_end(c);
    sim_peer_close(c);
    sim_settle(&s);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
}

CASE(a_tunnel_may_be_refused)
{
    static const struct {
        const char *hcm, *routes, *status;
    } rows[] = {
        {"server_name: x", ENDS, "HTTP/1.1 200"}, /* the route allows it by itself */
        {ALLOWED,
         "{match: {connect_matcher: {}}, route: {cluster: a, upgrade_configs: [{upgrade_type: "
         "CONNECT, enabled: false}]}}",
         "HTTP/1.1 403"},
        {"server_name: x", "{match: {connect_matcher: {}}, route: {cluster: a}}", "HTTP/1.1 403"},
        {ALLOWED, "{match: {prefix: /}, route: {cluster: a}}", "HTTP/1.1 404"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.hcm = rows[i].hcm, .routes = rows[i].routes);
        struct sim_peer *c = sim_ask(&s, CONNECT);
        sim_expect(c, rows[i].status);
        assert_int_equal(sim_origin(&s, 1)->dials, i == 0 ? 1 : 0);
    }
}

CASE(nobody_at_the_end_of_the_tunnel)
{
    BEGIN(.hcm = ALLOWED, .routes = ENDS);
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    struct sim_peer *c = sim_ask(&s, CONNECT);
    sim_expect(c, "HTTP/1.1 503");
}

CASE(the_next_proxy_decides)
{
    BEGIN(.hcm = ALLOWED, .routes = "{match: {connect_matcher: {}}, route: {cluster: a}}");
    struct sim_peer *c = sim_ask(&s, CONNECT);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n");
    sim_send(&s, c, "held");
    sim_expect_silence(c);
    sim_send(&s, o, "HTTP/1.1 200 OK\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200 OK\r\n");
    sim_expect(o, "held");
}

CASE(http_1_0)
{
    static const struct {
        const char *hcm, *request, *answer, *host;
    } rows[] = {
        {"server_name: x", "GET / HTTP/1.0\r\nhost: h\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n",
         NULL},
        {"http_protocol_options: {accept_http_10: true}", "GET / HTTP/1.0\r\nhost: h\r\n\r\n",
         "HTTP/1.1 200", "host: h\r\n"},
        {"http_protocol_options: {accept_http_10: true}", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400",
         NULL},
        {"http_protocol_options: {accept_http_10: true, default_host_for_http_10: d}",
         "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "host: d\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.hcm = rows[i].hcm);
        sim_origin(&s, 1)->reply = SIM_OK;
        struct sim_peer *c = sim_ask(&s, rows[i].request);
        sim_expect(c, rows[i].answer);
        sim_expect_end(c);
        if (rows[i].host != NULL) {
            sim_expect(sim_upstream(&s, 1), rows[i].host);
        } else {
            assert_int_equal(sim_origin(&s, 1)->dials, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_tunnel_ends_here),      RUN(a_service_may_speak_first),
        RUN(a_tunnel_may_be_refused), RUN(nobody_at_the_end_of_the_tunnel),
        RUN(the_next_proxy_decides),  RUN(http_1_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

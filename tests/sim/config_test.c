/* sim: configuration that changes under connections and requests. */
#include "sim/expect.h"

SIM_FILE

CASE(snapshots_do_not_pile_up)
{
    BEGIN();
    struct sim_peer *open[4];
    for (int i = 0; i < 40; i++) {
        if (i < 4) { /* streams that last: their views must not */
            open[i] = sim_ask(&s, GET);
            struct sim_peer *o = sim_upstream(&s, 1);
            sim_send(&s, o, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
        }
        CONFIG(.cluster = i % 2 ? "connect_timeout: 2s" : "connect_timeout: 3s");
    }
    assert_int_equal(s.views, 1);
    assert_true(s.most_views <= 6);
    for (int i = 0; i < 4; i++) {
        sim_expect(open[i], "1\r\na\r\n");
        sim_expect_silence(open[i]);
    }
}

CASE(a_request_that_waits_keeps_one_view)
{
    BEGIN();
    struct sim_peer *c = sim_ask(&s, GET);
    for (int i = 0; i < 10; i++) {
        CONFIG(.cluster = i % 2 ? "connect_timeout: 2s" : "connect_timeout: 3s");
    }
    assert_int_equal(s.views, 2);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(s.views, 1);
}

CASE(new_requests_see_new_routes)
{
    BEGIN(.clusters = SIM_CLUSTER("b", "2", ""));
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    CONFIG(.clusters = SIM_CLUSTER("b", "2", ""), .route = "cluster: b");
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->requests, 1);
    assert_int_equal(sim_origin(&s, 2)->requests, 1);
}

CASE(an_endpoint_goes_while_it_serves)
{
    BEGIN(.endpoints = "1");
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    CONFIG(.endpoints = "2");
    sim_expect_silence(c);
    sim_send(&s, o, SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
    assert_true(o->ended); /* its connection is not kept */
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 2)->requests, 1);
    assert_int_equal(sim_origin(&s, 1)->dials, 1);
}

CASE(idle_connections_of_an_endpoint_go_with_it)
{
    BEGIN(.endpoints = "1");
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_ask(&s, GET);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 1);
    CONFIG(.endpoints = "2");
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
    sim_expect_end(sim_upstream(&s, 1));
}

/* A rolling deployment takes endpoints away at any moment: a request that has chosen one is not lost. */
CASE(an_endpoint_goes_while_a_request_connects_to_it)
{
    BEGIN(.endpoints = "1");
    sim_origin(&s, 1)->delay_ms = 100;
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    CONFIG(.endpoints = "2");
    sim_advance(&s, 200);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
}

CASE(nobody_connects_to_an_endpoint_that_is_gone_for_nothing)
{
    BEGIN(.endpoints = "1");
    sim_origin(&s, 1)->fault = SIM_BLACK_HOLE;
    struct sim_peer *c = sim_ask(&s, GET);
    CONFIG(.endpoints = "2");
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 1);
    sim_peer_abort(c);
    sim_settle(&s);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_active", NULL, 0);
}

CASE(a_cluster_goes_while_it_serves)
{
    BEGIN(.log = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%");
    struct sim_peer *c = sim_ask(&s, GET);
    CONFIG(.no_cluster = true, .log = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%");
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 503");
    CONFIG();
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 200");
    assert_string_equal(sim_log(&s), "200 - a\n503 NC a\n");
}

CASE(a_listener_goes_and_its_connections_drain)
{
    BEGIN();
    sim_origin(&s, 2)->reply = SIM_OK;
    struct sim_peer *idle = sim_ask(&s, "");
    struct sim_peer *c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    struct sim_peer *busy = sim_ask(&s, GET);
    CONFIG(.no_listener = true);
    assert_false(sim_net_is_listening(s.net, SIM_LISTENER_ADDR));
    assert_null(sim_connect(&s));
    sim_expect_end(idle);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_end(c);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(busy, "connection: close\r\n");
    sim_expect_end(busy);
    sim_peer_close(c);
    sim_peer_close(idle);
    sim_peer_close(busy);
    sim_settle(&s);
    assert_int_equal(s.views, 1);
    CONFIG();
    c = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
}

#define TWO_CHAINS(first, second)                                                                                 \
    "{name: two, address: {socket_address: {address: 10.0.0.100, port_value: 81}}, filter_chains: [" first second \
    "]}"
#define TCP_CHAIN(name, match, to)                                                                             \
    "{name: " name ", filter_chain_match: {" match                                                             \
    "}, filters: [{name: tcp, typed_config: {'@type': "                                                        \
    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: " to \
    "}}]},"
#define HTTP_CHAIN(name, match, to)                                                                           \
    "{name: " name ", filter_chain_match: {" match                                                            \
    "}, filters: [{name: http, typed_config: {'@type': "                                                      \
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, " \
    "stat_prefix: h, route_config: {virtual_hosts: [{name: v, domains: ['*'], routes: [{match: {prefix: /}, " \
    "route: {cluster: " to "}}]}]}, http_filters: [{name: r, typed_config: {'@type': "                        \
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]},"

/* A client that has connected and said nothing has a chain already: it must be looked for again. */
CASE(a_silent_connection_survives_an_update)
{
    BEGIN();
    struct sim_peer *c = sim_ask(&s, "");
    CONFIG(.hcm = "server_name: one",
           .listeners = "{name: more, address: {socket_address: {address: 10.0.0.100, "
                        "port_value: 82}}, filter_chains: [" TCP_CHAIN("t", "", "a") "]}");
    CONFIG(.hcm = "server_name: two");
    sim_send(&s, c, GET);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "server: two\r\n");
}

CASE(a_silent_connection_follows_its_chain)
{
    static const char before[] = TWO_CHAINS(
        TCP_CHAIN("t", "source_prefix_ranges: [{address_prefix: 9.0.0.0, prefix_len: 8}]", "a"),
        HTTP_CHAIN("h", "", "a"));
    static const char after[] = TWO_CHAINS(HTTP_CHAIN("h", "", "a"), "");
    static const char other[] = TWO_CHAINS(TCP_CHAIN("t", "", "a"), "");
    BEGIN(.listeners = before);
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:81");
    struct sim_peer *lost = sim_connect_to(&s, "10.0.0.100:81");
    CONFIG(.listeners = after);
    sim_send(&s, c, GET);
    sim_expect(sim_upstream(&s, 1), "GET / ");
    CONFIG(.listeners = other);
    sim_settle(&s);
    sim_expect_end(lost); /* its chain is no more */
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(a_listener_that_can_not_open_is_told)
{
    BEGIN();
    CONFIG(.listeners =
               "{name: again, address: {socket_address: {address: 10.0.0.100, port_value: 80}}, "
               "filter_chains: [" TCP_CHAIN("t", "", "a") "]}");
    assert_true(s.apply_err.code != 0);
    CONFIG();
    assert_int_equal(s.apply_err.code, 0);
}

CASE(a_refused_configuration_changes_nothing)
{
    BEGIN();
    struct err err;
    assert_int_not_equal(sim_try_config(&s, &CONF(.hcm = "max_request_headers_kb: 0"), &err), 0);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(a_listener_may_move)
{
    static const char *const at[] = {"81", "82", "81"};
    BEGIN();
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        char text[1024];
        char addr[32];
        (void)snprintf(
            text, sizeof(text),
            "{name: moves, address: {socket_address: {address: 10.0.0.100, port_value: %s}}, "
            "filter_chains: [" HTTP_CHAIN("h", "", "a") "]}",
            at[i]);
        (void)snprintf(addr, sizeof(addr), "10.0.0.100:%s", at[i]);
        CONFIG(.listeners = text);
        assert_true(sim_net_is_listening(s.net, addr));
        assert_int_equal(sim_net_is_listening(s.net, "10.0.0.100:82"), i == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(snapshots_do_not_pile_up),
        RUN(a_request_that_waits_keeps_one_view),
        RUN(new_requests_see_new_routes),
        RUN(an_endpoint_goes_while_it_serves),
        RUN(idle_connections_of_an_endpoint_go_with_it),
        RUN(an_endpoint_goes_while_a_request_connects_to_it),
        RUN(nobody_connects_to_an_endpoint_that_is_gone_for_nothing),
        RUN(a_cluster_goes_while_it_serves),
        RUN(a_listener_goes_and_its_connections_drain),
        RUN(a_silent_connection_survives_an_update),
        RUN(a_silent_connection_follows_its_chain),
        RUN(a_listener_that_can_not_open_is_told),
        RUN(a_refused_configuration_changes_nothing),
        RUN(a_listener_may_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

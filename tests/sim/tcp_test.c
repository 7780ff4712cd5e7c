/* sim: opaque connections, and how a connection's protocol is found. */
#include "sim/expect.h"

SIM_FILE

#define INSPECTOR(name, type)                                          \
    "{name: envoy.filters.listener." name ", typed_config: {'@type': " \
    "type.googleapis.com/envoy.extensions.filters.listener." name ".v3." type "}}"
#define SNIFF                                                                        \
    "listener_filters: [" INSPECTOR("tls_inspector", "TlsInspector") ", " INSPECTOR( \
        "http_inspector", "HttpInspector") "], listener_filters_timeout: 1s"
#define TCP_CHAIN(match, to)                                                                                   \
    "{filter_chain_match: {" match "}, filters: [{name: tcp, typed_config: {'@type': "                         \
    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: " to \
    "}}]}"
/* Port 81: HTTP to cluster a, everything else opaque to cluster b. */
#define BY_PROTOCOL(more)                                                                                           \
    "{name: two, address: {socket_address: {address: 10.0.0.100, port_value: 81}}, " SNIFF                          \
    ", " more                                                                                                       \
    " filter_chains: [{filter_chain_match: {application_protocols: [http/1.1, h2c]}, filters: [{name: http, "       \
    "typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."      \
    "HttpConnectionManager, stat_prefix: h, route_config: {virtual_hosts: [{name: v, domains: ['*'], routes: ["     \
    "{match: {prefix: /}, route: {cluster: a}}]}]}, http_filters: [{name: r, typed_config: {'@type': "              \
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}], default_filter_chain: " TCP_CHAIN( \
        "", "b") "}"
#define LOG "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION%"

CASE(bytes_pass_both_ways)
{
    BEGIN(.tcp = "cluster: a", .log = LOG);
    struct sim_peer *c = sim_ask(&s, "hello");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "hello");
    sim_send(&s, o, "world!");
    sim_expect(c, "world!");
    sim_advance(&s, 40);
    sim_peer_close(c);
    sim_settle(&s);
    sim_expect_end(o);
    sim_peer_close(o);
    sim_settle(&s);
    assert_string_equal(sim_log(&s), "- 5 6 40\n");
    sim_expect_metric(&s, "istio_tcp_connections_opened_total", NULL, 1);
    sim_expect_metric(&s, "istio_tcp_connections_closed_total", NULL, 1);
    sim_expect_metric(&s, "istio_tcp_received_bytes_total", NULL, 5);
    sim_expect_metric(&s, "istio_tcp_sent_bytes_total", NULL, 6);
    sim_expect_metric(&s, "envoy_cluster_upstream_cx_rx_bytes_total", NULL, 6);
}

CASE(half_close_is_passed_on)
{
    BEGIN(.tcp = "cluster: a");
    struct sim_peer *c = sim_ask(&s, "request");
    sim_peer_shut(c);
    sim_settle(&s);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "request");
    sim_expect_end(o);
    sim_advance(&s, 60000);
    sim_send(&s, o, "answer");
    sim_expect(c, "answer");
    assert_false(c->ended);
    sim_peer_close(o);
    sim_settle(&s);
    sim_expect_end(c);
}

CASE(a_reset_is_passed_on)
{
    static const char *const sides[] = {"client", "origin"};
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.tcp = "cluster: a", .log = "%RESPONSE_FLAGS%");
        struct sim_peer *c = sim_ask(&s, "x");
        struct sim_peer *o = sim_upstream(&s, 1);
        sim_peer_abort(i == 0 ? c : o);
        sim_settle(&s);
        sim_expect_reset(i == 0 ? o : c);
        assert_string_equal(sim_log(&s), i == 0 ? "DC\n" : "UC\n");
    }
}

CASE(a_server_may_speak_first)
{
    BEGIN(.tcp = "cluster: a");
    struct sim_peer *c = sim_ask(&s, "");
    sim_send(&s, sim_upstream(&s, 1), "220 ready");
    sim_expect(c, "220 ready");
}

CASE(a_server_that_speaks_first_costs_the_time_of_sniffing)
{
    BEGIN(.listeners = BY_PROTOCOL("continue_on_listener_filters_timeout: true, "),
          .clusters = SIM_CLUSTER("b", "2", ""));
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:81");
    sim_advance(&s, 999);
    assert_int_equal(sim_origin(&s, 2)->dials, 0);
    sim_advance(&s, 1);
    sim_send(&s, sim_upstream(&s, 2), "220 ready");
    sim_expect(c, "220 ready");
    sim_expect_metric(&s, "envoy_listener_downstream_pre_cx_timeout", NULL, 1);
}

CASE(without_continue_the_silent_are_closed)
{
    BEGIN(.listeners = BY_PROTOCOL(""), .clusters = SIM_CLUSTER("b", "2", ""));
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:81");
    sim_advance(&s, 1000);
    sim_expect_end(c);
    assert_int_equal(sim_origin(&s, 2)->dials, 0);
}

CASE(protocols_are_found_byte_by_byte)
{
    static const struct {
        const char *bytes;
        unsigned origin;
    } rows[] = {
        {"GET / HTTP/1.1\r\nhost: h\r\n\r\n", 1},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0}, /* HTTP/2: no request yet */
        {"PROPFIND /x HTTP/1.1\r\nhost: h\r\n\r\n", 1},
        {"SSH-2.0-x\r\n", 2},
        {"\x16\x03\x01 this is no hello", 2},
        {"GET /\n", 2},
        {"\x01\x02\x03", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.listeners = BY_PROTOCOL("continue_on_listener_filters_timeout: true, "),
              .clusters = SIM_CLUSTER("b", "2", ""));
        struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:81");
        for (const char *b = rows[i].bytes; *b != '\0'; b++) {
            sim_peer_write(c, span_from(b, 1));
            sim_settle(&s);
        }
        sim_advance(&s, 1100);
        for (unsigned n = 1; n <= 2; n++) {
            if (sim_origin(&s, n)->accepted != (n == rows[i].origin ? 1 : 0)) {
                print_error("row %zu: origin %u got %u\n", i, n, sim_origin(&s, n)->accepted);
                fail();
            }
        }
        if (rows[i].origin == 2) {
            sim_expect(sim_upstream(&s, 2), rows[i].bytes);
        }
    }
}

CASE(no_chain_no_service)
{
    BEGIN(.chain =
              "filter_chain_match: {source_prefix_ranges: [{address_prefix: 9.0.0.0, prefix_len: 8}]}");
    struct sim_peer *c = sim_connect(&s);
    sim_settle(&s);
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_listener_no_filter_chain_match", NULL, 1);
}

CASE(strangers_are_denied)
{
    BEGIN(.listeners =
              "{name: two, address: {socket_address: {address: 10.0.0.100, port_value: 81}}, filter_chains: [{"
              "filters: [{name: rbac, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters."
              "network.rbac.v3.RBAC, stat_prefix: r, rules: {action: ALLOW, policies: {p: {permissions: [{any: true}], "
              "principals: [{direct_remote_ip: {address_prefix: 9.0.0.0, prefix_len: 8}}]}}}}}, "
              "{name: tcp, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3."
              "TcpProxy, stat_prefix: t, cluster: a}}]}]}");
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:81");
    sim_send(&s, c, "x");
    assert_true(c->ended);
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

CASE(another_endpoint_is_tried)
{
    BEGIN(.tcp = "cluster: a, max_connect_attempts: 2", .endpoints = "1 2",
          .log = "%RESPONSE_FLAGS% %UPSTREAM_HOST%");
    sim_origin(&s, 1)->fault = SIM_REFUSE;
    struct sim_peer *c = sim_ask(&s, "x");
    sim_expect(sim_upstream(&s, 2), "x");
    sim_peer_close(c);
    sim_peer_close(sim_upstream(&s, 2));
    sim_settle(&s);
    sim_origin(&s, 2)->fault = SIM_REFUSE;
    c = sim_ask(&s, "x");
    assert_true(c->ended);
    assert_string_equal(sim_log(&s), "- 10.0.0.2:80\nUF,URX 10.0.0.2:80\n");
}

CASE(a_client_that_leaves_while_connecting)
{
    BEGIN(.tcp = "cluster: a", .log = "%RESPONSE_FLAGS%");
    sim_origin(&s, 1)->delay_ms = 1000;
    struct sim_peer *c = sim_ask(&s, "x");
    sim_peer_close(c);
    sim_advance(&s, 1000);
    sim_expect(sim_upstream(&s, 1), "x");
    sim_expect_end(sim_upstream(&s, 1));
}

CASE(idle_ones_end)
{
    BEGIN(.tcp = "cluster: a, idle_timeout: 10s");
    struct sim_peer *c = sim_ask(&s, "x");
    for (int i = 0; i < 5; i++) {
        sim_advance(&s, 9000);
        sim_send(&s, i % 2 ? c : sim_upstream(&s, 1), "x");
    }
    assert_false(c->ended);
    sim_advance(&s, 10001);
    assert_true(c->ended);
    assert_true(sim_upstream(&s, 1)->ended);
}

CASE(they_have_an_age)
{
    BEGIN(.tcp = "cluster: a, max_downstream_connection_duration: 10s");
    struct sim_peer *c = sim_ask(&s, "x");
    sim_advance(&s, 9999);
    assert_false(c->ended);
    sim_advance(&s, 1);
    assert_true(c->ended);
}

CASE(long_ones_are_counted_meanwhile)
{
    BEGIN(.tcp = "cluster: a", .listener = "traffic_direction: INBOUND");
    sim_ask(&s, "12345");
    sim_expect_metric(&s, "istio_tcp_received_bytes_total", NULL, 0);
    sim_advance(&s, 5000);
    sim_expect_metric(&s, "istio_tcp_received_bytes_total", "reporter=destination", 5);
    sim_expect_metric(&s, "istio_tcp_connections_opened_total", "reporter=destination", 1);
}

CASE(a_slow_reader_stops_the_sender)
{
    BEGIN(.tcp = "cluster: a");
    struct sim_peer *c = sim_ask(&s, "x");
    struct sim_peer *o = sim_upstream(&s, 1);
    c->slow = true;
    size_t before = mem_live_bytes();
    size_t sent = 0;
    static char block[65536];
    for (int i = 0; i < 100; i++) {
        ssize_t n = io_write(o->io, block, sizeof(block));
        sent += n > 0 ? (size_t)n : 0;
        sim_settle(&s);
    }
    assert_true(sent < 3 * SIM_ROOM);
    assert_true(mem_live_bytes() - before < 3 * SIM_ROOM);
    c->slow = false;
    sim_settle(&s);
    assert_int_equal(buf_len(&c->got), sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(bytes_pass_both_ways),
        RUN(half_close_is_passed_on),
        RUN(a_reset_is_passed_on),
        RUN(a_server_may_speak_first),
        RUN(a_server_that_speaks_first_costs_the_time_of_sniffing),
        RUN(without_continue_the_silent_are_closed),
        RUN(protocols_are_found_byte_by_byte),
        RUN(no_chain_no_service),
        RUN(strangers_are_denied),
        RUN(another_endpoint_is_tried),
        RUN(a_client_that_leaves_while_connecting),
        RUN(idle_ones_end),
        RUN(they_have_an_age),
        RUN(long_ones_are_counted_meanwhile),
        RUN(a_slow_reader_stops_the_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sim: what a proxy learns on first use. */
#include <stdlib.h>
#include <unistd.h>

#include "proxy/discovery.h"
#include "sim/control.h"
#include "sim/expect.h"

SIM_FILE

#define TYPE "'@type': type.googleapis.com/envoy.extensions."
#define ROUTER "{name: r, typed_config: {" TYPE "filters.http.router.v3.Router}}"
#define OUTBOUND                                                                                 \
    "{name: virtualOutbound, address: {socket_address: {address: 0.0.0.0, port_value: 15001}}, " \
    "use_original_dst: true, traffic_direction: OUTBOUND, metadata: {filter_metadata: "          \
    "{mesh.discovery: {ranges: [240.240.0.0/16], known: []}}}, filter_chains: [{filters: ["      \
    "{name: t, typed_config: {" TYPE                                                             \
    "filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: p, cluster: a}}]}]}"
#define HTTP_PROXY                                                                           \
    "{name: proxy, address: {socket_address: {address: 10.0.0.100, port_value: 15007}}, "    \
    "filter_chains: [{filters: [{name: h, typed_config: {" TYPE                              \
    "filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h, "     \
    "rds: {route_config_name: http_proxy, config_source: {ads: {}}}, http_filters: [" ROUTER \
    "]}}]}]}"
#define TCP_LISTENER(ip, port, to)                                                            \
    "{name: '" ip ":" port "', address: {socket_address: {address: " ip ", port_value: " port \
    "}}, bind_to_port: false, filter_chains: [{filters: [{name: t, typed_config: {" TYPE      \
    "filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: p, cluster: '" to "'}}]}]}"
#define CLUSTER(name) "{name: '" name "', type: EDS, eds_cluster_config: {eds_config: {ads: {}}}}"
#define ENDPOINTS(name, n)                                                  \
    "{cluster_name: '" name                                                 \
    "', endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: " \
    "{address: 10.0.0." n ", port_value: 80}}}}]}]}"
#define TABLE                                                                              \
    "{name: http_proxy, vhds: {config_source: {ads: {}}}, virtual_hosts: [{name: any, "    \
    "domains: ['*'], routes: [{match: {prefix: /}, direct_response: {status: 502, body: {" \
    "inline_string: catch-all}}}]}]}"
#define HOST(name, to)                                                                            \
    "{name: " name ", domains: ['" name "'], routes: [{match: {prefix: /}, route: {cluster: '" to \
    "'}}]}"

static const struct sim_resource resources[] = {
    {"Listener", "240.240.0.1:90", TCP_LISTENER("240.240.0.1", "90", "outbound|90||tcp")},
    {"Cluster", "outbound|90||tcp", CLUSTER("outbound|90||tcp")},
    {"ClusterLoadAssignment", "outbound|90||tcp", ENDPOINTS("outbound|90||tcp", "2")},
    {"RouteConfiguration", "http_proxy", TABLE},
    {"VirtualHost", "http_proxy/reviews:9080", HOST("reviews", "outbound|9080||reviews")},
    {"Cluster", "outbound|9080||reviews", CLUSTER("outbound|9080||reviews")},
    {"ClusterLoadAssignment", "outbound|9080||reviews", ENDPOINTS("outbound|9080||reviews", "3")},
    {0},
};
static struct sim_control control;

#define WORLD(...)                                                                      \
    do {                                                                                \
        control = (struct sim_control){.resources = resources, __VA_ARGS__};            \
        BEGIN(.control = &control, .listeners = OUTBOUND "," HTTP_PROXY);               \
        sim_net_redirect(s.net, "0.0.0.0:15001");                                       \
        sim_advance(&s, control.delay_ms * 4);                                          \
        assert_true(sim_net_is_listening(s.net, "10.0.0.100:15007") || control.silent); \
    } while (0)

static struct sim_peer *proxied(const char *host)
{
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:15007");
    assert_non_null(c);
    char text[256];
    (void)snprintf(text, sizeof(text), "GET http://%s/x HTTP/1.1\r\nhost: %s\r\n\r\n", host, host);
    sim_send(&s, c, text);
    return c;
}

#define LOOKUPS(type, answer, n) \
    sim_expect_metric(&s, "mesh_discovery_lookups_total", "type=" type ",answer=" answer, n)

CASE(a_destination_is_learned_on_first_use)
{
    WORLD(.delay_ms = 5);
    struct sim_peer *c = sim_connect_to(&s, "240.240.0.1:90");
    sim_send(&s, c, "hello");
    sim_expect_silence(c);
    assert_int_equal(sim_origin(&s, 2)->dials, 0);
    sim_advance(&s, 20); /* listener, cluster, endpoints: 5 ms each */
    sim_expect(sim_upstream(&s, 2), "hello");
    LOOKUPS("Listener", "found", 1);
    /* the second use waits for nobody */
    unsigned asked = control.asked;
    c = sim_connect_to(&s, "240.240.0.1:90");
    sim_send(&s, c, "again");
    sim_expect(sim_upstream(&s, 2), "again");
    assert_int_equal(control.asked, asked);
}

CASE(an_unknown_destination_is_left_to_the_default_chain)
{
    WORLD(.delay_ms = 5);
    struct sim_peer *c = sim_connect_to(&s, "192.0.2.7:443");
    sim_send(&s, c, "one");
    sim_advance(&s, 5);
    sim_expect(sim_upstream(&s, 1), "one");
    LOOKUPS("Listener", "unknown", 1);
    unsigned asked = control.asked;
    c = sim_connect_to(&s, "192.0.2.7:443"); /* remembered */
    sim_send(&s, c, "two");
    sim_expect(sim_upstream(&s, 1), "two");
    assert_int_equal(control.asked, asked);
    sim_advance(&s, DISCOVERY_UNKNOWN_MS + 10);
    unsigned held = control.held;
    c = sim_connect_to(&s, "192.0.2.7:443");
    assert_int_equal(control.held, held);
    sim_settle(&s);
    assert_int_equal(control.asked, asked + 1);
}

CASE(nobody_waits_longer_than_the_deadline)
{
    WORLD(0);
    control.silent = true;
    struct sim_peer *c = sim_connect_to(&s, "192.0.2.7:443");
    struct sim_peer *mesh = sim_connect_to(&s, "240.240.0.9:80");
    sim_send(&s, c, "one");
    sim_advance(&s, ASK_WAIT_MS - 1);
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
    sim_advance(&s, 2);
    sim_expect(sim_upstream(&s, 1), "one");
    sim_expect_end(mesh); /* nobody but the mesh has this address */
    sim_expect_metric(&s, "envoy_listener_downstream_cx_unknown_mesh", NULL, 1);
    LOOKUPS("Listener", "late", 2);
}

CASE(without_a_control_plane_what_is_known_works_on)
{
    WORLD(0);
    struct sim_peer *c = sim_connect_to(&s, "240.240.0.1:90");
    sim_send(&s, c, "hello");
    sim_expect(sim_upstream(&s, 2), "hello");
    control.away = true;
    control.numbers->cp_connected = false;
    c = sim_connect_to(&s, "240.240.0.1:90");
    sim_send(&s, c, "again");
    sim_expect(sim_upstream(&s, 2), "again");
    c = sim_connect_to(&s, "240.240.0.2:90");
    sim_settle(&s);
    sim_expect_end(c);
    c = sim_connect_to(&s, "192.0.2.7:443");
    sim_send(&s, c, "out");
    sim_expect(sim_upstream(&s, 1), "out");
    LOOKUPS("Listener", "away", 2);
}

CASE(a_client_may_leave_while_it_waits)
{
    WORLD(.delay_ms = 50);
    struct sim_peer *c = sim_connect_to(&s, "240.240.0.1:90");
    sim_settle(&s);
    sim_peer_abort(c);
    struct sim_peer *h = proxied("reviews:9080");
    sim_peer_abort(h);
    sim_advance(&s, 1000);
    h = proxied("reviews:9080");
    sim_send(&s, sim_upstream(&s, 3), SIM_OK);
    sim_expect(h, "HTTP/1.1 200");
}

CASE(a_port_scan_asks_little)
{
    WORLD(0);
    unsigned asked = control.asked;
    for (int i = 0; i < 500; i++) {
        char addr[32];
        (void)snprintf(addr, sizeof(addr), "192.0.2.8:%d", 1000 + i);
        struct sim_peer *c = sim_connect_to(&s, addr);
        sim_send(&s, c, "x");
        sim_peer_abort(c);
        sim_settle(&s);
    }
    assert_int_equal(control.asked - asked, DISCOVERY_PER_SECOND);
    LOOKUPS("Listener", "limited", 500 - DISCOVERY_PER_SECOND);
    for (int i = 0; i < 3000; i++) { /* slowly: names are bounded */
        char addr[32];
        (void)snprintf(addr, sizeof(addr), "192.0.2.9:%d", 1000 + i);
        sim_peer_abort(sim_connect_to(&s, addr));
        sim_advance(&s, 20);
    }
    assert_true(sim_metric(&s, "mesh_discovery_learned", NULL) <= DISCOVERY_NAMES_MAX);
    sim_advance(&s, 2 * DISCOVERY_UNKNOWN_MS);
    sim_expect_metric(&s, "mesh_discovery_learned", NULL, 0);
}

CASE(a_virtual_host_is_learned_on_first_use)
{
    WORLD(.delay_ms = 5);
    sim_origin(&s, 3)->reply = SIM_OK;
    struct sim_peer *c = proxied("Reviews:9080");
    sim_expect_silence(c);
    sim_advance(&s, 20);
    sim_expect(c, "HTTP/1.1 200");
    LOOKUPS("VirtualHost", "found", 1);
    unsigned asked = control.asked;
    c = proxied("reviews:9080");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(control.asked, asked);
    assert_int_equal(s.views, 1);
}

CASE(an_unknown_host_is_left_to_the_catch_all)
{
    WORLD(.delay_ms = 5);
    struct sim_peer *c = proxied("nobody");
    sim_advance(&s, 5);
    sim_expect(c, "HTTP/1.1 502");
    sim_expect(c, "catch-all");
    unsigned asked = control.asked;
    c = proxied("nobody");
    sim_expect(c, "HTTP/1.1 502");
    c = proxied("no(body)"); /* could be nobody's name */
    sim_expect(c, "HTTP/1.1 ");
    assert_int_equal(control.asked, asked);
    LOOKUPS("VirtualHost", "unknown", 1);
}

CASE(a_body_that_came_while_waiting_is_sent)
{
    WORLD(.delay_ms = 5);
    struct sim_peer *c = sim_connect_to(&s, "10.0.0.100:15007");
    sim_send(&s, c,
             "POST http://reviews:9080/ HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc");
    sim_send(&s, c, "def");
    sim_advance(&s, 20);
    sim_expect(sim_upstream(&s, 3), "abcdef");
    sim_send(&s, sim_upstream(&s, 3), SIM_OK);
    sim_expect(c, "HTTP/1.1 200");
}

CASE(a_virtual_host_changes_and_goes)
{
    WORLD(0);
    unsigned held = control.held;
    sim_origin(&s, 2)->reply = SIM_OK;
    sim_origin(&s, 3)->reply = SIM_OK;
    struct sim_peer *c = proxied("reviews:9080");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 3)->requests, 1);
    sim_control_push(&control, "VirtualHost", "http_proxy/reviews:9080",
                     HOST("reviews", "outbound|90||tcp"));
    c = proxied("reviews:9080");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 2)->requests, 1);
    sim_control_push(&control, "VirtualHost", "http_proxy/reviews:9080", NULL);
    c = proxied("reviews:9080");
    sim_expect(c, "HTTP/1.1 502");
    /* its cluster went with it, and nothing piles up */
    sim_advance(&s, 2 * DISCOVERY_SWEEP_MS);
    assert_int_equal(control.held, held);
}

CASE(the_table_changes_under_its_hosts)
{
    WORLD(0);
    sim_origin(&s, 3)->reply = SIM_OK;
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
    sim_control_push(
        &control, "RouteConfiguration", "http_proxy",
        "{name: http_proxy, vhds: {config_source: {ads: {}}}, virtual_hosts: [{name: a, "
        "domains: ['*'], routes: [{match: {prefix: /}, direct_response: {status: 418}}]}]}");
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
    sim_expect(proxied("nobody"), "HTTP/1.1 418");
}

CASE(what_is_long_unused_is_given_up)
{
    WORLD(0);
    sim_origin(&s, 3)->reply = SIM_OK;
    sim_origin(&s, 2)->reply = SIM_OK;
    unsigned held = control.held;
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
    struct sim_peer *open = sim_connect_to(&s, "240.240.0.1:90");
    sim_send(&s, open, "stays");
    assert_true(control.held > held);
    for (int i = 0; i < 20; i++) {
        sim_advance(&s, DISCOVERY_UNUSED_MS / 10);
        if (i < 10) {
            sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
        }
    }
    sim_expect_metric(&s, "mesh_discovery_learned", "type=VirtualHost", 1);
    sim_advance(&s, DISCOVERY_SWEEP_MS);
    sim_advance(&s, DISCOVERY_SWEEP_MS);
    sim_expect_metric(&s, "mesh_discovery_learned", "type=VirtualHost", 0);
    sim_expect_metric(&s, "mesh_discovery_learned", "type=Listener", 1); /* it has a connection */
    sim_peer_abort(open);
    sim_advance(&s, DISCOVERY_UNUSED_MS + 3 * DISCOVERY_SWEEP_MS);
    sim_expect_metric(&s, "mesh_discovery_learned", NULL, 0);
    assert_int_equal(control.held, held);
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
}

CASE(what_was_used_outlives_the_process)
{
    char dir[] = "/tmp/mesh-sim-XXXXXX";
    assert_non_null(mkdtemp(dir));
    WORLD(.state_dir = dir);
    sim_origin(&s, 3)->reply = SIM_OK;
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
    sim_send(&s, sim_connect_to(&s, "240.240.0.1:90"), "x");
    sim_advance(&s, 6000);
    sim_end(&s);
    WORLD(.state_dir = dir, .delay_ms = 10);
    assert_true(sim_control_is_ready(&control));
    sim_expect_metric(&s, "mesh_discovery_learned", NULL, 2);
    control.silent = true;
    sim_origin(&s, 3)->reply = SIM_OK;
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/destinations", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    control.state_dir = NULL;
}

CASE(hints_of_the_control_plane_come_before_ready)
{
    control = (struct sim_control){.resources = resources, .delay_ms = 5};
    BEGIN(.control = &control,
          .listeners = HTTP_PROXY
          ", {name: m, address: {socket_address: {address: 10.0.0.100, port_value: 82}}, metadata: "
          "{filter_metadata: {mesh.discovery: {known: ['VirtualHost|http_proxy/reviews:9080', "
          "'Listener|240.240.0.1:90', 'Nonsense|x', 'VirtualHost', '']}}}, filter_chains: [{filters: "
          "[{name: t, typed_config: {" TYPE
          "filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: p, cluster: a}}]}]}");
    assert_false(sim_control_is_ready(&control));
    sim_advance(&s, 30);
    assert_true(sim_control_is_ready(&control));
    sim_expect_metric(&s, "mesh_discovery_learned", NULL, 2);
    sim_origin(&s, 3)->reply = SIM_OK;
    sim_expect(proxied("reviews:9080"), "HTTP/1.1 200");
}

CASE(a_virtual_host_that_is_refused_is_unknown)
{
    static const struct sim_resource bad[] = {
        {"RouteConfiguration", "http_proxy", TABLE},
        {"VirtualHost", "http_proxy/bad", "{name: bad, domains: [bad], hedge_policy: {}}"},
        {0},
    };
    WORLD(0);
    control.resources = bad;
    sim_expect(proxied("bad"), "HTTP/1.1 502");
    LOOKUPS("VirtualHost", "unknown", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_destination_is_learned_on_first_use),
        RUN(an_unknown_destination_is_left_to_the_default_chain),
        RUN(nobody_waits_longer_than_the_deadline),
        RUN(without_a_control_plane_what_is_known_works_on),
        RUN(a_client_may_leave_while_it_waits),
        RUN(a_port_scan_asks_little),
        RUN(a_virtual_host_is_learned_on_first_use),
        RUN(an_unknown_host_is_left_to_the_catch_all),
        RUN(a_body_that_came_while_waiting_is_sent),
        RUN(a_virtual_host_changes_and_goes),
        RUN(the_table_changes_under_its_hosts),
        RUN(what_is_long_unused_is_given_up),
        RUN(what_was_used_outlives_the_process),
        RUN(hints_of_the_control_plane_come_before_ready),
        RUN(a_virtual_host_that_is_refused_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

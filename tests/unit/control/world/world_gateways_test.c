/* control/world/world_gateways: both kinds of gateways as servers. */
#include "control/world/world_gateways.c"

#include "unit/control/world/world_test.h"

static const struct world_gateway *only(const struct world *w)
{
    assert_int_equal(w->config->gateway_count, 1);
    return &w->config->gateways[0];
}

static void istio(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(ISTIO_GATEWAY(
        "gw", "one",
        "  selector: {app: gw}\n  servers:\n"
        "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [\"two/A.x\", ./b.x, c.x], tls: {httpsRedirect: true}}\n"
        "  - {port: {number: 443, name: https, protocol: HTTPS}, name: s, bind: 127.0.0.1, hosts: [c.x], tls: "
        "{mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /ca, subjectAltNames: [q], "
        "minProtocolVersion: TLSV1_3}}\n"
        "  - {port: {number: 444, name: tls, protocol: TLS}, hosts: [c.x], tls: {mode: PASSTHROUGH}}\n"
        "  - {port: {number: 445, name: https-2, protocol: HTTPS}, hosts: [c.x], tls: {mode: SIMPLE, credentialName: cred}}\n"));
    const struct world_gateway *g = only(w);
    assert_span(g->key, "one/gw");
    assert_int_equal(g->server_count, 4);
    const struct world_server *s = g->servers;
    assert_int_equal(s[0].protocol, PROTOCOL_HTTP);
    assert_true(s[0].https_redirect);
    assert_int_equal(s[0].host_count, 3);
    assert_span(s[0].hosts[0], "a.x");
    assert_span(s[0].host_namespaces[0], "two");
    assert_span(s[0].host_namespaces[1], "one");
    assert_span(s[0].host_namespaces[2], "*");
    assert_int_equal(s[1].tls, WORLD_SERVER_MUTUAL);
    assert_span(s[1].bind, "127.0.0.1");
    assert_span(s[1].name, "s");
    assert_span(s[1].cert_file, "/c");
    assert_span(s[1].ca_file, "/ca");
    assert_int_equal(s[1].san_count, 1);
    assert_span(s[1].min_version, "TLSV1_3");
    assert_int_equal(s[2].tls, WORLD_SERVER_PASSTHROUGH);
    assert_int_equal(s[3].tls, WORLD_SERVER_SIMPLE);
    assert_span(s[3].credential, "kubernetes://cred");
    const struct label labels[] = {{SPAN("app"), SPAN("gw")}, {SPAN("x"), SPAN("y")}};
    assert_true(world_gateway_is_served_by(g, SPAN("other"), labels, 2));
    assert_false(world_gateway_is_served_by(g, SPAN("one"), labels + 1, 1));
    world_unref(w);
}

static void gateway_api(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(GRANT("two", "one") GATEWAY(
        "gw", "one",
        "  gatewayClassName: mesh\n  addresses: [{value: 127.0.0.1}, {type: IPAddress, value: \"::1\"}]\n  listeners:\n"
        "  - {name: web, port: 8080, protocol: HTTP}\n"
        "  - {name: sec, port: 8443, protocol: HTTPS, hostname: x.y, tls: {certificateRefs: [{name: cert, namespace: two}]}}\n"
        "  - {name: own, port: 8444, protocol: HTTPS, tls: {certificateRefs: [{name: cert}], options: "
        "{mesh.io/certificate-file: /c, mesh.io/key-file: /k, mesh.io/ca-file: /ca}}}\n"));
    const struct world_gateway *g = only(w);
    assert_span(g->key, "gateway-api/one/gw");
    assert_int_equal(g->server_count, 6); /* each address */
    const struct world_server *s = g->servers;
    assert_span(s[0].bind, "127.0.0.1");
    assert_span(s[1].bind, "::1");
    assert_int_equal(s[0].port, 8080);
    assert_span(s[0].name, "web");
    assert_span(s[0].hosts[0], "*");
    assert_int_equal(s[0].tls, WORLD_SERVER_PLAIN);
    assert_span(s[2].hosts[0], "x.y");
    assert_int_equal(s[2].tls, WORLD_SERVER_SIMPLE);
    assert_span(s[2].credential, "kubernetes-gateway://two/cert");
    assert_span(s[4].credential, "kubernetes-gateway://one/cert");
    assert_span(s[4].key_file, "/k");
    assert_int_equal(s[4].tls, WORLD_SERVER_MUTUAL);
    const struct label labels[] = {{SPAN("gateway.networking.k8s.io/gateway-name"), SPAN("gw")}};
    assert_true(world_gateway_is_served_by(g, SPAN("one"), labels, 1));
    assert_false(world_gateway_is_served_by(g, SPAN("two"), labels, 1));
    assert_false(world_gateway_is_served_by(g, SPAN("one"), labels, 0));
    world_unref(w);
}

/* What people name is the port of the Service in front, or the proxies' own. */
static void ports_of_the_service(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        SERVICE("wide", "sys", "selector: {app: other}, ports: [{port: 80, targetPort: 1}]") SERVICE(
            "front", "sys",
            "selector: {app: gw, more: x}, ports: [{name: dns, port: 80, targetPort: 53, protocol: UDP}, {name: http, port: "
            "80, targetPort: 8080}, {name: s, port: 443, targetPort: https}]")
            ISTIO_GATEWAY(
                "gw", "one",
                "  selector: {app: gw}\n  servers:\n"
                "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.x]}\n"
                "  - {port: {number: 8080, name: http-2, protocol: HTTP}, hosts: [b.x]}\n"
                "  - {port: {number: 443, name: tls, protocol: TLS}, hosts: [c.x], tls: {mode: PASSTHROUGH}}\n"));
    const struct world_server *s = only(w)->servers;
    assert_int_equal(s[0].port, 8080);
    assert_int_equal(s[1].port, 8080);
    assert_int_equal(s[2].port, 443); /* by a name: nobody here knows it */
    world_unref(w);
    w = world_test_of(
        SERVICE("front", "sys", "selector: {app: gw}, ports: [{port: 80, targetPort: 8080}]")
            GATEWAY("gw", "one",
                    "  gatewayClassName: mesh\n"
                    "  addresses: [{type: Hostname, value: front.sys.svc.cluster.local}]\n"
                    "  listeners:\n  - {name: web, port: 80, protocol: HTTP}\n"
                    "  - {name: other, port: 81, protocol: HTTP}\n"));
    s = only(w)->servers;
    assert_int_equal(only(w)->server_count, 2);
    assert_int_equal(s[0].port, 8080);
    assert_int_equal(s[1].port, 81);
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(istio),
        cmocka_unit_test(gateway_api),
        cmocka_unit_test(ports_of_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

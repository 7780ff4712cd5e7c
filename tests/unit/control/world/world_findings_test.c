/* control/world/world_findings and its parts: what is said, with its place; and that good worlds are quiet. */
#include "control/world/world_findings.c"

#include "unit/control/world/world_test.h"

#define WEB                                                                             \
    SERVICE("web", "one", "selector: {app: web}, ports: [{port: 80, name: http}]")      \
    WORKLOAD("w1", "one",                                                               \
             "address: 10.0.0.1, serviceAccount: web, labels: {app: web, version: v1, " \
             "security.istio.io/tlsMode: istio}")
#define TO(rest) "  http: [{route: [{destination: {host: " rest "}}]}]\n"
#define GW                                                                                     \
    ISTIO_GATEWAY(                                                                             \
        "gw", "one",                                                                           \
        "  selector: {app: gw}\n  servers: [{port: {number: 80, name: http, protocol: HTTP}, " \
        "hosts: [a.x]}]\n")
#define API           \
    GATEWAY(          \
        "api", "one", \
        "  gatewayClassName: mesh\n  listeners: [{name: web, port: 80, protocol: HTTP, hostname: a.x}]\n")
#define TLS_GW                                                                                  \
    ISTIO_GATEWAY("gw", "one",                                                                  \
                  "  selector: {app: gw}\n  servers: [{port: {number: 443, name: s, protocol: " \
                  "HTTPS}, hosts: [a.x], tls: {mode: SIMPLE, credentialName: cert}}]\n")
#define API_TLS(ref)                                                                           \
    GATEWAY("api", "one",                                                                      \
            "  gatewayClassName: mesh\n  listeners: [{name: web, port: 443, protocol: HTTPS, " \
            "tls: {certificateRefs: [{" ref "}]}}]\n")
#define CERT(name, ns)                                                                                      \
    "---\napiVersion: v1\nkind: Secret\n" META(                                                             \
        name,                                                                                               \
        ns) "stringData: {tls.crt: \"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\", " \
            "tls.key: \"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n\"}\n"
#define RULES "  rules: [{backendRefs: [{name: web, port: 80}]}]\n"

/* "code path: what" of each, one a line. */
static void tells(void **state)
{
    static const struct {
        const char *objects, *want;
    } rows[] = {
        {"", ""},
        {WEB, ""},
        {WEB GW API VIRTUAL_SERVICE("v", "one", "10",
                                    "  hosts: [web, a.x]\n  gateways: [mesh, gw]\n" TO(
                                        "web")) HTTP_ROUTE("r", "one", "10",
                                                           "  parentRefs: [{name: api}]\n" RULES)
             RULE("d", "one", "host: web, subsets: [{name: v1, labels: {version: v1}}]") PEER_AUTH(
                 "p", "one", "10", "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}")
                 AUTHZ("z", "one",
                       "selector: {matchLabels: {app: web}}, rules: [{from: [{source: {principals: "
                       "[cluster.local/ns/one/sa/web]}}]}]"),
         ""},
        /* services */
        {WEB SERVICE_ENTRY(
             "e", "one",
             "hosts: [web.one.svc.cluster.local], resolution: DNS, ports: [{number: 80, name: "
             "http, protocol: HTTP}]"),
         "2100 spec.hosts[0]: host \"web.one.svc.cluster.local\" is ignored: Service \"web\" defines it too\n"},
        {SERVICE("a", "one", "selector: {app: a}, ports: [{port: 80}]"),
         "2108 spec.selector: service \"a\" selects app=a, which no workload in \"one\" has\n"},
        {SERVICE("a", "one", "selector: {app: a}, ports: [{port: 80, targetPort: q}]")
             WORKLOAD("w", "one", "address: 10.0.0.1, labels: {app: a}"),
         "2112 spec.ports[0].targetPort: workload \"w\" has no port named \"q\"\n"},
        {SERVICE("a", "one", "clusterIP: 10.0.0.9, ports: [{port: 80}]")
             SERVICE("b", "one", "clusterIP: 10.0.0.9, ports: [{port: 80}]"),
         "2115 spec: \"b.one.svc.cluster.local\" has the address 10.0.0.9 of \"a.one.svc.cluster.local\"\n"},
        {SERVICE("a", "one", "clusterIP: 10.0.0.9, ports: [{port: 80}]")
             SERVICE("b", "one", "clusterIP: 10.0.0.9, ports: [{port: 81}]"),
         ""},
        /* gateways */
        {ISTIO_GATEWAY(
             "gw", "one",
             "  selector: {app: gw}\n  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.x]}, "
             "{port: {number: 80, name: tcp, protocol: TCP}, hosts: [\"*\"]}]\n"),
         "2113 spec.servers[1]: port 80 is ignored here: gateway \"gw\" has it for another protocol\n"},
        {ISTIO_GATEWAY(
             "gw", "one",
             "  selector: {app: gw}\n  servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: "
             "{mode: AUTO_PASSTHROUGH}, hosts: [\"*.local\"]}]\n"),
         "2123 spec.servers[0].tls.mode: port 15443 is not served: its mode is AUTO_PASSTHROUGH\n"},
        {TLS_GW WORKLOAD("gw-1", "two", "address: 10.0.0.9, labels: {app: gw}"),
         "2120 spec.servers[0].tls.credentialName: certificate \"two/cert\" can not be used\n"},
        {TLS_GW WORKLOAD("gw-1", "two", "address: 10.0.0.9, labels: {app: gw}") CERT("cert", "two"),
         ""},
        {TLS_GW CERT("cert", "one"), ""}, /* no proxy serves it */
        {API_TLS("name: cert"),
         "2120 spec.listeners[0].tls.certificateRefs[0]: certificate \"one/cert\" can not be used\n"},
        {API_TLS("name: cert") CERT("cert", "one"), ""},
        {API_TLS("name: cert, namespace: two") CERT("cert", "two"),
         "2121 spec.listeners[0].tls.certificateRefs[0]: certificate \"two/cert\" can not be used\n"},
        {API_TLS("name: cert, namespace: two") CERT("cert", "two") GRANT("two", "one"), ""},
        {API_TLS("name: cert, kind: Other"),
         "2120 spec.listeners[0].tls.certificateRefs[0]: certificate \"one/cert\" can not be used\n"},
        {GATEWAY(
             "api", "one",
             "  gatewayClassName: nope\n  listeners: [{name: web, port: 80, protocol: HTTP}]\n"),
         "2122 spec.gatewayClassName: there is no GatewayClass \"nope\"\n"},
        {"---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: other}\n"
         "spec: {controllerName: x.io/y}\n" WEB GATEWAY(
             "gw", "one",
             "  gatewayClassName: other\n  listeners: [{name: web, port: 80, protocol: HTTP}]\n")
             HTTP_ROUTE("r", "one", "10", "  parentRefs: [{name: gw}]\n" RULES),
         ""}, /* another controller's */
        {SERVICE("b", "two", "ports: [{port: 80}]") API HTTP_ROUTE(
             "r", "one", "10",
             "  parentRefs: [{name: api}]\n  rules: [{backendRefs: [{name: b, namespace: two, port: 80}]}]\n"),
         "2121 spec.rules[0].backendRefs[0]: route \"r\" sends 100 % to \"b\" of namespace \"two\"\n"},
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [a.x]\n  gateways: [nope]\n" TO("web")),
         "2102 spec.gateways[0]: route \"v\" names gateway \"one/nope\", which does not exist\n"},
        {WEB GW VIRTUAL_SERVICE("v", "one", "10", "  hosts: [b.x]\n  gateways: [gw]\n" TO("web")),
         "2103 spec.gateways[0]: no listener of gateway \"gw\" takes route \"v\"\n"},
        {WEB HTTP_ROUTE("r", "one", "10", "  parentRefs: [{name: nope}]\n" RULES),
         "2102 spec.parentRefs[0]: route \"r\" names gateway \"nope\", which does not exist\n"},
        {WEB API HTTP_ROUTE("r", "one", "10",
                            "  parentRefs: [{name: api}]\n  hostnames: [b.x]\n" RULES),
         "2103 spec.parentRefs[0]: no listener of gateway \"api\" takes route \"r\"\n"},
        {WEB HTTP_ROUTE("r", "one", "10",
                        "  parentRefs: [{kind: Service, group: \"\", name: nope}]\n" RULES),
         "2102 spec.parentRefs[0]: route \"r\" has service \"nope\" as parent, which does not exist\n"},
        {WEB HTTP_ROUTE(
             "r", "one", "10",
             "  parentRefs: [{kind: Service, group: \"\", name: web, port: 81}]\n" RULES),
         "2102 spec.parentRefs[0]: route \"r\" has service \"web\" as parent, which has no such port\n"},
        /* destinations */
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("nope")),
         "2031 spec.http[0].route[0].destination: route \"v\" sends 100 % to \"nope\", which does not exist\n"},
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("web, port: {number: 81}")),
         "2110 spec.http[0].route[0].destination: route \"v\" sends 100 % to port 81 of \"web.one.svc.cluster.local\", which has no such port\n"},
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("web, subset: v1")),
         "2106 spec.http[0].route[0].destination: route \"v\" sends 100 % to subset \"v1\" of \"web\", which is not defined\n"},
        {WEB RULE(
             "d", "one",
             "host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v4, labels: {version: v4}}]")
             VIRTUAL_SERVICE(
                 "v", "one", "10",
                 "  hosts: [web]\n  http: [{route: [{destination: {host: web, subset: v1}, weight: 90}, "
                 "{destination: {host: web, subset: v4}, weight: 10}], mirror: {host: gone}}]\n"),
         "2031 spec.http[0].route[1].destination: route \"v\" sends 10 % to subset \"v4\" of \"web\", which has no endpoints\n"
         "2031 spec.http[0].mirror: route \"v\" mirrors requests to \"gone\", which does not exist\n"
         "2105 spec.subsets[1]: subset \"v4\" of \"web\" selects no endpoint\n"},
        {WEB VIRTUAL_SERVICE("v", "one", "10",
                             "  hosts: [web]\n  tcp: [{route: [{destination: {host: nope}}]}]\n"),
         "2031 spec.tcp[0].route[0].destination: route \"v\" sends 100 % to \"nope\", which does not exist\n"},
        {WEB API HTTP_ROUTE(
             "r", "one", "10",
             "  parentRefs: [{name: api}]\n  rules: [{backendRefs: [{name: web, port: 80, weight: 3}, "
             "{name: nope, port: 80}]}]\n"),
         "2031 spec.rules[0].backendRefs[1]: route \"r\" sends 25 % to \"nope\", which does not exist\n"},
        {WEB API SERVICE("empty", "one", "ports: [{port: 80}]") HTTP_ROUTE(
             "r", "one", "10",
             "  parentRefs: [{name: api}]\n  rules: [{backendRefs: [{name: empty, port: 80}]}]\n"),
         "2031 spec.rules[0].backendRefs[0]: route \"r\" sends 100 % to \"empty\", which has no endpoints\n"},
        /* two that speak of one host */
        {WEB VIRTUAL_SERVICE("old", "one", "10", "  hosts: [web]\n" TO("web"))
             VIRTUAL_SERVICE("new", "one", "20", "  hosts: [web]\n" TO("web")),
         "2101 spec.hosts[0]: host \"web.one.svc.cluster.local\" of VirtualService \"new\" is ignored: \"old\" is older\n"},
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("web")) HTTP_ROUTE(
             "r", "one", "20", "  parentRefs: [{kind: Service, group: \"\", name: web}]\n" RULES),
         "2044 spec.hosts[0]: VirtualService \"v\" is ignored for \"web\": an HTTPRoute owns this host\n"},
        /* rules */
        {WEB RULE("d", "one", "host: nope"),
         "2104 spec.host: DestinationRule \"d\" is for \"nope\", which no service is\n"},
        {WEB RULE("d", "one", "host: \"*.nope\""),
         "2104 spec.host: DestinationRule \"d\" is for \"*.nope\", which no service is\n"},
        {WEB RULE("d", "one", "host: \"*.local\""), ""},
        {WEB RULE("d", "one", "host: web, workloadSelector: {matchLabels: {app: q}}"),
         "2118 spec.workloadSelector: DestinationRule \"d\" is ignored: it has a workloadSelector\n"},
        {WEB RULE("d", "one", "host: web, subsets: [{name: v1, labels: {version: v1}}]")
             RULE("e", "one", "host: web.one, subsets: [{name: v1, labels: {version: v1}}]"),
         "2111 spec.subsets[0]: DestinationRule \"d\" says it too for \"web.one\", and counts\n"},
        {WEB RULE("d", "one", "host: web, subsets: [{name: v1, labels: {version: v1}}]")
             RULE("e", "one", "host: web, trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
         ""},
        /* security */
        {WEB RULE("d", "one", "host: web, trafficPolicy: {tls: {mode: DISABLE}}")
             PEER_AUTH("p", "one", "10", "mtls: {mode: STRICT}"),
         "3100 spec.trafficPolicy.tls: DestinationRule \"d\" sends plaintext to \"web\", which takes only mutual TLS\n"},
        {WEB RULE("d", "one", "host: web, trafficPolicy: {tls: {mode: DISABLE}}"), ""},
        {WEB PEER_AUTH("p", "one", "10", "mtls: {mode: STRICT}")
             PEER_AUTH("q", "one", "20", "mtls: {mode: STRICT}"),
         "3101 spec: PeerAuthentication \"q\" is ignored: \"p\" is older\n"},
        {WEB PEER_AUTH("p", "istio-system", "10",
                       "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}"),
         "3104 spec.selector: PeerAuthentication \"p\" has a selector in the root namespace\n"},
        {WEB PEER_AUTH("p", "one", "10", "selector: {matchLabels: {app: q}}, mtls: {mode: STRICT}"),
         "3102 spec.selector: policy \"p\" selects no workload\n"},
        {WEB AUTHZ("z", "two", "selector: {matchLabels: {app: web}}, rules: [{}]"),
         "3102 spec.selector: policy \"z\" selects no workload\n"},
        {WEB AUTHZ("z", "istio-system", "selector: {matchLabels: {app: web}}, rules: [{}]"), ""},
        {WEB AUTHZ("z", "one", "targetRefs: [{kind: Service, group: \"\", name: q}], rules: [{}]"),
         "3103 spec.targetRefs[0]: policy \"z\" is for \"q\", which does not exist\n"},
        {WEB AUTHZ(
             "z", "one",
             "rules: [{from: [{source: {principals: [\"*\", cluster.local/ns/one/sa/wep]}}]}]"),
         "3012 spec.rules[0].from[0].source.principals[1]: policy \"z\": no workload runs as one/wep\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        struct arena arena;
        struct findings findings;
        arena_init(&arena, 4096);
        findings_init(&findings, &arena);
        world_findings(w, &findings);
        world_unref(w); /* what is said outlives the world */
        char text[2048] = "";
        size_t len = 0;
        for (const struct finding *f = findings.first; f != NULL; f = f->next) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %.*s: %.*s\n", f->code,
                                    SPAN_ARG(f->path), SPAN_ARG(f->what));
            assert_true(len < sizeof(text));
            assert_true(f->line > 0 && f->kind.len > 0 && f->name.len > 0);
            assert_span(f->file, "t.yaml");
        }
        if (strcmp(text, rows[i].want) != 0) {
            print_error("of\n%s\ngot\n%swant\n%s", rows[i].objects, text, rows[i].want);
            fail();
        }
        arena_dispose(&arena);
    }
}

/* Mistyped names are answered with the one that was meant. */
static void tells_fixes(void **state)
{
    static const struct {
        const char *objects, *fix;
    } rows[] = {
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("wbe")),
         "did you mean \"web\"?"},
        {WEB VIRTUAL_SERVICE("v", "one", "10", "  hosts: [web]\n" TO("web.one.svc.cluster.loca")),
         "did you mean \"web.one.svc.cluster.local\"?"},
        {WEB GW VIRTUAL_SERVICE("v", "one", "10", "  hosts: [a.x]\n  gateways: [gv]\n" TO("web")),
         "did you mean \"one/gw\"?"},
        {WEB RULE("d", "one", "host: wev"), "did you mean \"web\"?"},
        {WEB AUTHZ("z", "one",
                   "rules: [{from: [{source: {principals: [cluster.local/ns/one/sa/wep]}}]}]"),
         "did you mean \"web\"?"},
        {WEB RULE("d", "one", "host: something-else"), ""},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        struct arena arena;
        struct findings findings;
        arena_init(&arena, 4096);
        findings_init(&findings, &arena);
        world_findings(w, &findings);
        world_unref(w);
        assert_int_equal(findings.count, 1);
        assert_span(findings.first->fix, rows[i].fix);
        arena_dispose(&arena);
    }
}

static void tells_where(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        WEB
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: v\n  namespace: one\n"
        "spec:\n  hosts: [web]\n  http:\n  - route:\n    - destination:\n        host: nope\n");
    struct arena arena;
    struct findings findings;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    world_findings(w, &findings);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.first->line, 22);
    world_unref(w);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells),
        cmocka_unit_test(tells_fixes),
        cmocka_unit_test(tells_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

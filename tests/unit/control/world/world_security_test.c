/* control/world/world_security: which PeerAuthentication and which AuthorizationPolicies count. */
#include "control/world/world_security.c"

#include "unit/control/world/world_test.h"

#define WEB "selector: {matchLabels: {app: web}}, "
#define ROOT "istio-system"

static const struct label web[] = {{SPAN_INIT("app"), SPAN_INIT("web")}};

static void mtls(void **state)
{
    static const struct {
        const char *objects;
        uint16_t port;
        enum world_mtls want;
    } rows[] = {
        {"", 80, WORLD_MTLS_PERMISSIVE},
        {PEER_AUTH("m", ROOT, "10", "mtls: {mode: STRICT}"), 80, WORLD_MTLS_STRICT},
        {PEER_AUTH("m", ROOT, "10", "mtls: {mode: STRICT}")
             PEER_AUTH("n", "one", "10", "mtls: {mode: DISABLE}"),
         80, WORLD_MTLS_DISABLE},
        {PEER_AUTH("m", ROOT, "10", "mtls: {mode: STRICT}")
             PEER_AUTH("n", "one", "10", "mtls: {mode: UNSET}"),
         80, WORLD_MTLS_STRICT},
        {PEER_AUTH("m", ROOT, "10", "mtls: {mode: STRICT}")
             PEER_AUTH("n", "two", "10", "mtls: {mode: DISABLE}"),
         80, WORLD_MTLS_STRICT},
        {PEER_AUTH("n", "one", "10", "mtls: {mode: STRICT}")
             PEER_AUTH("w", "one", "10", WEB "mtls: {mode: DISABLE}"),
         80, WORLD_MTLS_DISABLE},
        {PEER_AUTH("w", "one", "10", "selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}"),
         80, WORLD_MTLS_PERMISSIVE},
        {PEER_AUTH("w", "one", "10",
                   WEB "mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"),
         80, WORLD_MTLS_DISABLE},
        {PEER_AUTH("w", "one", "10",
                   WEB "mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"),
         81, WORLD_MTLS_STRICT},
        {PEER_AUTH("n", "one", "10", "mtls: {mode: STRICT}")
             PEER_AUTH("w", "one", "10", WEB "portLevelMtls: {80: {mode: UNSET}}"),
         80, WORLD_MTLS_STRICT},
        /* the oldest of one scope */
        {PEER_AUTH("a", "one", "20", "mtls: {mode: DISABLE}")
             PEER_AUTH("b", "one", "10", "mtls: {mode: STRICT}"),
         80, WORLD_MTLS_STRICT},
        {PEER_AUTH("a", "one", "20", WEB "mtls: {mode: DISABLE}")
             PEER_AUTH("b", "one", "10", WEB "mtls: {mode: STRICT}"),
         80, WORLD_MTLS_STRICT},
        /* a selector in the root namespace selects nothing */
        {PEER_AUTH("w", ROOT, "10", WEB "mtls: {mode: STRICT}"), 80, WORLD_MTLS_PERMISSIVE},
        {MESH_CONFIG("rootNamespace: root") PEER_AUTH("m", "root", "10", "mtls: {mode: STRICT}"),
         80, WORLD_MTLS_STRICT},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        enum world_mtls got = world_mtls_of(w, SPAN("one"), web, 1, rows[i].port);
        if (got != rows[i].want) {
            print_error("row %zu: got %d, want %d\n", i, got, rows[i].want);
            fail();
        }
        world_unref(w);
    }
}

static void note(void *arg, const struct world_authz *p)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%.*s/%.*s ", SPAN_ARG(p->namespace), SPAN_ARG(p->name));
}

static void selects_policies(void **state)
{
    static const char objects[] = SERVICE("web", "one", "selector: {app: web}, ports: [{port: 80}]")
        AUTHZ("all", "one", "rules: [{}]") AUTHZ("all", "two", "rules: [{}]") AUTHZ(
            "z-mesh", ROOT, "rules: [{}]") AUTHZ("picked", ROOT,
                                                 WEB "rules: [{}]") AUTHZ("picked", "one",
                                                                          WEB "rules: [{}]")
            AUTHZ("others", "one", "selector: {matchLabels: {app: other}}, rules: [{}]") AUTHZ(
                "service", "one",
                "targetRefs: [{kind: Service, group: \"\", name: web}], rules: [{}]")
                AUTHZ(
                    "gateway", "one",
                    "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gw}], rules: [{}]");
    static const struct label gateway[] = {
        {SPAN_INIT("gateway.networking.k8s.io/gateway-name"), SPAN_INIT("gw")}};
    UNUSED(state);
    struct world *w = world_test_of(objects);
    char text[256] = "";
    world_authz_of(w, SPAN("one"), web, 1, note, text);
    assert_string_equal(text,
                        "istio-system/picked istio-system/z-mesh one/all one/picked one/service ");
    text[0] = '\0';
    world_authz_of(w, SPAN("one"), gateway, 1, note, text);
    assert_string_equal(text, "istio-system/z-mesh one/all one/gateway ");
    text[0] = '\0';
    world_authz_of(w, SPAN("two"), NULL, 0, note, text);
    assert_string_equal(text, "istio-system/z-mesh two/all ");
    world_unref(w);
}

static void lowers_policies(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(AUTHZ(
        "p", "one",
        "action: DENY, rules: ["
        "{from: [{source: {principals: [a], notPrincipals: [b], namespaces: [c], notNamespaces: [d], ipBlocks: [1.2.3.4], "
        "notIpBlocks: [1.2.3.5], remoteIpBlocks: [1.2.3.6], notRemoteIpBlocks: [1.2.3.7]}}], "
        "to: [{operation: {hosts: [h], notHosts: [i], ports: [\"80\"], notPorts: [\"81\"], methods: [GET], notMethods: [PUT], "
        "paths: [/a], notPaths: [/b]}}], when: [{key: source.namespace, values: [x], notValues: [z]}]},"
        "{from: [{source: {serviceAccounts: [sa, two/sb]}}]},"
        /* of JWTs, which nobody has */
        "{from: [{source: {requestPrincipals: [\"*\"]}}]},"
        "{from: [{source: {requestPrincipals: [\"*\"]}}, {source: {namespaces: [k]}}]},"
        "{from: [{source: {notRequestPrincipals: [\"*\"]}}]},"
        "{when: [{key: \"request.auth.claims[iss]\", values: [x]}]},"
        "{when: [{key: \"request.auth.claims[iss]\", notValues: [x]}]}]"));
    const struct world_authz *p = &w->config->authz[0];
    assert_int_equal(p->action, WORLD_DENY);
    assert_int_equal(p->rule_count, 5);
    const struct world_authz_source *s = &p->rules[0].from[0];
    assert_span(s->principals[0], "a");
    assert_span(s->not_principals[0], "b");
    assert_span(s->namespaces[0], "c");
    assert_span(s->not_namespaces[0], "d");
    assert_span(s->ip_blocks[0], "1.2.3.4");
    assert_span(s->not_remote_ip_blocks[0], "1.2.3.7");
    const struct world_authz_operation *o = &p->rules[0].to[0];
    assert_span(o->hosts[0], "h");
    assert_span(o->not_ports[0], "81");
    assert_span(o->methods[0], "GET");
    assert_span(o->not_paths[0], "/b");
    assert_span(p->rules[0].when[0].not_values[0], "z");
    assert_span(p->rules[1].from[0].principals[0], "*/ns/one/sa/sa");
    assert_span(p->rules[1].from[0].principals[1], "*/ns/two/sa/sb");
    assert_int_equal(p->rules[2].from_count, 1); /* the one that can be */
    assert_span(p->rules[2].from[0].namespaces[0], "k");
    assert_int_equal(p->rules[3].from_count, 1); /* everybody */
    assert_int_equal(p->rules[4].when_count, 0);
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mtls),
        cmocka_unit_test(selects_policies),
        cmocka_unit_test(lowers_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

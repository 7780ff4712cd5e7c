/* control/world/world_status: conditions of Gateways, HTTPRoutes, classes and Istio's kinds. */
#include "control/world/world_status.c"
#include "control/world/world_status_api.c"

#include "base/buf.h"
#include "unit/control/world/world_test.h"

#define CLASS(name, controller)                                                                 \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: " name \
    "}\nspec: {controllerName: " controller "}\n"
#define OURS CLASS("istio", "mesh.io/gateway-controller")
#define SECRET(name, ns)                                                                                    \
    "---\napiVersion: v1\nkind: Secret\n" META(                                                             \
        name,                                                                                               \
        ns) "type: kubernetes.io/tls\n"                                                                     \
            "stringData: {tls.crt: \"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\", " \
            "tls.key: \"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n\"}\n"
#define GW(listeners) GATEWAY("gw", "one", "  gatewayClassName: istio\n  listeners:\n" listeners)
#define HTTP "  - {name: http, port: 80, protocol: HTTP}\n"
#define HTTPS(ref) \
    "  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{" ref "}]}}\n"
#define WEB SERVICE("web", "one", "clusterIP: 10.96.0.9, ports: [{port: 80, name: http}]")
#define ROUTE(rest) HTTP_ROUTE("r", "one", "10", rest)
#define TO_WEB "  rules: [{backendRefs: [{name: web, port: 80}]}]\n"
#define AT_GW "  parentRefs: [{name: gw}]\n"

/* The Service in front, as the cluster answers it, and a proxy behind it. */
#define FRONT(ingress)                                                                                    \
    "---\napiVersion: v1\nkind: Service\n" META(                                                          \
        "gw-istio",                                                                                       \
        "one") "spec: {type: LoadBalancer, "                                                              \
               "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]}\nstatus: {loadBalancer: {" ingress \
               "}}\n"
#define ADDRESS "ingress: [{ip: 172.31.250.1}, {hostname: gw.example.com}]"
#define PROXY(ready)                                                                       \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: gw, "     \
    "namespace: one, labels: {kubernetes.io/service-name: gw-istio}}\naddressType: IPv4\n" \
    "ports: [{name: http, port: 80}]\nendpoints: [{addresses: [10.244.0.1], conditions: "  \
    "{ready: " ready "}}]\n"

struct lab {
    struct world *world;
    struct arena arena;
    struct findings findings;
    struct world_status status;
};

static void lab_init(struct lab *l, const char *yaml)
{
    l->world = world_test_of(yaml);
    arena_init(&l->arena, 4096);
    findings_init(&l->findings, &l->arena);
    world_findings(l->world, &l->findings);
    l->status = (struct world_status){l->world, &l->findings, &l->arena};
}

static void lab_dispose(struct lab *l)
{
    world_unref(l->world);
    arena_dispose(&l->arena);
}

static const struct object *object_of(const struct lab *l, enum object_kind kind, const char *name)
{
    const struct object *o =
        world_find_object(l->world->config, kind,
                          object_kinds[kind].namespaced ? SPAN("one") : SPAN_EMPTY, span_of(name));
    assert_non_null(o);
    return o;
}

/* "Accepted=True/Accepted Programmed=False/Pending" */
static const char *show(struct arena *arena, const struct world_status_conditions *c)
{
    const char *text = "";
    for (size_t i = 0; i < c->count; i++) {
        const struct world_status_condition *one = &c->items[i];
        assert_true(one->message.len > 0);
        assert_ptr_equal(world_status_condition_of(c, one->type), one);
        text = arena_printf(arena, "%s%s%s=%s/%s", text, i > 0 ? " " : "", one->type, one->status,
                            one->reason);
    }
    return text;
}

#define GOOD                                                                              \
    "Accepted=True/Accepted Conflicted=False/NoConflicts ResolvedRefs=True/ResolvedRefs " \
    "Programmed=True/Programmed"
#define BAD_REFS(reason)                                                                 \
    "Accepted=True/Accepted Conflicted=False/NoConflicts ResolvedRefs=False/" reason " " \
    "Programmed=False/Invalid"

static void gateways(void **state)
{
    static const struct {
        const char *objects, *want, *listeners;
    } rows[] = {
        {OURS GW(HTTP) FRONT(ADDRESS) PROXY("true"),
         "Accepted=True/Accepted Programmed=True/Programmed", GOOD},
        {OURS GW(HTTP), "Accepted=True/Accepted Programmed=False/AddressNotAssigned", GOOD},
        {OURS GW(HTTP) FRONT("") PROXY("true"),
         "Accepted=True/Accepted Programmed=False/AddressNotAssigned", GOOD},
        {OURS GW(HTTP) FRONT(ADDRESS) PROXY("false"),
         "Accepted=True/Accepted Programmed=False/Pending", GOOD},
        {OURS GW(HTTPS("name: cert")) SECRET("cert", "one"),
         "Accepted=True/Accepted Programmed=False/AddressNotAssigned", GOOD},
        {OURS GW(HTTPS("name: cert")), "Accepted=False/ListenersNotValid Programmed=False/Invalid",
         BAD_REFS("InvalidCertificateRef")},
        {OURS GW(HTTPS("name: cert, kind: Other")) SECRET("cert", "one"),
         "Accepted=False/ListenersNotValid Programmed=False/Invalid",
         BAD_REFS("InvalidCertificateRef")},
        {OURS GW(HTTPS("name: cert, namespace: two")) SECRET("cert", "two"),
         "Accepted=False/ListenersNotValid Programmed=False/Invalid", BAD_REFS("RefNotPermitted")},
        {OURS GW(HTTPS("name: cert, namespace: two")) SECRET("cert", "two") GRANT("two", "three"),
         "Accepted=False/ListenersNotValid Programmed=False/Invalid", BAD_REFS("RefNotPermitted")},
        {OURS GW(HTTPS("name: cert, namespace: two")) SECRET("cert", "two") GRANT("two", "one"),
         "Accepted=True/Accepted Programmed=False/AddressNotAssigned", GOOD},
        {OURS GW("  - {name: tcp, port: 80, protocol: TCP}\n"),
         "Accepted=False/ListenersNotValid Programmed=False/Invalid",
         "Accepted=False/UnsupportedProtocol Conflicted=False/NoConflicts "
         "ResolvedRefs=True/ResolvedRefs Programmed=False/Invalid"},
        {OURS GW(
             "  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: X}, {kind: "
             "HTTPRoute}]}}\n"),
         "Accepted=True/Accepted Programmed=False/AddressNotAssigned",
         "Accepted=True/Accepted Conflicted=False/NoConflicts "
         "ResolvedRefs=False/InvalidRouteKinds Programmed=True/Programmed"},
        {OURS GW(HTTP HTTPS("name: cert")),
         "Accepted=True/ListenersNotValid Programmed=False/AddressNotAssigned",
         GOOD "; " BAD_REFS("InvalidCertificateRef")},
        /* without any class, as on machines without Kubernetes */
        {GW(HTTP), "Accepted=True/Accepted Programmed=False/AddressNotAssigned", GOOD},
        {CLASS("istio", "other.io/c") GW(HTTP), NULL, NULL},
        {CLASS("mesh", "mesh.io/gateway-controller") GW(HTTP), NULL, NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lab l;
        struct world_status_gateway out;
        lab_init(&l, rows[i].objects);
        bool ours = world_status_gateway(&l.status, object_of(&l, OBJECT_GATEWAY, "gw"), &out);
        assert_int_equal(ours, rows[i].want != NULL);
        assert_int_equal(l.world->config->gateway_count, ours);
        if (ours) {
            const char *listeners = "";
            for (size_t k = 0; k < out.listener_count; k++) {
                listeners = arena_printf(&l.arena, "%s%s%s", listeners, k > 0 ? "; " : "",
                                         show(&l.arena, &out.listeners[k].conditions));
            }
            assert_string_equal(show(&l.arena, &out.conditions), rows[i].want);
            assert_string_equal(listeners, rows[i].listeners);
        }
        lab_dispose(&l);
    }
}

static void fronts(void **state)
{
    struct lab l;
    struct world_status_gateway out;
    UNUSED(state);
    lab_init(&l, OURS GW(HTTP) FRONT(ADDRESS) PROXY("true"));
    assert_true(world_status_gateway(&l.status, object_of(&l, OBJECT_GATEWAY, "gw"), &out));
    assert_int_equal(out.address_count, 2);
    assert_string_equal(out.addresses[0].type, "IPAddress");
    assert_span(out.addresses[0].value, "172.31.250.1");
    assert_string_equal(out.addresses[1].type, "Hostname");
    lab_dispose(&l);
    /* proxies that are there already, in another namespace */
    lab_init(&l, OURS GATEWAY("gw", "one",
                              "  gatewayClassName: istio\n  addresses: [{type: Hostname, value: "
                              "edge.two.svc.cluster.local}]\n  listeners:\n" HTTP)
                     SERVICE("edge", "two",
                             "clusterIP: 10.96.0.7, selector: {istio: edge}, ports: [{port: 80}]"));
    assert_true(world_status_gateway(&l.status, object_of(&l, OBJECT_GATEWAY, "gw"), &out));
    assert_span(out.addresses[0].value, "10.96.0.7");
    const struct label edge = {SPAN("istio"), SPAN("edge")};
    const struct label own = {SPAN("gateway.networking.k8s.io/gateway-name"), SPAN("gw")};
    const struct world_gateway *g = &l.world->config->gateways[0];
    assert_true(world_gateway_is_served_by(g, SPAN("two"), &edge, 1));
    assert_false(world_gateway_is_served_by(g, SPAN("one"), &edge, 1));
    assert_false(world_gateway_is_served_by(g, SPAN("one"), &own, 1));
    lab_dispose(&l);
}

static void counts_routes(void **state)
{
    struct lab l;
    struct world_status_gateway out;
    UNUSED(state);
    lab_init(&l, OURS GW("  - {name: a, port: 80, protocol: HTTP, hostname: \"*.x\"}\n"
                         "  - {name: b, port: 81, protocol: HTTP, allowedRoutes: {kinds: []}}\n")
                     ROUTE(AT_GW TO_WEB) HTTP_ROUTE("s", "one", "11",
                                                    "  parentRefs: [{name: gw, sectionName: b}, "
                                                    "{name: gw, port: 81}]\n" TO_WEB)
                         HTTP_ROUTE("t", "one", "12", AT_GW "  hostnames: [a.y]\n" TO_WEB)
                             HTTP_ROUTE("u", "two", "13",
                                        "  parentRefs: [{name: gw, namespace: one}]\n" TO_WEB));
    assert_true(world_status_gateway(&l.status, object_of(&l, OBJECT_GATEWAY, "gw"), &out));
    assert_int_equal(out.listeners[0].attached_routes, 1); /* r */
    assert_int_equal(out.listeners[1].attached_routes, 3); /* r, s, t */
    assert_int_equal(out.listeners[0].kind_count, 1);
    assert_string_equal(out.listeners[0].kinds[0].kind, "HTTPRoute");
    lab_dispose(&l);
}

#define ROUTE_GOOD "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"

static void routes(void **state)
{
    static const struct {
        const char *objects, *want; /* of each parent */
    } rows[] = {
        {OURS GW(HTTP) WEB ROUTE(AT_GW TO_WEB), ROUTE_GOOD},
        {OURS GW(HTTP) WEB ROUTE("  parentRefs: [{name: gw, sectionName: other}]\n" TO_WEB),
         "Accepted=False/NoMatchingParent ResolvedRefs=True/ResolvedRefs"},
        {OURS GW(HTTP) WEB ROUTE("  parentRefs: [{name: gw, port: 81}]\n" TO_WEB),
         "Accepted=False/NoMatchingParent ResolvedRefs=True/ResolvedRefs"},
        {OURS GW("  - {name: http, port: 80, protocol: HTTP, hostname: a.x}\n")
             WEB ROUTE(AT_GW "  hostnames: [b.x]\n" TO_WEB),
         "Accepted=False/NoMatchingListenerHostname ResolvedRefs=True/ResolvedRefs"},
        {OURS GW("  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: "
                 "Selector, selector: {matchLabels: {a: b}}}}}\n") WEB ROUTE(AT_GW TO_WEB),
         "Accepted=False/NotAllowedByListeners ResolvedRefs=True/ResolvedRefs"},
        {OURS GW(HTTP) ROUTE(AT_GW TO_WEB),
         "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound"},
        {OURS GW(HTTP) WEB ROUTE(AT_GW "  rules: [{backendRefs: [{name: web, port: 81}]}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound"},
        {OURS GW(HTTP) WEB ROUTE(
             AT_GW "  rules: [{backendRefs: [{name: web, port: 80, group: x.io, kind: Thing}]}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/InvalidKind"},
        {OURS GW(HTTP) SERVICE("b", "two", "ports: [{port: 80}]")
             ROUTE(AT_GW "  rules: [{backendRefs: [{name: b, namespace: two, port: 80}]}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted"},
        {OURS GW(HTTP) SERVICE("b", "two", "ports: [{port: 80}]") GRANT("two", "one")
             ROUTE(AT_GW "  rules: [{backendRefs: [{name: b, namespace: two, port: 80}]}]\n"),
         ROUTE_GOOD},
        {OURS GW(HTTP) WEB ROUTE(
             AT_GW "  rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: "
                   "{name: none, port: 80}}}], backendRefs: [{name: web, port: 80}]}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound"},
        /* nobody's, and another controller's */
        {OURS WEB ROUTE(AT_GW TO_WEB), ""},
        {CLASS("istio", "other.io/c") GW(HTTP) WEB ROUTE(AT_GW TO_WEB), ""},
        /* the mesh */
        {WEB ROUTE(
             "  parentRefs: [{kind: Service, group: \"\", name: web}, {kind: Service, group: "
             "\"\", name: web, port: 99}, {kind: Service, group: \"\", name: none}]\n" TO_WEB),
         ROUTE_GOOD "; Accepted=False/NoMatchingParent ResolvedRefs=True/ResolvedRefs; "
                    "Accepted=False/NoMatchingParent ResolvedRefs=True/ResolvedRefs"},
        /* a consumer sends to its parent without a grant */
        {SERVICE("b", "two", "ports: [{port: 80}]")
             ROUTE("  parentRefs: [{kind: Service, group: \"\", name: b, namespace: two}]\n"
                   "  rules: [{backendRefs: [{name: b, namespace: two, port: 80}]}]\n"),
         ROUTE_GOOD},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lab l;
        struct world_status_route out;
        const char *got = "";
        lab_init(&l, rows[i].objects);
        world_status_route(&l.status, object_of(&l, OBJECT_HTTP_ROUTE, "r"), &out);
        for (size_t k = 0; k < out.parent_count; k++) {
            got = arena_printf(&l.arena, "%s%s%s", got, k > 0 ? "; " : "",
                               show(&l.arena, &out.parents[k].conditions));
        }
        assert_string_equal(got, rows[i].want);
        lab_dispose(&l);
    }
}

static void repeats_references(void **state)
{
    struct lab l;
    struct world_status_route out;
    UNUSED(state);
    lab_init(&l, OURS GW(HTTP) WEB ROUTE("  parentRefs: [{name: other}, {group: "
                                         "gateway.networking.k8s.io, kind: Gateway, name: gw, "
                                         "namespace: one, sectionName: http, port: 80}]\n" TO_WEB));
    world_status_route(&l.status, object_of(&l, OBJECT_HTTP_ROUTE, "r"), &out);
    assert_int_equal(out.parent_count, 1);
    assert_span(out.parents[0].group, "gateway.networking.k8s.io");
    assert_span(out.parents[0].kind, "Gateway");
    assert_span(out.parents[0].namespace, "one");
    assert_span(out.parents[0].section, "http");
    assert_true(out.parents[0].has_port && out.parents[0].port == 80);
    lab_dispose(&l);
}

static void classes(void **state)
{
    struct lab l;
    struct world_status_conditions out;
    UNUSED(state);
    lab_init(&l, OURS CLASS("other", "other.io/c"));
    assert_true(world_status_class(&l.status, object_of(&l, OBJECT_GATEWAY_CLASS, "istio"), &out));
    assert_string_equal(show(&l.arena, &out), "Accepted=True/Accepted");
    assert_false(world_status_class(&l.status, object_of(&l, OBJECT_GATEWAY_CLASS, "other"), &out));
    lab_dispose(&l);
}

static void istio(void **state)
{
    static const struct {
        const char *objects, *want, *message; /* of the first that is not as it should be */
    } rows[] = {
        {VIRTUAL_SERVICE("v", "one", "10",
                         "  hosts: [web]\n  http: [{route: [{destination: {host: none}}]}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound Programmed=True/Programmed",
         "MESH2031 spec.http[0].route[0].destination: route \"v\" sends 100 % to \"none\", which "
         "does not exist"},
        {VIRTUAL_SERVICE("v", "one", "10",
                         "  hosts: [a.x]\n  gateways: [g, h]\n"
                         "  http: [{redirect: {authority: b.x}}]\n"),
         "Accepted=True/Accepted ResolvedRefs=False/ParentNotFound Programmed=True/Programmed",
         "MESH2102 spec.gateways[0]: route \"v\" names gateway \"one/g\", which does not exist "
         "(and 1 more)"},
        {VIRTUAL_SERVICE("v", "one", "10",
                         "  hosts: [a.x]\n  http: [{redirect: {authority: b.x}}]\n"),
         "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs Programmed=True/Programmed", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lab l;
        struct world_status_conditions out;
        lab_init(&l, rows[i].objects);
        assert_true(
            world_status_istio(&l.status, object_of(&l, OBJECT_VIRTUAL_SERVICE, "v"), &out));
        assert_string_equal(show(&l.arena, &out), rows[i].want);
        if (rows[i].message != NULL) {
            assert_span(world_status_condition_of(&out, "ResolvedRefs")->message, rows[i].message);
        }
        lab_dispose(&l);
    }
}

/* What could not be read comes from the sources. */
static void istio_bad(void **state)
{
    struct lab l;
    struct world_status_conditions out;
    UNUSED(state);
    lab_init(&l, VIRTUAL_SERVICE("v", "one", "10",
                                 "  hosts: [a.x]\n  http: [{redirect: {authority: b.x}}]\n") WEB);
    struct finding *f = finding_add(&l.findings, 2014, NULL, "'hosts' is missing");
    f->kind = SPAN("VirtualService");
    f->namespace = SPAN("one");
    f->name = SPAN("v");
    f->path = SPAN("spec");
    f->fix = SPAN("add 'hosts'");
    assert_true(world_status_istio(&l.status, object_of(&l, OBJECT_VIRTUAL_SERVICE, "v"), &out));
    assert_string_equal(
        show(&l.arena, &out),
        "Accepted=False/Invalid ResolvedRefs=False/Invalid Programmed=False/Invalid");
    assert_span(
        world_status_condition_of(&out, "Accepted")->message,
        "MESH2014 spec: 'hosts' is missing; add 'hosts'; what it said before stays in force");
    assert_true(
        world_status_named(&l.status, OBJECT_VIRTUAL_SERVICE, SPAN("one"), SPAN("v"), &out));
    assert_span(world_status_condition_of(&out, "Accepted")->message,
                "MESH2014 spec: 'hosts' is missing; add 'hosts'");
    assert_false(world_status_istio(&l.status, object_of(&l, OBJECT_SERVICE, "web"), &out));
    /* a warning */
    f->code = 2010;
    f->severity = CODE_WARNING;
    assert_true(world_status_istio(&l.status, object_of(&l, OBJECT_VIRTUAL_SERVICE, "v"), &out));
    assert_string_equal(show(&l.arena, &out),
                        "Accepted=True/AcceptedWithWarnings ResolvedRefs=True/ResolvedRefs "
                        "Programmed=True/Programmed");
    lab_dispose(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateways),
        cmocka_unit_test(fronts),
        cmocka_unit_test(counts_routes),
        cmocka_unit_test(routes),
        cmocka_unit_test(repeats_references),
        cmocka_unit_test(classes),
        cmocka_unit_test(istio),
        cmocka_unit_test(istio_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

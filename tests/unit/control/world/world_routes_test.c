/* control/world/world_routes: which routes count for sidecars, for services as parents, and at gateways. */
#include "control/world/world_routes.c"

#include "unit/control/world/world_dump.h"

#define SERVICES                                                                     \
    SERVICE("a", "one", "ports: [{port: 80, name: http}, {port: 81, name: http-b}]") \
    SERVICE("b", "one", "ports: [{port: 80, name: http}]")                           \
    GRANT("one", "two")
/* a VirtualService that sends everything to b on a port that tells which one it is */
#define VS(name, ns, age, head, port)                                                          \
    VIRTUAL_SERVICE(                                                                           \
        name, ns, age,                                                                         \
        head                                                                                   \
        "  http: [{route: [{destination: {host: b.one.svc.cluster.local, port: {number: " port \
        "}}}]}]\n")
#define ROUTE(name, ns, age, head, port)                         \
    HTTP_ROUTE(name, ns, age,                                    \
               head "  rules: [{matches: [{path: {value: /" port \
                    "}}], backendRefs: [{name: b, namespace: one, port: " port "}]}]\n")

static void sidecars(void **state)
{
    static const struct {
        const char *objects, *host;
        uint16_t port;
        const char *client, *want;
    } rows[] = {
        {SERVICES, "a", 80, "one", "none\n"},
        {SERVICES VS("v", "one", "10", "  hosts: [a]\n", "1"), "a", 80, "two", "-> 100 b:1\n"},
        {SERVICES VS("v", "one", "10", "  hosts: [a]\n", "1"), "b", 80, "two", "none\n"},
        /* the oldest of one host */
        {SERVICES VS("y", "one", "20", "  hosts: [a]\n", "2")
             VS("z", "one", "10", "  hosts: [a]\n", "1"),
         "a", 80, "one", "-> 100 b:1\n"},
        /* the most specific host, whatever its age */
        {SERVICES VS("y", "one", "10", "  hosts: [\"*.one.svc.cluster.local\"]\n", "1")
             VS("z", "one", "20", "  hosts: [a]\n", "2"),
         "a", 80, "one", "-> 100 b:2\n"},
        {SERVICES VS("y", "one", "10", "  hosts: [\"*.one.svc.cluster.local\"]\n", "1")
             VS("z", "one", "20", "  hosts: [a]\n", "2"),
         "b", 80, "one", "-> 100 b:1\n"},
        /* visibility: not exported, and what is for this namespace alone comes first */
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n  exportTo: [\".\"]\n", "1"), "a", 80, "two",
         "none\n"},
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n", "1")
             VS("z", "two", "20", "  hosts: [a.one.svc.cluster.local]\n  exportTo: [\".\"]\n", "2"),
         "a", 80, "two", "-> 100 b:2\n"},
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n", "1")
             VS("z", "two", "20", "  hosts: [a.one.svc.cluster.local]\n  exportTo: [two, three]\n",
                "2"),
         "a", 80, "three", "-> 100 b:2\n"},
        /* gateways: of the object, and of single matches */
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n  gateways: [gw]\n", "1"), "a", 80, "one",
         "none\n"},
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n  gateways: [gw, mesh]\n", "1"), "a", 80,
         "one", "-> 100 b:1\n"},
        {SERVICES VIRTUAL_SERVICE(
             "y", "one", "10",
             "  hosts: [a]\n  gateways: [gw, mesh]\n  http:\n"
             "  - {match: [{uri: {exact: /g}, gateways: [gw]}], route: [{destination: {host: b}}]}\n"
             "  - {match: [{uri: {exact: /m}, gateways: [mesh]}, {uri: {exact: /x}, gateways: [gw]}], "
             "route: [{destination: {host: b}}]}\n  - {route: [{destination: {host: b}}]}\n"),
         "a", 80, "one", "=/m at:mesh -> 100 b:80\n-> 100 b:80\n"},
        /* a host that no service has */
        {SERVICES VS("y", "one", "10", "  hosts: [foo.example.com]\n", "1"), "foo.example.com", 80,
         "one", "-> 100 b:1\n"},
        {SERVICES VS("y", "one", "10", "  hosts: [\"*.com\"]\n", "1"), "foo.example.com", 80, "one",
         "-> 100 b:1\n"},
        /* HTTPRoute with the service as parent: over a VirtualService, by port, merged */
        {SERVICES VS("y", "one", "10", "  hosts: [a]\n", "1") ROUTE(
             "r", "one", "10", "  parentRefs: [{kind: Service, group: \"\", name: a}]\n", "80"),
         "a", 81, "two", "^//80 -> 1 b:80\n"},
        {SERVICES ROUTE("r", "one", "10",
                        "  parentRefs: [{kind: Service, group: \"\", name: a, port: 80}]\n", "80"),
         "a", 81, "one", "none\n"},
        {SERVICES ROUTE("r", "one", "10",
                        "  parentRefs: [{kind: Service, group: \"\", name: a, port: 80}]\n", "80")
             HTTP_ROUTE(
                 "all", "one", "20",
                 "  parentRefs: [{kind: Service, group: \"\", name: a}]\n  rules: [{backendRefs: [{name: b, port: 80}]}]\n"),
         "a", 80, "one", "^//80 -> 1 b:80\n^// -> 1 b:80\n"},
        {SERVICES ROUTE("r", "one", "10",
                        "  parentRefs: [{kind: Service, group: \"\", name: a, port: 80}]\n", "80")
             HTTP_ROUTE(
                 "all",
                 "one",
                 "20",
                 "  parentRefs: [{kind: Service, group: \"\", name: a}]\n  rules: [{backendRefs: [{name: b, port: 80}]}]\n"),
         "a", 81, "one", "^// -> 1 b:80\n"},
        /* a consumer's route is for clients of its namespace, and replaces the producer's there */
        {SERVICES ROUTE("r", "one", "10", "  parentRefs: [{kind: Service, group: \"\", name: a}]\n",
                        "80")
             HTTP_ROUTE("c", "two", "20",
                        "  parentRefs: [{kind: Service, group: \"\", name: a, namespace: one}]\n"
                        "  rules: [{backendRefs: [{name: b, namespace: one, port: 80}]}]\n"),
         "a", 80, "two", "^// -> 1 b:80\n"},
        {SERVICES HTTP_ROUTE(
             "c", "two", "20",
             "  parentRefs: [{kind: Service, group: \"\", name: a, namespace: one}]\n"
             "  rules: [{backendRefs: [{name: b, namespace: one, port: 80}]}]\n"),
         "a", 80, "one", "none\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        const struct world_service *s = world_find_host(w, span_of(rows[i].host), SPAN("one"));
        struct world_dump d = {.len = 0};
        world_dump_vhost(&d, world_mesh_routes(w, s != NULL ? s->host : span_of(rows[i].host), s,
                                               rows[i].port, span_of(rows[i].client)));
        world_dump_expect(rows[i].objects, &d, rows[i].want);
        world_unref(w);
    }
}

static void on_vhost(void *arg, struct span host, const struct world_virtual_host *v)
{
    struct world_dump *d = arg;
    world_dump_add(d, "%.*s:\n", SPAN_ARG(host));
    world_dump_vhost(d, v);
}

#define GW(servers) ISTIO_GATEWAY("gw", "one", "  selector: {app: gw}\n  servers: [" servers "]\n")
#define SERVER(hosts) "{port: {number: 80, name: http, protocol: HTTP}, hosts: [" hosts "]}"
#define API(listeners) \
    GATEWAY("gw", "one", "  gatewayClassName: mesh\n  listeners: [" listeners "]\n")
#define LISTENER(name, port, rest) "{name: " name ", port: " port ", protocol: HTTP" rest "}"
#define AT "  parentRefs: [{name: gw, namespace: one}]\n"

static void gateways(void **state)
{
    static const struct {
        const char *objects;
        size_t server;
        const char *want;
    } rows[] = {
        /* Istio: the narrower host of two that overlap */
        {SERVICES GW(SERVER("\"*\""))
             VS("v", "one", "10", "  hosts: [x.y]\n  gateways: [gw]\n", "1"),
         0, "x.y:\n-> 100 b:1\n"},
        {SERVICES GW(SERVER("a.x.y, \"*.z\""))
             VS("v", "two", "10", "  hosts: [\"*.x.y\", b.z, q]\n  gateways: [one/gw]\n", "1"),
         0, "a.x.y:\n-> 100 b:1\nb.z:\n-> 100 b:1\n"},
        {SERVICES GW(SERVER("two/a.x, ./b.x, \"*/c.x\""))
             VS("v", "one", "10", "  hosts: [a.x, b.x, c.x]\n  gateways: [gw]\n", "1"),
         0, "b.x:\n-> 100 b:1\nc.x:\n-> 100 b:1\n"},
        {SERVICES GW(SERVER("\"*\""))
             VS("v", "two", "10", "  hosts: [x.y]\n  gateways: [gw]\n", "1"),
         0, ""},
        {SERVICES GW(SERVER("\"*\"")) VS(
             "v", "two", "10", "  hosts: [x.y]\n  gateways: [one/gw]\n  exportTo: [\".\"]\n", "1"),
         0, ""},
        /* several of one host: in order of age, what takes everything last */
        {SERVICES GW(SERVER("\"*\""))
             VS("v", "one", "10", "  hosts: [x.y, z]\n  gateways: [gw]\n", "1") VIRTUAL_SERVICE(
                 "u", "one", "20",
                 "  hosts: [x.y, \"*\"]\n  gateways: [gw]\n  http: [{match: [{uri: {prefix: /u}}], "
                 "route: [{destination: {host: b}}]}]\n"),
         0,
         "x.y:\n^/u -> 100 b:80\n-> 100 b:1\nz.one.svc.cluster.local:\n-> 100 b:1\n*:\n^/u -> 100 b:80\n"},
        /* Gateway API: listener's host, allowed namespaces, section, port */
        {SERVICES API(LISTENER("web", "80", "")) ROUTE("r", "one", "10", AT, "80"), 0,
         "*:\n^//80 -> 1 b:80\n"},
        {SERVICES API(LISTENER("web", "80", ", hostname: \"*.x.y\""))
             ROUTE("r", "one", "10", AT "  hostnames: [a.x.y, \"*.y\", b.z]\n", "80"),
         0, "a.x.y:\n^//80 -> 1 b:80\n*.x.y:\n^//80 -> 1 b:80\n"},
        {SERVICES API(LISTENER("web", "80", "")) ROUTE("r", "two", "10", AT, "80"), 0, ""},
        {SERVICES API(LISTENER("web", "80", ", allowedRoutes: {namespaces: {from: All}}"))
             ROUTE("r", "two", "10", AT, "80"),
         0, "*:\n^//80 -> 1 b:80\n"},
        {SERVICES API(LISTENER(
             "web", "80",
             ", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: q}}}}"))
             ROUTE(
                 "r", "two", "10", AT,
                 "80") "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: two, labels: {team: q}}\n",
         0, "*:\n^//80 -> 1 b:80\n"},
        {SERVICES API(LISTENER(
             "web", "80",
             ", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: q}}}}"))
             ROUTE("r", "two", "10", AT, "80"),
         0, ""},
        {SERVICES API(LISTENER("web", "80", "") ", " LISTENER("admin", "81", ""))
             ROUTE("r", "one", "10", "  parentRefs: [{name: gw, sectionName: admin}]\n", "80"),
         0, ""},
        {SERVICES API(LISTENER("web", "80", "") ", " LISTENER("admin", "81", ""))
             ROUTE("r", "one", "10", "  parentRefs: [{name: gw, sectionName: admin}]\n", "80"),
         1, "*:\n^//80 -> 1 b:80\n"},
        {SERVICES API(LISTENER("web", "80", "") ", " LISTENER("admin", "81", ""))
             ROUTE("r", "one", "10", "  parentRefs: [{name: gw, port: 80}]\n", "80"),
         1, ""},
        /* merged by precedence, exact hosts before wildcards, the longest of these first */
        {SERVICES API(LISTENER("web", "80", "")) HTTP_ROUTE(
             "all", "one", "10",
             AT "  hostnames: [\"*.y\", x.y]\n  rules: [{backendRefs: [{name: b, port: 80}]}]\n")
             ROUTE("r", "one", "20", AT "  hostnames: [x.y, \"*.x.y\"]\n", "80"),
         0, "x.y:\n^//80 -> 1 b:80\n^// -> 1 b:80\n*.x.y:\n^//80 -> 1 b:80\n*.y:\n^// -> 1 b:80\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        const struct world_gateway *g = &w->config->gateways[0];
        struct world_dump d = {.len = 0};
        assert_int_equal(w->config->gateway_count, 1);
        world_gateway_routes(w, g, &g->servers[rows[i].server], on_vhost, &d);
        world_dump_expect(rows[i].objects, &d, rows[i].want);
        world_unref(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sidecars),
        cmocka_unit_test(gateways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

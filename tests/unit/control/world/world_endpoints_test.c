/* control/world/world_endpoints: every source of endpoints, ports by name, labels, identity, order. */
#include "control/world/world_endpoints.c"

#include "unit/control/world/world_test.h"

/* "address:port/service port workload app version", one a line. */
static void dump(const struct world_endpoints *e, char *to, size_t room)
{
    size_t len = 0;
    to[0] = '\0';
    for (size_t i = 0; i < e->count; i++) {
        const struct world_endpoint *p = &e->items[i];
        char ip[IP_TEXT_BYTES];
        len += (size_t)snprintf(to + len, room - len, "%s%.*s%.*s:%u/%u %.*s %.*s %.*s%s%s\n",
                                ip_format(&p->address, ip), SPAN_ARG(p->hostname),
                                SPAN_ARG(p->unix_path), p->port, p->service_port,
                                SPAN_ARG(p->workload), SPAN_ARG(p->app), SPAN_ARG(p->version),
                                p->mutual_tls ? " mtls" : "", p->ready ? "" : " not-ready");
        assert_true(len < room);
    }
}

#define SLICE(name, ns, service, rest)                                                                     \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: {name: " name \
    ", namespace: \"" ns "\", labels: {kubernetes.io/service-name: " service "}}\n" rest
#define PORTS "ports: [{port: 80, name: http}, {port: 81, name: admin, targetPort: adm}]"

static void makes(void **state)
{
    static const struct {
        const char *objects, *host, *want;
    } rows[] = {
        /* Service selects WorkloadEntries of its namespace */
        {SERVICE("a", "n", "selector: {app: a}, " PORTS)
             WORKLOAD("w1", "n", "address: 10.0.0.2, labels: {app: a, version: v1}")
                 WORKLOAD("w2", "n",
                          "address: 10.0.0.1, ports: {adm: 9001, http: 8080}, labels: {app: a, "
                          "security.istio.io/tlsMode: istio}")
                     WORKLOAD("w3", "n", "address: 10.0.0.3, labels: {app: b}")
                         WORKLOAD("w4", "m", "address: 10.0.0.4, labels: {app: a}")
                             WORKLOAD("w5", "n", "address: not.an.address, labels: {app: a}"),
         "a",
         "10.0.0.1:8080/80 w2 a latest mtls\n10.0.0.2:80/80 w1 a v1\n"
         "10.0.0.1:9001/81 w2 a latest mtls\n"},
        /* labels of the metadata win, and both count */
        {SERVICE(
             "a", "n",
             "selector: {app: a, tier: x}, ports: [{port: 80, targetPort: 8080}]") "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w1, "
                                                                                   "namespace: \"n\", labels: {app: a, version: v2}}\n"
                                                                                   "spec: {address: 10.0.0.2, labels: {app: b, tier: x, service.istio.io/workload-name: w}}\n",
         "a", "10.0.0.2:8080/80 w a v2\n"},
        /* no selector selects nothing */
        {SERVICE("a", "n", "ports: [{port: 80}]") WORKLOAD("w1", "n", "address: 10.0.0.2"), "a",
         ""},
        /* slices */
        {SERVICE("a", "n", PORTS) SLICE(
             "a-1", "n", "a",
             "ports: [{name: http, port: 8080}, {name: admin, port: 9001}]\nendpoints:\n"
             "- {addresses: [10.1.0.1], targetRef: {kind: Pod, name: "
             "reviews-v1-5b5d96c4b9-xk2dz, namespace: \"n\"}}\n"
             "- {addresses: [10.1.0.2], conditions: {ready: false}, targetRef: {kind: Pod, "
             "name: db-0}}\n")
             SLICE("a-2", "n", "a",
                   "ports: [{name: http, port: 8080}]\nendpoints:\n- {addresses: [10.1.0.2]}\n")
                 SLICE(
                     "other", "m", "a",
                     "ports: [{name: http, port: 8080}]\nendpoints:\n- {addresses: [10.1.0.3]}\n"),
         "a",
         "10.1.0.1:8080/80 reviews-v1 reviews-v1 latest\n10.1.0.2:8080/80   latest\n"
         "10.1.0.1:9001/81 reviews-v1 reviews-v1 latest\n10.1.0.2:9001/81 db-0 db-0 latest not-ready\n"},
        /* a slice's endpoint takes what the WorkloadEntry of its address says */
        {SERVICE("a", "n", "ports: [{port: 80}]") SLICE(
             "a-1", "n", "a", "ports: [{port: 8080}]\nendpoints:\n- {addresses: [10.1.0.1]}\n")
             WORKLOAD("w1", "n", "address: 10.1.0.1, labels: {app: z, version: v3}"),
         "a", "10.1.0.1:8080/80 w1 z v3\n"},
        /* ServiceEntry: inline, by selector, by DNS, nothing */
        {SERVICE_ENTRY("e", "n",
                       "hosts: [e.x], resolution: STATIC, ports: [{number: 80, name: http, "
                       "protocol: HTTP, targetPort: 8000}], endpoints: [{address: 1.1.1.1, "
                       "ports: {http: 8080}}, {address: 1.1.1.2, labels: {version: v9}}, "
                       "{address: \"unix:///run/x.sock\"}]"),
         "e.x", "/run/x.sock:0/80   latest\n1.1.1.1:8080/80   latest\n1.1.1.2:8000/80   v9\n"},
        {SERVICE_ENTRY("e", "n",
                       "hosts: [e.x], resolution: STATIC, location: MESH_INTERNAL, ports: "
                       "[{number: 80, name: http, protocol: HTTP}], workloadSelector: "
                       "{labels: {app: a}}")
             WORKLOAD("w1", "n", "address: 10.0.0.2, labels: {app: a}"),
         "e.x", "10.0.0.2:80/80 w1 a latest\n"},
        {SERVICE_ENTRY("e", "n",
                       "hosts: [e.x], resolution: DNS, ports: [{number: 443, name: tls, "
                       "protocol: TLS, targetPort: 8443}]"),
         "e.x", "e.x:8443/443   latest\n"},
        {SERVICE_ENTRY("e", "n",
                       "hosts: [e.x], resolution: DNS, ports: [{number: 443, name: tls, "
                       "protocol: TLS}], endpoints: [{address: us.e.x}, {address: eu.e.x}]"),
         "e.x", "eu.e.x:443/443   latest\nus.e.x:443/443   latest\n"},
        {SERVICE_ENTRY("e", "n",
                       "hosts: [e.x], resolution: NONE, ports: [{number: 443, name: tls, "
                       "protocol: TLS}]"),
         "e.x", ""},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        const struct world_service *s = world_test_service(w, rows[i].host, "n");
        char text[2048];
        dump(w->endpoints[s->index], text, sizeof(text));
        assert_string_equal(text, rows[i].want);
        world_unref(w);
    }
}

static void tells_all(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        SERVICE("a", "n", "selector: {app: a}, ports: [{port: 80}]")
            WORKLOAD("w1", "n",
                     "address: 10.0.0.1, network: net1, locality: r/z/s, weight: 7, "
                     "serviceAccount: sa1, labels: {app: a}")
                WORKLOAD("w2", "n",
                         "address: 10.0.0.2, labels: {app: a, topology.istio.io/network: net2, "
                         "topology.kubernetes.io/region: r2, topology.kubernetes.io/zone: z2}"));
    const struct world_endpoints *e = w->endpoints[world_test_service(w, "a", "n")->index];
    assert_int_equal(e->count, 2);
    assert_span(e->items[0].network, "net1");
    assert_span(e->items[0].region, "r");
    assert_span(e->items[0].zone, "z");
    assert_span(e->items[0].sub_zone, "s");
    assert_span(e->items[0].service_account, "sa1");
    assert_span(e->items[0].namespace, "n");
    assert_int_equal(e->items[0].weight, 7);
    assert_span(e->items[1].network, "net2");
    assert_span(e->items[1].region, "r2");
    assert_span(e->items[1].zone, "z2");
    assert_int_equal(e->items[1].weight, 1);
    assert_int_not_equal(e->items[0].hash, e->items[1].hash);
    struct ip ip = world_test_ip("10.0.0.2");
    assert_int_equal(world_endpoints_find(e, 80, &ip), 1);
    ip = world_test_ip("10.0.0.3");
    assert_int_equal(world_endpoints_find(e, 80, &ip), 2);
    assert_int_equal(world_endpoints_find(e, 79, &ip), 0);
    world_unref(w);
}

static void names_pods(void **state)
{
    static const struct {
        const char *pod, *want;
    } rows[] = {
        {"reviews-v1-5b5d96c4b9-xk2dz", "reviews-v1"},
        {"a-7dbcdc-vwxz2", "a"},
        {"db-0", "db-0"},
        {"reviews-v1-5b5d96c4b9-xk2d", "reviews-v1-5b5d96c4b9-xk2d"},
        {"my-nice-house", "my-nice-house"},
        {"", ""},
        {"-", "-"},
        {"x-y", "x-y"},
        {"xk2dz", "xk2dz"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_span(workload_of_pod(span_of(rows[i].pod)), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes),
        cmocka_unit_test(tells_all),
        cmocka_unit_test(names_pods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

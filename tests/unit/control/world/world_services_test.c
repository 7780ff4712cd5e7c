/* control/world/world_services: Services and ServiceEntries in one form, their addresses, the mesh's settings. */
#include "control/world/world_services.c"

#include "unit/control/world/world_test.h"

static void settings(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of("");
    const struct world_mesh *m = &w->config->mesh;
    assert_span(m->trust_domain, "cluster.local");
    assert_span(m->root_namespace, "istio-system");
    assert_span(m->cluster_id, "mesh");
    assert_true(m->allow_any && m->auto_mtls);
    assert_int_equal(m->connect_timeout_ms, 10000);
    assert_int_equal(m->retry->attempts, 2);
    assert_int_equal(m->retry->codes[0], 503);
    world_unref(w);

    struct world_builder *b = world_builder_new();
    struct world_change change;
    world_builder_set_defaults(b, SPAN("td.example"), SPAN("edge"));
    world_test_read(
        b, MESH_CONFIG("rootNamespace: root, outboundTrafficPolicy: {mode: REGISTRY_ONLY}, "
                       "enableAutoMtls: false, accessLogFile: /dev/stdout, connectTimeout: 3s, "
                       "meshRanges: [10.0.0.0/8], "
                       "defaultHttpRetryPolicy: {attempts: 5, retryOn: \"502,gateway-error\"}"));
    w = world_build(b, &change);
    m = &w->config->mesh;
    assert_span(m->trust_domain, "td.example");
    assert_span(m->cluster_id, "edge");
    assert_span(m->root_namespace, "root");
    assert_span(m->access_log_file, "/dev/stdout");
    assert_false(m->allow_any || m->auto_mtls);
    assert_int_equal(m->connect_timeout_ms, 3000);
    assert_int_equal(m->mesh_range_count, 2); /* and what world_vips gives */
    assert_int_equal(m->retry->attempts, 5);
    assert_span(m->retry->on, "gateway-error,retriable-status-codes");
    assert_int_equal(m->retry->code_count, 1);
    assert_int_equal(m->retry->codes[0], 502);
    world_unref(w);
    world_builder_free(b);
}

static void lowers_services(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        SERVICE("a", "n",
                "clusterIPs: [10.0.0.1, \"fd00::1\"], selector: {app: a}, ports: ["
                "{port: 80, name: http-web, targetPort: 8080}, "
                "{port: 81, name: x, appProtocol: grpc, targetPort: named}, "
                "{port: 3306, name: q}, {port: 53, name: z, protocol: UDP}, {port: 99, name: w}]")
            SERVICE("ext", "n",
                    "type: ExternalName, externalName: db.example.com, ports: [{port: 1}]")
                SERVICE("hl", "n",
                        "clusterIP: None, ports: [{port: 1}], publishNotReadyAddresses: true"));
    const struct world_service *s = world_test_service(w, "a", "n");
    static const enum port_protocol want[] = {PROTOCOL_HTTP, PROTOCOL_GRPC, PROTOCOL_TCP,
                                              PROTOCOL_UDP, PROTOCOL_AUTO};
    assert_int_equal(s->port_count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(s->ports[i].protocol, want[i]);
    }
    assert_int_equal(s->ports[0].target, 8080);
    assert_span(s->ports[1].target_name, "named");
    assert_int_equal(s->address_count, 2);
    assert_false(s->address_given_by_us || s->external || s->headless);
    assert_int_equal(s->resolution, WORLD_EDS);
    assert_ptr_equal(world_port_of(s, 81), &s->ports[1]);
    assert_null(world_port_of(s, 82));

    s = world_test_service(w, "ext", "n");
    assert_int_equal(s->resolution, WORLD_DNS);
    assert_int_equal(w->endpoints[s->index]->count, 1);
    assert_span(w->endpoints[s->index]->items[0].hostname, "db.example.com");
    s = world_test_service(w, "hl", "n");
    assert_int_equal(s->resolution, WORLD_PASSTHROUGH);
    assert_true(s->headless && s->publish_not_ready);
    assert_int_equal(s->address_count, 0);
    world_unref(w);
}

static void gives_addresses(void **state)
{
    static const struct {
        const char *object;
        const char *host;
        bool given;
        size_t count;
    } rows[] = {
        {SERVICE("a", "n", "ports: [{port: 1}]"), "a", true, 1},
        {SERVICE("a", "n", "clusterIP: 10.0.0.1, ports: [{port: 1}]"), "a", false, 1},
        {SERVICE("a", "n", "clusterIP: None, ports: [{port: 1}]"), "a", false, 0},
        {SERVICE_ENTRY("a", "n",
                       "hosts: [a.b], resolution: DNS, ports: "
                       "[{number: 1, name: x, protocol: TCP}]"),
         "a.b", true, 1},
        {SERVICE_ENTRY("a", "n",
                       "hosts: [a.b], resolution: STATIC, ports: "
                       "[{number: 1, name: x, protocol: TCP}], endpoints: [{address: 1.2.3.4}]"),
         "a.b", true, 1},
        {SERVICE_ENTRY("a", "n",
                       "hosts: [a.b], resolution: STATIC, addresses: [1.2.3.0/24], ports: "
                       "[{number: 1, name: x, protocol: TCP}], endpoints: [{address: 1.2.3.4}]"),
         "a.b", false, 0},
        {SERVICE_ENTRY("a", "n",
                       "hosts: [a.b], resolution: NONE, ports: "
                       "[{number: 1, name: x, protocol: HTTP}]"),
         "a.b", false, 0},
        {SERVICE_ENTRY("a", "n",
                       "hosts: [\"*.b\"], resolution: NONE, ports: "
                       "[{number: 1, name: x, protocol: HTTP}]"),
         "x.b", false, 0},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].object);
        const struct world_service *s = world_test_service(w, rows[i].host, "n");
        assert_int_equal(s->address_given_by_us, rows[i].given);
        assert_int_equal(s->address_count, rows[i].count);
        if (rows[i].given) {
            assert_ptr_equal(world_service_at(w, &s->addresses[0], 1, SPAN("n"), NULL), s);
        }
        world_unref(w);
    }
}

static void visibility(void **state)
{
    static const struct {
        const char *export_to, *namespace;
        bool visible;
    } rows[] = {
        {"[\"*\"]", "x", true},    {"[\".\"]", "x", false}, {"[\".\"]", "n", true},
        {"[x]", "x", true},        {"[x]", "n", false},     {"[x, \".\"]", "n", true},
        {"[x, \"*\"]", "y", true}, {"[]", "x", true},       {"[\"~\"]", "n", false},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       SERVICE_ENTRY("a", "n",
                                     "hosts: [a.b], resolution: DNS, exportTo: %s, "
                                     "ports: [{number: 1, name: x, protocol: TCP}]"),
                       rows[i].export_to);
        struct world *w = world_test_of(text);
        const struct world_service *s = world_find_host(w, SPAN("a.b"), span_of(rows[i].namespace));
        assert_int_equal(s != NULL, rows[i].visible);
        world_unref(w);
    }
    struct world *w = world_test_of(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: \"n\", annotations: "
        "{networking.istio.io/exportTo: \"., x\"}}\nspec: {ports: [{port: 1}]}\n");
    assert_non_null(world_find_host(w, SPAN("a.n"), SPAN("x")));
    assert_non_null(world_find_host(w, SPAN("a.n"), SPAN("n")));
    assert_null(world_find_host(w, SPAN("a.n"), SPAN("y")));
    world_unref(w);
}

static void doubles(void **state)
{
    UNUSED(state);
    struct world *w =
        world_test_of(SERVICE_ENTRY("first", "n",
                                    "hosts: [a.n.svc.cluster.local, b.c], resolution: DNS, ports: "
                                    "[{number: 1, name: x, protocol: TCP}]")
                          SERVICE_ENTRY("second", "n",
                                        "hosts: [B.C], resolution: DNS, ports: "
                                        "[{number: 2, name: x, protocol: TCP}]")
                              SERVICE("a", "n", "ports: [{port: 80}]"));
    assert_int_equal(w->config->service_count, 2);
    assert_int_equal(world_test_service(w, "a", "n")->object->kind, OBJECT_SERVICE);
    assert_span(world_test_service(w, "b.c", "n")->object->name, "first"); /* same age: by name */
    for (unsigned i = 0; i < w->config->service_count; i++) {
        assert_int_equal(w->config->services[i]->index, i);
    }
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),        cmocka_unit_test(lowers_services),
        cmocka_unit_test(gives_addresses), cmocka_unit_test(visibility),
        cmocka_unit_test(doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

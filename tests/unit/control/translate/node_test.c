/* control/translate/node: the Node of a stream as proxies send it. */
#include "control/translate/node.c"

#include "codec/doc.h"
#include "codec/pb_json.h"
#include "proto/types.pb.h"
#include "unit/cm.h"

static int read_yaml(struct node *n, struct arena *arena, const char *yaml, struct err *err)
{
    struct doc_node *doc = NULL;
    assert_int_equal(doc_parse_yaml(arena, span_of(yaml), "t", &doc, err), 0);
    const struct pb_core_Node *message =
        pb_json_read(&proto_types, &pb_core_Node_desc, arena, doc, err);
    assert_non_null(message);
    return node_read(n, message, err);
}

static void extensions_of_envoys(void **state)
{
    (void)state;
    static const struct row {
        const char *list;
        bool no_alpn_filter;
    } rows[] = {
        {"[]", false},
        {"[{name: envoy.filters.http.router}]", true},
        {"[{name: envoy.filters.http.router}, {name: istio.alpn}]", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct node n;
        struct err err = {0};
        arena_init(&arena, 1024);
        const char *yaml =
            arena_printf(&arena, "{id: 'sidecar~10.0.0.5~a.b~b.svc.cluster.local', extensions: %s}",
                         rows[i].list);
        assert_int_equal(read_yaml(&n, &arena, yaml, &err), 0);
        assert_int_equal(n.no_alpn_filter, rows[i].no_alpn_filter);
        node_dispose(&n);
        arena_dispose(&arena);
    }
}

static void reads_all_of_it(void **state)
{
    (void)state;
    struct arena arena;
    struct node n;
    struct err err = {0};
    arena_init(&arena, 4096);
    int rc = read_yaml(
        &n, &arena,
        "{id: 'sidecar~10.0.0.5~reviews-v1.default~default.svc.cluster.local',"
        " locality: {region: r, zone: z, sub_zone: s}, user_agent_version: '1.2',"
        " metadata: {NAME: reviews-v1, NAMESPACE: shop, SERVICE_ACCOUNT: sa, WORKLOAD_NAME: wl,"
        " CLUSTER_ID: c1, NETWORK: n1, LABELS: {app: reviews, version: v1},"
        " INTERCEPTION_MODE: NONE, INSTANCE_IPS: '10.0.0.5,fd00::5', HTTP_PROXY_PORT: 15007,"
        " DNS_CAPTURE: true, ISTIO_VERSION: '1.30', MESH_DISCOVERY: on-demand,"
        " MESH_APP_ADDRESS: 127.66.1.5, MESH_ADMIN: 'unix:/x'}}",
        &err);
    assert_int_equal(rc, 0);
    assert_int_equal(n.kind, NODE_SIDECAR);
    assert_int_equal(n.interception, NODE_NONE);
    assert_int_equal(n.address_count, 2);
    assert_int_equal(n.addresses[1].family, 6);
    assert_span(n.name, "reviews-v1");
    assert_span(n.namespace, "shop");
    assert_span(n.service_account, "sa");
    assert_span(n.workload, "wl");
    assert_span(n.cluster_id, "c1");
    assert_span(n.network, "n1");
    assert_span(n.version, "1.30");
    assert_span(n.admin, "unix:/x");
    assert_span(n.sub_zone, "s");
    assert_int_equal(n.label_count, 2);
    assert_span(selector_label(n.labels, n.label_count, SPAN("version")), "v1");
    assert_int_equal(n.http_proxy_port, 15007);
    assert_int_equal(n.app_address.family, 4);
    assert_true(n.dns && n.on_demand);
    struct world_config config = {.mesh = {.trust_domain = SPAN("td")}};
    struct world w = {.config = &config};
    assert_span(node_identity(&n, &w, &arena), "spiffe://td/ns/shop/sa/sa");
    node_dispose(&n);
    arena_dispose(&arena);
}

static void little_is_enough(void **state)
{
    (void)state;
    struct arena arena;
    struct node n;
    struct err err = {0};
    arena_init(&arena, 4096);
    assert_int_equal(
        read_yaml(&n, &arena, "{id: 'router~::1~gw.edge~edge.svc.cluster.local'}", &err), 0);
    assert_int_equal(n.kind, NODE_GATEWAY);
    assert_int_equal(n.interception, NODE_REDIRECT);
    assert_span(n.name, "gw");
    assert_span(n.namespace, "edge");
    assert_span(n.workload, "gw");
    assert_span(n.service_account, "default");
    assert_false(n.on_demand || n.dns);
    node_dispose(&n);
    arena_dispose(&arena);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *want;
    } cases[] = {
        {"{}", "has not the form"},
        {"{id: 'sidecar~10.0.0.5~a.b'}", "has not the form"},
        {"{id: 'sidecar~10.0.0.5~a.b~c~d'}", "has not the form"},
        {"{id: 'waypoint~10.0.0.5~a.b~c'}", "kind is 'waypoint'"},
        {"{id: 'sidecar~nowhere~a.b~c'}", "'nowhere' is not an address"},
        {"{id: 'sidecar~10.0.0.5~a~c'}", "has no namespace"},
        {"{id: 'sidecar~10.0.0.5~a.b~c', metadata: {INTERCEPTION_MODE: MAGIC}}", "'MAGIC'"},
        {"{id: 'sidecar~10.0.0.5~a.b~c', metadata: {HTTP_PROXY_PORT: '70000'}}", "'70000'"},
        {"{id: 'sidecar~10.0.0.5~a.b~c', metadata: {MESH_APP_ADDRESS: here}}", "'here'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct node n;
        struct err err = {0};
        arena_init(&arena, 4096);
        assert_int_equal(read_yaml(&n, &arena, cases[i].yaml, &err), -ERR_CONFIG);
        if (!strstr(err.text, cases[i].want)) {
            print_error("%s: %s\n", cases[i].yaml, err.text);
            fail();
        }
        arena_dispose(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_of_it),
        cmocka_unit_test(extensions_of_envoys),
        cmocka_unit_test(little_is_enough),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

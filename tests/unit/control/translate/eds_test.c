/* control/translate/eds and who else may share a result: scope, service, mutual TLS by policy. */
#include "control/translate/eds.c"

#include "proto/cluster.pb.h"
#include "unit/cm.h"
#include "unit/control/translate/translate_lab.h"
#include "xds/xds.h"

static const char objects[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: default}\n"
    "spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: tcp, port: 81}], "
    "selector: {app: shop}}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: disk, namespace: default}\n"
    "spec: {clusterIP: None, ports: [{name: tcp, port: 82}], selector: {app: shop}}\n"
    "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
    "metadata: {name: shop-1, namespace: default}\nspec: {address: 10.0.0.1, serviceAccount: shop,"
    " labels: {app: shop, security.istio.io/tlsMode: istio}}\n"
    "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
    "metadata: {name: shop, namespace: default}\nspec: {selector: {matchLabels: {app: shop}}, "
    "portLevelMtls: {81: {mode: DISABLE}}}\n"
    "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
    "metadata: {name: picky, namespace: default}\nspec: {hosts: [picky.example], http: [{match: "
    "[{sourceLabels: {app: shop}}], route: [{destination: {host: shop, port: {number: 80}}}]}, "
    "{route: [{destination: {host: shop, port: {number: 80}}}]}]}\n";

static const struct scope_case {
    const char *type, *name;
    enum translate_scope scope;
    const char *service;
} scopes[] = {
    {XDS_CLUSTER, "outbound|80||shop.default.svc.cluster.local", TRANSLATE_FOR_NAMESPACE, "shop"},
    {XDS_ENDPOINTS, "outbound|80||shop.default.svc.cluster.local", TRANSLATE_FOR_NAMESPACE, "shop"},
    {XDS_CLUSTER, "outbound|82||disk.default.svc.cluster.local", TRANSLATE_FOR_NODE, "disk"},
    {XDS_CLUSTER, "inbound|80||", TRANSLATE_FOR_NODE, NULL},
    {XDS_CLUSTER, "PassthroughCluster", TRANSLATE_FOR_NAMESPACE, NULL},
    {XDS_VIRTUAL_HOST, "80/shop", TRANSLATE_FOR_NAMESPACE, NULL},
    {XDS_VIRTUAL_HOST, "80/picky.example", TRANSLATE_FOR_NODE, NULL},
    {XDS_LISTENER, "10.96.0.1:80", TRANSLATE_FOR_NAMESPACE, NULL},
    {XDS_LISTENER, "virtualInbound", TRANSLATE_FOR_NODE, NULL},
    {NAME_TABLE_TYPE, "shop", TRANSLATE_FOR_NAMESPACE, "shop"},
};

static void says_who_may_share(void **state)
{
    struct lab *l = *state;
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        const struct scope_case *c = &scopes[i];
        struct translated t;
        assert_true(translate(l->w, &l->n, span_of(c->type), span_of(c->name), &l->arena, &t));
        if (t.scope != c->scope || (t.service != NULL) != (c->service != NULL) ||
            (c->service && !span_is(t.service->name, c->service))) {
            print_error("%s: scope %d\n", c->name, (int)t.scope);
            fail();
        }
    }
}

static void finds_services_by_name(void **state)
{
    struct lab *l = *state;
    static const struct {
        const char *name;
        bool found;
    } names[] = {
        {"outbound|80||shop.default.svc.cluster.local", true},
        {"outbound|80|v1|shop.default.svc.cluster.local", true},
        {"outbound|80||nobody.default.svc.cluster.local", false},
        {"outbound|80||shop", false},
        {"inbound|80||", false},
        {"outbound|x||shop.default.svc.cluster.local", false},
        {"outbound|80|shop.default.svc.cluster.local", false},
        {"outbound", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(translate_service_of(l->w, span_of(names[i].name)) != NULL,
                         names[i].found);
    }
}

static bool is_mutual(struct lab *l, const char *name)
{
    struct translated t;
    struct err err = {0};
    assert_true(translate(l->w, &l->n, SPAN(XDS_ENDPOINTS), span_of(name), &l->arena, &t));
    const struct pb_endpoint_ClusterLoadAssignment *a =
        pb_decode(&pb_endpoint_ClusterLoadAssignment_desc, &l->arena, t.value, &err);
    assert_non_null(a);
    assert_int_equal(a->endpoints.count, 1);
    assert_int_equal(a->endpoints.at[0]->lb_endpoints.count, 1);
    const struct pb_core_Metadata *m = a->endpoints.at[0]->lb_endpoints.at[0]->metadata;
    for (uint32_t i = 0; m && i < m->filter_metadata.count; i++) {
        if (span_is(m->filter_metadata.at[i]->key, "envoy.transport_socket_match")) {
            return true;
        }
    }
    return false;
}

static void a_port_without_mutual_tls_gets_none(void **state)
{
    struct lab *l = *state;
    assert_true(is_mutual(l, "outbound|80||shop.default.svc.cluster.local"));
    assert_false(is_mutual(l, "outbound|81||shop.default.svc.cluster.local"));
}

static void unknown_types_and_names_are_not_there(void **state)
{
    struct lab *l = *state;
    static const char *const asks[][2] = {
        {XDS_SECRET, "default"},
        {"", ""},
        {XDS_LISTENER, ""},
        {XDS_LISTENER, "10.96.0.1:0"},
        {XDS_LISTENER, "10.96.0.1:99999"},
        {XDS_LISTENER, "10.96.0.1"},
        {XDS_LISTENER, "::1:80"},
        {XDS_LISTENER, "[::1]"},
        {XDS_LISTENER, "127.0.0.1_80"},
        {XDS_CLUSTER, "outbound|80|v1|shop.default.svc.cluster.local"},
        {XDS_CLUSTER, "inbound|9||"},
        {XDS_VIRTUAL_HOST, "80"},
        {XDS_VIRTUAL_HOST, "80/"},
        {XDS_VIRTUAL_HOST, "80/shop:81"},
        {XDS_VIRTUAL_HOST, "81/shop"},
        {XDS_VIRTUAL_HOST, "99999/shop"},
        {XDS_VIRTUAL_HOST, "http_proxy/shop:x"},
        {XDS_ROUTES, "shop:80"},
        {XDS_ROUTES, "shop.default.svc.cluster.local:81"},
        {NAME_TABLE_TYPE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        struct translated t;
        if (translate(l->w, &l->n, span_of(asks[i][0]), span_of(asks[i][1]), &l->arena, &t)) {
            print_error("%s %s is there\n", asks[i][0], asks[i][1]);
            fail();
        }
    }
}

static void hints_are_told(void **state)
{
    struct lab *l = *state;
    struct translated t;
    static const struct span known[] = {SPAN_INIT("80/shop")};
    l->n.known = known;
    l->n.known_count = 1;
    assert_true(translate(l->w, &l->n, SPAN(XDS_LISTENER), SPAN("virtualOutbound"), &l->arena, &t));
    l->n.known_count = 0;
    assert_true(span_find(t.value, SPAN("mesh.discovery")) >= 0);
    assert_true(span_find(t.value, SPAN("80/shop")) >= 0);
}

static int begin(void **state)
{
    struct lab *l = mem_new(struct lab);
    struct err err = {0};
    struct doc_node *doc = NULL;
    lab_begin(l);
    lab_world(l, span_of(objects), "t.yaml");
    assert_int_equal(doc_parse_yaml(&l->arena,
                                    SPAN("{id: sidecar~10.0.0.1~shop-1.default~default.svc, "
                                         "metadata: {MESH_DISCOVERY: on-demand}}"),
                                    "t", &doc, &err),
                     0);
    lab_node(l, doc);
    *state = l;
    return 0;
}

static int end(void **state)
{
    struct lab *l = *state;
    lab_end(l);
    mem_free(l);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_who_may_share),
        cmocka_unit_test(finds_services_by_name),
        cmocka_unit_test(a_port_without_mutual_tls_gets_none),
        cmocka_unit_test(unknown_types_and_names_are_not_there),
        cmocka_unit_test(hints_are_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

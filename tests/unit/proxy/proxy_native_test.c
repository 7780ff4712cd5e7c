/* proxy/proxy_native: options become the bootstrap that a file would have said. (Over a real start: tests/e2e/test_ca_proxy.py.) */
#include "proxy/proxy_native.c"

#include <stdlib.h>
#include <unistd.h>

#include "unit/cm.h"

#include "proto/bootstrap.pb.h"

static struct err err;

static struct proxy_options usual(void)
{
    return (struct proxy_options){
        .control = "10.0.0.1:15012",
        .trust_domain = "cluster.local",
        .ns = "shop",
        .service_account = "web",
        .name = "web-1",
        .address = "10.0.0.7",
        .admin = "127.0.0.1:15000",
        .cluster_id = "Kubernetes",
        .interception = PROXY_INTERCEPT_REDIRECT,
    };
}

static struct span text_of(const struct bootstrap *b, const char *key)
{
    const struct pb_protobuf_Struct *s = b->message->node->metadata;
    for (uint32_t i = 0; i < s->fields.count; i++) {
        if (span_is(s->fields.at[i]->key, key)) {
            return s->fields.at[i]->value->string_value;
        }
    }
    return SPAN_EMPTY;
}

static struct span label_of(const struct bootstrap *b, const char *key)
{
    const struct pb_protobuf_Struct *s = b->message->node->metadata;
    for (uint32_t i = 0; i < s->fields.count; i++) {
        const struct pb_protobuf_Struct *labels = s->fields.at[i]->value->struct_value;
        for (uint32_t j = 0; span_is(s->fields.at[i]->key, "LABELS") && j < labels->fields.count;
             j++) {
            if (span_is(labels->fields.at[j]->key, key)) {
                return labels->fields.at[j]->value->string_value;
            }
        }
    }
    return SPAN_EMPTY;
}

static void test_in_a_pod(void **state)
{
    (void)state;
    static const char *labels[] = {"version=v2"};
    char path[] = "/tmp/mesh-labels-XXXXXX";
    struct proxy_options set = usual();
    struct bootstrap b;
    int fd = mkstemp(path);
    static const char text[] = "app=\"web\"\nversion=\"v1\"\n";
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    set.labels_file = path;
    set.labels = (struct opt_list){.items = labels, .count = 1};
    set.instance_ips = "10.0.0.7,fd00::7";
    assert_int_equal(proxy_native_bootstrap(&b, &set, &err), 0);
    assert_span(label_of(&b, "app"), "web");
    assert_span(label_of(&b, "version"), "v2");
    assert_span(b.self.app, "web");
    assert_span(text_of(&b, "INSTANCE_IPS"), "10.0.0.7,fd00::7");
    bootstrap_dispose(&b);
    assert_int_equal(write(fd, "oops\n", 5), 5);
    assert_int_equal(proxy_native_bootstrap(&b, &set, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "--labels-file"));
    assert_non_null(strstr(err.text, "'oops'"));
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_true(proxy_native_bootstrap(&b, &set, &err) < 0);
}

static void test_sidecar(void **state)
{
    (void)state;
    static const char *labels[] = {"app=web,version=v1", " tier = front "};
    struct proxy_options set = usual();
    struct bootstrap b;
    set.labels = (struct opt_list){.items = labels, .count = 2};
    set.http_proxy_port = 15007;
    set.app_address = "127.0.0.9";
    set.dns_capture = true;
    if (proxy_native_bootstrap(&b, &set, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_span(b.node_id, "sidecar~10.0.0.7~web-1.shop~shop.svc.cluster.local");
    assert_span(b.node_cluster, "web-1.shop");
    assert_span(b.self.workload, "web-1");
    assert_span(b.self.workload_namespace, "shop");
    assert_span(b.self.principal, "spiffe://cluster.local/ns/shop/sa/web");
    assert_span(b.self.app, "web");
    assert_span(b.self.version, "v1");
    static const char *const want[][2] = {
        {"NAME", "web-1"},
        {"NAMESPACE", "shop"},
        {"SERVICE_ACCOUNT", "web"},
        {"CLUSTER_ID", "Kubernetes"},
        {"MESH_ID", "cluster.local"},
        {"INSTANCE_IPS", "10.0.0.7"},
        {"INTERCEPTION_MODE", "REDIRECT"},
        {"DNS_CAPTURE", "true"},
        {"HTTP_PROXY_PORT", "15007"},
        {"MESH_APP_ADDRESS", "127.0.0.9"},
        {"MESH_ADMIN", "127.0.0.1:15000"},
        {"MESH_DISCOVERY", "on-demand"},
        {"MESH_REPORT", "otlp"},
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_span(text_of(&b, want[i][0]), want[i][1]);
    }
    assert_true(b.has_admin && b.admin.kind == ADDR_IP && b.admin.port == 15000);
    assert_true(b.has_ads && b.ads_delta && b.on_demand);
    assert_span(b.ads_cluster, "xds-grpc");
    assert_int_equal(b.lds.origin, BOOTSTRAP_ADS);
    assert_int_equal(b.cds.origin, BOOTSTRAP_ADS);
    assert_int_equal(b.cluster_count, 1);
    assert_int_equal(b.secret_count, 0);
    bootstrap_dispose(&b);
}

static void test_gateway(void **state)
{
    (void)state;
    struct proxy_options set = usual();
    struct bootstrap b;
    set.type = PROXY_GATEWAY;
    set.workload = "ingress";
    set.control = "control.example:15012";
    set.admin = "unix:/run/x.sock";
    set.learning = PROXY_LEARN_FULL;
    set.mesh_id = "prod";
    set.address = "fd00::7";
    assert_int_equal(proxy_native_bootstrap(&b, &set, &err), 0);
    assert_span(b.node_id, "router~fd00::7~web-1.shop~shop.svc.cluster.local");
    assert_span(b.node_cluster, "ingress.shop");
    assert_span(text_of(&b, "MESH_ID"), "prod");
    assert_span(text_of(&b, "HTTP_PROXY_PORT"), "");
    assert_true(b.admin.kind == ADDR_UNIX && !b.on_demand);
    const struct pb_cluster_Cluster *c = b.message->static_resources->clusters.at[0];
    assert_int_equal(c->type, PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STRICT_DNS);
    bootstrap_dispose(&b);
    set.admin = "off";
    assert_int_equal(proxy_native_bootstrap(&b, &set, &err), 0);
    assert_false(b.has_admin);
    bootstrap_dispose(&b);
}

/* Texts that would break out of a template do not break out of this one. */
static void test_odd_texts(void **state)
{
    (void)state;
    static const char *labels[] = {"a\"b=c\\d: {x}"};
    struct proxy_options set = usual();
    struct bootstrap b;
    set.labels = (struct opt_list){.items = labels, .count = 1};
    set.name = "web\"\n- x: y";
    assert_int_equal(proxy_native_bootstrap(&b, &set, &err), 0);
    assert_span(text_of(&b, "NAME"), "web\"\n- x: y");
    bootstrap_dispose(&b);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *labels[] = {"novalue"};
    struct proxy_options set;
    struct bootstrap b;
#define REFUSED(change, word)                                                  \
    do {                                                                       \
        set = usual();                                                         \
        change;                                                                \
        assert_int_equal(proxy_native_bootstrap(&b, &set, &err), -ERR_CONFIG); \
        assert_non_null(strstr(err.text, word));                               \
    } while (0)
    REFUSED(set.name = NULL, "--name");
    REFUSED(set.name = "", "--name");
    REFUSED(set.name = "a~b", "--name");
    REFUSED(set.address = NULL, "--address");
    REFUSED(set.address = "web", "--address");
    REFUSED(set.app_address = "web", "--app-address");
    REFUSED(set.control = "10.0.0.1", "--control");
    REFUSED(set.control = ":1", "--control");
    REFUSED(set.admin = "nonsense", "--admin");
    REFUSED((set.labels = (struct opt_list){.items = labels, .count = 1}), "--labels");
#undef REFUSED
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_a_pod), cmocka_unit_test(test_sidecar),
        cmocka_unit_test(test_gateway),  cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

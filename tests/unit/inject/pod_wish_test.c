/* inject/pod_wish: each annotation, good and bad, under both names; ProxyConfig; and the settings, which have the same checks. */
#include "inject/pod_wish.c"

#include "unit/cm.h"

static struct arena arena;
static struct inject_settings settings;

static struct doc_node *yaml(const char *text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    assert_int_equal(doc_parse_yaml(&arena, span_of(text), "x.yaml", &node, &err), 0);
    return node;
}

static int read_one(const char *name, const char *value, struct pod_wish *w,
                    struct inject_answer *a)
{
    struct doc_node *pod = yaml("{metadata: {annotations: {}}, spec: {}}");
    const struct inject_subject s = {.pod = pod};
    doc_set_text(&arena, doc_path(pod, "metadata.annotations"), name, span_of(value));
    *a = (struct inject_answer){.outcome = INJECT_YES};
    return pod_wish_read(w, &s, &settings, &arena, a);
}

static void takes(void **state)
{
    static const char *const good[][2] = {
        {"sidecar.istio.io/proxyCPU", "100m"},
        {"sidecar.istio.io/proxyCPU", "0.5"},
        {"sidecar.istio.io/proxyMemory", "64Mi"},
        {"sidecar.istio.io/proxyMemoryLimit", "1G"},
        {"sidecar.istio.io/interceptionMode", "redirect"},
        {"sidecar.istio.io/logLevel", "xds:debug,warning"},
        {"sidecar.istio.io/nativeSidecar", "False"},
        {"sidecar.istio.io/userVolume", "{}"},
        {"traffic.sidecar.istio.io/includeInboundPorts", " * "},
        {"traffic.sidecar.istio.io/includeInboundPorts", ""},
        {"traffic.sidecar.istio.io/includeInboundPorts", "80, 443,"},
        {"traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.1/32,fd00::/8"},
        {"traffic.sidecar.istio.io/excludeInterfaces", "eth0"},
        {"proxy.istio.io/config", ""},
        {"proxy.istio.io/config", "{}"},
        {"proxy.istio.io/config", "concurrency: 0"},
        {"inject.istio.io/templates", "sidecar, gateway"},
        {"mesh.io/terminationDrainDuration", "1m30s"},
        {"mesh.io/concurrency", "256"},
        {"status.sidecar.istio.io/port", "0"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct pod_wish w;
        struct inject_answer a;
        if (read_one(good[i][0], good[i][1], &w, &a) != 0 || a.notes) {
            print_error("%s=%s: %s\n", good[i][0], good[i][1], a.why ? a.why : a.notes->text);
            fail();
        }
    }
}

static void refuses(void **state)
{
    static const char *const bad[][3] = {
        {"sidecar.istio.io/proxyCPU", "much", "proxyCPU is 'much'; want a quantity"},
        {"sidecar.istio.io/proxyCPU", "", "want a quantity"},
        {"sidecar.istio.io/proxyCPU", "m", "want a quantity"},
        {"sidecar.istio.io/proxyCPU", "1.2.3", "want a quantity"},
        {"sidecar.istio.io/proxyCPU", "-1", "want a quantity"},
        {"sidecar.istio.io/proxyMemory", "64MB", "want a quantity"},
        {"mesh.io/proxyMemory", "x", "annotation mesh.io/proxyMemory is 'x'"},
        {"sidecar.istio.io/proxyImage", "", "the name of an image"},
        {"sidecar.istio.io/proxyImage", "a b", "the name of an image"},
        {"sidecar.istio.io/interceptionMode", "MAYBE", "want REDIRECT, TPROXY or NONE"},
        {"sidecar.istio.io/logLevel", "loud", "want error, warn, info or debug"},
        {"sidecar.istio.io/logLevel", "X:debug", "want error"},
        {"sidecar.istio.io/logLevel", "", "want error"},
        {"sidecar.istio.io/nativeSidecar", "yes", "want true or false"},
        {"sidecar.istio.io/userVolume", "[", "want a JSON map"},
        {"sidecar.istio.io/userVolume", "{\"a\":1}", "want a JSON map of maps"},
        {"traffic.sidecar.istio.io/includeInboundPorts", "*,80", "want *, nothing, or ports"},
        {"traffic.sidecar.istio.io/excludeInboundPorts", "*", "want ports"},
        {"traffic.sidecar.istio.io/excludeInboundPorts", "0", "want ports"},
        {"traffic.sidecar.istio.io/excludeInboundPorts", "65536", "want ports"},
        {"traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.0/33", "want ranges"},
        {"traffic.sidecar.istio.io/includeOutboundIPRanges", "example.com", "want *, nothing"},
        {"traffic.sidecar.istio.io/excludeInterfaces", "sixteencharacters", "names of interfaces"},
        {"proxy.istio.io/config", "concurrency: many", "config: concurrency is 'many'"},
        {"proxy.istio.io/config", "concurrency: 257", "want 0 (by CPU quota) to 256"},
        {"proxy.istio.io/config", "[1]", "a ProxyConfig in YAML"},
        {"proxy.istio.io/config", "a: [", "a ProxyConfig in YAML: config:2"},
        {"proxy.istio.io/config", "terminationDrainDuration: soon", "want a length of time"},
        {"proxy.istio.io/config", "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 2}", "true or false"},
        {"inject.istio.io/templates", "gatewy", "did you mean 'gateway'?"},
        {"inject.istio.io/templates", "grpc-agent", "want sidecar, gateway"},
        {"prometheus.istio.io/merge-metrics", "0", "want true or false"},
        {"status.sidecar.istio.io/port", "65536", "want a whole number"},
        {"mesh.io/terminationDrainDuration", "25h", "at most 24h"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pod_wish w;
        struct inject_answer a;
        int code = read_one(bad[i][0], bad[i][1], &w, &a);
        if (code != -ERR_CONFIG || a.outcome != INJECT_REFUSE || !strstr(a.why, bad[i][2]) ||
            !a.fix) {
            print_error("%s=%s: %d %s\n", bad[i][0], bad[i][1], code, a.why ? a.why : "taken");
            fail();
        }
    }
}

static void long_values_are_cut(void **state)
{
    char text[3000];
    struct pod_wish w;
    struct inject_answer a;
    UNUSED(state);
    memset(text, '9', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(read_one("sidecar.istio.io/nativeSidecar", text, &w, &a), -ERR_CONFIG);
    assert_true(strlen(a.why) < 200 && strstr(a.why, "999...'"));
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        text[i] = i % 2 ? ',' : '8';
    }
    assert_int_equal(read_one("mesh.io/excludeInboundPorts", text, &w, &a), -ERR_CONFIG);
    assert_non_null(strstr(a.why, "at most 256"));
}

static void notes(void **state)
{
    static const char *const said[][3] = {
        {"sidecar.istio.io/proxyImage", "istio/proxyv2:1.27", "it names Istio's proxy"},
        {"sidecar.istio.io/interceptionMode", "TPROXY", "REDIRECT is used instead"},
        {"sidecar.istio.io/agentLogLevel", "x", "has no effect"},
        {"mesh.io/exludeInboundPorts", "80", "did you mean mesh.io/excludeInboundPorts?"},
        {"sidecar.istio.io/proxyCpus", "80", "did you mean sidecar.istio.io/proxyCPU?"},
        {"proxy.istio.io/config", "meshId: x", "config: meshId has no effect"},
    };
    static const char *const silent[] = {"sidecar.istio.io/inject", "mesh.io/inject",
                                         "sidecar.istio.io/status", "mesh.io/of-others",
                                         "example.com/x"};
    struct pod_wish w;
    struct inject_answer a;
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        assert_int_equal(read_one(said[i][0], said[i][1], &w, &a), 0);
        if (!a.notes || a.notes->code != 1219 || !strstr(a.notes->text, said[i][2])) {
            print_error("%s: %s\n", said[i][0], a.notes ? a.notes->text : "silent");
            fail();
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        assert_int_equal(read_one(silent[i], "x", &w, &a), 0);
        assert_null(a.notes);
    }
}

static void values(void **state)
{
    struct pod_wish w;
    struct inject_answer a;
    UNUSED(state);
    assert_int_equal(read_one("mesh.io/terminationDrainDuration", "1500ms", &w, &a), 0);
    assert_int_equal(w.drain_s, 2);
    assert_int_equal(w.concurrency, 2);
    assert_int_equal(read_one("inject.istio.io/templates", "gateway", &w, &a), 0);
    assert_true(w.gateway && w.concurrency == 0 && w.resources == settings.gateway_resources);
    assert_int_equal(read_one("sidecar.istio.io/logLevel", "warning,xds:trace", &w, &a), 0);
    assert_span(w.log_level, "warn,xds:debug");
    assert_int_equal(
        read_one("proxy.istio.io/config", "proxyMetadata: {ISTIO_META_DNS_CAPTURE: false}", &w, &a),
        0);
    assert_false(w.dns_capture);
    assert_int_equal(read_one("sidecar.istio.io/proxyCPULimit", "3", &w, &a), 0);
    assert_true(doc_eq(w.resources, yaml("{limits: {cpu: '3'}}")));
}

static void reads_settings(void **state)
{
    static const char *const bad[][2] = {
        {"[]", "want a map"},
        {"imag: x", "did you mean 'image'?"},
        {"native: maybe", "native"},
        {"concurrency: 257", "concurrency"},
        {"logLevel: loud", "want error, warn"},
        {"excludeInboundPorts: x", "want ports"},
        {"resources: [1]", "resources"},
        {"image: ''", "the name of an image"},
    };
    struct err err = {.code = 0};
    struct inject_settings s, again;
    UNUSED(state);
    inject_settings_init(&s, &arena);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        again = s;
        int code = inject_settings_read(&s, yaml(bad[i][0]), &arena, &err);
        if (code != -ERR_CONFIG || !strstr(err.text, bad[i][1]) ||
            memcmp(&again, &s, sizeof(s)) != 0) {
            print_error("%s: %d %s\n", bad[i][0], code, err.text);
            fail();
        }
    }
    assert_int_equal(inject_settings_read(&s, NULL, &arena, &err), 0);
    assert_int_equal(inject_settings_read(&s,
                                          yaml("{image: r/mesh:1, native: false, interception: "
                                               "tproxy, logLevel: warning, env: [{name: A}]}"),
                                          &arena, &err),
                     0);
    assert_span(s.image, "r/mesh:1");
    assert_span(s.interception, "REDIRECT");
    assert_span(s.log_level, "warn");
    assert_false(s.native);
    inject_settings_init(&again, &arena);
    struct doc_node *doc = inject_settings_doc(&s, &arena);
    assert_int_equal(inject_settings_read(&again, doc, &arena, &err), 0);
    assert_true(doc_eq(doc, inject_settings_doc(&again, &arena)));
    inject_settings_init(&s, &arena);
    inject_settings_for_cluster(&s, 29);
    assert_true(s.native);
    inject_settings_for_cluster(&s, 28);
    assert_false(s.native);
}

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),  cmocka_unit_test(refuses),
        cmocka_unit_test(notes),  cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(values), cmocka_unit_test(reads_settings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

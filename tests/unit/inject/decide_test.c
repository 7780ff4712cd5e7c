/* inject/decide: who is asked first, and what is said. */
#include "inject/decide.c"

#include "unit/cm.h"

static struct arena arena;

static struct doc_node *yaml(const char *text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    assert_int_equal(doc_parse_yaml(&arena, span_of(text), "x.yaml", &node, &err), 0);
    return node;
}

#define LABELS(text) "{metadata: {labels: {" text "}}, spec: {}}"
#define NOTES(text) "{metadata: {annotations: {" text "}}, spec: {}}"
#define POD "{spec: {}}"

static const struct {
    const char *pod, *namespace, *labels; /* of the namespace; NULL = not known, and asked */
    enum inject_outcome outcome;
    unsigned code;
    const char *rule;
} cases[] = {
    /* nobody says anything */
    {POD, "a", "{}", INJECT_SKIP, 1201, ""},
    {POD, "a", NULL, INJECT_YES, 1200, "asked"},
    {"{}", "a", "{}", INJECT_SKIP, 1201, ""},
    /* the namespace */
    {POD, "a", "{mesh-injection: enabled}", INJECT_YES, 1200,
     "namespace label mesh-injection=enabled"},
    {POD, "a", "{mesh-injection: disabled}", INJECT_SKIP, 1202,
     "namespace label mesh-injection=disabled"},
    {POD, "a", "{mesh-injection: Yes please}", INJECT_SKIP, 1209,
     "namespace label mesh-injection=Yes please"},
    {POD, "a", "{istio-injection: enabled}", INJECT_YES, 1200,
     "namespace label istio-injection=enabled"},
    {POD, "a", "{istio-injection: disabled, istio.io/rev: default}", INJECT_SKIP, 1202, NULL},
    {POD, "a", "{istio-injection: enabled, mesh-injection: disabled}", INJECT_SKIP, 1202, NULL},
    {POD, "a", "{istio-injection: disabled, mesh-injection: enabled}", INJECT_YES, 1200, NULL},
    {POD, "a", "{istio.io/rev: default}", INJECT_YES, 1200, "namespace label istio.io/rev=default"},
    {POD, "a", "{istio.io/rev: canary}", INJECT_SKIP, 1203, "namespace label istio.io/rev=canary"},
    /* the pod goes before it */
    {LABELS("sidecar.istio.io/inject: 'true'"), "a", "{}", INJECT_YES, 1200,
     "pod label sidecar.istio.io/inject=true"},
    {LABELS("sidecar.istio.io/inject: 'true'"), "a", "{istio-injection: disabled}", INJECT_YES,
     1200, NULL},
    {LABELS("sidecar.istio.io/inject: 'False'"), "a", "{istio-injection: enabled}", INJECT_SKIP,
     1202, NULL},
    {LABELS("sidecar.istio.io/inject: false"), "a", NULL, INJECT_SKIP, 1202, NULL},
    {LABELS("mesh.io/inject: 'true', sidecar.istio.io/inject: 'false'"), "a", "{}", INJECT_YES,
     1200, NULL},
    {LABELS("mesh.io/inject: 'false', sidecar.istio.io/inject: 'true'"), "a", "{}", INJECT_SKIP,
     1202, NULL},
    {LABELS("sidecar.istio.io/inject: ''"), "a", "{}", INJECT_REFUSE, 1211, NULL},
    {LABELS("mesh.io/inject: on-demand"), "a", "{}", INJECT_REFUSE, 1211,
     "pod label mesh.io/inject=on-demand"},
    {NOTES("sidecar.istio.io/inject: 'false'"), "a", "{istio-injection: enabled}", INJECT_SKIP,
     1202, "pod annotation sidecar.istio.io/inject=false"},
    {"{metadata: {labels: {mesh.io/inject: 'true'}, annotations: {mesh.io/inject: 'false'}}}", "a",
     "{}", INJECT_YES, 1200, NULL},
    {LABELS("istio.io/rev: default"), "a", "{}", INJECT_YES, 1200,
     "pod label istio.io/rev=default"},
    {LABELS("istio.io/rev: canary"), "a", "{istio-injection: enabled}", INJECT_SKIP, 1203, NULL},
    /* never */
    {LABELS("mesh.io/inject: 'true'"), "kube-system", "{}", INJECT_SKIP, 1205,
     "namespace kube-system"},
    {POD, "mesh-system", "{istio-injection: enabled}", INJECT_SKIP, 1205, NULL},
    {POD, "kube-node-lease", NULL, INJECT_SKIP, 1205, NULL},
    {"{metadata: {labels: {mesh.io/inject: 'true'}}, spec: {hostNetwork: true}}", "a", "{}",
     INJECT_SKIP, 1204, "hostNetwork=true"},
    {"{spec: {hostNetwork: false}}", "a", NULL, INJECT_YES, 1200, NULL},
    {"{spec: {os: {name: windows}}}", "a", NULL, INJECT_SKIP, 1208, "os=windows"},
    {"{spec: {os: {name: linux}}}", "a", NULL, INJECT_YES, 1200, NULL},
    /* has one */
    {"{spec: {containers: [{name: mesh-proxy, image: x}]}}", "a", NULL, INJECT_SKIP, 1206, NULL},
    {"{spec: {initContainers: [{name: mesh-proxy}]}}", "a", NULL, INJECT_SKIP, 1206, NULL},
    {"{spec: {containers: [{name: mesh-proxy, image: auto}]}}", "a", NULL, INJECT_YES, 1200, NULL},
    {"{spec: {containers: [{name: istio-proxy, image: auto}]}}", "a", NULL, INJECT_YES, 1200, NULL},
    {"{spec: {containers: [{name: istio-proxy, image: proxyv2}]}}", "a", NULL, INJECT_SKIP, 1207,
     "container istio-proxy"},
    {"{spec: {initContainers: [{name: linkerd-proxy, image: x}]}}", "a", NULL, INJECT_SKIP, 1207,
     "container linkerd-proxy"},
    {"{metadata: {annotations: {sidecar.istio.io/status: '{\"by\":\"mesh\"}'}}, spec: {containers: [{name: istio-proxy, image: mesh}]}}",
     "a", NULL, INJECT_SKIP, 1206, NULL},
    /* a status without the container: somebody took the pod's YAML apart */
    {NOTES("sidecar.istio.io/status: '{\"by\":\"mesh\"}'"), "a", NULL, INJECT_YES, 1200, NULL},
};

static void decides(void **state)
{
    struct inject_settings settings;
    UNUSED(state);
    inject_settings_init(&settings, &arena);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct inject_answer a;
        const struct inject_subject s = {
            .pod = yaml(cases[i].pod),
            .namespace = span_of(cases[i].namespace),
            .namespace_labels = cases[i].labels ? yaml(cases[i].labels) : NULL,
            .asked = cases[i].labels == NULL,
        };
        decide(&s, &settings, &arena, &a);
        if (a.outcome != cases[i].outcome || a.code != cases[i].code || a.why[0] == '\0' ||
            (cases[i].rule && strcmp(a.rule, cases[i].rule) != 0)) {
            print_error("%zu %s: %d %u '%s' (%s)\n", i, cases[i].pod, a.outcome, a.code, a.rule,
                        a.why);
            fail();
        }
        assert_true(a.outcome != INJECT_REFUSE || a.fix);
    }
}

static void settings_decide_last(void **state)
{
    struct inject_settings settings;
    struct inject_answer a;
    UNUSED(state);
    inject_settings_init(&settings, &arena);
    settings.by_default = true;
    settings.revision = SPAN("canary");
    struct inject_subject s = {
        .pod = yaml(POD), .namespace = SPAN("a"), .namespace_labels = yaml("{}")};
    decide(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_YES);
    s.namespace_labels = yaml("{istio-injection: disabled}");
    decide(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_SKIP);
    s.wanted = true;
    decide(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_YES);
    s.wanted = false;
    s.namespace_labels = yaml("{istio.io/rev: canary}");
    decide(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_YES);
    s.namespace_labels = yaml("{istio.io/rev: default}");
    decide(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_SKIP);
    assert_string_equal(a.fix, "set it to canary, or remove it");
}

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
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
        cmocka_unit_test(decides),
        cmocka_unit_test(settings_decide_last),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* What `mesh install --dry-run -o yaml` prints, for each profile, beside tests/golden/install (MESH_GOLDEN=1 writes it anew), and what must hold of all of
 * it. Definitions, which are the same in each, are in crds.yaml. */
#include "cli/install_render.c"

#include <stdio.h>
#include <stdlib.h>

#include "unit/cm.h"

#define GOLDEN "tests/golden/install/"

struct lab {
    struct arena arena;
    struct install_values values;
    struct install_cluster cluster;
    struct install_objects objects;
};

static void lab_render(struct lab *l, const char *const *settings)
{
    struct err err = {.code = 0};
    struct install_values told;
    for (; *settings; settings++) {
        assert_int_equal(install_values_set(&l->values, &l->arena, *settings, &err), 0);
    }
    told = l->values;
    install_values_settle(&l->values);
    int code = install_render(&l->values, &told, &l->cluster, &l->arena, &l->objects, &err);
    if (code != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(code, 0);
}

static void lab_begin(struct lab *l)
{
    *l = (struct lab){.cluster.minor = 34};
    arena_init(&l->arena, 65536);
}

static const struct doc_node *find(const struct lab *l, const char *kind, const char *name)
{
    for (size_t i = 0; i < l->objects.count; i++) {
        const struct doc_node *doc = l->objects.items[i].doc;
        if (span_is(doc_get(doc, "kind")->text, kind) &&
            span_is(doc_path(doc, "metadata.name")->text, name)) {
            return doc;
        }
    }
    return NULL;
}

/* ---- goldens ---- */

static void read_whole(const char *path, struct buf *to)
{
    char part[4096];
    FILE *f = fopen(path, "r");
    for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;) {
        assert_int_equal(buf_append(to, part, n), 0);
    }
    if (f) {
        fclose(f);
    }
}

static void compare(const struct lab *l, const char *path, bool crds)
{
    struct buf got, want;
    buf_init(&got, 1u << 24);
    buf_init(&want, 1u << 24);
    for (size_t i = 0; i < l->objects.count; i++) {
        const struct install_object *o = &l->objects.items[i];
        if ((o->step == INSTALL_STEP_CRDS) == crds) {
            assert_int_equal(buf_len(&got) > 0 ? buf_append_span(&got, SPAN("---\n")) : 0, 0);
            assert_int_equal(doc_write_yaml(o->doc, &got), 0);
        }
    }
    read_whole(path, &want);
    bool same = span_eq(buf_span(&got), buf_span(&want));
    const char *to = getenv("MESH_GOLDEN") ? path : "build/golden-install.yaml";
    if (!same) {
        FILE *f = fopen(to, "w");
        assert_non_null(f);
        fwrite(buf_span(&got).at, 1, buf_len(&got), f);
        fclose(f);
    }
    buf_dispose(&got);
    buf_dispose(&want);
    if (!same && !getenv("MESH_GOLDEN")) {
        print_error("%s is not what came out: diff it with %s, or MESH_GOLDEN=1\n", path, to);
        fail();
    }
}

static void test_goldens(void **state)
{
    UNUSED(state);
    static const char *const profiles[] = {"demo", "default", "minimal", "edge"};
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
        struct lab l;
        lab_begin(&l);
        const char *const settings[] = {"tag=golden",
                                        arena_printf(&l.arena, "profile=%s", profiles[i]), NULL};
        lab_render(&l, settings);
        compare(&l, arena_printf(&l.arena, GOLDEN "%s.yaml", profiles[i]), false);
        if (i == 0) {
            compare(&l, GOLDEN "crds.yaml", true);
        }
        arena_dispose(&l.arena);
    }
}

/* ---- settings ---- */

static struct span text_at(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? n->text : SPAN_EMPTY;
}

static void test_settings(void **state)
{
    UNUSED(state);
    static const char *const settings[] = {"hub=registry.example/team",
                                           "tag=v1",
                                           "pullSecrets=one, two",
                                           "control.replicas=2",
                                           "gateway.replicas=2",
                                           "gateway.type=NodePort",
                                           "gateway.cpu=1",
                                           "trustDomain=one.example",
                                           "meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY",
                                           "meshConfig.enableAutoMtls=false",
                                           "meshConfig.accessLogFormat=a \"b\" %X%",
                                           "injectByDefault=true",
                                           "revision=blue",
                                           NULL};
    struct lab l;
    lab_begin(&l);
    lab_render(&l, settings);
    const struct doc_node *control = find(&l, "Deployment", "mesh-control");
    assert_int_equal(doc_path(control, "spec.replicas")->integer, 2);
    assert_true(span_is(text_at(control, "spec.template.spec.containers.0.image"),
                        "registry.example/team/mesh:v1"));
    assert_true(span_is(text_at(control, "spec.template.spec.imagePullSecrets.1.name"), "two"));
    assert_non_null(doc_path(control, "spec.template.spec.affinity.podAntiAffinity"));
    assert_non_null(find(&l, "PodDisruptionBudget", "mesh-control"));
    assert_non_null(find(&l, "PodDisruptionBudget", "mesh-ingressgateway"));
    const struct doc_node *gateway = find(&l, "Deployment", "mesh-ingressgateway");
    assert_true(
        span_is(text_at(gateway, "spec.template.spec.containers.0.resources.requests.cpu"), "1"));
    assert_true(span_is(text_at(gateway, "spec.template.metadata.labels.istio"), "ingressgateway"));
    assert_true(
        span_is(text_at(find(&l, "Service", "mesh-ingressgateway"), "spec.type"), "NodePort"));
    const struct doc_node *config = find(&l, "MeshConfig", "default");
    assert_true(span_is(text_at(config, "spec.outboundTrafficPolicy.mode"), "REGISTRY_ONLY"));
    assert_true(span_is(text_at(config, "spec.accessLogFormat"), "a \"b\" %X%"));
    assert_true(span_is(text_at(config, "spec.trustDomain"), "one.example"));
    assert_false(doc_path(config, "spec.enableAutoMtls")->boolean);
    assert_null(doc_path(config, "spec.accessLogFile"));
    assert_null(doc_path(config, "spec.defaultConfig"));
    const struct doc_node *hooks =
        doc_get(find(&l, "MutatingWebhookConfiguration", "mesh-injector"), "webhooks");
    assert_int_equal(doc_count(hooks), 6);
    assert_true(span_is(text_at(doc_at(hooks, 2), "namespaceSelector.matchExpressions.3.values.0"),
                        "blue"));
    assert_true(span_is(text_at(doc_at(hooks, 5), "name"), "default.mesh.io"));
    const struct doc_node *record = doc_get(find(&l, "ConfigMap", INSTALL_RECORD), "data");
    assert_int_equal(doc_count(record), ARRAY_LEN(settings) - 1);
    assert_true(span_is(doc_get(record, "values.global.tag")->text, "v1"));
    arena_dispose(&l.arena);
}

static void test_beside_istio(void **state)
{
    UNUSED(state);
    static const char *const settings[] = {NULL};
    struct lab l;
    lab_begin(&l);
    l.cluster.other_istio = l.cluster.other_class = true;
    lab_render(&l, settings);
    const struct doc_node *hooks =
        doc_get(find(&l, "MutatingWebhookConfiguration", "mesh-injector"), "webhooks");
    assert_int_equal(doc_count(hooks), 2);
    assert_true(span_is(text_at(doc_at(hooks, 0), "name"), "namespace.mesh.io"));
    assert_true(span_is(text_at(doc_at(hooks, 1), "name"), "object.mesh.io"));
    assert_non_null(find(&l, "GatewayClass", "mesh"));
    assert_null(find(&l, "GatewayClass", "istio"));
    arena_dispose(&l.arena);
}

/* ---- what holds of everything ---- */

static void check_pod(const struct doc_node *template)
{
    const struct doc_node *spec = doc_get(template, "spec");
    const struct doc_node *pod = doc_get(spec, "securityContext");
    const struct doc_node *containers = doc_get(spec, "containers");
    assert_int_equal(doc_count(containers), 1);
    const struct doc_node *c = doc_at(containers, 0), *own = doc_get(c, "securityContext");
    const struct doc_node *user = doc_get(own, "runAsUser");
    user = user ? user : doc_get(pod, "runAsUser");
    assert_int_equal(user->integer, 1337);
    assert_true(doc_get(own, "readOnlyRootFilesystem")->boolean);
    assert_false(doc_get(own, "allowPrivilegeEscalation")->boolean);
    assert_true(span_is(text_at(own, "capabilities.drop.0"), "ALL"));
    assert_true(text_at(pod, "seccompProfile.type").len + text_at(own, "seccompProfile.type").len >
                0);
    assert_non_null(doc_get(c, "readinessProbe"));
    assert_non_null(doc_path(c, "resources.requests.cpu"));
}

static void test_all_objects(void **state)
{
    UNUSED(state);
    static const char *const settings[] = {"control.replicas=2", NULL};
    struct lab l;
    enum install_step step = INSTALL_STEP_CRDS;
    lab_begin(&l);
    lab_render(&l, settings);
    assert_true(l.objects.count > 25);
    for (size_t i = 0; i < l.objects.count; i++) {
        const struct doc_node *doc = l.objects.items[i].doc;
        struct kube_kind kind;
        assert_true(install_is_ours(doc));
        assert_true(l.objects.items[i].step >= step);
        step = l.objects.items[i].step;
        assert_true(kube_kind_of(&l.arena, doc, &kind));
        assert_int_equal(kind.namespaced, text_at(doc, "metadata.namespace").len > 0);
        if (strcmp(kind.plural, "deployments") == 0) {
            check_pod(doc_path(doc, "spec.template"));
        }
    }
    arena_dispose(&l.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_beside_istio),
        cmocka_unit_test(test_all_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

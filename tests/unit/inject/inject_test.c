/* inject: each case of tests/golden/inject is a workload (pod.yaml), settings and labels of its namespace where they matter (settings.yaml,
 * namespace.yaml), and what comes of it (want.yaml). Each pod that gets a proxy must stay as it is when it is injected again, become what it was when it is
 * undone, and come out of the JSON patch that the webhook would send. `make golden` (MESH_GOLDEN=1) writes want.yaml anew: review the difference. */
#include "inject/inject.c"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/jsonpatch.h"
#include "unit/cm.h"

#define CASES "tests/golden/inject"

static struct span read_file(struct arena *arena, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        return SPAN_EMPTY;
    }
    struct buf all;
    buf_init(&all, 1 << 24);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;) {
        assert_int_equal(buf_append(&all, part, n), 0);
    }
    (void)fclose(f); /* only read */
    struct span text = arena_dup(arena, buf_span(&all));
    buf_dispose(&all);
    return text;
}

static void write_file(const char *path, struct span text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.at, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

static struct doc_node *read_yaml(struct arena *arena, const char *path)
{
    struct doc_node *doc = NULL;
    struct err err = {.code = 0};
    struct span text = read_file(arena, path);
    if (text.at && doc_parse_yaml(arena, text, path, &doc, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return doc;
}

/* What the answer was, as a document. The version is left out: it changes. */
static struct doc_node *answer_doc(const struct inject_answer *a, struct arena *arena)
{
    static const char *const outcomes[] = {"skip", "inject", "refuse"};
    struct doc_node *out = doc_new_map(arena);
    doc_set(arena, out, "outcome", doc_cstr(arena, outcomes[a->outcome]));
    doc_set(arena, out, "code", doc_int(arena, a->code));
    doc_set(arena, out, "why", doc_cstr(arena, a->why));
    if (a->fix) {
        doc_set(arena, out, "fix", doc_cstr(arena, a->fix));
    }
    doc_set(arena, out, "rule", doc_cstr(arena, a->rule));
    for (const struct inject_note *n = a->notes; n; n = n->next) {
        doc_list_add(arena, doc_list_in(arena, out, "notes"),
                     doc_cstr(arena, arena_printf(arena, "%u: %s", n->code, n->text)));
    }
    if (a->pod) {
        struct doc_node *pod = doc_set(arena, out, "pod", doc_dup(arena, a->pod)), *status;
        struct doc_node *annotations = doc_path(pod, "metadata.annotations");
        struct err err;
        assert_int_equal(doc_parse_json(arena, doc_get(annotations, ANNOTATION_STATUS)->text, "s",
                                        &status, &err),
                         0);
        assert_true(doc_remove(status, "version"));
        doc_set(arena, annotations, ANNOTATION_STATUS, status);
    }
    return out;
}

static void check_ways(const struct inject_subject *subject, const struct inject_settings *settings,
                       const struct inject_answer *a, struct arena *arena)
{
    struct inject_subject again = *subject;
    struct inject_answer second;
    struct doc_node *patched = NULL;
    struct err err = {.code = 0};
    const struct doc_node *patch = jsonpatch_make(arena, subject->pod, a->pod);
    assert_int_equal(jsonpatch_apply(arena, subject->pod, patch, &patched, &err), 0);
    assert_true(doc_eq(patched, a->pod));
    again.pod = a->pod;
    inject_pod(&again, settings, arena, &second);
    assert_int_equal(second.outcome, INJECT_SKIP);
    assert_int_equal(second.code, 1206);
    struct doc_node *back = inject_undo(a->pod, arena);
    if (!back || !doc_eq(back, subject->pod)) {
        struct buf text;
        buf_init(&text, 1 << 20);
        assert_int_equal(doc_write_yaml(jsonpatch_make(arena, subject->pod, back), &text), 0);
        print_error("not undone:\n%.*s\n", SPAN_ARG(buf_span(&text)));
        fail();
    }
}

static void compare_golden(const char *name, const struct doc_node *doc, struct arena *arena)
{
    const char *path = arena_printf(arena, CASES "/%s/want.yaml", name);
    struct buf got;
    buf_init(&got, 1 << 20);
    assert_int_equal(doc_write_yaml(doc, &got), 0);
    if (getenv("MESH_GOLDEN")) {
        write_file(path, buf_span(&got));
    } else if (!span_eq(buf_span(&got), read_file(arena, path))) {
        const char *to = arena_printf(arena, "build/golden-inject-%s.yaml", name);
        write_file(to, buf_span(&got));
        print_error("%s is not what came out: diff it with %s, or 'make golden'\n", path, to);
        fail();
    }
    buf_dispose(&got);
}

static struct span text_of(const struct doc_node *doc, const char *path)
{
    const struct doc_node *node = doc_path(doc, path);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static void golden_case(void **state)
{
    const char *name = *state;
    struct arena arena;
    struct err err = {.code = 0};
    struct inject_settings settings;
    struct inject_answer answer;
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    settings.image = SPAN("mesh:test");
    struct doc_node *set = read_yaml(&arena, arena_printf(&arena, CASES "/%s/settings.yaml", name));
    if (inject_settings_read(&settings, set, &arena, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    struct doc_node *object = read_yaml(&arena, arena_printf(&arena, CASES "/%s/pod.yaml", name));
    struct doc_node *labels =
        read_yaml(&arena, arena_printf(&arena, CASES "/%s/namespace.yaml", name));
    struct span ns = text_of(object, "metadata.namespace");
    struct inject_subject subject = {.pod = inject_template_of(object),
                                     .namespace = ns.len > 0 ? ns : SPAN("default"),
                                     .namespace_labels = labels,
                                     .asked = labels == NULL,
                                     .kind = text_of(object, "kind"),
                                     .name = text_of(object, "metadata.name")};
    if (span_is(subject.kind, "Pod")) {
        subject.kind = subject.name = SPAN_EMPTY;
    }
    assert_non_null(subject.pod);
    const struct doc_node *before = doc_dup(&arena, subject.pod);
    inject_pod(&subject, &settings, &arena, &answer);
    assert_true(doc_eq(before, subject.pod));
    assert_int_equal(answer.outcome == INJECT_YES, answer.pod != NULL);
    compare_golden(name, answer_doc(&answer, &arena), &arena);
    if (answer.pod) {
        check_ways(&subject, &settings, &answer, &arena);
    }
    arena_dispose(&arena);
}

static void gateway(void **state)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct inject_settings settings;
    struct doc_node *pod = NULL, *labels, *bad;
    UNUSED(state);
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    settings.image = SPAN("mesh:test");
    assert_int_equal(doc_parse_yaml(&arena,
                                    SPAN("{app: mesh-ingressgateway, istio: ingressgateway}"),
                                    "labels", &labels, &err),
                     0);
    struct inject_gateway g = {.namespace = SPAN("mesh-system"),
                               .name = SPAN("mesh-ingressgateway"),
                               .service_account = SPAN("mesh-ingressgateway"),
                               .labels = labels};
    assert_int_equal(inject_gateway_pod(&g, &settings, &arena, &pod, &err), 0);
    compare_golden("gateway-own", pod, &arena);
    assert_int_equal(
        doc_parse_yaml(&arena, SPAN("{sidecar.istio.io/proxyCPU: much}"), "a", &bad, &err), 0);
    g.annotations = bad;
    assert_int_equal(inject_gateway_pod(&g, &settings, &arena, &pod, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "proxyCPU is 'much'"));
    arena_dispose(&arena);
}

static void templates_of(void **state)
{
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {"{kind: Pod, spec: {}}", true},
        {"{kind: Pod}", false},
        {"{kind: Deployment, spec: {template: {spec: {}}}}", true},
        {"{kind: Deployment, spec: {template: []}}", false},
        {"{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: {}}}}}}", true},
        {"{kind: Service, spec: {}}", false},
        {"{kind: [Pod]}", false},
        {"[]", false},
    };
    struct arena arena;
    UNUSED(state);
    arena_init(&arena, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *doc;
        struct err err;
        assert_int_equal(doc_parse_yaml(&arena, span_of(cases[i].text), "x", &doc, &err), 0);
        if ((inject_template_of(doc) != NULL) != cases[i].found) {
            print_error("%s\n", cases[i].text);
            fail();
        }
    }
    arena_dispose(&arena);
}

/* What people add after injection stays when it is undone. */
static void undo_keeps_what_came_later(void **state)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct inject_settings settings;
    struct inject_answer a;
    struct doc_node *pod, *want;
    UNUSED(state);
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    assert_int_equal(doc_parse_yaml(&arena, SPAN("{spec: {containers: [{name: app, image: x}]}}"),
                                    "p", &pod, &err),
                     0);
    const struct inject_subject s = {.pod = pod, .namespace = SPAN("x"), .asked = true};
    inject_pod(&s, &settings, &arena, &a);
    assert_int_equal(a.outcome, INJECT_YES);
    struct doc_node *metadata = doc_get(a.pod, "metadata"), *spec = doc_get(a.pod, "spec");
    doc_set_text(&arena, doc_get(metadata, "annotations"), "mine", SPAN("1"));
    struct doc_node *volume = doc_new_map(&arena);
    doc_set_text(&arena, volume, "name", SPAN("mine"));
    doc_list_add(&arena, doc_get(spec, "volumes"), volume);
    doc_set_text(&arena, doc_at(doc_get(spec, "containers"), 0), "image", SPAN("z"));
    assert_int_equal(doc_parse_yaml(&arena,
                                    SPAN("metadata: {annotations: {mine: '1'}}\n"
                                         "spec:\n"
                                         "  containers: [{name: app, image: z}]\n"
                                         "  volumes: [{name: mine}]\n"),
                                    "want", &want, &err),
                     0);
    struct doc_node *back = inject_undo(a.pod, &arena);
    struct buf text;
    buf_init(&text, 65536);
    assert_int_equal(doc_write_json(back, false, &text), 0);
    if (!doc_eq(back, want)) {
        print_error("%.*s\n", SPAN_ARG(buf_span(&text)));
        fail();
    }
    buf_dispose(&text);
    assert_null(inject_undo(want, &arena));
    arena_dispose(&arena);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

int main(void)
{
    struct CMUnitTest tests[256] = {
        cmocka_unit_test(gateway),
        cmocka_unit_test(templates_of),
        cmocka_unit_test(undo_keeps_what_came_later),
    };
    struct arena arena;
    arena_init(&arena, 4096);
    size_t count = 3;
    DIR *dir = opendir(CASES);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL && count < ARRAY_LEN(tests);) {
        if (e->d_name[0] != '.' && strcmp(e->d_name, "gateway-own") != 0) {
            char *name = arena_strdup(&arena, e->d_name);
            tests[count++] =
                (struct CMUnitTest){.name = name, .test_func = golden_case, .initial_state = name};
        }
    }
    assert_int_equal(closedir(dir), 0);
    qsort(tests, count, sizeof(tests[0]), by_name);
    int bad = _cmocka_run_group_tests("inject", tests, count, NULL, NULL);
    arena_dispose(&arena);
    return bad;
}

/* Annotations, one a line as NAME=VALUE, of a pod with probes: it gets its proxy or is refused with a sentence; what was done is undone exactly, and not done twice. */
#include "inject/inject.h"
#include "inject/pod_wish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes from YAML or JSON is UTF-8. */
static bool is_utf8(struct span text)
{
    while (text.len > 0) {
        size_t len = span_utf8_char(text);
        if (len == 0) {
            return false;
        }
        text = span_from_offset(text, len);
    }
    return true;
}

static const char pod_text[] = "metadata: {name: web, labels: {app: web}}\n"
                               "spec:\n"
                               "  containers:\n"
                               "  - name: web\n"
                               "    ports: [{name: http, containerPort: 80}]\n"
                               "    livenessProbe: {httpGet: {port: http}}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inject_settings settings;
    struct inject_answer a;
    struct arena arena;
    struct doc_node *pod = NULL;
    struct err err;
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    int failed = doc_parse_yaml(&arena, span_of(pod_text), "pod", &pod, &err);
    ASSERT(failed == 0);
    if (!is_utf8(span_from(data, size_min(size, 65536)))) {
        arena_dispose(&arena);
        return 0;
    }
    struct doc_node *annotations = doc_map_in(&arena, doc_get(pod, "metadata"), "annotations");
    for (struct span rest = span_from(data, size_min(size, 65536)); rest.at;) {
        struct span value = span_cut(&rest, '\n');
        struct span name = span_cut(&value, '=');
        doc_set_span(&arena, annotations, name, doc_text(&arena, value));
    }
    struct inject_subject subject = {.pod = pod, .namespace = SPAN("x"), .asked = true};
    inject_pod(&subject, &settings, &arena, &a);
    ASSERT(a.code >= 1200 && a.code < 1300 && a.why[0] != '\0');
    if (a.outcome == INJECT_YES) {
        struct doc_node *back = inject_undo(a.pod, &arena);
        /* A status that the pod had before is replaced. */
        ASSERT(doc_get(annotations, "sidecar.istio.io/status") || doc_eq(back, pod));
        subject.pod = a.pod;
        inject_pod(&subject, &settings, &arena, &a);
        ASSERT(a.outcome == INJECT_SKIP);
    }
    arena_dispose(&arena);
    return 0;
}

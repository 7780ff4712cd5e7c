/* Objects: metadata, kinds, keys, lists, broken texts. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "model/object.c"
#include "unit/model/model_test.h"
#include "model/service.h"

static void reads_metadata(void **state)
{
    const struct object *o = model_test_good(
        state,
        "apiVersion: v1\nkind: Service\n"
        "metadata:\n  name: reviews\n  namespace: shop\n  labels: {app: reviews, empty: \"\"}\n"
        "  annotations: {networking.istio.io/exportTo: \".\"}\n  generation: 3\n"
        "  creationTimestamp: 2026-01-31T12:00:00Z\n  uid: x\n  resourceVersion: \"7\"\n"
        "spec: {ports: [{port: 80}]}\nstatus: {anything: 1}\n");
    assert_int_equal(o->kind, OBJECT_SERVICE);
    assert_span(o->name, "reviews");
    assert_span(o->namespace, "shop");
    assert_span(o->key, "services/shop/reviews");
    assert_span(o->file, "test.yaml");
    assert_span(object_label(o, "app"), "reviews");
    assert_non_null(object_label(o, "empty").at);
    assert_null(object_label(o, "none").at);
    assert_span(object_annotation(o, "networking.istio.io/exportTo"), ".");
    assert_int_equal(o->generation, 3);
    assert_int_equal(o->created_us, 1769860800000000);
    /* Lines and file live as long as the object. */
    assert_int_equal(doc_path(o->doc, "spec.ports.0.port")->line, 12);
    assert_string_equal(doc_path(o->doc, "spec.ports.0.port")->file, "test.yaml");
}

static void keys_are_paths(void **state)
{
    const struct object *o =
        model_test_good(state, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    assert_span(o->key, "namespaces/-/a");
    assert_span(o->namespace, "");
    o = model_test_good(
        state, "apiVersion: networking.istio.io/v1beta1\nkind: WorkloadEntry\n"
               "metadata: {name: a, creationTimestamp: null}\nspec: {address: 10.0.0.1}\n");
    assert_span(o->key, "workloadentries.networking.istio.io/default/a");
}

static void finds_kinds(void **state)
{
    static const struct {
        const char *word;
        int kind;
    } cases[] = {
        {"svc", OBJECT_SERVICE},
        {"Services", OBJECT_SERVICE},
        {"virtualservice", OBJECT_VIRTUAL_SERVICE},
        {"vs", OBJECT_VIRTUAL_SERVICE},
        {"gateways", OBJECT_GATEWAY},
        {"gateways.networking.istio.io", OBJECT_ISTIO_GATEWAY},
        {"gateways.gateway.networking.k8s.io", OBJECT_GATEWAY},
        {"gw", OBJECT_ISTIO_GATEWAY},
        {"pods", OBJECT_POD},
        {"configmaps", -1},
        {"", -1},
        {"services.x", -1},
        {",", -1},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(object_kind_find(span_of(cases[i].word)), cases[i].kind);
    }
}

static void reads_lists(void **state)
{
    struct model_test *t = *state;
    assert_int_equal(
        model_test_read(
            t, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["
               "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}},"
               "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"b\"}}]}"),
        2);
    assert_int_equal(model_test_read(t,
                                     "apiVersion: mesh/v1\nkind: NamespaceList\nitems:\n"
                                     "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"),
                     1);
    assert_int_equal(model_test_read(t, "\n---\n---\n# nothing\n"), 0);
    assert_int_equal(model_test_read(t, ""), 0);
    assert_int_equal(t->findings.count, 0);
}

/* What stands in one thread's hands may be given back in another's: only the count is shared. */
static void counts_references(void **state)
{
    struct model_test *t = *state;
    struct object *o = (struct object *)model_test_good(
        state, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    assert_ptr_equal(object_ref(o), o);
    object_unref(o);
    assert_int_equal(t->object->refs, 1);
    object_unref(NULL);
}

static void refuses_giants(void **state)
{
    struct model_test *t = *state;
    struct doc_node *doc = doc_new_map(&t->arena);
    doc_set_text(&t->arena, doc, "apiVersion", SPAN("v1"));
    doc_set_text(&t->arena, doc, "kind", SPAN("Namespace"));
    struct doc_node *spec = doc_map_in(&t->arena, doc, "spec");
    struct doc_node *list = doc_list_in(&t->arena, spec, "finalizers");
    doc_set_text(&t->arena, doc_map_in(&t->arena, doc, "metadata"), "name", SPAN("a"));
    for (size_t i = 0; i < READER_ITEMS_MAX + 1; i++) {
        doc_list_add(&t->arena, list, doc_cstr(&t->arena, "a"));
    }
    assert_null(object_read(doc, &t->findings));
    assert_int_equal(t->findings.first->code, 2032);
    for (size_t i = 0; i < NODES_MAX; i++) {
        doc_list_add(&t->arena, list, doc_cstr(&t->arena, "a"));
    }
    findings_init(&t->findings, &t->arena);
    assert_null(object_read(doc, &t->findings));
    assert_int_equal(t->findings.first->code, 2040);
}

/* Every prefix of a text, at the end of readable memory. */
static void survives_cuts(void **state)
{
    static const char text[] =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        "spec:\n  hosts: [reviews]\n  http:\n  - match:\n    - uri: {prefix: /a}\n"
        "    route:\n    - destination: {host: reviews}\n      weight: 5\n    timeout: 1.5s\n";
    struct model_test *t = *state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
    for (size_t len = 0; len < sizeof(text); len++) {
        char *at = map + page - len;
        memcpy(at, text, len);
        size_t good =
            object_read_text(span_from(at, len), "x", &t->findings, model_test_on_object, t);
        assert_true(len > 0 || good == 0);
    }
    assert_int_equal(munmap(map, 2 * page), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads_metadata), MODEL_TEST(keys_are_paths),    MODEL_TEST(finds_kinds),
        MODEL_TEST(reads_lists),    MODEL_TEST(counts_references), MODEL_TEST(refuses_giants),
        MODEL_TEST(survives_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Definitions: the rules of apiextensions.k8s.io that a server would hold against them. */
#include "cli/install_crds.c"

#include "unit/cm.h"

/* Structural: every node has one of these; what is required or a key exists. */
static void check_schema(const struct doc_node *s)
{
    const struct doc_node *type = doc_get(s, "type");
    assert_true(type || doc_get(s, "x-kubernetes-preserve-unknown-fields") ||
                doc_get(s, "x-kubernetes-int-or-string"));
    const struct doc_node *properties = doc_get(s, "properties");
    const struct doc_node *required = doc_get(s, "required");
    for (size_t i = 0; i < doc_count(required); i++) {
        assert_non_null(doc_get_span(properties, doc_at(required, i)->text));
    }
    for (size_t i = 0; i < doc_count(properties); i++) {
        check_schema(properties->entries[i].value);
    }
    const struct doc_node *items = doc_get(s, "items");
    if (items) {
        assert_true(span_is(type->text, "array"));
        check_schema(items);
    }
    const struct doc_node *keys = doc_get(s, "x-kubernetes-list-map-keys");
    for (size_t i = 0; i < doc_count(keys); i++) {
        bool is_required = false;
        const struct doc_node *must = doc_get(items, "required");
        for (size_t j = 0; j < doc_count(must); j++) {
            is_required |= span_eq(doc_at(must, j)->text, doc_at(keys, i)->text);
        }
        assert_true(is_required);
    }
}

static void test_definitions(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 65536);
    const struct doc_node *crds = install_crds(&a);
    assert_int_equal(doc_count(crds), 12);
    for (size_t i = 0; i < doc_count(crds); i++) {
        const struct doc_node *crd = doc_at(crds, i), *versions = doc_path(crd, "spec.versions");
        struct span name = doc_path(crd, "metadata.name")->text;
        size_t stored = 0;
        print_message("%.*s\n", SPAN_ARG(name));
        assert_true(span_eq(span_cut(&name, '.'), doc_path(crd, "spec.names.plural")->text));
        assert_true(span_eq(name, doc_path(crd, "spec.group")->text));
        for (size_t j = 0; j < doc_count(versions); j++) {
            const struct doc_node *v = doc_at(versions, j);
            stored += doc_get(v, "storage")->boolean;
            check_schema(doc_path(v, "schema.openAPIV3Schema"));
        }
        assert_int_equal(stored, 1);
        assert_int_equal(span_ends(name, SPAN(".k8s.io")),
                         doc_path(crd, "metadata.annotations") != NULL);
    }
    arena_dispose(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_definitions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ordering, filtering, finding by name. */
#include "cli/item.c"

#include "unit/cm.h"

static struct verb_flags flags;
static struct verb verb = {.flags = &flags};

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&verb.arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&verb.arena);
    return 0;
}

static struct doc_node *items(void)
{
    static const char json[] =
        "[{\"workload\":\"b-v2\",\"app\":\"b\",\"to\":{\"n\":\"y\"}},{\"workload\":\"a\"},"
        "{\"workload\":\"b-v1\",\"app\":\"b\",\"to\":{\"n\":\"z\"}},{\"workload\":\"b-v10\",\"to\":{\"n\":\"x\"}},{}]";
    struct doc_node *doc = NULL;
    struct err err;
    assert_int_equal(doc_parse_json(&verb.arena, span_of(json), "test", &doc, &err), 0);
    return doc;
}

static bool is_b(const struct verb *v, const struct doc_node *item)
{
    UNUSED(v);
    return item_is_called(item, SPAN("b"));
}

static void test_order(void **state)
{
    UNUSED(state);
    static const char *const by_name[] = {"workload", NULL};
    static const char *const by_end[] = {"to.n", "workload", NULL};
    struct doc_node *list = items();
    items_sort(list, by_name);
    assert_span(item_text(doc_at(list, 0), "workload"), "");
    assert_span(item_text(doc_at(list, 1), "workload"), "a");
    assert_span(item_text(doc_at(list, 4), "workload"), "b-v2");
    items_sort(list, by_end);
    assert_span(item_text(doc_at(list, 4), "workload"), "b-v1");
    items_sort(NULL, by_name);
}

static void test_filter(void **state)
{
    UNUSED(state);
    struct doc_node *list = items();
    items_filter(list, is_b, &verb);
    assert_int_equal(doc_count(list), 3);
    assert_span(item_text(doc_at(list, 2), "workload"), "b-v10");
    items_filter(NULL, is_b, &verb);
}

static void test_pick(void **state)
{
    UNUSED(state);
    static const struct {
        const char *name, *want; /* NULL: refused */
    } rows[] = {{"a", "a"},  {"b-v1", "b-v1"}, {"b-v10", "b-v10"}, {"b-v2", "b-v2"},
                {"b", NULL}, {"b-v", NULL},    {"c", NULL},        {"b-v11", NULL}};
    struct doc_node *list = items();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct doc_node *one =
            items_pick(&verb, list, "workload", rows[i].name, "workload", "mesh stat");
        assert_true((one != NULL) == (rows[i].want != NULL));
        assert_span(item_text(one, "workload"), rows[i].want ? rows[i].want : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_pick),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

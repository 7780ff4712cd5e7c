/* codec/doc: finding, building, changing; typed members and their messages. */
#include "codec/doc.c"
#include "codec/doc_read.c"

#include "unit/cm.h"

static struct arena arena;

static struct doc_node *yaml(const char *text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    int failed = doc_parse_yaml(&arena, span_of(text), "x.yaml", &node, &err);
    if (failed != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return node;
}

static void finds(void **state)
{
    UNUSED(state);
    const struct doc_node *node = yaml("a: {b: [x, {c: 1}], '': e}\nz: null\n");
    assert_span(doc_path(node, "a.b.0")->text, "x");
    assert_int_equal(doc_path(node, "a.b.1.c")->integer, 1);
    assert_span(doc_path(node, "a.")->text, "e");
    assert_null(doc_path(node, "a.b.2"));
    assert_null(doc_path(node, "a.b.x"));
    assert_null(doc_path(node, "a.b.0.c"));
    assert_null(doc_path(node, ""));
    assert_null(doc_path(NULL, "a"));
    assert_true(doc_is(doc_get(node, "z"), DOC_NULL));
    assert_null(doc_get(doc_get(node, "z"), "x"));
    assert_null(doc_get(NULL, "x"));
    assert_null(doc_at(node, 0));
    assert_int_equal(doc_count(doc_path(node, "a.b")), 2);
    assert_int_equal(doc_count(NULL), 0);
    assert_int_equal(doc_count(doc_path(node, "a.b.0")), 0);
}

/* Past the size from which a map is indexed, with removals and replacements on the way. */
static void holds_many_keys(void **state)
{
    UNUSED(state);
    struct doc_node *map = doc_new_map(&arena);
    char key[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        doc_set(&arena, map, key, doc_int(&arena, i));
    }
    for (int i = 0; i < 1000; i += 3) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_true(doc_remove(map, key));
        assert_false(doc_remove(map, key));
    }
    for (int i = 1; i < 1000; i += 3) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        doc_set(&arena, map, key, doc_bool(&arena, true));
    }
    assert_int_equal(doc_count(map), 666);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        const struct doc_node *value = doc_get(map, key);
        assert_int_equal(value == NULL, i % 3 == 0);
        assert_int_equal(doc_is(value, DOC_BOOL), i % 3 == 1);
        assert_int_equal(doc_is(value, DOC_INT), i % 3 == 2);
    }
    assert_span(map->entries[0].key, "k1"); /* the order stays */
    assert_span(map->entries[1].key, "k2");
}

static void builds_and_compares(void **state)
{
    UNUSED(state);
    struct doc_node *made = doc_new_map(&arena);
    doc_set_text(&arena, made, "kind", SPAN("Service"));
    struct doc_node *port =
        doc_list_add(&arena, doc_list_in(&arena, doc_map_in(&arena, made, "spec"), "ports"),
                     doc_new_map(&arena));
    doc_set(&arena, port, "port", doc_int(&arena, 80));
    doc_set(&arena, port, "weight", doc_double(&arena, 0.5));
    doc_set(&arena, port, "name", doc_cstr(&arena, "http"));
    doc_set(&arena, port, "none", doc_null(&arena));
    assert_ptr_equal(doc_map_in(&arena, made, "spec"), doc_get(made, "spec"));
    const struct doc_node *read =
        yaml("spec: {ports: [{name: http, none: null, weight: 0.5, port: 80}]}\nkind: Service\n");
    assert_true(doc_eq(made, read));
    struct doc_node *copy = doc_dup(&arena, read);
    assert_true(doc_eq(copy, made));
    assert_int_equal(doc_get(copy, "kind")->line, 2);
    doc_set(&arena, doc_path(copy, "spec.ports.0"), "port", doc_int(&arena, 81));
    assert_false(doc_eq(copy, made));
    assert_int_equal(doc_path(read, "spec.ports.0.port")->integer, 80);
    assert_true(doc_eq(doc_int(&arena, 5), doc_double(&arena, 5)));
    assert_false(doc_eq(doc_int(&arena, 0), doc_bool(&arena, false)));
    assert_false(doc_eq(made, NULL));
    assert_true(doc_eq(NULL, NULL));
    assert_false(doc_eq(yaml("{a: 1}"), yaml("{b: 1}")));
    assert_false(doc_eq(yaml("[1]"), yaml("[1, 2]")));
}

enum wanted { WANT_BOOL, WANT_INT, WANT_DOUBLE, WANT_TEXT, WANT_LIST, WANT_MAP };

static int read_as(const struct doc_node *map, enum wanted wanted, struct err *err)
{
    bool flag;
    int64_t integer;
    double number;
    struct span text;
    struct doc_node *node;
    switch (wanted) {
    case WANT_BOOL:
        return doc_read_bool(map, "k", &flag, err);
    case WANT_INT:
        return doc_read_int(map, "k", 1, 100, &integer, err);
    case WANT_DOUBLE:
        return doc_read_double(map, "k", &number, err);
    case WANT_TEXT:
        return doc_read_text(map, "k", &text, err);
    case WANT_LIST:
        return doc_read_list(map, "k", &node, err);
    case WANT_MAP:
        return doc_read_map(map, "k", &node, err);
    }
    return -1;
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        enum wanted wanted;
        const char *error; /* NULL: fine */
    } rows[] = {
        {"k: true", WANT_BOOL, NULL},
        {"k: yes", WANT_BOOL, NULL},
        {"k: 5", WANT_INT, NULL},
        {"k: 5.0", WANT_INT, NULL},
        {"k: 1e1", WANT_INT, NULL},
        {"k: 5", WANT_DOUBLE, NULL},
        {"k: .5", WANT_DOUBLE, NULL},
        {"k: '5'", WANT_TEXT, NULL},
        {"k: []", WANT_LIST, NULL},
        {"k: {}", WANT_MAP, NULL},
        {"k: null", WANT_MAP, NULL},
        {"other: 1", WANT_INT, NULL},
        {"k: truth", WANT_BOOL, "x.yaml:1: 'k' is 'truth'; want true or false"},
        {"\n\nk: many", WANT_INT, "x.yaml:3: 'k' is 'many'; want a whole number"},
        {"k: 1.5", WANT_INT, "x.yaml:1: 'k' is '1.5'; want a whole number"},
        {"k: 1e30", WANT_INT, "x.yaml:1: 'k' is '1e+30'; want a whole number"},
        {"k: 0", WANT_INT, "x.yaml:1: 'k' is '0'; want 1 to 100"},
        {"k: 101", WANT_INT, "x.yaml:1: 'k' is '101'; want 1 to 100"},
        {"k: x", WANT_DOUBLE, "x.yaml:1: 'k' is 'x'; want a number"},
        {"k: 5", WANT_TEXT, "x.yaml:1: 'k' is '5'; want text; put it in quotes"},
        {"k: no", WANT_TEXT, "x.yaml:1: 'k' is 'false'; want text; put it in quotes"},
        {"k: [1]", WANT_TEXT, "x.yaml:1: 'k' is a list; want text"},
        {"k:\n  a: 1", WANT_LIST, "x.yaml:2: 'k' is a map; want a list"},
        {"k: 1", WANT_MAP, "x.yaml:1: 'k' is '1'; want a map"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {.code = 0};
        int failed = read_as(yaml(rows[i].text), rows[i].wanted, &err);
        assert_int_equal(failed, rows[i].error ? -ERR_CONFIG : 0);
        assert_string_equal(err.text, rows[i].error ? rows[i].error : "");
    }
}

static void refuses_for_others(void **state)
{
    UNUSED(state);
    struct err err;
    const struct doc_node *map = yaml("\na: 1\n");
    assert_int_equal(doc_refuse(map, "b", NULL, &err, "want a name"), -ERR_CONFIG);
    assert_string_equal(err.text, "x.yaml:2: 'b' is missing; want a name");
    assert_int_equal(doc_refuse(doc_new_map(&arena), "b", doc_null(&arena), &err, "want one"),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "'b' is null; want one");
    char text[200];
    memset(text, 'x', sizeof(text));
    (void)doc_refuse(map, "b", doc_text(&arena, span_from(text, sizeof(text))), &err, "want less");
    assert_int_equal(strlen(err.text), strlen("'b' is ''; want less") + SHOWN_BYTES);
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(holds_many_keys),
        cmocka_unit_test(builds_and_compares),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(refuses_for_others),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

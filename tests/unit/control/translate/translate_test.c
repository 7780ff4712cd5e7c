/* control/translate: each case of tests/golden/translate is translated and compared with want.json, and everything that comes out is
 * given to the proxy's own readers, which must take it. `make golden` (MESH_GOLDEN=1) writes want.json anew: review the
 * difference. */
#include "control/translate/translate.c"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/cm.h"
#include "unit/control/translate/translate_lab.h"

#define CASES "tests/golden/translate"

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

/* `ask` of node.yaml: names on demand. */
static void ask(struct lab *l, const struct doc_node *node)
{
    static const struct {
        const char *word;
        const char *type_url;
        enum conf_kind kind;
    } kinds[] = {
        {"listener", PB_LISTENER_LISTENER_URL, CONF_LISTENER},
        {"virtualHost", PB_ROUTE_VIRTUAL_HOST_URL, CONF_VIRTUAL_HOST},
        {"routes", PB_ROUTE_ROUTE_CONFIGURATION_URL, CONF_ROUTES},
        {"cluster", PB_CLUSTER_CLUSTER_URL, CONF_CLUSTER},
        {"nameTable", NAME_TABLE_TYPE, CONF_KIND_COUNT},
        {"secret", PB_TLS_SECRET_URL, CONF_KIND_COUNT},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct doc_node *names = doc_get(doc_get(node, "ask"), kinds[i].word);
        for (size_t k = 0; k < doc_count(names); k++) {
            struct span name = doc_at(names, k)->text;
            if (kinds[i].kind == CONF_KIND_COUNT) {
                lab_get(l, span_of(kinds[i].type_url), name);
            } else {
                ingest_want(l->b.ingest, kinds[i].kind, name, true);
                bench_settle(&l->b);
                lab_settle(l);
            }
        }
    }
}

static void compare(struct lab *l, const char *name)
{
    const char *path = arena_printf(&l->arena, CASES "/%s/want.json", name);
    struct buf got;
    buf_init(&got, 1 << 24);
    assert_int_equal(doc_write_json(l->out, true, &got), 0);
    assert_int_equal(buf_append_byte(&got, '\n'), 0);
    if (getenv("MESH_GOLDEN")) {
        write_file(path, buf_span(&got));
    } else if (!span_eq(buf_span(&got), read_file(&l->arena, path))) {
        const char *to = arena_printf(&l->arena, "build/golden-%s.json", name);
        write_file(to, buf_span(&got));
        print_error("%s is not what came out: diff it with %s, or 'make golden'\n", path, to);
        fail();
    }
    buf_dispose(&got);
}

static void golden_case(void **state)
{
    const char *name = *state;
    struct lab *l = mem_new(struct lab);
    lab_begin(l);
    struct err err = {0};
    struct doc_node *node;
    const char *objects = arena_printf(&l->arena, CASES "/%s/objects.yaml", name);
    struct span text = read_file(&l->arena, arena_printf(&l->arena, CASES "/%s/node.yaml", name));
    assert_int_equal(doc_parse_yaml(&l->arena, text, "node.yaml", &node, &err), 0);
    lab_world(l, read_file(&l->arena, objects), objects);
    lab_node(l, doc_get(node, "node"));
    lab_run(l);
    ask(l, node);
    assert_int_equal(l->refused, 0);
    assert_true(ingest_is_complete(l->b.ingest));
    compare(l, name);
    lab_end(l);
    mem_free(l);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

int main(void)
{
    struct CMUnitTest tests[256];
    struct arena arena;
    arena_init(&arena, 4096);
    size_t count = 0;
    DIR *dir = opendir(CASES);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL && count < ARRAY_LEN(tests);) {
        if (e->d_name[0] != '.') {
            char *name = arena_strdup(&arena, e->d_name);
            tests[count++] =
                (struct CMUnitTest){.name = name, .test_func = golden_case, .initial_state = name};
        }
    }
    assert_int_equal(closedir(dir), 0);
    qsort(tests, count, sizeof(tests[0]), by_name);
    int bad = _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
    arena_dispose(&arena);
    return bad;
}

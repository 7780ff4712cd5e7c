/* Who wins, what is told, and what is not. */
#include "control/sources/source.c"

#include <stdio.h>

#include "unit/cm.h"

struct bench {
    struct sources *s;
    char told[2048]; /* "+key " came or changed, "-key ", "." settled */
    size_t len;
    char findings[2048];
};

static void tell(struct bench *b, const char *sign, struct span key)
{
    b->len += (size_t)snprintf(b->told + b->len, sizeof(b->told) - b->len, "%s%.*s ", sign,
                               SPAN_ARG(key));
}

static void on_object(void *arg, struct object *o)
{
    tell(arg, "+", o->name);
    object_unref(o);
}

static void on_gone(void *arg, struct span key)
{
    ssize_t slash = span_rfind_byte(key, '/');
    tell(arg, "-", span_from_offset(key, (size_t)slash + 1));
}

static void on_settled(void *arg)
{
    tell(arg, ".", SPAN_EMPTY);
}

static const struct source_events events = {
    .on_object = on_object, .on_gone = on_gone, .on_settled = on_settled};

static void setup(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    b->s = sources_new(&events, b);
}

/* What was told since the last time. */
static const char *told(struct bench *b)
{
    sources_settle(b->s);
    b->len = 0;
    return b->told;
}

static void expect(struct bench *b, const char *want)
{
    b->told[0] = '\0';
    b->len = 0;
    assert_string_equal(told(b), want);
}

struct list_of {
    struct object *items[16];
    size_t count;
};

static void on_read(void *arg, struct object *o)
{
    struct list_of *l = arg;
    l->items[l->count++] = o;
}

static void read_text(const char *text, const char *file, struct list_of *to)
{
    struct arena arena;
    struct findings f;
    arena_init(&arena, 4096);
    findings_init(&f, &arena);
    object_read_text(span_of(text), file, &f, on_read, to);
    assert_int_equal(f.errors, 0);
    arena_dispose(&arena);
}

#define SERVICE(name, port) \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: " port "}]}\n"

static struct source_origin *replace(struct bench *b, const char *file, const char *text)
{
    struct list_of l = {0};
    read_text(text, file, &l);
    struct source_origin *g = source_open(b->s, SOURCE_FILE, span_of(file));
    source_findings_reset(g);
    source_replace_take(g, l.items, l.count);
    return g;
}

static void store_put(struct bench *b, const char *text)
{
    struct list_of l = {0};
    read_text(text, NULL, &l);
    struct source_origin *g = source_open(b->s, SOURCE_STORE, SPAN("the API"));
    for (size_t i = 0; i < l.count; i++) {
        source_put_take(g, l.items[i]);
    }
}

static void on_finding(void *arg, const struct finding *f)
{
    struct bench *b = arg;
    size_t n = strlen(b->findings);
    snprintf(b->findings + n, sizeof(b->findings) - n, "%u %.*s %.*s:%u (%.*s)\n", f->code,
             SPAN_ARG(f->what), SPAN_ARG(f->file), f->line, SPAN_ARG(f->why));
}

static const char *findings(struct bench *b)
{
    b->findings[0] = '\0';
    sources_each_finding(b->s, on_finding, b);
    return b->findings;
}

static void test_changes(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    expect(&b, "");
    replace(&b, "a.yaml", SERVICE("one", "80") "---\n" SERVICE("two", "80"));
    assert_int_equal(sources_count(b.s), 0); /* nothing is in force before it settles */
    expect(&b, "+one +two . ");
    assert_int_equal(sources_count(b.s), 2);
    replace(&b, "a.yaml", SERVICE("one", "80") "---\n" SERVICE("two", "80"));
    expect(&b, ""); /* says what it said */
    replace(&b, "a.yaml", SERVICE("one", "80") "---\n" SERVICE("two", "81"));
    expect(&b, "+two . ");
    replace(&b, "a.yaml", SERVICE("one", "80") "---\n\n" SERVICE("two", "81"));
    expect(&b, "+two . "); /* findings point to its lines */
    replace(&b, "a.yaml", SERVICE("two", "81"));
    expect(&b, "+two -one . ");
    source_close(replace(&b, "a.yaml", SERVICE("three", "81")));
    expect(&b, "-two . ");
    assert_int_equal(sources_count(b.s), 0);
    sources_free(b.s);
}

static void test_moves(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    struct source_origin *a = replace(&b, "a.yaml", SERVICE("one", "80"));
    expect(&b, "+one . ");
    source_close(a);
    replace(&b, "b.yaml", SERVICE("one", "80"));
    expect(&b, "+one . "); /* never gone */
    assert_span(sources_get(b.s, SPAN("services/default/one"))->file, "b.yaml");
    sources_free(b.s);
}

static void test_precedence(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    store_put(&b, SERVICE("one", "1"));
    expect(&b, "+one . ");
    replace(&b, "b.yaml", SERVICE("one", "2"));
    expect(&b, "+one . ");
    struct source_origin *a = replace(&b, "a.yaml", SERVICE("one", "3"));
    expect(&b, "+one . ");
    struct span key = sources_get(b.s, SPAN("services/default/one"))->key;
    assert_span(sources_get(b.s, key)->file, "a.yaml");
    assert_string_equal(
        findings(&b),
        "5003 Service one is in two files b.yaml:1 ('a.yaml' has it too and wins)\n"
        "5004 Service one of the API has no effect :0 ('a.yaml' has it too and wins)\n");
    store_put(&b, SERVICE("one", "4"));
    expect(&b, ""); /* it has no effect */
    source_close(a);
    expect(&b, "+one . ");
    assert_span(sources_get(b.s, SPAN("services/default/one"))->file, "b.yaml");
    replace(&b, "b.yaml", "");
    expect(&b, "+one . ");
    assert_span(sources_get(b.s, SPAN("services/default/one"))->file, "");
    assert_string_equal(findings(&b), "");
    struct source_origin *api = source_open(b.s, SOURCE_STORE, SPAN("the API"));
    assert_non_null(source_get(api, SPAN("services/default/one")));
    source_remove(api, SPAN("services/default/one"));
    source_remove(api, SPAN("services/default/one"));
    assert_null(source_get(api, SPAN("services/default/one")));
    expect(&b, "-one . ");
    sources_free(b.s);
}

static void test_twins(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    replace(&b, "a.yaml", SERVICE("one", "1") "---\n" SERVICE("one", "2"));
    expect(&b, "+one . ");
    assert_int_equal(sources_get(b.s, SPAN("services/default/one"))->doc->line, 1);
    assert_string_equal(
        findings(&b), "5002 Service one is there twice a.yaml:6 (line 1 has it too and counts)\n");
    replace(&b, "a.yaml", SERVICE("one", "1"));
    expect(&b, "");
    assert_string_equal(findings(&b), "");
    sources_free(b.s);
}

static void on_each(void *arg, const struct object *o)
{
    tell(arg, "", o->name);
}

static void test_order(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    replace(&b, "b.yaml", SERVICE("z", "1") "---\n" SERVICE("a", "1"));
    replace(&b, "a.yaml", SERVICE("m", "1"));
    sources_settle(b.s);
    b.len = 0;
    sources_each(b.s, on_each, &b);
    assert_string_equal(b.told, "a m z ");
    /* Came and went between two settlings. */
    source_close(replace(&b, "c.yaml", SERVICE("q", "1")));
    expect(&b, "");
    sources_free(b.s);
    sources_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),    cmocka_unit_test(test_moves),
        cmocka_unit_test(test_precedence), cmocka_unit_test(test_twins),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

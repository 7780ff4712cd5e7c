#ifndef MODEL_TEST_H
#define MODEL_TEST_H
/* For tests of kinds: one object from YAML. Include after cmocka.h. */
#include <stdio.h>

#include "model/object.h"

struct model_test {
    struct arena arena;
    struct findings findings;
    struct object *object; /* the last one */
};

static inline void model_test_on_object(void *arg, struct object *o)
{
    struct model_test *t = arg;
    object_unref(t->object);
    t->object = o;
}

static inline size_t model_test_read(struct model_test *t, const char *yaml)
{
    return object_read_text(span_of(yaml), "test.yaml", &t->findings, model_test_on_object, t);
}

static inline int model_test_begin(void **state)
{
    static struct model_test t;
    arena_init(&t.arena, 4096);
    findings_init(&t.findings, &t.arena);
    t.object = NULL;
    *state = &t;
    return 0;
}

static inline int model_test_end(void **state)
{
    struct model_test *t = *state;
    object_unref(t->object);
    arena_dispose(&t->arena);
    return 0;
}

/* An object that nothing is said of. */
static inline const struct object *model_test_good(void **state, const char *yaml)
{
    struct model_test *t = *state;
    findings_init(&t->findings, &t->arena);
    size_t count = model_test_read(t, yaml);
    for (const struct finding *f = t->findings.first; f != NULL; f = f->next) {
        print_error("line %u %.*s: %.*s\n", f->line, SPAN_ARG(f->path), SPAN_ARG(f->what));
    }
    assert_int_equal(t->findings.count, 0);
    assert_int_equal(count, 1);
    return t->object;
}

static inline void model_test_span(struct span got, const char *want, const char *file, int line)
{
    if (!span_is(got, want)) {
        print_error("'%.*s' is not '%s'\n", SPAN_ARG(got), want);
        _fail(file, line);
    }
}
#define assert_span(got, want) model_test_span(got, want, __FILE__, __LINE__)

#define MODEL_TEST(f) cmocka_unit_test_setup_teardown(f, model_test_begin, model_test_end)
#endif

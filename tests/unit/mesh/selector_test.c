/* mesh/selector: the text form, and what it selects. */
#include "mesh/selector.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

static void selects(void **state)
{
    const struct label labels[] = {{SPAN("app"), SPAN("web")},
                                   {SPAN("example.com/tier"), SPAN("b")},
                                   {SPAN("none"), SPAN_EMPTY}};
    static const struct {
        const char *text;
        bool matches;
    } rows[] = {
        {"", true},
        {"  ", true},
        {"app", true},
        {"!app", false},
        {"other", false},
        {"!other", true},
        {"! other", true},
        {"app=web", true},
        {"app==web", true},
        {"app = web", true},
        {"app=db", false},
        {"app!=db", true},
        {"app!=web", false},
        {"other!=x", true},
        {"other=x", false},
        {"none=", true},
        {"none", true},
        {"app=", false},
        {"other=", false},
        {"example.com/tier in (a, b)", true},
        {"example.com/tier in (a)", false},
        {"example.com/tier notin (a,c)", true},
        {"example.com/tier notin (a,b)", false},
        {"other notin (a)", true},
        {"other in (a)", false},
        {"none in ()", true},
        {"app=web,example.com/tier=b,!other", true},
        {"app=web,other", false},
        {"in in (web)", false},
        {"app  in(web)", true},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct selector selector;
        struct err err = {.code = 0};
        int failed = selector_parse(guard_copy(0, span_of(rows[i].text)), &arena, &selector, &err);
        assert_int_equal(failed, 0);
        assert_int_equal(selector_matches(&selector, labels, ARRAY_LEN(labels)), rows[i].matches);
    }
    assert_null(selector_label(labels, ARRAY_LEN(labels), SPAN("x")).at);
    assert_non_null(selector_label(labels, ARRAY_LEN(labels), SPAN("none")).at);
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {",", "a label's name is missing"},
        {"a,", "a label's name is missing"},
        {"=b", "a label's name is missing"},
        {"!", "a label's name is missing"},
        {"a b", "use key, !key, key=value, key!=value, key in (...), key notin (...)"},
        {"a in", "after 'in' and 'notin' comes '(value, ...)'"},
        {"a in (b", "missing ')'"},
        {"a in (b c)", "missing ')'"},
        {"a=b c", "terms are separated by ','"},
        {"!a=b", "terms are separated by ','"},
        {"a=b;c", "terms are separated by ','"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct selector selector;
        struct err err = {.code = 0};
        char want[128];
        (void)snprintf(want, sizeof(want), "selector '%s': %s", rows[i].text, rows[i].why);
        struct span text = guard_copy(0, span_of(rows[i].text));
        assert_int_equal(selector_parse(text, &arena, &selector, &err), -ERR_CONFIG);
        assert_string_equal(err.text, want);
    }
}

static void bounds_terms(void **state)
{
    UNUSED(state);
    struct selector selector;
    char text[2 * (TERMS_MAX + 1)];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 0 ? 'a' : ',';
    }
    struct span most = span_from(text, 2 * TERMS_MAX - 1);
    assert_int_equal(selector_parse(most, &arena, &selector, NULL), 0);
    struct span more = span_from(text, sizeof(text) - 1);
    assert_int_equal(selector_parse(more, &arena, &selector, NULL), -ERR_CONFIG);
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
        cmocka_unit_test(selects),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_terms),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* The nearest name. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/near.c"

static void picks(void **state)
{
    static const char *const names[] = {"timeout", "retries", "route", "mirror", "match"};
    static const struct {
        const char *word, *best;
    } cases[] = {
        {"timout", "timeout"},
        {"timeuot", "timeout"},
        {"Timeout", "timeout"},
        {"retry", NULL},
        {"rout", "route"},
        {"mtach", "match"},
        {"x", NULL},
        {"", NULL},
        {"mirrors", "mirror"},
        {"matches", "match"},
        {"headers", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct near near;
        near_init(&near, span_of(cases[i].word));
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            near_try(&near, span_of(names[k]));
        }
        if (cases[i].best == NULL) {
            assert_null(near.best.at);
        } else {
            assert_string_equal(near.best.at, cases[i].best);
        }
    }
}

static void bounds_words(void **state)
{
    char word[200];
    struct near near;
    UNUSED(state);
    memset(word, 'a', sizeof(word));
    near_init(&near, span_from(word, sizeof(word)));
    near_try(&near, span_from(word, 64));
    assert_null(near.best.at);
    near_init(&near, span_from(word, 64));
    near_try(&near, span_from(word, 64));
    assert_non_null(near.best.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks),
        cmocka_unit_test(bounds_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

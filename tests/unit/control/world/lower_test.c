/* control/world/lower: the small parts. */
#include "control/world/lower.c"

#include "unit/cm.h"

static void reads_retry_words(void **state)
{
    static const struct {
        const char *words, *on;
        size_t codes;
    } rows[] = {
        {"5xx", "5xx", 0},
        {"503", "retriable-status-codes", 1},
        {" 503 , 5xx,504 ", "5xx,retriable-status-codes", 2},
        {"retriable-status-codes,503", "retriable-status-codes", 1},
        {"", "", 0},
        {",,", "", 0},
    };
    UNUSED(state);
    struct world_config c = {.refs = 1};
    arena_init(&c.arena, 1024);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world_retry retry = {.set = true};
        lower_retry_words(&c, span_of(rows[i].words), &retry);
        assert_span(retry.on, rows[i].on);
        assert_int_equal(retry.code_count, rows[i].codes);
    }
    assert_span(lower_case(&c, SPAN("abC")), "abc");
    assert_span(lower_case(&c, SPAN("")), "");
    arena_dispose(&c.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_retry_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

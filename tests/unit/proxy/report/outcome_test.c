/* proxy/report/outcome: the table is whole, and flags read as they are written. */
#include "proxy/report/outcome.c"

#include "unit/cm.h"

static void each_ending_has_its_row(void **state)
{
    (void)state;
    for (int o = 0; o < OUTCOME_COUNT; o++) {
        const struct outcome_row *row = outcome_row((enum outcome)o);
        assert_non_null(row->name);
        assert_true(row->details.len > 0);
        assert_true(row->status == 0 || (row->status >= 400 && row->status < 600));
        assert_true(row->flag == 0 || (row->flag & (row->flag - 1)) == 0); /* one bit */
        assert_true(row->status == 0 || row->local); /* what we answer is ours */
        for (int other = 0; other < o; other++) {
            assert_string_not_equal(row->name, outcome_row((enum outcome)other)->name);
        }
    }
}

static void flags(void **state)
{
    (void)state;
    static const struct {
        uint32_t flags;
        const char *text;
    } cases[] = {
        {0, "-"},
        {FLAG_UH, "UH"},
        {FLAG_LR, "LR"},
        {FLAG_UF | FLAG_URX, "UF,URX"},
        {FLAG_UT | FLAG_DC | FLAG_UMSDR, "DC,UT,UMSDR"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char to[OUTCOME_FLAGS_BYTES];
        assert_span(outcome_flags(cases[i].flags, to), cases[i].text);
        assert_int_equal(outcome_flags_parse(span_of(cases[i].text)), cases[i].flags);
    }
    char to[OUTCOME_FLAGS_BYTES];
    struct span all = outcome_flags(UINT32_MAX, to);
    assert_true(all.len < OUTCOME_FLAGS_BYTES);
    assert_int_equal(outcome_flags_parse(all), (1u << ARRAY_LEN(names)) - 1);
    assert_int_equal(outcome_flags_parse(SPAN(" UH , nonsense,UF")), FLAG_UH | FLAG_UF);
    assert_int_equal(outcome_flags_parse(SPAN("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_ending_has_its_row),
        cmocka_unit_test(flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

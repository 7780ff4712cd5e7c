/* mesh/codes: rows in the order of their numbers, each with its words, and found by number. */
#include "mesh/codes.c"

#include "unit/cm.h"

static void test_rows(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < codes_row_count; i++) {
        const struct code_row *row = &codes_rows[i];
        assert_true(i == 0 || codes_rows[i - 1].number < row->number);
        assert_in_range(row->number, 1000, 6999);
        assert_true(row->meaning[0] != '\0' && row->remedy[0] != '\0');
        assert_ptr_equal(codes_find(row->number), row);
    }
    assert_null(codes_find(9999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

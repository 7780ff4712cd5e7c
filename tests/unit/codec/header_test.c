/* codec/header: the first field of a name. */
#include "codec/header.h"

#include "unit/cm.h"

static void finds_the_first(void **state)
{
    UNUSED(state);
    const struct header fields[] = {
        {SPAN("a"), SPAN("1")}, {SPAN("b"), SPAN("2")}, {SPAN("a"), SPAN("3")}};
    assert_ptr_equal(header_find(fields, 3, SPAN("a")), &fields[0]);
    assert_ptr_equal(header_find(fields, 3, SPAN("b")), &fields[1]);
    assert_null(header_find(fields, 3, SPAN("A")));
    assert_null(header_find(fields, 0, SPAN("a")));
    assert_null(header_find(NULL, 0, SPAN("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

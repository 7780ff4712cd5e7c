/* proxy/config/slots: one number a name, for good. */
#include "proxy/config/slots.c"

#include "unit/cm.h"

static void numbers_names(void **state)
{
    (void)state;
    struct slots s;
    slots_init(&s);
    char name[16];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            int len = snprintf(name, sizeof(name), "c%u", i);
            assert_int_equal(slots_take(&s, span_from(name, (size_t)len)), i);
        }
    }
    assert_int_equal(slots_count(&s), 1000);
    assert_int_equal(slots_take(&s, SPAN("")), 1000);
    assert_int_equal(slots_take(&s, SPAN_EMPTY), 1000);
    slots_dispose(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

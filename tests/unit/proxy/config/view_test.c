/* proxy/config/view: users and retirement. */
#include "proxy/config/view.c"

#include "unit/cm.h"

static unsigned unused;

static void on_unused(void *arg, struct view *v)
{
    assert_ptr_equal(arg, &unused);
    unused++;
    view_free(v);
}

static void is_given_back_once(void **state)
{
    (void)state;
    struct snapshot s = {.slots = 0};
    unused = 0;
    view_retire(view_new(&s, on_unused, &unused));
    assert_int_equal(unused, 1);

    struct view *v = view_new(&s, on_unused, &unused);
    assert_null(view_cluster(v, 0));
    assert_null(view_endpoints(v, SLOT_NONE));
    view_get(v);
    view_get(v);
    view_put(v);
    view_retire(v);
    assert_int_equal(unused, 1);
    view_put(v);
    assert_int_equal(unused, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_given_back_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

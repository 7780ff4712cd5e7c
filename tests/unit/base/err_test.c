/* base/err: sentences, prefixes, names. */
#include "base/err.c"

#include "unit/cm.h"

static void keeps_code_and_sentence(void **state)
{
    UNUSED(state);
    struct err err;
    assert_int_equal(err_set(&err, -ERR_CONFIG, "'%s' is %d", "x", 3), -ERR_CONFIG);
    assert_string_equal(err.text, "'x' is 3");
    assert_int_equal(err_prefix(&err, "mesh.yaml:%d", 14), -ERR_CONFIG);
    assert_string_equal(err.text, "mesh.yaml:14: 'x' is 3");
    err_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.text, "");
    assert_int_equal(err_set(NULL, -EINVAL, "nobody asks"), -EINVAL);
    assert_int_equal(err_prefix(NULL, "nobody asks"), 0);
}

static void cuts_long_text(void **state)
{
    UNUSED(state);
    struct err err;
    (void)err_set(&err, -1, "%0600d", 1);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    (void)err_prefix(&err, "%0500d", 2);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
    (void)err_prefix(&err, "%0600d", 3);
    assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
}

static void names_codes(void **state)
{
    UNUSED(state);
    assert_string_equal(err_name(-ECONNREFUSED), "connection refused");
    assert_string_equal(err_name(-ERR_LIMIT), "limit reached");
    assert_string_equal(err_name(0), "no error");
    assert_string_equal(err_name(-99999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_code_and_sentence),
        cmocka_unit_test(cuts_long_text),
        cmocka_unit_test(names_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

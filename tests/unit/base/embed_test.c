/* base/embed.h: finding a file in a table. */
#include "base/embed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct embed table[] = {
    {"a.txt", (const unsigned char *)"one", 3},
    {"sub/b.txt", (const unsigned char *)"", 0},
    {NULL, NULL, 0},
};

static void test_find(void **state)
{
    (void)state;
    assert_ptr_equal(embed_find(table, "a.txt"), &table[0]);
    assert_ptr_equal(embed_find(table, "sub/b.txt"), &table[1]);
    assert_null(embed_find(table, "b.txt"));
    assert_null(embed_find(table, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

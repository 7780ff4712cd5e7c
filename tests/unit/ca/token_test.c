/* ca/token: what is made can be read, and nothing else can. */
#include "ca/token.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void test_made(void **state)
{
    (void)state;
    struct token a, b, read;
    char text[TOKEN_TEXT_BYTES], other[TOKEN_TEXT_BYTES];
    token_make(&a, text);
    token_make(&b, other);
    assert_string_not_equal(text, other);
    assert_string_not_equal(a.id, b.id);
    assert_true(token_parse(guard_copy(0, span_of(text)), &read));
    assert_string_equal(read.id, a.id);
    assert_memory_equal(read.hash, a.hash, sizeof(a.hash));
    assert_memory_not_equal(b.hash, a.hash, sizeof(a.hash));
    /* Cut anywhere it is none, or one with another hash. */
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        assert_false(token_parse(guard_copy(0, span_first(span_of(text), i)), &read));
    }
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"mesh1.abcdef.abcdefghijkmnpqrstuvwxyz23", true},
        {"mesh1.0123456789abcdef.abcdefghijkmnpqrstuvwxyz2345678901", true},
        {"mesh1.abcde.abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1.0123456789abcdefg.abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1.abcdef.abcdefghijkmnpqrstuvwxyz2", false},
        {"mesh2.abcdef.abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1.abcdef.abcdefghijkmnpqrstuvwxyz2.", false},
        {"mesh1.abcdeF.abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1.abc-ef.abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1..abcdefghijkmnpqrstuvwxyz23", false},
        {"mesh1.abcdef", false},
        {"mesh1", false},
        {"", false},
        {" mesh1.abcdef.abcdefghijkmnpqrstuvwxyz23", false},
    };
    struct token t;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (token_parse(guard_copy(0, span_of(cases[i].text)), &t) != cases[i].good) {
            fail_msg("'%s'", cases[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

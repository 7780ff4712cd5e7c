/* base/buf: never over the limit, bytes in order, memory kept and given back. */
#include "base/buf.c"

#include "base/rng.h"
#include "unit/cm.h"

static void stops_at_the_limit(void **state)
{
    UNUSED(state);
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "12345678", 8), 0);
    assert_int_equal(buf_append(&b, "abc", 3), -ERR_LIMIT);
    assert_int_equal(buf_printf(&b, "%d", 123), -ERR_LIMIT);
    assert_null(buf_reserve(&b, 3));
    assert_span(buf_span(&b), "12345678");
    assert_int_equal(buf_printf(&b, "%d", 90), 0);
    assert_span(buf_span(&b), "1234567890");
    assert_null(buf_cstr(&b));
    buf_consume(&b, 4);
    assert_string_equal(buf_cstr(&b), "567890");
    assert_int_equal(buf_append_byte(&b, 'x'), 0);
    assert_span(buf_span(&b), "567890x");
    buf_dispose(&b);
}

static void is_empty_at_first(void **state)
{
    UNUSED(state);
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(buf_len(&b), 0);
    assert_span(buf_span(&b), "");
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    buf_consume(&b, 0);
    buf_reset(&b);
    assert_string_equal(buf_cstr(&b), "");
    buf_release(&b);
    assert_int_equal(buf_append_span(&b, SPAN("again")), 0);
    assert_span(buf_span(&b), "again");
    buf_dispose(&b);
}

static void keeps_order_under_random_use(void **state)
{
    UNUSED(state);
    struct rng rng;
    struct buf b;
    rng_seed(&rng, 1);
    buf_init(&b, 1000);
    unsigned char in = 0;
    unsigned char out = 0;
    for (int i = 0; i < 20000; i++) {
        size_t len = rng_below(&rng, 200);
        if (rng_below(&rng, 2) == 0) {
            char bytes[200];
            for (size_t k = 0; k < len; k++) {
                bytes[k] = (char)(unsigned char)(in + k);
            }
            bool fits = len <= 1000 - buf_len(&b);
            assert_int_equal(buf_append(&b, bytes, len), fits ? 0 : -ERR_LIMIT);
            in = (unsigned char)(in + (fits ? len : 0));
        } else {
            len = size_min(len, buf_len(&b));
            for (size_t k = 0; k < len; k++) {
                assert_int_equal((unsigned char)buf_span(&b).at[k], (unsigned char)(out + k));
            }
            out = (unsigned char)(out + len);
            buf_consume(&b, len);
        }
        assert_true(b.room <= 1001);
    }
    buf_dispose(&b);
}

static void reserve_then_commit(void **state)
{
    UNUSED(state);
    struct buf b;
    buf_init(&b, 5000);
    char *to = buf_reserve(&b, 4000);
    assert_non_null(to);
    memcpy(to, "xyz", 3);
    buf_commit(&b, 3);
    assert_span(buf_span(&b), "xyz");
    buf_dispose(&b);
}

static void prints_across_growth(void **state)
{
    UNUSED(state);
    struct buf b;
    buf_init(&b, 100000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_printf(&b, "%04d", i), 0);
    }
    assert_int_equal(buf_len(&b), 4000);
    assert_span(span_from_offset(buf_span(&b), 3996), "0999");
    buf_dispose(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_at_the_limit),           cmocka_unit_test(is_empty_at_first),
        cmocka_unit_test(keeps_order_under_random_use), cmocka_unit_test(reserve_then_commit),
        cmocka_unit_test(prints_across_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

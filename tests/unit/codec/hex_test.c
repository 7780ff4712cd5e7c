/* codec/hex */
#include "codec/hex.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void goes_both_ways(void **state)
{
    UNUSED(state);
    char text[8];
    char bytes[4];
    assert_int_equal(hex_encode(guard_copy(0, SPAN("\x01\xab\xff")), text), 6);
    assert_span(span_from(text, 6), "01abff");
    assert_int_equal(hex_decode(guard_copy(0, SPAN("01ABff")), bytes), 3);
    assert_memory_equal(bytes, "\x01\xab\xff", 3);
    assert_int_equal(hex_decode(SPAN(""), bytes), 0);
    assert_int_equal(hex_decode(SPAN("0"), bytes), -ERR_PROTO);
    assert_int_equal(hex_decode(SPAN("0g"), bytes), -ERR_PROTO);
    for (int c = 0; c < 256; c++) {
        bool is_digit = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
        assert_int_equal(hex_digit((char)(unsigned char)c) >= 0, is_digit);
    }
}

static void puts_and_reads_numbers(void **state)
{
    UNUSED(state);
    char text[16];
    uint64_t value;
    hex_put_u64(0x0123456789abcdefU, 16, text);
    assert_span(span_from(text, 16), "0123456789abcdef");
    hex_put_u64(0xabc, 2, text);
    assert_span(span_from(text, 2), "bc");
    assert_true(hex_to_u64(SPAN("FFFFFFFFFFFFFFFF"), &value) && value == UINT64_MAX);
    assert_true(hex_to_u64(SPAN("0a"), &value) && value == 10);
    assert_false(hex_to_u64(SPAN("00000000000000001"), &value));
    assert_false(hex_to_u64(SPAN(""), &value));
    assert_false(hex_to_u64(SPAN("0x1"), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_both_ways),
        cmocka_unit_test(puts_and_reads_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* codec/base64: RFC 4648 section 10's examples in both alphabets, and what strictness refuses. */
#include "codec/base64.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void encodes_and_decodes(void **state)
{
    static const struct {
        const char *plain, *standard, *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const wants[] = {rows[i].standard, rows[i].url};
        for (int alphabet = 0; alphabet < 2; alphabet++) {
            enum base64_alphabet which = (enum base64_alphabet)alphabet;
            char text[16];
            char bytes[16];
            struct span plain = guard_copy(0, span_of(rows[i].plain));
            size_t len = base64_encode(which, plain, text);
            assert_int_equal(len, base64_encoded_len(which, plain.len));
            assert_span(span_from(text, len), wants[alphabet]);
            ssize_t back = base64_decode(which, guard_copy(1, span_from(text, len)), bytes);
            assert_int_equal(back, plain.len);
            assert_memory_equal(bytes, plain.at, plain.len);
        }
        char bytes[16];
        ssize_t padded = base64_decode(BASE64_URL, span_of(rows[i].url), bytes);
        assert_int_equal(padded, strlen(rows[i].plain));
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        bool standard, url; /* refused */
    } rows[] = {
        {"Zg", true, false},   {"Zg=", true, true},      {"Zg===", true, true},
        {"Z", true, true},     {"Z===", true, true},     {"====", true, true},
        {"=", true, true},     {"Zh==", true, true},     {"Zm9=", true, true},
        {"Zm 8=", true, true}, {"Zm8=\n", true, true},   {"+//+", false, true},
        {"-__-", true, false}, {"Zg==Zg==", true, true}, {"Zm\xff=", true, true},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char bytes[16];
        struct span text = guard_copy(0, span_of(rows[i].text));
        assert_int_equal(base64_decode(BASE64_STANDARD, text, bytes) < 0, rows[i].standard);
        assert_int_equal(base64_decode(BASE64_URL, text, bytes) < 0, rows[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

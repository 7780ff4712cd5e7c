/* codec/pem: blocks among other text, broken blocks, writing. */
#include "codec/pem.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

#define ONE "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\r\nBA \r\nUG\r\n-----END PRIVATE KEY-----"

static struct arena arena;

static void reads_bundles(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* labels and last bytes of the blocks, then ok or the message */
    } rows[] = {
        {"", "ok"},
        {"no block here\n", "ok"},
        {ONE, "CERTIFICATE:3 ok"},
        {"# root\n" ONE "\ntext\n" KEY, "CERTIFICATE:3 PRIVATE KEY:6 ok"},
        {"x-----BEGIN A-----\nAQID\n-----END A-----\n", "ok"}, /* not at the line's start */
        {"-----BEGIN A-----\nAQID\n-----END B-----\n", "pem: 'A' block has no END line"},
        {"-----BEGIN A-----\nAQID\n", "pem: 'A' block has no END line"},
        {"-----BEGIN A-----\nAQID\n-----BEGIN A-----\nAQID\n-----END A-----\n",
         "pem: 'A' block has no END line"},
        {"-----BEGIN A\tB-----\nAQID\n-----END A\tB-----\n", "pem: BEGIN line is broken"},
        {"-----BEGIN A\nAQID\n-----END A-----\n", "pem: BEGIN line is broken"},
        {"-----BEGIN A-----\nAQI\n-----END A-----\n", "pem: 'A' block is not base64"},
        {"-----BEGIN A-----\n-----END A-----\n", "pem: 'A' block is not base64"},
        {"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END A-----\n",
         "pem: 'A' block has headers; encrypted keys are not read"},
        {ONE "-----BEGIN A-----\n!\n-----END A-----\n",
         "CERTIFICATE:3 pem: 'A' block is not base64"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {.code = 0};
        struct pem_block block;
        struct span rest = guard_copy(0, span_of(rows[i].text));
        char got[256] = "";
        size_t len = 0;
        int answer;
        while ((answer = pem_next(&rest, &arena, &block, &err)) == 1) {
            len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s:%d ", SPAN_ARG(block.label),
                                    block.der.at[block.der.len - 1]);
            assert_true(span_starts(block.text, SPAN("-----BEGIN ")));
            assert_true(span_ends(block.text, SPAN("-----")));
        }
        assert_int_equal(answer, err.code);
        (void)snprintf(got + len, sizeof(got) - len, "%s", answer == 0 ? "ok" : err.text);
        assert_string_equal(got, rows[i].want);
    }
}

static void survives_any_cut(void **state)
{
    UNUSED(state);
    const struct span whole = SPAN(ONE KEY);
    for (size_t len = 0; len <= whole.len; len++) {
        struct span rest = guard_copy(0, span_first(whole, len));
        struct pem_block block;
        struct err err;
        while (pem_next(&rest, &arena, &block, &err) == 1) {
        }
    }
}

static void writes_lines_of_64(void **state)
{
    UNUSED(state);
    char bytes[49];
    struct buf out;
    struct pem_block block;
    memset(bytes, 0, sizeof(bytes));
    buf_init(&out, 1000);
    assert_int_equal(pem_write(SPAN("X"), span_from(bytes, sizeof(bytes)), &out), 0);
    assert_span(buf_span(&out), "-----BEGIN X-----\n"
                                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                                "AA==\n"
                                "-----END X-----\n");
    struct span rest = buf_span(&out);
    assert_int_equal(pem_next(&rest, &arena, &block, NULL), 1);
    assert_int_equal(block.der.len, 49);
    buf_dispose(&out);
    buf_init(&out, 40);
    assert_int_equal(pem_write(SPAN("X"), span_from(bytes, sizeof(bytes)), &out), -ERR_LIMIT);
    buf_dispose(&out);
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_bundles),
        cmocka_unit_test(survives_any_cut),
        cmocka_unit_test(writes_lines_of_64),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* gzip: what comes out is what went in, the same each time. */
#include "codec/gzip.c"

#include "unit/cm.h"

static void unpack(struct span packed, struct buf *to)
{
    z_stream z = {.next_in = (const unsigned char *)packed.at, .avail_in = (unsigned)packed.len};
    int step = inflateInit2(&z, GZIP_WINDOW);
    assert_int_equal(step, Z_OK);
    while (step != Z_STREAM_END) {
        char *room = buf_reserve(to, 4096);
        assert_non_null(room);
        z.next_out = (unsigned char *)room;
        z.avail_out = 4096;
        step = inflate(&z, Z_NO_FLUSH);
        assert_true(step == Z_OK || step == Z_STREAM_END);
        buf_commit(to, 4096 - z.avail_out);
    }
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(inflateEnd(&z), Z_OK);
}

static void test_round_trip(void **state)
{
    UNUSED(state);
    static const size_t sizes[] = {0, 1, 4095, 65536, 300000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf in, out, again, back;
        buf_init(&in, 1u << 20);
        buf_init(&out, 1u << 20);
        buf_init(&again, 1u << 20);
        buf_init(&back, 1u << 20);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(buf_append_byte(&in, (char)(j * j % 251)), 0);
        }
        assert_int_equal(gzip_pack(buf_span(&in), &out), 0);
        assert_int_equal(gzip_pack(buf_span(&in), &again), 0);
        assert_true(span_eq(buf_span(&out), buf_span(&again)));
        unpack(buf_span(&out), &back);
        assert_true(span_eq(buf_span(&in), buf_span(&back)));
        buf_dispose(&in);
        buf_dispose(&out);
        buf_dispose(&again);
        buf_dispose(&back);
    }
}

static void test_no_name_no_time(void **state)
{
    UNUSED(state);
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_int_equal(gzip_pack(SPAN("x"), &out), 0);
    assert_memory_equal(buf_span(&out).at, "\x1f\x8b\x08\0\0\0\0\0", 8);
    buf_dispose(&out);
}

static void test_full(void **state)
{
    UNUSED(state);
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(gzip_pack(SPAN("x"), &out), -ERR_LIMIT);
    buf_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_name_no_time),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Counting requests and their times. */
#include "sample/tally.c"

#include "base/mem.h"
#include "unit/cm.h"

/* Every time falls into a bucket whose middle is within 3 percent of it. */
static void test_buckets(void **state)
{
    UNUSED(state);
    size_t last = 0;
    for (uint64_t us = 0; us < 1000000000; us += us / 50 + 1) {
        size_t at = bucket_of(us);
        double off = bucket_us(at) - (double)us;
        assert_true(at >= last && at < TALLY_BUCKETS);
        if (off > (double)us * 0.03 + 0.5 || -off > (double)us * 0.03 + 0.5) {
            fail_msg("%lu us is shown as %f", us, bucket_us(at));
        }
        last = at;
    }
    assert_int_equal(bucket_of(UINT64_MAX), TALLY_BUCKETS - 1);
}

static void test_percentiles(void **state)
{
    struct tally *t = mem_new(struct tally);
    UNUSED(state);
    assert_true(tally_percentile_ms(t, 99) == 0);
    for (int64_t i = 1; i <= 1000; i++) {
        tally_ok(t, i * 1000);
    }
    assert_in_range((int)tally_percentile_ms(t, 50), 485, 515);
    assert_in_range((int)tally_percentile_ms(t, 99), 960, 1000);
    assert_in_range((int)tally_percentile_ms(t, 100), 970, 1000);
    mem_free(t);
}

static void test_line(void **state)
{
    struct tally *t = mem_new(struct tally);
    struct buf out;
    UNUSED(state);
    buf_init(&out, 4096);
    t->sent = 5;
    tally_ok(t, 10);
    tally_status(t, 503, 10);
    tally_status(t, 503, 10);
    tally_failed(t, TALLY_TIMEOUT);
    tally_failed(t, TALLY_CONNECT);
    assert_int_equal(tally_failures(t), 4);
    assert_int_equal(tally_line(t, &out), 0);
    assert_true(span_starts(buf_span(&out), SPAN("5 sent  1 ok  4 failed (503: 2, connect: 1, "
                                                 "timeout: 1)  p50 0.01 ms")));
    buf_dispose(&out);

    struct arena arena;
    arena_init(&arena, 1024);
    const struct doc_node *doc = tally_to_doc(t, 2.5, &arena);
    assert_int_equal(doc_path(doc, "errors.503")->integer, 2);
    assert_int_equal(doc_path(doc, "errors.timeout")->integer, 1);
    assert_int_equal(doc_get(doc, "failed")->integer, 4);
    assert_true(doc_get(doc, "p99Ms")->number > 0);
    arena_dispose(&arena);
    mem_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

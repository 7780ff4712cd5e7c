/* control/insight/insight_ring: what goes in comes out, and nothing more is kept than is asked for. */
#include "control/insight/insight_ring.c"

#include "unit/cm.h"

static void packs(void **state)
{
    UNUSED(state);
    struct insight_sum rows[4];
    memset(rows, 0, sizeof(rows));
    rows[1].fields[INSIGHT_REQUESTS] = 300;
    rows[1].buckets[3] = 1;
    rows[1].buckets[9] = 200;
    rows[2].fields[INSIGHT_RECEIVED] = UINT64_MAX;
    memset(&rows[3], 0xff, sizeof(rows[3]));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t bytes[RECORD_BYTES_MAX];
        size_t len = record_write(bytes, 7 + i, &rows[i]);
        assert_true(len <= sizeof(bytes));
        struct insight_sum got;
        uint64_t gap;
        assert_ptr_equal(record_read(bytes, &gap, &got), bytes + len);
        assert_int_equal(gap, 7 + i);
        assert_memory_equal(&got, &rows[i], sizeof(got));
    }
}

struct seen {
    uint64_t requests;
    size_t slots;
    int64_t last_s;
};

static void on_slot(void *arg, int64_t begin_s, const struct insight_sum *sum)
{
    struct seen *s = arg;
    assert_true(begin_s > s->last_s);
    s->last_s = begin_s;
    s->slots++;
    s->requests += sum->fields[INSIGHT_REQUESTS];
}

static void keeps(void **state)
{
    UNUSED(state);
    size_t bytes = 0;
    struct insight_ring *r = insight_ring_new(&bytes);
    struct insight_sum one = {.fields = {1}, .buckets = {0, 0, 0, 1}};
    int64_t t0 = 1700000040; /* a whole number of every slot */
    for (int64_t s = 0; s < 86400; s++) {
        insight_ring_add(r, t0 + s, &one);
    }
    static const struct {
        int level;
        int64_t back_s;
        size_t slots;
    } rows[] = {{0, 1, 1},      {0, 300, 300}, {1, 300, 30},
                {1, 7200, 720}, {2, 7200, 60}, {2, 86400, 720}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct seen seen = {0};
        insight_ring_each(r, rows[i].level, t0 + 86400 - rows[i].back_s, on_slot, &seen);
        assert_int_equal(seen.slots, rows[i].slots);
        assert_int_equal(seen.requests, rows[i].back_s);
    }
    print_message("a day at one request a second: %zu bytes\n", bytes);
    assert_true(bytes < 24000);
    /* A clock that steps back: the newest slot takes it. */
    insight_ring_add(r, t0, &one);
    struct seen seen = {0};
    insight_ring_each(r, 0, t0 + 86399, on_slot, &seen);
    assert_int_equal(seen.requests, 2);

    size_t had = bytes;
    assert_true(insight_ring_shed(r));
    assert_true(bytes < had);
    assert_false(insight_ring_expire(r, t0 + 86400));
    assert_false(insight_ring_expire(r, t0 + 90000 + 7200));
    assert_true(insight_ring_expire(r, t0 + 3 * 86400));
    assert_false(insight_ring_shed(r));
    insight_ring_free(r);
    assert_int_equal(bytes, 0);
}

static void quantiles(void **state)
{
    UNUSED(state);
    struct insight_sum s = {0};
    assert_true(insight_sum_quantile(&s, 0.5) < 0);
    s.buckets[0] = 10; /* up to 0.5 ms */
    assert_true(insight_sum_quantile(&s, 0.5) == 0.25);
    s.buckets[INSIGHT_BUCKETS - 1] = 90; /* over the last bound */
    assert_true(insight_sum_quantile(&s, 0.99) == insight_bounds[INSIGHT_BOUNDS - 1]);
    assert_true(insight_sum_quantile(&s, 0.1) == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs),
        cmocka_unit_test(keeps),
        cmocka_unit_test(quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

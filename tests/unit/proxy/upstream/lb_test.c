/* proxy/upstream/lb: who is picked, from a set that the test makes. */
#include "proxy/upstream/lb.c"

#include "unit/cm.h"

#define MOST 4

struct set {
    struct rng rng;
    struct upstream up;
    struct endpoint endpoints[MOST];
    struct endpoint *eligible[MOST];
    struct cluster cluster;
};

/* "5 1 1": weights. */
static void set_init(struct set *set, const char *weights, uint32_t choices)
{
    *set = (struct set){0};
    rng_seed(&set->rng, 7);
    set->up.rng = &set->rng;
    set->cluster = (struct cluster){.up = &set->up, .eligible = set->eligible, .choices = choices};
    struct span rest = span_of(weights);
    while (rest.at != NULL) {
        uint64_t weight = 0;
        assert_true(span_to_u64(span_cut(&rest, ' '), &weight));
        size_t i = set->cluster.eligible_count++;
        set->endpoints[i].weight = (uint32_t)weight;
        set->eligible[i] = &set->endpoints[i];
        set->cluster.weighted = set->cluster.weighted || weight != set->endpoints[0].weight;
    }
}

static char pick_name(struct set *set, enum conf_lb lb)
{
    struct cluster_want want = {0};
    return (char)('a' + (lb_ops_of(lb)->pick(&set->cluster, &want, 0) - set->endpoints));
}

static void turns(void **state)
{
    (void)state;
    static const struct {
        const char *weights, *picks;
    } rows[] = {
        {"1", "aaaa"},       {"1 1 1", "abcabcabc"},
        {"2 2", "abab"},     {"5 1 1", "aabacaaaabacaa"}, /* spread, not bunched */
        {"1 3", "babbbabb"}, {"128 1", "aaaaaaaa"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct set set;
        set_init(&set, rows[i].weights, 2);
        char picks[32] = "";
        for (size_t n = 0; rows[i].picks[n] != '\0'; n++) {
            picks[n] = pick_name(&set, CONF_LB_ROUND_ROBIN);
        }
        assert_string_equal(picks, rows[i].picks);
    }
}

static void turns_go_on_when_the_set_shrinks(void **state)
{
    (void)state;
    struct set set;
    set_init(&set, "1 1 1", 2);
    assert_int_equal(pick_name(&set, CONF_LB_ROUND_ROBIN), 'a');
    assert_int_equal(pick_name(&set, CONF_LB_ROUND_ROBIN), 'b');
    set.cluster.eligible_count = 1;
    assert_int_equal(pick_name(&set, CONF_LB_ROUND_ROBIN), 'a');
}

/* Of 1000 picks, how many are the first endpoint's. */
static unsigned share(const char *weights, enum conf_lb lb, uint32_t choices, uint32_t active_a,
                      uint32_t active_b)
{
    struct set set;
    set_init(&set, weights, choices);
    set.endpoints[0].active = active_a;
    set.endpoints[1].active = active_b;
    unsigned count = 0;
    for (int i = 0; i < 1000; i++) {
        count += pick_name(&set, lb) == 'a';
    }
    return count;
}

static void shares(void **state)
{
    (void)state;
    static const struct {
        const char *weights;
        enum conf_lb lb;
        uint32_t choices, active_a, active_b;
        unsigned least, most;
    } rows[] = {
        {"1 1", CONF_LB_RANDOM, 2, 0, 9, 450, 550}, /* load is nothing to it */
        {"1 1", CONF_LB_LEAST_REQUEST, 2, 0, 0, 450, 550},
        {"1 1", CONF_LB_LEAST_REQUEST, 2, 0, 1, 700,
         800}, /* three of four draws show the idle one */
        {"1 1", CONF_LB_LEAST_REQUEST, 4, 0, 1, 900, 970},
        {"1 1", CONF_LB_LEAST_REQUEST, 1, 0, 9, 450, 550},
        {"1 1", CONF_LB_LEAST_REQUEST, 2, 5, 0, 200, 300},
        {"4 1", CONF_LB_LEAST_REQUEST, 2, 2, 0, 700, 800}, /* (2 + 1) / 4 < (0 + 1) / 1 */
        {"4 1", CONF_LB_LEAST_REQUEST, 2, 9, 0, 200, 300},
        {"4294967295 1", CONF_LB_LEAST_REQUEST, 2, UINT32_MAX, 1, 700, 800},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned count =
            share(rows[i].weights, rows[i].lb, rows[i].choices, rows[i].active_a, rows[i].active_b);
        if (count < rows[i].least || count > rows[i].most) {
            print_error("row %zu: %u of 1000\n", i, count);
            fail();
        }
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(lb_ops_of(CONF_LB_LEAST_REQUEST)->name, "LEAST_REQUEST");
    assert_string_equal(lb_ops_of(CONF_LB_RANDOM)->name, "RANDOM");
    assert_string_equal(lb_ops_of(CONF_LB_RING_HASH)->name, "RING_HASH");
    assert_string_equal(lb_ops_of(CONF_LB_MAGLEV)->name, "MAGLEV");
    assert_string_equal(lb_ops_of(CONF_LB_CLUSTER_PROVIDED)->name, "ROUND_ROBIN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns),
        cmocka_unit_test(turns_go_on_when_the_set_shrinks),
        cmocka_unit_test(shares),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* proxy/upstream/lb_ring_hash: whose point on the ring comes next. */
#include "proxy/upstream/lb_ring_hash.c"

#include "unit/proxy/upstream/lb_help.h"

static const struct conf_hash usual = {.ring_min = 1024, .ring_max = 8388608};

/* Where Envoy puts six endpoints with two points each. */
static void places_points_as_envoy_does(void **state)
{
    (void)state;
    static const struct {
        uint64_t hash;
        size_t index;
    } ring[] = {
        {833437586790550860U, 4},   {928266305478181108U, 2},   {1033482794131418490U, 0},
        {3551244743356806947U, 5},  {3851675632748031481U, 3},  {5583722120771150861U, 1},
        {6311230543546372928U, 1},  {7700377290971790572U, 3},  {13144177310400110813U, 5},
        {13444792449719432967U, 2}, {15516499411664133160U, 4}, {16117243373044804889U, 0},
    };
    struct hash_set *set =
        hash_set_new(&(struct conf_hash){.ring_min = 12, .ring_max = 8388608}, 6);
    for (size_t i = 0; i < ARRAY_LEN(ring); i++) {
        size_t next = ring[(i + 1) % ARRAY_LEN(ring)].index;
        assert_int_equal(hash_set_pick(set, &lb_ring_hash, ring[i].hash, 0), ring[i].index);
        assert_int_equal(hash_set_pick(set, &lb_ring_hash, ring[i].hash + 1, 0), next);
        assert_int_equal(hash_set_pick(set, &lb_ring_hash, ring[i].hash, 1), next); /* a retry */
    }
    assert_int_equal(hash_set_pick(set, &lb_ring_hash, 0, 0), 4);
    assert_int_equal(hash_set_pick(set, &lb_ring_hash, UINT64_MAX, 0), 4);
    assert_int_equal(((struct ring *)set->cluster.lb_table)->count, 12);
    hash_set_free(set);
}

static void ring_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *weights;
        uint32_t min, max;
        size_t points, first; /* in all, and of the first endpoint */
    } rows[] = {
        {"1", 1024, 8388608, 1024, 1024},
        {"1 1 1", 1024, 8388608, 1026, 342}, /* a whole number each */
        {"2 1 1", 1024, 8388608, 1024, 512},
        {"3 1", 1024, 8388608, 1024, 768},
        {"1 1 1 1", 1024, 4, 4, 1},
        {"1 1 1 1", 4, 2, 2, 1}, /* not everybody has one */
        {"4294967295 1", 1, 1000, 1000, 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_hash conf = {.ring_min = rows[i].min, .ring_max = rows[i].max};
        struct hash_set *set = hash_set_new(&conf, 0);
        struct span rest = span_of(rows[i].weights);
        while (rest.at != NULL) {
            uint64_t weight = 0;
            size_t n = set->cluster.eligible_count++;
            assert_true(span_to_u64(span_cut(&rest, ' '), &weight));
            assert_int_equal(addr_parse(n == 0 ? SPAN("10.0.0.1:1") : SPAN("10.0.0.2:1"),
                                        &set->endpoints[n].addr, NULL),
                             0);
            set->endpoints[n].weight = (uint32_t)weight;
            set->eligible[n] = &set->endpoints[n];
        }
        (void)hash_set_pick(set, &lb_ring_hash, 1, 0);
        const struct ring *ring = set->cluster.lb_table;
        size_t first = 0;
        for (size_t n = 0; n < ring->count; n++) {
            first += ring->points[n].index == 0;
        }
        if (ring->count != rows[i].points || first != rows[i].first) {
            print_error("row %zu: %zu points, %zu of the first\n", i, ring->count, first);
            fail();
        }
        hash_set_free(set);
    }
}

static void shares(void **state)
{
    (void)state;
    size_t counts[HASH_MOST];
    struct hash_set *set = hash_set_new(&usual, 10);
    set->endpoints[0].weight = 5;
    hash_set_spread(set, &lb_ring_hash, 14000, counts);
    assert_in_range(counts[0], 4000, 6000);
    for (size_t i = 1; i < 10; i++) {
        assert_in_range(counts[i], 600, 1500);
    }
    hash_set_free(set);
}

/* The others get more points when there are fewer of them (114 in place of 103), so a little moves beside; on a ring of
 * nine everybody has one point, with one endpoint less too. */
static void who_leaves_takes_little_else(void **state)
{
    (void)state;
    hash_set_check_leaving(&lb_ring_hash, &usual, 10, 1000);
    hash_set_check_leaving(&lb_ring_hash, &(struct conf_hash){.ring_min = 9, .ring_max = 9000}, 10,
                           0);
}

static void hosts_may_be_known_by_name(void **state)
{
    (void)state;
    struct conf_hash conf = usual;
    conf.by_hostname = true;
    struct hash_set *named = hash_set_new(&conf, 3);
    struct hash_set *moved = hash_set_new(&conf, 3);
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        named->endpoints[i].hostname = moved->endpoints[i].hostname = span_of(names[i]);
        moved->endpoints[i].addr.port = (uint16_t)(1000 + i);
    }
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t hash = i * 0x123456789abcdefU;
        assert_int_equal(hash_set_pick(named, &lb_ring_hash, hash, 0),
                         hash_set_pick(moved, &lb_ring_hash, hash, 0));
    }
    hash_set_free(named);
    hash_set_free(moved);
}

static void without_a_hash_it_is_random(void **state)
{
    (void)state;
    struct hash_set *set = hash_set_new(&usual, 2);
    struct cluster_want want = {0};
    size_t first = 0;
    for (int i = 0; i < 1000; i++) {
        first += lb_ring_hash.pick(&set->cluster, &want, 0) == &set->endpoints[0];
    }
    assert_in_range(first, 350, 650);
    hash_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_points_as_envoy_does),
        cmocka_unit_test(ring_sizes),
        cmocka_unit_test(shares),
        cmocka_unit_test(who_leaves_takes_little_else),
        cmocka_unit_test(hosts_may_be_known_by_name),
        cmocka_unit_test(without_a_hash_it_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

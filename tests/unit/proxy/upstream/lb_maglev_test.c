/* proxy/upstream/lb_maglev: whose place in the table it is. */
#include "proxy/upstream/lb_maglev.c"

#include "unit/proxy/upstream/lb_help.h"

static const struct conf_hash usual = {.table_size = 65537};

/* Tables that Envoy makes of endpoints 127.0.0.1:90, :91 ... */
static void fills_the_table_as_envoy_does(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        size_t count;
        uint32_t second; /* weight of :91 */
        const char *places;
    } rows[] = {
        {7, 6, 1, "2401503"},
        {17, 2, 2, "10010110111110101"},
        {17, 2, 1, "10010110010100101"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hash_set *set =
            hash_set_new(&(struct conf_hash){.table_size = rows[i].size}, rows[i].count);
        set->endpoints[1].weight = rows[i].second;
        for (uint64_t hash = 0; hash < 3 * rows[i].size; hash++) {
            assert_int_equal(hash_set_pick(set, &lb_maglev, hash, 0) + '0',
                             rows[i].places[hash % rows[i].size]);
        }
        hash_set_free(set);
    }
}

static void the_order_of_endpoints_does_not_matter(void **state)
{
    (void)state;
    struct hash_set *set = hash_set_new(&usual, 6);
    struct hash_set *turned = hash_set_new(&usual, 6);
    for (size_t i = 0; i < 6; i++) {
        turned->eligible[i] = &turned->endpoints[5 - i];
    }
    for (uint64_t hash = 0; hash < usual.table_size; hash += 7) {
        assert_int_equal(hash_set_pick(set, &lb_maglev, hash, 0),
                         hash_set_pick(turned, &lb_maglev, hash, 0));
    }
    hash_set_free(set);
    hash_set_free(turned);
}

static void shares(void **state)
{
    (void)state;
    size_t counts[HASH_MOST];
    struct hash_set *set = hash_set_new(&usual, 10);
    set->endpoints[0].weight = 5;
    hash_set_spread(set, &lb_maglev, 14000, counts);
    assert_in_range(counts[0], 4800, 5200);
    for (size_t i = 1; i < 10; i++) {
        assert_in_range(counts[i], 900, 1100);
    }
    hash_set_free(set);
}

static void who_leaves_takes_little_else(void **state)
{
    (void)state;
    hash_set_check_leaving(&lb_maglev, &usual, 10, 300);
}

static void a_retry_looks_elsewhere(void **state)
{
    (void)state;
    struct hash_set *set = hash_set_new(&usual, 10);
    size_t other = 0;
    for (uint64_t hash = 0; hash < 1000; hash++) {
        other += hash_set_pick(set, &lb_maglev, hash, 0) != hash_set_pick(set, &lb_maglev, hash, 1);
    }
    assert_in_range(other, 800, 1000);
    hash_set_free(set);
}

/* A place is as wide as the number of endpoints needs. */
static void places_of_all_widths(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 2, 4};
    static const uint32_t values[] = {UINT8_MAX, UINT16_MAX, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        struct maglev *m = mem_zalloc(sizeof(*m) + 3 * widths[i]);
        m->width = widths[i];
        place_set(m, 1, values[i]);
        assert_int_equal(place_get(m, 0), 0);
        assert_int_equal(place_get(m, 1), values[i]);
        assert_int_equal(place_get(m, 2), 0);
        mem_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_table_as_envoy_does),
        cmocka_unit_test(the_order_of_endpoints_does_not_matter),
        cmocka_unit_test(shares),
        cmocka_unit_test(who_leaves_takes_little_else),
        cmocka_unit_test(a_retry_looks_elsewhere),
        cmocka_unit_test(places_of_all_widths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* base/map: against a plain array of what should be there. */
#include "base/map.c"

#include <stdio.h>

#include "base/rng.h"
#include "unit/cm.h"

#define NAMES 500

static char names[NAMES][8];

static struct span name(size_t i)
{
    return span_of(names[i]);
}

static int fill_names(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < NAMES; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
    }
    return 0;
}

static void agrees_with_an_array(void **state)
{
    UNUSED(state);
    char *want[NAMES] = {NULL};
    size_t count = 0;
    struct rng rng;
    struct map m;
    rng_seed(&rng, 7);
    map_init(&m);
    for (int i = 0; i < 50000; i++) {
        size_t k = rng_below(&rng, NAMES);
        char *value = names[rng_below(&rng, NAMES)];
        switch (rng_below(&rng, 3)) {
        case 0:
            assert_ptr_equal(map_put(&m, name(k), value), want[k]);
            count += want[k] == NULL;
            want[k] = value;
            break;
        case 1:
            assert_ptr_equal(map_remove(&m, name(k)), want[k]);
            count -= want[k] != NULL;
            want[k] = NULL;
            break;
        default:
            assert_ptr_equal(map_get(&m, name(k)), want[k]);
            break;
        }
        assert_int_equal(map_count(&m), count);
        assert_true(m.slots == NULL || m.mask + 1 <= 2048); /* tombs do not make it grow */
    }
    map_dispose(&m);
}

static void iterates_and_removes(void **state)
{
    UNUSED(state);
    struct map m;
    map_init(&m);
    assert_null(map_next(&m, NULL));
    assert_null(map_get(&m, SPAN("x")));
    assert_null(map_remove(&m, SPAN("x")));
    for (size_t i = 0; i < NAMES; i++) {
        assert_null(map_put(&m, name(i), names[i]));
    }
    size_t seen = 0;
    for (struct map_slot *s = NULL; (s = map_next(&m, s)) != NULL;) {
        assert_ptr_equal(s->key.at, s->value);
        seen++;
        if (seen % 2 == 0) {
            assert_ptr_equal(map_remove(&m, s->key), names[(char(*)[8])s->key.at - names]);
        }
    }
    assert_int_equal(seen, NAMES);
    assert_int_equal(map_count(&m), NAMES / 2);
    map_reset(&m);
    assert_int_equal(map_count(&m), 0);
    assert_null(map_get(&m, name(0)));
    assert_null(map_put(&m, SPAN_EMPTY, names[0])); /* the empty key is a key */
    assert_ptr_equal(map_get(&m, SPAN("")), names[0]);
    map_dispose(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(iterates_and_removes),
    };
    return cmocka_run_group_tests(tests, fill_names, NULL);
}

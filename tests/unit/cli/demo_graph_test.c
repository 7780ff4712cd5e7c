/* Made-up graphs: every service is reached, none calls back, the same seed draws the same. */
#include "cli/demo_graph.c"

#include "base/mem.h"
#include "unit/cm.h"

static void draw(struct demo_graph *g, unsigned count, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    demo_graph_draw(g, count, &rng);
}

static void test_shape(void **state)
{
    static const unsigned sizes[] = {1, 2, 3, 4, 7, 20, 50, DEMO_GRAPH_MAX};
    struct demo_graph *g = mem_new(struct demo_graph);
    UNUSED(state);
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            bool called[DEMO_GRAPH_MAX] = {true};
            unsigned calls = 0;
            draw(g, sizes[s], seed);
            for (unsigned i = 0; i < g->count; i++) {
                assert_true(g->counts[i] <= DEMO_GRAPH_CALLS);
                for (unsigned k = 0; k < g->counts[i]; k++) {
                    assert_true(g->calls[i][k] > i && g->calls[i][k] < g->count);
                    called[g->calls[i][k]] = true;
                    calls++;
                }
            }
            for (unsigned i = 0; i < g->count; i++) {
                assert_true(called[i]);
            }
            assert_in_range(calls, g->count - 1, 2 * g->count);
        }
    }
    mem_free(g);
}

static void test_seeds(void **state)
{
    struct demo_graph *a = mem_new(struct demo_graph);
    struct demo_graph *b = mem_new(struct demo_graph);
    UNUSED(state);
    draw(a, 50, 7);
    draw(b, 50, 7);
    assert_memory_equal(a, b, sizeof(*a));
    draw(b, 50, 8);
    assert_true(memcmp(a, b, sizeof(*a)) != 0);
    mem_free(a);
    mem_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

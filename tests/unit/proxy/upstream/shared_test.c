/* proxy/upstream/shared: counts that all workers see. */
#include "proxy/upstream/shared.c"

#include <pthread.h>

#include "unit/cm.h"

#define THREADS 4
#define ROUNDS 20000
#define LIMIT 3

static void slots_never_move(void **state)
{
    (void)state;
    static const uint32_t slots[] = {0, 1, 255, 256, 257, 70000, SHARED_SLOTS_MAX - 1};
    struct shared *s = shared_new();
    struct shared_cluster *seen[ARRAY_LEN(slots)];
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        seen[i] = shared_cluster_get(s, slots[i]);
        assert_non_null(seen[i]);
        seen[i]->pending = slots[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        assert_ptr_equal(shared_cluster_get(s, slots[i]), seen[i]);
        assert_int_equal(seen[i]->pending, slots[i]);
    }
    assert_null(shared_cluster_get(s, SHARED_SLOTS_MAX));
    assert_null(shared_cluster_get(s, UINT32_MAX));
    shared_free(s);
    shared_free(NULL);
}

static void places_are_limited(void **state)
{
    (void)state;
    _Atomic uint32_t count = 0;
    assert_false(shared_take(&count, 0));
    assert_true(shared_take(&count, 2));
    assert_true(shared_take(&count, 2));
    assert_false(shared_take(&count, 2));
    shared_force(&count);
    assert_int_equal(count, 3);
    shared_give(&count);
    assert_false(shared_take(&count, 2)); /* still as many as allowed */
    shared_give(&count);
    assert_true(shared_take(&count, 2));
}

static void *worker(void *arg)
{
    struct shared *s = arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct shared_cluster *c = shared_cluster_get(s, i % 1024);
        if (shared_take(&c->connections, LIMIT)) {
            ASSERT(c->connections <= LIMIT + THREADS - 1); /* checked, then taken */
            shared_give(&c->connections);
        }
    }
    return NULL;
}

static void workers_agree(void **state)
{
    (void)state;
    struct shared *s = shared_new();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, worker, s), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (uint32_t i = 0; i < 1024; i++) {
        assert_int_equal(shared_cluster_get(s, i)->connections, 0);
    }
    shared_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_never_move),
        cmocka_unit_test(places_are_limited),
        cmocka_unit_test(workers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

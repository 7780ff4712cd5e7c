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

static void connections_are_limited(void **state)
{
    UNUSED(state);
    struct shared *s = shared_new();
    struct ip a = ip_from_bytes("\x0a\0\0\1", 4);
    struct ip b = ip_from_bytes("\x0a\0\0\2", 4);
    uint64_t of_a[2], of_b, more;
    assert_int_equal(shared_enter(s, &a, &more), SHARED_ENTERED); /* no limit is set */
    shared_leave(s, more);
    shared_set_connections(s, 3, 2);
    assert_int_equal(shared_enter(s, &a, &of_a[0]), SHARED_ENTERED);
    assert_int_equal(shared_enter(s, &a, &of_a[1]), SHARED_ENTERED);
    assert_int_equal(shared_enter(s, &a, &more), SHARED_PEER_FULL);
    assert_int_equal(more, 0);
    assert_int_equal(shared_enter(s, &b, &of_b), SHARED_ENTERED);
    assert_int_equal(shared_enter(s, &b, &more), SHARED_FULL);
    assert_int_equal(shared_enter(s, NULL, &more), SHARED_FULL);
    shared_leave(s, 0);
    shared_leave(s, of_a[0]);
    assert_int_equal(shared_connections(s), 2);
    assert_int_equal(shared_enter(s, NULL, &more), SHARED_ENTERED); /* a unix socket is nobody's */
    shared_leave(s, more);
    assert_int_equal(shared_enter(s, &a, &of_a[0]), SHARED_ENTERED);
    shared_leave(s, of_a[0]);
    shared_leave(s, of_a[1]);
    shared_leave(s, of_b);
    assert_int_equal(shared_connections(s), 0);
    shared_free(s);
}

/* One /64 is one peer. */
static void a_network_is_one_peer(void **state)
{
    UNUSED(state);
    struct shared *s = shared_new();
    char bytes[16] = "\x20\x01\x0d\xb8";
    uint64_t first, more;
    shared_set_connections(s, 0, 1);
    struct ip ip = ip_from_bytes(bytes, 16);
    assert_int_equal(shared_enter(s, &ip, &first), SHARED_ENTERED);
    bytes[15] = 9;
    ip = ip_from_bytes(bytes, 16);
    assert_int_equal(shared_enter(s, &ip, &more), SHARED_PEER_FULL);
    bytes[7] = 9;
    ip = ip_from_bytes(bytes, 16);
    assert_int_equal(shared_enter(s, &ip, &more), SHARED_ENTERED);
    shared_leave(s, first);
    shared_leave(s, more);
    shared_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_never_move),      cmocka_unit_test(places_are_limited),
        cmocka_unit_test(workers_agree),         cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(a_network_is_one_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* base/arena: alignment, reuse, deferred calls, nothing left over. */
#include "base/arena.c"

#include "unit/cm.h"

static void aligns_and_clears(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 256);
    for (size_t bytes = 0; bytes < 600; bytes += 7) {
        (void)arena_bytes(&a, 1 + bytes % 3); /* puts the next one off its step */
        char *p = arena_zalloc(&a, bytes);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(p[i], 0);
            p[i] = 'x';
        }
    }
    arena_dispose(&a);
}

static void reset_allocates_nothing_new(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 1024);
    char *first = arena_alloc(&a, 100);
    (void)arena_alloc(&a, 5000); /* a block of its own */
    (void)arena_alloc(&a, 500);
    (void)arena_alloc(&a, 500); /* a second block */
    assert_int_equal(arena_used(&a), 6100);
    arena_reset(&a);
    assert_int_equal(arena_used(&a), 0);
    size_t live = mem_live_bytes();
    for (int round = 0; round < 3; round++) {
        char *again = arena_alloc(&a, 100);
        memset(again, round, 100);
        arena_reset(&a);
    }
    assert_int_equal(mem_live_bytes(), live);
    (void)first;
    arena_dispose(&a);
}

static void large_request_keeps_the_block_in_hand(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 1024);
    char *one = arena_bytes(&a, 10);
    (void)arena_bytes(&a, 4096);
    assert_ptr_equal(arena_bytes(&a, 1), one + 10);
    arena_dispose(&a);
    arena_init(&a, 1024);
    (void)arena_bytes(&a, 4096); /* as the first request of all */
    (void)arena_bytes(&a, 10);
    arena_dispose(&a);
}

static void uses_lent_memory_first(void **state)
{
    UNUSED(state);
    _Alignas(16) char lent[256];
    struct arena a;
    size_t live = mem_live_bytes();
    arena_init_in(&a, lent, sizeof(lent), 1024);
    char *p = arena_alloc(&a, 200);
    assert_ptr_equal(p, lent);
    assert_int_equal(mem_live_bytes(), live);
    (void)arena_alloc(&a, 200);
    assert_true(mem_live_bytes() > live);
    arena_reset(&a);
    assert_int_equal(mem_live_bytes(), live);
    assert_ptr_equal(arena_alloc(&a, 200), lent);
    arena_dispose(&a);
    lent[0] = 'x'; /* may be touched again */
}

struct calls {
    char order[8];
    size_t count;
};

static struct calls calls;

static void note(void *arg)
{
    calls.order[calls.count++] = *(const char *)arg;
}

static void runs_deferred_calls_newest_first(void **state)
{
    UNUSED(state);
    struct arena a;
    calls = (struct calls){.count = 0};
    arena_init(&a, 256);
    arena_defer(&a, note, arena_strdup(&a, "a"));
    arena_defer(&a, note, arena_strdup(&a, "b"));
    arena_reset(&a);
    assert_string_equal(calls.order, "ba");
    arena_defer(&a, note, arena_strdup(&a, "c"));
    arena_dispose(&a);
    assert_string_equal(calls.order, "bac");
}

static void copies_text(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 64);
    struct span copy = arena_dup(&a, SPAN("hello"));
    assert_span(copy, "hello");
    assert_int_equal(copy.at[5], '\0');
    assert_string_equal(arena_cstr(&a, SPAN_EMPTY), "");
    assert_string_equal(arena_strdup(&a, "x"), "x");
    assert_string_equal(arena_printf(&a, "%s-%0100d", "a", 7) + 100, "07");
    arena_dispose(&a);
}

static void leaves_nothing(void **state)
{
    UNUSED(state);
    size_t live = mem_live_bytes();
    struct arena a;
    arena_init(&a, 512);
    for (int i = 0; i < 100; i++) {
        (void)arena_array(&a, 10, 30);
    }
    arena_dispose(&a);
    assert_int_equal(mem_live_bytes(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligns_and_clears),
        cmocka_unit_test(reset_allocates_nothing_new),
        cmocka_unit_test(large_request_keeps_the_block_in_hand),
        cmocka_unit_test(uses_lent_memory_first),
        cmocka_unit_test(runs_deferred_calls_newest_first),
        cmocka_unit_test(copies_text),
        cmocka_unit_test(leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

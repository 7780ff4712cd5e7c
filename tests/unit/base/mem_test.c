/* base/mem: what is counted, and what is cleared. */
#include "base/mem.c"

#include <pthread.h>

#include "unit/cm.h"

static void counts_live_bytes(void **state)
{
    UNUSED(state);
    size_t before = mem_live_bytes();
    void *p = mem_alloc(1000);
    size_t with = mem_live_bytes();
    assert_true(with >= before + 1000);
    p = mem_realloc(p, 5000);
    assert_true(mem_live_bytes() >= before + 5000);
    mem_free(p);
    mem_free(NULL);
    assert_int_equal(mem_live_bytes(), before);
}

static void *free_it(void *p)
{
    mem_free(p);
    mem_flush();
    return NULL;
}

static void counts_across_threads(void **state)
{
    UNUSED(state);
    size_t before = mem_live_bytes();
    pthread_t thread;
    void *p = mem_alloc(MEM_COUNT_LUMP * 4);
    assert_int_equal(pthread_create(&thread, NULL, free_it, p), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(mem_live_bytes(), before);
}

static void clears_and_copies(void **state)
{
    UNUSED(state);
    char *zero = mem_zalloc(64);
    char *array = mem_array(16, 4);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(zero[i], 0);
        assert_int_equal(array[i], 0);
    }
    char *text = mem_strndup("hello world", 5);
    assert_string_equal(text, "hello");
    char *same = mem_strdup(text);
    assert_string_equal(same, "hello");
    mem_wipe(same, 5);
    assert_memory_equal(same, zero, 5);
    mem_free(zero);
    mem_free(array);
    mem_free(same);
    mem_free_secret(text, 5);
    mem_free_secret(NULL, 5);
    mem_free(mem_alloc(0));
    mem_free(mem_dup(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_live_bytes),
        cmocka_unit_test(counts_across_threads),
        cmocka_unit_test(clears_and_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

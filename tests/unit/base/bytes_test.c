/* The release's own memcpy and friends, under other names, beside those of this libc. */
#include <string.h>

#define BYTES_TEST
#define memcpy bytes_memcpy
#define memmove bytes_memmove
#define memset bytes_memset
#define memchr bytes_memchr
#define memcmp bytes_memcmp
void *bytes_memcpy(void *restrict to, const void *restrict from, size_t n);
void *bytes_memmove(void *to, const void *from, size_t n);
void *bytes_memset(void *to, int byte, size_t n);
void *bytes_memchr(const void *at, int byte, size_t n);
int bytes_memcmp(const void *a, const void *b, size_t n);
#include "base/bytes.c"
#undef memcpy
#undef memmove
#undef memset
#undef memchr
#undef memcmp
#include "unit/cm.h"
#include "unit/guard.h"

#ifdef __x86_64__
enum { ROOM = 640 };

static void fill(char *to, unsigned seed)
{
    for (size_t i = 0; i < ROOM; i++) {
        seed = seed * 1103515245u + 12345u;
        to[i] = (char)(seed >> 16);
    }
}

static void test_copies_each_length(void **state)
{
    UNUSED(state);
    char from[ROOM], ours[ROOM], theirs[ROOM];
    for (size_t n = 0; n <= 300; n++) {
        for (size_t at = 0; at < 17; at += 3) {
            fill(from, (unsigned)n);
            fill(ours, 7);
            fill(theirs, 7);
            assert_ptr_equal(bytes_memcpy(ours + at, from + 1, n), ours + at);
            memcpy(theirs + at, from + 1, n);
            assert_memory_equal(ours, theirs, ROOM);
        }
    }
}

static void test_moves_over_itself(void **state)
{
    UNUSED(state);
    char ours[ROOM], theirs[ROOM];
    for (size_t n = 0; n <= 300; n++) {
        for (int by = -130; by <= 130; by += 13) {
            fill(ours, (unsigned)n);
            fill(theirs, (unsigned)n);
            bytes_memmove(ours + 150 + by, ours + 150, n);
            memmove(theirs + 150 + by, theirs + 150, n);
            assert_memory_equal(ours, theirs, ROOM);
        }
    }
}

static void test_fills(void **state)
{
    UNUSED(state);
    char ours[ROOM], theirs[ROOM];
    for (size_t n = 0; n <= 100; n++) {
        fill(ours, 3);
        fill(theirs, 3);
        assert_ptr_equal(bytes_memset(ours + 5, 0x1c3, n), ours + 5);
        memset(theirs + 5, 0x1c3, n);
        assert_memory_equal(ours, theirs, ROOM);
    }
}

/* The first of several, none, one behind the end; at each place beside a page that can not be read. */
static void test_finds_up_to_the_end(void **state)
{
    UNUSED(state);
    for (size_t n = 0; n <= 70; n++) {
        char text[70];
        memset(text, 'a', sizeof(text));
        char *at = (char *)(uintptr_t)guard_copy(0, span_from(text, n)).at;
        assert_null(bytes_memchr(at, '\n', n));
        for (size_t i = n; i-- > 0;) {
            at[i] = (char)0xff;
            assert_ptr_equal(bytes_memchr(at, 0xff, n), at + i);
            assert_null(bytes_memchr(at, 0xff, i));
        }
    }
}

static void test_orders(void **state)
{
    UNUSED(state);
    char a[40], b[40];
    for (size_t n = 0; n <= sizeof(a); n++) {
        memset(a, 'm', sizeof(a));
        memset(b, 'm', sizeof(b));
        assert_int_equal(bytes_memcmp(a, b, n), 0);
        for (size_t i = 0; i < n; i++) {
            b[i] = (char)0xf0;
            assert_true(bytes_memcmp(a, b, n) < 0);
            assert_true(bytes_memcmp(b, a, n) > 0);
            b[i] = 'm';
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_each_length),
        cmocka_unit_test(test_moves_over_itself),
        cmocka_unit_test(test_fills),
        cmocka_unit_test(test_finds_up_to_the_end),
        cmocka_unit_test(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 0; /* the libc's own are used */
}
#endif

/* memcpy, memmove, memset, memchr and memcmp of the release. musl's are made for size: short copies begin with a `rep`
 * that costs more than the copy, and comparing goes byte by byte. A proxy moves names and values of a few bytes, dozens a
 * request; so these are short first, and in vectors of 16 bytes where those are a part of the architecture.
 * A static link takes them before those of libc.a. With glibc this file is empty: its own are as good. */
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#if defined(__x86_64__) && (!defined(__GLIBC__) || defined(BYTES_TEST))
#include <emmintrin.h>

#define PAGE_BYTES \
    4096u /* a read that begins in a page that is there, and stays in it, is allowed */

typedef uint64_t unaligned_u64 __attribute__((aligned(1)));
typedef uint32_t unaligned_u32 __attribute__((aligned(1)));
typedef uint16_t unaligned_u16 __attribute__((aligned(1)));

#define GET(type, at) (*(const unaligned_##type *)(const void *)(at))
#define PUT(type, at, value) (*(unaligned_##type *)(void *)(at) = (value))

static __m128i get(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static void put(char *at, __m128i value)
{
    _mm_storeu_si128((__m128i *)(void *)at, value);
}

/* Up to 16 bytes: two words that may overlap. Everything is read before anything is written. */
static void copy_few(char *to, const char *from, size_t n)
{
    if (n >= 8) {
        uint64_t first = GET(u64, from), last = GET(u64, from + n - 8);
        PUT(u64, to, first);
        PUT(u64, to + n - 8, last);
    } else if (n >= 4) {
        uint32_t first = GET(u32, from), last = GET(u32, from + n - 4);
        PUT(u32, to, first);
        PUT(u32, to + n - 4, last);
    } else if (n >= 2) {
        uint16_t first = GET(u16, from), last = GET(u16, from + n - 2);
        PUT(u16, to, first);
        PUT(u16, to + n - 2, last);
    } else if (n == 1) {
        *to = *from;
    }
}

/* Each round reads its 64 bytes before it writes them, and what remains for the end was read at first: so it is right for
 * parts that overlap, in the direction away from the overlap. */
static void copy_up(char *to, const char *from, size_t n)
{
    const char *tail = from + n - 64;
    __m128i t0 = get(tail), t1 = get(tail + 16), t2 = get(tail + 32), t3 = get(tail + 48);
    char *end = to + n - 64;
    for (; to < end; to += 64, from += 64) {
        __m128i a = get(from), b = get(from + 16), c = get(from + 32), d = get(from + 48);
        put(to, a);
        put(to + 16, b);
        put(to + 32, c);
        put(to + 48, d);
    }
    put(end, t0);
    put(end + 16, t1);
    put(end + 32, t2);
    put(end + 48, t3);
}

static void copy_down(char *to, const char *from, size_t n)
{
    __m128i h0 = get(from), h1 = get(from + 16), h2 = get(from + 32), h3 = get(from + 48);
    for (; n > 64; n -= 64) {
        const char *at = from + n - 64;
        __m128i a = get(at), b = get(at + 16), c = get(at + 32), d = get(at + 48);
        put(to + n - 64, a);
        put(to + n - 48, b);
        put(to + n - 32, c);
        put(to + n - 16, d);
    }
    put(to, h0);
    put(to + 16, h1);
    put(to + 32, h2);
    put(to + 48, h3);
}

void *memmove(void *dst, const void *src, size_t n)
{
    char *to = dst;
    const char *from = src;
    if (n <= 16) {
        copy_few(to, from, n);
    } else if (n <= 32) {
        __m128i first = get(from), last = get(from + n - 16);
        put(to, first);
        put(to + n - 16, last);
    } else if (n <= 64) {
        __m128i a = get(from), b = get(from + 16), c = get(from + n - 32), d = get(from + n - 16);
        put(to, a);
        put(to + 16, b);
        put(to + n - 32, c);
        put(to + n - 16, d);
    } else if ((uintptr_t)to - (uintptr_t)from >= n) {
        copy_up(to, from, n);
    } else {
        copy_down(to, from, n);
    }
    return dst;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    return memmove(dst, src, n);
}

void *memset(void *dst, int byte, size_t n)
{
    char *to = dst;
    uint64_t word = 0x0101010101010101u * (unsigned char)byte;
    if (n >= 16) {
        __m128i all = _mm_set1_epi8((char)byte);
        char *last = to + n - 16;
        for (; last - to >= 64; to += 64) {
            put(to, all);
            put(to + 16, all);
            put(to + 32, all);
            put(to + 48, all);
        }
        for (; to < last; to += 16) {
            put(to, all);
        }
        put(last, all);
    } else if (n >= 8) {
        PUT(u64, to, word);
        PUT(u64, to + n - 8, word);
    } else if (n >= 4) {
        PUT(u32, to, (uint32_t)word);
        PUT(u32, to + n - 4, (uint32_t)word);
    } else if (n >= 2) {
        PUT(u16, to, (uint16_t)word);
        PUT(u16, to + n - 2, (uint16_t)word);
    } else if (n == 1) {
        *to = (char)byte;
    }
    return dst;
}

static const char *hit_in(const char *at, __m128i wanted, size_t n)
{
    unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(get(at), wanted));
    if (n < 16) {
        hits &= (1u << n) - 1;
    }
    return hits != 0 ? at + __builtin_ctz(hits) : NULL;
}

void *memchr(const void *src, int byte, size_t n)
{
    const char *at = src;
    __m128i wanted = _mm_set1_epi8((char)byte);
    for (; n >= 16; n -= 16, at += 16) {
        const char *hit = hit_in(at, wanted, 16);
        if (hit != NULL) {
            return (void *)(uintptr_t)hit;
        }
    }
    if (n > 0 && ((uintptr_t)at & (PAGE_BYTES - 1)) <= PAGE_BYTES - 16) {
        return (void *)(uintptr_t)hit_in(at, wanted, n);
    }
    for (; n > 0; n--, at++) {
        if (*at == (char)byte) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}

static int order_of(uint64_t a, uint64_t b)
{
    a = __builtin_bswap64(a);
    b = __builtin_bswap64(b);
    return (a > b) - (a < b);
}

int memcmp(const void *one, const void *other, size_t n)
{
    const char *a = one;
    const char *b = other;
    for (; n >= 8; n -= 8, a += 8, b += 8) {
        if (GET(u64, a) != GET(u64, b)) {
            return order_of(GET(u64, a), GET(u64, b));
        }
    }
    for (; n > 0; n--, a++, b++) {
        if (*a != *b) {
            return (unsigned char)*a - (unsigned char)*b;
        }
    }
    return 0;
}
#endif

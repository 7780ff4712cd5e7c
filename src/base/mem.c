/* The heap: malloc that ends the process instead of failing, and a count of live bytes. Each thread
 * adds up its own changes and passes them on in lumps, so that threads do not fight over one cache
 * line at every allocation. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Atomic int64_t mem_total;         /* what threads have passed on */
static _Thread_local int64_t mem_pending; /* what this thread has not */

COLD static void mem_exhausted(size_t bytes) __attribute__((noreturn));

static void mem_exhausted(size_t bytes)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "mesh: out of memory, %zu bytes wanted\n", bytes);
    ssize_t done = write(STDERR_FILENO, text, (size_t)len);
    UNUSED(done); /* nothing better can be done when stderr is gone */
    _exit(71);    /* EX_OSERR */
}

static void mem_flush(void)
{
    atomic_fetch_add_explicit(&mem_total, mem_pending, memory_order_relaxed);
    mem_pending = 0;
}

static void mem_count(int64_t change)
{
    mem_pending += change;
    if (UNLIKELY(mem_pending > MEM_COUNT_LUMP || mem_pending < -MEM_COUNT_LUMP)) {
        mem_flush();
    }
}

static void *mem_counted(void *p, size_t bytes)
{
    if (UNLIKELY(p == NULL)) {
        mem_exhausted(bytes);
    }
    mem_count((int64_t)malloc_usable_size(p));
    return p;
}

void *mem_alloc(size_t bytes)
{
    return mem_counted(malloc(size_max(bytes, 1)), bytes);
}

void *mem_zalloc(size_t bytes)
{
    return mem_counted(calloc(1, size_max(bytes, 1)), bytes);
}

void *mem_realloc(void *old, size_t bytes)
{
    ASSERT(bytes > 0);
    int64_t before = old ? (int64_t)malloc_usable_size(old) : 0;
    void *p = realloc(old, bytes);
    if (UNLIKELY(p == NULL)) {
        mem_exhausted(bytes);
    }
    mem_count((int64_t)malloc_usable_size(p) - before);
    return p;
}

void *mem_dup(const void *from, size_t bytes)
{
    void *p = mem_alloc(bytes);
    if (bytes > 0) {
        memcpy(p, from, bytes);
    }
    return p;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}

char *mem_strndup(const char *text, size_t len)
{
    char *p = mem_alloc(len + 1);
    if (len > 0) {
        memcpy(p, text, len);
    }
    p[len] = '\0';
    return p;
}

void *mem_array(size_t count, size_t size)
{
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        mem_exhausted(SIZE_MAX);
    }
    return mem_zalloc(bytes);
}

void mem_free(void *p)
{
    if (p != NULL) {
        mem_count(-(int64_t)malloc_usable_size(p));
        free(p);
    }
}

void mem_free_secret(void *p, size_t bytes)
{
    if (p != NULL) {
        mem_wipe(p, bytes);
        mem_free(p);
    }
}

void mem_wipe(void *p, size_t bytes)
{
    if (bytes > 0) {
        explicit_bzero(p, bytes);
    }
}

size_t mem_live_bytes(void)
{
    mem_flush();
    int64_t total = atomic_load_explicit(&mem_total, memory_order_relaxed);
    return total > 0 ? (size_t)total : 0;
}

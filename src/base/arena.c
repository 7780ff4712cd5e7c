/* Bump memory in blocks. Under ASan, what is not handed out is poisoned, so that use after a reset and
 * use past a block's end are seen. */
#include "base/arena.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#define ARENA_ALIGN 16

struct arena_block {
    struct arena_block *next;
    size_t bytes; /* of data */
    _Alignas(ARENA_ALIGN) char data[];
};

struct arena_defer {
    struct arena_defer *next;
    void (*fn)(void *arg);
    void *arg;
};

void arena_init(struct arena *a, size_t block_bytes)
{
    arena_init_in(a, NULL, 0, block_bytes);
}

void arena_init_in(struct arena *a, void *first, size_t first_bytes, size_t block_bytes)
{
    ASSERT(block_bytes > 0);
    *a = (struct arena){.first = first, .first_bytes = first_bytes, .block_bytes = block_bytes};
    if (first != NULL) {
        a->at = first;
        a->end = a->at + first_bytes;
        ASAN_POISON_MEMORY_REGION(first, first_bytes);
    }
}

static struct arena_block *block_new(size_t bytes)
{
    struct arena_block *block = mem_alloc(sizeof(*block) + bytes);
    block->bytes = bytes;
    ASAN_POISON_MEMORY_REGION(block->data, bytes);
    return block;
}

static void block_free(struct arena_block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->bytes);
    mem_free(block);
}

/* A request that does not fit the current block: a new block, or, when large, a block of its own that
 * is put behind the current one, whose rest stays in use. */
static COLD char *arena_refill(struct arena *a, size_t bytes)
{
    if (bytes > a->block_bytes / 2) {
        struct arena_block *own = block_new(bytes);
        struct arena_block **place = a->blocks ? &a->blocks->next : &a->blocks;
        own->next = *place;
        *place = own;
        return own->data;
    }
    struct arena_block *block = block_new(a->block_bytes);
    block->next = a->blocks;
    a->blocks = block;
    a->at = block->data + bytes;
    a->end = block->data + block->bytes;
    return block->data;
}

/* Inlined into its two callers, for which the alignment is a constant. */
static inline char *arena_take(struct arena *a, size_t bytes, size_t align)
{
    size_t pad = -(uintptr_t)a->at & (align - 1);
    size_t left = (size_t)(a->end - a->at);
    char *p;
    if (LIKELY(a->at != NULL && pad <= left && bytes <= left - pad)) {
        p = a->at + pad;
        a->at = p + bytes;
    } else {
        p = arena_refill(a, bytes);
    }
    a->used_bytes += bytes;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    return arena_take(a, bytes, ARENA_ALIGN);
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    bool overflow = __builtin_mul_overflow(count, size, &bytes);
    ASSERT(!overflow);
    return arena_zalloc(a, bytes);
}

char *arena_bytes(struct arena *a, size_t bytes)
{
    return arena_take(a, bytes, 1);
}

char *arena_cstr(struct arena *a, struct span s)
{
    char *copy = arena_bytes(a, s.len + 1);
    return span_to_cstr(s, copy, s.len + 1);
}

struct span arena_dup(struct arena *a, struct span s)
{
    return span_from(arena_cstr(a, s), s.len);
}

char *arena_strdup(struct arena *a, const char *text)
{
    return arena_cstr(a, span_of(text));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *text = arena_bytes(a, (size_t)len + 1);
    va_start(args, fmt);
    len = vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    return text;
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_defer *defer = arena_new(a, struct arena_defer);
    *defer = (struct arena_defer){.next = a->defers, .fn = fn, .arg = arg};
    a->defers = defer;
}

size_t arena_used(const struct arena *a)
{
    return a->used_bytes;
}

/* A deferred call may itself defer: run until none is left. */
static void run_defers(struct arena *a)
{
    while (a->defers != NULL) {
        struct arena_defer *defer = a->defers;
        a->defers = defer->next;
        defer->fn(defer->arg);
    }
}

void arena_reset(struct arena *a)
{
    run_defers(a);
    struct arena_block *keep = NULL;
    struct arena_block *next;
    for (struct arena_block *block = a->blocks; block != NULL; block = next) {
        next = block->next;
        if (keep == NULL && a->first == NULL && block->bytes == a->block_bytes) {
            keep = block;
        } else {
            block_free(block);
        }
    }
    a->blocks = keep;
    a->used_bytes = 0;
    a->at = keep ? keep->data : a->first;
    size_t bytes = keep ? keep->bytes : a->first_bytes;
    a->end = a->at ? a->at + bytes : NULL;
    if (keep != NULL) {
        keep->next = NULL;
    }
    ASAN_POISON_MEMORY_REGION(a->at, bytes);
}

void arena_dispose(struct arena *a)
{
    run_defers(a);
    struct arena_block *next;
    for (struct arena_block *block = a->blocks; block != NULL; block = next) {
        next = block->next;
        block_free(block);
    }
    ASAN_UNPOISON_MEMORY_REGION(a->first, a->first_bytes);
    *a = (struct arena){.block_bytes = 0};
}

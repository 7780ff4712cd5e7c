#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/* Bump memory with one owner: many small things that die together (a request, a connection, a
 * snapshot, a parsed document). Not thread-safe. Reset keeps the first block, so a connection that is
 * kept alive allocates nothing for its next request. */
#include <stdarg.h>

#include "base/compiler.h"
#include "base/span.h"

struct arena_block;
struct arena_defer;

struct arena {
    /* private */
    char *at;
    char *end;
    struct arena_block *blocks; /* owned; newest first */
    struct arena_defer *defers; /* newest first; live in the arena itself */
    char *first;                /* borrowed first block given at init, or NULL */
    size_t first_bytes;
    size_t block_bytes;
    size_t used_bytes; /* handed out since the last reset */
};

/* `block_bytes`: how much to take from the heap at a time (larger requests get a block of their own).
 * Nothing is allocated until the first use. */
void arena_init(struct arena *a, size_t block_bytes);
/* As arena_init, with a first block that the caller lends for the arena's whole life. */
void arena_init_in(struct arena *a, void *first, size_t first_bytes, size_t block_bytes);
/* Aligned to 16 bytes; not cleared. Never NULL. */
NONNULL_RETURN void *arena_alloc(struct arena *a, size_t bytes);
NONNULL_RETURN void *arena_zalloc(struct arena *a, size_t bytes);
/* count * size, cleared; ends the process on overflow. */
NONNULL_RETURN void *arena_array(struct arena *a, size_t count, size_t size);
/* Byte-aligned, not cleared: for text. */
NONNULL_RETURN char *arena_bytes(struct arena *a, size_t bytes);
/* Copies; the copy is followed by a NUL that the length does not count. */
struct span arena_dup(struct arena *a, struct span s);
NONNULL_RETURN char *arena_strdup(struct arena *a, const char *text);
NONNULL_RETURN char *arena_cstr(struct arena *a, struct span s);
NONNULL_RETURN char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Calls fn(arg) at reset or dispose, newest first: for what holds an outside resource. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);
size_t arena_used(const struct arena *a);
/* Runs the deferred calls and forgets all memory; keeps one block for the next round. */
void arena_reset(struct arena *a);
/* Runs the deferred calls and gives everything back; arena_init again before the next use. */
void arena_dispose(struct arena *a);
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#endif

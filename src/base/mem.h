#ifndef BASE_MEM_H
#define BASE_MEM_H
/* The heap. Allocation never returns NULL: without memory the process ends with one line, so every
 * size that comes from outside is checked against a named limit before it gets here. Live bytes are
 * counted, so that tests can pin what a connection costs. Any thread. */
#include "base/compiler.h"

/* A thread passes its changes on when they exceed this, so the count of the others may lag by it. */
#define MEM_COUNT_LUMP 16384

NONNULL_RETURN void *mem_alloc(size_t bytes);
NONNULL_RETURN void *mem_zalloc(size_t bytes);
/* As realloc; `bytes` must not be 0. */
NONNULL_RETURN void *mem_realloc(void *old, size_t bytes);
NONNULL_RETURN void *mem_dup(const void *from, size_t bytes);
NONNULL_RETURN char *mem_strdup(const char *text);
NONNULL_RETURN char *mem_strndup(const char *text, size_t len);
/* count * size, cleared; ends the process on overflow. */
NONNULL_RETURN void *mem_array(size_t count, size_t size);
void mem_free(void *p);
/* Overwrites before freeing; for keys and tokens. */
void mem_free_secret(void *p, size_t bytes);
/* Overwrites in a way that the compiler may not remove. */
void mem_wipe(void *p, size_t bytes);
/* Bytes now allocated through this file, by all threads (usable sizes, as the allocator rounds): exact
 * for the calling thread, within MEM_COUNT_LUMP for each other one that lives or lived. */
size_t mem_live_bytes(void);
#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))
#endif

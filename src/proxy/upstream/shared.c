/* Counts behind circuit breakers, in chunks that are made once and never move: see shared.h. */
#include "proxy/upstream/shared.h"

#include "base/mem.h"

#define CHUNK_SLOTS 256

struct shared {
    _Atomic(struct shared_cluster *) chunks[SHARED_SLOTS_MAX / CHUNK_SLOTS];
};

struct shared *shared_new(void)
{
    return mem_new(struct shared);
}

void shared_free(struct shared *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(s->chunks); i++) {
        mem_free(atomic_load(&s->chunks[i]));
    }
    mem_free(s);
}

struct shared_cluster *shared_cluster_get(struct shared *s, uint32_t slot)
{
    if (slot >= SHARED_SLOTS_MAX) {
        return NULL;
    }
    _Atomic(struct shared_cluster *) *place = &s->chunks[slot / CHUNK_SLOTS];
    struct shared_cluster *chunk = atomic_load_explicit(place, memory_order_acquire);
    if (chunk == NULL) {
        struct shared_cluster *fresh = mem_zalloc(CHUNK_SLOTS * sizeof(*fresh));
        if (atomic_compare_exchange_strong(place, &chunk, fresh)) {
            chunk = fresh;
        } else {
            mem_free(fresh); /* another worker was first; `chunk` is its */
        }
    }
    return &chunk[slot % CHUNK_SLOTS];
}

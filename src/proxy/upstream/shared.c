/* Counts behind circuit breakers, in chunks that are made once and never move: see shared.h. */
#include "proxy/upstream/shared.h"

#include "base/hash.h"
#include "base/mem.h"

#define CHUNK_SLOTS 256
#define PEER_SLOTS 2048u /* a row; two rows are 16 KiB */

struct shared {
    _Atomic(struct shared_cluster *) chunks[SHARED_SLOTS_MAX / CHUNK_SLOTS];
    uint32_t max, peer_max; /* of connections; fixed once workers run */
    _Atomic uint32_t connections;
    _Atomic uint32_t *peers; /* owned: two rows, or NULL without peer_max */
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
    mem_free((void *)s->peers);
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

/* ---- connections of clients ---- */

void shared_set_connections(struct shared *s, uint32_t max, uint32_t peer_max)
{
    s->max = max;
    s->peer_max = peer_max;
    if (peer_max > 0 && s->peers == NULL) {
        s->peers = mem_zalloc(2 * PEER_SLOTS * sizeof(*s->peers));
    }
}

static _Atomic uint32_t *peer_place(struct shared *s, uint64_t ticket, unsigned row)
{
    return &s->peers[row * PEER_SLOTS + ((ticket >> (16 * row + 1)) & (PEER_SLOTS - 1))];
}

/* Odd, so that it is never the one of a connection that was not counted. */
static uint64_t ticket_of(const struct ip *peer)
{
    return hash_bytes(hash_process_key(), peer->bytes, peer->family == 6 ? 8 : 4) | 1;
}

static bool peer_is_full(struct shared *s, uint64_t ticket)
{
    for (unsigned row = 0; row < 2; row++) {
        if (atomic_load_explicit(peer_place(s, ticket, row), memory_order_relaxed) < s->peer_max) {
            return false;
        }
    }
    return true;
}

enum shared_entry shared_enter(struct shared *s, const struct ip *peer, uint64_t *ticket)
{
    *ticket = 0;
    uint64_t mine = s->peers != NULL && peer != NULL ? ticket_of(peer) : 2;
    if ((mine & 1) != 0 && peer_is_full(s, mine)) {
        return SHARED_PEER_FULL;
    }
    if (!shared_take(&s->connections, s->max > 0 ? s->max : UINT32_MAX)) {
        return SHARED_FULL;
    }
    for (unsigned row = 0; row < 2 && (mine & 1) != 0; row++) {
        shared_force(peer_place(s, mine, row));
    }
    *ticket = mine;
    return SHARED_ENTERED;
}

void shared_leave(struct shared *s, uint64_t ticket)
{
    if (ticket == 0) {
        return;
    }
    for (unsigned row = 0; row < 2 && (ticket & 1) != 0; row++) {
        shared_give(peer_place(s, ticket, row));
    }
    shared_give(&s->connections);
}

uint32_t shared_connections(const struct shared *s)
{
    return atomic_load_explicit(&s->connections, memory_order_relaxed);
}

uint32_t shared_connections_max(const struct shared *s)
{
    return s->max;
}

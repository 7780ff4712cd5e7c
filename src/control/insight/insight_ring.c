/* Sums over time, packed: see insight_ring.h.
 * A record: slots since the one before it (varint), a byte with a bit for each field that is not 0, those fields, and the
 * buckets from the first to the last that is not 0: how many (one byte), which is the first (one byte), their counts. */
#include "control/insight/insight_ring.h"

#include <string.h>

#include "base/mem.h"

const double insight_bounds[INSIGHT_BOUNDS] = {0.5,   1,      5,      10,      25,     50,    100,
                                               250,   500,    1000,   2500,    5000,   10000, 30000,
                                               60000, 300000, 600000, 1800000, 3600000};
const struct insight_level insight_levels[INSIGHT_LEVELS] = {
    {.slot_s = 1, .keep_s = 300},
    {.slot_s = 10, .keep_s = 7200},
    {.slot_s = 120, .keep_s = 86400},
};

#define VARINT_BYTES 10
#define RECORD_BYTES_MAX \
    (VARINT_BYTES + 1 + INSIGHT_FIELDS * VARINT_BYTES + 2 + INSIGHT_BUCKETS * VARINT_BYTES)
#define CHUNK_BYTES 480

struct insight_chunk {
    struct insight_chunk *next;
    int64_t first_slot, last_slot;
    uint16_t used;
    uint8_t bytes[CHUNK_BYTES - 26];
};
_Static_assert(RECORD_BYTES_MAX <= CHUNK_BYTES - 26, "a record fits a chunk");
_Static_assert(INSIGHT_FIELDS <= 8, "a byte says which fields are there");

/* ---- sums ---- */

void insight_sum_add(struct insight_sum *to, const struct insight_sum *from)
{
    for (size_t i = 0; i < INSIGHT_FIELDS; i++) {
        to->fields[i] += from->fields[i];
    }
    for (size_t i = 0; i < INSIGHT_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

bool insight_sum_is_empty(const struct insight_sum *s)
{
    static const struct insight_sum nothing;
    return memcmp(s, &nothing, sizeof(nothing)) == 0;
}

double insight_sum_quantile(const struct insight_sum *s, double q)
{
    uint64_t total = 0;
    for (size_t i = 0; i < INSIGHT_BUCKETS; i++) {
        total += s->buckets[i];
    }
    if (total == 0) {
        return -1;
    }
    double rank = q * (double)total;
    double below = 0;
    for (size_t i = 0; i < INSIGHT_BOUNDS; i++) {
        double here = (double)s->buckets[i];
        if (here > 0 && below + here >= rank) {
            double low = i == 0 ? 0 : insight_bounds[i - 1];
            return low + (insight_bounds[i] - low) * (rank - below) / here;
        }
        below += here;
    }
    return insight_bounds[INSIGHT_BOUNDS - 1];
}

int insight_level_for(int64_t window_s)
{
    int level = 0;
    while (level < INSIGHT_LEVELS - 1 && window_s > insight_levels[level].keep_s) {
        level++;
    }
    return level;
}

/* ---- records ---- */

static uint8_t *varint_put(uint8_t *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *to++ = (uint8_t)v;
    return to;
}

/* Only what varint_put wrote is read. */
static const uint8_t *varint_get(const uint8_t *at, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0;; shift += 7) {
        *v |= (uint64_t)(*at & 0x7f) << shift;
        if ((*at++ & 0x80) == 0) {
            return at;
        }
    }
}

static size_t record_write(uint8_t *to, uint64_t gap, const struct insight_sum *s)
{
    uint8_t *at = varint_put(to, gap);
    uint8_t *mask = at++;
    *mask = 0;
    for (size_t i = 0; i < INSIGHT_FIELDS; i++) {
        if (s->fields[i] != 0) {
            *mask |= (uint8_t)(1u << i);
            at = varint_put(at, s->fields[i]);
        }
    }
    size_t first = 0, end = INSIGHT_BUCKETS;
    while (first < end && s->buckets[first] == 0) {
        first++;
    }
    while (end > first && s->buckets[end - 1] == 0) {
        end--;
    }
    *at++ = (uint8_t)(end - first);
    if (end > first) {
        *at++ = (uint8_t)first;
    }
    for (size_t i = first; i < end; i++) {
        at = varint_put(at, s->buckets[i]);
    }
    return (size_t)(at - to);
}

static const uint8_t *record_read(const uint8_t *at, uint64_t *gap, struct insight_sum *s)
{
    memset(s, 0, sizeof(*s));
    at = varint_get(at, gap);
    uint8_t mask = *at++;
    for (size_t i = 0; i < INSIGHT_FIELDS; i++) {
        if ((mask & (1u << i)) != 0) {
            at = varint_get(at, &s->fields[i]);
        }
    }
    size_t count = *at++;
    size_t first = count > 0 ? *at++ : 0;
    for (size_t i = first; i < first + count; i++) {
        at = varint_get(at, &s->buckets[i]);
    }
    return at;
}

/* ---- rings ---- */

struct insight_ring *insight_ring_new(size_t *bytes)
{
    struct insight_ring *r = mem_new(struct insight_ring);
    r->bytes = bytes;
    *bytes += sizeof(*r);
    return r;
}

static void lane_drop_first(struct insight_ring *r, struct insight_lane *lane)
{
    *r->bytes -= sizeof(struct insight_chunk);
    struct insight_chunk *c = lane->first;
    lane->first = c->next;
    if (lane->first == NULL) {
        lane->last = NULL;
    }
    mem_free(c);
}

void insight_ring_free(struct insight_ring *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < INSIGHT_LEVELS; i++) {
        while (r->lanes[i].first != NULL) {
            lane_drop_first(r, &r->lanes[i]);
        }
    }
    *r->bytes -= sizeof(*r);
    mem_free(r);
}

static void lane_expire(struct insight_ring *r, struct insight_lane *lane,
                        const struct insight_level *level, int64_t now_s)
{
    int64_t oldest = (now_s - level->keep_s) / level->slot_s;
    while (lane->first != NULL && lane->first->last_slot < oldest) {
        lane_drop_first(r, lane);
    }
    if (lane->slot < oldest) {
        memset(&lane->open, 0, sizeof(lane->open));
    }
}

/* Packs the slot in hand away. */
static void lane_close(struct insight_ring *r, struct insight_lane *lane)
{
    if (insight_sum_is_empty(&lane->open)) {
        return;
    }
    struct insight_chunk *c = lane->last;
    uint8_t record[RECORD_BYTES_MAX];
    uint64_t gap = c != NULL ? (uint64_t)(lane->slot - c->last_slot) : 0;
    size_t len = record_write(record, gap, &lane->open);
    if (c == NULL || len > sizeof(c->bytes) - c->used) {
        c = mem_new(struct insight_chunk);
        *r->bytes += sizeof(*c);
        c->first_slot = lane->slot;
        if (lane->last != NULL) {
            lane->last->next = c;
        } else {
            lane->first = c;
        }
        lane->last = c;
        len = record_write(record, 0, &lane->open);
    }
    memcpy(c->bytes + c->used, record, len);
    c->used = (uint16_t)(c->used + len);
    c->last_slot = lane->slot;
    memset(&lane->open, 0, sizeof(lane->open));
}

void insight_ring_add(struct insight_ring *r, int64_t wall_s, const struct insight_sum *sum)
{
    for (size_t i = 0; i < INSIGHT_LEVELS; i++) {
        struct insight_lane *lane = &r->lanes[i];
        int64_t slot = wall_s / insight_levels[i].slot_s;
        if (slot > lane->slot) {
            lane_close(r, lane);
            lane->slot = slot;
            lane_expire(r, lane, &insight_levels[i], wall_s);
        }
        insight_sum_add(&lane->open, sum);
    }
}

void insight_ring_each(const struct insight_ring *r, int level, int64_t from_s,
                       void (*on_slot)(void *arg, int64_t begin_s, const struct insight_sum *sum),
                       void *arg)
{
    const struct insight_lane *lane = &r->lanes[level];
    int64_t slot_s = insight_levels[level].slot_s;
    struct insight_sum sum;
    for (const struct insight_chunk *c = lane->first; c != NULL; c = c->next) {
        if (c->last_slot * slot_s < from_s) {
            continue;
        }
        int64_t slot = c->first_slot;
        for (const uint8_t *at = c->bytes; at < c->bytes + c->used;) {
            uint64_t gap;
            at = record_read(at, &gap, &sum);
            slot += (int64_t)gap;
            if (slot * slot_s >= from_s) {
                on_slot(arg, slot * slot_s, &sum);
            }
        }
    }
    if (lane->slot * slot_s >= from_s && !insight_sum_is_empty(&lane->open)) {
        on_slot(arg, lane->slot * slot_s, &lane->open);
    }
}

bool insight_ring_expire(struct insight_ring *r, int64_t now_s)
{
    bool empty = true;
    for (size_t i = 0; i < INSIGHT_LEVELS; i++) {
        struct insight_lane *lane = &r->lanes[i];
        lane_expire(r, lane, &insight_levels[i], now_s);
        empty = empty && lane->first == NULL && insight_sum_is_empty(&lane->open);
    }
    return empty;
}

bool insight_ring_shed(struct insight_ring *r)
{
    for (size_t i = INSIGHT_LEVELS; i-- > 0;) {
        if (r->lanes[i].first != NULL) {
            lane_drop_first(r, &r->lanes[i]);
            return true;
        }
    }
    return false;
}

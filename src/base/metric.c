/* Metrics: families, and the shards in which each thread keeps its own series. A shard's map is private to
 * its owner; what the main thread reads is the append-only list of series beside it: a slot is
 * filled before `series_count` is raised (release), and never changes again. Values have one writer, so
 * plain relaxed loads and stores suffice. Writing them out is metric_write.c. */
#include "base/metric.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/metric_int.h"

#define SHARD_BLOCK_BYTES 4096
#define OVERFLOW_NAME "mesh_metric_overflow_total"
#define OVERFLOW_VALUE "overflow"

struct metric_registry *metric_registry_new(void)
{
    static const struct metric_family_spec overflow = {
        .name = OVERFLOW_NAME,
        .help = "Look-ups of a series that went to the overflow series of its family.",
        .kind = METRIC_COUNTER,
    };
    (void)hash_process_key(); /* drawn here, before other threads start */
    struct metric_registry *r = mem_new(struct metric_registry);
    arena_init(&r->arena, SHARD_BLOCK_BYTES);
    list_init(&r->shards);
    list_init(&r->families);
    r->overflow = metric_family_add(r, &overflow);
    return r;
}

void metric_registry_free(struct metric_registry *r)
{
    if (r == NULL) {
        return;
    }
    LIST_EACH(node, next, &r->shards) {
        struct metric_shard *shard = list_item(node, struct metric_shard, node);
        map_dispose(&shard->by_key);
        for (size_t i = 0; i < atomic_load(&shard->series_count); i++) {
            mem_free(shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK]->base);
            mem_free(shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK]->marked);
        }
        arena_dispose(&shard->arena);
        mem_free(shard);
    }
    arena_dispose(&r->arena);
    mem_free(r);
}

struct metric_family *metric_family_add(struct metric_registry *r,
                                        const struct metric_family_spec *spec)
{
    ASSERT(r->family_count < METRIC_FAMILIES_MAX);
    struct metric_family *family = arena_new(&r->arena, struct metric_family);
    family->spec = spec;
    family->index = r->family_count++;
    while (spec->labels != NULL && spec->labels[family->label_count] != NULL) {
        family->label_count++;
    }
    ASSERT(family->label_count <= METRIC_LABELS_MAX);
    ASSERT((spec->kind == METRIC_HISTOGRAM) == (spec->bucket_count > 0));
    list_push_back(&r->families, &family->node);
    return family;
}

struct metric_shard *metric_shard_new(struct metric_registry *r)
{
    struct metric_shard *shard = mem_new(struct metric_shard);
    shard->registry = r;
    arena_init(&shard->arena, SHARD_BLOCK_BYTES);
    map_init(&shard->by_key);
    list_push_back(&r->shards, &shard->node);
    return shard;
}

/* How much of it is plain ASCII, from the start. */
static size_t ascii_len(struct span s)
{
    size_t len = 0;
    for (uint64_t word; s.len - len >= sizeof(word); len += sizeof(word)) {
        memcpy(&word, s.at + len, sizeof(word));
        if ((word & 0x8080808080808080U) != 0) {
            break;
        }
    }
    while (len < s.len && (unsigned char)s.at[len] < 0x80) {
        len++;
    }
    return len;
}

/* Copies a label value, which may come from a peer: at most METRIC_VALUE_BYTES bytes, cut between
 * characters, with '?' for each byte that is not UTF-8. Returns the bytes written. */
static size_t value_copy(char *to, struct span value)
{
    size_t len = ascii_len(span_first(value, METRIC_VALUE_BYTES));
    if (len > 0) {
        memcpy(to, value.at, len);
    }
    value = span_from_offset(value, len);
    while (value.len > 0) {
        size_t step = span_utf8_char(value);
        if (len + size_max(step, 1) > METRIC_VALUE_BYTES) {
            break;
        }
        if (step == 0) {
            to[len] = '?';
            step = 1;
        } else {
            memcpy(to + len, value.at, step);
        }
        len += step;
        value = span_from_offset(value, step);
    }
    return len;
}

struct span metric_key(const struct metric_family *family, const struct span *values, char *to)
{
    memcpy(to, &family->index, sizeof(family->index));
    size_t len = sizeof(family->index);
    for (size_t i = 0; i < family->label_count; i++) {
        size_t value_len = value_copy(to + len + 1, values[i]);
        to[len] = (char)(unsigned char)value_len;
        len += 1 + value_len;
    }
    return span_from(to, len);
}

static struct metric_series *series_new(struct metric_shard *shard, struct metric_family *family,
                                        struct span key)
{
    size_t buckets = family->spec->bucket_count + (family->spec->kind == METRIC_HISTOGRAM);
    struct metric_series *s =
        arena_zalloc(&shard->arena, sizeof(*s) + buckets * sizeof(s->buckets[0]));
    s->family = family;
    s->key = arena_dup(&shard->arena, key);
    s->values = arena_array(&shard->arena, family->label_count, sizeof(s->values[0]));
    const char *at = s->key.at + sizeof(family->index);
    for (size_t i = 0; i < family->label_count; i++) {
        s->values[i] = span_from(at + 1, (unsigned char)*at);
        at += 1 + s->values[i].len;
    }
    return s;
}

static void shard_publish(struct metric_shard *shard, struct metric_series *s)
{
    size_t count = atomic_load_explicit(&shard->series_count, memory_order_relaxed);
    size_t chunk = count / METRIC_CHUNK;
    ASSERT(chunk < METRIC_CHUNKS);
    if (shard->chunks[chunk] == NULL) {
        shard->chunks[chunk] =
            arena_array(&shard->arena, METRIC_CHUNK, sizeof(struct metric_series *));
    }
    shard->chunks[chunk][count % METRIC_CHUNK] = s;
    atomic_store_explicit(&shard->series_count, count + 1, memory_order_release);
}

static struct metric_series *series_find_or_make(struct metric_shard *shard,
                                                 struct metric_family *family,
                                                 const struct span *values, bool is_overflow)
{
    char room[METRIC_KEY_BYTES];
    struct span key = metric_key(family, values, room);
    struct metric_series *s = map_get(&shard->by_key, key);
    if (s == NULL && (is_overflow || map_count(&shard->by_key) < METRIC_SERIES_MAX)) {
        s = series_new(shard, family, key);
        (void)map_put(&shard->by_key, s->key, s); /* there was none */
        shard_publish(shard, s);
    }
    return s;
}

struct metric_series *metric_series_get(struct metric_shard *shard, struct metric_family *family,
                                        const struct span *label_values)
{
    struct metric_series *s = series_find_or_make(shard, family, label_values, false);
    if (LIKELY(s != NULL)) {
        return s;
    }
    struct span folded[METRIC_LABELS_MAX];
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++) {
        folded[i] = SPAN(OVERFLOW_VALUE);
    }
    metric_add(series_find_or_make(shard, shard->registry->overflow, folded, true), 1);
    return series_find_or_make(shard, family, folded, true);
}

static void series_put(struct metric_series *s, uint64_t value)
{
    atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

static uint64_t series_read(struct metric_series *s)
{
    return atomic_load_explicit(&s->value, memory_order_relaxed);
}

void metric_add(struct metric_series *s, uint64_t n)
{
    series_put(s, series_read(s) + n);
}

void metric_gauge_set(struct metric_series *s, int64_t value)
{
    series_put(s, (uint64_t)value);
}

void metric_gauge_add(struct metric_series *s, int64_t delta)
{
    series_put(s, series_read(s) + (uint64_t)delta);
}

void metric_observe(struct metric_series *s, double value)
{
    const struct metric_family_spec *spec = s->family->spec;
    size_t i = 0;
    while (i < spec->bucket_count && value > spec->buckets[i]) {
        i++;
    }
    uint64_t hits = atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
    atomic_store_explicit(&s->buckets[i], hits + 1, memory_order_relaxed);
    double sum = atomic_load_explicit(&s->sum, memory_order_relaxed);
    atomic_store_explicit(&s->sum, sum + value, memory_order_relaxed);
    metric_add(s, 1);
}

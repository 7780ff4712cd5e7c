/* What grew in a metric registry since its reader last took it: the source of reports that tell deltas. Nothing is asked
 * of the threads that count. */
#include "base/mem.h"
#include "base/metric_int.h"

/* A histogram's growth; more buckets than this are not reported. */
#define BUCKETS_MAX 64

static size_t bucket_count(const struct metric_series *s)
{
    const struct metric_family_spec *spec = s->family->spec;
    return spec->kind == METRIC_HISTOGRAM ? spec->bucket_count + 1 : 0;
}

static bool growth_of(const struct metric_series *s, struct metric_sample *to, uint64_t *buckets)
{
    const struct metric_base *marked = s->marked;
    size_t count = bucket_count(s);
    *to = (struct metric_sample){
        .family = s->family->spec, .label_values = s->values, .buckets = buckets};
    uint64_t value =
        atomic_load_explicit(&s->value, memory_order_relaxed) - (marked ? marked->value : 0);
    if (count == 0) {
        to->value = (int64_t)value;
        return value != 0;
    }
    if (value == 0 || count > BUCKETS_MAX) {
        return false;
    }
    /* The count is taken from the buckets, so that the two agree while the owner is writing. */
    for (size_t i = 0; i < count; i++) {
        buckets[i] = atomic_load_explicit(&s->buckets[i], memory_order_relaxed) -
                     (marked ? marked->buckets[i] : 0);
        to->value += (int64_t)buckets[i];
    }
    to->sum = atomic_load_explicit(&s->sum, memory_order_relaxed) - (marked ? marked->sum : 0);
    return to->value != 0;
}

static bool is_wanted(const struct metric_series *s, const char *const *families)
{
    for (size_t i = 0; families[i] != NULL; i++) {
        if (strcmp(s->family->spec->name, families[i]) == 0) {
            return true;
        }
    }
    return false;
}

void metric_each_change(struct metric_registry *r, const char *const *families,
                        bool (*on_change)(void *arg, struct metric_series *series,
                                          const struct metric_sample *growth),
                        void *arg)
{
    const struct metric_family *last = NULL; /* series of one family often follow one another */
    bool wanted = false;
    LIST_EACH(node, next, &r->shards) {
        struct metric_shard *shard = list_item(node, struct metric_shard, node);
        size_t count = atomic_load_explicit(&shard->series_count, memory_order_acquire);
        for (size_t i = 0; i < count; i++) {
            struct metric_series *s = shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK];
            uint64_t buckets[BUCKETS_MAX];
            struct metric_sample growth;
            if (s->family != last) {
                last = s->family;
                wanted = is_wanted(s, families);
            }
            if (wanted && growth_of(s, &growth, buckets) && !on_change(arg, s, &growth)) {
                return;
            }
        }
    }
}

void metric_mark(struct metric_series *s, const struct metric_sample *growth)
{
    size_t count = bucket_count(s);
    if (s->marked == NULL) {
        s->marked = mem_zalloc(sizeof(*s->marked) + count * sizeof(uint64_t));
    }
    s->marked->value += (uint64_t)growth->value;
    s->marked->sum += growth->sum;
    for (size_t i = 0; i < count; i++) {
        s->marked->buckets[i] += growth->buckets[i];
    }
}

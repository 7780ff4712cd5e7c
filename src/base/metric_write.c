/* The reading side of metrics: sums over shards, and their text forms.
 * Prometheus: prometheus.io "exposition formats", text version 0.0.4. OpenMetrics: RFC draft
 * openmetrics 1.0, sections 4 and 5: counters are named without _total in # TYPE and with it in
 * samples, `le` values are canonical floats ("1.0"), and "# EOF" ends the text. A counter whose name
 * lacks _total has type "unknown" there, since the standard forbids the other. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric_int.h"

#define SUM_BLOCK_BYTES 16384

/* One series summed over shards. Lives in the arena of the reading, with its bucket array. */
struct sum {
    struct list node;
    struct metric_sample sample;
    uint64_t *buckets;
};

/* One reading of everything: per family a list of sums, in order of their first appearance. */
struct reading {
    struct arena arena;
    struct map by_key;
    struct list *families; /* heads, by family index */
};

static struct sum *sum_new(struct reading *reading, const struct metric_series *s)
{
    const struct metric_family_spec *spec = s->family->spec;
    struct sum *sum = arena_new(&reading->arena, struct sum);
    if (spec->kind == METRIC_HISTOGRAM) {
        sum->buckets = arena_array(&reading->arena, spec->bucket_count + 1, sizeof(uint64_t));
    }
    sum->sample =
        (struct metric_sample){.family = spec, .label_values = s->values, .buckets = sum->buckets};
    list_push_back(&reading->families[s->family->index], &sum->node);
    (void)map_put(&reading->by_key, s->key, sum); /* there was none */
    return sum;
}

static void sum_add(struct sum *sum, const struct metric_series *s)
{
    struct metric_sample *sample = &sum->sample;
    const struct metric_base *base = s->base;
    uint64_t value =
        atomic_load_explicit(&s->value, memory_order_relaxed) - (base ? base->value : 0);
    if (sum->buckets == NULL) {
        sample->value = (int64_t)((uint64_t)sample->value + value);
        return;
    }
    /* The count is taken from the buckets, so that the two agree while the owner is writing. */
    for (size_t i = 0; i <= s->family->spec->bucket_count; i++) {
        uint64_t hits = atomic_load_explicit(&s->buckets[i], memory_order_relaxed) -
                        (base ? base->buckets[i] : 0);
        sum->buckets[i] += hits;
        sample->value += (int64_t)hits;
    }
    sample->sum += atomic_load_explicit(&s->sum, memory_order_relaxed) - (base ? base->sum : 0);
}

static void reset_series(struct metric_series *s)
{
    const struct metric_family_spec *spec = s->family->spec;
    size_t buckets = spec->kind == METRIC_HISTOGRAM ? spec->bucket_count + 1 : 0;
    if (spec->kind == METRIC_GAUGE) {
        return;
    }
    if (s->base == NULL) {
        s->base = mem_alloc(sizeof(*s->base) + buckets * sizeof(uint64_t));
    }
    s->base->value = atomic_load_explicit(&s->value, memory_order_relaxed);
    s->base->sum = buckets > 0 ? atomic_load_explicit(&s->sum, memory_order_relaxed) : 0;
    for (size_t i = 0; i < buckets; i++) {
        s->base->buckets[i] = atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
    }
}

void metric_reset(struct metric_registry *r)
{
    LIST_EACH(node, next, &r->shards) {
        struct metric_shard *shard = list_item(node, struct metric_shard, node);
        size_t count = atomic_load_explicit(&shard->series_count, memory_order_acquire);
        for (size_t i = 0; i < count; i++) {
            reset_series(shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK]);
        }
    }
}

static void reading_take(struct reading *reading, struct metric_registry *r)
{
    arena_init(&reading->arena, SUM_BLOCK_BYTES);
    map_init(&reading->by_key);
    reading->families = arena_array(&reading->arena, r->family_count, sizeof(struct list));
    for (uint32_t i = 0; i < r->family_count; i++) {
        list_init(&reading->families[i]);
    }
    LIST_EACH(node, next, &r->shards) {
        struct metric_shard *shard = list_item(node, struct metric_shard, node);
        size_t count = atomic_load_explicit(&shard->series_count, memory_order_acquire);
        for (size_t i = 0; i < count; i++) {
            const struct metric_series *s = shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK];
            struct sum *sum = map_get(&reading->by_key, s->key);
            sum_add(sum ? sum : sum_new(reading, s), s);
        }
    }
}

static void reading_dispose(struct reading *reading)
{
    map_dispose(&reading->by_key);
    arena_dispose(&reading->arena);
}

void metric_each(struct metric_registry *r,
                 void (*on_series)(void *arg, const struct metric_sample *sample), void *arg)
{
    struct reading reading;
    reading_take(&reading, r);
    for (uint32_t i = 0; i < r->family_count; i++) {
        LIST_EACH(node, next, &reading.families[i]) {
            on_series(arg, &list_item(node, struct sum, node)->sample);
        }
    }
    reading_dispose(&reading);
}

static const struct metric_family *family_find(struct metric_registry *r, const char *name)
{
    LIST_EACH(node, next, &r->families) {
        const struct metric_family *family = list_item(node, struct metric_family, node);
        if (strcmp(family->spec->name, name) == 0) {
            return family;
        }
    }
    return NULL;
}

int64_t metric_read(struct metric_registry *r, const char *name, const struct span *label_values)
{
    char room[METRIC_KEY_BYTES];
    uint64_t total = 0;
    const struct metric_family *family = family_find(r, name);
    if (family == NULL) {
        return 0;
    }
    struct span key = metric_key(family, label_values, room);
    LIST_EACH(node, next, &r->shards) {
        struct metric_shard *shard = list_item(node, struct metric_shard, node);
        size_t count = atomic_load_explicit(&shard->series_count, memory_order_acquire);
        for (size_t i = 0; i < count; i++) {
            const struct metric_series *s = shard->chunks[i / METRIC_CHUNK][i % METRIC_CHUNK];
            if (span_eq(s->key, key)) {
                total += atomic_load_explicit(&s->value, memory_order_relaxed) -
                         (s->base ? s->base->value : 0);
            }
        }
    }
    return (int64_t)total;
}

/* Where text goes; once the buffer is full, further writes do nothing. */
struct sink {
    struct buf *out;
    bool canonical; /* OpenMetrics */
    int failed;
};

static void put(struct sink *to, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct sink *to, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(len >= 0 && (size_t)len < sizeof(text));
    to->failed = to->failed ? to->failed : buf_append(to->out, text, (size_t)len);
}

static void put_span(struct sink *to, struct span text)
{
    to->failed = to->failed ? to->failed : buf_append_span(to->out, text);
}

/* Text, with what the formats want escaped. */
static void put_escaped(struct sink *to, struct span text, bool quote_too)
{
    size_t done = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\n' || c == '\\' || (c == '"' && quote_too)) {
            put_span(to, span_from(text.at + done, i - done));
            put(to, "\\%c", c == '\n' ? 'n' : c);
            done = i + 1;
        }
    }
    put_span(to, span_from_offset(text, done));
}

/* The shortest decimal that reads back as the same number; canonical: with a point or an exponent. */
static void put_double(struct sink *to, double value)
{
    char text[32];
    if (isnan(value)) {
        put(to, "NaN");
        return;
    }
    if (isinf(value)) {
        put(to, value < 0 ? "-Inf" : "+Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    put(to, "%s%s", text, to->canonical && !strpbrk(text, ".e") ? ".0" : "");
}

/* name{a="x",b="y"} with `le` as a last label when given, and a blank. */
static void put_name(struct sink *to, const struct metric_sample *sample, const char *suffix,
                     const double *le)
{
    const char *const *labels = sample->family->labels;
    const char *open = "{";
    put_span(to, span_of(sample->family->name));
    put(to, "%s", suffix);
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i++) {
        put(to, "%s%s=\"", open, labels[i]);
        put_escaped(to, sample->label_values[i], true);
        put(to, "\"");
        open = ",";
    }
    if (le != NULL) {
        put(to, "%sle=\"", open);
        put_double(to, *le);
        put(to, "\"");
        open = ",";
    }
    put(to, *open == '{' ? " " : "} ");
}

static void put_histogram(struct sink *to, const struct metric_sample *sample)
{
    const struct metric_family_spec *spec = sample->family;
    uint64_t below = 0;
    for (size_t i = 0; i <= spec->bucket_count; i++) {
        double le = i < spec->bucket_count ? spec->buckets[i] : INFINITY;
        below += sample->buckets[i];
        put_name(to, sample, "_bucket", &le);
        put(to, "%llu\n", (unsigned long long)below);
    }
    put_name(to, sample, "_sum", NULL);
    put_double(to, sample->sum);
    put(to, "\n");
    put_name(to, sample, "_count", NULL);
    put(to, "%llu\n", (unsigned long long)below);
}

static void put_sample(struct sink *to, const struct metric_sample *sample)
{
    switch (sample->family->kind) {
    case METRIC_HISTOGRAM:
        put_histogram(to, sample);
        break;
    case METRIC_COUNTER:
        put_name(to, sample, "", NULL);
        put(to, "%llu\n", (unsigned long long)sample->value);
        break;
    case METRIC_GAUGE:
        put_name(to, sample, "", NULL);
        put(to, "%lld\n", (long long)sample->value);
        break;
    }
}

static void put_head(struct sink *to, const struct metric_family_spec *spec)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    struct span name = span_of(spec->name);
    const char *type = types[spec->kind];
    if (to->canonical && spec->kind == METRIC_COUNTER) {
        if (span_ends(name, SPAN("_total"))) {
            name.len -= strlen("_total");
        } else {
            type = "unknown";
        }
    }
    put(to, "# HELP %.*s ", SPAN_ARG(name));
    put_escaped(to, span_of(spec->help), to->canonical);
    put(to, "\n# TYPE %.*s %s\n", SPAN_ARG(name), type);
}

int metric_write(struct metric_registry *r, enum metric_format format, struct span prefix,
                 struct buf *out)
{
    struct sink to = {.out = out, .canonical = format == METRIC_OPENMETRICS};
    struct reading reading;
    reading_take(&reading, r);
    LIST_EACH(node, next, &r->families) {
        const struct metric_family *family = list_item(node, struct metric_family, node);
        struct list *sums = &reading.families[family->index];
        if (list_is_empty(sums) || !span_starts(span_of(family->spec->name), prefix)) {
            continue;
        }
        put_head(&to, family->spec);
        LIST_EACH(sum_node, sum_next, sums) {
            put_sample(&to, &list_item(sum_node, struct sum, node)->sample);
        }
    }
    if (to.canonical) {
        put_span(&to, SPAN("# EOF\n"));
    }
    reading_dispose(&reading);
    return to.failed;
}

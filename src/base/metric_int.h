#ifndef BASE_METRIC_INT_H
#define BASE_METRIC_INT_H
/* What metric.c (writing side) and metric_write.c (reading side) share. */
#include <stdatomic.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metric.h"

#define METRIC_FAMILIES_MAX 1024
#define METRIC_CHUNK 128
/* Every family may have an overflow series beyond METRIC_SERIES_MAX. */
#define METRIC_CHUNKS ((METRIC_SERIES_MAX + METRIC_FAMILIES_MAX) / METRIC_CHUNK + 1)

#define METRIC_VALUE_BYTES 255 /* one label value; longer ones are cut */
#define METRIC_KEY_BYTES (sizeof(uint32_t) + METRIC_LABELS_MAX * (1 + METRIC_VALUE_BYTES))

struct metric_family {
    const struct metric_family_spec *spec; /* borrowed, static */
    struct list node;
    size_t label_count;
    uint32_t index;
};

struct metric_registry {
    struct arena arena; /* owns the families */
    struct list families;
    struct list shards; /* owned */
    uint32_t family_count;
    struct metric_family *overflow;
};

struct metric_series {
    struct metric_family *family; /* borrowed from the registry */
    struct span key;              /* lives in the shard's arena, as all below */
    struct span *values;          /* one a label, inside `key` */
    struct metric_base *base;     /* main thread's alone: owned; NULL = never reset */
    struct metric_base *marked;   /* main thread's alone: owned; NULL = nothing yet (metric_mark) */
    _Atomic uint64_t value;       /* counter; gauge in two's complement; count of a histogram */
    _Atomic double sum;
    _Atomic uint64_t buckets[];
};

/* What a series held when it was reset, or has told its reader of: taken off when it is read. */
struct metric_base {
    uint64_t value;
    double sum;
    uint64_t buckets[];
};

struct metric_shard {
    struct list node;
    struct metric_registry *registry; /* borrowed: owns us */
    struct arena arena;               /* owner thread only */
    struct map by_key;                /* owner thread only */
    _Atomic size_t series_count;
    struct metric_series **chunks[METRIC_CHUNKS];
};

/* The key of a series: the family's index, then each value, made fit for export, with its length before
 * it; in `to` (METRIC_KEY_BYTES). */
struct span metric_key(const struct metric_family *family, const struct span *values, char *to);
#endif

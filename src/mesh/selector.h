#ifndef MESH_SELECTOR_H
#define MESH_SELECTOR_H
/* Label selectors as Kubernetes has them: matchLabels and matchExpressions, and the text form of the API's
 * labelSelector ("app=web,tier in (a, b),!legacy"). */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

struct label {
    struct span key;
    struct span value;
};

enum selector_op { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS, SELECTOR_ABSENT };

struct selector_term {
    struct span key;
    enum selector_op op;
    const struct span *values; /* IN, NOT_IN */
    size_t value_count;
};

/* All terms must hold; no terms select everything. */
struct selector {
    const struct selector_term *terms;
    size_t term_count;
};

/* Spans point into `text`, arrays into the arena. -ERR_CONFIG with the reason. */
MUST_USE int selector_parse(struct span text, struct arena *arena, struct selector *out,
                            struct err *err);
bool selector_matches(const struct selector *s, const struct label *labels, size_t count);
/* The value of a label; NULL `at` when absent. */
struct span selector_label(const struct label *labels, size_t count, struct span key);
#endif

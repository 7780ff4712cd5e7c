/* Items of an answer: ordering, filtering, finding one by name.
 * In: verbs. Out: the same lists, changed in place. */
#include <stdlib.h>

#include "cli/verb.h"

struct span item_text(const struct doc_node *item, const char *path)
{
    const struct doc_node *n = doc_path(item, path);
    return doc_is(n, DOC_TEXT) ? n->text : SPAN_EMPTY;
}

static int by_paths(const void *a, const void *b, void *paths)
{
    const struct doc_node *x = ((const struct doc_entry *)a)->value;
    const struct doc_node *y = ((const struct doc_entry *)b)->value;
    int order = 0;
    for (const char *const *path = paths; *path && order == 0; path++) {
        order = span_cmp(item_text(x, *path), item_text(y, *path));
    }
    return order;
}

void items_sort(struct doc_node *items, const char *const *paths)
{
    if (doc_count(items) > 1) {
        qsort_r(items->entries, items->count, sizeof *items->entries, by_paths, (void *)paths);
    }
}

void items_filter(struct doc_node *items,
                  bool (*keep)(const struct verb *v, const struct doc_node *item),
                  const struct verb *v)
{
    uint32_t kept = 0;
    for (size_t i = 0; i < doc_count(items); i++) {
        if (keep(v, doc_at(items, i))) {
            items->entries[kept++] = items->entries[i];
        }
    }
    if (items) {
        items->count = kept;
    }
}

bool item_is_called(const struct doc_node *item, struct span name)
{
    struct span workload = item_text(item, "workload");
    return span_starts(workload, name) || span_eq(item_text(item, "app"), name);
}

const struct doc_node *items_pick(struct verb *v, const struct doc_node *items, const char *key,
                                  const char *name, const char *what, const char *next)
{
    const struct doc_node *found = NULL;
    const char *candidates = "";
    size_t count = 0;
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *one = doc_at(items, i);
        struct span text = item_text(one, key);
        if (span_is(text, name)) {
            return one;
        }
        if (span_starts(text, span_of(name))) {
            found = one;
            candidates =
                arena_printf(&v->arena, "%s%s%.*s", candidates, count ? ", " : "", SPAN_ARG(text));
            count++;
        }
    }
    if (count > 1) {
        (void)verb_fail(v, EXIT_MISSING, 1010, NULL, "\"%s\" is the beginning of %zu names: %s",
                        name, count, candidates);
    } else if (count == 0) {
        (void)verb_fail(v, EXIT_MISSING, 1008, next, "there is no %s \"%s\"", what, name);
    }
    return count == 1 ? found : NULL;
}

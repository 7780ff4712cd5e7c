/* Taking injection back. In: the pod with its proxy, and without. Next: inject. */
#include "inject/pod_undo.h"

#include "inject/pod_merge.h"

#define WAS "$was"
#define MADE "$made"
#define DEPTH_MAX 16 /* levels that are compared; below, values are kept whole */

static struct doc_node *was(struct arena *arena, const struct doc_node *before)
{
    struct doc_node *out = doc_new_map(arena);
    doc_set(arena, out, WAS, doc_dup(arena, before));
    return out;
}

static bool is_entry(const struct doc_node *one, const char *key, const struct doc_node *name)
{
    return doc_is(one, DOC_MAP) && doc_is(name, DOC_TEXT) && doc_eq(doc_get(one, key), name);
}

static struct doc_node *entry_named(const struct doc_node *list, const char *key,
                                    const struct doc_node *name)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        if (is_entry(doc_at(list, i), key, name)) {
            return doc_at(list, i);
        }
    }
    return NULL;
}

/* All entries have names, each another, and those of `before` stand in `now` in the same order. */
static bool are_named(const struct doc_node *now, const struct doc_node *before, const char *key)
{
    size_t at = 0;
    for (size_t i = 0; i < doc_count(now); i++) {
        const struct doc_node *name = doc_get(doc_at(now, i), key);
        if (!doc_is(name, DOC_TEXT) || entry_named(now, key, name) != doc_at(now, i)) {
            return false;
        }
        at += is_entry(doc_at(before, at), key, name);
    }
    return at == doc_count(before);
}

static struct doc_node *compare(const struct doc_node *now, const struct doc_node *before,
                                struct span name, size_t depth, struct arena *arena);

static struct doc_node *compare_maps(const struct doc_node *now, const struct doc_node *before,
                                     size_t depth, struct arena *arena)
{
    struct doc_node *out = doc_new_map(arena);
    for (size_t i = 0; i < doc_count(now); i++) {
        struct span key = now->entries[i].key;
        struct doc_node *one =
            compare(now->entries[i].value, doc_get_span(before, key), key, depth + 1, arena);
        if (one) {
            doc_set_span(arena, out, key, one);
        }
    }
    for (size_t i = 0; i < doc_count(before); i++) {
        struct span key = before->entries[i].key;
        if (doc_get_span(now, key) == NULL) {
            doc_set_span(arena, out, key, was(arena, before->entries[i].value));
        }
    }
    return out;
}

static struct doc_node *compare_lists(const struct doc_node *now, const struct doc_node *before,
                                      const char *key, size_t depth, struct arena *arena)
{
    struct doc_node *out = doc_new_map(arena);
    for (size_t i = 0; i < doc_count(now); i++) {
        const struct doc_node *name = doc_get(doc_at(now, i), key);
        const struct doc_node *old = entry_named(before, key, name);
        struct doc_node *one =
            old ? compare(doc_at(now, i), old, SPAN_EMPTY, depth + 1, arena) : doc_null(arena);
        if (one) {
            doc_set_span(arena, out, name->text, one);
        }
    }
    return out;
}

/* What makes `before` of `now`; NULL when nothing has to. */
static struct doc_node *compare(const struct doc_node *now, const struct doc_node *before,
                                struct span name, size_t depth, struct arena *arena)
{
    /* Only lists and maps that others add to as well: those of metadata and spec. */
    bool shared = depth <= 2 && now->kind >= DOC_LIST;
    const char *key = pod_merge_key(name);
    struct doc_node *out;
    if (before == NULL && shared) {
        const struct doc_node *empty =
            now->kind == DOC_MAP ? doc_new_map(arena) : doc_new_list(arena);
        out = compare(now, empty, name, depth, arena);
        if (doc_is(out, DOC_MAP) && doc_get(out, WAS) == NULL) {
            doc_set(arena, out, MADE, doc_bool(arena, true));
            return out;
        }
    }
    if (before == NULL) {
        return doc_null(arena);
    }
    if (doc_eq(now, before)) {
        return NULL;
    }
    if (now->kind == DOC_MAP && before->kind == DOC_MAP && depth < DEPTH_MAX) {
        return compare_maps(now, before, depth, arena);
    }
    if (now->kind == DOC_LIST && before->kind == DOC_LIST && key && depth < DEPTH_MAX &&
        are_named(now, before, key)) {
        return compare_lists(now, before, key, depth, arena);
    }
    return was(arena, before);
}

struct doc_node *pod_undo_make(const struct doc_node *now, const struct doc_node *before,
                               struct arena *arena)
{
    static const char *const parts[] = {"metadata", "spec"};
    struct doc_node *out = doc_new_map(arena);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct doc_node *mine = doc_get(now, parts[i]);
        struct doc_node *one =
            mine ? compare(mine, doc_get(before, parts[i]), span_of(parts[i]), 1, arena) : NULL;
        if (one) {
            doc_set(arena, out, parts[i], one);
        }
    }
    return doc_count(out) > 0 ? out : NULL;
}

/* ---- back ---- */

static void apply(struct doc_node *node, const struct doc_node *undo, struct span name,
                  struct arena *arena);

/* True: it is to go. */
static bool apply_one(struct doc_node **value, const struct doc_node *undo, struct span name,
                      struct arena *arena)
{
    const struct doc_node *old = doc_get(undo, WAS);
    if (old) {
        *value = doc_dup(arena, old);
        return false;
    }
    if (undo->kind != DOC_MAP) {
        return *value != NULL;
    }
    if (*value == NULL || (*value)->kind < DOC_LIST) {
        return false;
    }
    apply(*value, undo, name, arena);
    return doc_get(undo, MADE) && doc_count(*value) == 0;
}

static void apply_to_map(struct doc_node *map, const struct doc_node *undo, struct arena *arena)
{
    for (size_t i = 0; i < doc_count(undo); i++) {
        struct span key = undo->entries[i].key;
        struct doc_node *value = doc_get_span(map, key), *old = value;
        if (span_is(key, MADE)) {
            continue;
        }
        if (apply_one(&value, undo->entries[i].value, key, arena)) {
            (void)doc_remove_span(map, key); /* it may have gone meanwhile */
        } else if (value != old) {
            doc_set_span(arena, map, key, value);
        }
    }
}

static void apply_to_list(struct doc_node *list, const struct doc_node *undo, const char *key,
                          struct arena *arena)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct doc_node *one = list->entries[i].value;
        const struct doc_node *name = doc_get(one, key);
        const struct doc_node *back =
            doc_is(name, DOC_TEXT) ? doc_get_span(undo, name->text) : NULL;
        if (!back || !apply_one(&one, back, SPAN_EMPTY, arena)) {
            list->entries[kept++].value = one;
        }
    }
    list->count = kept;
}

/* Undo that was made has at most DEPTH_MAX levels, and what was read as many as codec/doc allows. */
static void apply(struct doc_node *node, const struct doc_node *undo, struct span name,
                  struct arena *arena)
{
    const char *key = pod_merge_key(name);
    if (node->kind == DOC_MAP) {
        apply_to_map(node, undo, arena);
    } else if (key) {
        apply_to_list(node, undo, key, arena);
    }
}

void pod_undo_apply(struct doc_node *pod, const struct doc_node *undo, struct arena *arena)
{
    static const char *const parts[] = {"metadata", "spec"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct doc_node *value = doc_get(pod, parts[i]), *old = value;
        const struct doc_node *back = doc_get(undo, parts[i]);
        if (back == NULL) {
            continue;
        }
        if (apply_one(&value, back, span_of(parts[i]), arena)) {
            (void)doc_remove(pod, parts[i]); /* it is there */
        } else if (value != old) {
            doc_set(arena, pod, parts[i], value);
        }
    }
}

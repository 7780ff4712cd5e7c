/* The document tree: finding, building, changing. Entries of a list or map are an array that doubles; a
 * larger map has a hash table of positions beside it. Memory that is outgrown stays in the arena. */
#include "codec/doc.h"

#include "base/hash.h"
#include "codec/doc_int.h"

#define FIRST_ROOM 4
#define INDEX_FROM 16 /* entries from which a map is indexed */

/* --- the index: 2 * room slots with position + 1, or 0 --- */

static uint32_t *index_slot(const struct doc_node *map, struct span key)
{
    uint32_t mask = map->room * 2 - 1;
    uint32_t i = (uint32_t)hash_span(hash_process_key(), key) & mask;
    while (map->index[i] != 0 && !span_eq(map->entries[map->index[i] - 1].key, key)) {
        i = (i + 1) & mask;
    }
    return &map->index[i];
}

static void index_fill(struct doc_node *map)
{
    memset(map->index, 0, map->room * 2 * sizeof(map->index[0]));
    for (uint32_t i = 0; i < map->count; i++) {
        *index_slot(map, map->entries[i].key) = i + 1;
    }
}

static void make_room(struct arena *arena, struct doc_node *node)
{
    if (node->count < node->room) {
        return;
    }
    uint32_t room = node->room ? node->room * 2 : FIRST_ROOM;
    ASSERT(room > node->room);
    struct doc_entry *entries = arena_array(arena, room, sizeof(entries[0]));
    if (node->count > 0) {
        memcpy(entries, node->entries, node->count * sizeof(entries[0]));
    }
    node->entries = entries;
    node->room = room;
    if (node->kind == DOC_MAP && room > INDEX_FROM) {
        node->index = arena_array(arena, room * 2, sizeof(node->index[0]));
        index_fill(node);
    }
}

static struct doc_entry *find(const struct doc_node *map, struct span key)
{
    if (map == NULL || map->kind != DOC_MAP) {
        return NULL;
    }
    if (map->index != NULL) {
        uint32_t position = *index_slot(map, key);
        return position ? &map->entries[position - 1] : NULL;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        if (span_eq(map->entries[i].key, key)) {
            return &map->entries[i];
        }
    }
    return NULL;
}

bool doc_put_new(struct arena *arena, struct doc_node *map, struct span key, struct doc_node *value)
{
    if (find(map, key) != NULL) {
        return false;
    }
    make_room(arena, map);
    map->entries[map->count++] = (struct doc_entry){.key = key, .value = value};
    if (map->index != NULL) {
        *index_slot(map, key) = map->count;
    }
    return true;
}

/* --- reading --- */

struct doc_node *doc_get_span(const struct doc_node *map, struct span key)
{
    const struct doc_entry *entry = find(map, key);
    return entry ? entry->value : NULL;
}

struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
    return doc_get_span(map, span_of(key));
}

struct doc_node *doc_at(const struct doc_node *list, size_t i)
{
    return doc_is(list, DOC_LIST) && i < list->count ? list->entries[i].value : NULL;
}

struct doc_node *doc_path(const struct doc_node *node, const char *path)
{
    struct doc_node *found = NULL;
    for (struct span rest = span_of(path); rest.at != NULL; node = found) {
        struct span part = span_cut(&rest, '.');
        uint64_t position;
        if (doc_is(node, DOC_LIST)) {
            found = span_to_u64(part, &position) ? doc_at(node, position) : NULL;
        } else {
            found = doc_get_span(node, part);
        }
        if (found == NULL) {
            return NULL;
        }
    }
    return found;
}

static bool entries_eq(const struct doc_node *a, const struct doc_node *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const struct doc_entry *entry = &a->entries[i];
        const struct doc_node *other =
            a->kind == DOC_MAP ? doc_get_span(b, entry->key) : doc_at(b, i);
        if (!doc_eq(entry->value, other)) {
            return false;
        }
    }
    return a->count == b->count;
}

static bool is_number(const struct doc_node *node)
{
    return node->kind == DOC_INT || node->kind == DOC_DOUBLE;
}

static double number_of(const struct doc_node *node)
{
    return node->kind == DOC_INT ? (double)node->integer : node->number;
}

bool doc_eq(const struct doc_node *a, const struct doc_node *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (a->kind != b->kind) {
        return is_number(a) && is_number(b) && number_of(a) == number_of(b);
    }
    switch (a->kind) {
    case DOC_NULL:
        return true;
    case DOC_BOOL:
        return a->boolean == b->boolean;
    case DOC_INT:
        return a->integer == b->integer;
    case DOC_DOUBLE:
        return a->number == b->number;
    case DOC_TEXT:
        return span_eq(a->text, b->text);
    case DOC_LIST:
    case DOC_MAP:
        return entries_eq(a, b);
    }
    return false;
}

/* --- building --- */

struct doc_node *doc_node_new(struct arena *arena, enum doc_kind kind, const char *file,
                              uint32_t line)
{
    struct doc_node *node = arena_new(arena, struct doc_node);
    node->kind = kind;
    node->file = file;
    node->line = line;
    return node;
}

static struct doc_node *made(struct arena *arena, enum doc_kind kind)
{
    return doc_node_new(arena, kind, NULL, 0);
}

struct doc_node *doc_new_map(struct arena *arena)
{
    return made(arena, DOC_MAP);
}

struct doc_node *doc_new_list(struct arena *arena)
{
    return made(arena, DOC_LIST);
}

struct doc_node *doc_null(struct arena *arena)
{
    return made(arena, DOC_NULL);
}

struct doc_node *doc_bool(struct arena *arena, bool value)
{
    struct doc_node *node = made(arena, DOC_BOOL);
    node->boolean = value;
    return node;
}

struct doc_node *doc_int(struct arena *arena, int64_t value)
{
    struct doc_node *node = made(arena, DOC_INT);
    node->integer = value;
    return node;
}

struct doc_node *doc_double(struct arena *arena, double value)
{
    struct doc_node *node = made(arena, DOC_DOUBLE);
    node->number = value;
    return node;
}

struct doc_node *doc_text(struct arena *arena, struct span value)
{
    struct doc_node *node = made(arena, DOC_TEXT);
    node->text = arena_dup(arena, value);
    return node;
}

struct doc_node *doc_cstr(struct arena *arena, const char *value)
{
    return doc_text(arena, span_of(value));
}

struct doc_node *doc_dup(struct arena *arena, const struct doc_node *node)
{
    struct doc_node *copy = made(arena, node->kind);
    if (node->kind == DOC_TEXT) {
        *copy = *node;
        copy->text = arena_dup(arena, node->text);
        return copy;
    }
    if (node->kind < DOC_TEXT) {
        *copy = *node;
        return copy;
    }
    copy->file = node->file;
    copy->line = node->line;
    for (uint32_t i = 0; i < node->count; i++) {
        struct doc_node *value = doc_dup(arena, node->entries[i].value);
        if (node->kind == DOC_MAP) {
            doc_set_span(arena, copy, node->entries[i].key, value);
        } else {
            doc_list_add(arena, copy, value);
        }
    }
    return copy;
}

struct doc_node *doc_set_span(struct arena *arena, struct doc_node *map, struct span key,
                              struct doc_node *value)
{
    ASSERT(map->kind == DOC_MAP);
    struct doc_entry *entry = find(map, key);
    if (entry != NULL) {
        entry->value = value;
    } else {
        (void)doc_put_new(arena, map, arena_dup(arena, key), value); /* is new */
    }
    return value;
}

struct doc_node *doc_set(struct arena *arena, struct doc_node *map, const char *key,
                         struct doc_node *value)
{
    return doc_set_span(arena, map, span_of(key), value);
}

struct doc_node *doc_set_text(struct arena *arena, struct doc_node *map, const char *key,
                              struct span value)
{
    return doc_set(arena, map, key, doc_text(arena, value));
}

struct doc_node *doc_list_add(struct arena *arena, struct doc_node *list, struct doc_node *value)
{
    ASSERT(list->kind == DOC_LIST);
    make_room(arena, list);
    list->entries[list->count++] = (struct doc_entry){.value = value};
    return value;
}

bool doc_remove(struct doc_node *map, const char *key)
{
    return doc_remove_span(map, span_of(key));
}

bool doc_remove_span(struct doc_node *map, struct span key)
{
    struct doc_entry *entry = find(map, key);
    if (entry == NULL) {
        return false;
    }
    size_t behind = (size_t)(map->entries + map->count - entry) - 1;
    memmove(entry, entry + 1, behind * sizeof(*entry));
    map->count--;
    if (map->index != NULL) {
        index_fill(map);
    }
    return true;
}

static struct doc_node *member_in(struct arena *arena, struct doc_node *map, const char *key,
                                  enum doc_kind kind)
{
    struct doc_node *node = doc_get(map, key);
    return doc_is(node, kind) ? node : doc_set(arena, map, key, made(arena, kind));
}

struct doc_node *doc_map_in(struct arena *arena, struct doc_node *map, const char *key)
{
    return member_in(arena, map, key, DOC_MAP);
}

struct doc_node *doc_list_in(struct arena *arena, struct doc_node *map, const char *key)
{
    return member_in(arena, map, key, DOC_LIST);
}

#ifndef CODEC_DOC_H
#define CODEC_DOC_H
/* One document tree for JSON (by yyjson) and YAML (by libyaml), each node with the file and line it came
 * from, so that messages can say where. Nodes live in the arena and are plain to read; build and
 * change them with the functions below.
 *
 * YAML is read as Kubernetes reads it (sigs.k8s.io/yaml): plain yes, no, on, off, y and n ARE booleans as
 * in YAML 1.1; 0644 and 0o644 are octal, 0x and 0b too, 1_000 is 1000; time stamps stay text; keys are text
 * as written; .inf and .nan are refused as JSON has none; `<<` merges maps. Duplicate keys are refused in both
 * forms. An alias shares its node, and counts towards the limits as often as it is used. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define DOC_DEPTH_MAX 64           /* levels of lists and maps */
#define DOC_NODES_MAX 2000000      /* of all documents of one text, aliases expanded */
#define DOC_BYTES_MAX (64UL << 20) /* of one text */
#define DOC_ANCHORS_MAX 1000       /* of one YAML document */

enum doc_kind { DOC_NULL, DOC_BOOL, DOC_INT, DOC_DOUBLE, DOC_TEXT, DOC_LIST, DOC_MAP };

struct doc_node;

struct doc_entry {
    struct span key; /* empty in a list */
    struct doc_node *value;
};

struct doc_node {
    enum doc_kind kind;
    uint32_t line;    /* from 1; 0 = not from a text */
    const char *file; /* NULL = not from a text */
    union {
        bool boolean;
        int64_t integer;
        double number; /* also whole numbers beyond int64_t */
        struct span text;
        struct {
            struct doc_entry *entries; /* in the order of the text */
            uint32_t *index;           /* private: hash table over larger maps */
            uint32_t count;
            uint32_t room; /* private */
        };
    };
};

/* The whole text is one value. -ERR_CONFIG: "file:line: reason"; -ERR_LIMIT the same with the limit. */
MUST_USE int doc_parse_json(struct arena *arena, struct span text, const char *file,
                            struct doc_node **out, struct err *err);
/* One document; further ones are refused. An empty text is DOC_NULL. */
MUST_USE int doc_parse_yaml(struct arena *arena, struct span text, const char *file,
                            struct doc_node **out, struct err *err);
/* Every document of the text, as a list; empty ones (between two `---`) are left out. */
MUST_USE int doc_parse_yaml_all(struct arena *arena, struct span text, const char *file,
                                struct doc_node **out, struct err *err);

/* --- reading; all of these accept NULL and other kinds, and then answer NULL --- */

struct doc_node *doc_get(const struct doc_node *map, const char *key);
struct doc_node *doc_get_span(const struct doc_node *map, struct span key);
struct doc_node *doc_at(const struct doc_node *list, size_t i);
/* "spec.ports.0.name": keys and positions. */
struct doc_node *doc_path(const struct doc_node *node, const char *path);
static inline size_t doc_count(const struct doc_node *node)
{
    return node != NULL && node->kind >= DOC_LIST ? node->count : 0;
}
static inline bool doc_is(const struct doc_node *node, enum doc_kind kind)
{
    return node != NULL && node->kind == kind;
}
/* Maps in any order, numbers by value. */
bool doc_eq(const struct doc_node *a, const struct doc_node *b);

/* Typed members of a map. Absent or null: 0, and `*out` stays as it was. Another kind: -ERR_CONFIG,
 * "file:line: 'replicas' is 'many'; want a whole number". */
MUST_USE int doc_read_bool(const struct doc_node *map, const char *key, bool *out, struct err *err);
MUST_USE int doc_read_int(const struct doc_node *map, const char *key, int64_t min, int64_t max,
                          int64_t *out, struct err *err);
MUST_USE int doc_read_double(const struct doc_node *map, const char *key, double *out,
                             struct err *err);
MUST_USE int doc_read_text(const struct doc_node *map, const char *key, struct span *out,
                           struct err *err);
MUST_USE int doc_read_list(const struct doc_node *map, const char *key, struct doc_node **out,
                           struct err *err);
MUST_USE int doc_read_map(const struct doc_node *map, const char *key, struct doc_node **out,
                          struct err *err);
/* Fills err with "file:line: 'key' is 'value'; <want>" and returns -ERR_CONFIG; `value` NULL: "'key' is
 * missing" at the map's place. */
int doc_refuse(const struct doc_node *map, const char *key, const struct doc_node *value,
               struct err *err, const char *want);

/* --- building; texts and keys are copied to the arena --- */

struct doc_node *doc_new_map(struct arena *arena);
struct doc_node *doc_new_list(struct arena *arena);
struct doc_node *doc_null(struct arena *arena);
struct doc_node *doc_bool(struct arena *arena, bool value);
struct doc_node *doc_int(struct arena *arena, int64_t value);
struct doc_node *doc_double(struct arena *arena, double value);
struct doc_node *doc_text(struct arena *arena, struct span value);
struct doc_node *doc_cstr(struct arena *arena, const char *value);
/* Copies all below; lists and maps can then be changed apart. */
struct doc_node *doc_dup(struct arena *arena, const struct doc_node *node);
/* Sets or replaces; returns `value`. */
struct doc_node *doc_set(struct arena *arena, struct doc_node *map, const char *key,
                         struct doc_node *value);
struct doc_node *doc_set_span(struct arena *arena, struct doc_node *map, struct span key,
                              struct doc_node *value);
struct doc_node *doc_set_text(struct arena *arena, struct doc_node *map, const char *key,
                              struct span value);
/* Appends; returns `value`. */
struct doc_node *doc_list_add(struct arena *arena, struct doc_node *list, struct doc_node *value);
/* False if there was none. The order of the others stays. */
bool doc_remove(struct doc_node *map, const char *key);
bool doc_remove_span(struct doc_node *map, struct span key);
/* The list or map at `key`, made if absent. */
struct doc_node *doc_map_in(struct arena *arena, struct doc_node *map, const char *key);
struct doc_node *doc_list_in(struct arena *arena, struct doc_node *map, const char *key);

/* --- writing; text that is not UTF-8 gets U+FFFD; -ERR_LIMIT when `out` is full --- */

MUST_USE int doc_write_json(const struct doc_node *node, bool pretty, struct buf *out);
/* Block style, as kubectl prints; maps keep their order. */
MUST_USE int doc_write_yaml(const struct doc_node *node, struct buf *out);
/* One JSON string with its quotes: for those who stream JSON. */
MUST_USE int doc_write_json_text(struct span text, struct buf *out);
#endif

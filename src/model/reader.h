#ifndef MODEL_READER_H
#define MODEL_READER_H
/* From a document to a struct, by tables: each map that people write has a table which knows all its fields, also those
 * that have no effect here. What is wrong becomes a finding with file, line, path, reason and fix; reading goes on, so that
 * one look shows all mistakes. `null` is the same as absent, as in Kubernetes.
 *
 * A field's value goes to `offset` of the struct; of what C type that must be is said at the type. */
#include "base/arena.h"
#include "base/compiler.h"
#include "model/finding.h"
#include "model/spec.h"

#define READER_ITEMS_MAX 4096 /* of one list or map of texts */

struct reader;
struct reader_table;
struct object;

enum reader_type {
    READER_TEXT,     /* struct span; `check` */
    READER_TEXTS,    /* struct spec_texts: a list; `check` for each; min, max: how many */
    READER_BOOL,     /* bool */
    READER_TOLD,     /* enum spec_bool */
    READER_U16,      /* uint16_t; min and max of these numbers default to the type's */
    READER_U32,      /* uint32_t */
    READER_I64,      /* int64_t */
    READER_PORT,     /* uint16_t, 1..65535 */
    READER_DOUBLE,   /* double */
    READER_ENUM,     /* an enum; `names` */
    READER_DURATION, /* int64_t milliseconds: "1.5s", "1h30m"; 0 only with `zero` */
    READER_SHORT_DURATION, /* the same in Gateway API's form (GEP-2257): whole numbers, at most four units */
    READER_LABELS,  /* struct spec_labels: keys and values as Kubernetes wants labels */
    READER_MAP,     /* a struct in its place; `table` */
    READER_LIST,    /* const struct x *, then size_t; `table` of x; min, max: how many */
    READER_CUSTOM,  /* `read` does it */
    READER_SILENT,  /* known, and of no concern to a mesh */
    READER_LATER,   /* known upstream, no effect yet: a warning; `note`: what happens instead */
    READER_REFUSED, /* known upstream; to ignore it would be dangerous: an error; `note`: the fix */
};

struct reader_enum {
    const char *name; /* NULL ends */
    int value;
};

/* False: it was not good, and a finding says so. */
typedef bool (*reader_check)(struct reader *r, const struct doc_node *node, struct span text);

struct reader_field {
    const char *name;
    enum reader_type type;
    bool required;
    bool zero;
    uint8_t one_of; /* of fields with the same number, not 0, only one may be there */
    size_t offset;
    int64_t min, max; /* both 0: no limit but the type's */
    reader_check check;
    const struct reader_enum *names;
    const struct reader_table *table;
    void (*read)(struct reader *r, const struct doc_node *node, void *to);
    const char *note;
};

struct reader_table {
    size_t size; /* of the struct */
    const struct reader_field *fields;
    size_t field_count;
    bool open;   /* it has many more fields, none of our concern */
    bool strict; /* an unknown field is an error: it narrows what is selected, matched or allowed */
    void (*start)(void *out); /* what is not 0 by default; may be NULL */
    /* How fields fit together; not called when one of them was bad. May be NULL. */
    void (*check)(struct reader *r, const struct doc_node *node, void *out);
};

#define READER_TABLE(type, rows) \
    .size = sizeof(type), .fields = (rows), .field_count = ARRAY_LEN(rows)
#define READER_FIELD(key, kind, owner, member, ...) \
    {.name = (key), .type = READER_##kind, .offset = offsetof(owner, member), __VA_ARGS__}
#define READER_IGNORE(key) {.name = (key), .type = READER_SILENT}
#define READER_WARN(key, text) {.name = (key), .type = READER_LATER, .note = (text)}
#define READER_REFUSE(key, text) {.name = (key), .type = READER_REFUSED, .note = (text)}

/* Where we are, from the root: on the stack of the functions that walk. */
struct reader_step {
    const struct reader_step *up;
    struct span key; /* NULL `at`: a place in a list */
    size_t index;
};

struct reader {
    struct findings *findings;
    struct arena *arena;               /* of the object: what is kept */
    struct object *object;             /* metadata is read when specs are */
    struct span kind, namespace, name; /* for findings, in their arena */
    const struct reader_step *at;
};

/* A finding at the place where the reader is, and then `below` ("port.number", "hosts[2]"; may be NULL). `node`
 * gives the line. */
NONNULL_RETURN struct finding *reader_say(struct reader *r, unsigned code,
                                          const struct doc_node *node, const char *below,
                                          const char *what, ...) PRINTF_LIKE(5, 6);
/* The last part of the path, for messages: "hosts[2]". In the arena of findings. */
const char *reader_here(const struct reader *r);
/* A value for messages: "'ten'", "a list". In the arena of findings. */
const char *reader_show(const struct reader *r, const struct doc_node *node);
/* True if `node` is there and not null. */
static inline bool reader_has(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return node != NULL && node->kind != DOC_NULL;
}

/* Reads one map into `out`, which is cleared first. */
void reader_map(struct reader *r, const struct doc_node *node, const struct reader_table *table,
                void *out);
/* One value, by its row. */
void reader_value(struct reader *r, const struct doc_node *node, const struct reader_field *field,
                  void *to);
/* The same one level down: at `key` of the map where the reader is. */
void reader_value_at(struct reader *r, struct span key, const struct doc_node *node,
                     const struct reader_field *field, void *to);
/* "'ports' is missing" of the map in hand; `how` is the fix. */
void reader_missing(struct reader *r, const struct doc_node *map, const char *key, const char *how);
/* The value is of another kind than `want` ("a list"). Always false. */
bool reader_wrong_kind(struct reader *r, const struct doc_node *node, const char *want);
/* Each text of the list is there once. `what`: "port name". Reports each that is not, at list[i].member. */
void reader_unique(struct reader *r, const struct doc_node *list, const char *key,
                   const char *member, const char *what);

/* ---- checks of texts: reader_text.c ---- */
bool reader_text_not_empty(struct reader *r, const struct doc_node *node, struct span text);
bool reader_text_label(struct reader *r, const struct doc_node *node,
                       struct span text); /* RFC 1123 label */
bool reader_text_subdomain(struct reader *r, const struct doc_node *node,
                           struct span text); /* RFC 1123 subdomain: names of objects */
bool reader_text_hostname(struct reader *r, const struct doc_node *node,
                          struct span text); /* Gateway API: lower case, "*." in front */
bool reader_text_precise_hostname(struct reader *r, const struct doc_node *node,
                                  struct span text); /* without "*." */
bool reader_text_host(struct reader *r, const struct doc_node *node,
                      struct span text); /* Istio: also "*" and any case */
bool reader_text_ip(struct reader *r, const struct doc_node *node, struct span text);
bool reader_text_cidr(struct reader *r, const struct doc_node *node,
                      struct span text); /* or an IP */
bool reader_text_header_name(struct reader *r, const struct doc_node *node, struct span text);
bool reader_text_header_value(struct reader *r, const struct doc_node *node, struct span text);
bool reader_text_regex(struct reader *r, const struct doc_node *node, struct span text);
bool reader_text_path(struct reader *r, const struct doc_node *node,
                      struct span text); /* begins with '/' */
bool reader_text_file(struct reader *r, const struct doc_node *node,
                      struct span text); /* an absolute path */
bool reader_text_method(struct reader *r, const struct doc_node *node,
                        struct span text); /* an HTTP token */
bool reader_text_export(struct reader *r, const struct doc_node *node,
                        struct span text); /* exportTo: "*", ".", namespace */
bool reader_text_port_number(struct reader *r, const struct doc_node *node,
                             struct span text); /* "80" */

/* Predicates alone. */
bool reader_text_is_label(struct span text);     /* RFC 1123, at most 63 */
bool reader_text_is_subdomain(struct span text); /* at most 253 */
bool reader_text_is_token(struct span text);     /* RFC 9110 section 5.6.2 */
/* "app.kubernetes.io/name"; the reason why not, or NULL. */
const char *reader_text_label_key_fault(struct span key);
const char *reader_text_label_value_fault(struct span value);
/* Milliseconds, or -1: not a duration, or -2: negative, finer than 1 ms, or too long. */
int64_t reader_text_duration(struct span text);
int64_t reader_text_short_duration(struct span text);
#endif

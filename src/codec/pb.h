#ifndef CODEC_PB_H
#define CODEC_PB_H
/* Protocol buffers, driven by tables that src/proto/pbgen.c writes from our .proto files.
 *
 * A message is an open C struct. Strings and bytes are spans into the wire buffer (nothing is copied,
 * so the buffer must outlive the message), messages are pointers (NULL = absent), `optional` scalars
 * have a `bool has_<name>` before them, a oneof has `int32_t <oneof>_case` with the number of the field
 * that is set (0 = none; the other members are zero), and repeated fields and maps are
 *     struct { <type> *at; uint32_t count; uint32_t room; } <name>;
 * with pointers for messages; a map is a list of its entry messages { key, value }. What we do not know
 * is kept and written again.
 *
 *     struct pb_cluster_Cluster *c = pb_decode(&pb_cluster_Cluster_desc, arena, wire, err);
 *     for (uint32_t i = 0; i < c->health_checks.count; i++) { use(c->health_checks.at[i]); }
 *
 * Wire format: https://protobuf.dev/programming-guides/encoding/ . Strict where it can be: bad varints,
 * tags, wire types, groups, truncation and proto3 strings that are not UTF-8 are refused. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* Limits of one pb_decode, each named in the error it causes. */
#define PB_DEPTH_MAX 64            /* messages inside messages */
#define PB_WIRE_BYTES_MAX 67108864 /* the whole input */
#define PB_ELEMENTS_MAX 1000000    /* messages, list members and unknown fields together */
#define PB_MEMORY_BASE 1048576     /* arena bytes allowed for any input ... */
#define PB_MEMORY_PER_BYTE 64      /* ... plus this much for each byte of it */

/* Types of descriptor.proto's FieldDescriptorProto.Type (10, group, is refused). */
enum pb_kind {
    PB_DOUBLE = 1,
    PB_FLOAT = 2,
    PB_INT64 = 3,
    PB_UINT64 = 4,
    PB_INT32 = 5,
    PB_FIXED64 = 6,
    PB_FIXED32 = 7,
    PB_BOOL = 8,
    PB_STRING = 9,
    PB_MESSAGE = 11,
    PB_BYTES = 12,
    PB_UINT32 = 13,
    PB_ENUM = 14, /* int32_t: proto3 enums are open */
    PB_SFIXED32 = 15,
    PB_SFIXED64 = 16,
    PB_SINT32 = 17,
    PB_SINT64 = 18,
};

enum pb_label {
    PB_SINGLE,   /* absent = zero (scalars) or NULL (messages) */
    PB_OPTIONAL, /* `presence` is where its bool has_x is */
    PB_ONEOF,    /* `presence` is where the oneof's case is */
    PB_REPEATED, /* a struct pb_list */
    PB_MAP,      /* a struct pb_list of entry messages */
};

/* Messages with a JSON form of their own. */
enum pb_special {
    PB_PLAIN,
    PB_ANY,
    PB_DURATION,
    PB_TIMESTAMP,
    PB_STRUCT,
    PB_VALUE,
    PB_LIST_VALUE,
    PB_WRAPPER,
    PB_EMPTY,
    PB_MAP_ENTRY,
};

#define PB_SENSITIVE \
    1 /* field flag: a key or a password, hidden in dumps ("@sensitive" in a .proto) */

struct pb_desc;

struct pb_enum_value {
    const char *name;
    int32_t number;
};

struct pb_enum {
    const char *name;                   /* full: envoy.config.core.v3.RequestMethod */
    const struct pb_enum_value *values; /* in the order of the .proto */
    uint16_t count;
};

struct pb_field {
    const char *name; /* as in the .proto; the JSON name follows from it (pb_json_name) */
    union {
        const struct pb_desc *message;     /* PB_MESSAGE */
        const struct pb_enum *enumeration; /* PB_ENUM */
    } type;
    uint32_t number;
    uint16_t offset;
    uint16_t presence;
    uint8_t kind;  /* enum pb_kind */
    uint8_t label; /* enum pb_label */
    uint8_t flags;
};

struct pb_desc {
    const char *name;              /* full: envoy.config.cluster.v3.Cluster */
    const struct pb_field *fields; /* by number */
    uint16_t count;
    uint16_t bytes;  /* sizeof the struct */
    uint8_t special; /* enum pb_special */
};

/* Any type by its full name. Each executable has one, generated: proto_types in proto/types.pb.h. */
struct pb_types {
    const struct pb_desc *const *by_name; /* sorted */
    size_t count;
};

/* Fields that the tables do not know, as they came, tag included. Newest first. First member of every
 * message, so it is found without a table. */
struct pb_unknown {
    const struct pb_unknown *older;
    struct span raw; /* one field or several that came in a row */
};

/* What every repeated field looks like without its type. */
struct pb_list {
    void *at;
    uint32_t count;
    uint32_t room; /* 0: the array is borrowed; pb_list_add copies it before it writes */
} __attribute__((may_alias));

/* Reads one message. Memory comes from `arena`; the result points into `wire`. NULL on failure, with
 * -ERR_PROTO or -ERR_LIMIT and the path of the field in `err`; the arena then holds only garbage. */
MUST_USE void *pb_decode(const struct pb_desc *desc, struct arena *arena, struct span wire,
                         struct err *err);
/* As pb_decode into a message that already holds something: later values win, messages merge, lists
 * grow. 0 or a negative code; after a failure `msg` must be thrown away. */
MUST_USE int pb_merge(const struct pb_desc *desc, struct arena *arena, struct span wire, void *msg,
                      struct err *err);

/* Bytes that pb_encode will write; -ERR_LIMIT for a message deeper than PB_DEPTH_MAX. */
MUST_USE ssize_t pb_size(const struct pb_desc *desc, const void *msg);
/* Appends the wire form: fields by number, maps by key with one entry a key (the last), then unknown
 * fields in their old order. Equal messages give equal bytes. 0 or -ERR_LIMIT with nothing appended. */
MUST_USE int pb_encode(const struct pb_desc *desc, const void *msg, struct buf *out);
/* As pb_encode into the arena; `at` is NULL only for a message that is too deep. */
struct span pb_encode_in(const struct pb_desc *desc, const void *msg, struct arena *arena);

/* Same wire form? Either may be NULL, which equals only NULL. */
bool pb_equal(const struct pb_desc *desc, const void *a, const void *b);
/* Of the wire form; the same in every process, so that it can serve as a version. */
uint64_t pb_hash(const struct pb_desc *desc, const void *msg);

/* Grows a repeated field by one zeroed member of `size` bytes and returns it. */
NONNULL_RETURN void *pb_list_add(struct arena *arena, void *list, size_t size);
/* Appends `item` to a repeated field: PB_ADD(arena, &route->virtual_hosts, host). */
#define PB_ADD(arena, list, item) \
    (*(__typeof__((list)->at))pb_list_add((arena), (list), sizeof *(list)->at) = (item))

/* By number or by either name (snake_case or lowerCamelCase); NULL when there is none. */
const struct pb_field *pb_field(const struct pb_desc *desc, uint32_t number);
const struct pb_field *pb_field_named(const struct pb_desc *desc, struct span name);
/* The lowerCamelCase name in `to` (terminated, cut to fit). */
struct span pb_json_name(const struct pb_field *f, char *to, size_t room);
/* Entries of a map in the order of their keys, the last one of each key; at most list->count of them,
 * in `sorted`. Returns how many. */
uint32_t pb_map_sort(const struct pb_field *f, const struct pb_list *list, const void **sorted);
/* Is it set: case, has_x, non-NULL, non-empty, or for plain scalars not zero. */
bool pb_has(const void *msg, const struct pb_field *f);
/* Where its value is in the struct. */
static inline const void *pb_at(const void *msg, const struct pb_field *f)
{
    return (const char *)msg + f->offset;
}
/* Bytes of one member of this kind: sizeof the C type. */
size_t pb_kind_bytes(uint8_t kind);
/* NULL and false for numbers and names that are not of the enum. */
const char *pb_enum_name(const struct pb_enum *e, int32_t number);
MUST_USE bool pb_enum_number(const struct pb_enum *e, struct span name, int32_t *number);

/* By full name. */
const struct pb_desc *pb_find(const struct pb_types *types, struct span full_name);
/* "type.googleapis.com/x.Y" -> "x.Y": what stands after the last slash. */
struct span pb_url_name(struct span type_url);
#define PB_URL_PREFIX "type.googleapis.com/"

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? Returns the offset
 * of the first bad byte, or -1 when all is well. */
ssize_t pb_utf8_bad(struct span s);
#endif

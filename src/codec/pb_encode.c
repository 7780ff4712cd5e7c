/* Protocol buffers: encoding. Messages are written from their last byte to their first, so that the length
 * of an inner message is known when its header is due. A first pass goes to a small buffer, which most messages fit
 * into; of a larger one it gives the size. */
#include "codec/pb.h"

#include "base/hash.h"
#include "base/mem.h"

#define SMALL_BYTES 4096

struct writer {
    char *at;    /* one past the free part; NULL = only count */
    size_t room; /* of the free part */
    size_t len;  /* written so far */
    bool is_too_deep;
};

static void put(struct writer *w, const void *from, size_t len)
{
    w->len += len;
    if (len > w->room) {
        w->at = NULL;
        w->room = 0;
    }
    if (w->at && len) {
        w->room -= len;
        w->at -= len;
        memcpy(w->at, from, len);
    }
}

static void put_byte(struct writer *w, char c)
{
    if (w->room == 0) {
        put(w, &c, 1);
        return;
    }
    w->len++;
    w->room--;
    *--w->at = c;
}

static void put_varint(struct writer *w, uint64_t v)
{
    if (v < 0x80) {
        put_byte(w, (char)v);
        return;
    }
    char bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (char)(uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    put(w, bytes, len);
}

static void put_fixed(struct writer *w, uint64_t v, size_t bytes)
{
    char to[8];
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (char)(uint8_t)(v >> (8 * i));
    }
    put(w, to, bytes);
}

/* Writes a number in its wire form and returns its wire type. */
static unsigned put_number(struct writer *w, uint8_t kind, const void *at)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (pb_kind_bytes(kind) == 8) {
        memcpy(&wide, at, sizeof wide);
    } else if (kind != PB_BOOL) {
        memcpy(&narrow, at, sizeof narrow);
    }
    switch (kind) {
    case PB_DOUBLE:
    case PB_FIXED64:
    case PB_SFIXED64:
        put_fixed(w, wide, 8);
        return 1;
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
        put_fixed(w, narrow, 4);
        return 5;
    case PB_BOOL: {
        bool b;
        memcpy(&b, at, sizeof b);
        put_varint(w, b);
        return 0;
    }
    case PB_UINT32:
        put_varint(w, narrow);
        return 0;
    case PB_INT32:
    case PB_ENUM:
        put_varint(w, (uint64_t)(int64_t)(int32_t)narrow); /* negative ones take ten bytes */
        return 0;
    case PB_SINT32:
        put_varint(w, (narrow << 1) ^ (0 - (narrow >> 31)));
        return 0;
    case PB_SINT64:
        put_varint(w, (wide << 1) ^ (0 - (wide >> 63)));
        return 0;
    default:
        put_varint(w, wide);
        return 0;
    }
}

static void put_tag(struct writer *w, uint32_t number, unsigned wire)
{
    put_varint(w, (uint64_t)number << 3 | wire);
}

static void put_message(struct writer *w, const struct pb_desc *desc, const void *msg, int depth);

/* One value with its tag; depth is that of the message around it. */
static void put_value(struct writer *w, const struct pb_field *f, const void *at, int depth)
{
    if (f->kind == PB_MESSAGE) {
        const void *inner;
        memcpy(&inner, at, sizeof inner);
        size_t before = w->len;
        if (inner) {
            put_message(w, f->type.message, inner, depth + 1);
        }
        put_varint(w, w->len - before);
        put_tag(w, f->number, 2);
    } else if (f->kind == PB_STRING || f->kind == PB_BYTES) {
        struct span s;
        memcpy(&s, at, sizeof s);
        put(w, s.at, s.len);
        put_varint(w, s.len);
        put_tag(w, f->number, 2);
    } else {
        unsigned wire = put_number(w, f->kind, at);
        put_tag(w, f->number, wire);
    }
}

static void put_repeated(struct writer *w, const struct pb_field *f, const struct pb_list *list,
                         int depth)
{
    size_t size = pb_kind_bytes(f->kind);
    const char *at = list->at;
    if (f->kind == PB_MESSAGE || f->kind == PB_STRING || f->kind == PB_BYTES) {
        for (uint32_t i = list->count; i-- > 0;) {
            put_value(w, f, at + i * size, depth);
        }
        return;
    }
    size_t before = w->len;
    for (uint32_t i = list->count; i-- > 0;) {
        (void)put_number(w, f->kind, at + i * size); /* the type is in the tables */
    }
    put_varint(w, w->len - before);
    put_tag(w, f->number, 2);
}

/* Key and value are both written, also when they are the default, as protoc does. */
static void put_entry(struct writer *w, const struct pb_field *f, const void *entry, int depth)
{
    const struct pb_field *fields = f->type.message->fields;
    size_t before = w->len;
    put_value(w, &fields[1], pb_at(entry, &fields[1]), depth + 1);
    put_value(w, &fields[0], pb_at(entry, &fields[0]), depth + 1);
    put_varint(w, w->len - before);
    put_tag(w, f->number, 2);
}

static void put_map(struct writer *w, const struct pb_field *f, const struct pb_list *list,
                    int depth)
{
    if (list->count == 1) {
        put_entry(w, f, *(void *const *)list->at, depth);
        return;
    }
    const void **sorted = mem_array(list->count, sizeof *sorted);
    for (uint32_t i = pb_map_sort(f, list, sorted); i-- > 0;) {
        put_entry(w, f, sorted[i], depth);
    }
    mem_free(sorted);
}

/* Recursion is bounded by PB_DEPTH_MAX; what was decoded is never deeper. */
static void put_message(struct writer *w, const struct pb_desc *desc, const void *msg, int depth)
{
    if (depth >= PB_DEPTH_MAX) {
        w->is_too_deep = true;
        return;
    }
    const struct pb_unknown *u;
    memcpy(&u, msg, sizeof u);
    for (; u; u = u->older) {
        put(w, u->raw.at, u->raw.len);
    }
    for (size_t i = desc->count; i-- > 0;) {
        const struct pb_field *f = &desc->fields[i];
        if (!pb_has(msg, f)) {
            continue;
        }
        if (f->label == PB_REPEATED) {
            put_repeated(w, f, pb_at(msg, f), depth);
        } else if (f->label == PB_MAP) {
            put_map(w, f, pb_at(msg, f), depth);
        } else {
            put_value(w, f, pb_at(msg, f), depth);
        }
    }
}

ssize_t pb_size(const struct pb_desc *desc, const void *msg)
{
    struct writer w = {0};
    put_message(&w, desc, msg, 0);
    return w.is_too_deep ? -ERR_LIMIT : (ssize_t)w.len;
}

static void write_to(const struct pb_desc *desc, const void *msg, char *to, size_t size)
{
    struct writer w = {.at = to + size, .room = size};
    put_message(&w, desc, msg, 0);
    ASSERT(w.len == size && w.room == 0);
}

int pb_encode(const struct pb_desc *desc, const void *msg, struct buf *out)
{
    ssize_t size = pb_size(desc, msg);
    if (size <= 0) {
        return (int)size;
    }
    char *to = buf_reserve(out, (size_t)size);
    if (!to) {
        return -ERR_LIMIT;
    }
    write_to(desc, msg, to, (size_t)size);
    buf_commit(out, (size_t)size);
    return 0;
}

struct span pb_encode_in(const struct pb_desc *desc, const void *msg, struct arena *arena)
{
    char small[SMALL_BYTES];
    struct writer w = {.at = small + sizeof small, .room = sizeof small};
    put_message(&w, desc, msg, 0);
    if (w.is_too_deep) {
        return SPAN_EMPTY;
    }
    char *to = arena_bytes(arena, w.len + 1);
    if (w.at) {
        memcpy(to, w.at, w.len);
    } else {
        write_to(desc, msg, to, w.len);
    }
    to[w.len] = '\0';
    return span_from(to, w.len);
}

/* Wire form on the heap; one byte more than needed, so that the empty message has an address. */
static struct span encode_heap(const struct pb_desc *desc, const void *msg)
{
    ssize_t size = pb_size(desc, msg);
    ASSERT(size >= 0);
    char *to = mem_alloc((size_t)size + 1);
    write_to(desc, msg, to, (size_t)size);
    return span_from(to, (size_t)size);
}

bool pb_equal(const struct pb_desc *desc, const void *a, const void *b)
{
    if (a == b || !a || !b) {
        return a == b;
    }
    if (pb_size(desc, a) != pb_size(desc, b)) {
        return false;
    }
    struct span x = encode_heap(desc, a);
    struct span y = encode_heap(desc, b);
    bool is_equal = span_eq(x, y);
    mem_free((void *)(uintptr_t)x.at);
    mem_free((void *)(uintptr_t)y.at);
    return is_equal;
}

uint64_t pb_hash(const struct pb_desc *desc, const void *msg)
{
    static const struct hash_key key = {0x6d657368, 0x7062};
    struct span wire = encode_heap(desc, msg);
    uint64_t hash = hash_span(&key, wire);
    mem_free((void *)(uintptr_t)wire.at);
    return hash;
}

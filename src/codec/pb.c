/* Protocol buffers: decoding. One loop over a stack of open messages, so that the sender's nesting costs
 * a frame and not a call. pb_table.c has the reflection, pb_encode.c the way back. */
#include "codec/pb.h"

enum wire_type { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_32 };

#define FIELD_NUMBER_MAX 536870911 /* 2^29 - 1 */

struct frame {
    const struct pb_desc *desc;
    const struct pb_field *from; /* the field that holds this message; NULL at the root */
    size_t next; /* index of the field that probably comes next: they are mostly in order */
    char *msg;
    const char *end;
};

struct decoder {
    struct arena *arena;
    struct err *err;
    const char *start;
    const char *at;
    size_t arena_start;
    size_t arena_room;
    uint32_t elements;
    int depth;
    struct frame frames[PB_DEPTH_MAX];
};

/* Fills err with the path from the root to `f`, and the place. Returns the code. */
COLD static int refuse(struct decoder *d, const struct pb_field *f, int code, const char *why)
{
    char path[ERR_TEXT_BYTES];
    size_t len = 0;
    for (int i = 0; i <= d->depth; i++) {
        const struct frame *frame = &d->frames[i];
        const char *name = frame->from ? frame->from->name : frame->desc->name;
        int more = snprintf(path + len, sizeof path - len, "%s%s", i ? "." : "", name);
        len = size_min(len + (size_t)more, sizeof path - 1);
    }
    return err_set(d->err, code, "%s%s%s: %s at byte %zu", path, f ? "." : "", f ? f->name : "",
                   why, (size_t)(d->at - d->start));
}

/* Accounts for `count` new elements, whose memory has been or is about to be taken. */
static int charge(struct decoder *d, const struct pb_field *f, size_t count)
{
    if (count > PB_ELEMENTS_MAX - d->elements) {
        return refuse(d, f, -ERR_LIMIT, "more elements than PB_ELEMENTS_MAX");
    }
    d->elements += (uint32_t)count;
    if (arena_used(d->arena) - d->arena_start > d->arena_room) {
        return refuse(d, f, -ERR_LIMIT, "more memory than PB_MEMORY_PER_BYTE allows");
    }
    return 0;
}

static int read_varint(struct decoder *d, const struct pb_field *f, const char *end,
                       uint64_t *value)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (d->at == end) {
            return refuse(d, f, -ERR_PROTO, "truncated number");
        }
        uint8_t byte = (uint8_t)*d->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = v;
            return 0;
        }
    }
    return refuse(d, f, -ERR_PROTO, "number of more than 64 bits");
}

static int read_fixed(struct decoder *d, const struct pb_field *f, const char *end, size_t bytes,
                      uint64_t *value)
{
    if ((size_t)(end - d->at) < bytes) {
        return refuse(d, f, -ERR_PROTO, "truncated number");
    }
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) {
        v |= (uint64_t)(uint8_t)d->at[i] << (8 * i);
    }
    d->at += bytes;
    *value = v;
    return 0;
}

/* The length and the bytes behind it; `at` moves over both. */
static int read_bytes(struct decoder *d, const struct pb_field *f, const char *end, struct span *s)
{
    uint64_t len = 0;
    int rc = read_varint(d, f, end, &len);
    if (rc < 0) {
        return rc;
    }
    if (len > (uint64_t)(end - d->at)) {
        return refuse(d, f, -ERR_PROTO, "length beyond the end");
    }
    *s = span_from(d->at, (size_t)len);
    d->at += len;
    return 0;
}

static enum wire_type kind_wire(uint8_t kind)
{
    switch (kind) {
    case PB_DOUBLE:
    case PB_FIXED64:
    case PB_SFIXED64:
        return WIRE_64;
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
        return WIRE_32;
    case PB_STRING:
    case PB_BYTES:
    case PB_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

static int read_number(struct decoder *d, const struct pb_field *f, const char *end,
                       uint64_t *value)
{
    enum wire_type wire = kind_wire(f->kind);
    if (wire == WIRE_VARINT) {
        return read_varint(d, f, end, value);
    }
    return read_fixed(d, f, end, wire == WIRE_64 ? 8 : 4, value);
}

/* The C value of a number as it was on the wire. */
static void store_number(uint8_t kind, uint64_t raw, void *to)
{
    switch (kind) {
    case PB_BOOL: {
        bool b = raw != 0;
        memcpy(to, &b, sizeof b);
        return;
    }
    case PB_SINT32:
        raw = (raw >> 1 & 0x7fffffff) ^ (uint32_t)-(int32_t)(raw & 1);
        break;
    case PB_SINT64:
        raw = (raw >> 1) ^ (0 - (raw & 1));
        break;
    default:
        break;
    }
    if (pb_kind_bytes(kind) == 8) {
        memcpy(to, &raw, 8);
    } else {
        uint32_t low = (uint32_t)raw; /* longer numbers are cut, as every implementation does */
        memcpy(to, &low, 4);
    }
}

static const struct pb_field *find_field(struct frame *frame, uint64_t number)
{
    if (frame->next < frame->desc->count && frame->desc->fields[frame->next].number == number) {
        return &frame->desc->fields[frame->next++];
    }
    const struct pb_field *f = pb_field(frame->desc, (uint32_t)number);
    if (f) {
        size_t place = (size_t)(f - frame->desc->fields);
        bool is_list = f->label == PB_REPEATED || f->label == PB_MAP;
        frame->next = place + (is_list ? 0 : 1);
    }
    return f;
}

/* Makes `f` the set member of its oneof; another one that was set becomes zero. */
static void choose(const struct frame *frame, const struct pb_field *f)
{
    int32_t old = 0;
    int32_t number = (int32_t)f->number;
    memcpy(&old, frame->msg + f->presence, sizeof old);
    if (old && old != number) {
        const struct pb_field *other = pb_field(frame->desc, (uint32_t)old);
        memset(frame->msg + other->offset, 0, pb_kind_bytes(other->kind));
    }
    memcpy(frame->msg + f->presence, &number, sizeof number);
}

/* Where the next value of `f` goes. */
static char *slot(struct decoder *d, const struct frame *frame, const struct pb_field *f)
{
    char *at = frame->msg + f->offset;
    if (f->label == PB_REPEATED || f->label == PB_MAP) {
        return pb_list_add(d->arena, at, pb_kind_bytes(f->kind));
    }
    if (f->label == PB_ONEOF) {
        choose(frame, f);
    } else if (f->label == PB_OPTIONAL) {
        bool yes = true;
        memcpy(frame->msg + f->presence, &yes, sizeof yes);
    }
    return at;
}

static int keep_unknown(struct decoder *d, struct frame *frame, const char *from)
{
    const struct pb_unknown *newest;
    memcpy(&newest, frame->msg, sizeof newest);
    if (newest && from != d->start && newest->raw.at + newest->raw.len == from) {
        struct pb_unknown *longer = (struct pb_unknown *)(uintptr_t)newest;
        longer->raw.len += (size_t)(d->at - from);
        return 0;
    }
    struct pb_unknown *u = arena_new(d->arena, struct pb_unknown);
    u->older = newest;
    u->raw = span_from(from, (size_t)(d->at - from));
    memcpy(frame->msg, &u, sizeof u);
    return charge(d, NULL, 1);
}

static int skip_field(struct decoder *d, const char *end, enum wire_type wire)
{
    uint64_t number = 0;
    struct span bytes;
    switch (wire) {
    case WIRE_VARINT:
        return read_varint(d, NULL, end, &number);
    case WIRE_64:
        return read_fixed(d, NULL, end, 8, &number);
    case WIRE_32:
        return read_fixed(d, NULL, end, 4, &number);
    case WIRE_BYTES:
        return read_bytes(d, NULL, end, &bytes);
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        break;
    }
    return refuse(d, NULL, -ERR_PROTO, "group or unknown wire type");
}

static int read_packed(struct decoder *d, const struct frame *frame, const struct pb_field *f)
{
    struct span all = SPAN_EMPTY;
    int rc = read_bytes(d, f, frame->end, &all);
    if (rc < 0) {
        return rc;
    }
    const char *end = d->at;
    d->at = all.at;
    while (d->at != end) {
        uint64_t raw = 0;
        rc = read_number(d, f, end, &raw);
        if (rc < 0) {
            return rc;
        }
        store_number(f->kind, raw, slot(d, frame, f));
        rc = charge(d, f, 1);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int read_text(struct decoder *d, const struct frame *frame, const struct pb_field *f)
{
    struct span s = SPAN_EMPTY;
    int rc = read_bytes(d, f, frame->end, &s);
    if (rc < 0) {
        return rc;
    }
    if (f->kind == PB_STRING && pb_utf8_bad(s) >= 0) {
        return refuse(d, f, -ERR_PROTO, "text that is not UTF-8");
    }
    memcpy(slot(d, frame, f), &s, sizeof s);
    return f->label == PB_REPEATED ? charge(d, f, 1) : 0;
}

/* Opens the frame of a message in `f`: a new one, or the one that is there to be merged into. */
static int open_message(struct decoder *d, const struct frame *frame, const struct pb_field *f)
{
    struct span body = SPAN_EMPTY;
    int rc = read_bytes(d, f, frame->end, &body);
    if (rc < 0) {
        return rc;
    }
    if (d->depth + 1 == PB_DEPTH_MAX) {
        return refuse(d, f, -ERR_LIMIT, "deeper than PB_DEPTH_MAX");
    }
    const char *end = d->at;
    d->at = body.at;
    char *at = slot(d, frame, f);
    char *msg;
    memcpy(&msg, at, sizeof msg);
    if (!msg) {
        msg = arena_zalloc(d->arena, f->type.message->bytes);
        memcpy(at, &msg, sizeof msg);
        rc = charge(d, f, 1);
        if (rc < 0) {
            return rc;
        }
    }
    d->frames[++d->depth] = (struct frame){
        .desc = f->type.message,
        .from = f,
        .msg = msg,
        .end = end,
    };
    return 0;
}

static int read_field(struct decoder *d, struct frame *frame)
{
    const char *from = d->at;
    uint64_t tag = 0;
    int rc = read_varint(d, NULL, frame->end, &tag);
    if (rc < 0) {
        return rc;
    }
    enum wire_type wire = (enum wire_type)(tag & 7);
    uint64_t number = tag >> 3;
    if (number == 0 || number > FIELD_NUMBER_MAX) {
        return refuse(d, NULL, -ERR_PROTO, "field number out of range");
    }
    const struct pb_field *f = find_field(frame, number);
    if (!f) {
        rc = skip_field(d, frame->end, wire);
        return rc < 0 ? rc : keep_unknown(d, frame, from);
    }
    enum wire_type want = kind_wire(f->kind);
    if (wire == WIRE_BYTES && want != WIRE_BYTES && f->label == PB_REPEATED) {
        return read_packed(d, frame, f);
    }
    if (wire != want) {
        return refuse(d, f, -ERR_PROTO, "wrong wire type");
    }
    if (f->kind == PB_MESSAGE) {
        return open_message(d, frame, f);
    }
    if (want == WIRE_BYTES) {
        return read_text(d, frame, f);
    }
    uint64_t raw = 0;
    rc = read_number(d, f, frame->end, &raw);
    if (rc < 0) {
        return rc;
    }
    store_number(f->kind, raw, slot(d, frame, f));
    return f->label == PB_REPEATED ? charge(d, f, 1) : 0;
}

/* A map's entry without a value has the default one: an empty message, never NULL. */
static int close_message(struct decoder *d)
{
    const struct frame *frame = &d->frames[d->depth];
    if (frame->desc->special != PB_MAP_ENTRY) {
        return 0;
    }
    const struct pb_field *value = frame->desc->fields + 1;
    if (value->kind == PB_MESSAGE) {
        void *msg;
        memcpy(&msg, frame->msg + value->offset, sizeof msg);
        if (!msg) {
            msg = arena_zalloc(d->arena, value->type.message->bytes);
            memcpy(frame->msg + value->offset, &msg, sizeof msg);
            return charge(d, value, 1);
        }
    }
    return 0;
}

int pb_merge(const struct pb_desc *desc, struct arena *arena, struct span wire, void *msg,
             struct err *err)
{
    struct decoder d;
    d.arena = arena;
    d.err = err;
    d.start = d.at = wire.at;
    d.elements = 0;
    d.depth = 0;
    d.frames[0] = (struct frame){.desc = desc, .msg = msg};
    if (wire.len == 0) {
        return 0;
    }
    if (wire.len > PB_WIRE_BYTES_MAX) {
        return refuse(&d, NULL, -ERR_LIMIT, "more bytes than PB_WIRE_BYTES_MAX");
    }
    d.arena_start = arena_used(arena);
    d.arena_room = PB_MEMORY_BASE + wire.len * PB_MEMORY_PER_BYTE;
    d.frames[0].end = wire.at + wire.len;
    for (;;) {
        struct frame *frame = &d.frames[d.depth];
        int rc;
        if (d.at != frame->end) {
            rc = read_field(&d, frame);
        } else {
            rc = close_message(&d);
            if (rc == 0 && d.depth-- == 0) {
                return 0;
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
}

void *pb_decode(const struct pb_desc *desc, struct arena *arena, struct span wire, struct err *err)
{
    void *msg = arena_zalloc(arena, desc->bytes);
    return pb_merge(desc, arena, wire, msg, err) < 0 ? NULL : msg;
}

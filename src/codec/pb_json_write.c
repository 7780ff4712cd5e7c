/* Protocol buffers to JSON text, streamed; the first failure sticks and the rest is skipped. */
#include "codec/pb_json.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/date.h"

#define NUMBER_BYTES 32
#define NANOS 1000000000
#define REDACTED "[redacted]"
#define REDACTED_BASE64 "W3JlZGFjdGVkXQ==" /* where bytes belong */

struct writer {
    const struct pb_types *types;
    struct buf *out;
    unsigned how;
    int level; /* open lists and maps */
    int rc;
    bool is_hidden; /* inside of something sensitive */
};

static void write_message(struct writer *w, const struct pb_desc *desc, const void *msg, int depth);

/* ---- text ---- */

static void put(struct writer *w, const char *text)
{
    if (w->rc == 0) {
        w->rc = buf_append_span(w->out, span_of(text));
    }
}

static void put_text(struct writer *w, struct span text)
{
    if (w->rc == 0) {
        w->rc = doc_write_json_text(text, w->out);
    }
}

static void new_line(struct writer *w)
{
    if (w->how & PB_JSON_PRETTY) {
        put(w, "\n");
        for (int i = 0; i < w->level; i++) {
            put(w, " ");
        }
    }
}

static void begin(struct writer *w, const char *bracket, bool *is_first)
{
    put(w, bracket);
    w->level++;
    *is_first = true;
}

static void separate(struct writer *w, bool *is_first)
{
    if (!*is_first) {
        put(w, ",");
    }
    *is_first = false;
    new_line(w);
}

static void end(struct writer *w, const char *bracket, bool is_first)
{
    w->level--;
    if (!is_first) {
        new_line(w);
    }
    put(w, bracket);
}

static void put_name(struct writer *w, struct span name, bool *is_first)
{
    separate(w, is_first);
    put_text(w, name);
    put(w, w->how & PB_JSON_PRETTY ? ": " : ":");
}

static void put_field_name(struct writer *w, const struct pb_field *f, bool *is_first)
{
    char camel[128];
    struct span name =
        w->how & PB_JSON_CAMEL ? pb_json_name(f, camel, sizeof camel) : span_of(f->name);
    put_name(w, name, is_first);
}

/* ---- scalars ---- */

/* The shortest text that reads back as the same value. */
static void put_real(struct writer *w, double value, bool is_float)
{
    if (isnan(value) || isinf(value)) {
        put(w, isnan(value) ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    char text[NUMBER_BYTES];
    for (int digits = is_float ? FLT_DIG : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        double again = strtod(text, NULL);
        if (is_float ? (float)again == (float)value : again == value) {
            break;
        }
    }
    put(w, text);
}

static void put_base64(struct writer *w, struct span bytes)
{
    size_t len = base64_encoded_len(BASE64_STANDARD, bytes.len);
    put(w, "\"");
    char *to = w->rc == 0 ? buf_reserve(w->out, len + 1) : NULL;
    if (!to) {
        w->rc = -ERR_LIMIT;
        return;
    }
    buf_commit(w->out, base64_encode(BASE64_STANDARD, bytes, to));
    put(w, "\"");
}

static void put_enum(struct writer *w, const struct pb_enum *e, int32_t number)
{
    const char *name = pb_enum_name(e, number);
    if (strcmp(e->name, "google.protobuf.NullValue") == 0) {
        put(w, "null");
    } else if (name) {
        put_text(w, span_of(name));
    } else {
        char text[NUMBER_BYTES];
        (void)snprintf(text, sizeof text, "%d", (int)number);
        put(w, text);
    }
}

static void put_integer(struct writer *w, uint8_t kind, const void *at)
{
    char text[NUMBER_BYTES];
    int64_t wide = 0;
    int32_t narrow = 0;
    if (pb_kind_bytes(kind) == 8) {
        memcpy(&wide, at, sizeof wide); /* as text: a JSON number holds 53 bits */
        bool is_unsigned = kind == PB_UINT64 || kind == PB_FIXED64;
        (void)snprintf(text, sizeof text, is_unsigned ? "\"%llu\"" : "\"%lld\"", (long long)wide);
    } else {
        memcpy(&narrow, at, sizeof narrow);
        bool is_unsigned = kind == PB_UINT32 || kind == PB_FIXED32;
        (void)snprintf(text, sizeof text, is_unsigned ? "%u" : "%d", (int)narrow);
    }
    put(w, text);
}

static void put_scalar(struct writer *w, const struct pb_field *f, const void *at)
{
    double wide;
    float narrow;
    bool yes;
    int32_t number;
    struct span s;
    switch (f->kind) {
    case PB_DOUBLE:
        memcpy(&wide, at, sizeof wide);
        put_real(w, wide, false);
        return;
    case PB_FLOAT:
        memcpy(&narrow, at, sizeof narrow);
        put_real(w, (double)narrow, true);
        return;
    case PB_BOOL:
        memcpy(&yes, at, sizeof yes);
        put(w, yes ? "true" : "false");
        return;
    case PB_ENUM:
        memcpy(&number, at, sizeof number);
        put_enum(w, f->type.enumeration, number);
        return;
    case PB_STRING:
        memcpy(&s, at, sizeof s);
        put_text(w, w->is_hidden ? SPAN(REDACTED) : s);
        return;
    case PB_BYTES:
        memcpy(&s, at, sizeof s);
        if (w->is_hidden) {
            put(w, "\"" REDACTED_BASE64 "\"");
        } else {
            put_base64(w, s);
        }
        return;
    default:
        put_integer(w, f->kind, at);
        return;
    }
}

/* ---- messages with a form of their own ---- */

static void read_time(const struct pb_desc *desc, const void *msg, int64_t *seconds, int32_t *nanos)
{
    memcpy(seconds, pb_at(msg, &desc->fields[0]), sizeof *seconds);
    memcpy(nanos, pb_at(msg, &desc->fields[1]), sizeof *nanos);
}

/* ".5" with 3, 6 or 9 digits; nothing for 0. Terminated, in `to`. */
static void fraction(int32_t nanos, char *to, size_t room)
{
    to[0] = '\0';
    if (nanos) {
        int digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
        int value = digits == 3 ? nanos / 1000000 : digits == 6 ? nanos / 1000 : nanos;
        (void)snprintf(to, room, ".%0*d", digits, value);
    }
}

static void write_duration(struct writer *w, const struct pb_desc *desc, const void *msg)
{
    int64_t seconds;
    int32_t nanos;
    read_time(desc, msg, &seconds, &nanos);
    bool is_negative = seconds < 0 || nanos < 0;
    uint64_t size = seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds;
    int64_t part = nanos < 0 ? -(int64_t)nanos : nanos;
    char dot[16];
    fraction(part < NANOS ? (int32_t)part : NANOS - 1, dot, sizeof dot);
    char text[64];
    (void)snprintf(text, sizeof text, "\"%s%llu%ss\"", is_negative ? "-" : "",
                   (unsigned long long)size, dot);
    put(w, text);
}

static void write_timestamp(struct writer *w, const struct pb_desc *desc, const void *msg)
{
    int64_t seconds;
    int32_t nanos;
    read_time(desc, msg, &seconds, &nanos);
    /* from year 1 to 9999, as timestamp.proto says; beyond, the nearest */
    seconds = i64_max(-62135596800, i64_min(seconds, 253402300799));
    char text[DATE_TEXT_BYTES];
    size_t len = date_format_rfc3339(seconds * 1000000, 0, text);
    ASSERT(len > 0);
    char dot[16];
    fraction(nanos < 0 ? 0 : nanos < NANOS ? nanos : NANOS - 1, dot, sizeof dot);
    put(w, "\"");
    text[len - 1] = '\0'; /* the Z comes after the fraction */
    put(w, text);
    put(w, dot);
    put(w, "Z\"");
}

static void put_any_raw(struct writer *w, struct span value)
{
    if (w->is_hidden) {
        put(w, "\"" REDACTED_BASE64 "\"");
    } else {
        put_base64(w, value);
    }
}

static void write_fields(struct writer *w, const struct pb_desc *desc, const void *msg, int depth,
                         bool *is_first);

static void write_any(struct writer *w, const struct pb_desc *desc, const void *msg, int depth)
{
    struct span url;
    struct span value;
    memcpy(&url, pb_at(msg, &desc->fields[0]), sizeof url);
    memcpy(&value, pb_at(msg, &desc->fields[1]), sizeof value);
    bool is_first;
    begin(w, "{", &is_first);
    if (url.len) {
        put_name(w, SPAN("@type"), &is_first);
        put_text(w, url);
    }
    struct arena arena;
    arena_init(&arena, 4096);
    const struct pb_desc *inner = pb_find(w->types, pb_url_name(url));
    const void *held = inner ? pb_decode(inner, &arena, value, NULL) : NULL;
    if (held && (inner->special == PB_PLAIN || inner->special == PB_EMPTY)) {
        write_fields(w, inner, held, depth + 1, &is_first);
    } else if (held || value.len) {
        put_name(w, SPAN("value"), &is_first);
        if (held) {
            write_message(w, inner, held, depth + 1);
        } else {
            put_any_raw(w, value);
        }
    }
    arena_dispose(&arena);
    end(w, "}", is_first);
}

/* ---- fields ---- */

static void put_value(struct writer *w, const struct pb_field *f, const void *at, int depth)
{
    if (f->kind != PB_MESSAGE) {
        put_scalar(w, f, at);
        return;
    }
    const void *inner;
    memcpy(&inner, at, sizeof inner);
    if (inner) {
        write_message(w, f->type.message, inner, depth + 1);
    } else {
        put(w, "{}"); /* a map's entry that was built without its value */
    }
}

/* Numbers would tell, too: of a hidden part only texts, in their places, are shown. */
static bool is_shown(const struct writer *w, const struct pb_field *f)
{
    return !w->is_hidden || f->kind == PB_STRING || f->kind == PB_BYTES || f->kind == PB_MESSAGE;
}

static void put_list(struct writer *w, const struct pb_field *f, const struct pb_list *list,
                     int depth)
{
    bool is_first;
    begin(w, "[", &is_first);
    for (uint32_t i = 0; i < list->count && w->rc == 0; i++) {
        separate(w, &is_first);
        put_value(w, f, (const char *)list->at + i * pb_kind_bytes(f->kind), depth);
    }
    end(w, "]", is_first);
}

static void put_key(struct writer *w, const struct pb_field *key, const void *entry, bool *is_first)
{
    separate(w, is_first);
    bool is_quoted = key->kind == PB_STRING || pb_kind_bytes(key->kind) == 8;
    put(w, is_quoted ? "" : "\"");
    bool was_hidden = w->is_hidden;
    w->is_hidden = false; /* keys are names */
    put_scalar(w, key, pb_at(entry, key));
    w->is_hidden = was_hidden;
    put(w, is_quoted ? "" : "\"");
    put(w, w->how & PB_JSON_PRETTY ? ": " : ":");
}

static void put_map(struct writer *w, const struct pb_field *f, const struct pb_list *list,
                    int depth)
{
    const struct pb_field *fields = f->type.message->fields;
    bool is_first;
    begin(w, "{", &is_first);
    if (list->count && is_shown(w, &fields[1])) {
        const void **sorted = mem_array(list->count, sizeof *sorted);
        uint32_t count = pb_map_sort(f, list, sorted);
        for (uint32_t i = 0; i < count && w->rc == 0; i++) {
            put_key(w, &fields[0], sorted[i], &is_first);
            put_value(w, &fields[1], pb_at(sorted[i], &fields[1]), depth + 1);
        }
        mem_free(sorted);
    }
    end(w, "}", is_first);
}

static void write_fields(struct writer *w, const struct pb_desc *desc, const void *msg, int depth,
                         bool *is_first)
{
    for (size_t i = 0; i < desc->count && w->rc == 0; i++) {
        const struct pb_field *f = &desc->fields[i];
        bool has_default =
            f->label >= PB_REPEATED || (f->label == PB_SINGLE && f->kind != PB_MESSAGE);
        if (!pb_has(msg, f) && !((w->how & PB_JSON_DEFAULTS) && has_default)) {
            continue;
        }
        bool was_hidden = w->is_hidden;
        w->is_hidden = was_hidden || ((w->how & PB_JSON_REDACT) && (f->flags & PB_SENSITIVE));
        if (is_shown(w, f)) {
            put_field_name(w, f, is_first);
            if (f->label == PB_MAP) {
                put_map(w, f, pb_at(msg, f), depth);
            } else if (f->label == PB_REPEATED) {
                put_list(w, f, pb_at(msg, f), depth);
            } else {
                put_value(w, f, pb_at(msg, f), depth);
            }
        }
        w->is_hidden = was_hidden;
    }
}

/* google.protobuf.Value: the member that is set stands alone; none at all is null. */
static void write_value(struct writer *w, const struct pb_desc *desc, const void *msg, int depth)
{
    for (size_t i = 0; i < desc->count; i++) {
        const struct pb_field *f = &desc->fields[i];
        if (pb_has(msg, f)) {
            if (is_shown(w, f)) {
                put_value(w, f, pb_at(msg, f), depth);
            } else {
                put(w, "null");
            }
            return;
        }
    }
    put(w, "null");
}

/* Recursion ends at PB_DEPTH_MAX, counted through every Any. */
static void write_message(struct writer *w, const struct pb_desc *desc, const void *msg, int depth)
{
    if (depth >= PB_DEPTH_MAX && w->rc == 0) {
        w->rc = -ERR_LIMIT;
    }
    if (w->rc < 0) {
        return;
    }
    const struct pb_field *first = desc->fields;
    switch ((enum pb_special)desc->special) {
    case PB_ANY:
        write_any(w, desc, msg, depth);
        return;
    case PB_DURATION:
        write_duration(w, desc, msg);
        return;
    case PB_TIMESTAMP:
        write_timestamp(w, desc, msg);
        return;
    case PB_VALUE:
        write_value(w, desc, msg, depth);
        return;
    case PB_STRUCT:
        put_map(w, first, pb_at(msg, first), depth);
        return;
    case PB_LIST_VALUE:
        put_list(w, first, pb_at(msg, first), depth);
        return;
    case PB_WRAPPER:
        if (is_shown(w, first)) {
            put_scalar(w, first, pb_at(msg, first));
        } else {
            put(w, "null");
        }
        return;
    case PB_PLAIN:
    case PB_EMPTY:
    case PB_MAP_ENTRY:
        break;
    }
    bool is_first;
    begin(w, "{", &is_first);
    write_fields(w, desc, msg, depth, &is_first);
    end(w, "}", is_first);
}

int pb_json_write(const struct pb_types *types, const struct pb_desc *desc, const void *msg,
                  unsigned how, struct buf *out)
{
    struct writer w = {.types = types, .out = out, .how = how};
    write_message(&w, desc, msg, 0);
    return w.rc;
}

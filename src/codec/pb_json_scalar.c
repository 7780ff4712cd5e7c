/* JSON to protocol buffers: scalars, and what people are told when a value does not fit. */
#include <math.h>

#include "codec/base64.h"
#include "codec/pb_json_int.h"

#define NAME_BYTES 64 /* longer names get no suggestion */

/* ---- what people are told ---- */

/* "file:line: <what>" */
int pb_json_refuse(struct pb_json_reader *r, const struct doc_node *at, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut to fit */
    va_end(args);
    if (!at->line) {
        return err_set(r->err, -ERR_CONFIG, "%s", text);
    }
    return err_set(r->err, -ERR_CONFIG, "%s:%u: %s", at->file ? at->file : "", at->line, text);
}

/* The value as a person wrote it, in `to`, cut. */
static const char *shown(const struct doc_node *node, char *to, size_t room)
{
    switch (node->kind) {
    case DOC_NULL:
        (void)snprintf(to, room, "null");
        break;
    case DOC_BOOL:
        (void)snprintf(to, room, "%s", node->boolean ? "true" : "false");
        break;
    case DOC_INT:
        (void)snprintf(to, room, "%lld", (long long)node->integer);
        break;
    case DOC_DOUBLE:
        (void)snprintf(to, room, "%g", node->number);
        break;
    case DOC_TEXT:
        (void)snprintf(to, room, "%.*s", SPAN_ARG(span_first(node->text, 60)));
        break;
    case DOC_LIST:
        (void)snprintf(to, room, "a list");
        break;
    case DOC_MAP:
        (void)snprintf(to, room, "a map");
        break;
    }
    return to;
}

int pb_json_refuse_value(struct pb_json_reader *r, const struct doc_node *node, const char *want)
{
    char value[80];
    return pb_json_refuse(r, node, "'%s' is '%s'; want %s", r->field,
                          shown(node, value, sizeof value), want);
}

/* Levenshtein's distance of two names. */
static size_t distance(struct span a, struct span b)
{
    size_t row[NAME_BYTES + 1];
    if (a.len > NAME_BYTES || b.len > NAME_BYTES) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t swap = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            row[j] = size_min(swap, size_min(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

int pb_json_refuse_field(struct pb_json_reader *r, const struct pb_desc *desc, struct span name,
                         const struct doc_node *at)
{
    const char *best = NULL;
    size_t best_distance = name.len / 3 + 1;
    for (size_t i = 0; i < desc->count; i++) {
        char camel[NAME_BYTES + 2];
        const struct pb_field *f = &desc->fields[i];
        size_t d = size_min(distance(name, span_of(f->name)),
                            distance(name, pb_json_name(f, camel, sizeof camel)));
        if (d <= best_distance && (!best || d < best_distance)) {
            best = f->name;
            best_distance = d;
        }
    }
    struct span cut = span_first(name, 80);
    return pb_json_refuse(r, at, "'%.*s' is not a field of %s%s%s%s", SPAN_ARG(cut), desc->name,
                          best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
}

COLD static int refuse_enum(struct pb_json_reader *r, const struct pb_field *f,
                            const struct doc_node *node)
{
    char want[ERR_TEXT_BYTES / 2];
    size_t len = 0;
    const struct pb_enum *e = f->type.enumeration;
    for (size_t i = 0; i < e->count && len < sizeof want - 1; i++) {
        const char *sep = i == 0 ? "" : i + 1 == e->count ? " or " : ", ";
        int more = snprintf(want + len, sizeof want - len, "%s%s", sep, e->values[i].name);
        len += (size_t)more;
    }
    return pb_json_refuse_value(r, node, want);
}

/* ---- scalars ---- */

/* A whole number as text, integer, or double without a fraction; false if it is none. */
static bool whole(const struct doc_node *node, bool *is_negative, uint64_t *size)
{
    struct span digits;
    switch (node->kind) {
    case DOC_INT:
        *is_negative = node->integer < 0;
        *size = *is_negative ? 0 - (uint64_t)node->integer : (uint64_t)node->integer;
        return true;
    case DOC_DOUBLE:
        *is_negative = node->number < 0;
        if (!(fabs(node->number) < 18446744073709551616.0) || trunc(node->number) != node->number) {
            return false;
        }
        *size = (uint64_t)fabs(node->number);
        return true;
    case DOC_TEXT:
        *is_negative = node->text.len && node->text.at[0] == '-';
        digits = span_from_offset(node->text, *is_negative);
        return span_to_u64(digits, size);
    case DOC_NULL:
    case DOC_BOOL:
    case DOC_LIST:
    case DOC_MAP:
        break;
    }
    return false;
}

/* Fits `node` into the integer kind of `f`; false if it does not. */
static bool fit_integer(uint8_t kind, const struct doc_node *node, void *to)
{
    bool is_negative = false;
    uint64_t size = 0;
    if (!whole(node, &is_negative, &size)) {
        return false;
    }
    bool is_unsigned =
        kind == PB_UINT32 || kind == PB_UINT64 || kind == PB_FIXED32 || kind == PB_FIXED64;
    bool is_wide = pb_kind_bytes(kind) == 8;
    uint64_t max = is_unsigned ? (is_wide ? UINT64_MAX : UINT32_MAX)
                               : (is_wide ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX);
    if (is_negative && size) {
        if (is_unsigned || size > max + 1) {
            return false;
        }
        size = 0 - size;
    } else if (size > max) {
        return false;
    }
    if (is_wide) {
        memcpy(to, &size, sizeof size);
    } else {
        uint32_t low = (uint32_t)size;
        memcpy(to, &low, sizeof low);
    }
    return true;
}

static bool fit_double(const struct doc_node *node, double *to)
{
    if (node->kind == DOC_INT) {
        *to = (double)node->integer;
        return true;
    }
    if (node->kind == DOC_DOUBLE) {
        *to = node->number;
        return true;
    }
    if (node->kind != DOC_TEXT || node->text.len == 0 || node->text.len > 40) {
        return false;
    }
    if (span_is(node->text, "NaN")) {
        *to = NAN;
        return true;
    }
    if (span_is(node->text, "Infinity") || span_is(node->text, "-Infinity")) {
        *to = node->text.at[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    char text[48];
    char *end;
    for (size_t i = 0; i < node->text.len; i++) {
        if (!strchr("0123456789+-.eE", node->text.at[i]) || !node->text.at[i]) {
            return false;
        }
    }
    *to = strtod(span_to_cstr(node->text, text, sizeof text), &end);
    return *end == '\0' && isfinite(*to);
}

static int read_float(struct pb_json_reader *r, const struct pb_field *f,
                      const struct doc_node *node, void *to)
{
    double wide = 0;
    if (!fit_double(node, &wide)) {
        return pb_json_refuse_value(r, node, "a number");
    }
    if (f->kind == PB_DOUBLE) {
        memcpy(to, &wide, sizeof wide);
        return 0;
    }
    float narrow = (float)wide; /* rounds, as FLT_MAX in decimal must */
    if (isfinite(wide) && isinf(narrow)) {
        return pb_json_refuse_value(r, node, "a number that fits a float");
    }
    memcpy(to, &narrow, sizeof narrow);
    return 0;
}

/* Either alphabet, with or without padding. */
static int read_bytes(struct pb_json_reader *r, const struct doc_node *node, void *to)
{
    if (node->kind != DOC_TEXT) {
        return pb_json_refuse_value(r, node, "base64");
    }
    char *url = arena_bytes(r->arena, node->text.len);
    for (size_t i = 0; i < node->text.len; i++) {
        char c = node->text.at[i];
        url[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    char *plain = arena_bytes(r->arena, base64_decoded_max(node->text.len));
    ssize_t len = base64_decode(BASE64_URL, span_from(url, node->text.len), plain);
    if (len < 0) {
        return pb_json_refuse_value(r, node, "base64");
    }
    struct span bytes = span_from(plain, (size_t)len);
    memcpy(to, &bytes, sizeof bytes);
    return 0;
}

/* By its name, in any case and with '-' for '_' as Envoy's files may have it. */
static bool fit_enum(const struct pb_enum *e, struct span name, int32_t *number)
{
    if (pb_enum_number(e, name, number)) {
        return true;
    }
    for (size_t i = 0; i < e->count; i++) {
        const char *known = e->values[i].name;
        size_t at = 0;
        while (at < name.len && known[at]) {
            char c = name.at[at] == '-' ? '_' : name.at[at];
            c = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
            if (c != known[at]) {
                break;
            }
            at++;
        }
        if (at == name.len && !known[at]) {
            *number = e->values[i].number;
            return true;
        }
    }
    return false;
}

static int read_enum(struct pb_json_reader *r, const struct pb_field *f,
                     const struct doc_node *node, void *to)
{
    int32_t number = 0;
    bool is_null_value = node->kind == DOC_NULL &&
                         strcmp(f->type.enumeration->name, "google.protobuf.NullValue") == 0;
    bool is_known =
        is_null_value ||
        (node->kind == DOC_TEXT && fit_enum(f->type.enumeration, node->text, &number)) ||
        (node->kind != DOC_TEXT && fit_integer(PB_INT32, node, &number));
    if (!is_known) {
        return refuse_enum(r, f, node);
    }
    memcpy(to, &number, sizeof number);
    return 0;
}

int pb_json_scalar(struct pb_json_reader *r, const struct pb_field *f, const struct doc_node *node,
                   void *to)
{
    switch (f->kind) {
    case PB_DOUBLE:
    case PB_FLOAT:
        return read_float(r, f, node, to);
    case PB_BOOL:
        if (node->kind != DOC_BOOL) {
            return pb_json_refuse_value(r, node, "true or false");
        }
        memcpy(to, &node->boolean, sizeof node->boolean);
        return 0;
    case PB_STRING:
        if (node->kind != DOC_TEXT) {
            return pb_json_refuse_value(r, node, "text (quote it)");
        }
        memcpy(to, &node->text, sizeof node->text);
        return 0;
    case PB_BYTES:
        return read_bytes(r, node, to);
    case PB_ENUM:
        return read_enum(r, f, node, to);
    default:
        break;
    }
    if (!fit_integer(f->kind, node, to)) {
        bool is_unsigned = f->kind == PB_UINT32 || f->kind == PB_UINT64 || f->kind == PB_FIXED32 ||
                           f->kind == PB_FIXED64;
        char want[64];
        (void)snprintf(want, sizeof want, "a whole number of %d bits%s",
                       (int)pb_kind_bytes(f->kind) * 8, is_unsigned ? ", not negative" : "");
        return pb_json_refuse_value(r, node, want);
    }
    return 0;
}

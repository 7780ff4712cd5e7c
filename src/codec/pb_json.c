/* JSON to protocol buffers: a message is filled from a document tree, by name. */
#include "codec/date.h"
#include "codec/pb_json_int.h"

#define DURATION_MAX 315576000000LL /* seconds; google/protobuf/duration.proto */

static int read_message(struct pb_json_reader *r, const struct pb_desc *desc,
                        const struct doc_node *node, void *msg, int depth);

/* ---- messages with a form of their own ---- */

/* Up to nine digits as nanoseconds; false for more, or none, or others. */
static bool fraction(struct span digits, int32_t *nanos)
{
    uint64_t value = 0;
    if (digits.len > 9 || !span_to_u64(digits, &value)) {
        return false;
    }
    for (size_t i = digits.len; i < 9; i++) {
        value *= 10;
    }
    *nanos = (int32_t)value;
    return true;
}

static void store_time(const struct pb_desc *desc, void *msg, int64_t seconds, int32_t nanos)
{
    memcpy((char *)msg + desc->fields[0].offset, &seconds, sizeof seconds);
    memcpy((char *)msg + desc->fields[1].offset, &nanos, sizeof nanos);
}

static int read_duration(struct pb_json_reader *r, const struct pb_desc *desc,
                         const struct doc_node *node, void *msg)
{
    const char *want = "a duration in seconds, as in '1.5s'";
    if (node->kind != DOC_TEXT || !span_ends(node->text, SPAN("s"))) {
        return pb_json_refuse_value(r, node, want);
    }
    struct span rest = span_first(node->text, node->text.len - 1);
    bool is_negative = span_starts(rest, SPAN("-"));
    rest = span_from_offset(rest, is_negative);
    struct span digits = span_cut(&rest, '.');
    uint64_t seconds = 0;
    int32_t nanos = 0;
    if (!span_to_u64(digits, &seconds) || seconds > DURATION_MAX ||
        (rest.at && !fraction(rest, &nanos))) {
        return pb_json_refuse_value(r, node, want);
    }
    int sign = is_negative ? -1 : 1;
    store_time(desc, msg, (int64_t)seconds * sign, nanos * sign);
    return 0;
}

static int read_timestamp(struct pb_json_reader *r, const struct pb_desc *desc,
                          const struct doc_node *node, void *msg)
{
    int64_t us = 0;
    int32_t nanos = 0;
    bool is_good = node->kind == DOC_TEXT && date_parse_rfc3339(node->text, &us) == 0;
    if (is_good) {
        ssize_t dot = span_find_byte(node->text, '.');
        struct span digits = span_from_offset(node->text, (size_t)(dot + 1));
        size_t len = 0;
        while (len < digits.len && digits.at[len] >= '0' && digits.at[len] <= '9') {
            len++;
        }
        is_good = dot < 0 || fraction(span_first(digits, len), &nanos);
    }
    if (!is_good) {
        return pb_json_refuse_value(r, node, "a time, as in '2026-01-31T12:00:00Z'");
    }
    int64_t seconds = us / 1000000 - (us % 1000000 < 0);
    store_time(desc, msg, seconds, nanos);
    return 0;
}

static const struct pb_field *must_field(const struct pb_desc *desc, uint32_t number)
{
    const struct pb_field *f = pb_field(desc, number);
    ASSERT(f);
    return f;
}

static void set_case(void *msg, const struct pb_field *f)
{
    int32_t number = (int32_t)f->number;
    memcpy((char *)msg + f->presence, &number, sizeof number);
}

/* google.protobuf.Value: one oneof, field by kind of node (struct.proto: null 1, number 2, string 3,
 * bool 4, struct 5, list 6). */
static int read_value(struct pb_json_reader *r, const struct pb_desc *desc,
                      const struct doc_node *node, void *msg, int depth)
{
    static const uint32_t numbers[] = {
        [DOC_NULL] = 1, [DOC_BOOL] = 4, [DOC_INT] = 2, [DOC_DOUBLE] = 2,
        [DOC_TEXT] = 3, [DOC_LIST] = 6, [DOC_MAP] = 5,
    };
    const struct pb_field *f = must_field(desc, numbers[node->kind]);
    char *at = (char *)msg + f->offset;
    set_case(msg, f);
    if (f->kind != PB_MESSAGE) {
        return node->kind == DOC_NULL ? 0 : pb_json_scalar(r, f, node, at);
    }
    void *inner = arena_zalloc(r->arena, f->type.message->bytes);
    memcpy(at, &inner, sizeof inner);
    return read_message(r, f->type.message, node, inner, depth + 1);
}

/* `node` without the member "@type". */
static const struct doc_node *without_type(struct pb_json_reader *r, const struct doc_node *node)
{
    struct doc_node *rest = arena_new(r->arena, struct doc_node);
    *rest = *node;
    rest->index = NULL;
    rest->count = 0;
    rest->entries = arena_array(r->arena, node->count, sizeof *rest->entries);
    for (uint32_t i = 0; i < node->count; i++) {
        if (!span_is(node->entries[i].key, "@type")) {
            rest->entries[rest->count++] = node->entries[i];
        }
    }
    return rest;
}

/* What an Any holds, from the rest of its map; the URL may change (see the header on unknown types). */
static int read_any_value(struct pb_json_reader *r, const struct doc_node *node, struct span *url,
                          struct span *value, int depth)
{
    const struct doc_node *rest = without_type(r, node);
    const struct pb_desc *desc = pb_find(r->types, pb_url_name(*url));
    void *msg;
    int rc;
    if (desc) {
        msg = arena_zalloc(r->arena, desc->bytes);
        const struct doc_node *from = desc->special == PB_PLAIN ? NULL : doc_get(rest, "value");
        if (!from && desc->special != PB_PLAIN && desc->special != PB_EMPTY) {
            return pb_json_refuse(r, node, "'value' is missing; %s has a form of its own",
                                  desc->name);
        }
        from = from ? from : rest;
        rc = read_message(r, desc, from, msg, depth + 1);
    } else {
        desc = pb_find(r->types, SPAN("xds.type.v3.TypedStruct"));
        ASSERT(desc);
        msg = arena_zalloc(r->arena, desc->bytes);
        memcpy((char *)msg + must_field(desc, 1)->offset, url, sizeof *url);
        const struct pb_field *f = must_field(desc, 2);
        void *fields = arena_zalloc(r->arena, f->type.message->bytes);
        memcpy((char *)msg + f->offset, &fields, sizeof fields);
        *url = SPAN(PB_URL_PREFIX "xds.type.v3.TypedStruct");
        rc = read_message(r, f->type.message, rest, fields, depth + 1);
    }
    if (rc < 0) {
        return rc;
    }
    *value = pb_encode_in(desc, msg, r->arena);
    return value->at ? 0 : pb_json_refuse(r, node, "deeper than PB_DEPTH_MAX");
}

static int read_any(struct pb_json_reader *r, const struct pb_desc *desc,
                    const struct doc_node *node, void *msg, int depth)
{
    if (node->kind == DOC_MAP && node->count == 0) {
        return 0;
    }
    const struct doc_node *type = doc_get(node, "@type");
    if (!doc_is(type, DOC_TEXT) || pb_url_name(type->text).len == 0) {
        return pb_json_refuse(r, node,
                              "'@type' is missing; want the type of what follows, as in '%s'",
                              PB_URL_PREFIX "envoy.config.cluster.v3.Cluster");
    }
    struct span url = type->text;
    struct span value = SPAN_EMPTY;
    int rc = read_any_value(r, node, &url, &value, depth);
    if (rc < 0) {
        return rc;
    }
    memcpy((char *)msg + must_field(desc, 1)->offset, &url, sizeof url);
    memcpy((char *)msg + must_field(desc, 2)->offset, &value, sizeof value);
    return 0;
}

/* ---- fields ---- */

/* One value of `f`: of the field itself, or a member of its list. */
static int read_value_of(struct pb_json_reader *r, const struct pb_field *f,
                         const struct doc_node *node, char *at, int depth)
{
    if (f->kind != PB_MESSAGE) {
        return pb_json_scalar(r, f, node, at);
    }
    void *inner = arena_zalloc(r->arena, f->type.message->bytes);
    memcpy(at, &inner, sizeof inner);
    return read_message(r, f->type.message, node, inner, depth + 1);
}

static bool takes_null(const struct pb_field *f)
{
    if (f->kind == PB_ENUM) {
        return strcmp(f->type.enumeration->name, "google.protobuf.NullValue") == 0;
    }
    return f->kind == PB_MESSAGE && f->type.message->special == PB_VALUE;
}

static int read_list(struct pb_json_reader *r, const struct pb_field *f,
                     const struct doc_node *node, void *msg, int depth)
{
    if (node->kind != DOC_LIST) {
        return pb_json_refuse_value(r, node, "a list");
    }
    for (uint32_t i = 0; i < node->count; i++) {
        const struct doc_node *member = node->entries[i].value;
        if (member->kind == DOC_NULL && !takes_null(f)) {
            return pb_json_refuse_value(r, member, "no null in a list");
        }
        char *at = pb_list_add(r->arena, (char *)msg + f->offset, pb_kind_bytes(f->kind));
        int rc = read_value_of(r, f, member, at, depth);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int read_key(struct pb_json_reader *r, const struct pb_field *f,
                    const struct doc_entry *entry, char *at)
{
    struct doc_node key = {.kind = DOC_TEXT,
                           .line = entry->value->line,
                           .file = entry->value->file,
                           .text = entry->key};
    if (f->kind == PB_BOOL && (span_is(entry->key, "true") || span_is(entry->key, "false"))) {
        key.kind = DOC_BOOL;
        key.boolean = span_is(entry->key, "true");
    }
    return pb_json_scalar(r, f, &key, at);
}

static int read_map(struct pb_json_reader *r, const struct pb_field *f, const struct doc_node *node,
                    void *msg, int depth)
{
    if (node->kind != DOC_MAP) {
        return pb_json_refuse_value(r, node, "a map");
    }
    const struct pb_desc *desc = f->type.message;
    for (uint32_t i = 0; i < node->count; i++) {
        const struct doc_entry *from = &node->entries[i];
        if (from->value->kind == DOC_NULL && !takes_null(&desc->fields[1])) {
            return pb_json_refuse_value(r, from->value, "no null in a map");
        }
        char *entry = arena_zalloc(r->arena, desc->bytes);
        char *at = pb_list_add(r->arena, (char *)msg + f->offset, sizeof(void *));
        memcpy(at, &entry, sizeof entry);
        int rc = read_key(r, &desc->fields[0], from, entry + desc->fields[0].offset);
        if (rc == 0) {
            rc = read_value_of(r, &desc->fields[1], from->value, entry + desc->fields[1].offset,
                               depth + 1);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Marks a oneof or optional field as set; two members of one oneof are a mistake. */
static int mark_present(struct pb_json_reader *r, const struct pb_desc *desc,
                        const struct pb_field *f, const struct doc_node *node, void *msg)
{
    if (f->label == PB_OPTIONAL) {
        bool yes = true;
        memcpy((char *)msg + f->presence, &yes, sizeof yes);
    } else if (f->label == PB_ONEOF) {
        int32_t old;
        memcpy(&old, (char *)msg + f->presence, sizeof old);
        if (old) {
            const struct pb_field *other = must_field(desc, (uint32_t)old);
            return pb_json_refuse(r, node, "'%s' and '%s' are both set; %s wants one of them",
                                  other->name, f->name, desc->name);
        }
        set_case(msg, f);
    }
    return 0;
}

static int read_field(struct pb_json_reader *r, const struct pb_desc *desc,
                      const struct doc_entry *entry, void *msg, int depth)
{
    const struct doc_node *node = entry->value;
    const struct pb_field *f = pb_field_named(desc, entry->key);
    if (!f) {
        return pb_json_refuse_field(r, desc, entry->key, node);
    }
    if (node->kind == DOC_NULL && (!takes_null(f) || f->label >= PB_REPEATED)) {
        return 0;
    }
    r->field = f->name;
    if (pb_has(msg, f)) {
        return pb_json_refuse(r, node, "'%s' is set twice", f->name);
    }
    int rc = mark_present(r, desc, f, node, msg);
    if (rc < 0) {
        return rc;
    }
    if (f->label == PB_MAP) {
        return read_map(r, f, node, msg, depth);
    }
    if (f->label == PB_REPEATED) {
        return read_list(r, f, node, msg, depth);
    }
    return read_value_of(r, f, node, (char *)msg + f->offset, depth);
}

static int read_plain(struct pb_json_reader *r, const struct pb_desc *desc,
                      const struct doc_node *node, void *msg, int depth)
{
    if (node->kind != DOC_MAP) {
        char want[ERR_TEXT_BYTES / 2];
        (void)snprintf(want, sizeof want, "a map: %s", desc->name);
        return pb_json_refuse_value(r, node, want);
    }
    for (uint32_t i = 0; i < node->count; i++) {
        int rc = read_field(r, desc, &node->entries[i], msg, depth);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* Recursion ends at PB_DEPTH_MAX. */
static int read_message(struct pb_json_reader *r, const struct pb_desc *desc,
                        const struct doc_node *node, void *msg, int depth)
{
    if (depth >= PB_DEPTH_MAX) {
        (void)pb_json_refuse(r, node, "deeper than PB_DEPTH_MAX"); /* the code is another */
        if (r->err) {
            r->err->code = -ERR_LIMIT;
        }
        return -ERR_LIMIT;
    }
    switch ((enum pb_special)desc->special) {
    case PB_ANY:
        return read_any(r, desc, node, msg, depth);
    case PB_DURATION:
        return read_duration(r, desc, node, msg);
    case PB_TIMESTAMP:
        return read_timestamp(r, desc, node, msg);
    case PB_VALUE:
        return read_value(r, desc, node, msg, depth);
    case PB_STRUCT:
        return read_map(r, &desc->fields[0], node, msg, depth);
    case PB_LIST_VALUE:
        return read_list(r, &desc->fields[0], node, msg, depth);
    case PB_WRAPPER:
        return pb_json_scalar(r, &desc->fields[0], node, (char *)msg + desc->fields[0].offset);
    case PB_PLAIN:
    case PB_EMPTY:
    case PB_MAP_ENTRY:
        break;
    }
    return read_plain(r, desc, node, msg, depth);
}

void *pb_json_read(const struct pb_types *types, const struct pb_desc *desc, struct arena *arena,
                   const struct doc_node *node, struct err *err)
{
    struct pb_json_reader r = {.types = types, .arena = arena, .err = err, .field = desc->name};
    void *msg = arena_zalloc(arena, desc->bytes);
    return read_message(&r, desc, node, msg, 0) < 0 ? NULL : msg;
}

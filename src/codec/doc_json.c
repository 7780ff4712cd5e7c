/* JSON by yyjson. In: text. Out: the tree; its texts point into a copy of the input in the arena, in which yyjson
 * unescapes in place. yyjson keeps no positions, so lines are told by where texts lie: a member's line
 * is that of its key. */
#include <yyjson.h>

#include "base/mem.h"
#include "codec/doc_int.h"

struct building {
    struct arena *arena;
    const char *file;
    const char *copy; /* what yyjson reads in place */
    struct span text; /* the same, unchanged: lines are counted here */
    size_t counted;   /* bytes of text whose lines are counted */
    uint32_t line;    /* at `counted` */
    struct err *err;
};

static void *json_malloc(void *ctx, size_t size)
{
    UNUSED(ctx);
    return mem_alloc(size);
}

static void *json_realloc(void *ctx, void *old, size_t old_size, size_t size)
{
    UNUSED(ctx);
    UNUSED(old_size);
    return mem_realloc(old, size);
}

static void json_free(void *ctx, void *p)
{
    UNUSED(ctx);
    mem_free(p);
}

/* Moves on to a text of the copy; values come in order, so each byte is counted once. */
static void move_to(struct building *b, const char *at)
{
    for (size_t end = (size_t)(at - b->copy); b->counted < end; b->counted++) {
        b->line += b->text.at[b->counted] == '\n';
    }
}

static struct doc_node *build(struct building *b, yyjson_val *value, unsigned depth);

static int build_entries(struct building *b, struct doc_node *node, yyjson_val *value,
                         unsigned depth)
{
    bool is_map = node->kind == DOC_MAP;
    size_t count = is_map ? yyjson_obj_size(value) : yyjson_arr_size(value);
    yyjson_val *item = unsafe_yyjson_get_first(value);
    for (size_t i = 0; i < count; i++) {
        struct span key = SPAN_EMPTY;
        if (is_map) {
            key = span_from(yyjson_get_str(item), yyjson_get_len(item));
            move_to(b, key.at);
            item++;
        }
        struct doc_node *child = build(b, item, depth + 1);
        if (child == NULL) {
            return -1;
        }
        if (!is_map) {
            doc_list_add(b->arena, node, child);
        } else if (!doc_put_new(b->arena, node, key, child)) {
            return err_set(b->err, -ERR_CONFIG, "%s:%u: key '%.*s' is there twice",
                           doc_file_name(b->file), child->line, SPAN_ARG(key));
        }
        item = unsafe_yyjson_get_next(item);
    }
    return 0;
}

/* NULL on failure, with err filled. */
static struct doc_node *build(struct building *b, yyjson_val *value, unsigned depth)
{
    struct doc_node *node = doc_node_new(b->arena, DOC_NULL, b->file, b->line);
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_BOOL:
        node->kind = DOC_BOOL;
        node->boolean = yyjson_get_bool(value);
        break;
    case YYJSON_TYPE_NUM:
        if (yyjson_is_real(value) ||
            (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX)) {
            node->kind = DOC_DOUBLE;
            node->number = yyjson_get_num(value);
        } else {
            node->kind = DOC_INT;
            node->integer = yyjson_get_sint(value);
        }
        break;
    case YYJSON_TYPE_STR:
        node->kind = DOC_TEXT;
        node->text = span_from(yyjson_get_str(value), yyjson_get_len(value));
        move_to(b, node->text.at);
        node->line = b->line;
        break;
    case YYJSON_TYPE_ARR:
    case YYJSON_TYPE_OBJ:
        if (depth == DOC_DEPTH_MAX) {
            (void)err_set(b->err, -ERR_LIMIT, "%s:%u: lists and maps nest deeper than %d",
                          doc_file_name(b->file), b->line, DOC_DEPTH_MAX);
            return NULL;
        }
        node->kind = yyjson_is_obj(value) ? DOC_MAP : DOC_LIST;
        return build_entries(b, node, value, depth) == 0 ? node : NULL;
    default:
        break;
    }
    return node;
}

static int syntax_error(struct span text, const char *file, const yyjson_read_err *failure,
                        struct err *err)
{
    struct span before = span_first(text, failure->pos);
    uint32_t line = 1;
    for (size_t i = 0; i < before.len; i++) {
        line += before.at[i] == '\n';
    }
    return err_set(err, -ERR_CONFIG, "%s:%u: json: %s", doc_file_name(file), line,
                   text.len == 0 ? "the text is empty" : failure->msg);
}

static int limit_error(const char *file, struct err *err, const char *what, size_t limit)
{
    return err_set(err, -ERR_LIMIT, "%s: more than %zu %s", doc_file_name(file), limit, what);
}

int doc_parse_json(struct arena *arena, struct span text, const char *file, struct doc_node **out,
                   struct err *err)
{
    const yyjson_alc alc = {.malloc = json_malloc, .realloc = json_realloc, .free = json_free};
    if (text.len > DOC_BYTES_MAX) {
        return limit_error(file, err, "bytes", DOC_BYTES_MAX);
    }
    char *copy = arena_bytes(arena, text.len + YYJSON_PADDING_SIZE);
    memset(copy + text.len, 0, YYJSON_PADDING_SIZE);
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    yyjson_read_err failure = {.pos = 0};
    yyjson_doc *doc = yyjson_read_opts(copy, text.len, YYJSON_READ_INSITU, &alc, &failure);
    if (doc == NULL) {
        return syntax_error(text, file, &failure, err);
    }
    struct building b = {.arena = arena, .copy = copy, .text = text, .line = 1, .err = err};
    b.file = file ? arena_strdup(arena, file) : NULL;
    struct err own;
    b.err = err ? err : &own;
    b.err->code = 0;
    int failed = 0;
    if (yyjson_doc_get_val_count(doc) > DOC_NODES_MAX) {
        failed = limit_error(file, err, "values", DOC_NODES_MAX);
    } else {
        *out = build(&b, yyjson_doc_get_root(doc), 0);
        failed = *out ? 0 : b.err->code;
    }
    yyjson_doc_free(doc);
    return failed;
}

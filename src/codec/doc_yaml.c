/* YAML by libyaml's events. In: text. Out: the tree of each document. What a plain scalar means is
 * doc_resolve.c's. Open lists and maps stand on a stack of fixed depth, so no input makes us recurse. */
#include <yaml.h>

#include "codec/doc_int.h"

#define TAG "tag:yaml.org,2002:"

struct anchor {
    struct span name;
    struct doc_node *node;
    size_t weight;   /* nodes at and below it, aliases expanded; 0 while it is open */
    unsigned height; /* levels of lists and maps at and below it */
};

/* An open list or map. */
struct frame {
    struct doc_node *node;
    struct span key; /* of a map: the key whose value comes next */
    bool has_key;
    bool key_merges; /* it is a plain `<<` */
    uint32_t key_line;
    struct doc_node *merges; /* list of maps, applied when this one is complete */
    size_t anchor;           /* its own, + 1 */
    size_t weight_before;
    unsigned height;
};

struct building {
    yaml_parser_t parser;
    struct arena *arena;
    struct span text;
    const char *file;
    struct err *err;
    struct doc_node *documents; /* list */
    struct doc_node *root;      /* of the document in hand */
    struct frame frames[DOC_DEPTH_MAX];
    unsigned depth;
    size_t weight; /* nodes so far, aliases expanded */
    struct anchor *anchors;
    size_t anchor_count;
};

static int bad(const struct building *b, uint32_t line, const char *what)
{
    return err_set(b->err, -ERR_CONFIG, "%s:%u: %s", doc_file_name(b->file), line, what);
}

static int over(const struct building *b, uint32_t line, size_t limit, const char *what)
{
    return err_set(b->err, -ERR_LIMIT, "%s:%u: more than %zu %s", doc_file_name(b->file), line,
                   limit, what);
}

static uint32_t line_of(const yaml_event_t *event)
{
    return (uint32_t)event->start_mark.line + 1;
}

static struct span event_span(const yaml_char_t *text)
{
    return span_of((const char *)text);
}

/* --- putting nodes in place --- */

/* `<<: map` or `<<: [map, map]`: noted, for the keys written out win wherever they stand. */
static int note_merge(struct building *b, struct frame *frame, struct doc_node *value)
{
    bool ok = value->kind == DOC_MAP || value->kind == DOC_LIST;
    for (size_t i = 0; ok && value->kind == DOC_LIST && i < doc_count(value); i++) {
        ok = doc_at(value, i)->kind == DOC_MAP;
    }
    if (!ok) {
        return bad(b, frame->key_line, "'<<' wants a map, or a list of maps");
    }
    frame->merges = frame->merges ? frame->merges : doc_new_list(b->arena);
    for (size_t i = 0; value->kind == DOC_LIST && i < doc_count(value); i++) {
        doc_list_add(b->arena, frame->merges, doc_at(value, i));
    }
    if (value->kind == DOC_MAP) {
        doc_list_add(b->arena, frame->merges, value);
    }
    return 0;
}

static void apply_merges(struct building *b, const struct frame *frame)
{
    for (size_t i = 0; i < doc_count(frame->merges); i++) {
        const struct doc_node *from = doc_at(frame->merges, i);
        for (uint32_t k = 0; k < from->count; k++) {
            /* A key that is there already wins. */
            (void)doc_put_new(b->arena, frame->node, from->entries[k].key, from->entries[k].value);
        }
    }
}

/* A finished node (or a list or map that has just been opened) into its parent. */
static int place(struct building *b, struct doc_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return 0;
    }
    struct frame *frame = &b->frames[b->depth - 1];
    if (frame->node->kind == DOC_LIST) {
        doc_list_add(b->arena, frame->node, node);
        return 0;
    }
    frame->has_key = false;
    if (!doc_put_new(b->arena, frame->node, frame->key, node)) {
        return err_set(b->err, -ERR_CONFIG, "%s:%u: key '%.*s' is there twice, first in line %u",
                       doc_file_name(b->file), frame->key_line, SPAN_ARG(frame->key),
                       doc_get_span(frame->node, frame->key)->line);
    }
    return 0;
}

/* Whether the next node is a key of the map on top. */
static bool wants_key(const struct building *b)
{
    return b->depth > 0 && b->frames[b->depth - 1].node->kind == DOC_MAP &&
           !b->frames[b->depth - 1].has_key;
}

static bool in_merge(const struct building *b)
{
    const struct frame *frame = b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
    return frame != NULL && frame->node->kind == DOC_MAP && frame->has_key && frame->key_merges;
}

static int put_value(struct building *b, struct doc_node *node)
{
    if (!in_merge(b)) {
        return place(b, node);
    }
    b->frames[b->depth - 1].has_key = false;
    return note_merge(b, &b->frames[b->depth - 1], node);
}

/* --- anchors --- */

static int count_node(struct building *b, uint32_t line, size_t weight)
{
    b->weight += weight;
    return b->weight > DOC_NODES_MAX ? over(b, line, DOC_NODES_MAX, "values") : 0;
}

/* Enters an anchor; `*index` is its place + 1, or 0 without one. A name may be given again. */
static int anchor_add(struct building *b, const yaml_char_t *name, uint32_t line,
                      struct doc_node *node, size_t *index)
{
    *index = 0;
    if (name == NULL) {
        return 0;
    }
    if (b->anchor_count == DOC_ANCHORS_MAX) {
        return over(b, line, DOC_ANCHORS_MAX, "anchors");
    }
    if (b->anchors == NULL) {
        b->anchors = arena_array(b->arena, DOC_ANCHORS_MAX, sizeof(b->anchors[0]));
    }
    b->anchors[b->anchor_count] =
        (struct anchor){.name = arena_dup(b->arena, event_span(name)), .node = node};
    *index = ++b->anchor_count;
    return 0;
}

static void anchor_close(struct building *b, size_t index, size_t weight, unsigned height)
{
    if (index != 0) {
        b->anchors[index - 1].weight = weight;
        b->anchors[index - 1].height = height;
    }
}

static void raise_height(struct building *b, unsigned height)
{
    if (b->depth > 0 && b->frames[b->depth - 1].height < height + 1) {
        b->frames[b->depth - 1].height = height + 1;
    }
}

static int on_alias(struct building *b, const yaml_event_t *event)
{
    struct span name = event_span(event->data.alias.anchor);
    uint32_t line = line_of(event);
    size_t i = b->anchor_count;
    while (i > 0 && !span_eq(b->anchors[i - 1].name, name)) {
        i--;
    }
    if (i == 0) {
        return err_set(b->err, -ERR_CONFIG, "%s:%u: alias '*%.*s' has no anchor",
                       doc_file_name(b->file), line, SPAN_ARG(name));
    }
    const struct anchor *anchor = &b->anchors[i - 1];
    if (anchor->weight == 0) {
        return bad(b, line, "an alias stands inside what it means");
    }
    if (b->depth + anchor->height > DOC_DEPTH_MAX) {
        return over(b, line, DOC_DEPTH_MAX, "levels of lists and maps");
    }
    if (wants_key(b)) {
        return bad(b, line, "an alias can not be a key");
    }
    raise_height(b, anchor->height);
    int failed = count_node(b, line, anchor->weight);
    return failed ? failed : put_value(b, anchor->node);
}

/* --- scalars, lists, maps --- */

static bool tag_is(const yaml_char_t *tag, const char *name)
{
    return tag != NULL && strcmp((const char *)tag, name) == 0;
}

/* Kind and value, by tag, style and text. */
static int scalar_value(struct building *b, const yaml_event_t *event, struct doc_node *node)
{
    static const struct {
        const char *tag;
        enum doc_kind kind;
    } tags[] = {{TAG "null", DOC_NULL},
                {TAG "bool", DOC_BOOL},
                {TAG "int", DOC_INT},
                {TAG "float", DOC_DOUBLE}};
    const yaml_char_t *tag = event->data.scalar.tag;
    struct span text = span_from(event->data.scalar.value, event->data.scalar.length);
    node->kind = DOC_TEXT;
    node->text = arena_dup(b->arena, text);
    if (tag == NULL) {
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        return plain && doc_yaml_resolve(node->text, node) != 0
                   ? bad(b, node->line, "'.inf' and '.nan' have no place here; use a number")
                   : 0;
    }
    if (tag_is(tag, "!") || tag_is(tag, TAG "str") || tag_is(tag, TAG "timestamp")) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        if (!tag_is(tag, tags[i].tag)) {
            continue;
        }
        int failed = doc_yaml_resolve(text, node);
        bool widens = tags[i].kind == DOC_DOUBLE && node->kind == DOC_INT;
        if (widens) {
            node->kind = DOC_DOUBLE;
            node->number = (double)node->integer;
        }
        return failed == 0 && node->kind == tags[i].kind
                   ? 0
                   : bad(b, node->line, "value does not fit its tag");
    }
    return err_set(b->err, -ERR_CONFIG, "%s:%u: tag '%.200s' is not supported",
                   doc_file_name(b->file), node->line, (const char *)tag);
}

static void take_key(struct building *b, const yaml_event_t *event)
{
    struct frame *frame = &b->frames[b->depth - 1];
    struct span text = span_from(event->data.scalar.value, event->data.scalar.length);
    frame->key = arena_dup(b->arena, text);
    frame->key_line = line_of(event);
    frame->has_key = true;
    frame->key_merges = event->data.scalar.tag == NULL && span_is(text, "<<") &&
                        event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int on_scalar(struct building *b, const yaml_event_t *event)
{
    uint32_t line = line_of(event);
    size_t anchor;
    int failed = count_node(b, line, 1);
    if (failed == 0 && wants_key(b)) {
        take_key(b, event);
        return 0;
    }
    struct doc_node *node = doc_node_new(b->arena, DOC_TEXT, b->file, line);
    failed = failed ? failed : anchor_add(b, event->data.scalar.anchor, line, node, &anchor);
    failed = failed ? failed : scalar_value(b, event, node);
    if (failed != 0) {
        return failed;
    }
    anchor_close(b, anchor, 1, 0);
    return put_value(b, node);
}

static int on_open(struct building *b, const yaml_event_t *event, enum doc_kind kind)
{
    const yaml_char_t *name =
        kind == DOC_MAP ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        kind == DOC_MAP ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    uint32_t line = line_of(event);
    size_t anchor;
    if (b->depth == DOC_DEPTH_MAX) {
        return over(b, line, DOC_DEPTH_MAX, "levels of lists and maps");
    }
    if (wants_key(b)) {
        return bad(b, line, "a list or map can not be a key");
    }
    if (tag != NULL && !tag_is(tag, "!") && !tag_is(tag, TAG "map") && !tag_is(tag, TAG "seq")) {
        return err_set(b->err, -ERR_CONFIG, "%s:%u: tag '%.200s' is not supported",
                       doc_file_name(b->file), line, (const char *)tag);
    }
    struct doc_node *node = doc_node_new(b->arena, kind, b->file, line);
    size_t before = b->weight;
    int failed = count_node(b, line, 1);
    failed = failed ? failed : anchor_add(b, name, line, node, &anchor);
    /* A map to be merged is put in place when it is complete. */
    failed = failed ? failed : in_merge(b) ? 0 : place(b, node);
    if (failed == 0) {
        b->frames[b->depth++] =
            (struct frame){.node = node, .anchor = anchor, .weight_before = before, .height = 1};
    }
    return failed;
}

static int on_close(struct building *b)
{
    struct frame *frame = &b->frames[--b->depth];
    apply_merges(b, frame);
    anchor_close(b, frame->anchor, b->weight - frame->weight_before, frame->height);
    raise_height(b, frame->height);
    return in_merge(b) ? put_value(b, frame->node) : 0;
}

static void on_document_end(struct building *b)
{
    if (b->root != NULL && b->root->kind != DOC_NULL) {
        doc_list_add(b->arena, b->documents, b->root);
    }
    b->root = NULL;
    b->anchor_count = 0;
}

static int on_event(struct building *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, event, DOC_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, event, DOC_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b);
    case YAML_DOCUMENT_END_EVENT:
        on_document_end(b);
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        return 0;
    }
    return 0;
}

/* --- the whole text --- */

static int syntax_error(const struct building *b)
{
    const yaml_parser_t *p = &b->parser;
    size_t at = p->error == YAML_READER_ERROR ? p->problem_offset : p->problem_mark.index;
    uint32_t line = (uint32_t)p->problem_mark.line + 1;
    if (p->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < at && i < b->text.len; i++) {
            line += b->text.at[i] == '\n';
        }
    }
    /* libyaml counts characters, not bytes: only in ASCII do we know what stands there. */
    if (at < b->text.len && b->text.at[at] == '\t') {
        return bad(b, line, "yaml: a tab can not indent; use blanks");
    }
    return err_set(b->err, -ERR_CONFIG, "%s:%u: yaml: %s%s%s", doc_file_name(b->file), line,
                   p->problem ? p->problem : "broken", p->context ? " " : "",
                   p->context ? p->context : "");
}

static int run(struct building *b)
{
    int failed = 0;
    bool ended = false;
    while (failed == 0 && !ended) {
        yaml_event_t event;
        if (yaml_parser_parse(&b->parser, &event) == 0) {
            return syntax_error(b);
        }
        failed = on_event(b, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return failed;
}

int doc_parse_yaml_all(struct arena *arena, struct span text, const char *file,
                       struct doc_node **out, struct err *err)
{
    struct building b = {.arena = arena, .text = text, .file = file, .err = err};
    if (text.len > DOC_BYTES_MAX) {
        (void)over(&b, 1, DOC_BYTES_MAX, "bytes");
        return -ERR_LIMIT;
    }
    b.file = file ? arena_strdup(arena, file) : NULL;
    b.documents = doc_node_new(arena, DOC_LIST, b.file, 1);
    int ready = yaml_parser_initialize(&b.parser);
    ASSERT(ready == 1); /* fails only without memory */
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.at ? text.at : ""),
                                 text.len);
    int failed = run(&b);
    yaml_parser_delete(&b.parser);
    *out = b.documents;
    return failed;
}

int doc_parse_yaml(struct arena *arena, struct span text, const char *file, struct doc_node **out,
                   struct err *err)
{
    struct doc_node *all = NULL;
    int failed = doc_parse_yaml_all(arena, text, file, &all, err);
    if (failed != 0) {
        return failed;
    }
    if (doc_count(all) > 1) {
        return err_set(err, -ERR_CONFIG, "%s:%u: a second document; want one", doc_file_name(file),
                       doc_at(all, 1)->line);
    }
    *out = doc_count(all) == 1 ? doc_at(all, 0) : doc_node_new(arena, DOC_NULL, all->file, 1);
    return 0;
}

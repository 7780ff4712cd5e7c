/* Templates of pods filled in. In: templates/NAME.yaml and values. Next: pod_merge. */
#include "inject/template.h"

#include "base/embed.h"
#include "inject/templates_files.h"

#define TEXT_MAX 65536

struct filling {
    const struct doc_node *values;
    struct arena *arena;
    struct err *err;
};

const struct doc_node *template_find(struct span name, struct arena *arena)
{
    const char *file = arena_printf(arena, "%.*s.yaml", SPAN_ARG(name));
    const struct embed *e = embed_find(templates_files, file);
    struct doc_node *doc;
    struct err err;
    if (e == NULL) {
        return NULL;
    }
    int code = doc_parse_yaml(arena, span_from(e->bytes, e->length), e->name, &doc, &err);
    ASSERT(code == 0); /* a part of us */
    return doc;
}

/* The value of a name; NULL with an error when there is none such. */
static const struct doc_node *value_of(struct filling *f, const struct doc_node *at,
                                       struct span name)
{
    const struct doc_node *value = doc_get_span(f->values, name);
    if (value == NULL) {
        err_set(f->err, -ERR_CONFIG, "template %s:%u: there is no '${%.*s}'",
                at->file ? at->file : "", at->line, SPAN_ARG(name));
    }
    return value;
}

static bool is_set(const struct doc_node *value)
{
    return value->kind != DOC_NULL && !(value->kind == DOC_BOOL && !value->boolean);
}

/* Whether `$if` lets the map stay. */
static int is_wanted(struct filling *f, const struct doc_node *map, bool *out)
{
    const struct doc_node *cond = doc_get(map, "$if");
    *out = true;
    if (cond == NULL) {
        return 0;
    }
    if (cond->kind != DOC_TEXT) {
        return err_set(f->err, -ERR_CONFIG, "template %s:%u: '$if' wants the name of a value",
                       cond->file ? cond->file : "", cond->line);
    }
    bool negated = span_starts(cond->text, SPAN("!"));
    const struct doc_node *value = value_of(f, cond, span_from_offset(cond->text, negated ? 1 : 0));
    *out = value && is_set(value) != negated;
    return value ? 0 : -ERR_CONFIG;
}

/* The name of the hole that the text begins with; NULL `at` when it does not. */
static struct span hole_at(struct span text)
{
    ssize_t end = span_starts(text, SPAN("${")) ? span_find_byte(text, '}') : -1;
    return end < 0 ? SPAN_EMPTY : span_from(text.at + 2, (size_t)end - 2);
}

static int append_value(struct filling *f, const struct doc_node *at, struct span name,
                        struct buf *to)
{
    const struct doc_node *value = value_of(f, at, name);
    if (value == NULL) {
        return -ERR_CONFIG;
    }
    if (value->kind >= DOC_LIST) {
        return err_set(f->err, -ERR_CONFIG, "template %s:%u: '${%.*s}' is no text",
                       at->file ? at->file : "", at->line, SPAN_ARG(name));
    }
    return value->kind == DOC_NULL   ? 0
           : value->kind == DOC_TEXT ? buf_append_span(to, value->text)
                                     : doc_write_json(value, false, to);
}

static int fill_text(struct filling *f, const struct doc_node *node, struct doc_node **out)
{
    struct span name = hole_at(node->text);
    if (name.at && name.len + 3 == node->text.len) {
        const struct doc_node *value = value_of(f, node, name);
        *out = value && value->kind != DOC_NULL ? doc_dup(f->arena, value) : NULL;
        return value ? 0 : -ERR_CONFIG;
    }
    if (span_find(node->text, SPAN("${")) < 0) {
        *out = doc_dup(f->arena, node);
        return 0;
    }
    struct buf text;
    int code = 0;
    buf_init(&text, TEXT_MAX);
    for (struct span rest = node->text; rest.len > 0 && code == 0;) {
        name = hole_at(rest);
        code = name.at ? append_value(f, node, name, &text)
                       : buf_append_span(&text, span_first(rest, 1));
        rest = span_from_offset(rest, name.at ? name.len + 3 : 1);
    }
    *out = code == 0 ? doc_text(f->arena, buf_span(&text)) : NULL;
    buf_dispose(&text);
    return code == -ERR_LIMIT
               ? err_set(f->err, code, "a text of the template is longer than %d", TEXT_MAX)
               : code;
}

static int fill(struct filling *f, const struct doc_node *node, struct doc_node **out);

static int fill_map(struct filling *f, const struct doc_node *map, struct doc_node **out)
{
    bool wanted;
    int code = is_wanted(f, map, &wanted);
    *out = code == 0 && wanted ? doc_new_map(f->arena) : NULL;
    for (size_t i = 0; i < map->count && *out && code == 0; i++) {
        struct doc_node *value;
        if (span_is(map->entries[i].key, "$if")) {
            continue;
        }
        code = fill(f, map->entries[i].value, &value);
        if (code == 0 && value) {
            doc_set_span(f->arena, *out, map->entries[i].key, value);
        }
    }
    return code;
}

static int fill_list(struct filling *f, const struct doc_node *list, struct doc_node **out)
{
    int code = 0;
    *out = doc_new_list(f->arena);
    for (size_t i = 0; i < list->count && code == 0; i++) {
        struct doc_node *value, *item = list->entries[i].value;
        code = fill(f, item, &value);
        if (code != 0 || value == NULL) {
            continue;
        }
        if (value->kind != DOC_LIST || item->kind != DOC_TEXT) {
            doc_list_add(f->arena, *out, value);
            continue;
        }
        for (size_t k = 0; k < value->count; k++) {
            doc_list_add(f->arena, *out, value->entries[k].value);
        }
    }
    return code;
}

/* Templates are at most DOC_DEPTH_MAX deep. */
static int fill(struct filling *f, const struct doc_node *node, struct doc_node **out)
{
    *out = NULL;
    if (node->kind == DOC_MAP) {
        return fill_map(f, node, out);
    }
    if (node->kind == DOC_LIST) {
        return fill_list(f, node, out);
    }
    if (node->kind == DOC_TEXT) {
        return fill_text(f, node, out);
    }
    *out = doc_dup(f->arena, node);
    return 0;
}

int template_fill(const struct doc_node *node, const struct doc_node *values, struct arena *arena,
                  struct doc_node **out, struct err *err)
{
    return fill(&(struct filling){.values = values, .arena = arena, .err = err}, node, out);
}

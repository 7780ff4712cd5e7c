/* The walk over maps and lists, and how findings say where. Next: reader_value (single values), reader_text (checks). */
#include "model/reader.h"

#include <stdio.h>

#include "model/near.h"

#define PATH_BYTES 512
#define SHOWN_BYTES 80

/* --- where --- */

static void put(char *to, size_t *len, struct span text)
{
    size_t fits = size_min(text.len, PATH_BYTES - 1 - *len);
    if (fits > 0) { /* an empty text may have no place */
        memcpy(to + *len, text.at, fits);
    }
    *len += fits;
}

static bool is_plain(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.at[i];
        bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                    c == '-' || c == '_';
        if (!word) {
            return false;
        }
    }
    return key.len > 0;
}

static void put_step(char *to, size_t *len, const struct reader_step *step)
{
    char digits[SPAN_U64_BYTES];
    if (step->key.at == NULL) {
        put(to, len, SPAN("["));
        put(to, len, span_of_u64(step->index, digits));
        put(to, len, SPAN("]"));
    } else if (is_plain(step->key)) {
        put(to, len, *len > 0 ? SPAN(".") : SPAN_EMPTY);
        put(to, len, step->key);
    } else {
        put(to, len, SPAN("[\""));
        put(to, len, step->key);
        put(to, len, SPAN("\"]"));
    }
}

/* From the root down to `step`; not beyond DOC_DEPTH_MAX levels. */
static void put_path(char *to, size_t *len, const struct reader_step *step)
{
    const struct reader_step *steps[DOC_DEPTH_MAX];
    size_t count = 0;
    for (; step != NULL && count < DOC_DEPTH_MAX; step = step->up) {
        steps[count++] = step;
    }
    while (count > 0) {
        put_step(to, len, steps[--count]);
    }
}

struct finding *reader_say(struct reader *r, unsigned code, const struct doc_node *node,
                           const char *below, const char *what, ...)
{
    char text[1024];
    char path[PATH_BYTES];
    size_t len = 0;
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    struct finding *found = finding_add(r->findings, code, node, "%s", text);
    if (r->findings->count > r->findings->limit) {
        return found;
    }
    put_path(path, &len, r->at);
    if (below != NULL) {
        put(path, &len, len > 0 && below[0] != '[' ? SPAN(".") : SPAN_EMPTY);
        put(path, &len, span_of(below));
    }
    found->path = finding_text(r->findings, "%.*s", (int)len, path);
    found->kind = r->kind;
    found->namespace = r->namespace;
    found->name = r->name;
    return found;
}

const char *reader_here(const struct reader *r)
{
    const struct reader_step *last = r->at;
    struct arena *arena = r->findings->arena;
    if (last == NULL) {
        return "the document";
    }
    if (last->key.at != NULL) {
        return arena_printf(arena, "%.*s", (int)size_min(last->key.len, SHOWN_BYTES), last->key.at);
    }
    return last->up == NULL || last->up->key.at == NULL
               ? arena_printf(arena, "[%zu]", last->index)
               : arena_printf(arena, "%.*s[%zu]", SPAN_ARG(last->up->key), last->index);
}

const char *reader_show(const struct reader *r, const struct doc_node *node)
{
    struct arena *arena = r->findings->arena;
    switch (node->kind) {
    case DOC_NULL:
        return "null";
    case DOC_BOOL:
        return node->boolean ? "'true'" : "'false'";
    case DOC_INT:
        return arena_printf(arena, "'%lld'", (long long)node->integer);
    case DOC_DOUBLE:
        return arena_printf(arena, "'%g'", node->number);
    case DOC_TEXT:
        return node->text.len > SHOWN_BYTES
                   ? arena_printf(arena, "'%.*s...'", SHOWN_BYTES, node->text.at)
                   : arena_printf(arena, "'%.*s'", SPAN_ARG(node->text));
    case DOC_LIST:
        return "a list";
    case DOC_MAP:
        return "a map";
    }
    return "";
}

/* --- what is often said --- */

bool reader_wrong_kind(struct reader *r, const struct doc_node *node, const char *want)
{
    struct finding *found = reader_say(r, 2013, node, NULL, "'%s' is %s, and not %s",
                                       reader_here(r), reader_show(r, node), want);
    found->why = finding_text(r->findings, "it must be %s", want);
    bool text = strcmp(want, "text") == 0;
    if (text && node->kind == DOC_BOOL) {
        found->fix = SPAN("put it in quotes: y, n, yes, no, on and off mean true and false");
    } else if (text && (node->kind == DOC_INT || node->kind == DOC_DOUBLE)) {
        const char *shown = reader_show(r, node);
        found->fix = finding_text(r->findings, "put it in quotes: \"%.*s\"", (int)strlen(shown) - 2,
                                  shown + 1);
    } else {
        found->fix = finding_text(r->findings, "write %s", want);
    }
    return false;
}

void reader_missing(struct reader *r, const struct doc_node *map, const char *key, const char *how)
{
    struct finding *found = reader_say(r, 2014, map, key, "'%s' is missing", key);
    found->why = SPAN("it is required");
    found->fix = finding_text(r->findings, "%s", how);
}

void reader_unique(struct reader *r, const struct doc_node *list, const char *key,
                   const char *member, const char *what)
{
    for (size_t i = 1; i < doc_count(list); i++) {
        const struct doc_node *mine = doc_at(list, i);
        mine = member != NULL ? doc_path(mine, member) : mine;
        for (size_t k = 0; mine != NULL && k < i; k++) {
            const struct doc_node *other = doc_at(list, k);
            other = member != NULL ? doc_path(other, member) : other;
            if (other == NULL || !doc_eq(mine, other)) {
                continue;
            }
            const char *below = arena_printf(r->findings->arena, "%s[%zu]%s%s", key, i,
                                             member ? "." : "", member ? member : "");
            struct finding *found = reader_say(r, 2023, mine, below, "%s %s is there twice", what,
                                               reader_show(r, mine));
            found->why =
                finding_text(r->findings, "the first is %s[%zu], in line %u", key, k, other->line);
            found->fix = finding_text(r->findings, "write another %s, or remove one", what);
            break;
        }
    }
}

/* --- maps --- */

static const struct reader_field *field_of(const struct reader_table *table, struct span key)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (span_is(key, table->fields[i].name)) {
            return &table->fields[i];
        }
    }
    return NULL;
}

static void say_unknown(struct reader *r, const struct reader_table *table,
                        const struct doc_entry *entry)
{
    struct near near;
    near_init(&near, entry->key);
    for (size_t i = 0; i < table->field_count; i++) {
        near_try(&near, span_of(table->fields[i].name));
    }
    struct finding *found = reader_say(r, table->strict ? 2041 : 2010, entry->value, NULL,
                                       "there is no field '%.*s' here",
                                       (int)size_min(entry->key.len, SHOWN_BYTES), entry->key.at);
    found->why = table->strict ? SPAN("without it the object would mean something else")
                               : SPAN("it has no effect");
    found->fix = near.best.at != NULL
                     ? finding_text(r->findings, "did you mean '%.*s'?", SPAN_ARG(near.best))
                     : finding_text(r->findings, "remove '%.*s'",
                                    (int)size_min(entry->key.len, SHOWN_BYTES), entry->key.at);
}

/* What is missing, in words: "add 'port', a number from 1 to 65535". */
static const char *kind_of_value(const struct reader_field *field)
{
    switch (field->type) {
    case READER_TEXT:
        return "a text";
    case READER_TEXTS:
        return "a list of texts";
    case READER_BOOL:
    case READER_TOLD:
        return "true or false";
    case READER_PORT:
        return "a number from 1 to 65535";
    case READER_U16:
    case READER_U32:
    case READER_I64:
    case READER_DOUBLE:
        return "a number";
    case READER_ENUM:
        return field->names[0].name;
    case READER_DURATION:
    case READER_SHORT_DURATION:
        return "a time such as 10s";
    case READER_LIST:
        return "a list";
    case READER_LABELS:
    case READER_MAP:
    case READER_CUSTOM:
    case READER_SILENT:
    case READER_LATER:
    case READER_REFUSED:
        return "a map";
    }
    return "";
}

static void look_for_missing(struct reader *r, const struct doc_node *node,
                             const struct reader_table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct reader_field *field = &table->fields[i];
        if (field->required && !reader_has(node, field->name)) {
            const char *note = field->note;
            reader_missing(r, node, field->name,
                           note ? note
                                : arena_printf(r->findings->arena, "add '%s', %s", field->name,
                                               kind_of_value(field)));
        }
    }
}

/* Of fields that exclude one another the second is reported. */
static void look_for_rivals(struct reader *r, const struct doc_node *node,
                            const struct reader_table *table)
{
    for (size_t i = 1; i < table->field_count; i++) {
        const struct reader_field *field = &table->fields[i];
        if (field->one_of == 0 || !reader_has(node, field->name)) {
            continue;
        }
        for (size_t k = 0; k < i; k++) {
            const struct reader_field *rival = &table->fields[k];
            if (rival->one_of != field->one_of || !reader_has(node, rival->name)) {
                continue;
            }
            struct finding *found = reader_say(r, 2024, doc_get(node, field->name), field->name,
                                               "'%s' stands beside '%s'", field->name, rival->name);
            found->why = SPAN("only one of the two may be there");
            found->fix = finding_text(r->findings, "remove '%s' or '%s'", rival->name, field->name);
            return;
        }
    }
}

void reader_map(struct reader *r, const struct doc_node *node, const struct reader_table *table,
                void *out)
{
    size_t errors = r->findings->errors;
    memset(out, 0, table->size);
    if (table->start != NULL) {
        table->start(out);
    }
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map"); /* is false, and said */
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        const struct doc_entry *entry = &node->entries[i];
        const struct reader_field *field = field_of(table, entry->key);
        struct reader_step step = {.up = r->at, .key = entry->key};
        step.key.at = step.key.at ? step.key.at : "";
        r->at = &step;
        if (field == NULL && table->open) {
            r->at = step.up;
            continue;
        }
        if (field == NULL) {
            say_unknown(r, table, entry);
        } else if (entry->value->kind != DOC_NULL) {
            reader_value(r, entry->value, field, (char *)out + field->offset);
        }
        r->at = step.up;
    }
    look_for_missing(r, node, table);
    look_for_rivals(r, node, table);
    if (table->check != NULL && errors == r->findings->errors) {
        table->check(r, node, out);
    }
}

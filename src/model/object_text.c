/* Whole texts: YAML documents, JSON, lists of objects. In: text. Out: objects and findings. Next: object. */
#include "model/object_int.h"

struct taking {
    struct findings *f;
    void (*on_object)(void *arg, struct object *o);
    void *arg;
    size_t count;
};

/* kind: List, and the lists that the API answers ("ServiceList"). */
static bool is_list(const struct doc_node *doc)
{
    const struct doc_node *kind = doc_get(doc, "kind");
    if (!doc_is(kind, DOC_TEXT) || !span_ends(kind->text, SPAN("List")) ||
        !doc_is(doc_get(doc, "items"), DOC_LIST)) {
        return false;
    }
    struct span of = span_first(kind->text, kind->text.len - strlen("List"));
    return of.len == 0 || object_kind_find(of) >= 0;
}

static void take_object(struct taking *t, const struct doc_node *doc, const struct reader_step *at)
{
    struct object *o = object_read_at(doc, at, t->f);
    if (o != NULL) {
        t->count++;
        t->on_object(t->arg, o);
    }
}

static void take_list(struct taking *t, const struct doc_node *doc)
{
    const struct doc_node *items = doc_get(doc, "items");
    struct reader_step list = {.key = SPAN("items")};
    for (size_t i = 0; i < doc_count(items); i++) {
        struct reader_step item = {.up = &list, .index = i};
        take_object(t, doc_at(items, i), &item);
    }
}

/* "file:12: reason" -> 12 and the reason. */
static void say_syntax(struct findings *f, const struct err *err, const char *file)
{
    struct span rest = span_of(err->text);
    struct span name = span_of(file ? file : "input");
    uint64_t line = 0;
    if (span_starts(rest, name) && rest.len > name.len && rest.at[name.len] == ':') {
        struct span after = span_from_offset(rest, name.len + 1);
        struct span number = span_cut(&after, ':');
        if (after.at != NULL && span_to_u64(number, &line) && line <= UINT32_MAX) {
            rest = span_trim(after);
        }
    }
    const struct doc_node at = {.line = (uint32_t)line, .file = file};
    struct finding *found =
        finding_add(f, 2001, &at, "the text can not be read: %.*s", SPAN_ARG(rest));
    found->why = SPAN("nothing in it was read");
    found->fix = finding_text(f, "mend line %u", (unsigned)line);
}

static bool looks_like_json(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.at[i]) == NULL || text.at[i] == '\0') {
            return text.at[i] == '{';
        }
    }
    return false;
}

/* JSON is tried where it looks like it; but flow maps of YAML look so too. */
static int parse(struct arena *arena, struct span text, const char *file, struct doc_node **all,
                 struct err *err)
{
    struct doc_node *one;
    struct err second = {.code = 0};
    bool json = looks_like_json(text);
    if (json && doc_parse_json(arena, text, file, &one, err) == 0) {
        *all = doc_new_list(arena);
        doc_list_add(arena, *all, one);
        return 0;
    }
    int failed = doc_parse_yaml_all(arena, text, file, all, &second);
    if (failed != 0 && !json) {
        *err = second;
    }
    return failed;
}

size_t object_read_text(struct span text, const char *file, struct findings *f,
                        void (*on_object)(void *arg, struct object *o), void *arg)
{
    struct taking t = {.f = f, .on_object = on_object, .arg = arg};
    struct arena arena;
    struct doc_node *all;
    struct err err = {.code = 0};
    arena_init(&arena, 16384);
    if (parse(&arena, text, file, &all, &err) != 0) {
        say_syntax(f, &err, file);
    } else {
        for (size_t i = 0; i < doc_count(all); i++) {
            if (is_list(doc_at(all, i))) {
                take_list(&t, doc_at(all, i));
            } else {
                take_object(&t, doc_at(all, i), NULL);
            }
        }
    }
    arena_dispose(&arena);
    return t.count;
}

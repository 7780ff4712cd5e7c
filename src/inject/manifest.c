/* Streams of documents. In: cli/cmd_inject. Next: inject. */
#include "inject/manifest.h"

struct working {
    const struct manifest_spec *spec;
    struct arena *arena;
    struct buf *out;
    struct err *err;
    uint32_t line; /* at which the document in hand begins */
};

/* ---- one object ---- */

static struct span text_at(const struct doc_node *object, const char *path)
{
    const struct doc_node *found = doc_path(object, path);
    return doc_is(found, DOC_TEXT) ? found->text : SPAN_EMPTY;
}

static bool inject_one(struct working *w, struct doc_node *template,
                       const struct manifest_object *o)
{
    struct inject_answer answer;
    struct manifest_object told = *o;
    bool is_pod = span_is(o->kind, "Pod");
    const struct inject_subject subject = {
        .pod = template,
        .namespace = o->namespace,
        .kind = is_pod ? SPAN_EMPTY : o->kind,
        .name = is_pod ? SPAN_EMPTY : o->name,
        .asked = w->spec->asked,
    };
    inject_pod(&subject, w->spec->settings, w->arena, &answer);
    told.answer = &answer;
    told.changed = answer.outcome == INJECT_YES;
    if (told.changed) {
        *template = *answer.pod;
    }
    w->spec->on_object(w->spec->arg, &told);
    return told.changed;
}

static bool undo_one(struct working *w, struct doc_node *template, const struct manifest_object *o)
{
    const struct doc_node *before = inject_undo(template, w->arena);
    struct manifest_object told = *o;
    told.changed = before != NULL;
    if (before) {
        *template = *before;
    }
    w->spec->on_object(w->spec->arg, &told);
    return told.changed;
}

static bool change_object(struct working *w, struct doc_node *object)
{
    struct doc_node *template = inject_template_of(object);
    struct span namespace = text_at(object, "metadata.namespace");
    struct manifest_object o = {.kind = text_at(object, "kind"),
                                .namespace = namespace.len > 0 ? namespace : w->spec->namespace,
                                .name = text_at(object, "metadata.name"),
                                .line = w->line + object->line - 1};
    const struct doc_node *items = doc_get(object, "items");
    bool changed = false;
    if (span_ends(o.kind, SPAN("List")) && doc_is(items, DOC_LIST)) {
        for (size_t i = 0; i < doc_count(items); i++) {
            /* Lists in lists are none of Kubernetes'. */
            if (!doc_get(doc_at(items, i), "items")) {
                changed = change_object(w, doc_at(items, i)) || changed;
            }
        }
        return changed;
    }
    return template != NULL &&
           (w->spec->undo ? undo_one(w, template, &o) : inject_one(w, template, &o));
}

/* ---- one document ---- */

/* "---" at the beginning of a line, then a blank or nothing: within a document such a line can not be. */
static bool is_mark(struct span line)
{
    return span_starts(line, SPAN("---")) &&
           (line.len == 3 || line.at[3] == ' ' || line.at[3] == '\t' || line.at[3] == '\r');
}

/* The lines at the head that are empty, comments or the mark between documents. */
static size_t head_of(struct span text)
{
    size_t head = 0;
    while (head < text.len) {
        struct span rest = span_from_offset(text, head);
        struct span words = span_cut(&rest, '\n');
        words = span_trim(span_from_offset(words, is_mark(words) ? 3 : 0));
        if (words.len > 0 && *words.at != '#' && *words.at != '\r') {
            break;
        }
        head = rest.at ? (size_t)(rest.at - text.at) : text.len;
    }
    return head;
}

static int put_document(struct working *w, struct span text, const struct doc_node *doc)
{
    size_t head = head_of(text);
    struct span body = span_trim(span_from_offset(text, head));
    bool is_json = span_starts(body, SPAN("{"));
    int code = buf_append_span(w->out, span_first(text, head));
    /* "--- {a: b}": what follows the mark is written anew, the mark stays. */
    if (code == 0 && span_starts(body, SPAN("---"))) {
        code = buf_append_span(w->out, SPAN("---\n"));
    }
    code = code ? code : is_json ? doc_write_json(doc, true, w->out) : doc_write_yaml(doc, w->out);
    if (code == 0 && !span_ends(buf_span(w->out), SPAN("\n"))) {
        code = buf_append_byte(w->out, '\n');
    }
    return code;
}

static int change_document(struct working *w, struct span text)
{
    struct doc_node *doc;
    int code = doc_parse_yaml(w->arena, text, w->spec->file, &doc, w->err);
    if (code != 0) {
        return code;
    }
    bool changed = doc_is(doc, DOC_MAP) && change_object(w, doc);
    code = changed ? put_document(w, text, doc) : buf_append_span(w->out, text);
    return code ? err_set(w->err, code, "%s: what comes out is too large", w->spec->file) : 0;
}

static uint32_t count_lines(struct span text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.at[i] == '\n';
    }
    return count;
}

int manifest_inject(const struct manifest_spec *spec, struct span text, struct arena *arena,
                    struct buf *out, struct err *err)
{
    struct working w = {.spec = spec, .arena = arena, .out = out, .err = err, .line = 1};
    struct doc_node *all;
    /* First as a whole: mistakes are told with their true lines, and before anything is said about a pod. */
    int code = doc_parse_yaml_all(arena, text, spec->file, &all, err);
    struct span rest = text, part = span_first(text, 0);
    while (code == 0 && rest.len > 0) {
        struct span tail = rest;
        struct span line = span_cut(&tail, '\n');
        size_t len = tail.at ? line.len + 1 : line.len;
        if (is_mark(line) && part.len > 0) {
            code = change_document(&w, part);
            w.line += count_lines(part);
            part = span_first(rest, 0);
        }
        part.len += len;
        rest = span_from_offset(rest, len);
    }
    return code || part.len == 0 ? code : change_document(&w, part);
}

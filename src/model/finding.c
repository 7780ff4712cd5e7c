/* Findings: collected in order, bounded, shown as documents. */
#include "model/finding.h"

#include <stdio.h>

#define CODE_TOO_MANY 2099

void findings_init(struct findings *f, struct arena *arena)
{
    *f = (struct findings){.arena = arena, .limit = FINDINGS_MAX};
    f->last = &f->first;
}

/* Texts of users reach terminals: control characters do not. */
static struct span format(struct findings *f, const char *fmt, va_list args)
{
    char text[1024];
    (void)vsnprintf(text, sizeof(text), fmt, args);
    for (char *c = text; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
    }
    return arena_dup(f->arena, span_of(text));
}

struct span finding_text(struct findings *f, const char *fmt, ...)
{
    if (f->count > f->limit) {
        return SPAN_EMPTY;
    }
    va_list args;
    va_start(args, fmt);
    struct span text = format(f, fmt, args);
    va_end(args);
    return text;
}

static struct finding *append(struct findings *f, unsigned code)
{
    const struct code_row *row = codes_find(code);
    ASSERT(row != NULL);
    struct finding *found = arena_new(f->arena, struct finding);
    found->code = code;
    found->severity = row->severity;
    *f->last = found;
    f->last = &found->next;
    f->count++;
    return found;
}

/* The place of a finding that nobody will see. */
static struct finding *left_out(struct findings *f, unsigned code)
{
    if (f->count == f->limit) {
        struct finding *last = append(f, CODE_TOO_MANY);
        last->what = SPAN("there are more findings than are listed");
        last->fix = SPAN("mend those above first");
        f->spare = arena_new(f->arena, struct finding);
    }
    *f->spare = (struct finding){.code = code};
    return f->spare;
}

struct finding *finding_add(struct findings *f, unsigned code, const struct doc_node *at,
                            const char *what, ...)
{
    const struct code_row *row = codes_find(code);
    ASSERT(row != NULL);
    f->errors += row->severity == CODE_ERROR;
    if (f->count >= f->limit) {
        return left_out(f, code);
    }
    struct finding *found = append(f, code);
    va_list args;
    va_start(args, what);
    found->what = format(f, what, args);
    va_end(args);
    if (at != NULL) {
        found->line = at->line;
        found->file = at->file ? arena_dup(f->arena, span_of(at->file)) : SPAN_EMPTY;
    }
    return found;
}

void findings_copy(struct findings *to, const struct finding *f)
{
    to->errors += f->severity == CODE_ERROR;
    if (to->count >= to->limit) {
        (void)left_out(to, f->code); /* counted, and not shown */
        return;
    }
    struct finding *copy = append(to, f->code);
    struct finding *next = copy->next;
    *copy = *f;
    copy->next = next;
    struct span *texts[] = {&copy->what, &copy->kind, &copy->namespace, &copy->name,
                            &copy->path, &copy->file, &copy->why,       &copy->fix};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = texts[i]->len > 0 ? arena_dup(to->arena, *texts[i]) : SPAN_EMPTY;
    }
}

static void set_unless_empty(struct arena *arena, struct doc_node *map, const char *key,
                             struct span value)
{
    if (value.len > 0) {
        doc_set_text(arena, map, key, value);
    }
}

/* A list of no or one text: there may be more one day. */
static void set_list(struct arena *arena, struct doc_node *map, const char *key, struct span value)
{
    struct doc_node *list = doc_set(arena, map, key, doc_new_list(arena));
    if (value.len > 0) {
        doc_list_add(arena, list, doc_text(arena, value));
    }
}

struct doc_node *finding_to_doc(const struct finding *f, struct arena *arena)
{
    char code[16];
    struct doc_node *out = doc_new_map(arena);
    (void)snprintf(code, sizeof(code), "MESH%04u", f->code);
    doc_set_text(arena, out, "code", span_of(code));
    doc_set_text(arena, out, "severity", span_of(codes_severity_name(f->severity)));
    doc_set_text(arena, out, "what", f->what);
    struct doc_node *where = doc_set(arena, out, "where", doc_new_map(arena));
    set_unless_empty(arena, where, "kind", f->kind);
    set_unless_empty(arena, where, "namespace", f->namespace);
    set_unless_empty(arena, where, "name", f->name);
    set_unless_empty(arena, where, "path", f->path);
    set_unless_empty(arena, where, "file", f->file);
    if (f->line > 0) {
        doc_set(arena, where, "line", doc_int(arena, f->line));
    }
    set_list(arena, out, "why", f->why);
    set_list(arena, out, "fix", f->fix);
    return out;
}

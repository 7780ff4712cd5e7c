/* mesh inject explain: whether a pod gets a proxy, what decided, and what would change it. From files, or of a pod that is there. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd_inject.h"

/* ---- an answer as a document, and on the screen ---- */

static const char *code_text(struct verb *v, unsigned code)
{
    return arena_printf(&v->arena, "MESH%04u", code);
}

static const char *const outcomes[] = {
    [INJECT_SKIP] = "no proxy", [INJECT_YES] = "gets a proxy", [INJECT_REFUSE] = "is refused"};

static struct doc_node *answer_doc(struct verb *v, const struct inject_answer *a)
{
    static const char *const words[] = {
        [INJECT_SKIP] = "skip", [INJECT_YES] = "inject", [INJECT_REFUSE] = "refuse"};
    struct arena *arena = &v->arena;
    struct doc_node *doc = doc_new_map(arena);
    doc_set(arena, doc, "outcome", doc_cstr(arena, words[a->outcome]));
    doc_set(arena, doc, "code", doc_cstr(arena, code_text(v, a->code)));
    doc_set(arena, doc, "why", doc_cstr(arena, a->why));
    doc_set(arena, doc, "rule", doc_cstr(arena, a->rule));
    doc_set(arena, doc, "fix", a->fix ? doc_cstr(arena, a->fix) : doc_null(arena));
    struct doc_node *notes = doc_list_in(arena, doc, "notes");
    for (const struct inject_note *n = a->notes; n; n = n->next) {
        struct doc_node *one = doc_list_add(arena, notes, doc_new_map(arena));
        doc_set(arena, one, "code", doc_cstr(arena, code_text(v, n->code)));
        doc_set(arena, one, "what", doc_cstr(arena, n->text));
    }
    return doc;
}

static void print_answer(const char *name, const struct inject_answer *a)
{
    printf("%s: %s\n  why     %s\n", name, outcomes[a->outcome], a->why);
    if (*a->rule) {
        printf("  rule    %s\n", a->rule);
    }
    if (a->fix) {
        printf("  fix     %s\n", a->fix);
    }
    for (const struct inject_note *n = a->notes; n; n = n->next) {
        printf("  note    %s (MESH%04u)\n", n->text, n->code);
    }
    printf("  more    mesh explain MESH%04u\n", a->code);
}

/* ---- from files ---- */

struct listing {
    struct verb *verb;
    struct doc_node *items;
    bool prints, refused;
};

static void on_object(void *arg, const struct manifest_object *o)
{
    struct listing *l = arg;
    struct arena *arena = &l->verb->arena;
    const char *name = arena_printf(arena, "%.*s %.*s/%.*s", SPAN_ARG(o->kind),
                                    SPAN_ARG(o->namespace), SPAN_ARG(o->name));
    l->refused = l->refused || o->answer->outcome == INJECT_REFUSE;
    if (l->prints) {
        print_answer(name, o->answer);
        return;
    }
    struct doc_node *doc = doc_list_add(arena, l->items, answer_doc(l->verb, o->answer));
    doc_set_text(arena, doc, "kind", o->kind);
    doc_set_text(arena, doc, "namespace", o->namespace);
    doc_set_text(arena, doc, "name", o->name);
}

static int explain_files(struct verb *v, const struct cmd_inject *set)
{
    struct inject_settings settings;
    struct doc_node *doc = doc_new_map(&v->arena);
    struct listing l = {.verb = v, .prints = v->flags->output == OUTPUT_TABLE};
    struct manifest_spec spec = {
        .settings = &settings, .asked = true, .on_object = on_object, .arg = &l};
    struct buf out;
    doc_set_text(&v->arena, doc, "apiVersion", SPAN("mesh/v1"));
    doc_set_text(&v->arena, doc, "kind", SPAN("InjectionList"));
    l.items = doc_list_in(&v->arena, doc, "items");
    int status = cmd_inject_settings(v, set, &settings);
    if (status == EXIT_DONE) {
        buf_init(&out, 64u << 20);
        status = cmd_inject_stream(v, set, &spec, &out);
        buf_dispose(&out);
    }
    if (status == EXIT_DONE && !l.prints) {
        (void)verb_print_doc(v, doc); /* the other forms are lists of it */
    }
    return status == EXIT_DONE && l.refused ? EXIT_NEGATIVE : status;
}

int cmd_inject_explain(struct verb *v, const struct cmd_inject *set)
{
    if (set->files.count > 0) {
        return explain_files(v, set);
    }
    return verb_fail(v, EXIT_USAGE, 1004, "mesh inject explain POD", "explain needs a pod, or -f");
}

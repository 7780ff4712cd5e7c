/* mesh analyze: what is wrong with objects. Those in force, as control sees them; or files: read here, and with --against-cluster looked at by control beside
 * what is in force, without changing anything.
 * In: options, files. Out: findings. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/instant.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/verb_int.h"
#include "model/object.h"

#define FILES_MAX 2000
#define DEPTH_MAX 16
#define FINDINGS_SHOWN 2000
#define BODY_MAX (8u << 20) /* control takes no more at once */
#define WIDTH 100

struct settings {
    struct verb_flags common;
    struct opt_list files;
    bool against;
    int fail_on;
};

#define AT(field) offsetof(struct settings, field)
static const char *const levels[] = {"info", "warning", "error", NULL};
static const struct opt rows[] = {
    {.name = "filename",
     .letter = 'f',
     .type = OPT_LIST,
     .offset = AT(files),
     .arg = "FILE|DIR",
     .help = "YAML or JSON, - for stdin; may be given again"},
    {.name = "against-cluster",
     .type = OPT_BOOL,
     .offset = AT(against),
     .help = "beside what is in force: hosts, subsets and services that the files do not have"},
    {.name = "fail-on",
     .type = OPT_CHOICE,
     .offset = AT(fail_on),
     .choices = levels,
     .fallback = "error",
     .help = "how bad a finding must be for exit code 1"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};
static const struct opt_spec spec = {
    .command = "mesh analyze",
    .section = "cli",
    .summary = "What is wrong with objects: those in force, or files before they are applied.",
    .examples = "mesh analyze\n"
                "mesh analyze -f reviews.yaml -o json\n"
                "mesh analyze -f . --against-cluster\n",
    .rows = rows,
};

struct run {
    struct verb *v;
    const struct settings *set;
    struct doc_node *files; /* {name, text} */
    struct doc_node *items; /* findings */
    size_t objects;
    bool kinds[OBJECT_KIND_COUNT];
    bool is_unreadable; /* a text that is not even YAML */
    int64_t started_ns;
};

/* ---- files ---- */

static int add_file(struct run *r, const char *path)
{
    struct arena *a = &r->v->arena;
    struct buf text;
    buf_init(&text, INPUT_MAX);
    int code = input_read(path, &text);
    if (code == 0 && doc_count(r->files) < FILES_MAX) {
        struct doc_node *one = doc_list_add(a, r->files, doc_new_map(a));
        doc_set(a, one, "name", doc_cstr(a, strcmp(path, "-") == 0 ? "stdin" : path));
        doc_set_text(a, one, "text", arena_dup(a, buf_span(&text)));
    }
    buf_dispose(&text);
    return code ? verb_fail(r->v, EXIT_INVALID, 1007, NULL, "'%s' can not be read: %s", path,
                            err_name(code))
                : EXIT_DONE;
}

static bool is_manifest(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (name[0] != '.' && span_ends(span_of(name), span_of(ends[i]))) {
            return true;
        }
    }
    return false;
}

static int add_path(struct run *r, const char *path, unsigned depth);

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct run *r, const char *path, unsigned depth)
{
    struct dirent **entries;
    struct stat st;
    int status = EXIT_DONE;
    int count = scandir(path, &entries, NULL, by_name);
    if (count < 0 || depth > DEPTH_MAX) {
        return verb_fail(r->v, EXIT_INVALID, 1007, NULL, "'%s' can not be read", path);
    }
    size_t len = strlen(path);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        const char *inner = arena_printf(&r->v->arena, "%s%s%s", path,
                                         len > 0 && path[len - 1] == '/' ? "" : "/", name);
        bool is_wanted =
            name[0] != '.' && stat(inner, &st) == 0 && (S_ISDIR(st.st_mode) || is_manifest(name));
        if (status == EXIT_DONE && is_wanted) {
            status = add_path(r, inner, depth + 1);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int add_path(struct run *r, const char *path, unsigned depth)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(r, path, depth)
                                                       : add_file(r, path);
}

/* ---- who looks ---- */

static void on_object(void *arg, struct object *o)
{
    struct run *r = arg;
    r->objects++;
    r->kinds[o->kind] = true;
    object_unref(o);
}

/* Each object by itself. */
static void read_here(struct run *r)
{
    struct arena *a = &r->v->arena;
    struct findings list;
    findings_init(&list, a);
    list.limit = FINDINGS_SHOWN;
    for (size_t i = 0; i < doc_count(r->files); i++) {
        const struct doc_node *one = doc_at(r->files, i);
        (void)object_read_text(item_text(one, "text"), arena_cstr(a, item_text(one, "name")), &list,
                               on_object, r); /* counted by on_object */
    }
    for (const struct finding *f = list.first; f; f = f->next) {
        doc_list_add(a, r->items, finding_to_doc(f, a));
    }
}

static int ask_control(struct run *r)
{
    struct arena *a = &r->v->arena;
    struct doc_node *body = doc_new_map(a), *answer;
    struct buf text;
    doc_set(a, body, "files", r->files);
    buf_init(&text, BODY_MAX);
    if (doc_write_json(body, false, &text) != 0) {
        buf_dispose(&text);
        return verb_fail(r->v, EXIT_INVALID, 1007, "give a part of them",
                         "the files have more than 8 MiB");
    }
    int status = verb_send(r->v, "POST", "/api/v1/analyze", buf_span(&text), &answer);
    buf_dispose(&text);
    r->items = status == EXIT_DONE ? doc_get(answer, "items") : r->items;
    return status;
}

static bool is_in_namespace(const struct verb *v, const struct doc_node *item)
{
    struct span ns = item_text(item, "where.namespace");
    return ns.len == 0 || span_is(ns, v->flags->namespace);
}

/* A Deployment beside its Service is no mistake; a misspelt kind of ours is. */
static bool is_worth_telling(const struct verb *v, const struct doc_node *item)
{
    const struct doc_node *fix = doc_path(item, "fix.0");
    UNUSED(v);
    return !span_is(item_text(item, "code"), "MESH2003") ||
           (doc_is(fix, DOC_TEXT) && span_starts(fix->text, SPAN("did you mean")));
}

static int look(struct run *r)
{
    struct doc_node *answer;
    int status = EXIT_DONE;
    if (r->set->files.count == 0) {
        status = verb_get(r->v, "/api/v1/findings", &answer);
        r->items = doc_get(answer, "items");
    }
    for (size_t i = 0; i < r->set->files.count && status == EXIT_DONE; i++) {
        status = add_path(r, r->set->files.items[i], 0);
    }
    if (status == EXIT_DONE && r->set->files.count > 0) {
        read_here(r);
        status = r->set->against ? ask_control(r) : status;
    }
    items_filter(r->items, is_worth_telling, r->v);
    if (r->v->flags->namespace && !r->v->flags->all_namespaces) {
        items_filter(r->items, is_in_namespace, r->v);
    }
    return status;
}

/* ---- what is said ---- */

static int rank_of(const struct doc_node *finding)
{
    struct span severity = item_text(finding, "severity");
    return span_is(severity, "error") ? 2 : span_is(severity, "warning") ? 1 : 0;
}

/* "k8s/reviews.yaml:24  HTTPRoute reviews" */
static const char *where_text(struct verb *v, const struct doc_node *finding)
{
    const struct doc_node *where = doc_get(finding, "where");
    const struct doc_node *line = doc_get(where, "line");
    struct span file = item_text(where, "file");
    struct span name = item_text(where, "name");
    struct span ns = item_text(where, "namespace");
    const char *text = "";
    if (file.len > 0) {
        text = arena_printf(&v->arena, "%.*s", SPAN_ARG(file));
        if (doc_is(line, DOC_INT) && line->integer > 0) {
            text = arena_printf(&v->arena, "%s:%lld", text, (long long)line->integer);
        }
    }
    if (name.len > 0) {
        text = arena_printf(&v->arena, "%s%s%.*s %.*s%s%.*s", text, *text ? "  " : "",
                            SPAN_ARG(item_text(where, "kind")), SPAN_ARG(ns), ns.len > 0 ? "/" : "",
                            SPAN_ARG(name));
    }
    struct span path = item_text(where, "path");
    return path.len > 0 ? arena_printf(&v->arena, "%s  %.*s", text, SPAN_ARG(path)) : text;
}

static void print_wrapped(struct span text)
{
    const size_t room = WIDTH - 12;
    while (text.len > room) {
        size_t cut = room;
        while (cut > 0 && text.at[cut] != ' ') {
            cut--;
        }
        cut = cut ? cut : room;
        printf("%12s%.*s\n", "", (int)cut, text.at);
        text = span_trim(span_from_offset(text, cut));
    }
    printf("%12s%.*s\n", "", SPAN_ARG(text));
}

static void print_finding(struct verb *v, const struct doc_node *finding)
{
    static const char *const signs[] = {"i", "!", "\u2718"};
    static const enum table_tone tones[] = {TONE_DIM, TONE_WARN, TONE_BAD};
    int rank = rank_of(finding);
    printf("%s%s%s %-9.*s %s\n", table_tone_on(v, tones[rank]),
           rank == 2 && v->is_ascii ? "x" : signs[rank], table_tone_off(v, tones[rank]),
           SPAN_ARG(item_text(finding, "code")), where_text(v, finding));
    print_wrapped(item_text(finding, "what"));
    const struct doc_node *fix = doc_get(finding, "fix");
    for (size_t i = 0; i < doc_count(fix) && doc_is(fix, DOC_LIST); i++) {
        const struct doc_node *one = doc_at(fix, i);
        struct span text = doc_is(one, DOC_TEXT) ? one->text : item_text(one, "command");
        print_wrapped(span_of(arena_printf(&v->arena, "fix  %.*s", SPAN_ARG(text))));
    }
}

static void print_head(struct run *r)
{
    struct verb *v = r->v;
    const char *names = "";
    size_t kinds = 0;
    for (size_t i = 0; i < OBJECT_KIND_COUNT; i++) {
        kinds += r->kinds[i];
    }
    for (size_t i = 0; i < r->set->files.count && i < 3; i++) {
        names = arena_printf(&v->arena, "%s%s ", names, r->set->files.items[i]);
    }
    double seconds = (double)(instant_mono_ns() - r->started_ns) / 1e9;
    if (r->set->files.count == 0) {
        printf("%s", v->target);
    } else {
        printf("%s%zu object%s of %zu kind%s%s%s", names, r->objects, r->objects == 1 ? "" : "s",
               kinds, kinds == 1 ? "" : "s", r->set->against ? " beside those of " : "",
               r->set->against ? v->target : "");
    }
    printf("  %.2f s\n", seconds);
}

static void print_all(struct run *r, const size_t *counts)
{
    print_head(r);
    for (int rank = 2; rank >= 0; rank--) {
        for (size_t i = 0; i < doc_count(r->items); i++) {
            if (rank_of(doc_at(r->items, i)) == rank) {
                print_finding(r->v, doc_at(r->items, i));
            }
        }
    }
    printf("%zu error%s, %zu warning%s, %zu note%s\n", counts[2], counts[2] == 1 ? "" : "s",
           counts[1], counts[1] == 1 ? "" : "s", counts[0], counts[0] == 1 ? "" : "s");
    if (r->set->files.count > 0 && !r->set->against) {
        verb_footer(r->v, "each object by itself; with what is in force: --against-cluster");
    }
}

static void print_csv(struct run *r)
{
    static const struct table_column columns[] = {{"SEVERITY", TABLE_LEFT, false, 0},
                                                  {"CODE", TABLE_LEFT, false, 0},
                                                  {"WHERE", TABLE_LEFT, false, 0},
                                                  {"WHAT", TABLE_LEFT, false, 0}};
    struct table *t = table_new(r->v, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < doc_count(r->items); i++) {
        const struct doc_node *one = doc_at(r->items, i);
        table_cell(t, cell_text(r->v, one, "severity"));
        table_cell(t, cell_text(r->v, one, "code"));
        table_cell(t, where_text(r->v, one));
        table_cell(t, cell_text(r->v, one, "what"));
    }
    table_print(t);
}

static int finish(struct run *r)
{
    struct arena *a = &r->v->arena;
    size_t counts[3] = {0, 0, 0};
    bool is_bad = false;
    for (size_t i = 0; i < doc_count(r->items); i++) {
        const struct doc_node *one = doc_at(r->items, i);
        counts[rank_of(one)]++;
        is_bad = is_bad || rank_of(one) >= r->set->fail_on;
        r->is_unreadable = r->is_unreadable || span_is(item_text(one, "code"), "MESH2001");
    }
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "FindingList"));
    doc_set(a, doc, "objects", doc_int(a, (int64_t)r->objects));
    doc_set(a, doc, "items", r->items);
    doc_set(a, doc, "warnings", doc_new_list(a));
    if (!verb_print_doc(r->v, doc)) {
        if (r->v->flags->output == OUTPUT_CSV) {
            print_csv(r);
        } else {
            print_all(r, counts);
        }
    }
    return r->is_unreadable ? EXIT_INVALID : is_bad ? EXIT_NEGATIVE : EXIT_DONE;
}

int cmd_analyze(int argc, char **argv)
{
    struct settings set = {.against = false};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct run r = {.v = &v,
                        .set = &set,
                        .files = doc_new_list(&v.arena),
                        .items = doc_new_list(&v.arena),
                        .started_ns = instant_mono_ns()};
        status = look(&r);
        status = status ? status : finish(&r);
    }
    verb_close(&v);
    return status;
}

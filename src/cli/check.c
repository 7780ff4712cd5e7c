/* Checks and what came of them: counted, printed in groups with what is wrong below, or as documents.
 * In: check_cluster, check_pods, check_mesh. Out: stdout. */
#include "cli/check.h"

#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/verb_int.h"
#include "mesh/codes.h"

#define TEXT_BYTES 600
#define WIDTH 100
#define SHOWN_MAX 30 /* findings on the screen; all of them with -o json */

static const char *const group_names[CHECK_GROUPS] = {
    [CHECK_CLUSTER] = "cluster", [CHECK_CONTROL] = "control",  [CHECK_INJECTION] = "injection",
    [CHECK_CERTS] = "certs",     [CHECK_PLANE] = "data plane", [CHECK_CONFIG] = "config",
};
static const char *const result_names[CHECK_RESULTS] = {"passed", "note", "warning", "failed"};

/* ---- taking them ---- */

void check_init(struct check *c, struct verb *v)
{
    *c = (struct check){.verb = v, .items = doc_new_list(&v->arena)};
}

static struct doc_node *add(struct check *c, enum check_group group, const char *name,
                            enum check_result result, const char *text)
{
    struct arena *a = &c->verb->arena;
    struct doc_node *one = doc_list_add(a, c->items, doc_new_map(a));
    doc_set(a, one, "name", doc_cstr(a, name));
    doc_set(a, one, "group", doc_cstr(a, group_names[group]));
    doc_set(a, one, "result", doc_cstr(a, result_names[result]));
    doc_set(a, one, "text", doc_cstr(a, text));
    c->counts[group][result]++;
    return one;
}

void check_pass(struct check *c, enum check_group group, const char *name, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut to fit */
    va_end(args);
    (void)add(c, group, name, CHECK_PASSED, text);
}

static enum check_result result_of(enum code_severity severity)
{
    return severity == CODE_ERROR     ? CHECK_FAILED
           : severity == CODE_WARNING ? CHECK_WARNING
                                      : CHECK_NOTE;
}

void check_find(struct check *c, enum check_group group, const char *name, unsigned code,
                const char *fix, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    struct arena *a = &c->verb->arena;
    const struct code_row *row = codes_find(code);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut to fit */
    va_end(args);
    struct doc_node *one = add(c, group, name, result_of(row->severity), text);
    doc_set(a, one, "code", doc_cstr(a, arena_printf(a, "MESH%04u", code)));
    doc_list_add(a, doc_list_in(a, one, "fix"), doc_cstr(a, fix ? fix : row->remedy));
}

void check_take(struct check *c, enum check_group group, const struct doc_node *finding)
{
    static const char *const kept[] = {"code", "where", "why", "fix"};
    struct arena *a = &c->verb->arena;
    struct span severity = item_text(finding, "severity");
    enum check_result result = span_is(severity, "error")     ? CHECK_FAILED
                               : span_is(severity, "warning") ? CHECK_WARNING
                                                              : CHECK_NOTE;
    const char *text = arena_cstr(a, item_text(finding, "what"));
    struct doc_node *one = add(c, group, group_names[group], result, text);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct doc_node *part = doc_get(finding, kept[i]);
        if (part) {
            doc_set(a, one, kept[i], part);
        }
    }
}

size_t check_count(const struct check *c, enum check_result result)
{
    size_t sum = 0;
    for (size_t g = 0; g < CHECK_GROUPS; g++) {
        sum += c->counts[g][result];
    }
    return sum;
}

int check_exit(const struct check *c, enum check_result threshold)
{
    for (size_t r = threshold; r < CHECK_RESULTS; r++) {
        if (check_count(c, (enum check_result)r) > 0) {
            return EXIT_NEGATIVE;
        }
    }
    return EXIT_DONE;
}

/* ---- on the screen ---- */

static const struct {
    const char *sign, *ascii;
    enum table_tone tone;
} signs[CHECK_RESULTS] = {{"\u2714", "+", TONE_GOOD},
                          {"i", "i", TONE_DIM},
                          {"!", "!", TONE_WARN},
                          {"\u2718", "x", TONE_BAD}};

static void put_sign(const struct verb *v, enum check_result result)
{
    printf("%s%s%s", table_tone_on(v, signs[result].tone),
           v->is_ascii ? signs[result].ascii : signs[result].sign,
           table_tone_off(v, signs[result].tone));
}

static unsigned width_of(const char *text)
{
    unsigned width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

/* Facts of what passed, as many as have room. */
static const char *facts_of(struct check *c, const char *group, unsigned room)
{
    struct verb *v = c->verb;
    const char *facts = "";
    for (size_t i = 0; i < doc_count(c->items); i++) {
        const struct doc_node *one = doc_at(c->items, i);
        struct span text = item_text(one, "text");
        if (!span_is(item_text(one, "group"), group) ||
            !span_is(item_text(one, "result"), "passed") || text.len == 0) {
            continue;
        }
        const char *dot = v->is_ascii ? " - " : " \u00b7 ";
        const char *more =
            arena_printf(&v->arena, "%s%s%.*s", facts, *facts ? dot : "", SPAN_ARG(text));
        facts = width_of(more) <= room ? more : facts;
    }
    return facts;
}

static void print_group(struct check *c, enum check_group group)
{
    static const unsigned facts_at = 22;
    const size_t *n = c->counts[group];
    bool is_bad = n[CHECK_NOTE] + n[CHECK_WARNING] + n[CHECK_FAILED] > 0;
    if (!is_bad && n[CHECK_PASSED] == 0) {
        return;
    }
    printf("  %-11s ", group_names[group]);
    if (n[CHECK_PASSED] > 0) {
        put_sign(c->verb, CHECK_PASSED);
        printf(" %-4zu", n[CHECK_PASSED]);
    } else {
        printf("%6s", "");
    }
    const char *facts = facts_of(c, group_names[group], WIDTH - facts_at - (is_bad ? 12 : 0));
    printf("%s", facts);
    if (is_bad) {
        printf("%*s", (int)(WIDTH - facts_at - 10 - width_of(facts)), "");
    }
    for (size_t r = CHECK_RESULTS; r-- > CHECK_NOTE;) {
        if (n[r] > 0) {
            printf("  ");
            put_sign(c->verb, (enum check_result)r);
            printf(" %zu", n[r]);
        }
    }
    putchar('\n');
}

/* Cut at blanks; further lines stand below the first. */
static void print_text(int at, const char *first, struct span text)
{
    size_t room = (size_t)(WIDTH - at);
    printf("%s", first);
    while (text.len > room) {
        size_t cut = room;
        while (cut > 0 && text.at[cut] != ' ') {
            cut--;
        }
        cut = cut ? cut : room;
        printf("%.*s\n%*s", (int)cut, text.at, at, "");
        text = span_trim(span_from_offset(text, cut));
    }
    printf("%.*s\n", SPAN_ARG(text));
}

static void print_fix(const struct doc_node *fix)
{
    for (size_t i = 0; i < doc_count(fix) && doc_is(fix, DOC_LIST); i++) {
        const struct doc_node *one = doc_at(fix, i);
        struct span text = doc_is(one, DOC_TEXT) ? one->text : item_text(one, "text");
        text = text.len > 0 ? text : item_text(one, "command");
        print_text(17, i == 0 ? "            fix  " : "                 ", text);
    }
}

static void print_where(struct verb *v, const struct doc_node *where)
{
    struct span name = item_text(where, "name");
    if (name.len == 0) {
        return;
    }
    struct span ns = item_text(where, "namespace");
    const char *text = arena_printf(
        &v->arena, "%.*s %.*s%s%.*s  %.*s", SPAN_ARG(item_text(where, "kind")), SPAN_ARG(ns),
        ns.len > 0 ? "/" : "", SPAN_ARG(name), SPAN_ARG(item_text(where, "path")));
    print_text(17, "            in   ", span_trim(span_of(text)));
}

/* The worst first. */
static void print_findings(struct check *c)
{
    size_t shown = 0;
    for (size_t r = CHECK_RESULTS; r-- > CHECK_NOTE;) {
        for (size_t i = 0; i < doc_count(c->items); i++) {
            const struct doc_node *one = doc_at(c->items, i);
            if (!span_is(item_text(one, "result"), result_names[r]) || ++shown > SHOWN_MAX) {
                continue;
            }
            printf("%s", shown == 1 ? "\n" : "");
            put_sign(c->verb, (enum check_result)r);
            printf(" %-9.*s ", SPAN_ARG(item_text(one, "code")));
            print_text(12, "", item_text(one, "text"));
            print_where(c->verb, doc_get(one, "where"));
            print_fix(doc_get(one, "fix"));
        }
    }
    if (shown > SHOWN_MAX) {
        printf("  and %zu more: mesh check -o json\n", shown - SHOWN_MAX);
    }
}

static void print_screen(struct check *c, const char *head, int64_t started_ms)
{
    size_t notes = check_count(c, CHECK_NOTE);
    size_t warnings = check_count(c, CHECK_WARNING);
    double seconds = (double)(instant_mono_ms() - started_ms) / 1000;
    printf("%s%*s%.2f s\n", head,
           width_of(head) < WIDTH - 8 ? (int)(WIDTH - 6 - width_of(head)) : 2, "", seconds);
    for (size_t g = 0; g < CHECK_GROUPS; g++) {
        print_group(c, (enum check_group)g);
    }
    print_findings(c);
    printf("%zu passed", check_count(c, CHECK_PASSED));
    if (notes > 0) {
        printf(", %zu note%s", notes, notes == 1 ? "" : "s");
    }
    if (warnings > 0) {
        printf(", %zu warning%s", warnings, warnings == 1 ? "" : "s");
    }
    printf(", %zu failed\n", check_count(c, CHECK_FAILED));
}

/* ---- for programs ---- */

static void print_csv(struct check *c)
{
    static const struct table_column columns[] = {{"NAME", TABLE_LEFT, false, 0},
                                                  {"RESULT", TABLE_LEFT, false, 0},
                                                  {"CODE", TABLE_LEFT, false, 0},
                                                  {"TEXT", TABLE_LEFT, false, 0}};
    struct table *t = table_new(c->verb, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < doc_count(c->items); i++) {
        const struct doc_node *one = doc_at(c->items, i);
        table_cell(t, cell_text(c->verb, one, "name"));
        table_cell(t, cell_text(c->verb, one, "result"));
        table_cell(t, cell_text(c->verb, one, "code"));
        table_cell(t, cell_text(c->verb, one, "text"));
    }
    table_print(t);
}

void check_print(struct check *c, const char *head, int64_t started_ms)
{
    struct arena *a = &c->verb->arena;
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "CheckList"));
    doc_set(a, doc, "target", doc_cstr(a, c->verb->target));
    struct doc_node *summary = doc_map_in(a, doc, "summary");
    for (size_t r = 0; r < CHECK_RESULTS; r++) {
        doc_set(a, summary, result_names[r],
                doc_int(a, (int64_t)check_count(c, (enum check_result)r)));
    }
    doc_set(a, doc, "items", c->items);
    doc_set(a, doc, "warnings", doc_new_list(a));
    if (verb_print_doc(c->verb, doc)) {
        return;
    }
    if (c->verb->flags->output == OUTPUT_CSV) {
        print_csv(c);
    } else {
        print_screen(c, head, started_ms);
    }
}

/* Options: one row gives a flag, an environment variable and an INI key. Values arrive in four layers,
 * later ones win: default, INI file, environment, flag. Help is opt_help.c. */
#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ini.h"
#include "base/opt_int.h"
#include "base/span.h"

#define NAME_BYTES 64

static size_t row_count(const struct opt_spec *spec)
{
    size_t count = 0;
    while (spec->rows[count].name != NULL) {
        count++;
    }
    return count;
}

void opt_env_name(const struct opt *row, char *to, size_t room)
{
    if (row->env != NULL) {
        (void)snprintf(to, room, "%s", row->env);
        return;
    }
    int len = snprintf(to, room, "MESH_%s", row->name);
    ASSERT(len > 0 && (size_t)len < room);
    for (char *c = to; *c != '\0'; c++) {
        *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - ('a' - 'A') : *c);
    }
}

/* names */

/* Levenshtein's distance of two names, for suggestions; long names are never close. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > NAME_BYTES || b_len > NAME_BYTES) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = size_min(swap, size_min(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_len];
}

/* The closest name within a third of its letters, or NULL. */
static const char *suggest(const struct opt_spec *spec, const char *name)
{
    static const char *const common[] = {"help", "config"};
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 1;
    for (const struct opt *row = spec->rows; row->name != NULL; row++) {
        size_t d = distance(name, row->name);
        if (d <= best_distance && (best == NULL || d < best_distance)) {
            best = row->name;
            best_distance = d;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        size_t d = distance(name, common[i]);
        if (d <= best_distance && (best == NULL || d < best_distance)) {
            best = common[i];
            best_distance = d;
        }
    }
    return best;
}

static const struct opt *row_by_name(const struct opt_spec *spec, struct span name)
{
    for (const struct opt *row = spec->rows; row->name != NULL; row++) {
        if (span_is(name, row->name)) {
            return row;
        }
    }
    return NULL;
}

static const struct opt *row_by_letter(const struct opt_spec *spec, char letter)
{
    for (const struct opt *row = spec->rows; row->name != NULL; row++) {
        if (row->letter == letter) {
            return row;
        }
    }
    return NULL;
}

/* layers */

static int apply_defaults(struct opt_parsing *p)
{
    for (const struct opt *row = p->spec->rows; row->name != NULL; row++) {
        if (row->fallback == NULL) {
            continue;
        }
        struct opt_place at = {row->name, OPT_FROM_DEFAULT};
        int failed = opt_set(p, row, &at, row->fallback);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

static int on_ini_pair(void *arg, const char *section, const char *key, const char *value, int line,
                       struct err *err)
{
    struct opt_parsing *p = arg;
    if (section[0] == '\0') {
        return err_set(err, -ERR_CONFIG, "%s:%d: '%s' stands before any section; put it under [%s]",
                       p->ini_path, line, key, p->spec->section);
    }
    if (strcmp(section, p->spec->section) != 0) {
        return 0; /* one file may serve several roles */
    }
    const struct opt *row = row_by_name(p->spec, span_of(key));
    if (row == NULL) {
        const char *close = suggest(p->spec, key);
        return err_set(err, -ERR_CONFIG, "%s:%d: unknown key '%s'%s%s%s", p->ini_path, line, key,
                       close ? "; did you mean '" : "", close ? close : "", close ? "'?" : "");
    }
    char text[512];
    (void)snprintf(text, sizeof(text), "%s:%d: '%s'", p->ini_path, line, key);
    struct opt_place at = {text, OPT_FROM_INI};
    return opt_set(p, row, &at, value);
}

static int apply_env(struct opt_parsing *p)
{
    for (const struct opt *row = p->spec->rows; row->name != NULL; row++) {
        char name[NAME_BYTES];
        char text[NAME_BYTES + 2];
        opt_env_name(row, name, sizeof(name));
        const char *value = name[0] != '\0' ? getenv(name) : NULL;
        if (value == NULL) {
            continue;
        }
        (void)snprintf(text, sizeof(text), "'%s'", name);
        struct opt_place at = {text, OPT_FROM_ENV};
        int failed = opt_set(p, row, &at, value);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

/* argv: what each word is */

struct args {
    int argc;
    char **argv;
    int next;
    bool only_operands; /* `--` was seen */
};

enum word_kind { WORD_END, WORD_OPERAND, WORD_FLAG, WORD_HELP, WORD_CONFIG };

struct word {
    const struct opt *row; /* WORD_FLAG */
    const char *value;
    char shown[NAME_BYTES + 4]; /* '--name' or '-x' */
    const char *letters;        /* further letters of a bundle, or NULL */
};

static int unknown_flag(struct opt_parsing *p, const char *name)
{
    const char *close = suggest(p->spec, name);
    if (close != NULL) {
        return err_set(p->err, -ERR_CONFIG, "unknown flag '--%s'; did you mean '--%s'?", name,
                       close);
    }
    return err_set(p->err, -ERR_CONFIG, "unknown flag '--%s'; see '%s --help'", name,
                   p->spec->command);
}

/* The value after `=`, or the next word; for a bool only the former. */
static int word_value(struct opt_parsing *p, struct args *args, struct word *w, const char *joined)
{
    if (joined != NULL) {
        w->value = joined;
    } else if (w->row != NULL && w->row->type == OPT_BOOL) {
        w->value = "true";
    } else if (args->next < args->argc) {
        w->value = args->argv[args->next++];
    } else {
        return err_set(p->err, -ERR_CONFIG, "%s wants a value: %s", w->shown,
                       w->row && w->row->arg ? w->row->arg : "TEXT");
    }
    return 0;
}

/* One word; its kind, or a negative code. */
static int next_long(struct opt_parsing *p, struct args *args, const char *text, struct word *w)
{
    struct span rest = span_of(text + 2);
    struct span name = span_cut(&rest, '=');
    const char *joined = rest.at;
    (void)snprintf(w->shown, sizeof(w->shown), "'--%.*s'", (int)size_min(name.len, NAME_BYTES),
                   name.at);
    w->row = row_by_name(p->spec, name);
    if (w->row == NULL && span_is(name, "help")) {
        return WORD_HELP;
    }
    if (w->row == NULL && !span_is(name, "config")) {
        char plain[NAME_BYTES];
        (void)span_to_cstr(name, plain, sizeof(plain));
        return unknown_flag(p, plain);
    }
    int failed = word_value(p, args, w, joined);
    return failed != 0 ? failed : w->row != NULL ? WORD_FLAG : WORD_CONFIG;
}

static int next_short(struct opt_parsing *p, struct args *args, const char *letters, struct word *w)
{
    (void)snprintf(w->shown, sizeof(w->shown), "'-%c'", letters[0]);
    w->row = row_by_letter(p->spec, letters[0]);
    w->letters = NULL;
    if (w->row == NULL && letters[0] == 'h') {
        return WORD_HELP;
    }
    if (w->row == NULL) {
        char shown[4] = {'-', letters[0], '\0'};
        return err_set(p->err, -ERR_CONFIG, "unknown flag '%s'; see '%s --help'", shown,
                       p->spec->command);
    }
    if (w->row->type == OPT_BOOL) {
        w->value = "true";
        w->letters = letters[1] != '\0' ? letters + 1 : NULL;
        return WORD_FLAG;
    }
    int failed = word_value(p, args, w, letters[1] != '\0' ? letters + 1 : NULL);
    return failed != 0 ? failed : WORD_FLAG;
}

static int next_word(struct opt_parsing *p, struct args *args, struct word *w)
{
    if (w->letters != NULL) {
        return next_short(p, args, w->letters, w);
    }
    if (args->next >= args->argc) {
        return WORD_END;
    }
    const char *text = args->argv[args->next++];
    if (args->only_operands || text[0] != '-' || text[1] == '\0') {
        w->value = text;
        return WORD_OPERAND;
    }
    if (strcmp(text, "--") == 0) {
        args->only_operands = true;
        return next_word(p, args, w);
    }
    return text[1] == '-' ? next_long(p, args, text, w) : next_short(p, args, text + 1, w);
}

/* First walk over argv, before the other layers: is help asked for, and which INI file is read? */
static int scan_args(struct opt_parsing *p, int argc, char **argv)
{
    struct args args = {.argc = argc, .argv = argv, .next = 1};
    struct word w = {.letters = NULL};
    for (;;) {
        int kind = next_word(p, &args, &w);
        if (kind == WORD_HELP) {
            opt_help(p->spec, stdout);
            return 1;
        }
        if (kind == WORD_CONFIG) {
            p->ini_path = w.value;
        }
        if (kind < 0 || kind == WORD_END) {
            return kind < 0 ? kind : 0;
        }
    }
}

static int apply_args(struct opt_parsing *p, int argc, char **argv, struct opt_list *operands)
{
    struct args args = {.argc = argc, .argv = argv, .next = 1};
    struct word w = {.letters = NULL};
    for (;;) {
        int kind = next_word(p, &args, &w);
        struct opt_place at = {w.shown, OPT_FROM_FLAG};
        int failed = 0;
        if (kind == WORD_END) {
            return 0;
        }
        if (kind == WORD_FLAG) {
            failed = opt_set(p, w.row, &at, w.value);
        } else if (kind == WORD_OPERAND && p->spec->operands == NULL) {
            failed = err_set(p->err, -ERR_CONFIG, "unexpected word '%s'; %s takes flags only",
                             w.value, p->spec->command);
        } else if (kind == WORD_OPERAND) {
            at.text = "command line";
            failed = opt_list_add(p, operands, arena_strdup(p->arena, w.value), &at);
        }
        if (failed != 0) {
            return failed;
        }
    }
}

int opt_parse(const struct opt_spec *spec, void *target, int argc, char **argv, struct arena *arena,
              struct opt_list *operands, struct err *err)
{
    struct opt_parsing p = {.spec = spec, .target = target, .arena = arena, .err = err};
    p.layers = arena_array(arena, row_count(spec) + 1, sizeof(p.layers[0]));
    p.ini_path = getenv("MESH_CONFIG");
    *operands = (struct opt_list){.items = NULL};
    int answer = scan_args(&p, argc, argv);
    if (answer != 0) {
        return answer;
    }
    int failed = apply_defaults(&p);
    if (failed == 0 && p.ini_path != NULL && p.ini_path[0] != '\0') {
        failed = ini_load(p.ini_path, on_ini_pair, &p, err);
    }
    failed = failed ? failed : apply_env(&p);
    return failed ? failed : apply_args(&p, argc, argv, operands);
}

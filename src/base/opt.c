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
#define ITEMS_MAX 1024 /* of one list */

enum layer { LAYER_NONE, LAYER_DEFAULT, LAYER_INI, LAYER_ENV, LAYER_FLAG };

struct parsing {
    const struct opt_spec *spec;
    char *target;
    struct arena *arena;
    uint8_t
        *layers; /* a row each: where a list's items came from, so that a later layer replaces */
    const char *ini_path;
    struct err *err;
};

/* Where a value stands, for messages: `mesh.ini:3: 'lb'`, `'--lb'`, `'MESH_LB'`. */
struct place {
    const char *text;
    enum layer layer;
};

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

/* value forms */

static const struct {
    const char *unit;
    int64_t ms;
} duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

static const struct {
    const char *unit;
    int64_t bytes;
} byte_units[] = {{"", 1},          {"B", 1},        {"KiB", 1 << 10}, {"Ki", 1 << 10},
                  {"MiB", 1 << 20}, {"Mi", 1 << 20}, {"GiB", 1 << 30}, {"Gi", 1 << 30}};

/* Cuts a number and the letters behind it off the front of `*rest`. */
static bool cut_quantity(struct span *rest, int64_t *number, struct span *unit)
{
    size_t digits = 0;
    while (digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9') {
        digits++;
    }
    size_t end = digits;
    while (end < rest->len && (rest->at[end] < '0' || rest->at[end] > '9')) {
        end++;
    }
    *unit = span_from(rest->at + digits, end - digits);
    bool ok = span_to_i64(span_first(*rest, digits), number);
    *rest = span_from_offset(*rest, end);
    return ok;
}

int opt_duration_ms(const char *text, int64_t *ms)
{
    struct span rest = span_of(text);
    int64_t total = 0;
    if (span_is(rest, "0")) {
        *ms = 0;
        return 0;
    }
    do {
        int64_t number;
        struct span unit;
        size_t i = 0;
        if (!cut_quantity(&rest, &number, &unit)) {
            return -ERR_CONFIG;
        }
        while (i < ARRAY_LEN(duration_units) && !span_is(unit, duration_units[i].unit)) {
            i++;
        }
        if (i == ARRAY_LEN(duration_units) ||
            __builtin_mul_overflow(number, duration_units[i].ms, &number) ||
            __builtin_add_overflow(total, number, &total)) {
            return -ERR_CONFIG;
        }
    } while (rest.len > 0);
    *ms = total;
    return 0;
}

int opt_bytes(const char *text, int64_t *bytes)
{
    struct span rest = span_of(text);
    int64_t number;
    struct span unit;
    if (!cut_quantity(&rest, &number, &unit) || rest.len > 0) {
        return -ERR_CONFIG;
    }
    for (size_t i = 0; i < ARRAY_LEN(byte_units); i++) {
        if (span_is(unit, byte_units[i].unit)) {
            return __builtin_mul_overflow(number, byte_units[i].bytes, bytes) ? -ERR_CONFIG : 0;
        }
    }
    return -ERR_CONFIG;
}

static int parse_bool(const char *text, bool *value)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return 0;
        }
    }
    return -ERR_CONFIG;
}

/* "a, b or c" */
static void choices_text(const char *const *choices, char *to, size_t room)
{
    size_t len = 0;
    to[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && len < room; i++) {
        const char *join = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        len += (size_t)snprintf(to + len, room - len, "%s%s", join, choices[i]);
    }
}

static int wrong_value(struct parsing *p, const struct place *at, const char *value,
                       const char *want)
{
    return err_set(p->err, -ERR_CONFIG, "%s is '%s'; %s", at->text, value, want);
}

static int set_number(struct parsing *p, const struct opt *row, const struct place *at,
                      const char *value)
{
    int64_t number;
    int failed;
    const char *want;
    if (row->type == OPT_DURATION) {
        failed = opt_duration_ms(value, &number);
        want = "use a duration such as 100ms, 5s, 1m30s or 2h";
    } else if (row->type == OPT_BYTES) {
        failed = opt_bytes(value, &number);
        want = "use a size such as 512, 64KiB, 4MiB or 1GiB";
    } else {
        failed = span_to_i64(span_of(value), &number) ? 0 : -ERR_CONFIG;
        want = "use a whole number";
    }
    if (failed != 0) {
        return wrong_value(p, at, value, want);
    }
    if ((row->min != 0 || row->max != 0) && (number < row->min || number > row->max)) {
        const char *unit = row->type == OPT_DURATION ? "ms" : "";
        return err_set(p->err, -ERR_CONFIG, "%s is '%s'; use %lld%s to %lld%s", at->text, value,
                       (long long)row->min, unit, (long long)row->max, unit);
    }
    memcpy(p->target + row->offset, &number, sizeof(number));
    return 0;
}

static int set_choice(struct parsing *p, const struct opt *row, const struct place *at,
                      const char *value)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], value) == 0) {
            memcpy(p->target + row->offset, &i, sizeof(i));
            return 0;
        }
    }
    char names[256];
    choices_text(row->choices, names, sizeof(names));
    return err_set(p->err, -ERR_CONFIG, "%s is '%s'; use %s", at->text, value, names);
}

static int list_add(struct parsing *p, struct opt_list *list, const char *item,
                    const struct place *at)
{
    if (list->count == ITEMS_MAX) {
        return err_set(p->err, -ERR_CONFIG, "%s has more than %d items", at->text, ITEMS_MAX);
    }
    /* Room doubles at each power of two; the old array stays in the arena. */
    if ((list->count & (list->count - 1)) == 0) {
        const char **grown = arena_array(p->arena, size_max(list->count * 2, 1), sizeof(grown[0]));
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(grown[0]));
        }
        list->items = grown;
    }
    list->items[list->count++] = item;
    return 0;
}

static int set_list(struct parsing *p, const struct opt *row, const struct place *at,
                    const char *value)
{
    struct opt_list *list = (struct opt_list *)(void *)(p->target + row->offset);
    uint8_t *layer = &p->layers[row - p->spec->rows];
    if (*layer != (uint8_t)at->layer) {
        *list = (struct opt_list){.items = NULL};
        *layer = (uint8_t)at->layer;
    }
    if (at->layer == LAYER_FLAG) {
        return list_add(p, list, arena_strdup(p->arena, value), at);
    }
    for (struct span rest = span_of(value); rest.at != NULL;) {
        struct span item = span_trim(span_cut(&rest, ','));
        if (item.len > 0) {
            int failed = list_add(p, list, arena_cstr(p->arena, item), at);
            if (failed != 0) {
                return failed;
            }
        }
    }
    return 0;
}

static int set_value(struct parsing *p, const struct opt *row, const struct place *at,
                     const char *value)
{
    bool flag;
    const char *text;
    switch (row->type) {
    case OPT_BOOL:
        if (parse_bool(value, &flag) != 0) {
            return wrong_value(p, at, value, "use true or false");
        }
        memcpy(p->target + row->offset, &flag, sizeof(flag));
        return 0;
    case OPT_TEXT:
        text = arena_strdup(p->arena, value);
        memcpy(p->target + row->offset, &text, sizeof(text));
        return 0;
    case OPT_LIST:
        return set_list(p, row, at, value);
    case OPT_CHOICE:
        return set_choice(p, row, at, value);
    case OPT_INT:
    case OPT_DURATION:
    case OPT_BYTES:
        return set_number(p, row, at, value);
    }
    ASSERT(!"row has a type");
    return -ERR_CONFIG;
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

static int apply_defaults(struct parsing *p)
{
    for (const struct opt *row = p->spec->rows; row->name != NULL; row++) {
        if (row->fallback == NULL) {
            continue;
        }
        struct place at = {row->name, LAYER_DEFAULT};
        int failed = set_value(p, row, &at, row->fallback);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

static int on_ini_pair(void *arg, const char *section, const char *key, const char *value, int line,
                       struct err *err)
{
    struct parsing *p = arg;
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
    struct place at = {text, LAYER_INI};
    return set_value(p, row, &at, value);
}

static int apply_env(struct parsing *p)
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
        struct place at = {text, LAYER_ENV};
        int failed = set_value(p, row, &at, value);
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

static int unknown_flag(struct parsing *p, const char *name)
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
static int word_value(struct parsing *p, struct args *args, struct word *w, const char *joined)
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
static int next_long(struct parsing *p, struct args *args, const char *text, struct word *w)
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

static int next_short(struct parsing *p, struct args *args, const char *letters, struct word *w)
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

static int next_word(struct parsing *p, struct args *args, struct word *w)
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
static int scan_args(struct parsing *p, int argc, char **argv)
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

static int apply_args(struct parsing *p, int argc, char **argv, struct opt_list *operands)
{
    struct args args = {.argc = argc, .argv = argv, .next = 1};
    struct word w = {.letters = NULL};
    for (;;) {
        int kind = next_word(p, &args, &w);
        struct place at = {w.shown, LAYER_FLAG};
        int failed = 0;
        if (kind == WORD_END) {
            return 0;
        }
        if (kind == WORD_FLAG) {
            failed = set_value(p, w.row, &at, w.value);
        } else if (kind == WORD_OPERAND && p->spec->operands == NULL) {
            failed = err_set(p->err, -ERR_CONFIG, "unexpected word '%s'; %s takes flags only",
                             w.value, p->spec->command);
        } else if (kind == WORD_OPERAND) {
            at.text = "command line";
            failed = list_add(p, operands, arena_strdup(p->arena, w.value), &at);
        }
        if (failed != 0) {
            return failed;
        }
    }
}

int opt_parse(const struct opt_spec *spec, void *target, int argc, char **argv, struct arena *arena,
              struct opt_list *operands, struct err *err)
{
    struct parsing p = {.spec = spec, .target = target, .arena = arena, .err = err};
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

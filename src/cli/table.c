/* Tables for people, CSV for programs.
 * In: verbs. Out: stdout. */
#include <stdio.h>
#include <string.h>

#include "cli/verb_int.h"

#define GAP 2 /* blanks between columns */

struct cell {
    char *text;
    enum table_tone tone;
};

struct table {
    struct verb *verb;
    const struct table_column *columns;
    size_t column_count;
    struct cell *cells; /* row by row */
    size_t count, room;
};

/* ---- tones ---- */

const char *table_tone_on(const struct verb *v, enum table_tone tone)
{
    static const char *const on[] = {"", "\033[32m", "\033[31m", "\033[33m", "\033[2m"};
    return v->has_color ? on[tone] : "";
}

const char *table_tone_off(const struct verb *v, enum table_tone tone)
{
    return v->has_color && tone != TONE_PLAIN ? "\033[0m" : "";
}

/* ---- filling ---- */

struct table *table_new(struct verb *v, const struct table_column *columns, size_t count)
{
    struct table *t = arena_new(&v->arena, struct table);
    *t = (struct table){.verb = v, .columns = columns, .column_count = count};
    return t;
}

void table_cell(struct table *t, const char *text)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 128;
        struct cell *more = arena_array(&t->verb->arena, room, sizeof *more);
        for (size_t i = 0; i < t->count; i++) {
            more[i] = t->cells[i];
        }
        t->cells = more;
        t->room = room;
    }
    const char *shown = text && *text ? text : "-";
    t->cells[t->count++] = (struct cell){.text = arena_strdup(&t->verb->arena, shown)};
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    table_cell(t, text);
}

void table_tone(struct table *t, enum table_tone tone)
{
    t->cells[t->count - 1].tone = tone;
}

/* ---- printing ---- */

/* Characters, which for what we print are columns: the sparkline's blocks are one wide. */
static unsigned columns_of(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at; at++) {
        count += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return count;
}

void table_csv_field(const char *text)
{
    if (strpbrk(text, ",\"\n") == NULL) {
        fputs(strcmp(text, "-") == 0 ? "" : text, stdout);
        return;
    }
    putchar('"');
    for (const char *at = text; *at; at++) {
        if (*at == '"') {
            putchar('"');
        }
        putchar(*at);
    }
    putchar('"');
}

static void print_csv(const struct table *t)
{
    for (size_t c = 0; c < t->column_count && !t->verb->flags->no_headers; c++) {
        printf("%s%s%s", c ? "," : "", t->columns[c].title, c + 1 == t->column_count ? "\n" : "");
    }
    for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count) {
        for (size_t c = 0; c < t->column_count; c++) {
            fputs(c ? "," : "", stdout);
            table_csv_field(t->cells[i + c].text);
        }
        putchar('\n');
    }
}

static unsigned total_width(const unsigned *widths, const bool *shown, size_t count)
{
    unsigned total = 0;
    for (size_t c = 0; c < count; c++) {
        total += shown[c] ? widths[c] + (total ? GAP : 0) : 0;
    }
    return total;
}

/* What does not fit the terminal goes, the least important first. */
static void choose(const struct table *t, const unsigned *widths, bool *shown)
{
    for (size_t c = 0; c < t->column_count; c++) {
        shown[c] = !t->columns[c].wide_only || t->verb->flags->output == OUTPUT_WIDE;
    }
    while (t->verb->width > 0 && total_width(widths, shown, t->column_count) > t->verb->width) {
        size_t least = t->column_count;
        for (size_t c = 0; c < t->column_count; c++) {
            if (shown[c] && t->columns[c].weight > 0 &&
                (least == t->column_count || t->columns[c].weight < t->columns[least].weight)) {
                least = c;
            }
        }
        if (least == t->column_count) {
            return;
        }
        shown[least] = false;
    }
}

static void print_cell(const struct table *t, size_t c, const char *text, enum table_tone tone,
                       unsigned width, bool is_first, bool is_last)
{
    const struct verb *v = t->verb;
    int pad = (int)(width - columns_of(text));
    bool is_right = t->columns[c].align == TABLE_RIGHT;
    printf("%*s%*s%s%s%s%*s", is_first ? 0 : GAP, "", is_right ? pad : 0, "",
           table_tone_on(v, tone), text, table_tone_off(v, tone), !is_right && !is_last ? pad : 0,
           "");
}

static void print_row(const struct table *t, const struct cell *cells, const unsigned *widths,
                      const bool *shown)
{
    size_t last = 0;
    bool is_first = true;
    for (size_t c = 0; c < t->column_count; c++) {
        last = shown[c] ? c : last;
    }
    for (size_t c = 0; c < t->column_count; c++) {
        if (shown[c]) {
            print_cell(t, c, cells ? cells[c].text : t->columns[c].title,
                       cells ? cells[c].tone : TONE_PLAIN, widths[c], is_first, c == last);
            is_first = false;
        }
    }
    putchar('\n');
}

void table_print(struct table *t)
{
    if (t->verb->flags->output == OUTPUT_CSV) {
        print_csv(t);
        return;
    }
    unsigned *widths = arena_array(&t->verb->arena, t->column_count, sizeof *widths);
    bool *shown = arena_array(&t->verb->arena, t->column_count, sizeof *shown);
    for (size_t c = 0; c < t->column_count; c++) {
        widths[c] = t->verb->flags->no_headers ? 0 : columns_of(t->columns[c].title);
    }
    for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count) {
        for (size_t c = 0; c < t->column_count; c++) {
            unsigned width = columns_of(t->cells[i + c].text);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    choose(t, widths, shown);
    if (!t->verb->flags->no_headers) {
        print_row(t, NULL, widths, shown);
    }
    for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count) {
        print_row(t, &t->cells[i], widths, shown);
    }
}

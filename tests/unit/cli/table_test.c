/* Tables and CSV, as they are printed. */
#include "cli/table.c"

#include <stdlib.h>

#include "unit/cm.h"

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT, false, 0},
    {"RPS", TABLE_RIGHT, false, 2},
    {"SERIAL", TABLE_LEFT, true, 1},
    {"NOTE", TABLE_LEFT, false, 1},
};

struct look {
    int output;
    bool no_headers, has_color;
    unsigned width;
};

/* What table_print writes to stdout. */
static const char *printed(const struct look *look, const char *const *cells, size_t count)
{
    static char text[1024];
    struct verb_flags flags = {.output = look->output, .no_headers = look->no_headers};
    struct verb v = {.flags = &flags, .has_color = look->has_color, .width = look->width};
    FILE *real = stdout;
    memset(text, 0, sizeof text);
    arena_init(&v.arena, 1024);
    stdout = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(stdout);
    struct table *t = table_new(&v, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        table_cell(t, cells[i]);
        if (i == 1) {
            table_tone(t, TONE_BAD);
        }
    }
    table_print(t);
    fclose(stdout);
    stdout = real;
    arena_dispose(&v.arena);
    return text;
}

static const char *const two[] = {"größe", "1.5", "ab", "x,\"y\"", "b", NULL, "", "-"};

static void test_looks(void **state)
{
    UNUSED(state);
    static const struct {
        struct look look;
        const char *want;
    } rows[] = {
        {{.output = OUTPUT_TABLE}, "NAME   RPS  NOTE\ngröße  1.5  x,\"y\"\nb        -  -\n"},
        {{.output = OUTPUT_WIDE},
         "NAME   RPS  SERIAL  NOTE\ngröße  1.5  ab      x,\"y\"\nb        -  -       -\n"},
        {{.output = OUTPUT_TABLE, .no_headers = true}, "größe  1.5  x,\"y\"\nb        -  -\n"},
        {{.output = OUTPUT_TABLE, .has_color = true},
         "NAME   RPS  NOTE\ngröße  \033[31m1.5\033[0m  x,\"y\"\nb        -  -\n"},
        {{.output = OUTPUT_TABLE, .width = 17},
         "NAME   RPS  NOTE\ngröße  1.5  x,\"y\"\nb        -  -\n"},
        {{.output = OUTPUT_TABLE, .width = 12}, "NAME   RPS\ngröße  1.5\nb        -\n"},
        {{.output = OUTPUT_TABLE, .width = 1}, "NAME\ngröße\nb\n"},
        {{.output = OUTPUT_CSV, .width = 1},
         "NAME,RPS,SERIAL,NOTE\ngröße,1.5,ab,\"x,\"\"y\"\"\"\nb,,,\n"},
        {{.output = OUTPUT_CSV, .no_headers = true}, "größe,1.5,ab,\"x,\"\"y\"\"\"\nb,,,\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(printed(&rows[i].look, two, ARRAY_LEN(two)), rows[i].want);
    }
}

static void test_no_rows(void **state)
{
    UNUSED(state);
    assert_string_equal(printed(&(struct look){.output = OUTPUT_TABLE}, NULL, 0),
                        "NAME  RPS  NOTE\n");
    assert_string_equal(printed(&(struct look){.output = OUTPUT_CSV}, NULL, 0),
                        "NAME,RPS,SERIAL,NOTE\n");
}

static void test_many_rows(void **state)
{
    UNUSED(state);
    struct verb_flags flags = {.output = OUTPUT_TABLE};
    struct verb v = {.flags = &flags};
    arena_init(&v.arena, 1024);
    struct table *t = table_new(&v, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < 4000; i++) {
        table_cellf(t, "%zu", i);
    }
    assert_int_equal(t->count, 4000);
    assert_string_equal(t->cells[3999].text, "3999");
    arena_dispose(&v.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The table of bad objects (bad_objects.txt): each finding exactly, with file, line, path, reason and fix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/object.h"

#define TABLE "tests/unit/model/bad_objects.txt"
#define CASES_MIN 100

static char table[1 << 20];

static void on_object(void *arg, struct object *o)
{
    size_t *count = arg;
    (*count)++;
    object_unref(o);
}

static void print_line(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void print_line(struct buf *out, const char *fmt, ...)
{
    char line[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    assert_true(len > 0 && (size_t)len < sizeof(line));
    assert_int_equal(buf_append(out, line, (size_t)len), 0);
}

static void print_finding(struct buf *out, const struct finding *f)
{
    print_line(out, "MESH%04u %s line %u %.*s%s%.*s/%.*s %.*s\n", f->code,
               codes_severity_name(f->severity), f->line, SPAN_ARG(f->kind), f->kind.len ? " " : "",
               SPAN_ARG(f->namespace), SPAN_ARG(f->name), SPAN_ARG(f->path));
    print_line(out, "what: %.*s\n", SPAN_ARG(f->what));
    print_line(out, "why: %.*s\n", SPAN_ARG(f->why));
    print_line(out, "fix: %.*s\n", SPAN_ARG(f->fix));
}

/* Up to the line that begins with `mark`, which is cut off too. */
static struct span cut_to(struct span *rest, const char *mark)
{
    ssize_t at = span_find(*rest, span_of(mark));
    struct span part = at < 0 ? *rest : span_first(*rest, (size_t)at + 1);
    *rest = at < 0 ? SPAN_EMPTY : span_from_offset(*rest, (size_t)at + strlen(mark));
    return part;
}

static bool run(struct span name, struct span text, struct span want)
{
    struct arena arena;
    struct findings findings;
    struct buf got;
    char file[128];
    size_t good = 0;
    bool told = true;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    buf_init(&got, 1 << 16);
    (void)snprintf(file, sizeof(file), "%.*s.yaml", SPAN_ARG(name));
    size_t count = object_read_text(text, file, &findings, on_object, &good);
    assert_int_equal(count, good);
    for (const struct finding *f = findings.first; f != NULL; f = f->next) {
        print_finding(&got, f);
        told &= f->line > 0 && f->what.len > 0 && f->why.len > 0 && f->fix.len > 0 &&
                span_is(f->file, file);
    }
    while (span_ends(want, SPAN("\n\n"))) {
        want = span_first(want, want.len - 1);
    }
    bool same = span_eq(buf_span(&got), want) && told && findings.count > 0;
    if (!same) {
        print_error("case %.*s wants\n%.*sand there is\n%.*s\n", SPAN_ARG(name), SPAN_ARG(want),
                    SPAN_ARG(buf_span(&got)));
    }
    buf_dispose(&got);
    arena_dispose(&arena);
    return same;
}

static void tells_exactly(void **state)
{
    size_t cases = 0, bad = 0;
    FILE *file = fopen(TABLE, "re");
    UNUSED(state);
    assert_non_null(file);
    size_t len = fread(table, 1, sizeof(table), file);
    assert_true(len < sizeof(table));
    (void)fclose(file);
    struct span rest = span_from(table, len);
    (void)cut_to(&rest, "\n@case ");
    while (rest.len > 0) {
        struct span one = cut_to(&rest, "\n@case ");
        struct span name = span_cut(&one, '\n');
        struct span text = cut_to(&one, "\n@want\n");
        bad += !run(name, text, one);
        cases++;
    }
    print_message("%zu bad objects\n", cases);
    assert_true(cases >= CASES_MIN);
    assert_int_equal(bad, 0);
}

/* A bad object beside good ones, and a good one of the same file. */
static void others_are_read(void **state)
{
    struct arena arena;
    struct findings findings;
    size_t good = 0;
    UNUSED(state);
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    struct span text = SPAN("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
                            "apiVersion: v1\nkind: Namespace\nmetadata: {name: B}\n---\n"
                            "apiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n");
    assert_int_equal(object_read_text(text, NULL, &findings, on_object, &good), 2);
    assert_int_equal(findings.errors, 1);
    assert_int_equal(findings.first->line, 7);
    assert_int_equal(findings.first->file.len, 0);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_exactly),
        cmocka_unit_test(others_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

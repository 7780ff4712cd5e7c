/* Findings: order, bound, document. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/finding.c"

static void keeps_order_and_place(void **state)
{
    struct arena arena;
    struct findings f;
    struct buf out;
    UNUSED(state);
    arena_init(&arena, 4096);
    findings_init(&f, &arena);
    struct doc_node at = {.kind = DOC_TEXT, .line = 7, .file = "a.yaml"};
    struct finding *first = finding_add(&f, 2015, &at, "'mode' is '%s'\n\x1b[1m", "x");
    first->kind = SPAN("Service");
    first->path = SPAN("spec.mode");
    first->fix = finding_text(&f, "write %d", 7);
    struct finding *second = finding_add(&f, 2010, NULL, "second");
    assert_ptr_equal(f.first, first);
    assert_ptr_equal(first->next, second);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.errors, 1);
    assert_int_equal(second->line, 0);
    buf_init(&out, 4096);
    assert_int_equal(doc_write_json(finding_to_doc(first, &arena), false, &out), 0);
    assert_true(span_is(
        buf_span(&out),
        "{\"code\":\"MESH2015\",\"severity\":\"error\",\"what\":\"'mode' is 'x'  [1m\","
        "\"where\":{\"kind\":\"Service\",\"path\":\"spec.mode\",\"file\":\"a.yaml\",\"line\":7},"
        "\"why\":[],\"fix\":[\"write 7\"]}"));
    buf_dispose(&out);
    arena_dispose(&arena);
}

static void is_bounded(void **state)
{
    struct arena arena;
    struct findings f;
    UNUSED(state);
    arena_init(&arena, 4096);
    findings_init(&f, &arena);
    for (size_t i = 0; i < 10 * FINDINGS_MAX; i++) {
        struct finding *found = finding_add(&f, 2015, NULL, "number %zu", i);
        found->why = finding_text(&f, "because");
    }
    size_t used = arena_used(&arena);
    (void)finding_add(&f, 2015, NULL, "one more");
    assert_int_equal(arena_used(&arena), used);
    size_t listed = 0;
    const struct finding *last = NULL;
    for (const struct finding *x = f.first; x != NULL; x = x->next) {
        last = x;
        listed++;
    }
    assert_int_equal(listed, FINDINGS_MAX + 1);
    assert_int_equal(last->code, 2099);
    assert_int_equal(f.errors, 10 * FINDINGS_MAX + 1);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_place),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

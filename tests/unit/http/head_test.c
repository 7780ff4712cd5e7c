/* Heads: slots stay right whatever is added, replaced and removed. */
#include "http/head.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "base/rng.h"

static void test_known_names(void **state)
{
    UNUSED(state);
    for (unsigned id = 1; id < HEAD_KNOWN_COUNT; id++) {
        struct span name = head_known_name((enum head_known)id);
        assert_true(name.len > 0);
        assert_int_equal(head_known_of(name), id);
    }
    static const char *const others[] = {"", "x", "hosT", "x-b3-spanie", "content-lengti", "hostx"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(head_known_of(span_of(others[i])), HEAD_OTHER);
    }
}

static void test_methods(void **state)
{
    UNUSED(state);
    assert_int_equal(head_method_of(SPAN("GET")), METHOD_GET);
    assert_int_equal(head_method_of(SPAN("PATCH")), METHOD_PATCH);
    assert_int_equal(head_method_of(SPAN("CONNECT")), METHOD_CONNECT);
    assert_int_equal(head_method_of(SPAN("get")), METHOD_OTHER);
    assert_int_equal(head_method_of(SPAN("")), METHOD_OTHER);
}

static void test_set_and_remove(void **state)
{
    UNUSED(state);
    struct arena a;
    struct head h;
    arena_init(&a, 1024);
    head_init(&h, &a);
    assert_null(head_get(&h, SPAN("x-a")).at);
    assert_int_equal(head_add(&h, SPAN("x-a"), SPAN("1")), 0);
    assert_int_equal(head_add(&h, SPAN("date"), SPAN("d1")), 0);
    assert_int_equal(head_add(&h, SPAN("x-a"), SPAN("2")), 0);
    assert_int_equal(head_add(&h, SPAN("date"), SPAN("d2")), 0);
    assert_int_equal(head_add_known(&h, HEAD_SERVER, SPAN("s")), 0);
    assert_true(span_is(head_get(&h, SPAN("x-a")), "1"));
    assert_true(span_is(head_get_known(&h, HEAD_DATE), "d1"));
    assert_int_equal(head_set_known(&h, HEAD_DATE, SPAN("d3")), 0);
    assert_int_equal(h.count, 4);
    assert_true(span_is(head_get(&h, SPAN("date")), "d3"));
    assert_true(span_is(head_get_known(&h, HEAD_SERVER), "s"));
    assert_int_equal(head_set(&h, SPAN("x-a"), SPAN("3")), 0);
    assert_int_equal(h.count, 3);
    assert_true(span_is(head_get(&h, SPAN("x-a")), "3"));
    head_remove(&h, SPAN("date"));
    assert_null(head_get_known(&h, HEAD_DATE).at);
    head_remove(&h, SPAN("date"));
    head_remove_known(&h, HEAD_SERVER);
    head_remove(&h, SPAN("x-a"));
    assert_int_equal(h.count, 0);
    assert_int_equal(head_set(&h, SPAN("te"), SPAN("trailers")), 0);
    assert_true(span_is(head_get_known(&h, HEAD_TE), "trailers"));
    arena_dispose(&a);
}

/* Against the plain way of looking fields up, for any sequence of changes. */
static void test_slots(void **state)
{
    UNUSED(state);
    static const char *const names[] = {"date", "server", "te", "x-a", "b3", "x-bb", "grpc-status"};
    struct arena a;
    struct head h;
    struct rng rng;
    arena_init(&a, 4096);
    head_init(&h, &a);
    rng_seed(&rng, 7);
    for (unsigned i = 0; i < 20000; i++) {
        struct span name = span_of(names[rng_below(&rng, ARRAY_LEN(names))]);
        switch (rng_below(&rng, 4)) {
        case 0:
        case 1:
            (void)(head_add(&h, name, SPAN("v")) == 0);
            break;
        case 2:
            assert_int_equal(head_set(&h, name, SPAN("w")),
                             h.count > HEAD_FIELDS_MAX ? -ERR_LIMIT : 0);
            break;
        default:
            head_remove(&h, name);
            break;
        }
        assert_true(h.count <= HEAD_FIELDS_MAX);
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            const struct header *want = header_find(h.fields, h.count, span_of(names[n]));
            struct span got = head_get(&h, span_of(names[n]));
            assert_ptr_equal(got.at, want ? want->value.at : NULL);
        }
    }
    arena_dispose(&a);
}

static void test_limit(void **state)
{
    UNUSED(state);
    struct arena a;
    struct head h;
    arena_init(&a, 4096);
    head_init(&h, &a);
    for (unsigned i = 0; i < HEAD_FIELDS_MAX; i++) {
        assert_int_equal(head_add(&h, SPAN("x"), SPAN("1")), 0);
    }
    assert_int_equal(head_add(&h, SPAN("x"), SPAN("1")), -ERR_LIMIT);
    assert_int_equal(head_add_known(&h, HEAD_DATE, SPAN("1")), -ERR_LIMIT);
    arena_dispose(&a);
}

static void test_authority(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"a", true},           {"a.example", true}, {"a.example:80", true}, {"a:", true},
        {"127.0.0.1:1", true}, {"[::1]", true},     {"[::1]:65535", true},  {"a_b-c~%20", true},
        {"", false},           {":80", false},      {"a:65536", false},     {"a:x", false},
        {"a:+1", false},       {"a b", false},      {"a/b", false},         {"a@b", false},
        {"a?b", false},        {"a#b", false},      {"a,b", false},         {"a\\b", false},
        {"[::1", false},       {"[]", false},       {"[::1]x", false},      {"[g::1]", false},
        {"a:80:80", false},    {"\xc3\xa9", false}, {"a\t", false},         {"::1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (head_authority_is_valid(span_of(rows[i].text)) != rows[i].valid) {
            fail_msg("'%s' should be %svalid", rows[i].text, rows[i].valid ? "" : "in");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_names),    cmocka_unit_test(test_methods),
        cmocka_unit_test(test_set_and_remove), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_limit),          cmocka_unit_test(test_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which headers a service hands on. */
#include "sample/visit.c"

#include "unit/cm.h"

static void test_handed_on(void **state)
{
    static const struct {
        const char *name;
        bool is;
    } cases[] = {
        {"x-request-id", true}, {"traceparent", true},      {"tracestate", true},
        {"b3", true},           {"x-b3-traceid", true},     {"x-b3-sampled", true},
        {"end-user", true},     {"user-agent", true},       {"cookie", true},
        {"jwt", true},          {"authorization", true},    {"x-datadog-trace-id", true},
        {"accept", false},      {"x-forwarded-for", false}, {"x-envoy-peer-metadata", false},
        {"x-b", false},         {"x-mesh-write", false},    {"b3x", false},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(is_handed_on(span_of(cases[i].name)), cases[i].is);
    }
}

/* Who is signed in is told, unless the request tells of somebody. */
static void test_end_user(void **state)
{
    static const struct {
        const char *field, *user, *want;
    } cases[] = {{NULL, "jason", "jason"}, {"eve", "jason", "eve"}, {NULL, "", NULL}};
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct visit v = {.field_count = 0};
        struct head head;
        struct span got = SPAN_EMPTY;
        arena_init(&v.arena, 1024);
        head_init(&head, &v.arena);
        assert_int_equal(head_add(&head, SPAN("accept"), SPAN("*/*")), 0);
        if (cases[i].field != NULL) {
            assert_int_equal(head_add(&head, SPAN("end-user"), span_of(cases[i].field)), 0);
        }
        hand_on(&v, &head, span_of(cases[i].user));
        for (size_t k = 0; k < v.field_count; k++) {
            assert_true(span_is(v.fields[k].name, "end-user"));
            assert_null(got.at);
            got = v.fields[k].value;
        }
        assert_true(cases[i].want == NULL ? got.at == NULL : span_is(got, cases[i].want));
        arena_dispose(&v.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handed_on),
        cmocka_unit_test(test_end_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

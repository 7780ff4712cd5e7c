/* ca/grant: what is given is what was proven. */
#include "ca/grant.c"

#include "unit/cm.h"

#define TD "cluster.local"
#define RESERVED "spiffe://cluster.local/ns/mesh-system/sa/mesh-control"
#define NOW_S 1800000000LL

static const struct grant_rules rules = {.trust_domain = SPAN_INIT(TD),
                                         .reserved = SPAN_INIT(RESERVED),
                                         .life_s = 86400,
                                         .life_max_s = 90000};

static void test_wish(void **state)
{
    (void)state;
    static const struct {
        const char *uris[3];
        const char *want; /* "ns/sa", "" = none asked for, NULL = refused */
        const char *why;
    } cases[] = {
        {{NULL}, "", NULL},
        {{"spiffe://cluster.local/ns/a/sa/b"}, "a/b", NULL},
        {{"spiffe://cluster.local/ns/a/sa/b", "spiffe://cluster.local/ns/a/sa/b"}, NULL, "2 URI"},
        {{"spiffe://other/ns/a/sa/b"}, NULL, "trust domain"},
        {{"spiffe://cluster.local/a"}, NULL, "want spiffe://cluster.local/ns/"},
        {{"spiffe://cluster.local"}, NULL, "want spiffe://"},
        {{"https://a/"}, NULL, "want spiffe://"},
        {{""}, NULL, "want spiffe://"},
        {{"spiffe://cluster.local/ns/a/sa/../b"}, NULL, "want spiffe://"},
        {{RESERVED}, NULL, "given to nobody"},
        {{"SPIFFE://cluster.local/ns/mesh-system/sa/mesh-control"}, NULL, "given to nobody"},
        {{"Spiffe://cluster.local/ns/a/sa/b"}, "a/b", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span uris[3];
        size_t count = 0;
        for (; count < 3 && cases[i].uris[count] != NULL; count++) {
            uris[count] = span_of(cases[i].uris[count]);
        }
        struct identity wanted;
        struct err err;
        int code = grant_read_wish(uris, count, SPAN(TD), SPAN(RESERVED), &wanted, &err);
        if (cases[i].want == NULL) {
            assert_int_equal(code, -ERR_DENIED);
            assert_non_null(strstr(err.text, cases[i].why));
            continue;
        }
        assert_int_equal(code, 0);
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*s%s%.*s", SPAN_ARG(wanted.ns),
                       wanted.ns.len > 0 ? "/" : "", SPAN_ARG(wanted.sa));
        assert_string_equal(text, cases[i].want);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *ns, *sa; /* proven */
        const char *ask_ns, *ask_sa;
        const char *want; /* NULL = refused */
    } cases[] = {
        {"a", "b", "", "", "spiffe://cluster.local/ns/a/sa/b"},
        {"a", "b", "a", "b", "spiffe://cluster.local/ns/a/sa/b"},
        {"a", "b", "a", "c", NULL},
        {"a", "b", "c", "b", NULL},
        {"a", "*", "a", "b", "spiffe://cluster.local/ns/a/sa/b"},
        {"a", "*", "b", "b", NULL},
        {"a", "*", "", "", NULL},
        {"a", "b/c", "", "", NULL},
        {"", "b", "", "", NULL},
        {"a", "", "", "", NULL},
        {"mesh-system", "mesh-control", "", "", NULL},
        {"mesh-system", "*", "mesh-system", "mesh-control", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct identity wanted = {.ns = span_of(cases[i].ask_ns),
                                        .sa = span_of(cases[i].ask_sa)};
        struct grant g;
        struct err err;
        int code =
            grant_make(&rules, span_of(cases[i].ns), span_of(cases[i].sa), &wanted, 0, &g, &err);
        if (cases[i].want == NULL) {
            assert_int_equal(code, -ERR_DENIED);
            assert_non_null(strstr(err.text, "MESH3004"));
        } else {
            assert_int_equal(code, 0);
            assert_string_equal(g.spiffe_id, cases[i].want);
        }
    }
}

static void test_times_and_serials(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, want;
    } cases[] = {
        {0, 86400}, {-1, 86400},    {INT64_MIN, 86400}, {1, 1},
        {60, 60},   {90000, 90000}, {90001, 90000},     {INT64_MAX, 90000},
    };
    const struct identity none = {.ns = SPAN_EMPTY};
    instant_fake_start(0, NOW_S * 1000000);
    struct grant last = {.spiffe_id = ""};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct grant g;
        struct err err;
        assert_int_equal(grant_make(&rules, SPAN("a"), SPAN("b"), &none, cases[i].asked, &g, &err),
                         0);
        assert_int_equal(g.not_after_s, NOW_S + cases[i].want);
        assert_int_equal(g.not_before_s, NOW_S - GRANT_BACKDATE_S);
        assert_int_equal(strlen(g.serial_hex), 32);
        assert_int_not_equal(g.serial[0], 0);
        assert_true(g.serial[0] < 0x80);
        assert_string_not_equal(g.serial_hex, last.serial_hex);
        last = g;
    }
    instant_fake_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wish),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_times_and_serials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

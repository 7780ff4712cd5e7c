/* mesh/identity: what is a SPIFFE ID, and Istio's form of it. */
#include "mesh/identity.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void reads(void **state)
{
    static const struct {
        const char *text;
        const char *trust_domain, *path, *ns, *sa; /* NULL: refused */
    } rows[] = {
        {"spiffe://cluster.local/ns/default/sa/web", "cluster.local", "/ns/default/sa/web",
         "default", "web"},
        {"SPIFFE://td/ns/a/sa/b", "td", "/ns/a/sa/b", "a", "b"},
        {"spiffe://td", "td", "", "", ""},
        {"spiffe://td-1_x.y/A/b.c/d-e_f", "td-1_x.y", "/A/b.c/d-e_f", "", ""},
        {"spiffe://td/ns/a/sa/b/c", "td", "/ns/a/sa/b/c", "", ""},
        {"spiffe://td/ns/a/dc/b", "td", "/ns/a/dc/b", "", ""},
        {"spiffe://td/ns/a", "td", "/ns/a", "", ""},
        {"spiffe://td/...", "td", "/...", "", ""},
        {"", NULL, NULL, NULL, NULL},
        {"spiffe://", NULL, NULL, NULL, NULL},
        {"spiffe:///ns/a/sa/b", NULL, NULL, NULL, NULL},
        {"spiffe:/td", NULL, NULL, NULL, NULL},
        {"https://td/ns/a/sa/b", NULL, NULL, NULL, NULL},
        {"spiffe://td/", NULL, NULL, NULL, NULL},
        {"spiffe://td/a/", NULL, NULL, NULL, NULL},
        {"spiffe://td/a//b", NULL, NULL, NULL, NULL},
        {"spiffe://td/./b", NULL, NULL, NULL, NULL},
        {"spiffe://td/a/../b", NULL, NULL, NULL, NULL},
        {"spiffe://TD/a", NULL, NULL, NULL, NULL},
        {"spiffe://td:80/a", NULL, NULL, NULL, NULL},
        {"spiffe://u@td/a", NULL, NULL, NULL, NULL},
        {"spiffe://td/a?b", NULL, NULL, NULL, NULL},
        {"spiffe://td/a#b", NULL, NULL, NULL, NULL},
        {"spiffe://td/a%20b", NULL, NULL, NULL, NULL},
        {"spiffe://td/a b", NULL, NULL, NULL, NULL},
        {"spiffe://t\xc3\xa9/a", NULL, NULL, NULL, NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct identity id;
        int failed = identity_parse(guard_copy(0, span_of(rows[i].text)), &id);
        assert_int_equal(failed, rows[i].trust_domain ? 0 : -ERR_PROTO);
        if (failed == 0) {
            assert_span(id.trust_domain, rows[i].trust_domain);
            assert_span(id.path, rows[i].path);
            assert_span(id.ns, rows[i].ns);
            assert_span(id.sa, rows[i].sa);
        }
    }
}

static void bounds_length(void **state)
{
    UNUSED(state);
    struct identity id;
    char text[IDENTITY_BYTES_MAX + 1];
    memset(text, 'a', sizeof(text));
    memcpy(text, "spiffe://td/", 12);
    assert_int_equal(identity_parse(span_from(text, IDENTITY_BYTES_MAX), &id), 0);
    assert_int_equal(identity_parse(span_from(text, sizeof(text)), &id), -ERR_PROTO);
    memset(text + 9, 'a', 300);
    text[9 + 255] = '/';
    assert_int_equal(identity_parse(span_from(text, 300), &id), 0);
    text[9 + 255] = 'a';
    text[9 + 256] = '/';
    assert_int_equal(identity_parse(span_from(text, 300), &id), -ERR_PROTO);
}

static void writes_and_compares(void **state)
{
    UNUSED(state);
    struct buf out;
    struct identity a;
    struct identity b;
    buf_init(&out, 100);
    assert_int_equal(identity_format(SPAN("td"), SPAN("n"), SPAN("s"), &out), 0);
    assert_span(buf_span(&out), "spiffe://td/ns/n/sa/s");
    assert_int_equal(identity_parse(buf_span(&out), &a), 0);
    assert_int_equal(identity_parse(SPAN("spiffe://td/ns/n/sa/s"), &b), 0);
    assert_true(identity_eq(&a, &b));
    assert_int_equal(identity_parse(SPAN("spiffe://other/ns/n/sa/s"), &b), 0);
    assert_false(identity_eq(&a, &b));
    assert_int_equal(identity_parse(SPAN("spiffe://td/ns/n/sa/S"), &b), 0);
    assert_false(identity_eq(&a, &b));
    buf_dispose(&out);
    buf_init(&out, 10);
    assert_int_equal(identity_format(SPAN("td"), SPAN("n"), SPAN("s"), &out), -ERR_LIMIT);
    buf_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(bounds_length),
        cmocka_unit_test(writes_and_compares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

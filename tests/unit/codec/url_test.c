/* codec/url: URLs, targets, authorities, queries, escapes, path normalisation. */
#include "codec/url.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void reads_urls(void **state)
{
    static const struct {
        const char *text;
        const char *scheme, *host, *path, *query; /* scheme NULL: refused */
        unsigned port, real_port;
    } rows[] = {
        {"http://a", "http", "a", "", NULL, 0, 80},
        {"https://a.b:8443/c?d=e#f", "https", "a.b", "/c", "d=e", 8443, 8443},
        {"HTTPS://a/", "HTTPS", "a", "/", NULL, 0, 443},
        {"spiffe://td/ns/x", "spiffe", "td", "/ns/x", NULL, 0, 0},
        {"http://[::1]:80/", "http", "::1", "/", NULL, 80, 80},
        {"http://[2001:db8::1]", "http", "2001:db8::1", "", NULL, 0, 80},
        {"http://a?q", "http", "a", "", "q", 0, 80},
        {"http://a/?", "http", "a", "/", "", 0, 80},
        {"http://a#/b?c", "http", "a", "", NULL, 0, 80},
        {"a+b-c.d1://x", "a+b-c.d1", "x", "", NULL, 0, 0},
        {"http://1.2.3.4:65535", "http", "1.2.3.4", "", NULL, 65535, 65535},
        {"", NULL, NULL, NULL, NULL, 0, 0},
        {"http:/a", NULL, NULL, NULL, NULL, 0, 0},
        {"://a", NULL, NULL, NULL, NULL, 0, 0},
        {"1http://a", NULL, NULL, NULL, NULL, 0, 0},
        {"http://", NULL, NULL, NULL, NULL, 0, 0},
        {"http:///a", NULL, NULL, NULL, NULL, 0, 0},
        {"http://u@a/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://u:p@a/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a b/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a/b c", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a/\t", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a:0/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a:65536/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a:/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://a:8x/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://[::1/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://[::1]x/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://[]/", NULL, NULL, NULL, NULL, 0, 0},
        {"http://[v1.x]/", NULL, NULL, NULL, NULL, 0, 0},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url u;
        int failed = url_parse(guard_copy(0, span_of(rows[i].text)), &u);
        if (rows[i].scheme == NULL) {
            assert_int_equal(failed, -ERR_PROTO);
            continue;
        }
        assert_int_equal(failed, 0);
        assert_span(u.scheme, rows[i].scheme);
        assert_span(u.host, rows[i].host);
        assert_span(u.path, rows[i].path);
        assert_int_equal(u.has_query, rows[i].query != NULL);
        assert_span(u.query, rows[i].query ? rows[i].query : "");
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(url_port(&u), rows[i].real_port);
    }
}

static void reads_targets(void **state)
{
    static const struct {
        const char *text;
        bool is_connect;
        int form; /* -1: refused */
        const char *host, *path, *query;
    } rows[] = {
        {"/", false, URL_ORIGIN, "", "/", ""},
        {"/a/b?c=d?e", false, URL_ORIGIN, "", "/a/b", "c=d?e"},
        {"//a/b", false, URL_ORIGIN, "", "//a/b", ""},
        {"/a%zz", false, URL_ORIGIN, "", "/a%zz", ""}, /* escapes are looked at later */
        {"/\xc3\xa9", false, URL_ORIGIN, "", "/\xc3\xa9", ""},
        {"*", false, URL_ASTERISK, "", "", ""},
        {"http://a/b?c", false, URL_ABSOLUTE, "a", "/b", "c"},
        {"a:443", true, URL_AUTHORITY, "a", "", ""},
        {"[::1]:443", true, URL_AUTHORITY, "::1", "", ""},
        {"a", true, -1, "", "", ""}, /* CONNECT wants a port, RFC 9110 section 9.3.6 */
        {"a:443/", true, -1, "", "", ""},
        {"/", true, -1, "", "", ""},
        {"", false, -1, "", "", ""},
        {"a", false, -1, "", "", ""},
        {"**", false, -1, "", "", ""},
        {"/a b", false, -1, "", "", ""},
        {"/a#b", false, -1, "", "", ""},
        {"/a\x7f", false, -1, "", "", ""},
        {"/a\x01", false, -1, "", "", ""},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url u;
        enum url_form form;
        struct span text = guard_copy(0, span_of(rows[i].text));
        int failed = url_parse_target(text, rows[i].is_connect, &form, &u);
        assert_int_equal(failed, rows[i].form < 0 ? -ERR_PROTO : 0);
        if (failed == 0) {
            assert_int_equal((int)form, rows[i].form);
            assert_span(u.host, rows[i].host);
            assert_span(u.path, rows[i].path);
            assert_span(u.query, rows[i].query);
        }
    }
}

static void walks_queries(void **state)
{
    UNUSED(state);
    struct span rest = SPAN("a=1&&b&c=&=d&a=2=3");
    static const char *const want[][2] = {
        {"a", "1"}, {"b", ""}, {"c", ""}, {"", "d"}, {"a", "2=3"}};
    struct span name;
    struct span value;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(url_query_next(&rest, &name, &value));
        assert_span(name, want[i][0]);
        assert_span(value, want[i][1]);
    }
    assert_false(url_query_next(&rest, &name, &value));
    assert_span(url_query_get(SPAN("a=1&b&a=2"), SPAN("a")), "1");
    assert_non_null(url_query_get(SPAN("a=1&b&a=2"), SPAN("b")).at);
    assert_null(url_query_get(SPAN("a=1"), SPAN("c")).at);
    assert_null(url_query_get(SPAN_EMPTY, SPAN("c")).at);
}

static void escapes(void **state)
{
    static const struct {
        const char *text;
        bool plus;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"a%20b+c", false, "a b+c"}, {"a%20b+c", true, "a b c"},
        {"%41%e9", false, "A\xe9"},  {"%4", false, NULL},
        {"%", false, NULL},          {"%4g", false, NULL},
        {"100%25", false, "100%"},   {"", false, ""},
    };
    struct buf out;
    UNUSED(state);
    buf_init(&out, 64);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_reset(&out);
        int failed = url_decode(guard_copy(0, span_of(rows[i].text)), rows[i].plus, &out);
        assert_int_equal(failed, rows[i].want ? 0 : -ERR_PROTO);
        if (failed == 0) {
            assert_span(buf_span(&out), rows[i].want);
        }
    }
    buf_reset(&out);
    assert_int_equal(url_encode(SPAN("a/b c~\xe9%"), "/", &out), 0);
    assert_span(buf_span(&out), "a/b%20c~%E9%25");
    assert_int_equal(url_encode(span_from("\0", 1), "", &out), 0);
    assert_true(span_ends(buf_span(&out), SPAN("%00")));
    buf_dispose(&out);
    buf_init(&out, 2);
    assert_int_equal(url_encode(SPAN(" "), "", &out), -ERR_LIMIT);
    assert_int_equal(url_decode(SPAN("abc"), false, &out), -ERR_LIMIT);
    buf_dispose(&out);
}

enum {
    BASE = URL_DOT_SEGMENTS,
    MERGE = BASE | URL_MERGE_SLASHES,
    DECODE = MERGE | URL_DECODE_SLASHES
};

static void normalises_paths(void **state)
{
    static const struct {
        const char *path;
        const char *base, *merge, *decode; /* NULL: refused */
    } rows[] = {
        {"/", "/", "/", "/"},
        {"/a/b", "/a/b", "/a/b", "/a/b"},
        {"/a/./b", "/a/b", "/a/b", "/a/b"},
        {"/a/../b", "/b", "/b", "/b"},
        {"/a/..", "/", "/", "/"},
        {"/a/.", "/a/", "/a/", "/a/"},
        {"/a/b/../../..", "/", "/", "/"},
        {"/../../a", "/a", "/a", "/a"},
        {"/...", "/...", "/...", "/..."},
        {"/.a/..b", "/.a/..b", "/.a/..b", "/.a/..b"},
        {"/a//b", "/a//b", "/a/b", "/a/b"},
        {"//a", "//a", "/a", "/a"},
        {"/a//../b", "/a/b", "/b", "/b"},
        {"/%2e%2E/a", "/a", "/a", "/a"},
        {"/a/%2e%2e/b", "/b", "/b", "/b"},
        {"/%61%7E%41", "/a~A", "/a~A", "/a~A"},
        {"/a%20b%c3%A9", "/a%20b%c3%A9", "/a%20b%c3%A9", "/a%20b%c3%A9"},
        {"/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"},
        {"/a%2f..%2fb", "/a%2f..%2fb", "/a%2f..%2fb", "/b"},
        {"/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"},
        {"/a\\b\\..\\c", "/a/c", "/a/c", "/a/c"},
        {"/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a"},
        {"/a%", NULL, NULL, NULL},
        {"/a%4", NULL, NULL, NULL},
        {"/a%zz", NULL, NULL, NULL},
        {"/a%00", NULL, NULL, NULL},
        {"a", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const wants[] = {rows[i].base, rows[i].merge, rows[i].decode};
        const unsigned steps[] = {BASE, MERGE, DECODE};
        struct span path = guard_copy(0, span_of(rows[i].path));
        for (size_t k = 0; k < ARRAY_LEN(wants); k++) {
            struct span room = guard_copy(1, path); /* room for exactly as much */
            ssize_t len = url_normalize_path(path, steps[k], (char *)room.at);
            if (wants[k] == NULL) {
                assert_int_equal(len, -ERR_PROTO);
            } else {
                assert_true(len > 0);
                assert_span(span_from(room.at, (size_t)len), wants[k]);
            }
        }
    }
}

static void sees_escaped_slashes(void **state)
{
    UNUSED(state);
    assert_true(url_has_escaped_slash(SPAN("/a%2fb")));
    assert_true(url_has_escaped_slash(SPAN("/a%5C")));
    assert_false(url_has_escaped_slash(SPAN("/a/b%2")));
    assert_false(url_has_escaped_slash(SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_urls),       cmocka_unit_test(reads_targets),
        cmocka_unit_test(walks_queries),    cmocka_unit_test(escapes),
        cmocka_unit_test(normalises_paths), cmocka_unit_test(sees_escaped_slashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "io/addr.c"

#include <sys/mman.h>
#include <unistd.h>

#include "unit/io/io_help.h"

static void test_text(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        const char *want; /* NULL = the same; "" = refused */
    } cases[] = {
        {"127.0.0.1:80", NULL},
        {"0.0.0.0:0", NULL},
        {"[::1]:65535", NULL},
        {"[fd00::1:2]:15006", NULL},
        {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
        {"unix:/run/mesh.sock", NULL},
        {"unix:@mesh", NULL},
        {"unix:relative", NULL},
        {"", ""},
        {"127.0.0.1", ""},
        {"127.0.0.1:", ""},
        {":80", ""},
        {"127.0.0.1:65536", ""},
        {"127.0.0.1:-1", ""},
        {"127.0.0.1:80x", ""},
        {"::1:80", ""}, /* is the port 80, or is it the address ::1:80? */
        {"[::1]", ""},
        {"[127.0.0.1]:80", ""},
        {"[::1:80", ""},
        {"[]:80", ""},
        {"localhost:80", ""},
        {"unix:", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr addr;
        struct err err;
        char text[ADDR_TEXT_BYTES];
        int code = addr_parse(span_of(cases[i].text), &addr, &err);
        const char *want = cases[i].want != NULL ? cases[i].want : cases[i].text;
        if (want[0] == '\0') {
            assert_int_equal(code, -ERR_CONFIG);
            assert_int_equal(addr.kind, ADDR_NONE);
            continue;
        }
        assert_int_equal(code, 0);
        assert_string_equal(addr_format(&addr, text), want);
        struct sockaddr_storage kernel;
        struct addr back;
        socklen_t len = addr_to_sockaddr(&addr, &kernel);
        assert_true(len > 0);
        addr_from_sockaddr(&back, (struct sockaddr *)&kernel, len);
        assert_true(addr_eq(&addr, &back));
    }
}

/* Every prefix of every text, at the end of a page after which nothing may be read. */
static void test_truncated_at_a_page_end(void **state)
{
    UNUSED(state);
    static const char *const texts[] = {"[fd00::1:2]:15006", "127.0.0.1:65535", "unix:/run/x"};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t len = 0; len <= strlen(texts[i]); len++) {
            char *at = pages + page - len;
            struct addr addr;
            memcpy(at, texts[i], len);
            int code = addr_parse(span_from(at, len), &addr, NULL);
            assert_true(code == 0 || code == -ERR_CONFIG);
        }
    }
    munmap(pages, 2 * page);
}

static void test_unix_limits(void **state)
{
    UNUSED(state);
    char text[200] = "unix:/";
    struct addr addr;
    memset(text + 6, 'x', sizeof(text) - 6);
    assert_int_equal(addr_parse(span_from(text, 5 + 107), &addr, NULL), 0);
    assert_int_equal(addr_parse(span_from(text, 5 + 108), &addr, NULL), -ERR_CONFIG);
    text[20] = '\0';
    assert_int_equal(addr_parse(span_from(text, 30), &addr, NULL), -ERR_CONFIG);
}

static void test_from_the_kernel(void **state)
{
    UNUSED(state);
    struct addr addr;
    char text[ADDR_TEXT_BYTES];
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    v6.sin6_addr.s6_addr[12] = 10;
    v6.sin6_addr.s6_addr[15] = 9;
    addr_from_sockaddr(&addr, (struct sockaddr *)&v6, sizeof(v6));
    assert_string_equal(addr_format(&addr, text), "10.0.0.9:80");
    addr_from_sockaddr(&addr, (struct sockaddr *)&v6, sizeof(v6) - 1);
    assert_int_equal(addr.kind, ADDR_NONE);
    assert_string_equal(addr_format(&addr, text), "");
    addr_from_sockaddr(&addr, (struct sockaddr *)&v6, 0);
    assert_int_equal(addr.kind, ADDR_NONE);
    /* the unnamed end of a unix connection */
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    addr_from_sockaddr(&addr, (struct sockaddr *)&un, sizeof(un.sun_family));
    assert_int_equal(addr.kind, ADDR_NONE);
    /* a path that fills the field has no NUL of its own */
    memset(un.sun_path, 'p', sizeof(un.sun_path));
    addr_from_sockaddr(&addr, (struct sockaddr *)&un, sizeof(un));
    assert_int_equal(strlen(addr.path), sizeof(addr.path) - 1);
    struct sockaddr_storage kernel;
    addr.kind = ADDR_NONE;
    assert_int_equal(addr_to_sockaddr(&addr, &kernel), 0);
}

static void test_equality(void **state)
{
    UNUSED(state);
    static const char *const texts[] = {"10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80",
                                        "[::1]:80",    "unix:/a",     "unix:/b"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            struct addr a;
            struct addr b;
            assert_int_equal(addr_parse(span_of(texts[i]), &a, NULL), 0);
            assert_int_equal(addr_parse(span_of(texts[k]), &b, NULL), 0);
            assert_int_equal(addr_eq(&a, &b), i == k);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),        cmocka_unit_test(test_truncated_at_a_page_end),
        cmocka_unit_test(test_unix_limits), cmocka_unit_test(test_from_the_kernel),
        cmocka_unit_test(test_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

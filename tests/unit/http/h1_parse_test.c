/* The parser alone, on memory that ends at an unreadable page: heads found whole, byte by byte and cut at
 * each length; chunks; and what is written is read back. */
#include "http/h1_parse.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "http/h1_write.h"
#include "unit/http/wire.h"

#define CASE(rule, bytes, want) {rule, {bytes, sizeof(bytes) - 1}, want}
#define H "Host: a\r\n"

static const struct {
    const char *rule;
    struct span bytes;
    const char *want;
} requests[] = {
#include "unit/http/h1_requests.inc"
};

static ssize_t find(struct span bytes, size_t step, struct h1_bad *bad)
{
    struct h1_scan scan = {0};
    ssize_t len = 0;
    for (size_t n = size_min(step, bytes.len); len == 0; n = size_min(n + step, bytes.len)) {
        char *copy = wire_guard(span_first(bytes, n));
        len = h1_parse_head_end(&scan, H1_REQUEST, span_from(copy, n), &limits_default, bad);
        wire_guard_free(copy, n);
        if (n == bytes.len) {
            break;
        }
    }
    return len;
}

static void test_head_end(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct h1_bad bad[2] = {{0, NULL}, {0, NULL}};
        struct span bytes = requests[i].bytes;
        if (bytes.at[0] == '\r') {
            continue; /* empty lines are the connection's business */
        }
        ssize_t whole = find(bytes, SIZE_MAX / 2, &bad[0]);
        ssize_t parts = find(bytes, bytes.len > 400 ? 97 : 1, &bad[1]);
        assert_int_equal(whole, parts);
        assert_int_equal(bad[0].status, bad[1].status);
        for (size_t cut = 0; whole > 0 && cut < (size_t)whole && whole < 400; cut++) {
            struct h1_scan scan = {0};
            char *copy = wire_guard(span_first(bytes, cut));
            struct span part = span_from(copy, cut);
            assert_int_equal(h1_parse_head_end(&scan, H1_REQUEST, part, &limits_default, &bad[0]),
                             0);
            wire_guard_free(copy, cut);
        }
    }
}

/* The block is all that the parser may read. */
static void test_parse_guarded(void **state)
{
    UNUSED(state);
    unsigned good = 0;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct h1_bad bad = {0, NULL};
        ssize_t len = find(requests[i].bytes, SIZE_MAX / 2, &bad);
        if (len <= 0) {
            continue;
        }
        struct arena a;
        struct head h;
        struct h1_framing f;
        char *block = wire_guard(span_first(requests[i].bytes, (size_t)len));
        arena_init(&a, 1024);
        head_init(&h, &a);
        int code = h1_parse_request(&h, block, (size_t)len, &f, &bad);
        assert_true(code == 0 || bad.why != NULL);
        good += code == 0;
        wire_guard_free(block, (size_t)len);
        arena_dispose(&a);
    }
    assert_true(good > 50);
}

static void test_chunks(void **state)
{
    UNUSED(state);
    static const struct {
        struct span bytes;
        const char *body;
        enum h1_chunks_what last;
        size_t left; /* bytes not used */
    } rows[] = {
        {{"5\r\nhello\r\n0\r\n", 13}, "hello", H1_CHUNKS_LAST, 0},
        {{"1\r\na\r\n2\r\nbc\r\n0\r\n\r\nrest", 22}, "abc", H1_CHUNKS_LAST, 6},
        {{"5;a=\"b\";c\r\nhello\r\n", 18}, "hello", H1_CHUNKS_MORE, 0},
        {{"5\r\nhel", 6}, "hel", H1_CHUNKS_MORE, 0},
        {{"fffffffffffffff\r\nab", 19}, "ab", H1_CHUNKS_MORE, 0},
        {{"ffffffffffffffff\r\n", 18}, "", H1_CHUNKS_BAD, 0},
        {{"5\r\nhello!", 9}, "hello", H1_CHUNKS_BAD, 0},
        {{";\r\n", 3}, "", H1_CHUNKS_BAD, 0},
        {{"5\n", 2}, "", H1_CHUNKS_BAD, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].bytes.len; piece++) {
            struct h1_chunks c = {0};
            struct h1_bad bad;
            struct buf body;
            enum h1_chunks_what last = H1_CHUNKS_MORE;
            size_t used = 0;
            buf_init(&body, 100);
            for (; used < rows[i].bytes.len && last == H1_CHUNKS_MORE;) {
                struct span part = span_first(span_from_offset(rows[i].bytes, used), piece);
                char *copy = wire_guard(part);
                struct span in = span_from(copy, part.len);
                struct span data;
                while ((last = h1_parse_chunks(&c, &in, &data, &bad)) == H1_CHUNKS_DATA) {
                    assert_int_equal(buf_append_span(&body, data), 0);
                }
                used += part.len - in.len;
                wire_guard_free(copy, part.len);
            }
            assert_string_equal(buf_cstr(&body), rows[i].body);
            assert_int_equal(last, rows[i].last);
            if (last != H1_CHUNKS_BAD) {
                assert_int_equal(rows[i].bytes.len - used, rows[i].left);
            }
            buf_dispose(&body);
        }
    }
}

static void test_extensions_limit(void **state)
{
    UNUSED(state);
    struct h1_chunks c = {0};
    struct h1_bad bad;
    struct span piece;
    unsigned chunks = 0;
    for (;; chunks++) {
        struct span in = SPAN("1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n");
        enum h1_chunks_what what;
        while ((what = h1_parse_chunks(&c, &in, &piece, &bad)) == H1_CHUNKS_DATA) {
        }
        if (what == H1_CHUNKS_BAD) {
            break;
        }
    }
    assert_true(chunks > 100 && chunks < 1000);
}

static void test_write(void **state)
{
    UNUSED(state);
    struct arena a;
    struct head h;
    arena_init(&a, 4096);
    head_init(&h, &a);
    h.method = SPAN("POST");
    h.method_id = METHOD_POST;
    h.authority = SPAN("a:80");
    h.path = SPAN("/x?y");
    assert_int_equal(head_add(&h, SPAN("x-a"), SPAN("1")), 0);
    assert_int_equal(head_add_known(&h, HEAD_TE, SPAN("trailers")), 0);
    struct h1_shape chunked = {.request = true, .chunked = true, .length = -1};
    assert_true(span_is(h1_write_head(&a, &h, &chunked),
                        "POST /x?y HTTP/1.1\r\nhost: a:80\r\nx-a: 1\r\nte: trailers\r\n"
                        "transfer-encoding: chunked\r\nconnection: te\r\n\r\n"));
    struct h1_shape close = {.request = true, .length = 12345678901234, .close = true};
    assert_true(span_is(h1_write_head(&a, &h, &close),
                        "POST /x?y HTTP/1.1\r\nhost: a:80\r\nx-a: 1\r\nte: trailers\r\n"
                        "content-length: 12345678901234\r\nconnection: close, te\r\n\r\n"));
    struct head r;
    head_init(&r, &a);
    r.status = 200;
    struct h1_shape plain = {.length = 0};
    assert_true(
        span_is(h1_write_head(&a, &r, &plain), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    r.reason = SPAN("Fine");
    r.status = 299;
    struct h1_shape kept = {.length = -1, .keep_alive = true};
    assert_true(span_is(h1_write_head(&a, &r, &kept),
                        "HTTP/1.1 299 Fine\r\nconnection: keep-alive\r\n\r\n"));
    r.reason = SPAN_EMPTY;
    r.status = 101;
    r.upgrade = SPAN("websocket");
    struct h1_shape none = {.length = -1};
    assert_true(span_is(
        h1_write_head(&a, &r, &none),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"));
    assert_true(span_is(h1_write_reason(599), "Unknown"));
    char line[H1_CHUNK_LINE_BYTES];
    assert_int_equal(h1_write_chunk_line(line, SIZE_MAX), 18);
    assert_int_equal(h1_write_chunk_line(line, 0x1a), 4);
    assert_memory_equal(line, "1a\r\n", 4);
    arena_dispose(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_end), cmocka_unit_test(test_parse_guarded),
        cmocka_unit_test(test_chunks),   cmocka_unit_test(test_extensions_limit),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* tls/hello_parse.h: hellos whole, in pieces, cut off, and wrong in every field. */
#include "tls/hello_parse.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

/* --- making hellos --- */

struct maker {
    uint8_t bytes[80000];
    size_t len;
};

static void put(struct maker *m, const void *from, size_t len)
{
    assert_true(len <= sizeof(m->bytes) - m->len);
    memcpy(m->bytes + m->len, from, len);
    m->len += len;
}

static void put_u8(struct maker *m, unsigned v)
{
    uint8_t b = (uint8_t)v;
    put(m, &b, 1);
}

static void put_u16(struct maker *m, unsigned v)
{
    put_u8(m, v >> 8);
    put_u8(m, v);
}

static void put_zeros(struct maker *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_u8(m, 0);
    }
}

static void put_extension(struct maker *m, unsigned type, const char *body, size_t len)
{
    put_u16(m, type);
    put_u16(m, (unsigned)len);
    put(m, body, len);
}
#define EXT(m, type, body) put_extension((m), (type), (body), sizeof(body) - 1)

#define SNI_BODY "\0\x0e\0\0\x0bWeb.Example"
#define ALPN_BODY "\0\x0c\x02h2\x08http/1.1"
#define VERSIONS_BODY "\x06\x7a\x7a\x03\x04\x03\x03"

/* The body up to the extensions. */
static void put_front(struct maker *m)
{
    put_u16(m, 0x0303);
    put_zeros(m, 32);
    put_u8(m, 32);
    put_zeros(m, 32);
    put_u16(m, 4);
    put_u16(m, 0x1301);
    put_u16(m, 0xc02b);
    put_u8(m, 1);
    put_u8(m, 0);
}

/* A handshake message of type 1 around `body`. */
static void wrap_message(struct maker *m, const struct maker *body)
{
    put_u8(m, 1);
    put_u8(m, (unsigned)(body->len >> 16));
    put_u16(m, (unsigned)(body->len & 0xffff));
    put(m, body->bytes, body->len);
}

/* Records of at most `piece` bytes. */
static void wrap_records(struct maker *m, const struct maker *message, size_t piece)
{
    for (size_t at = 0; at < message->len; at += piece) {
        size_t len = size_min(piece, message->len - at);
        put_u8(m, 22);
        put_u16(m, 0x0301);
        put_u16(m, (unsigned)len);
        put(m, message->bytes + at, len);
    }
}

static struct maker body, message, hello_bytes, extensions;
static struct hello hello;

/* From `extensions` (none if it is empty) to hello_bytes. */
static void finish(size_t piece)
{
    body.len = message.len = hello_bytes.len = 0;
    put_front(&body);
    if (extensions.len > 0) {
        put_u16(&body, (unsigned)extensions.len);
        put(&body, extensions.bytes, extensions.len);
    }
    wrap_message(&message, &body);
    wrap_records(&hello_bytes, &message, piece);
}

static void usual(size_t piece)
{
    extensions.len = 0;
    EXT(&extensions, 0x7a7a, "");
    EXT(&extensions, 0, SNI_BODY);
    EXT(&extensions, 10, "\0\x02\0\x17");
    EXT(&extensions, 16, ALPN_BODY);
    EXT(&extensions, 43, VERSIONS_BODY);
    finish(piece);
}

/* Parses from memory that ends at a page that must not be read. */
static int parse_at_edge(const uint8_t *bytes, size_t len)
{
    static uint8_t *edge;
    enum { ROOM = 1 << 17 };
    if (edge == NULL) {
        edge = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(edge, MAP_FAILED);
        edge += ROOM;
        assert_int_equal(mprotect(edge, 4096, PROT_NONE), 0);
    }
    memcpy(edge - len, bytes, len);
    return hello_parse(span_from(edge - len, len), &hello);
}

static void check_usual(void)
{
    assert_true(span_is(hello.sni, "web.example"));
    assert_int_equal(hello.alpn_count, 2);
    assert_true(span_is(hello.alpn[0], "h2"));
    assert_true(span_is(hello.alpn[1], "http/1.1"));
    assert_int_equal(hello.max_version, 0x0304);
}

/* --- tests --- */

static void test_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {16384, 100, 7, 3, 1};
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
        usual(pieces[p]);
        for (size_t len = 0; len < hello_bytes.len; len++) {
            assert_int_equal(parse_at_edge(hello_bytes.bytes, len), HELLO_MORE);
        }
        assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), 0);
        check_usual();
        hello_bytes.bytes[hello_bytes.len] = 0xff; /* what follows does not matter */
        assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len + 1), 0);
    }
}

static void test_plain(void **state)
{
    (void)state;
    extensions.len = 0;
    finish(16384);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), 0);
    assert_int_equal(hello.sni.len, 0);
    assert_int_equal(hello.alpn_count, 0);
    assert_int_equal(hello.max_version, 0x0303);
}

static void test_not_tls(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\n", "PRI * HTTP/2.0", "\x16\x02",
                                        "\x80\x2e\x01\x03\x01", "\x17\x03"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(hello_parse(span_of(texts[i]), &hello), HELLO_NOT_TLS);
    }
    assert_int_equal(hello_parse(SPAN_EMPTY, &hello), HELLO_MORE);
    assert_int_equal(hello_parse(SPAN("\x16"), &hello), HELLO_MORE);
}

static void test_bad_records(void **state)
{
    (void)state;
    const struct span bad[] = {
        SPAN("\x16\x03\x01\0\0"),               /* empty */
        SPAN("\x16\x03\x01\x40\x01"),           /* longer than 2^14 */
        SPAN("\x16\x03\x01\0\x04\x02\0\0\0"),   /* a ServerHello */
        SPAN("\x16\x03\x01\0\x04\x01\x01\0\0"), /* longer than the limit */
        SPAN("\x16\x03\x01\0\x02\x01\0\x17"),   /* then something else than a handshake */
        SPAN("\x16\x03\x01\0\x02\x01\0\x16\x02"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse_at_edge((const uint8_t *)bad[i].at, bad[i].len), HELLO_BAD);
    }
}

/* A message that never ends within the limit. */
static void test_limit(void **state)
{
    (void)state;
    extensions.len = 0;
    for (int i = 0; i < 4; i++) {
        put_u16(&extensions, 0x1000);
        put_u16(&extensions, 16000);
        put_zeros(&extensions, 16000);
    }
    finish(16384);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), 0);
    finish(40); /* the same with so many record headers that it is too much */
    assert_true(hello_bytes.len > HELLO_BYTES_MAX);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, HELLO_BYTES_MAX - 1), HELLO_MORE);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, HELLO_BYTES_MAX), HELLO_BAD);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), HELLO_BAD);
}

static void test_extensions(void **state)
{
    (void)state;
    const struct {
        unsigned type;
        struct span body;
        int want;
    } cases[] = {
        {0, SPAN(""), HELLO_BAD},
        {0, SPAN("\0\0"), HELLO_BAD},
        {0, SPAN("\0\x04\0\0\x01"), HELLO_BAD},
        {0,
         SPAN("\0\x04\0\0\x01"
              "a"),
         0},
        {0,
         SPAN("\0\x04\0\0\x02"
              "a"),
         HELLO_BAD},
        {0, SPAN("\0\x03\0\0\0"), HELLO_BAD},
        {0,
         SPAN("\0\x04\0\0\x01"
              "ab"),
         HELLO_BAD},
        {0, SPAN("\0\x04\0\0\x01\0"), HELLO_BAD},
        {0, SPAN("\0\x04\0\0\x01 "), HELLO_BAD},
        {0, SPAN("\0\x04\0\0\x01\xc3"), HELLO_BAD},
        {0, SPAN("\0\x04\x01\0\x01\0"), 0}, /* another kind of name */
        {0,
         SPAN("\0\x08\0\0\x01"
              "a\0\0\x01"
              "b"),
         HELLO_BAD}, /* two */
        {16, SPAN(""), HELLO_BAD},
        {16, SPAN("\0\0"), HELLO_BAD},
        {16, SPAN("\0\x01\0"), HELLO_BAD},
        {16,
         SPAN("\0\x02\x01"
              "a"),
         0},
        {16,
         SPAN("\0\x02\x02"
              "a"),
         HELLO_BAD},
        {16,
         SPAN("\0\x03\x01"
              "a"),
         HELLO_BAD},
        {43, SPAN(""), HELLO_BAD},
        {43, SPAN("\0"), HELLO_BAD},
        {43, SPAN("\x01\x03"), HELLO_BAD},
        {43, SPAN("\x02\x03\x04"), 0},
        {43, SPAN("\x02\x03\x04\x00"), HELLO_BAD},
        {43, SPAN("\x04\x03\x04"), HELLO_BAD},
        {99, SPAN("anything"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        extensions.len = 0;
        put_extension(&extensions, cases[i].type, cases[i].body.at, cases[i].body.len);
        finish(16384);
        int got = parse_at_edge(hello_bytes.bytes, hello_bytes.len);
        if (got != cases[i].want) {
            fail_msg("case %zu: %d", i, got);
        }
        if (cases[i].type != 99 && cases[i].want == 0) { /* twice is once too often */
            put_extension(&extensions, cases[i].type, cases[i].body.at, cases[i].body.len);
            finish(16384);
            bool no_name = cases[i].type == 0 && hello.sni.len == 0;
            assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len),
                             no_name ? 0 : HELLO_BAD);
        }
    }
}

static void test_versions(void **state)
{
    (void)state;
    extensions.len = 0;
    EXT(&extensions, 43, "\x04\x7f\x1c\x03\x02"); /* a draft, and 1.1 */
    finish(16384);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), 0);
    assert_int_equal(hello.max_version, 0x0302);
}

static void test_many_alpn(void **state)
{
    (void)state;
    extensions.len = 0;
    put_u16(&extensions, 16);
    put_u16(&extensions, 2 + 40 * 3);
    put_u16(&extensions, 40 * 3);
    for (int i = 0; i < 40; i++) {
        put(&extensions, "\x02h2", 3);
    }
    finish(16384);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), 0);
    assert_int_equal(hello.alpn_count, HELLO_ALPN_MAX);
    extensions.len = 0; /* more text than there is room for */
    put_u16(&extensions, 16);
    put_u16(&extensions, 2 + 16 * 256);
    put_u16(&extensions, 16 * 256);
    for (int i = 0; i < 16; i++) {
        put_u8(&extensions, 255);
        put_zeros(&extensions, 255);
    }
    finish(16384);
    assert_int_equal(parse_at_edge(hello_bytes.bytes, hello_bytes.len), HELLO_BAD);
}

/* Every length field of the body, one more and one less: never accepted with another meaning, never read past. */
static void test_lengths(void **state)
{
    (void)state;
    usual(16384);
    struct maker copy;
    for (size_t i = 5; i < hello_bytes.len; i++) {
        for (int change = -1; change <= 1; change += 2) {
            copy = hello_bytes;
            copy.bytes[i] = (uint8_t)(copy.bytes[i] + change);
            (void)parse_at_edge(copy.bytes, copy.len);
        }
    }
    static const size_t lengths[] = {5 + 4 + 34, 5 + 4 + 34 + 33, 5 + 4 + 34 + 33 + 1,
                                     5 + 4 + 34 + 33 + 6};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        copy = hello_bytes;
        copy.bytes[lengths[i]]++;
        assert_int_equal(parse_at_edge(copy.bytes, copy.len), HELLO_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),   cmocka_unit_test(test_plain),
        cmocka_unit_test(test_not_tls),  cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_limit),    cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_versions), cmocka_unit_test(test_many_alpn),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

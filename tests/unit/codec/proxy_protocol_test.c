/* codec/proxy_protocol: headers read and written. */
#include "codec/proxy_protocol.c"

#include "unit/cm.h"
#include "unit/guard.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define B(text) {text, sizeof(text) - 1}
#define A4 "\x0a\x00\x00\x01\x0a\x00\x00\x02\x04\xd2\x01\xbb"
#define A6                                                                                 \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" \
    "\x04\xd2\x01\xbb"
#define LONG40 "0000000000000000000000000000000000000000"

struct row {
    struct span bytes;
    int answer; /* 0: all of it is the header */
    const char *source;
    const char *destination; /* NULL: there are no ends */
};

static const struct row rows[] = {
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234 443\r\n"), 0, "10.0.0.1 1234", "10.0.0.2 443"},
    {B("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 0, "255.255.255.255 65535",
     "255.255.255.255 65535"},
    {B("PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n"), 0, "2001:db8::1 1234",
     "2001:db8::2 443"},
    {B("PROXY TCP6 ::ffff:10.0.0.1 ::ffff:10.0.0.2 1 2\r\n"), 0, "10.0.0.1 1", "10.0.0.2 2"},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 0 0\r\n"), 0, "10.0.0.1 0", "10.0.0.2 0"},
    {B("PROXY UNKNOWN\r\n"), 0, NULL, NULL},
    {B("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), 0, NULL, NULL},
    {B("PROXY UNKNOWN " LONG40 LONG40 "00000000000\r\n"), 0, NULL, NULL}, /* 107 bytes */
    {B("PROXY UNKNOWN " LONG40 LONG40 "000000000000\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY \r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY UNKNOWNX\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY UDP4 10.0.0.1 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234 443 \r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4  10.0.0.1 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.01 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 01234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234 65536\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234 +443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 2001:db8::1 2001:db8::2 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP6 10.0.0.1 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2 1234 443\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY TCP4 10.0.0.1 10.0.0.2\r 1234 443\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B("PROXY\tTCP4 10.0.0.1 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B("proxy TCP4 10.0.0.1 10.0.0.2 1234 443\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B("GET / HTTP/1.1\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B("PRI * HTTP/2.0\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B("\r\n\r\nGET / HTTP/1.1\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B("\x16\x03\x01"), PROXY_PROTOCOL_NONE, NULL, NULL},
    {B(SIG "\x21\x11\0\x0c" A4), 0, "10.0.0.1 1234", "10.0.0.2 443"},
    {B(SIG "\x21\x12\0\x0c" A4), 0, "10.0.0.1 1234", "10.0.0.2 443"}, /* DGRAM */
    {B(SIG "\x21\x21\0\x24" A6), 0, "2001:db8::1 1234", "2001:db8::2 443"},
    {B(SIG "\x21\x11\0\x11" A4 "\x03\0\x02"
           "ab"),
     0, "10.0.0.1 1234", "10.0.0.2 443"},
    {B(SIG "\x21\x11\0\x13" A4 "\x04\0\0"
           "\x04\0\x01"
           "a"),
     0, "10.0.0.1 1234", "10.0.0.2 443"},
    {B(SIG "\x20\0\0\0"), 0, NULL, NULL},        /* LOCAL */
    {B(SIG "\x20\x11\0\x0c" A4), 0, NULL, NULL}, /* LOCAL, its block is skipped */
    {B(SIG "\x20\x11\0\x03"
           "abc"),
     0, NULL, NULL},                      /* whatever it is */
    {B(SIG "\x21\0\0\0"), 0, NULL, NULL}, /* UNSPEC */
    {B(SIG "\x21\0\0\x02"
           "ab"),
     0, NULL, NULL},
    {B(SIG "\x21\x11\0\x0b" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* too short for the family */
    {B(SIG "\x21\x21\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B(SIG "\x21\x31\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* unix needs 216 */
    {B(SIG "\x11\x11\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* version 1 */
    {B(SIG "\x22\x11\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* command 2 */
    {B(SIG "\x21\x41\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* family 4 */
    {B(SIG "\x21\x13\0\x0c" A4), PROXY_PROTOCOL_BAD, NULL, NULL}, /* transport 3 */
    {B(SIG "\x21\x11\0\x0e" A4 "\x03\0"), PROXY_PROTOCOL_BAD, NULL, NULL},
    {B(SIG "\x21\x11\0\x10" A4 "\x03\0\x02"
           "a"),
     PROXY_PROTOCOL_BAD, NULL, NULL},
};

static char *end_text(const struct proxy_protocol_end *e, char to[IP_TEXT_BYTES + 8])
{
    char ip[IP_TEXT_BYTES];
    (void)snprintf(to, IP_TEXT_BYTES + 8, "%s %u", ip_format(&e->ip, ip), e->port);
    return to;
}

static void check(const struct row *r, size_t n, ssize_t answer, const struct proxy_protocol *p)
{
    ssize_t want = r->answer == 0 ? (ssize_t)r->bytes.len : r->answer;
    if (answer != want || p->has_ends != (r->source != NULL)) {
        print_error("row %zu: answer %zd, not %zd\n", n, answer, want);
        fail();
    }
    char text[IP_TEXT_BYTES + 8];
    if (r->source != NULL) {
        assert_string_equal(end_text(&p->source, text), r->source);
        assert_string_equal(end_text(&p->destination, text), r->destination);
    }
}

static void reads_headers(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_protocol p;
        check(&rows[i], i, proxy_protocol_parse(guard_copy(0, rows[i].bytes), &p), &p);
    }
}

/* What is cut off anywhere asks for more; what is bad stays so, with payload behind it, too. */
static void reads_byte_by_byte(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_protocol p;
        ssize_t answer = PROXY_PROTOCOL_MORE;
        for (size_t len = 0; len <= rows[i].bytes.len && answer == PROXY_PROTOCOL_MORE; len++) {
            answer = proxy_protocol_parse(guard_copy(0, span_first(rows[i].bytes, len)), &p);
            assert_true(answer <= 0 || len == rows[i].bytes.len);
        }
        check(&rows[i], i, answer, &p);
        char with[300];
        memcpy(with, rows[i].bytes.at, rows[i].bytes.len);
        memcpy(with + rows[i].bytes.len, "\r\n\r\nGET", 7);
        answer = proxy_protocol_parse(guard_copy(0, span_from(with, rows[i].bytes.len + 7)), &p);
        check(&rows[i], i, answer, &p);
    }
}

static void writes_what_it_reads(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_protocol p;
        if (proxy_protocol_parse(rows[i].bytes, &p) <= 0) {
            continue;
        }
        for (unsigned version = 1; version <= 2; version++) {
            char to[PROXY_PROTOCOL_WRITE_MAX];
            struct proxy_protocol again;
            p.version = version;
            size_t len = proxy_protocol_write(&p, to);
            assert_int_equal(proxy_protocol_parse(guard_copy(0, span_from(to, len)), &again), len);
            assert_int_equal(again.version, version);
            assert_memory_equal(&again.source.ip, &p.source.ip, sizeof(p.source.ip));
            assert_int_equal(again.source.port, p.source.port);
            assert_int_equal(again.destination.port, p.destination.port);
        }
    }
    char to[PROXY_PROTOCOL_WRITE_MAX];
    struct proxy_protocol mixed = {.version = 1, .has_ends = true};
    mixed.source.ip = (struct ip){.family = 4};
    mixed.destination.ip = (struct ip){.family = 6};
    assert_int_equal(proxy_protocol_write(&mixed, to), 15);
    assert_memory_equal(to, "PROXY UNKNOWN\r\n", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(reads_byte_by_byte),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

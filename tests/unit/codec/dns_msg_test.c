/* codec/dns_msg: messages byte by byte, hostile names, compression, truncation. */
#include "codec/dns_msg.c"

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

/* Head for one question and the given counts. */
#define HEAD(flags, answers, more) "\x12\x34" flags "\0\1\0" answers "\0\0\0" more

#define QUERY                       \
    HEAD("\1\0", "\0", "\1")        \
    "\3WWW\7example\3com\0\0\1\0\1" \
    "\0\0\x29\4\xd0\0\0\0\0\0\0"

static void reads_a_query(void **state)
{
    UNUSED(state);
    struct dns_msg msg;
    assert_int_equal(dns_msg_parse(&msg, guard_copy(0, SPAN(QUERY)), &arena), 0);
    assert_int_equal(msg.head.id, 0x1234);
    assert_false(msg.head.is_response);
    assert_true(msg.head.wants_recursion);
    assert_span(msg.question.name, "www.example.com");
    assert_int_equal(msg.question.type, DNS_A);
    assert_int_equal(msg.question.class, 1);
    assert_int_equal(msg.record_count, 0);
    assert_int_equal(msg.udp_bytes, 1232);
}

static void refuses_every_cut(void **state)
{
    UNUSED(state);
    struct dns_msg msg;
    const struct span whole = SPAN(QUERY);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(dns_msg_parse(&msg, guard_copy(0, span_first(whole, len)), &arena),
                         -ERR_PROTO);
    }
}

static void refuses_hostile_messages(void **state)
{
    static const struct span rows[] = {
        /* no question; two questions */
        SPAN_INIT("\x12\x34\1\0\0\0\0\0\0\0\0\0"),
        SPAN_INIT("\x12\x34\1\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1\1a\0\0\1\0\1"),
        /* pointers: to itself, forwards, into the head, a half one, the reserved label kinds */
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\xc0\x0c\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\1a\xc0\x0c\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\xc0\x10\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\xc0\x02\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\xc0"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\x40"
                                           "a\0\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\x80"
                                           "a\0\0\1\0\1"),
        /* labels that text can not show */
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\3a.b\0\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\1\0\0\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\1\xe9\0\0\1\0\1"),
        SPAN_INIT(HEAD("\1\0", "\0", "\0") "\1 \0\0\1\0\1"),
        /* an address of five bytes; a name that does not fill its data; data longer than the rest */
        SPAN_INIT(HEAD("\x81\0", "\1", "\0") "\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\0\0\5abcde"),
        SPAN_INIT(HEAD("\x81\0", "\1", "\0") "\1a\0\0\1\0\1\xc0\x0c\0\5\0\1\0\0\0\0\0\3\xc0\x0c"
                                             "x"),
        SPAN_INIT(HEAD("\x81\0", "\1", "\0") "\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\0\0\4abc"),
        /* OPT among the answers; two of them */
        SPAN_INIT(HEAD("\x81\0", "\1", "\0") "\1a\0\0\1\0\1\0\0\x29\4\0\0\0\0\0\0\0"),
        SPAN_INIT(HEAD("\1\0", "\0",
                       "\2") "\1a\0\0\1\0\1\0\0\x29\4\0\0\0\0\0\0\0\0\0\x29\4\0\0\0\0\0\0\0"),
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dns_msg msg;
        assert_int_equal(dns_msg_parse(&msg, guard_copy(0, rows[i]), &arena), -ERR_PROTO);
    }
}

/* A name of 127 labels fits (253 characters); one more does not. */
static void bounds_names(void **state)
{
    UNUSED(state);
    struct dns_msg msg;
    for (size_t labels = 126; labels <= 129; labels++) {
        char bytes[400] = HEAD("\1\0", "\0", "\0");
        size_t len = 12;
        for (size_t i = 0; i < labels; i++) {
            bytes[len++] = 1;
            bytes[len++] = 'a';
        }
        bytes[len++] = 0;
        memcpy(bytes + len, "\0\1\0\1", 4);
        int failed = dns_msg_parse(&msg, guard_copy(0, span_from(bytes, len + 4)), &arena);
        assert_int_equal(failed, labels <= 127 ? 0 : -ERR_PROTO);
        assert_true(failed != 0 || msg.question.name.len == 2 * labels - 1);
    }
}

static void bounds_records(void **state)
{
    UNUSED(state);
    struct dns_msg msg;
    const struct span many = SPAN("\x12\x34\x81\0\0\1\1\1\0\0\0\0\1a\0\0\1\0\1");
    assert_int_equal(dns_msg_parse(&msg, guard_copy(0, many), &arena), -ERR_LIMIT);
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_int_equal(ip_parse(span_of(text), &ip), 0);
    return ip;
}

static void writes_what_it_reads(void **state)
{
    UNUSED(state);
    const struct dns_head head = {.id = 7,
                                  .is_response = true,
                                  .is_authoritative = true,
                                  .wants_recursion = true,
                                  .offers_recursion = true,
                                  .rcode = DNS_NO_ERROR};
    const struct dns_question question = {SPAN("www.example.com"), DNS_ANY, 1};
    const struct dns_record records[] = {
        {.name = SPAN("www.example.com"),
         .type = DNS_CNAME,
         .ttl_s = 5,
         .target = SPAN("web.example.com")},
        {.name = SPAN("web.example.com"), .type = DNS_A, .ttl_s = 60, .ip = ip_of("10.0.0.1")},
        {.name = SPAN("web.example.com"),
         .type = DNS_AAAA,
         .ttl_s = 60,
         .ip = ip_of("2001:db8::1")},
        {.name = SPAN("example.com"),
         .type = DNS_SRV,
         .priority = 1,
         .weight = 2,
         .port = 80,
         .target = SPAN("web.example.com")},
        {.section = DNS_AUTHORITY,
         .name = SPAN("com"),
         .type = DNS_NS,
         .target = SPAN("ns.example.com")},
        {.section = DNS_ADDITIONAL, .name = SPAN(""), .type = DNS_TXT, .raw = SPAN("\3txt")},
    };
    uint8_t bytes[512];
    struct dns_msg_writer w;
    struct dns_msg msg;
    assert_int_equal(dns_msg_start(&w, bytes, sizeof(bytes), &head, &question), 0);
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        assert_int_equal(dns_msg_add(&w, &records[i]), 0);
    }
    size_t len = dns_msg_finish(&w, 4096);
    assert_true(len < 220); /* names are compressed */
    assert_int_equal(dns_msg_parse(&msg, guard_copy(0, span_from(bytes, len)), &arena), 0);
    assert_memory_equal(&msg.head, &head, sizeof(head));
    assert_span(msg.question.name, "www.example.com");
    assert_int_equal(msg.udp_bytes, 4096);
    assert_int_equal(msg.record_count, ARRAY_LEN(records));
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        const struct dns_record *got = &msg.records[i];
        assert_int_equal(got->section, records[i].section);
        assert_int_equal(got->type, records[i].type);
        assert_int_equal(got->ttl_s, records[i].ttl_s);
        assert_true(span_eq(got->name, records[i].name));
        assert_true(span_eq(got->target, records[i].target));
        assert_true(ip_eq(&got->ip, &records[i].ip));
        assert_int_equal(got->port, records[i].port);
        assert_true(span_eq(got->raw, records[i].raw));
    }
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(dns_msg_parse(&msg, guard_copy(0, span_from(bytes, cut)), &arena),
                         -ERR_PROTO);
    }
}

static void leaves_out_what_does_not_fit(void **state)
{
    UNUSED(state);
    const struct dns_head head = {.id = 7, .is_response = true};
    const struct dns_question question = {SPAN("a.example"), DNS_A, 1};
    struct dns_record record = {.name = question.name, .type = DNS_A, .ip = ip_of("1.2.3.4")};
    struct dns_msg_writer w;
    struct dns_msg msg;
    for (size_t room = 0; room < 200; room++) {
        struct span place = guard_copy(1, span_from((const char[200]){0}, room));
        int failed = dns_msg_start(&w, (char *)place.at, room, &head, &question);
        if (failed != 0) {
            assert_int_equal(failed, -ERR_LIMIT);
            assert_true(room < 27);
            continue;
        }
        for (int i = 0; i < 8; i++) {
            assert_int_equal(dns_msg_add(&w, &record), 0);
        }
        size_t len = dns_msg_finish(&w, 0);
        size_t fit = size_min((room - 27) / 16, 8);
        assert_int_equal(len, 27 + fit * 16);
        assert_int_equal(dns_msg_parse(&msg, span_from(place.at, len), &arena), 0);
        assert_int_equal(msg.record_count, fit);
        assert_int_equal(msg.head.is_truncated, fit < 8);
    }
}

static void refuses_to_write_bad_names(void **state)
{
    static const char *const names[] = {
        ".",    "a..b",
        ".a",   "a.",
        "a b",  "a\\b",
        "\xe9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"};
    UNUSED(state);
    const struct dns_head head = {.id = 1};
    uint8_t bytes[512];
    struct dns_msg_writer w;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct dns_question question = {span_of(names[i]), DNS_A, 1};
        assert_int_equal(dns_msg_start(&w, bytes, sizeof(bytes), &head, &question), -ERR_PROTO);
    }
    struct dns_question question = {SPAN("a"), DNS_A, 1};
    struct dns_record wrong = {.name = SPAN("a"), .type = DNS_AAAA, .ip = ip_of("1.2.3.4")};
    assert_int_equal(dns_msg_start(&w, bytes, sizeof(bytes), &head, &question), 0);
    assert_int_equal(dns_msg_add(&w, &wrong), -ERR_PROTO);
    wrong = (struct dns_record){.name = SPAN("a"), .type = DNS_PTR, .target = SPAN("b..c")};
    assert_int_equal(dns_msg_add(&w, &wrong), -ERR_PROTO);
}

static void reads_reverse_names(void **state)
{
    static const struct {
        const char *name;
        const char *want; /* NULL: none */
    } rows[] = {
        {"1.0.0.10.in-addr.arpa", "10.0.0.1"},
        {"1.0.0.10.IN-ADDR.ARPA", "10.0.0.1"},
        {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"},
        {"0.0.10.in-addr.arpa", NULL},
        {"1.1.0.0.10.in-addr.arpa", NULL},
        {"256.0.0.10.in-addr.arpa", NULL},
        {"x.0.0.10.in-addr.arpa", NULL},
        {"1.0.0.2.ip6.arpa", NULL},
        {"in-addr.arpa", NULL},
        {"example.com", NULL},
        {"", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip ip;
        char text[IP_TEXT_BYTES];
        int failed = dns_msg_reverse_ip(guard_copy(0, span_of(rows[i].name)), &ip);
        assert_int_equal(failed, rows[i].want ? 0 : -ERR_PROTO);
        if (failed == 0) {
            assert_string_equal(ip_format(&ip, text), rows[i].want);
        }
    }
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_query),
        cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(refuses_hostile_messages),
        cmocka_unit_test(bounds_names),
        cmocka_unit_test(bounds_records),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(leaves_out_what_does_not_fit),
        cmocka_unit_test(refuses_to_write_bad_names),
        cmocka_unit_test(reads_reverse_names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

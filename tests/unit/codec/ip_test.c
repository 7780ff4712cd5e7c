/* codec/ip: strict text, RFC 5952 output, prefixes. */
#include "codec/ip.c"

#include "unit/cm.h"
#include "unit/guard.h"

static void reads_and_writes_addresses(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"10.1.2.3", "10.1.2.3"},
        {"255.255.255.255", "255.255.255.255"},
        {"256.1.1.1", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.4.", NULL},
        {".1.2.3.4", NULL},
        {"01.2.3.4", NULL},
        {"1.2.3.0x4", NULL},
        {"1.2.3.-4", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.4 ", NULL},
        {"1..3.4", NULL},
        {"0001.2.3.4", NULL},
        {"", NULL},
        {"localhost", NULL},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::1", "2001:db8::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}, /* the first of equal runs */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},       /* the longest run */
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"}, /* one group is not shortened */
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"fe80::0001", "fe80::1"},
        {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::ffff:a00:1", "10.0.0.1"},
        {"::1.2.3.4", "::102:304"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"1:2:3:4:5:6:7:1.2.3.4", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1::2::3", NULL},
        {":::", NULL},
        {":", NULL},
        {":1", NULL},
        {"1:", NULL},
        {"::1:", NULL},
        {"12345::", NULL},
        {"::g", NULL},
        {"fe80::1%eth0", NULL},
        {"[::1]", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"::1:2:3:4:5:6:7:8", NULL},
        {"1.2.3.4::", NULL},
        {"::1.2.3.4:5", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip ip;
        char text[IP_TEXT_BYTES];
        int failed = ip_parse(guard_copy(0, span_of(rows[i].text)), &ip);
        if (rows[i].want == NULL) {
            assert_int_equal(failed, -ERR_CONFIG);
        } else {
            assert_int_equal(failed, 0);
            assert_string_equal(ip_format(&ip, text), rows[i].want);
        }
    }
}

static void reads_prefixes(void **state)
{
    static const struct {
        const char *text;
        const char *want;
        const char *inside, *outside;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", "::a00:0"},
        {"10.1.2.3", "10.1.2.3/32", "10.1.2.3", "10.1.2.2"},
        {"0.0.0.0/0", "0.0.0.0/0", "255.1.1.1", "::"},
        {"192.168.1.128/25", "192.168.1.128/25", "192.168.1.200", "192.168.1.127"},
        {"10.0.0.0/31", "10.0.0.0/31", "10.0.0.1", "10.0.0.2"},
        {"::/0", "::/0", "ffff::", "1.2.3.4"},
        {"2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"::1", "::1/128", "::1", "::2"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "11.0.0.0"},
        {"::ffff:10.0.0.0/90", NULL, NULL, NULL},
        {"10.0.0.0/33", NULL, NULL, NULL},
        {"::/129", NULL, NULL, NULL},
        {"10.0.0.0/", NULL, NULL, NULL},
        {"10.0.0.0/x", NULL, NULL, NULL},
        {"10.0.0.0/8/8", NULL, NULL, NULL},
        {"10.0.0.0/0008", NULL, NULL, NULL},
        {"/8", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cidr cidr;
        struct ip ip;
        char text[IP_TEXT_BYTES + 4];
        int failed = cidr_parse(guard_copy(0, span_of(rows[i].text)), &cidr);
        assert_int_equal(failed, rows[i].want ? 0 : -ERR_CONFIG);
        if (rows[i].want != NULL) {
            assert_string_equal(cidr_format(&cidr, text), rows[i].want);
            assert_int_equal(ip_parse(span_of(rows[i].inside), &ip), 0);
            assert_true(cidr_contains(&cidr, &ip));
            assert_int_equal(ip_parse(span_of(rows[i].outside), &ip), 0);
            assert_false(cidr_contains(&cidr, &ip));
        }
    }
}

static void knows_special_addresses(void **state)
{
    static const struct {
        const char *text;
        bool loopback, unspecified, link_local;
    } rows[] = {
        {"127.0.0.1", true, false, false},   {"127.255.0.1", true, false, false},
        {"128.0.0.1", false, false, false},  {"::1", true, false, false},
        {"::2", false, false, false},        {"::ffff:127.0.0.1", true, false, false},
        {"0.0.0.0", false, true, false},     {"::", false, true, false},
        {"169.254.1.1", false, false, true}, {"169.255.1.1", false, false, false},
        {"fe80::1", false, false, true},     {"febf::1", false, false, true},
        {"fec0::1", false, false, false},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip ip;
        assert_int_equal(ip_parse(span_of(rows[i].text), &ip), 0);
        assert_int_equal(ip_is_loopback(&ip), rows[i].loopback);
        assert_int_equal(ip_is_unspecified(&ip), rows[i].unspecified);
        assert_int_equal(ip_is_link_local(&ip), rows[i].link_local);
    }
}

static void none_is_nothing(void **state)
{
    UNUSED(state);
    struct ip none = ip_from_bytes("abc", 3);
    struct cidr cidr;
    char text[IP_TEXT_BYTES];
    assert_int_equal(none.family, 0);
    assert_string_equal(ip_format(&none, text), "");
    assert_int_equal(cidr_make(&none, 0, &cidr), -ERR_CONFIG);
    assert_int_equal(cidr_parse(SPAN("0.0.0.0/0"), &cidr), 0);
    assert_false(cidr_contains(&cidr, &none));
    assert_false(ip_is_unspecified(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_addresses),
        cmocka_unit_test(reads_prefixes),
        cmocka_unit_test(knows_special_addresses),
        cmocka_unit_test(none_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

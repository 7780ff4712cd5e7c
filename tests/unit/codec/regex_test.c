/* codec/regex: what matches, where, and what is refused; substitution; time and size. */
#include "codec/regex.c"

#include <stdio.h>
#include <time.h>

#include "base/rng.h"
#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

static const struct regex *compiled(const char *pattern, unsigned flags)
{
    const struct regex *re;
    struct err err = {.code = 0};
    int failed = regex_compile(&re, guard_copy(2, span_of(pattern)), flags, &arena, &err);
    if (failed != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return re;
}

/* "F <all> <group> -": F full, s somewhere, - nowhere; then the groups, '-' for one that took no part. */
static const char *describe(const struct regex *re, struct span text)
{
    static char got[512];
    struct span groups[REGEX_GROUPS_MAX];
    bool full = regex_full(re, text);
    bool found = regex_find(re, text, 0, groups, REGEX_GROUPS_MAX);
    size_t len = (size_t)snprintf(got, sizeof(got), "%s", full ? "F" : found ? "s" : "-");
    assert_int_equal(regex_search(re, text), found);
    for (size_t i = 0; found && i <= regex_group_count(re) && i < REGEX_GROUPS_MAX; i++) {
        len += groups[i].at == NULL
                   ? (size_t)snprintf(got + len, sizeof(got) - len, " -")
                   : (size_t)snprintf(got + len, sizeof(got) - len, " <%.*s>", SPAN_ARG(groups[i]));
    }
    return got;
}

static void matches(void **state)
{
    static const struct {
        const char *pattern, *text, *want;
    } rows[] = {
        /* clang-format off */
        {"abc", "abc", "F <abc>"},
        {"abc", "xabcy", "s <abc>"},
        {"abc", "ab", "-"},
        {"", "", "F <>"},
        {"", "a", "s <>"},
        {"a", "", "-"},
        {".", "a", "F <a>"},
        {".", "\xc3\xa9", "F <\xc3\xa9>"},
        {"..", "\xc3\xa9", "-"},
        {"...", "a\xc3\xa9\xe2\x82\xac", "F <a\xc3\xa9\xe2\x82\xac>"},
        {"a.c", "abc", "F <abc>"},
        {"a.c", "a\nc", "-"},
        {"[abc]", "b", "F <b>"},
        {"[^abc]", "d", "F <d>"},
        {"[^abc]", "a", "-"},
        {"[^a]", "\n", "F <\n>"},
        {"[a-c]+", "abcabcd", "s <abcabc>"},
        {"[]a]+", "]a]", "F <]a]>"},
        {"[^]a]", "b", "F <b>"},
        {"[a\\-z]+", "a-z", "F <a-z>"},
        {"[-a]+", "-a-", "F <-a->"},
        {"[a-]+", "-a-", "F <-a->"},
        {"[\\d.]+", "1.2.3", "F <1.2.3>"},
        {"[\\w-]+", "foo-bar baz", "s <foo-bar>"},
        {"[^\\s]+", "foo bar", "s <foo>"},
        {"[^\\d\\s]+", "1a b", "s <a>"},
        {"[\\D1]+", "21ab", "s <1ab>"},
        {"\\d+", "abc123", "s <123>"},
        {"\\D+", "123abc", "s <abc>"},
        {"\\w+", "foo_1-", "s <foo_1>"},
        {"\\W", "a b", "s < >"},
        {"\\s", "a b", "s < >"},
        {"\\S+", " ab ", "s <ab>"},
        {"\\.", "a.b", "s <.>"},
        {"\\*", "*", "F <*>"},
        {"\\[", "[", "F <[>"},
        {"\\/", "/", "F </>"},
        {"\\_", "_", "F <_>"},
        {"a\\|b", "a|b", "F <a|b>"},
        {"\\n", "\n", "F <\n>"},
        {"\\t\\r\\f\\v\\a", "\t\r\f\v\a", "F <\t\r\f\v\a>"},
        {"\\x41", "A", "F <A>"},
        {"\\x{e9}", "\xc3\xa9", "F <\xc3\xa9>"},
        {"\\x{1F600}", "\xf0\x9f\x98\x80", "F <\xf0\x9f\x98\x80>"},
        {"\\101\\60", "A0", "F <A0>"},
        {"a*", "aaab", "s <aaa>"},
        {"a+", "aaab", "s <aaa>"},
        {"a?", "aaab", "s <a>"},
        {"a*?", "aaab", "s <>"},
        {"a+?", "aaab", "s <a>"},
        {"a??", "aaab", "s <>"},
        {"a{2}", "aaab", "s <aa>"},
        {"a{2,}", "aaab", "s <aaa>"},
        {"a{2,3}", "aaaaa", "s <aaa>"},
        {"a{2,3}?", "aaaaa", "s <aa>"},
        {"a{0}b", "b", "F <b>"},
        {"a{0,2}b", "aab", "F <aab>"},
        {"a{0,}b", "aab", "F <aab>"},
        {"a{,2}", "a{,2}", "F <a{,2}>"},
        {"a{", "a{", "F <a{>"},
        {"a{x}", "a{x}", "F <a{x}>"},
        {"a{1", "a{1", "F <a{1>"},
        {"(a)", "a", "F <a> <a>"},
        {"(a)(b)", "ab", "F <ab> <a> <b>"},
        {"(a)|b", "b", "F <b> -"},
        {"(a|b)", "b", "F <b> <b>"},
        {"(a|ab)(c|bcd)", "abcd", "F <abcd> <a> <bcd>"},
        {"(a|ab)(c|bcd)?", "abcd", "F <abcd> <a> <bcd>"},
        {"(?:a|ab)(?:c|bcd)", "abcd", "F <abcd>"},
        {"(a*)(b*)", "aabb", "F <aabb> <aa> <bb>"},
        {"(a+)(b+)?", "aac", "s <aa> <aa> -"},
        {"(a)?b", "b", "F <b> -"},
        {"((a)(b))c", "abc", "F <abc> <ab> <a> <b>"},
        {"((a)|(b))+", "ab", "F <ab> <b> <a> <b>"},
        {"(?P<x>a)(?P<y>b)", "ab", "F <ab> <a> <b>"},
        {"(?<name_1>a)", "a", "F <a> <a>"},
        {"a|b", "b", "F <b>"},
        {"a||b", "ab", "s <a>"},
        {"ab|cd", "cd", "F <cd>"},
        {"(|a)b", "ab", "F <ab> <a>"},
        {"a|ab", "ab", "F <a>"},
        {"ab|a", "ab", "F <ab>"},
        {"^a", "ab", "s <a>"},
        {"^a", "ba", "-"},
        {"a$", "ba", "s <a>"},
        {"a$", "ab", "-"},
        {"a$", "a\n", "-"},
        {"^$", "", "F <>"},
        {"^$", "a", "-"},
        {"\\Aa", "ab", "s <a>"},
        {"\\Aa", "ba", "-"},
        {"a\\z", "ba", "s <a>"},
        {"a\\z", "ab", "-"},
        {"\\ba", "b a", "s <a>"},
        {"\\bfoo\\b", "a foo b", "s <foo>"},
        {"\\bfoo\\b", "afoob", "-"},
        {"\\Boo", "foo", "s <oo>"},
        {"\\Bfo", "foo", "-"},
        {"a\\b", "a", "F <a>"},
        {"(?i)abc", "ABC", "F <ABC>"},
        {"(?i)[a-c]+", "AbC", "F <AbC>"},
        {"(?i)[^a]", "A", "-"},
        {"(?i)a(?-i)b", "AB", "-"},
        {"(?i)a(?-i)b", "Ab", "F <Ab>"},
        {"(?i:a)b", "Ab", "F <Ab>"},
        {"(?i:a)b", "AB", "-"},
        {"(a(?i)b)c", "aBC", "-"},
        {"(a(?i)b)c", "aBc", "F <aBc> <aB>"},
        {"(?s)a.b", "a\nb", "F <a\nb>"},
        {"(?s-s)a.b", "a\nb", "-"},
        {"(?m)^b$", "a\nb\nc", "s <b>"},
        {"(?m)^b", "a\nb", "s <b>"},
        {"(?m)a$", "a\nb", "s <a>"},
        {"^b", "a\nb", "-"},
        {"(?ms)a.^b", "a\nb", "F <a\nb>"},
        {"(?U)a+", "aaa", "F <a>"},
        {"(?U)a+?", "aaa", "F <aaa>"},
        {"\\Qa.b\\E", "a.b", "F <a.b>"},
        {"\\Qa.b\\E", "axb", "-"},
        {"\\Qa.b", "a.b", "F <a.b>"},
        {"\\Q*\\E+", "***", "F <***>"},
        {"\\Qab\\E+", "abb", "F <abb>"},
        {"[[:alpha:]]+", "abc1", "s <abc>"},
        {"[[:^alpha:]]+", "abc1", "s <1>"},
        {"[[:digit:][:upper:]]+", "aA1b", "s <A1>"},
        {"[[:space:]]", "\t", "F <\t>"},
        {"[[:punct:]]+", "a!?b", "s <!?>"},
        {"[[:xdigit:]]+", "xCafe9g", "s <Cafe9>"},
        {"[[:word:]]+", "a_1-", "s <a_1>"},
        {"[[:alnum:]]+", "-a1", "s <a1>"},
        {"[[:blank:]]", "a b", "s < >"},
        {"[[:print:]]+", "a b\n", "s <a b>"},
        {"[[:graph:]]+", "a b", "s <a>"},
        {"[[:lower:]]+", "ABc", "s <c>"},
        {"[[:cntrl:]]", "a\x01" "b", "s <\x01>"},
        {"[[:ascii:]]+", "a\xc3\xa9", "s <a>"},
        {"/api/v[0-9]+/.*", "/api/v1/users", "F </api/v1/users>"},
        {"/api/v[0-9]+/.*", "/api/vx/users", "-"},
        {"/[^/]+/details/\\d+", "/books/details/42", "F </books/details/42>"},
        {"^/service/([^/]+)(/.*)$", "/service/foo/v1/api", "F </service/foo/v1/api> <foo> </v1/api>"},
        {".*\\.example\\.com", "www.example.com", "F <www.example.com>"},
        {".*\\.example\\.com", "wwwxexample.com", "-"},
        {"(?:GET|POST) (/\\S*)", "GET /a/b", "F <GET /a/b> </a/b>"},
        {"^(?:https?)://([^/:]+)(?::(\\d+))?(/.*)?$", "http://a.b:80/c", "F <http://a.b:80/c> <a.b> <80> </c>"},
        {"^(?:https?)://([^/:]+)(?::(\\d+))?(/.*)?$", "https://a.b", "F <https://a.b> <a.b> - -"},
        {"spiffe://[^/]+/ns/([^/]+)/sa/([^/]+)", "spiffe://td/ns/default/sa/web", "F <spiffe://td/ns/default/sa/web> <default> <web>"},
        {"(\\d{1,3}\\.){3}\\d{1,3}", "10.0.0.1", "F <10.0.0.1> <0.>"},
        {"[a-z0-9]([-a-z0-9]*[a-z0-9])?", "web-1", "F <web-1> <eb-1>"},
        {"[a-z0-9]([-a-z0-9]*[a-z0-9])?", "-web", "s <web> <eb>"},
        {"^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason", "F <a=b;user=jason> <a=b;> <user=jason> -"},
        {"(?:a*)*b", "aaab", "F <aaab>"},
        {"(?:a*)*b", "aaaa", "-"},
        {".", "\xf0\x9f\x98\x80", "F <\xf0\x9f\x98\x80>"},
        {"[^a]+", "b\xf0\x9f\x98\x80\xc3\xa9", "F <b\xf0\x9f\x98\x80\xc3\xa9>"},
        {"[\\x{3fff0}-\\x{40010}]", "\xf0\xbf\xbf\xbf", "F <\xf0\xbf\xbf\xbf>"},
        {"[\\x{3fff0}-\\x{40010}]", "\xf1\x80\x80\x80", "F <\xf1\x80\x80\x80>"},
        {"[\\x{3fff0}-\\x{40010}]", "\xf1\x80\x80\x91", "-"},
        {"[\\x{800}-\\x{10000}]", "\xf0\x90\x80\x80", "F <\xf0\x90\x80\x80>"},
        {"[\\x{7ff}-\\x{800}]+", "\xdf\xbf\xe0\xa0\x80", "F <\xdf\xbf\xe0\xa0\x80>"},
        {"(a|a)*b", "aaab", "F <aaab> <a>"},
        {"(a|aa)*$", "aaaa", "F <aaaa> <a>"},
        {"(x+x+)+y", "xxxxy", "F <xxxxy> <xxxx>"},
        {"(x+x+)+y", "xxxx", "-"},
        {"(.*)(.*)(.*)", "abc", "F <abc> <abc> <> <>"},
        {"(.*?)(.*?)(.*)", "abc", "F <abc> <> <> <abc>"},
        {"(.+)@(.+)", "a@b@c", "F <a@b@c> <a@b> <c>"},
        {"(.+?)@(.+)", "a@b@c", "F <a@b@c> <a> <b@c>"},
        {"x*", "axb", "s <>"},
        {"\xc3\xa9+", "\xc3\xa9\xc3\xa9", "F <\xc3\xa9\xc3\xa9>"},
        {"[\xc3\xa9-\xc3\xbc]+", "a\xc3\xaaz", "s <\xc3\xaa>"},
        {"[^\xc3\xa9]", "\xc3\xa9", "-"},
        {"[^\xc3\xa9]", "\xc3\xaa", "F <\xc3\xaa>"},
        {"a.b", "a\xc3\xa9" "b", "F <a\xc3\xa9" "b>"},
        {"^.{3}$", "a\xc3\xa9\xe2\x82\xac", "F <a\xc3\xa9\xe2\x82\xac>"},
        {"[\\x{400}-\\x{4ff}]+", "\xd0\x96\xd1\x83\xd0\xba", "F <\xd0\x96\xd1\x83\xd0\xba>"},
        {"[^\\x{0}-\\x{7f}]+", "a\xc3\xa9" "b", "s <\xc3\xa9>"},
        {"[\\x{d000}-\\x{ffff}]", "\xed\x95\x9c", "F <\xed\x95\x9c>"},
        {"[\\x{10000}-\\x{10ffff}]", "\xf0\x9f\x98\x80", "F <\xf0\x9f\x98\x80>"},
        {"[\\x{7f}-\\x{10ffff}]+", "a\x7f\xe2\x82\xac\xf0\x9f\x98\x80", "s <\x7f\xe2\x82\xac\xf0\x9f\x98\x80>"},
        {"a(?:b(?:c(?:d)))e", "abcde", "F <abcde>"},
        {"(?:)", "a", "s <>"},
        {"()", "a", "s <> <>"},
        {"a(b|c|d|e)f", "aef", "F <aef> <e>"},
        {"ab*c", "ac", "F <ac>"},
        {"ab*c", "abbbc", "F <abbbc>"},
        {"ab+c", "ac", "-"},
        {"ab?c", "abc", "F <abc>"},
        {"(ab)*", "ababa", "s <abab> <ab>"},
        {"(ab)+?", "abab", "F <ab> <ab>"},
        {"(ab){2}", "ababab", "s <abab> <ab>"},
        {"((a{1,2}){2})", "aaaa", "F <aaaa> <aaaa> <aa>"},
        {"[a-c&]+", "a&x", "s <a&>"},
        {"a^b", "a^b", "-"},
        {"$a", "a", "-"},
        {"\\^\\$", "^$", "F <^$>"},
        {"(^a|b)c", "ac", "F <ac> <a>"},
        {"(^a|b)c", "bc", "F <bc> <b>"},
        {"(a$|b)", "a", "F <a> <a>"},
        {"(a)(b)(c)(d)(e)(f)(g)(h)(i)", "abcdefghi", "F <abcdefghi> <a> <b> <c> <d> <e> <f> <g> <h> <i>"},
        {"(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "abcdefghij", "F <abcdefghij> <a> <b> <c> <d> <e> <f> <g> <h> <i>"},
        /* clang-format on */
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct regex *re = compiled(rows[i].pattern, 0);
        struct regex simulated = *re;
        struct span text = guard_copy(0, span_of(rows[i].text));
        simulated.dfa = NULL;
        if (strcmp(describe(re, text), rows[i].want) != 0) {
            print_error("'%s' on '%s':\n", rows[i].pattern, rows[i].text);
        }
        assert_string_equal(describe(re, text), rows[i].want);
        assert_string_equal(describe(&simulated, text), rows[i].want);
    }
}

static void ignores_case_when_told(void **state)
{
    UNUSED(state);
    assert_true(regex_full(compiled("/Api/[a-f]+", REGEX_NOCASE), SPAN("/aPI/DEad")));
    assert_true(regex_full(compiled("[^a]", REGEX_NOCASE), SPAN("b")));
    assert_false(regex_full(compiled("[^a]", REGEX_NOCASE), SPAN("A")));
    assert_true(regex_full(compiled("\\x41\\Qb\\E", REGEX_NOCASE), SPAN("aB")));
    assert_false(regex_full(compiled("a(?-i)b", REGEX_NOCASE), SPAN("AB")));
    assert_true(regex_full(compiled("[[-a{-~]", REGEX_NOCASE), SPAN("A"))); /* a range over both */
}

static void refuses(void **state)
{
    static const struct {
        const char *pattern, *why;
    } rows[] = {
        {"a(", "missing )"},
        {"(a", "missing )"},
        {"a)", "unexpected )"},
        {"[a", "missing ]"},
        {"[", "missing ]"},
        {"[]", "missing ]"},
        {"[^]", "missing ]"},
        {"[z-a]", "range in [] runs backwards"},
        {"[a-\\d]", "unknown escape"},
        {"[[:foo:]]", "unknown class between [: and :]"},
        {"*", "nothing to repeat"},
        {"+a", "nothing to repeat"},
        {"a|*", "nothing to repeat"},
        {"(*)", "nothing to repeat"},
        {"a**", "repetition of a repetition; put parentheses around it"},
        {"a*+", "repetition of a repetition; put parentheses around it"},
        {"a{2}{3}", "repetition of a repetition; put parentheses around it"},
        {"a{1001}", "repetition count must be 0 to 1000, and not run backwards"},
        {"a{2,1}", "repetition count must be 0 to 1000, and not run backwards"},
        {"\\", "trailing backslash"},
        {"a\\", "trailing backslash"},
        {"\\q", "unknown escape"},
        {"\\Z", "unknown escape"},
        {"\\C", "unknown escape"},
        {"\\1", "back references are not supported"},
        {"(a)\\1", "back references are not supported"},
        {"\\8", "back references are not supported"},
        {"\\x4", "\\x wants two digits, or digits in braces"},
        {"\\x{}", "\\x wants two digits, or digits in braces"},
        {"\\x{110000}", "\\x wants two digits, or digits in braces"},
        {"\\x{41", "\\x wants two digits, or digits in braces"},
        {"\\pL", "Unicode classes (\\p) are not supported; list ranges, as [\\x{400}-\\x{4ff}]"},
        {"(?=a)", "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>"},
        {"(?<=a)", "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>"},
        {"(?x)", "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>"},
        {"(?i--s)", "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>"},
        {"(?i", "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>"},
        {"(?P<n", "group name is broken"},
        {"(?P<>a)", "group name is broken"},
        {"(?<a-b>a)", "group name is broken"},
        {"\xff", "not UTF-8"},
        {"[\xff]", "not UTF-8"},
        {"\\Q\xff", "not UTF-8"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct regex *re;
        struct err err = {.code = 0};
        char want[256];
        (void)snprintf(want, sizeof(want), "regex '%s': %s", rows[i].pattern, rows[i].why);
        struct span pattern = guard_copy(0, span_of(rows[i].pattern));
        assert_int_equal(regex_compile(&re, pattern, 0, &arena, &err), -ERR_CONFIG);
        assert_string_equal(err.text, want);
    }
}

/* Each costs little to refuse, whatever it would cost to build. */
static void bounds_size(void **state)
{
    static const char *const rows[] = {
        "((((a{1000}){1000}){1000}){1000}){1000}",
        "(?:[\\x{80}-\\x{10fffe}]{100}){10}",
        "(?:(?:(?:a|b){1000}){1000}){1000}",
    };
    struct err err;
    const struct regex *re;
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(regex_compile(&re, span_of(rows[i]), 0, &arena, &err), -ERR_LIMIT);
        assert_non_null(strstr(err.text, "needs more than 1024 instructions"));
    }
    char nested[3 * REGEX_NEST_MAX + 4] = "";
    for (size_t i = 0; i < REGEX_NEST_MAX + 1; i++) {
        nested[i] = '(';
        nested[REGEX_NEST_MAX + 1 + i] = ')';
    }
    assert_int_equal(regex_compile(&re, span_of(nested), 0, &arena, &err), -ERR_CONFIG);
    assert_int_equal(regex_compile(&re, span_from(nested + 1, 2 * REGEX_NEST_MAX), 0, &arena, &err),
                     0);
    static char large[REGEX_PATTERN_BYTES_MAX + 2];
    memset(large, 'a', sizeof(large) - 1);
    assert_int_equal(regex_compile(&re, span_of(large), 0, &arena, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "longer than"));
    /* repeats of nothing lay nothing, so they are neither large nor slow */
    assert_int_equal(
        regex_compile(&re, SPAN("(?:(?:(?:(?:){1000}){1000}){1000}){1000}a"), 0, &arena, &err), 0);
}

static int64_t cpu_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Patterns on which a backtracking engine needs more time than there is. */
static void takes_linear_time(void **state)
{
    static const char *const patterns[] = {"(?:a*)*b", "(?:a|a)*b",        "(?:a|aa)+$c",
                                           "(?:a+)+b", "(?:a?){30}a{30}b", "\\b(?:a*)*\\bb"};
    static char text[100 * 1024];
    UNUSED(state);
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        const struct regex *re = compiled(patterns[i], 0);
        struct regex simulated = *re;
        struct span groups[1];
        simulated.dfa = NULL;
        int64_t start = cpu_ms();
        assert_false(regex_full(re, span_from(text, sizeof(text))));
        assert_false(regex_full(&simulated, span_from(text, sizeof(text))));
        assert_false(regex_search(re, span_from(text, sizeof(text))));
        assert_false(regex_find(re, span_from(text, 4096), 0, groups, 1));
        assert_true(cpu_ms() - start < 5000); /* some 100 ms each with sanitizers */
    }
}

/* Ranges of characters become UTF-8 ranges: the ends and their neighbours, of ranges about every seam. */
static void ranges_are_exact(void **state)
{
    static const uint32_t seams[] = {0x80,    0x800,   0x1000,   0xd000,  0xe000,
                                     0x10000, 0x40000, 0x100000, 0x10ffff};
    struct rng rng;
    UNUSED(state);
    rng_seed(&rng, 11);
    for (int round = 0; round < 400; round++) {
        uint32_t ends[2];
        for (int k = 0; k < 2; k++) {
            ends[k] = seams[rng_below(&rng, ARRAY_LEN(seams))] - (uint32_t)rng_below(&rng, 90);
            ends[k] = ends[k] >= 0xd800 && ends[k] <= 0xdfff ? 0xe000 : ends[k];
        }
        uint32_t low = ends[0] < ends[1] ? ends[0] : ends[1];
        uint32_t high = ends[0] < ends[1] ? ends[1] : ends[0];
        char pattern[64];
        (void)snprintf(pattern, sizeof(pattern), "[\\x{%x}-\\x{%x}]", low, high);
        const struct regex *re = compiled(pattern, 0);
        const uint32_t runes[] = {low - 1, low,      low + 1,           high - 1,
                                  high,    high + 1, low / 2 + high / 2};
        for (size_t i = 0; i < ARRAY_LEN(runes); i++) {
            uint32_t rune = runes[i];
            if (rune > REGEX_RUNE_MAX || (rune >= 0xd800 && rune <= 0xdfff)) {
                continue;
            }
            char one[16];
            (void)snprintf(one, sizeof(one), "\\x{%x}", rune);
            char bytes[4];
            size_t len =
                compiled(one, 0)->inst_count - 1U; /* one instruction a byte, and the match */
            for (size_t k = 0; k < len; k++) {
                bytes[k] = (char)compiled(one, 0)->insts[len - k].low;
            }
            assert_int_equal(span_utf8_char(span_from(bytes, len)), len);
            assert_int_equal(regex_full(re, span_from(bytes, len)), rune >= low && rune <= high);
        }
    }
}

static void never_matches_broken_utf8(void **state)
{
    static const char *const rows[] = {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80"};
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_false(regex_full(compiled("(?s).*", 0), span_of(rows[i])));
        assert_false(regex_full(compiled("[^a]*", 0), span_of(rows[i])));
        assert_true(regex_search(compiled("(?s).*", 0), span_of(rows[i]))); /* the empty match */
    }
}

static void uses_a_table_when_it_can(void **state)
{
    static const struct {
        const char *pattern;
        bool has_table;
    } rows[] = {
        {"/api/v[0-9]+/.*", true},
        {"^/a(b|c)*$", true},
        {"[a-z]+(\\.[a-z]+){1,5}", true},
        {"\\bfoo\\b", false},
        {"(?m)^a$", false},
        {"(?:a|b)*a(?:a|b){12}", false}, /* 2^13 states */
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(compiled(rows[i].pattern, 0)->dfa != NULL, rows[i].has_table);
    }
    const struct regex *large = compiled("(?:a|b)*a(?:a|b){12}", 0);
    assert_true(regex_full(large, SPAN("bbabbbbbbbbbbbb")));
    assert_false(regex_full(large, SPAN("bbbbbbbbbbbbbbb")));
}

static void replaces(void **state)
{
    static const struct {
        const char *pattern, *text, *substitution, *want;
    } rows[] = {
        {"^/service/([^/]+)(/.*)$", "/service/foo/v1/api", "\\2/instance/\\1",
         "/v1/api/instance/foo"},
        {"one", "/xxx/one/yyy/one/zzz", "two", "/xxx/two/yyy/two/zzz"},
        {"^(.*?)one(.*)$", "/xxx/one/yyy/one/zzz", "\\1two\\2", "/xxx/two/yyy/one/zzz"},
        {"(?i)/xxx/", "/aaa/XxX/bbb", "/yyy/", "/aaa/yyy/bbb"},
        {"a", "banana", "", "bnn"},
        {"x", "banana", "y", "banana"},
        {"a*", "baaac", "-", "-b-c-"},
        {"", "ab", "-", "-a-b-"},
        {"", "\xc3\xa9", "-", "-\xc3\xa9-"},
        {"", "", "-", "-"},
        {"b*", "abc", "X", "XaXcX"},
        {"$", "ab", "!", "ab!"},
        {"^a", "aaa", "b", "baa"},
        {"(a)|(b)", "ab", "[\\1\\2]", "[a][b]"},
        {"a", "a", "\\\\\\0", "\\a"},
        {"(.)(.)", "abcd", "\\2\\1", "badc"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        const struct regex *re = compiled(rows[i].pattern, 0);
        struct span substitution = guard_copy(1, span_of(rows[i].substitution));
        buf_init(&out, 1000);
        assert_int_equal(regex_check_substitution(re, substitution, NULL), 0);
        assert_int_equal(
            regex_replace(re, guard_copy(0, span_of(rows[i].text)), substitution, &out), 0);
        assert_span(buf_span(&out), rows[i].want);
        buf_dispose(&out);
    }
    struct buf small;
    buf_init(&small, 5);
    assert_int_equal(regex_replace(compiled("a", 0), SPAN("aaa"), SPAN("bb"), &small), -ERR_LIMIT);
    buf_dispose(&small);
    buf_init(&small, 5);
    assert_int_equal(regex_replace(compiled("a*", 0), SPAN_EMPTY, SPAN("b"), &small), 0);
    assert_span(buf_span(&small), "b");
    buf_dispose(&small);
}

static void checks_substitutions(void **state)
{
    UNUSED(state);
    struct err err;
    const struct regex *re = compiled("(a)(b)", 0);
    assert_int_equal(regex_check_substitution(re, SPAN("\\0\\1\\2\\\\x"), &err), 0);
    assert_int_equal(regex_check_substitution(re, SPAN("\\3"), &err), -ERR_CONFIG);
    assert_string_equal(err.text, "substitution '\\3': the regex has 2 groups, not 3");
    assert_int_equal(regex_check_substitution(re, SPAN("a\\"), &err), -ERR_CONFIG);
    assert_int_equal(regex_check_substitution(re, SPAN("\\x"), &err), -ERR_CONFIG);
    assert_string_equal(err.text, "substitution '\\x': after \\ comes a digit or \\");
}

/* More places to remember than the stack has room for. */
static void finds_with_many_groups(void **state)
{
    UNUSED(state);
    const struct regex *re = compiled("(a)(b)(c)(d)(e)(f)(g)(h)(i)|x{500}", 0);
    struct span groups[REGEX_GROUPS_MAX];
    char text[500];
    memset(text, 'x', sizeof(text));
    assert_true(regex_find(re, span_from(text, sizeof(text)), 0, groups, REGEX_GROUPS_MAX));
    assert_int_equal(groups[0].len, 500);
    assert_null(groups[1].at);
    assert_true(regex_find(re, SPAN("--abcdefghi"), 1, groups, REGEX_GROUPS_MAX));
    assert_span(groups[9], "i");
    assert_false(regex_find(re, SPAN("--abcdefghi"), 3, groups, REGEX_GROUPS_MAX));
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
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
        cmocka_unit_test(matches),
        cmocka_unit_test(ignores_case_when_told),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_size),
        cmocka_unit_test(takes_linear_time),
        cmocka_unit_test(ranges_are_exact),
        cmocka_unit_test(never_matches_broken_utf8),
        cmocka_unit_test(uses_a_table_when_it_can),
        cmocka_unit_test(replaces),
        cmocka_unit_test(checks_substitutions),
        cmocka_unit_test(finds_with_many_groups),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* policy/route*: which virtual host and route a request meets, case by case with the field of Envoy's API
 * that says so, and what the routes say. */
#include "policy/route.c"

#include "unit/cm.h"
#include "unit/policy/policy_test.h"
#include "proto/route.pb.h"

static struct arena arena;
static struct arena scratch;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    arena_init(&scratch, 4096);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_dispose(&arena);
    arena_dispose(&scratch);
    return 0;
}

static unsigned slot_of(void *arg, struct span name)
{
    (void)arg;
    return (unsigned)name.len;
}

static int compile(struct route_table **out, const char *yaml, struct err *err)
{
    struct route_compile with = {.arena = &arena, .slot_of = slot_of};
    return route_table_compile(
        out, &with, policy_test_read(&arena, &pb_route_RouteConfiguration_desc, yaml), err);
}

static struct route_table *table_of(const char *yaml)
{
    struct err err = {0};
    struct route_table *t = NULL;
    if (compile(&t, yaml, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return t;
}

struct request {
    const char *field; /* of Envoy's API: what the case is about */
    const char *line;  /* "METHOD scheme authority path [random=N] [tls] [peer=NAME]" */
    const char *headers;
    const char *want; /* route name; NULL = none */
};

static struct span word(struct span *rest)
{
    struct span w = span_cut(rest, ' ');
    return span_is(w, "-") ? SPAN_EMPTY : w;
}

static struct traffic traffic_of(const struct request *rq)
{
    struct traffic tr = {0};
    struct span rest = span_of(rq->line);
    tr.method = word(&rest);
    tr.scheme = word(&rest);
    tr.authority = word(&rest);
    tr.path = word(&rest);
    while (rest.at) {
        struct span value = word(&rest);
        struct span key = span_cut(&value, '=');
        if (span_is(key, "random")) {
            assert_true(span_to_u64(value, &tr.random));
        }
        tr.tls = tr.tls || span_is(key, "tls");
        tr.principal = span_is(key, "peer") ? value : tr.principal;
    }
    policy_test_fields(&arena, rq->headers, &tr);
    return tr;
}

static void run(const struct route_table *t, const struct request *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct traffic tr = traffic_of(&cases[i]);
        struct explain ex = {0};
        buf_init(&ex.text, 65536);
        const struct route *r = route_find(t, &tr, &scratch, NULL);
        const struct route *explained = route_find(t, &tr, &scratch, &ex);
        struct span got = r ? r->name : SPAN("(none)");
        if (!span_is(got, cases[i].want ? cases[i].want : "(none)") || explained != r) {
            print_error("%s: %s: got '%.*s', want '%s'\n%.*s", cases[i].field, cases[i].line,
                        SPAN_ARG(got), cases[i].want ? cases[i].want : "(none)",
                        SPAN_ARG(buf_span(&ex.text)));
            fail();
        }
        assert_true(buf_len(&ex.text) > 0);
        buf_dispose(&ex.text);
        arena_reset(&scratch);
    }
}

/* ---- domains ---- */

static const char *const domains =
    "{name: t, virtual_hosts: ["
    "{name: exact, domains: [Api.Example.com, 'api.example.com:8080', '[::1]:80', 10.0.0.1],"
    " routes: [{name: exact, match: {prefix: /}, route: {cluster: a}}]},"
    "{name: suffix, domains: ['*.example.com', '*-x.example.com'],"
    " routes: [{name: suffix, match: {prefix: /}, route: {cluster: a}}]},"
    "{name: longer, domains: ['*.b.example.com'],"
    " routes: [{name: longer, match: {prefix: /}, route: {cluster: a}}]},"
    "{name: prefix, domains: ['api.*', 'api.example.*'],"
    " routes: [{name: prefix, match: {prefix: /}, route: {cluster: a}}]},"
    "{name: longprefix, domains: ['api.example.net*'],"
    " routes: [{name: longprefix, match: {prefix: /}, route: {cluster: a}}]},"
    "{name: any, domains: ['*'], routes: [{name: any, match: {prefix: /any}, route: {cluster: a}}]}]}";

static void finds_the_virtual_host(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"VirtualHost.domains exact", "GET http api.example.com /", NULL, "exact"},
        {"VirtualHost.domains any case", "GET http API.example.COM /", NULL, "exact"},
        {"VirtualHost.domains exact with port", "GET http api.example.com:8080 /", NULL, "exact"},
        {"VirtualHost.domains port is part of the name", "GET http api.example.com:81 /", NULL,
         "prefix"},
        {"VirtualHost.domains IPv6", "GET http [::1]:80 /", NULL, "exact"},
        {"VirtualHost.domains IPv6, other port", "GET http [::1]:81 /", NULL, NULL},
        {"VirtualHost.domains IPv4", "GET http 10.0.0.1 /", NULL, "exact"},
        {"VirtualHost.domains suffix", "GET http www.example.com /", NULL, "suffix"},
        {"VirtualHost.domains suffix covers any depth", "GET http a.c.example.com /", NULL,
         "suffix"},
        {"VirtualHost.domains suffix without dot", "GET http foo-x.example.com /", NULL, "suffix"},
        {"VirtualHost.domains longest suffix", "GET http a.b.example.com /", NULL, "longer"},
        {"VirtualHost.domains '*' stands for something", "GET http .example.com /any", NULL, "any"},
        {"VirtualHost.domains suffix is not the bare name", "GET http example.com /any", NULL,
         "any"},
        {"VirtualHost.domains prefix", "GET http api.other.org /", NULL, "prefix"},
        {"VirtualHost.domains longer prefix", "GET http api.example.net.au /", NULL, "longprefix"},
        {"VirtualHost.domains prefix needs a rest", "GET http api.example.net /", NULL, "prefix"},
        {"VirtualHost.domains suffix before prefix", "GET http api.x.example.com /", NULL,
         "suffix"},
        {"VirtualHost.domains *", "GET http nowhere /any", NULL, "any"},
        {"VirtualHost.domains *, no route", "GET http nowhere /", NULL, NULL},
        {"no fall-back to '*' from a host whose routes fail", "GET http www.example.com -", NULL,
         NULL},
        {"no authority", "GET http - /any", NULL, NULL},
    };
    run(table_of(domains), cases, ARRAY_LEN(cases));
}

static void ignores_ports_when_told(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"ignore_port_in_host_matching", "GET http a.com:8080 /", NULL, "a"},
        {"ignore_port_in_host_matching, none there", "GET http a.com /", NULL, "a"},
        {"ignore_port_in_host_matching, IPv6", "GET http [::1]:8080 /", NULL, "v6"},
        {"ignore_port_in_host_matching, IPv6 without port", "GET http [::1] /", NULL, "v6"},
        {"ignore_port_in_host_matching, suffix", "GET http x.b.com:1 /", NULL, "b"},
        {"ignore_port_in_host_matching, empty port", "GET http a.com: /", NULL, "a"},
    };
    run(table_of(
            "{ignore_port_in_host_matching: true, virtual_hosts: ["
            "{name: a, domains: [a.com], routes: [{name: a, match: {prefix: /}, route: {cluster: a}}]},"
            "{name: b, domains: ['*.b.com'], routes: [{name: b, match: {prefix: /}, route: {cluster: a}}]},"
            "{name: v6, domains: ['[::1]'], routes: [{name: v6, match: {prefix: /}, route: {cluster: a}}]}]}"),
        cases, ARRAY_LEN(cases));
}

static void has_no_default_host(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"VirtualHost.domains without '*'", "GET http b.com /", NULL, NULL},
        {"VirtualHost.domains very long host",
         "GET http "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.A.com /",
         NULL, "a"},
    };
    run(table_of("{virtual_hosts: [{name: a, domains: [a.com, '*.a.com'],"
                 " routes: [{name: a, match: {prefix: /}, route: {cluster: a}}]}]}"),
        cases, ARRAY_LEN(cases));
}

/* ---- paths ---- */

/* One virtual host for everything, with these routes. */
static struct route_table *routes_of(const char *routes)
{
    return table_of(
        arena_printf(&arena, "{virtual_hosts: [{name: v, domains: ['*'], routes: [%s]}]}", routes));
}

static void matches_paths(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"RouteMatch.path", "GET http h /exact", NULL, "exact"},
        {"RouteMatch.path is case-sensitive", "GET http h /Exact", NULL, "rest"},
        {"RouteMatch.path without the query", "GET http h /exact?a=b", NULL, "exact"},
        {"RouteMatch.path without the fragment", "GET http h /exact#x", NULL, "exact"},
        {"RouteMatch.path is the whole path", "GET http h /exact/", NULL, "rest"},
        {"RouteMatch.path, case_sensitive false", "GET http h /EXACT-nocase", NULL, "exact-nocase"},
        {"RouteMatch.prefix", "GET http h /api/v1/users", NULL, "api"},
        {"RouteMatch.prefix itself", "GET http h /api", NULL, "api"},
        {"RouteMatch.prefix is text, not segments", "GET http h /apiary", NULL, "api"},
        {"RouteMatch.prefix is case-sensitive", "GET http h /API/v1", NULL, "rest"},
        {"RouteMatch.prefix not in the query", "GET http h /?x=/api", NULL, "rest"},
        {"RouteMatch.prefix, case_sensitive false", "GET http h /LOUD/1", NULL, "loud"},
        {"RouteMatch.path_separated_prefix itself", "GET http h /sep/x", NULL, "sep"},
        {"RouteMatch.path_separated_prefix below", "GET http h /sep/x/y", NULL, "sep"},
        {"RouteMatch.path_separated_prefix ends at a segment", "GET http h /sep/xy", NULL, "rest"},
        {"RouteMatch.path_separated_prefix with query", "GET http h /sep/x?q", NULL, "sep"},
        {"RouteMatch.path_separated_prefix with slash", "GET http h /sep/x/", NULL, "sep"},
        {"RouteMatch.path_separated_prefix, case_sensitive false", "GET http h /SEP2/a", NULL,
         "sep2"},
        {"RouteMatch.safe_regex", "GET http h /re/123", NULL, "regex"},
        {"RouteMatch.safe_regex matches all of the path", "GET http h /re/123x", NULL, "rest"},
        {"RouteMatch.safe_regex without the query", "GET http h /re/7?x=1", NULL, "regex"},
        {"RouteMatch.safe_regex is case-sensitive always", "GET http h /RE/7", NULL, "rest"},
        {"RouteMatch.connect_matcher", "CONNECT - h:443 -", NULL, "connect"},
        {"RouteMatch.connect_matcher, CONNECT with a path", "CONNECT http h /exact", NULL, "exact"},
        {"order: first match wins", "GET http h /api/v1/first", NULL, "api"},
        {"order: exact after prefix is never reached", "GET http h /api/exact", NULL, "api"},
        {"no path", "GET http h -", NULL, NULL},
        {"asterisk", "OPTIONS http h *", NULL, NULL},
    };
    const struct route_table *t = routes_of(
        "{name: exact, match: {path: /exact}, route: {cluster: a}},"
        "{name: exact-nocase, match: {path: /Exact-NoCase, case_sensitive: false}, route: {cluster: a}},"
        "{name: connect, match: {connect_matcher: {}}, route: {cluster: a}},"
        "{name: api, match: {prefix: /api}, route: {cluster: a}},"
        "{name: never, match: {path: /api/exact}, route: {cluster: a}},"
        "{name: loud, match: {prefix: /loud, case_sensitive: false}, route: {cluster: a}},"
        "{name: sep, match: {path_separated_prefix: /sep/x}, route: {cluster: a}},"
        "{name: sep2, match: {path_separated_prefix: /sep2, case_sensitive: false}, route: {cluster: a}},"
        "{name: regex, match: {safe_regex: {regex: '/re/[0-9]+'}}, route: {cluster: a}},"
        "{name: rest, match: {prefix: /}, route: {cluster: a}}");
    run(t, cases, ARRAY_LEN(cases));
}

static void ignores_path_parameters_when_told(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"ignore_path_parameters_in_path_matching", "GET http h /a;v=1", NULL, "a"},
        {"ignore_path_parameters_in_path_matching, query kept", "GET http h /a;v=1?x=1", NULL, "a"},
        {"ignore_path_parameters_in_path_matching, none", "GET http h /a", NULL, "a"},
    };
    run(table_of(
            "{ignore_path_parameters_in_path_matching: true, virtual_hosts: [{name: v, domains: ['*'],"
            " routes: [{name: a, match: {path: /a}, route: {cluster: a}}]}]}"),
        cases, ARRAY_LEN(cases));
    static const struct request kept[] = {
        {"path parameters are part of the path", "GET http h /a;v=1", NULL, NULL},
    };
    run(routes_of("{name: a, match: {path: /a}, route: {cluster: a}}"), kept, 1);
}

/* ---- fields ---- */

static void matches_headers(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"HeaderMatcher.exact_match", "GET http h /1", "x-a: v", "exact"},
        {"HeaderMatcher.exact_match, other value", "GET http h /1", "x-a: w", NULL},
        {"HeaderMatcher.exact_match, absent", "GET http h /1", NULL, NULL},
        {"HeaderMatcher.exact_match '' holds for any value", "GET http h /2", "x-a: w", "empty"},
        {"HeaderMatcher.exact_match '' needs the field", "GET http h /2", NULL, NULL},
        {"HeaderMatcher.name any case", "GET http h /3", "x-upper: v", "name"},
        {"HeaderMatcher.prefix_match", "GET http h /4", "x-a: value", "prefix"},
        {"HeaderMatcher.prefix_match fails", "GET http h /4", "x-a: avalue", NULL},
        {"HeaderMatcher.suffix_match", "GET http h /5", "x-a: the-value", "suffix"},
        {"HeaderMatcher.suffix_match fails", "GET http h /5", "x-a: the-values", NULL},
        {"HeaderMatcher.contains_match", "GET http h /6", "x-a: an inner text", "contains"},
        {"HeaderMatcher.contains_match fails", "GET http h /6", "x-a: an text", NULL},
        {"HeaderMatcher.safe_regex_match", "GET http h /7", "x-a: 123", "regex"},
        {"HeaderMatcher.safe_regex_match matches all", "GET http h /7", "x-a: a123", NULL},
        {"HeaderMatcher.range_match start", "GET http h /8", "x-a: -10", "range"},
        {"HeaderMatcher.range_match end is out", "GET http h /8", "x-a: 20", NULL},
        {"HeaderMatcher.range_match no number", "GET http h /8", "x-a: 1.5", NULL},
        {"HeaderMatcher.present_match", "GET http h /9", "x-a:", "present"},
        {"HeaderMatcher.present_match, absent", "GET http h /9", NULL, NULL},
        {"HeaderMatcher.present_match false", "GET http h /10", NULL, "absent"},
        {"HeaderMatcher.present_match false, there", "GET http h /10", "x-a: 1", NULL},
        {"HeaderMatcher without specifier is presence", "GET http h /11", "x-a: 1", "bare"},
        {"HeaderMatcher.invert_match", "GET http h /12", "x-a: w", "invert"},
        {"HeaderMatcher.invert_match, equal", "GET http h /12", "x-a: v", NULL},
        {"HeaderMatcher.invert_match, absent fails", "GET http h /12", NULL, NULL},
        {"HeaderMatcher.invert_match of presence", "GET http h /13", NULL, "invert-present"},
        {"HeaderMatcher.invert_match of presence, there", "GET http h /13", "x-a: 1", NULL},
        {"treat_missing_header_as_empty", "GET http h /14", NULL, "missing"},
        {"treat_missing_header_as_empty, there", "GET http h /14", "x-a: v", NULL},
        {"string_match.exact", "GET http h /15", "x-a: VALUE", "string"},
        {"string_match.exact fails", "GET http h /15", "x-a: VALUES", NULL},
        {"string_match.prefix ignore_case", "GET http h /16", "x-a: PreFixed", "string-prefix"},
        {"string_match.suffix ignore_case", "GET http h /17", "x-a: endING", "string-suffix"},
        {"string_match.contains ignore_case", "GET http h /18", "x-a: xxMIDyy", "string-contains"},
        {"string_match.contains fails", "GET http h /18", "x-a: xxMDyy", NULL},
        {"string_match.safe_regex does not heed ignore_case", "GET http h /19", "x-a: ABC", NULL},
        {"string_match.safe_regex", "GET http h /19", "x-a: abc", "string-regex"},
        {"a field that comes twice is joined by ','", "GET http h /20", "x-a: 1|x-b: 2|x-a: 3",
         "twice"},
        {":method", "POST http h /21", NULL, "method"},
        {":method fails", "GET http h /21", NULL, NULL},
        {":path with the query", "GET http h /22?q=1", NULL, "path"},
        {":authority", "GET http h:1 /23", NULL, "authority"},
        {"host is :authority", "GET http h:1 /24", NULL, "host"},
        {":scheme", "GET https h /25", NULL, "scheme"},
        {"all headers must match", "GET http h /26", "x-a: 1", NULL},
        {"all headers match", "GET http h /26", "x-a: 1|x-b: 2", "both"},
    };
#define H(name, path, header) \
    "{name: " name ", match: {path: /" path ", headers: [" header "]}, route: {cluster: a}}"
    const struct
        route_table
            *
                t =
                    routes_of(
                        H("exact", "1", "{name: x-a, exact_match: v}") "," H(
                            "empty",
                            "2", "{name: x-a, exact_match: ''}") "," H("name", "3", "{name: X-Upper, exact_match: v}") "," H("prefix", "4", "{name: x-a, prefix_match: val}") "," H("suffix", "5", "{name: x-a, suffix_match: value}") "," H("contains", "6", "{name: x-a, contains_match: inner}") "," H("regex",
                                                                                                                                                                                                                                                                                                          "7",
                                                                                                                                                                                                                                                                                                          "{name: x-a, safe_regex_match: {regex: '[0-9]{3}'}}") "," H("range",
                                                                                                                                                                                                                                                                                                                                                                      "8", "{name: x-a, range_match: {start: -10, end: 20}}") "," H("present",
                                                                                                                                                                                                                                                                                                                                                                                                                                    "9", "{name: x-a, present_match: true}") "," H("absent", "10", "{name: x-a, present_match: false}") "," H("bare", "11", "{name: x-a}") "," H("invert",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 "12",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 "{name: x-a, exact_match: v, invert_match: true}") "," H("invert-present", "13", "{name: x-a, present_match: true, invert_match: true}") "," H("missing",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "14",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "{name: x-a, string_match: {exact: v}, invert_match: true,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                " treat_missing_header_as_empty: true}") "," H("string", "15", "{name: x-a, string_match: {exact: value, ignore_case: true}}") "," H("string-prefix", "16", "{name: x-a, string_match: {prefix: PREFIX, ignore_case: true}}") "," H("string-suffix", "17",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "{name: x-a, string_match: {suffix: ing, ignore_case: true}}") "," H("string-contains", "18", "{name: x-a, string_match: {contains: mid, ignore_case: true}}") "," H("string-regex", "19",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "{name: x-a, string_match: {safe_regex: {regex: 'a.c'}, ignore_case: true}}") "," H("twice",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "20", "{name: x-a, exact_match: '1,3'}") "," H("method", "21", "{name: ':method', exact_match: POST}") "," H("path", "22", "{name: ':path', exact_match: '/22?q=1'}") "," H("authority", "23", "{name: ':authority', exact_match: 'h:1'}") "," H("host",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "24",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "{name: host, exact_match: 'h:1'}") "," H("scheme",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "25",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "{name: ':scheme', exact_match: https}") "," H("both",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "26",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "{name: x-a, exact_match: '1'}, {name: x-b, exact_match: '2'}"));
    run(t, cases, ARRAY_LEN(cases));
}

static void matches_the_rest(void **state)
{
    (void)state;
    static const struct request cases[] = {
        {"QueryParameterMatcher.string_match", "GET http h /q1?a=1&b=2", NULL, "q1"},
        {"QueryParameterMatcher.string_match, first counts", "GET http h /q1?b=3&b=2", NULL, NULL},
        {"QueryParameterMatcher.string_match, absent", "GET http h /q1?a=2", NULL, NULL},
        {"QueryParameterMatcher.string_match, not decoded", "GET http h /q1?b=%32", NULL, NULL},
        {"QueryParameterMatcher.present_match", "GET http h /q2?b", NULL, "q2"},
        {"QueryParameterMatcher.present_match, empty value", "GET http h /q2?b=", NULL, "q2"},
        {"QueryParameterMatcher.present_match, absent", "GET http h /q2", NULL, NULL},
        {"QueryParameterMatcher.present_match false", "GET http h /q3", NULL, "q3"},
        {"QueryParameterMatcher.present_match false, there", "GET http h /q3?b=1", NULL, NULL},
        {"QueryParameterMatcher bare is presence", "GET http h /q4?x&b=1", NULL, "q4"},
        {"QueryParameterMatcher.name is case-sensitive", "GET http h /q4?B=1", NULL, NULL},
        {"CookieMatcher", "GET http h /c1", "cookie: a=1; s=\"abc\"", "c1"},
        {"CookieMatcher, second field", "GET http h /c1", "cookie: a=1|cookie: s=abc", "c1"},
        {"CookieMatcher fails", "GET http h /c1", "cookie: s=abcd", NULL},
        {"CookieMatcher.invert_match, absent", "GET http h /c2", NULL, "c2"},
        {"CookieMatcher.invert_match, equal", "GET http h /c2", "cookie: s=abc", NULL},
        {"RouteMatch.grpc", "POST http h /g", "content-type: application/grpc", "grpc"},
        {"RouteMatch.grpc with subtype", "POST http h /g", "content-type: application/grpc+proto",
         "grpc"},
        {"RouteMatch.grpc-web is not", "POST http h /g", "content-type: application/grpc-web",
         NULL},
        {"RouteMatch.grpc, other", "POST http h /g", "content-type: text/plain", NULL},
        {"RouteMatch.runtime_fraction below", "GET http h /f random=29", NULL, "fraction"},
        {"RouteMatch.runtime_fraction at", "GET http h /f random=130", NULL, NULL},
        {"RouteMatch.runtime_fraction 0", "GET http h /f0 random=0", NULL, NULL},
        {"RouteMatch.runtime_fraction MILLION", "GET http h /fm random=2000000", NULL, "million"},
        {"RouteMatch.tls_context.presented", "GET https h /t1 tls peer=spiffe://x", NULL,
         "presented"},
        {"RouteMatch.tls_context.presented, none", "GET https h /t1 tls", NULL, NULL},
        {"RouteMatch.tls_context.validated false", "GET https h /t2 tls", NULL, "not-validated"},
        {"RouteMatch.tls_context.validated false, plaintext", "GET http h /t2", NULL,
         "not-validated"},
        {"RouteMatch.tls_context.validated false, validated", "GET https h /t2 tls peer=spiffe://x",
         NULL, NULL},
    };
    run(routes_of(
            "{name: q1, match: {path: /q1, query_parameters: [{name: b, string_match: {exact: '2'}}]},"
            " route: {cluster: a}},"
            "{name: q2, match: {path: /q2, query_parameters: [{name: b, present_match: true}]},"
            " route: {cluster: a}},"
            "{name: q3, match: {path: /q3, query_parameters: [{name: b, present_match: false}]},"
            " route: {cluster: a}},"
            "{name: q4, match: {path: /q4, query_parameters: [{name: b}]}, route: {cluster: a}},"
            "{name: c1, match: {path: /c1, cookies: [{name: s, string_match: {exact: abc}}]},"
            " route: {cluster: a}},"
            "{name: c2, match: {path: /c2, cookies: [{name: s, string_match: {exact: abc}, invert_match: true}]},"
            " route: {cluster: a}},"
            "{name: grpc, match: {path: /g, grpc: {}}, route: {cluster: a}},"
            "{name: fraction, match: {path: /f, runtime_fraction: {default_value: {numerator: 30}}},"
            " route: {cluster: a}},"
            "{name: zero, match: {path: /f0, runtime_fraction: {default_value: {numerator: 0}}},"
            " route: {cluster: a}},"
            "{name: million, match: {path: /fm, runtime_fraction: {default_value:"
            " {numerator: 1, denominator: MILLION}}}, route: {cluster: a}},"
            "{name: presented, match: {path: /t1, tls_context: {presented: true}}, route: {cluster: a}},"
            "{name: not-validated, match: {path: /t2, tls_context: {validated: false}}, route: {cluster: a}}"),
        cases, ARRAY_LEN(cases));
}

static void demands_tls(void **state)
{
    (void)state;
    const struct route_table *t =
        table_of("{virtual_hosts: [{name: v, domains: ['*'], require_tls: ALL,"
                 " routes: [{name: r, match: {prefix: /}, route: {cluster: a}}]}]}");
    struct traffic plain = traffic_of(&(struct request){.line = "GET http h:80 /x?y"});
    struct traffic secure = traffic_of(&(struct request){.line = "GET https h /x"});
    const struct route *r = route_find(t, &plain, &scratch, NULL);
    assert_int_equal(r->action, ROUTE_REDIRECT);
    assert_int_equal(r->redirect_status, 301);
    assert_span(route_redirect_location(r, &plain, &scratch), "https://h/x?y");
    assert_span(route_find(t, &secure, &scratch, NULL)->name, "r");
}

/* ---- actions ---- */

static const struct route *only_route(const char *route)
{
    const struct route_table *t = routes_of(route);
    return &t->any->entries[0].route;
}

static void rewrites_paths(void **state)
{
    (void)state;
    static const struct {
        const char *field, *route, *path, *want;
    } cases[] = {
        {"none", "match: {prefix: /a}, route: {cluster: c}", "/a/b?q", "/a/b?q"},
        {"prefix_rewrite", "match: {prefix: /a}, route: {cluster: c, prefix_rewrite: /z}", "/a/b?q",
         "/z/b?q"},
        {"prefix_rewrite to /", "match: {prefix: /a/}, route: {cluster: c, prefix_rewrite: /}",
         "/a/b", "/b"},
        {"prefix_rewrite is literal", "match: {prefix: /a}, route: {cluster: c, prefix_rewrite: /}",
         "/a/b", "//b"},
        {"prefix_rewrite of path", "match: {path: /a}, route: {cluster: c, prefix_rewrite: /z}",
         "/a?q=1", "/z?q=1"},
        {"prefix_rewrite of path_separated_prefix",
         "match: {path_separated_prefix: /a}, route: {cluster: c, prefix_rewrite: /z}", "/a", "/z"},
        {"prefix_rewrite of safe_regex takes all",
         "match: {safe_regex: {regex: '/a.*'}}, route: {cluster: c, prefix_rewrite: /z}", "/a/b?q",
         "/z?q"},
        {"regex_rewrite",
         "match: {prefix: /}, route: {cluster: c, regex_rewrite: {pattern: {regex: '^/([^/]+)(/.*)$'},"
         " substitution: '\\\\2/by/\\\\1'}}",
         "/a/b?q", "/b/by/a?q"},
        {"regex_rewrite replaces all",
         "match: {prefix: /}, route: {cluster: c, regex_rewrite:"
         " {pattern: {regex: 'x'}, substitution: yy}}",
         "/x/x?x", "/yy/yy?x"},
        {"regex_rewrite without match",
         "match: {prefix: /}, route: {cluster: c, regex_rewrite:"
         " {pattern: {regex: 'q+'}, substitution: yy}}",
         "/x", "/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *fixed = arena_printf(&arena, "{%s}", cases[i].route);
        for (char *c = strstr(fixed, "\\\\"); c; c = strstr(c + 1, "\\\\")) {
            memmove(c, c + 1, strlen(c)); /* YAML's single quotes keep backslashes as they are */
        }
        struct span got = route_rewrite_path(only_route(fixed), span_of(cases[i].path), &scratch);
        if (!span_is(got, cases[i].want)) {
            print_error("%s: got '%.*s', want '%s'\n", cases[i].field, SPAN_ARG(got),
                        cases[i].want);
            fail();
        }
    }
}

static void redirects(void **state)
{
    (void)state;
    static const struct {
        const char *field, *redirect, *line, *want;
    } cases[] = {
        {"nothing said", "{}", "GET http h /a?b", "http://h/a?b"},
        {"https_redirect", "{https_redirect: true}", "GET http h /a", "https://h/a"},
        {"https_redirect drops :80", "{https_redirect: true}", "GET http h:80 /a", "https://h/a"},
        {"https_redirect keeps :8080", "{https_redirect: true}", "GET http h:8080 /a",
         "https://h:8080/a"},
        {"scheme_redirect drops :443", "{scheme_redirect: http}", "GET https h:443 /", "http://h/"},
        {"port kept when the scheme stays", "{host_redirect: ''}", "GET http h:80 /",
         "http://h:80/"},
        {"port_redirect", "{port_redirect: 8443}", "GET http h:80 /", "http://h:8443/"},
        {"port_redirect, IPv6", "{port_redirect: 81}", "GET http [::1]:80 /", "http://[::1]:81/"},
        {"IPv6 without port", "{https_redirect: true}", "GET http [::1] /", "https://[::1]/"},
        {"host_redirect", "{host_redirect: new.com}", "GET http h:81 /a", "http://new.com/a"},
        {"host_redirect and port_redirect", "{host_redirect: nn, port_redirect: 8}", "GET http h /",
         "http://nn:8/"},
        {"path_redirect", "{path_redirect: /new}", "GET http h /a", "http://h/new"},
        {"path_redirect keeps the query", "{path_redirect: /new}", "GET http h /a?x=1",
         "http://h/new?x=1"},
        {"path_redirect with query", "{path_redirect: '/new?y=2'}", "GET http h /a?x=1",
         "http://h/new?y=2"},
        {"strip_query", "{strip_query: true}", "GET http h /a?x=1", "http://h/a"},
        {"path_redirect, strip_query", "{path_redirect: /n, strip_query: true}", "GET http h /a?x",
         "http://h/n"},
        {"prefix_rewrite", "{prefix_rewrite: /z}", "GET http h /a/b?x", "http://h/z/a/b?x"},
        {"prefix_rewrite, strip_query", "{prefix_rewrite: /z, strip_query: true}",
         "GET http h /a?x", "http://h/z/a"},
        {"regex_rewrite", "{regex_rewrite: {pattern: {regex: '/a(.*)'}, substitution: '/b\\1'}}",
         "GET http h /a/c?x", "http://h/b/c?x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct route *r = only_route(
            arena_printf(&arena, "{match: {prefix: ''}, redirect: %s}", cases[i].redirect));
        struct traffic tr = traffic_of(&(struct request){.line = cases[i].line});
        struct span got = route_redirect_location(r, &tr, &scratch);
        if (!span_is(got, cases[i].want)) {
            print_error("%s: got '%.*s', want '%s'\n", cases[i].field, SPAN_ARG(got),
                        cases[i].want);
            fail();
        }
    }
    static const struct {
        const char *code;
        unsigned want;
    } codes[] = {{"MOVED_PERMANENTLY", 301},
                 {"FOUND", 302},
                 {"SEE_OTHER", 303},
                 {"TEMPORARY_REDIRECT", 307},
                 {"PERMANENT_REDIRECT", 308}};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        const struct route *r = only_route(arena_printf(
            &arena, "{match: {prefix: /}, redirect: {response_code: %s}}", codes[i].code));
        assert_int_equal(r->redirect_status, codes[i].want);
    }
}

static void has_defaults(void **state)
{
    (void)state;
    const struct route *r = only_route("{match: {prefix: /}, route: {cluster: abc}}");
    assert_int_equal(r->action, ROUTE_FORWARD);
    assert_int_equal(r->timeout_ms, 15000);
    assert_int_equal(r->idle_ms, -1);
    assert_int_equal(r->max_stream_ms, 0);
    assert_false(r->grpc_timeout);
    assert_int_equal(r->retry.on, 0);
    assert_int_equal(r->no_cluster_status, 503);
    assert_int_equal(r->cluster_count, 1);
    assert_int_equal(r->clusters[0].slot, 3);
    assert_null(r->headers[0]);
    assert_null(route_override(r, r->clusters, SPAN("x")));
}

static void reads_forwarding(void **state)
{
    (void)state;
    const struct route *r = only_route(
        "{name: r, match: {prefix: /}, decorator: {operation: op, propagate: false}, route: {cluster: abc,"
        " timeout: 0s, idle_timeout: 2.5s, priority: HIGH, cluster_not_found_response_code: NOT_FOUND,"
        " max_grpc_timeout: 0s, grpc_timeout_offset: 0.1s, max_stream_duration: {max_stream_duration: 1s,"
        " grpc_timeout_header_max: 3s, grpc_timeout_header_offset: 0.2s},"
        " host_rewrite_literal: h, append_x_forwarded_host: true, upgrade_configs: [{upgrade_type: WebSocket}],"
        " request_mirror_policies: [{cluster: ab, runtime_fraction: {default_value: {numerator: 5}}},"
        " {cluster: x, disable_shadow_host_suffix_append: true}],"
        " hash_policy: [{header: {header_name: X-User}, terminal: true}, {cookie: {name: c, ttl: 60s, path: /}},"
        " {connection_properties: {source_ip: true}}, {connection_properties: {}}, {query_parameter: {name: q}}],"
        " retry_policy: {retry_on: '5xx, connect-failure,unavailable', num_retries: 3, per_try_timeout: 0.25s,"
        " retriable_status_codes: [503, 429], host_selection_retry_max_attempts: 5,"
        " retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}],"
        " retry_back_off: {base_interval: 0.1s}}}}");
    assert_int_equal(r->timeout_ms, 0);
    assert_int_equal(r->idle_ms, 2500);
    assert_true(r->priority_high && r->websocket && r->append_forwarded_host);
    assert_int_equal(r->no_cluster_status, 404);
    assert_true(r->grpc_timeout && r->grpc_stream);
    assert_int_equal(r->grpc_timeout_max_ms, 0);
    assert_int_equal(r->max_stream_ms, 1000);
    assert_int_equal(r->grpc_stream_max_ms, 3000);
    assert_int_equal(r->grpc_timeout_offset_ms, 100);
    assert_int_equal(r->grpc_stream_offset_ms, 200);
    assert_span(r->host_rewrite, "h");
    assert_span(r->operation, "op");
    assert_true(r->operation_hidden);
    assert_int_equal(r->mirror_count, 2);
    assert_int_equal(r->mirrors[0].parts_per_million, 50000);
    assert_int_equal(r->mirrors[0].slot, 2);
    assert_int_equal(r->mirrors[1].parts_per_million, 1000000);
    assert_true(r->mirrors[1].keep_host && !r->mirrors[0].keep_host);
    assert_int_equal(r->hash_count, 4);
    assert_span(r->hash[0].name, "x-user");
    assert_true(r->hash[0].terminal && r->hash[1].cookie_make);
    assert_int_equal(r->hash[1].cookie_ttl_s, 60);
    assert_int_equal(r->hash[2].kind, ROUTE_HASH_SOURCE_IP);
    assert_int_equal(r->hash[3].kind, ROUTE_HASH_QUERY);
    assert_int_equal(r->retry.on, RETRY_5XX | RETRY_CONNECT_FAILURE | RETRY_GRPC_UNAVAILABLE);
    assert_int_equal(r->retry.attempts, 3);
    assert_int_equal(r->retry.per_try_ms, 250);
    assert_int_equal(r->retry.status_count, 2);
    assert_int_equal(r->retry.status_codes[1], 429);
    assert_int_equal(r->retry.backoff_base_ms, 100);
    assert_int_equal(r->retry.backoff_max_ms, 1000);
    assert_int_equal(r->retry.host_tries, 5);
    assert_true(r->retry.other_host);
}

static void retries_by_default_once(void **state)
{
    (void)state;
    const struct route_table *t = table_of(
        "{virtual_hosts: [{name: v, domains: ['*'], retry_policy: {retry_on: reset}, include_request_attempt_count: true,"
        " routes: [{name: a, match: {path: /a}, route: {cluster: c}},"
        " {name: b, match: {path: /b}, route: {cluster: c, retry_policy: {retry_on: gateway-error, num_retries: 0}}}]}]}");
    const struct route *a = &t->any->entries[0].route;
    const struct route *b = &t->any->entries[1].route;
    assert_int_equal(a->retry.on, RETRY_RESET);
    assert_int_equal(a->retry.attempts, 1);
    assert_int_equal(a->retry.backoff_base_ms, 25);
    assert_int_equal(a->retry.backoff_max_ms, 250);
    assert_true(a->attempt_count);
    assert_int_equal(b->retry.on, RETRY_GATEWAY_ERROR);
    assert_int_equal(b->retry.attempts, 0);
}

static void picks_by_weight(void **state)
{
    (void)state;
    const struct route *r = only_route(
        "{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 1}, {name: bb, weight: 0},"
        " {name: ccc, weight: 3, host_rewrite_literal: h, request_headers_to_add: [{header: {key: X, value: why}}]}]}}}");
    unsigned count[4] = {0};
    for (uint64_t i = 0; i < 400; i++) {
        count[route_pick_cluster(r, i)->slot]++;
    }
    assert_int_equal(count[1], 100);
    assert_int_equal(count[2], 0);
    assert_int_equal(count[3], 300);
    assert_span(r->clusters[2].host_rewrite, "h");
    assert_int_equal(r->clusters[2].headers.request_count, 1);
    const struct route *by_header =
        only_route("{match: {prefix: /}, route: {cluster_header: X-Cluster}}");
    assert_null(route_pick_cluster(by_header, 5));
    assert_span(by_header->cluster_header, "x-cluster");
}

static void orders_header_ops(void **state)
{
    (void)state;
#define LEVELS                                                                                                      \
    "request_headers_to_add: [{header: {key: X-Table, value: t}}], virtual_hosts: [{name: v, domains: ['*'],"       \
    " request_headers_to_add: [{header: {key: X-Host, value: h}}], routes: [{name: r, match: {prefix: /},"          \
    " request_headers_to_remove: [X-Gone], request_headers_to_add: [{header: {key: X-Route, value: '%PROTOCOL%'}}," \
    " {header: {key: x-b, value: b}, append: false}, {header: {key: x-c, value: c}, append_action: ADD_IF_ABSENT}," \
    " {header: {key: x-d, value: d}, append_action: OVERWRITE_IF_EXISTS},"                                          \
    " {header: {key: x-e}, keep_empty_value: true}, {header: {key: x-f}}],"                                         \
    " response_headers_to_remove: [server], route: {cluster: c}}]}]"
    const struct route *r = &table_of("{" LEVELS "}")->any->entries[0].route;
    const struct route_header_op *op = r->headers[0]->request;
    assert_int_equal(r->headers[0]->request_count, 6);
    assert_int_equal(op[0].op, ROUTE_HEADER_REMOVE);
    assert_span(op[0].name, "x-gone");
    assert_int_equal(op[1].op, ROUTE_HEADER_APPEND);
    assert_true(op[1].formatted && !op[2].formatted);
    assert_int_equal(op[2].op, ROUTE_HEADER_SET);
    assert_int_equal(op[3].op, ROUTE_HEADER_ADD_IF_ABSENT);
    assert_int_equal(op[4].op, ROUTE_HEADER_SET_IF_PRESENT);
    assert_true(op[5].keep_empty);
    assert_int_equal(r->headers[0]->response_count, 1);
    assert_span(r->headers[1]->request[0].name, "x-host");
    assert_span(r->headers[2]->request[0].name, "x-table");
    assert_null(r->headers[3]);
    assert_false(r->cluster_headers_last);
    const struct route *turned =
        &table_of("{most_specific_header_mutations_wins: true, " LEVELS "}")->any->entries[0].route;
    assert_span(turned->headers[0]->request[0].name, "x-table");
    assert_span(turned->headers[2]->request[0].name, "x-gone");
    assert_true(turned->cluster_headers_last);
}

#define RBAC_PER_ROUTE \
    "'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
#define FILTER_CONFIG "'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig"

static void overrides_filters(void **state)
{
    (void)state;
    const struct route_table *t = table_of(
        "{typed_per_filter_config: {c: {" FILTER_CONFIG ", disabled: true}},"
        " virtual_hosts: [{name: v, domains: ['*'], typed_per_filter_config: {b: {" FILTER_CONFIG
        ", disabled: true}},"
        " routes: [{name: r, match: {prefix: /}, typed_per_filter_config: {a: {" RBAC_PER_ROUTE
        ", rbac: {rules: {action: DENY, policies: {p: {permissions: [{any: true}], principals: [{any: true}]}}}}},"
        " b: {" RBAC_PER_ROUTE "}, unknown: {" FILTER_CONFIG ", is_optional: true, config:"
        " {'@type': type.googleapis.com/google.protobuf.Duration, value: 1s}}}, route: {weighted_clusters: {clusters:"
        " [{name: x, weight: 1, typed_per_filter_config: {c: {" RBAC_PER_ROUTE
        ", rbac: {}}}}]}}}]}]}");
    const struct route *r = &t->any->entries[0].route;
    const struct route_override *a = route_override(r, NULL, SPAN("a"));
    assert_true(a->rules != NULL && a->deny && !a->disabled);
    assert_true(route_override(r, NULL, SPAN("b"))->disabled);
    assert_null(route_override(r, NULL, SPAN("unknown")));
    assert_true(route_override(r, NULL, SPAN("c"))->disabled);
    const struct route_override *c = route_override(r, &r->clusters[0], SPAN("c"));
    assert_true(!c->disabled && c->rules == NULL);
}

static void answers_directly(void **state)
{
    (void)state;
    const struct route *r = only_route(
        "{match: {prefix: /}, direct_response: {status: 418, body: {inline_string: tea}}}");
    assert_int_equal(r->action, ROUTE_DIRECT);
    assert_int_equal(r->direct_status, 418);
    assert_span(r->direct_body, "tea");
}

/* ---- what is refused ---- */

static void refuses_by_name(void **state)
{
    (void)state;
#define ROUTE(text) "{virtual_hosts: [{name: v, domains: ['*'], routes: [{name: r, " text "}]}]}"
    static const struct {
        const char *config, *why;
    } cases[] = {
        {ROUTE("match: {prefix: /}"), "virtual host 'v': route 0 'r': action is not set"},
        {ROUTE("route: {cluster: a}"), "match is missing"},
        {ROUTE("match: {}, route: {cluster: a}"), "match: path_specifier is not set"},
        {ROUTE("match: {path_match_policy: {name: uri_template}}, route: {cluster: a}"),
         "path_match_policy 'uri_template' is not known"},
        {ROUTE("match: {path_separated_prefix: /a/}, route: {cluster: a}"),
         "path_separated_prefix '/a/'"},
        {ROUTE("match: {safe_regex: {regex: 'a('}}, route: {cluster: a}"), "regex 'a('"},
        {ROUTE("match: {prefix: /, dynamic_metadata: [{filter: x}]}, route: {cluster: a}"),
         "dynamic_metadata"},
        {ROUTE("match: {prefix: /, filter_state: [{key: x}]}, route: {cluster: a}"),
         "filter_state"},
        {ROUTE("match: {prefix: /, headers: [{name: a, string_match: {}}]}, route: {cluster: a}"),
         "header 'a': match_pattern is not set"},
        {ROUTE(
             "match: {prefix: /, headers: [{name: a, string_match: {prefix: ''}}]}, route: {cluster: a}"),
         "header 'a': 'prefix' is empty"},
        {ROUTE("match: {prefix: /}, route: {cluster: ''}"), "cluster is empty"},
        {ROUTE("match: {prefix: /}, route: {}"), "cluster_specifier is not set"},
        {ROUTE("match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a}]}}"),
         "weights' sum is 0"},
        {ROUTE(
             "match: {prefix: /}, route: {weighted_clusters: {clusters: [{cluster_header: a, weight: 1}]}}"),
         "cluster_header is not supported"},
        {ROUTE(
             "match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 1}], header_name: x}}"),
         "random_value_specifier"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, timeout: -1s}"), "'timeout' is -1 s"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, hedge_policy: {}}"), "hedge_policy"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, internal_redirect_policy: {}}"),
         "internal_redirect_policy"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, host_rewrite_header: x}"),
         "host_rewrite_header"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, path_rewrite: x}"), "path_rewrite"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, prefix_rewrite: /x, regex_rewrite: {pattern: {regex: a}}}"),
         "both prefix_rewrite and regex_rewrite"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, regex_rewrite: {pattern: {regex: a}, substitution: '\\1'}}"),
         "regex_rewrite"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, upgrade_configs: [{upgrade_type: connect-udp}]}"),
         "upgrade_type 'connect-udp'"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, retry_policy: {retry_on: sometimes}}"),
         "retry_policy: retry_on: 'sometimes' is not known"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, retry_policy: {retriable_headers: [{name: x}]}}"),
         "retriable_headers"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, retry_policy: {retry_back_off: {base_interval: 2s,"
             " max_interval: 1s}}}"),
         "max_interval is less"},
        {ROUTE("match: {prefix: /}, route: {cluster: a, hash_policy: [{filter_state: {key: k}}]}"),
         "hash_policy 0: filter_state"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a, request_mirror_policies: [{cluster_header: k}]}"),
         "request_mirror_policies 0: cluster_header"},
        {ROUTE("match: {prefix: /}, filter_action: {}"), "filter_action"},
        {ROUTE("match: {prefix: /}, non_forwarding_action: {}"), "non_forwarding_action"},
        {ROUTE("match: {prefix: /}, direct_response: {status: 99}"), "status 99"},
        {ROUTE("match: {prefix: /}, direct_response: {status: 200, body: {filename: /etc/passwd}}"),
         "body: only"},
        {ROUTE("match: {prefix: /}, redirect: {port_redirect: 70000}"), "port_redirect 70000"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, request_headers_to_add: [{header: {key: ':path', value: x}}]"),
         "header ':path'"},
        {ROUTE("match: {prefix: /}, route: {cluster: a}, request_headers_to_remove: [Host]"),
         "header 'Host'"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, response_headers_to_add: [{header: {key: 'a b', value: x}}]"),
         "response headers: header 'a b'"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {envoy.filters.http.router:"
             " {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"),
         "typed_per_filter_config 'envoy.filters.http.router': type 'envoy.extensions.filters.http.router.v3.Router'"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, delay: {header_delay: {}}}}"),
         "typed_per_filter_config 'f': delay: only fixed_delay is supported"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, delay: {fixed_delay: -1s}}}"),
         "typed_per_filter_config 'f': delay: "},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 199}}}"),
         "typed_per_filter_config 'f': abort: http_status is 199; use 200 to 599"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {grpc_status: 17}}}"),
         "typed_per_filter_config 'f': abort: grpc_status is 17; use 0 to 16"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {header_abort: {}}}}"),
         "typed_per_filter_config 'f': abort: only http_status and grpc_status are supported"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, max_active_faults: 3}}"),
         "typed_per_filter_config 'f': 'max_active_faults' is not supported"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, response_rate_limit: {}}}"),
         "typed_per_filter_config 'f': 'response_rate_limit' is not supported"},
        {ROUTE(
             "match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {f: {'@type':"
             " type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, downstream_nodes: [a]}}"),
         "typed_per_filter_config 'f': 'downstream_nodes' is not supported"},
        {"{virtual_hosts: [{name: v, domains: [a, A]}]}", "domain 'A' is also in virtual host 'v'"},
        {"{virtual_hosts: [{name: v, domains: ['*']}, {name: w, domains: ['*']}]}", "domain '*'"},
        {"{virtual_hosts: [{name: v}]}", "domains is empty"},
        {"{virtual_hosts: [{name: v, domains: ['*'], require_tls: EXTERNAL_ONLY}]}", "require_tls"},
        {"{virtual_hosts: [{name: v, domains: ['*'], hedge_policy: {}}]}", "hedge_policy"},
        {"{vhds: {}, request_headers_to_remove: [a]}", "'request_headers_to_remove'"},
        {"{vhds: {}, most_specific_header_mutations_wins: true}", "together with vhds"},
        {"{internal_only_headers: [x]}", "internal_only_headers"},
        {"{vhost_header: x}", "vhost_header"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct route_table *t = NULL;
        int rc = compile(&t, cases[i].config, &err);
        if (rc != -ERR_CONFIG || !strstr(err.text, cases[i].why)) {
            print_error("%s\n got %d '%s'\n want '%s'\n", cases[i].config, rc, err.text,
                        cases[i].why);
            fail();
        }
    }
}

static void refuses_unknown_fields(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        size_t len;
        const char *why;
    } cases[] = {
        /* virtual_hosts { matcher {} } */
        {"\x12\x03\xaa\x01\x00", 5,
         "field 21 (matcher) of envoy.config.route.v3.VirtualHost is not supported"},
        /* virtual_hosts { cors {} }: harmless, and then domains are missing */
        {"\x12\x02\x42\x00", 4, "domains is empty"},
        /* field 999 */
        {"\xba\x3e\x00", 3, "field 999 of envoy.config.route.v3.RouteConfiguration is not known"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct route_table *t = NULL;
        struct route_compile with = {.arena = &arena, .slot_of = slot_of};
        const void *msg = pb_decode(&pb_route_RouteConfiguration_desc, &arena,
                                    span_from(cases[i].wire, cases[i].len), &err);
        assert_non_null(msg);
        assert_int_equal(route_table_compile(&t, &with, msg, &err), -ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].why));
    }
}

/* ---- many routes ---- */

static char *many_routes(unsigned count, unsigned seed)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = (i * 7 + seed) % 6;
        const char *match = kind == 0   ? "path: /api/v1/s%u/x"
                            : kind == 1 ? "prefix: /api/v1/s%u"
                            : kind == 2 ? "path_separated_prefix: /api/v1/s%u"
                            : kind == 3 ? "prefix: /api/v1/s%u/"
                            : kind == 4 ? "safe_regex: {regex: '/api/v1/s%u[a-z]'}"
                                        : "prefix: /API/v1/s%u, case_sensitive: false";
        assert_int_equal(buf_printf(&b, "%s{name: r%u, match: {", i ? "," : "", i), 0);
        assert_int_equal(buf_printf(&b, match, i / 2), 0);
        assert_int_equal(buf_printf(&b, i % 11 == 0 ? ", headers: [{name: x-a}]" : "%s", ""), 0);
        assert_int_equal(buf_printf(&b, "}, route: {cluster: c}}"), 0);
    }
    char *text = arena_strdup(&arena, buf_cstr(&b));
    buf_dispose(&b);
    return text;
}

/* The index finds what a plain scan finds. */
static void finds_the_same_with_an_index(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 3; seed++) {
        const struct route_table *t = routes_of(many_routes(300, seed));
        const struct virtual_host *host = t->any;
        assert_non_null(host->index);
        for (unsigned i = 0; i < 1200; i++) {
            static const char *const tails[] = {"", "/x", "/", "a", "/y/z", "5", "/x?q=1"};
            struct traffic tr = {.method = SPAN("GET"), .authority = SPAN("h")};
            tr.path = span_of(arena_printf(&scratch, "%s/v1/s%u%s", i % 5 ? "/api" : "/aPi",
                                           i % 170, tails[i % ARRAY_LEN(tails)]));
            policy_test_fields(&scratch, i % 3 ? "x-a: 1" : NULL, &tr);
            struct route_ask ask = {.traffic = &tr,
                                    .path = query_match_path(tr.path),
                                    .query = query_match_query(tr.path),
                                    .scratch = &scratch};
            const struct route_entry *want =
                route_index_find(NULL, host->entries, host->count, &ask);
            const struct route_entry *got =
                route_index_find(host->index, host->entries, host->count, &ask);
            assert_ptr_equal(got, want);
            arena_reset(&scratch);
        }
    }
}

/* A path in more groups than streams is scanned, and found. */
static void scans_when_prefixes_pile_up(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(
            buf_printf(&b,
                       "%s{name: r%u, match: {prefix: '/%.*s', headers: [{name: x-%u}]},"
                       " route: {cluster: c}}",
                       i ? "," : "", i, (int)i,
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", i),
            0);
    }
    const struct route_table *t = routes_of(buf_cstr(&b));
    static const struct request cases[] = {
        {"order",
         "GET http h /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "x-57: 1|x-40: 1", "r40"},
        {"order",
         "GET http h /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "x-57: 1", "r57"},
    };
    run(t, cases, ARRAY_LEN(cases));
    buf_dispose(&b);
}

static void explains(void **state)
{
    (void)state;
    const struct route_table *t = routes_of(
        "{name: one, match: {prefix: /a, headers: [{name: x, exact_match: v}]}, route: {cluster: c}},"
        "{name: two, match: {path: /b}, route: {cluster: c}}");
    struct traffic tr = traffic_of(&(struct request){.line = "GET http h /a", .headers = "x: w"});
    struct explain ex = {0};
    buf_init(&ex.text, 4096);
    assert_null(route_find(t, &tr, &scratch, &ex));
    assert_string_equal(buf_cstr(&ex.text), "virtual host 'v' for 'h' ('*' domain)\n"
                                            "route 0 'one'\n"
                                            "  header 'x' is 'w', want exact 'v'\n"
                                            "route 1 'two'\n"
                                            "  path '/a' is not path '/b'\n"
                                            "no route matches\n");
    buf_dispose(&ex.text);
}

/* RouteConfiguration.vhds: hosts that came later stand beside the table's own, by their whole authority. */
static void learns_virtual_hosts(void **state)
{
    (void)state;
    struct err err = {0};
    struct route_table *base = table_of(
        "{name: t, vhds: {}, ignore_port_in_host_matching: true, virtual_hosts: ["
        "{name: own, domains: [own], routes: [{name: own, match: {prefix: /}, route: {cluster: a}}]},"
        "{name: any, domains: ['*'], routes: [{name: any, match: {prefix: /}, route: {cluster: a}}]}]}");
    assert_true(route_table_learns(base));
    struct route_compile with = {.arena = &arena, .slot_of = slot_of};
    const struct virtual_host *host = NULL;
    assert_int_equal(
        route_host_compile(
            &host, &with,
            policy_test_read(
                &arena, &pb_route_VirtualHost_desc,
                "{name: x, domains: [other], routes: [{name: learned, match: {prefix: /}, "
                "route: {cluster: bb}}]}"),
            &err),
        0);
    struct route_learned learned = {.authority = SPAN("reviews:80"), .host = host};
    const struct route_table *t = route_table_with(base, &arena, &learned, 1);
    static const struct {
        const char *authority, *want;
        bool unknown;
    } cases[] = {
        {"reviews:80", "learned", false}, {"Reviews:80", "learned", false},
        {"reviews:81", "any", true},      {"reviews", "any", true},
        {"own:80", "own", false},         {"own", "own", false},
        {"other", "any", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct traffic tr = {.method = SPAN("GET"),
                             .scheme = SPAN("http"),
                             .authority = span_of(cases[i].authority),
                             .path = SPAN("/")};
        bool unknown = !cases[i].unknown;
        assert_span(route_find_known(t, &tr, &scratch, &unknown)->name, cases[i].want);
        assert_int_equal(unknown, cases[i].unknown);
        assert_span(route_find(t, &tr, &scratch, NULL)->name, cases[i].want);
    }
    assert_int_equal(route_host_compile(&host, &with,
                                        policy_test_read(&arena, &pb_route_VirtualHost_desc,
                                                         "{name: x, hedge_policy: {}}"),
                                        &err),
                     -ERR_CONFIG);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        T(finds_the_virtual_host),
        T(ignores_ports_when_told),
        T(has_no_default_host),
        T(matches_paths),
        T(ignores_path_parameters_when_told),
        T(matches_headers),
        T(matches_the_rest),
        T(demands_tls),
        T(rewrites_paths),
        T(redirects),
        T(has_defaults),
        T(reads_forwarding),
        T(retries_by_default_once),
        T(picks_by_weight),
        T(orders_header_ops),
        T(overrides_filters),
        T(answers_directly),
        T(refuses_by_name),
        T(refuses_unknown_fields),
        T(finds_the_same_with_an_index),
        T(scans_when_prefixes_pile_up),
        T(explains),
        T(learns_virtual_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

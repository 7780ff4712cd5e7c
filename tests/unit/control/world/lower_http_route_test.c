/* control/world/lower_http_route: every field in the one route form, and Gateway API's precedence. */
#include "control/world/lower_http_route.c"

#include "unit/control/world/world_dump.h"

#define SERVICES                                             \
    SERVICE("web", "one", "ports: [{port: 80, name: http}]") \
    SERVICE("a", "one", "ports: [{port: 80, name: http}]")   \
    SERVICE("b", "two", "ports: [{port: 80, name: http}]")   \
    GRANT("two", "one")
#define PARENT "  parentRefs: [{kind: Service, group: \"\", name: web, port: 80}]\n"
#define ROUTE(rules) SERVICES HTTP_ROUTE("r", "one", "10", PARENT "  rules:\n" rules)
#define TO "backendRefs: [{name: a, port: 80}]"

static void lowers(void **state)
{
    static const struct {
        const char *objects, *want;
    } rows[] = {
        {ROUTE("  - {" TO "}\n"), "^// -> 1 a:80\n"},
        {ROUTE(
             "  - {backendRefs: [{name: a, port: 80, weight: 9}, {name: b, namespace: two, port: 80}, {name: web, port: 80, "
             "weight: 0}]}\n"),
         "^// -> 9 a:80, 1 b:80\n"},
        {ROUTE(
             "  - {backendRefs: [{name: a, port: 80}, {name: nobody, port: 80}, {name: a, port: 81}]}\n"),
         "^// -> 1 a:80, 1 missing nobody:80, 1 missing a:81\n"},
        {ROUTE("  - {backendRefs: [{name: a, port: 80, weight: 0}]}\n"), "^// -> 500 ''\n"},
        {ROUTE(
             "  - {matches: [{path: {type: PathPrefix, value: /a/}, method: GET, headers: [{name: X, value: \"1\"}], "
             "queryParams: [{name: q, value: \"2\"}]}], " TO "}\n"),
         "^//a GET h:x=1 q:q=2 -> 1 a:80\n"},
        {ROUTE(
             "  - {filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: b}], remove: [c]}}, "
             "{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: d, value: e}]}}], " TO
             "}\n"),
         "^// -> 1 a:80 -c: =a:b resp+d:e\n"},
        {ROUTE(
             "  - {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: x.y, statusCode: 301, "
             "path: {type: ReplaceFullPath, replaceFullPath: /z}}}]}\n"),
         "^// -> 301 https://x.y:0s path /z\n"},
        {ROUTE("  - {filters: [{type: RequestRedirect, requestRedirect: {port: 8443, "
               "path: {type: ReplacePrefixMatch, replacePrefixMatch: /z}}}]}\n"),
         "^// -> 302 ://:8443 prefix /z\n"},
        {ROUTE(
             "  - {filters: [{type: URLRewrite, urlRewrite: {hostname: x.y, path: {type: ReplacePrefixMatch, "
             "replacePrefixMatch: /n}}}], " TO "}\n"),
         "^// -> 1 a:80 rewrite=/n authority=x.y\n"},
        {ROUTE(
             "  - {filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /n}}}], " TO
             "}\n"),
         "^// -> 1 a:80 rewrite-path=/n\n"},
        {ROUTE(
             "  - {filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b, namespace: two, port: 80}}}], " TO
             "}\n"),
         "^// -> 1 a:80 mirror 100 b:80\n"},
        {ROUTE("  - {timeouts: {request: 10s, backendRequest: 2s}, " TO "}\n"),
         "^// -> 1 a:80 timeout=10000 try=2000\n"},
        {ROUTE("  - {retry: {attempts: 3, codes: [500, 503]}, " TO "}\n"),
         "^// -> 1 a:80 retry=3/0/connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes/500/503\n"},
        {ROUTE(
             "  - {backendRefs: [{name: a, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
             "{set: [{name: v, value: \"1\"}]}}]}]}\n"),
         "^// -> 1 a:80 =v:1\n"},
        /* precedence, whatever the order of the text */
        {ROUTE(
             "  - {matches: [{path: {value: /}}], " TO "}\n"
             "  - {matches: [{path: {value: /long/path}}, {path: {value: /long}}, {path: {value: /long}, method: GET}], " TO
             "}\n"
             "  - {matches: [{path: {value: /long}, headers: [{name: h, value: x}]}], " TO "}\n"
             "  - {matches: [{path: {value: /long}, headers: [{name: h, value: x}, {name: i, value: x}]}], " TO
             "}\n"
             "  - {matches: [{path: {value: /long}, queryParams: [{name: q, value: x}]}], " TO "}\n"
             "  - {matches: [{path: {type: Exact, value: /a}}, {path: {type: RegularExpression, value: \"/.*\"}}], " TO
             "}\n"
             "  - {matches: [{path: {type: Exact, value: /a}, method: PUT}], " TO "}\n"),
         "=/a PUT -> 1 a:80\n=/a -> 1 a:80\n~/.* -> 1 a:80\n^//long/path -> 1 a:80\n^//long GET -> 1 a:80\n"
         "^//long h:h=x h:i=x -> 1 a:80\n^//long h:h=x -> 1 a:80\n^//long q:q=x -> 1 a:80\n^//long -> 1 a:80\n"
         "^// -> 1 a:80\n"},
        /* of several objects: the older first, then by name */
        {SERVICES HTTP_ROUTE("z", "one", "10",
                             PARENT "  rules: [{backendRefs: [{name: a, port: 80}]}]\n")
             HTTP_ROUTE("a", "one", "20",
                        PARENT "  rules: [{backendRefs: [{name: web, port: 80}]}]\n")
                 HTTP_ROUTE(
                     "b", "one", "20",
                     PARENT
                     "  rules: [{matches: [{path: {value: /b}}], backendRefs: [{name: web, port: 80}]}]\n"),
         "^//b -> 1 web:80\n^// -> 1 a:80\n^// -> 1 web:80\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        const struct world_service *s = world_test_service(w, "web", "one");
        struct world_dump d = {.len = 0};
        world_dump_vhost(&d, world_mesh_routes(w, s->host, s, 80, SPAN("one")));
        world_dump_expect(rows[i].objects, &d, rows[i].want);
        world_unref(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* control/world/lower_virtual_service: every field in the one route form. */
#include "control/world/lower_virtual_service.c"

#include "unit/control/world/world_dump.h"

#define SERVICES                                                                        \
    SERVICE("reviews", "one", "clusterIP: 10.0.0.1, ports: [{port: 9080, name: http}]") \
    SERVICE("multi", "one", "ports: [{port: 80, name: http}, {port: 81, name: tcp}]")
#define VS(spec) SERVICES VIRTUAL_SERVICE("vs", "one", "10", "  hosts: [reviews]\n" spec)
#define TO "route: [{destination: {host: reviews}}]"

static void lowers(void **state)
{
    static const struct {
        const char *objects, *want;
    } rows[] = {
        {VS("  http: [{" TO "}]\n"), "-> 100 reviews:9080\n"},
        {VS("  http: [{route: [{destination: {host: reviews, subset: v1}, weight: 90}, "
            "{destination: {host: reviews.one.svc.cluster.local, subset: v2, port: {number: 9080}}, weight: 10},"
            "{destination: {host: reviews, subset: v3}, weight: 0}]}]\n"),
         "-> 90 reviews/v1:9080, 10 reviews/v2:9080\n"},
        {VS("  http: [{route: [{destination: {host: multi}}]}]\n"), "-> 100 multi\n"},
        {VS("  http: [{route: [{destination: {host: nothing, port: {number: 80}}}]}]\n"),
         "-> 100 missing nothing:80\n"},
        /* matches */
        {VS("  http: [{match: [{uri: {exact: /a}}, {uri: {prefix: /B}, ignoreUriCase: true}, {uri: {regex: \"/c.*\"}}], " TO
            "}]\n"),
         "=/a | ^i/B | ~/c.* -> 100 reviews:9080\n"},
        {VS("  http: [{match: [{method: {exact: GET}, authority: {prefix: x}, scheme: {exact: https}, port: 80, "
            "sourceNamespace: two, sourceLabels: {app: p}}], " TO "}]\n"),
         "GET a:x s:https port:80 from:p ns:two -> 100 reviews:9080\n"},
        {VS("  http: [{match: [{headers: {End-User: {exact: jason}, x: {}}, withoutHeaders: {Y1: {exact: \"1\"}, "
            "z: {}}, queryParams: {Q: {exact: \"2\"}}}], " TO "}]\n"),
         "h:end-user=jason h:x* h:not y1=1 h:z!* q:Q=2 -> 100 reviews:9080\n"},
        /* other actions */
        {VS("  http: [{redirect: {uri: /b, authority: x.y, redirectCode: 302, scheme: https, port: 8443}}]\n"),
         "-> 302 https://x.y:8443 path /b\n"},
        {VS("  http: [{redirect: {authority: x.y, derivePort: FROM_PROTOCOL_DEFAULT}}]\n"),
         "-> 301 ://x.y:0s\n"},
        {VS("  http: [{directResponse: {status: 503, body: {string: \"no\"}}}]\n"),
         "-> 503 'no'\n"},
        /* the rest */
        {VS("  http: [{rewrite: {uri: /new, authority: a.b}, timeout: 1.5s, " TO "}]\n"),
         "-> 100 reviews:9080 rewrite=/new authority=a.b timeout=1500\n"},
        {VS("  http: [{rewrite: {uriRegexRewrite: {match: \"/(.*)\", rewrite: '/x/\\1'}}, " TO
            "}]\n"),
         "-> 100 reviews:9080 rewrite~/(.*)>/x/\\1\n"},
        {VS("  http: [{retries: {attempts: 3, perTryTimeout: 2s, retryOn: \"503, reset\"}, " TO
            "}]\n"),
         "-> 100 reviews:9080 retry=3/2000/reset,retriable-status-codes/503\n"},
        {VS("  http: [{retries: {attempts: 0}, " TO "}]\n"), "-> 100 reviews:9080 retry=0/0/\n"},
        {VS("  http: [{mirror: {host: multi, port: {number: 80}}, mirrorPercentage: {value: 12.5}, " TO
            "}]\n"),
         "-> 100 reviews:9080 mirror 12.5 multi:80\n"},
        {VS("  http: [{fault: {delay: {percentage: {value: 10}, fixedDelay: 5s}, abort: {percentage: {value: 1}, "
            "httpStatus: 500}}, " TO "}]\n"),
         "-> 100 reviews:9080 delay=10/5000 abort=1/500/-1\n"},
        {VS("  http: [{headers: {request: {set: {A: \"1\"}, add: {b: \"2\"}, remove: [C]}, response: {remove: [D]}}, "
            "route: [{destination: {host: reviews}, headers: {request: {set: {e: f}}}}]}]\n"),
         "-> 100 reviews:9080 =e:f -c: =a:1 +b:2 resp-d:\n"},
        /* tls and tcp */
        {VS("  tls: [{match: [{port: 443, sniHosts: [x.y]}], route: [{destination: {host: multi, port: {number: 81}}}]}]\n"
            "  tcp: [{match: [{port: 81, destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: multi, port: {number: 81}}, "
            "weight: 30}, {destination: {host: reviews}, weight: 70}]}]\n"),
         "tls sni:x.y port:443 ranges:0 -> 100 multi:81\n"
         "tcp port:81 ranges:1 -> 30 multi:81 70 reviews:9080\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world *w = world_test_of(rows[i].objects);
        const struct world_service *s = world_test_service(w, "reviews", "one");
        struct world_dump d = {.len = 0};
        world_dump_vhost(&d, world_mesh_routes(w, s->host, s, 9080, SPAN("one")));
        world_dump_expect(rows[i].objects, &d, rows[i].want);
        world_unref(w);
    }
}

static void lowers_cors(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(VS(
        "  http: [{corsPolicy: {allowOrigins: [{exact: \"http://a\"}, {regex: \".*\"}], allowMethods: [GET, POST], "
        "allowHeaders: [x], exposeHeaders: [q, z], maxAge: 24h, allowCredentials: true}, " TO
        "}]\n"));
    const struct world_service *s = world_test_service(w, "reviews", "one");
    const struct world_cors *c =
        &world_mesh_routes(w, s->host, s, 9080, SPAN("one"))->routes[0].cors;
    assert_true(c->set);
    assert_int_equal(c->origin_count, 2);
    assert_int_equal(c->origins[1].kind, WORLD_MATCH_REGEX);
    assert_span(c->methods, "GET,POST");
    assert_span(c->headers, "x");
    assert_span(c->expose, "q,z");
    assert_int_equal(c->max_age_s, 86400);
    assert_int_equal(c->credentials, 1);
    assert_true(c->forward_unmatched);
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowers),
        cmocka_unit_test(lowers_cors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

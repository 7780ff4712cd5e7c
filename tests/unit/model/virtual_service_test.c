/* VirtualService. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/virtual_service.c"
#include "unit/model/model_test.h"

static void reads_cors(void **state)
{
    struct model_test *t = *state;
    assert_int_equal(
        model_test_read(t, "apiVersion: networking.istio.io/v1\n"
                           "kind: VirtualService\n"
                           "metadata: {name: reviews}\n"
                           "spec:\n"
                           "  hosts: [reviews]\n"
                           "  http:\n"
                           "  - route: [{destination: {host: reviews}}]\n"
                           "    corsPolicy: {allowOrigins: [{exact: \"https://a\"}], maxAge: 24h,"
                           " allowCredentials: false, unmatchedPreflights: IGNORE}\n"),
        1);
    const struct virtual_service_cors *cors = &virtual_service_of(t->object)->http[0].cors;
    assert_int_equal(cors->max_age_ms, 86400000);
    assert_int_equal(cors->credentials, SPEC_BOOL_FALSE);
    assert_int_equal(cors->forward_unmatched, SPEC_BOOL_FALSE);
    assert_int_equal(t->findings.count, 0);
}

static void reads_http(void **state)
{
    const struct virtual_service_spec *s = virtual_service_of(model_test_good(
        state,
        "apiVersion: networking.istio.io/v1\n"
        "kind: VirtualService\n"
        "metadata: {name: reviews}\n"
        "spec:\n"
        "  hosts: [reviews]\n"
        "  gateways: [mesh, istio-system/public]\n"
        "  http:\n"
        "  - name: jason\n"
        "    match:\n"
        "    - uri: {prefix: /a}\n"
        "      headers: {end-user: {exact: jason}, x: {}, z: }\n"
        "      withoutHeaders: {y: {regex: \"a.*\"}}\n"
        "      queryParams: {q: {exact: \"1\"}}\n"
        "      ignoreUriCase: true\n"
        "      port: 80\n"
        "      sourceLabels: {app: x}\n"
        "      sourceNamespace: shop\n"
        "    route: [{destination: {host: reviews, subset: v2, port: {number: 9080}}, headers: {response: {add: {a: b}, remove: [c]}}}]\n"
        "    retries: {attempts: 3, perTryTimeout: 2s, retryOn: \"5xx,503\"}\n"
        "    fault: {delay: {fixedDelay: 7s, percentage: {value: 50}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0.5}}}\n"
        "    timeout: 10s\n"
        "    mirror: {host: m}\n"
        "    mirrorPercentage: {value: 5}\n"
        "    headers: {request: {set: {\":authority\": a}}}\n"
        "  - match: [{uri: {exact: /old}}]\n"
        "    redirect: {prefixRewrite: /new, redirectCode: 308, derivePort: FROM_REQUEST_PORT}\n"
        "  - match: [{uri: {exact: /body}}]\n"
        "    directResponse: {status: 200, body: {bytes: aGVsbG8=}}\n"
        "  - route: [{destination: {host: reviews}, weight: 90}, {destination: {host: ratings}, weight: 10}]\n"
        "    rewrite: {uriRegexRewrite: {match: \"/a/(.*)\", rewrite: \"/\\\\1\"}, authority: b}\n"
        "    mirrors: [{destination: {host: a}}, {destination: {host: b}, percentage: {value: 1}}]\n"));
    assert_int_equal(s->gateways.count, 2);
    assert_int_equal(s->http_count, 4);
    const struct virtual_service_http *h = &s->http[0];
    const struct virtual_service_match *m = h->matches;
    assert_int_equal(m->uri.kind, SPEC_MATCH_PREFIX);
    assert_int_equal(m->headers.count, 3);
    assert_int_equal(m->headers.items[0].value.kind, SPEC_MATCH_EXACT);
    assert_int_equal(m->headers.items[1].value.kind, SPEC_MATCH_NONE);
    assert_int_equal(m->headers.items[2].value.kind, SPEC_MATCH_NONE);
    assert_int_equal(m->without_headers.items[0].value.kind, SPEC_MATCH_REGEX);
    assert_true(m->ignore_uri_case);
    assert_int_equal(m->port, 80);
    assert_int_equal(h->routes[0].weight, 100);
    assert_int_equal(h->routes[0].destination.port, 9080);
    assert_span(h->routes[0].headers.response.remove.items[0], "c");
    assert_true(h->retry.set);
    assert_int_equal(h->retry.attempts, 3);
    assert_int_equal(h->retry.per_try_timeout_ms, 2000);
    assert_int_equal(h->retry.backoff_ms, SPEC_UNSET);
    assert_int_equal(h->fault.delay_ms, 7000);
    assert_true(h->fault.delay_percent == 50 && h->fault.abort_percent == 0.5);
    assert_int_equal(h->fault.abort_grpc, 14);
    assert_int_equal(h->timeout_ms, 10000);
    assert_int_equal(h->mirror_count, 1);
    assert_true(h->mirrors[0].percent == 5);
    assert_span(h->headers.request.set.items[0].name, ":authority");
    assert_span(s->http[1].redirect.prefix_rewrite, "/new");
    assert_int_equal(s->http[1].redirect.status, 308);
    assert_int_equal(s->http[1].redirect.port_from, VIRTUAL_SERVICE_PORT_OF_REQUEST);
    assert_int_equal(s->http[1].fault.abort_grpc, SPEC_UNSET);
    assert_int_equal(s->http[1].timeout_ms, SPEC_UNSET);
    assert_span(s->http[2].direct.body, "hello");
    assert_int_equal(s->http[3].routes[1].weight, 10);
    assert_span(s->http[3].rewrite.substitution, "/\\1");
    assert_int_equal(s->http[3].mirror_count, 2);
    assert_true(s->http[3].mirrors[0].percent == 100 && s->http[3].mirrors[1].percent == 1);
}

static void reads_l4(void **state)
{
    const struct virtual_service_spec *s = virtual_service_of(model_test_good(
        state,
        "apiVersion: networking.istio.io/v1\n"
        "kind: VirtualService\n"
        "metadata: {name: a}\n"
        "spec:\n"
        "  hosts: [a.example.com]\n"
        "  tls: [{match: [{sniHosts: [a.example.com], port: 443}], route: [{destination: {host: a}}]}]\n"
        "  tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: m}, weight: 1}, {destination: {host: k}, weight: 2}]}]\n"));
    assert_span(s->tls[0].matches[0].sni_hosts.items[0], "a.example.com");
    assert_int_equal(s->tls[0].matches[0].port, 443);
    assert_int_equal(s->tls[0].routes[0].weight, 100);
    assert_int_equal(s->tcp[0].route_count, 2);
    assert_int_equal(s->tcp[0].routes[1].weight, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads_http),
        MODEL_TEST(reads_cors),
        MODEL_TEST(reads_l4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

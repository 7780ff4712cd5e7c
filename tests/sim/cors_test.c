/* sim: who may call from other origins (the cors filter). */
#include "sim/expect.h"

SIM_FILE

#define CORS "'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3."
#define FILTER "{name: cors, typed_config: {" CORS "Cors}}"
#define ROUTES(text)                                                                   \
    "{match: {prefix: /}, route: {cluster: a}, typed_per_filter_config: {cors: {" CORS \
    "CorsPolicy, " text "}}}"
#define FULL                                                                                     \
    ROUTES(                                                                                      \
        "allow_origin_string_match: [{exact: 'https://a.example'}, {suffix: .b.example}], "      \
        "allow_methods: 'GET,PUT', allow_headers: x-one, expose_headers: x-two, max_age: '60', " \
        "allow_credentials: true")
#define FROM(method, origin) method " / HTTP/1.1\r\nhost: h\r\norigin: " origin "\r\n"
#define ASKS "access-control-request-method: PUT\r\n"
#define LOG "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%"

CASE(an_answer_to_an_allowed_origin)
{
    BEGIN(.routes = FULL, .filters = FILTER);
    sim_origin(&s, 1)->reply = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"
                               "access-control-allow-origin: of-the-application\r\n\r\n";
    struct sim_peer *c = sim_ask(&s, FROM("GET", "https://x.b.example") "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "access-control-allow-origin: https://x.b.example\r\n");
    sim_expect(c, "access-control-allow-credentials: true\r\n");
    sim_expect(c, "access-control-expose-headers: x-two\r\n");
    sim_expect_metric(&s, "envoy_http_cors_origin_valid", NULL, 1);
}

CASE(an_answer_to_others)
{
    BEGIN(.routes = FULL, .filters = FILTER);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, FROM("GET", "https://evil.example") "\r\n" GET);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_no(c, "access-control");
    sim_expect_metric(&s, "envoy_http_cors_origin_invalid", NULL, 1);
    sim_expect_metric(&s, "envoy_http_cors_origin_valid", NULL, 0);
}

CASE(a_preflight)
{
    BEGIN(.routes = FULL, .filters = FILTER, .log = LOG);
    struct sim_peer *c = sim_ask(&s, FROM("OPTIONS", "https://a.example") ASKS "\r\n");
    sim_expect(c, "HTTP/1.1 200 OK\r\n");
    struct span answer = sim_unseen(c);
    static const char *const wants[] = {
        "access-control-allow-origin: https://a.example\r\n",
        "access-control-allow-credentials: true\r\n",
        "access-control-allow-methods: GET,PUT\r\n",
        "access-control-allow-headers: x-one\r\n",
        "access-control-max-age: 60\r\n",
        "content-length: 0\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        assert_true(span_find(answer, span_of(wants[i])) >= 0);
    }
    assert_int_equal(sim_origin(&s, 1)->accepted, 0);
    assert_string_equal(sim_log(&s), "200 cors_response\n");
}

/* OPTIONS alone is no preflight, and neither is one without an origin. */
CASE(what_is_no_preflight)
{
    BEGIN(.routes = FULL, .filters = FILTER);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(
        &s, FROM("OPTIONS", "https://a.example") "\r\n"
                                                 "OPTIONS / HTTP/1.1\r\nhost: h\r\n" ASKS "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->requests, 2);
}

CASE(a_preflight_from_others)
{
    BEGIN(.routes = FULL, .filters = FILTER); /* goes to the service */
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, FROM("OPTIONS", "https://evil.example") ASKS "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->requests, 1);
    sim_end(&s);
    BEGIN(.routes = ROUTES("allow_origin_string_match: [{exact: 'https://a.example'}], "
                           "allow_methods: GET, forward_not_matching_preflights: false"),
          .filters = FILTER);
    c = sim_ask(&s, FROM("OPTIONS", "https://evil.example") ASKS "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_no(c, "access-control");
    assert_int_equal(sim_origin(&s, 1)->requests, 0);
}

CASE(any_origin)
{
    BEGIN(.routes = ROUTES("allow_origin_string_match: [{exact: '*'}]"), .filters = FILTER);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, FROM("GET", "null") "\r\n");
    sim_expect(c, "access-control-allow-origin: null\r\n");
    sim_expect_no(c, "access-control-allow-credentials");
}

CASE(neither_without_filter_nor_when_off)
{
    BEGIN(.routes = FULL);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, FROM("OPTIONS", "https://a.example") ASKS "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_no(c, "access-control");
    assert_int_equal(sim_origin(&s, 1)->requests, 1);
    sim_end(&s);
    BEGIN(.routes = ROUTES("allow_origin_string_match: [{exact: '*'}], filter_enabled: "
                           "{default_value: {numerator: 0}}"),
          .filters = FILTER);
    sim_origin(&s, 1)->reply = SIM_OK;
    c = sim_ask(&s, FROM("GET", "https://a.example") "\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_no(c, "access-control");
}

CASE(private_networks)
{
    BEGIN(.routes = ROUTES("allow_origin_string_match: [{exact: '*'}], "
                           "allow_private_network_access: true"),
          .filters = FILTER);
    struct sim_peer *c = sim_ask(&s, FROM("OPTIONS", "https://a.example") ASKS
                                 "access-control-request-private-network: true\r\n\r\n");
    sim_expect(c, "access-control-allow-private-network: true\r\n");
}

/* An answer of ours to an allowed origin may be read by it too. */
CASE(answers_of_ours)
{
    BEGIN(.routes = "{match: {prefix: /}, direct_response: {status: 403}, typed_per_filter_config: "
                    "{cors: {" CORS "CorsPolicy, allow_origin_string_match: [{exact: '*'}]}}}",
          .filters = FILTER);
    struct sim_peer *c = sim_ask(&s, FROM("GET", "https://a.example") "\r\n");
    sim_expect(c, "HTTP/1.1 403");
    sim_expect(c, "access-control-allow-origin: https://a.example\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_answer_to_an_allowed_origin),
        RUN(an_answer_to_others),
        RUN(a_preflight),
        RUN(what_is_no_preflight),
        RUN(a_preflight_from_others),
        RUN(any_origin),
        RUN(neither_without_filter_nor_when_off),
        RUN(private_networks),
        RUN(answers_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

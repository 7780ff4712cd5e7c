/* sim: gzip of answers (the compressor filter). What the bytes unpack to is looked at in tests/e2e/test_edge.py. */
#include "sim/expect.h"

SIM_FILE

#define COMPRESSOR "'@type': type.googleapis.com/envoy.extensions.filters.http.compressor.v3."
#define GZIP                                                    \
    "compressor_library: {name: gzip, typed_config: {'@type': " \
    "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip}}"
#define FILTER(more) "{name: gz, typed_config: {" COMPRESSOR "Compressor, " GZIP more "}}"
#define TAKES(what) "GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: " what "\r\n\r\n"
#define BODY "0123456789012345678901234567890123456789"
#define ANSWER(fields) "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n" fields "\r\n" BODY

struct row {
    const char *what;
    const char *request;
    const char *answer;
    bool packed, varies;
};

static void check(const struct row *r)
{
    sim_origin(&s, 1)->reply = r->answer;
    struct sim_peer *c = sim_ask(&s, r->request);
    struct span got = sim_unseen(c);
    bool packed = span_find(got, SPAN("content-encoding: gzip\r\n")) >= 0 &&
                  span_find(got, SPAN("content-length")) < 0;
    bool varies = span_find(got, SPAN("vary: Accept-Encoding\r\n")) >= 0;
    bool plain = span_find(got, SPAN(BODY)) >= 0;
    if (packed != r->packed || varies != r->varies || packed == plain) {
        print_error("%s: got '%.*s'\n", r->what, SPAN_ARG(got));
        fail();
    }
    sim_peer_close(c);
    sim_settle(&s);
}

CASE(what_is_compressed)
{
    static const struct row rows[] = {
        {"plain text", TAKES("gzip"), ANSWER("content-type: text/plain\r\n"), true, true},
        {"with parameters", TAKES("gzip"), ANSWER("content-type: Text/HTML ; charset=x\r\n"), true,
         true},
        {"no type", TAKES("gzip"), ANSWER(""), true, true},
        {"not asked for", GET, ANSWER("content-type: text/plain\r\n"), false, true},
        {"refused", TAKES("gzip;q=0, *"), ANSWER("content-type: text/plain\r\n"), false, true},
        {"other type", TAKES("gzip"), ANSWER("content-type: image/png\r\n"), false, false},
        {"events", TAKES("gzip"), ANSWER("content-type: text/event-stream\r\n"), false, false},
        {"gRPC", TAKES("gzip"), ANSWER("content-type: application/grpc\r\n"), false, false},
        {"is already", TAKES("gzip"), ANSWER("content-encoding: br\r\n"), false, false},
        {"no-transform", TAKES("gzip"), ANSWER("cache-control: public, No-Transform\r\n"), false,
         false},
        {"206", TAKES("gzip"), "HTTP/1.1 206 Part\r\ncontent-length: 40\r\n\r\n" BODY, false,
         false},
        {"404", TAKES("gzip"), "HTTP/1.1 404 No\r\ncontent-length: 40\r\n\r\n" BODY, true, true},
        {"chunked", TAKES("gzip"),
         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true, true},
    };
    BEGIN(.filters = FILTER(""));
    for (size_t i = 0; i < ARRAY_LEN(rows) - 1; i++) {
        check(&rows[i]);
    }
    sim_origin(&s, 1)->reply = rows[ARRAY_LEN(rows) - 1].answer;
    sim_expect(sim_ask(&s, TAKES("gzip")), "content-encoding: gzip\r\n");
    sim_expect_metric(&s, "envoy_http_compressor_compressed", NULL, 5);
    sim_expect_metric(&s, "envoy_http_compressor_not_compressed", NULL, 8);
    sim_expect_metric(&s, "envoy_http_compressor_no_accept_header", NULL, 1);
    sim_expect_metric(&s, "envoy_http_compressor_header_not_valid", NULL, 1);
}

CASE(too_short)
{
    BEGIN(.filters =
              FILTER(", response_direction_config: {common_config: {min_content_length: 41}}"));
    static const struct row row = {"short", TAKES("gzip"), ANSWER(""), false, true};
    check(&row);
    sim_expect_metric(&s, "envoy_http_compressor_content_length_too_small", NULL, 1);
}

CASE(etags)
{
    BEGIN(.filters = FILTER(""));
    sim_origin(&s, 1)->reply = ANSWER("etag: \"strong\"\r\naccept-ranges: bytes\r\n");
    struct sim_peer *c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "content-encoding: gzip");
    c->at = 0;
    sim_expect_no(c, "etag");
    sim_expect_no(c, "accept-ranges");
    sim_origin(&s, 1)->reply = ANSWER("etag: W/\"weak\"\r\n");
    c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "etag: W/\"weak\"\r\n");
    sim_end(&s);
    BEGIN(.filters = FILTER(", response_direction_config: {disable_on_etag_header: true}"));
    static const struct row row = {"etag", TAKES("gzip"), ANSWER("etag: W/\"1\"\r\n"), false,
                                   false};
    check(&row);
    sim_expect_metric(&s, "envoy_http_compressor_not_compressed_etag", NULL, 1);
}

CASE(vary_is_added_once)
{
    BEGIN(.filters = FILTER(""));
    sim_origin(&s, 1)->reply = ANSWER("vary: cookie, accept-encoding\r\n");
    struct sim_peer *c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "content-encoding: gzip");
    c->at = 0;
    sim_expect(c, "vary: cookie, accept-encoding\r\n");
    c->at = 0;
    sim_expect_no(c, "vary: Accept-Encoding");
    sim_origin(&s, 1)->reply = ANSWER("vary: cookie\r\n");
    c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "vary: cookie\r\n");
    c->at = 0;
    sim_expect(c, "vary: Accept-Encoding\r\n");
}

/* HEAD: what GET would be is not told, but that it varies is. */
CASE(no_body)
{
    BEGIN(.filters = FILTER(""));
    sim_origin(&s, 1)->reply = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n";
    struct sim_peer *c = sim_ask(&s, "HEAD / HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_no(c, "content-encoding");
    sim_expect(c, "vary: Accept-Encoding");
    sim_origin(&s, 1)->reply = "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n";
    c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "etag: \"1\"");
}

CASE(off_for_a_route_and_hidden_upstream)
{
    BEGIN(.filters = FILTER(", response_direction_config: {remove_accept_encoding_header: true}"),
          .routes =
              "{match: {prefix: /off}, route: {cluster: a}, typed_per_filter_config: {gz: {" COMPRESSOR
              "CompressorPerRoute, disabled: true}}}, {match: {prefix: /}, route: {cluster: a}}");
    sim_origin(&s, 1)->reply = ANSWER("");
    struct sim_peer *c =
        sim_ask(&s, "GET /off HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\n\r\n");
    sim_expect(c, BODY);
    sim_expect(sim_upstream(&s, 1), "accept-encoding: gzip");
    c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "content-encoding: gzip");
    sim_expect_no(sim_upstream(&s, 1), "accept-encoding");
}

/* The client leaves, or the origin breaks off, in the middle: the state goes back. */
CASE(broken_off)
{
    BEGIN(.filters = FILTER(""));
    sim_origin(&s, 1)->reply = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    struct sim_peer *c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "content-encoding: gzip");
    sim_peer_close(c);
    sim_settle(&s);
    sim_end(&s);
    BEGIN(.filters = FILTER(""));
    sim_origin(&s, 1)->reply = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    c = sim_ask(&s, TAKES("gzip"));
    sim_expect(c, "content-encoding: gzip");
    sim_peer_close(sim_upstream(&s, 1));
    sim_settle(&s);
    sim_expect_no(c, "0\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(what_is_compressed), RUN(too_short), RUN(etags),
        RUN(vary_is_added_once), RUN(no_body),   RUN(off_for_a_route_and_hidden_upstream),
        RUN(broken_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

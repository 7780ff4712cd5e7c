#include "proxy/report/access_format.c"

#include "unit/io/io_help.h"

static struct arena arena;
static struct head request, response;
static struct traffic traffic;
static struct access_entry entry;

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    head_init(&request, &arena);
    assert_int_equal(head_add_known(&request, HEAD_USER_AGENT, SPAN("curl/8\"\x01")), 0);
    assert_int_equal(head_add(&request, SPAN("x-y"), SPAN("12345")), 0);
    head_init(&response, &arena);
    assert_int_equal(head_add(&response, SPAN("server"), SPAN("istio-envoy")), 0);
    traffic = (struct traffic){.method = SPAN("GET"),
                               .scheme = SPAN("http"),
                               .authority = SPAN("reviews:9080"),
                               .path = SPAN("/a?b")};
    entry = (struct access_entry){
        .start_us = 1700000000123456,
        .duration_us = 5600,
        .request_us = 0,
        .response_us = 5100,
        .upstream_us = 5000,
        .traffic = &traffic,
        .request = &request,
        .response = &response,
        .protocol = SPAN("HTTP/1.1"),
        .status = 200,
        .bytes_received = 3,
        .bytes_sent = 1024,
        .cluster = SPAN("outbound|9080||reviews"),
    };
    struct err err;
    assert_int_equal(addr_parse(SPAN("10.0.0.1:80"), &entry.upstream_remote, &err), 0);
    assert_int_equal(addr_parse(SPAN("10.0.0.9:4000"), &entry.downstream_remote, &err), 0);
    traffic.direct_ip = traffic.remote_ip = entry.downstream_remote.ip;
    traffic.direct_port = entry.downstream_remote.port;
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

static void write_line(const struct conf_access_log *conf, struct buf *out)
{
    struct access_format *f;
    struct err err;
    assert_int_equal(access_format_compile(&f, &arena, conf, &err), 0);
    buf_reset(out);
    access_format_write(f, &entry, out);
}

static void test_operators(void **state)
{
    UNUSED(state);
    static const struct {
        const char *format, *want;
    } cases[] = {
        {"%START_TIME%", "2023-11-14T22:13:20.123Z"},
        {"%START_TIME(%s)%", NULL}, /* a '%' inside an operator's argument ends it: refused below */
        {"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)%", "GET /a?b reviews:9080"},
        {"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/a?b"},
        {"%REQ(X-Y):3%", "123"},
        {"%REQ(nope)%|%RESP(server)%|%RESP(nope?SERVER)%", "-|istio-envoy|istio-envoy"},
        {"%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS%", "HTTP/1.1 200 -"},
        {"%RESPONSE_CODE_DETAILS%", "via_upstream"},
        {"%BYTES_RECEIVED% %BYTES_SENT% %DURATION%", "3 1024 5"},
        {"%REQUEST_DURATION% %RESPONSE_DURATION%", "0 5"},
        {"%UPSTREAM_HOST% %UPSTREAM_CLUSTER%", "10.0.0.1:80 outbound|9080||reviews"},
        {"%UPSTREAM_LOCAL_ADDRESS%", "-"},
        {"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
         "10.0.0.9:4000 10.0.0.9"},
        {"100%% %DYNAMIC_METADATA(x:y)%", "100% -"},
        {"%TRAILER(x)% %GRPC_STATUS%", "- -"},
        {"plain", "plain"},
    };
    struct buf out;
    buf_init(&out, 65536);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].want == NULL) {
            continue;
        }
        struct conf_access_log conf = {.format = span_of(cases[i].format)};
        write_line(&conf, &out);
        assert_true(span_is(buf_span(&out), cases[i].want));
    }
    buf_dispose(&out);
}

static void test_bad_formats(void **state)
{
    UNUSED(state);
    static const char *const cases[] = {"%NOPE%", "%REQ(x)", "50%", "%req(x)%", "%%%"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_access_log conf = {.format = span_of(cases[i])};
        struct access_format *f;
        struct err err;
        assert_int_equal(access_format_compile(&f, &arena, &conf, &err), -ERR_CONFIG);
        assert_true(strlen(err.text) > 0);
    }
}

static void test_json(void **state)
{
    UNUSED(state);
    static const struct header fields[] = {
        {{"code", 4}, {"%RESPONSE_CODE%", 15}},
        {{"agent", 5}, {"%REQ(USER-AGENT)%", 17}},
        {{"none", 4}, {"%REQ(NOPE)%", 11}},
        {{"mixed", 5}, {"a %PROTOCOL%", 12}},
    };
    struct conf_access_log conf = {
        .json = true, .json_fields = fields, .json_count = ARRAY_LEN(fields)};
    struct buf out;
    buf_init(&out, 65536);
    write_line(&conf, &out);
    assert_true(span_is(buf_span(&out),
                        "{\"code\":200,\"agent\":\"curl/8\\\"\\u0001\",\"none\":null,"
                        "\"mixed\":\"a HTTP/1.1\"}\n"));
    conf.omit_empty = true;
    write_line(&conf, &out);
    assert_true(
        span_is(buf_span(&out),
                "{\"code\":200,\"agent\":\"curl/8\\\"\\u0001\",\"mixed\":\"a HTTP/1.1\"}\n"));
    buf_dispose(&out);
}

/* The default is Istio's line; every operator in it must have a value or a dash. */
static void test_default(void **state)
{
    UNUSED(state);
    struct conf_access_log conf = {0};
    struct buf out;
    buf_init(&out, 65536);
    write_line(&conf, &out);
    assert_true(
        span_starts(buf_span(&out), SPAN("[2023-11-14T22:13:20.123Z] \"GET /a?b HTTP/1.1\" 200 - "
                                         "via_upstream - \"-\" 3 1024 5 - \"-\" ")));
    assert_true(span_ends(buf_span(&out), SPAN("\n")));
    buf_dispose(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_operators, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_formats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_default, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* proxy/pod/app_probe: how probes are written, and where a Location leads. (Over a real start: tests/e2e/test_pod_ports.py.) */
#include "proxy/pod/app_probe.c"

#include "unit/cm.h"

static struct err err;

static int read_text(const char *json, struct map *to, struct arena *arena)
{
    map_init(to);
    arena_init(arena, 1024);
    return app_probe_read(to, arena, json, &err);
}

static void test_good(void **state)
{
    (void)state;
    struct map all;
    struct arena arena;
    int code = read_text(
        "{\"/app-health/a/readyz\":{\"httpGet\":{\"path\":\"x y?q#f\",\"port\":\"8080\",\"scheme\":\"HTTPS\","
        "\"httpHeaders\":[{\"name\":\"X-A\",\"value\":\" 1 \"},{\"name\":\"host\",\"value\":\"h\"}]},"
        "\"timeoutSeconds\":7,\"periodSeconds\":3},"
        "\"/app-health/a/livez\":{\"tcpSocket\":{\"port\":80,\"host\":\"\"}},"
        "\"/app-health/a/startupz\":{\"grpc\":{\"port\":81,\"service\":\"s\"},\"timeoutSeconds\":0}}",
        &all, &arena);
    assert_int_equal(code, 0);
    const struct app_probe *http = map_get(&all, SPAN("/app-health/a/readyz"));
    assert_int_equal(http->kind, APP_PROBE_HTTP);
    assert_true(http->tls);
    assert_int_equal(http->port, 8080);
    assert_int_equal(http->timeout_ms, 7000);
    assert_span(http->path, "/x%20y?q");
    assert_span(http->host, "h");
    assert_int_equal(http->field_count, 1);
    assert_span(http->fields[0].name, "x-a");
    assert_span(http->fields[0].value, "1");
    const struct app_probe *tcp = map_get(&all, SPAN("/app-health/a/livez"));
    assert_int_equal(tcp->kind, APP_PROBE_TCP);
    assert_int_equal(tcp->timeout_ms, 1000);
    const struct app_probe *grpc = map_get(&all, SPAN("/app-health/a/startupz"));
    assert_int_equal(grpc->kind, APP_PROBE_GRPC);
    assert_span(grpc->service, "s");
    assert_int_equal(grpc->timeout_ms, 1000);
    map_dispose(&all);
    arena_dispose(&arena);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *json, *word;
    } cases[] = {
        {"{", "MESH_APP_PROBES"},
        {"[]", "no map"},
        {"{\"/a\":{}}", "'/a'"},
        {"{\"/a\":{\"exec\":{\"command\":[\"x\"]}}}", "none of"},
        {"{\"/a\":{\"httpGet\":{}}}", "'port'"},
        {"{\"/a\":{\"httpGet\":{\"port\":\"http\"}}}", "'http'"},
        {"{\"/a\":{\"httpGet\":{\"port\":65536}}}", "65535"},
        {"{\"/a\":{\"httpGet\":{\"port\":1,\"scheme\":\"FTP\"}}}", "HTTPS"},
        {"{\"/a\":{\"httpGet\":{\"port\":1,\"httpHeaders\":[{\"name\":\"a b\"}]}}}", "'a b'"},
        {"{\"/a\":{\"httpGet\":{\"port\":1,\"httpHeaders\":[{\"name\":\"a\",\"value\":\"b\\r\\nc: d\"}]}}}",
         "no header field"},
        {"{\"/a\":{\"tcpSocket\":{\"port\":-1}}}", "'port'"},
        {"{\"/a\":{\"grpc\":{\"port\":1},\"timeoutSeconds\":-1}}", "timeoutSeconds"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct map all;
        struct arena arena;
        assert_int_equal(read_text(cases[i].json, &all, &arena), -ERR_CONFIG);
        if (strstr(err.text, cases[i].word) == NULL) {
            fail_msg("%s: '%s' lacks '%s'", cases[i].json, err.text, cases[i].word);
        }
        map_dispose(&all);
        arena_dispose(&arena);
    }
    struct map none;
    struct arena arena;
    assert_int_equal(read_text(NULL, &none, &arena), 0);
    assert_int_equal(app_probe_read(&none, &arena, "", &err), 0);
    map_dispose(&none);
    arena_dispose(&arena);
}

static void test_locations(void **state)
{
    (void)state;
    static const struct {
        const char *location, *want; /* NULL: elsewhere */
    } cases[] = {
        {"/x", "http://10.0.0.7:80/x"},
        {"x?y", "http://10.0.0.7:80/a/x?y"},
        {"?y", "http://10.0.0.7:80/a/b?y"},
        {"/x#f", "http://10.0.0.7:80/x"},
        {"", "http://10.0.0.7:80/a/b"},
        {"http://10.0.0.7", "http://10.0.0.7:80/"},
        {"https://10.0.0.7:8443/x?y=1", "https://10.0.0.7:8443/x?y=1"},
        {"//127.0.0.1:81/x", "http://127.0.0.1:81/x"},
        {"https://WEB/x", "https://WEB:443/x"},
        {"http://10.0.0.8/x", NULL},
        {"//10.0.0.8/x", NULL},
        {"http://u@10.0.0.7/x", NULL},
        {"ftp://10.0.0.7/x", NULL},
        {"http:///x", NULL},
    };
    static const struct ip own = {4, {10, 0, 0, 7}};
    struct app_reach reach;
    app_reach_init(&reach, &own, 1);
    struct app_probes probes = {.reach = &reach};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[128];
        bool is_web = strstr(cases[i].location, "WEB") != NULL;
        struct run r = {.owner = &probes,
                        .port = 80,
                        .path = SPAN("/a/b?c/d"),
                        .authority = is_web ? SPAN("web:80") : SPAN("10.0.0.7:80")};
        arena_init(&r.arena, 512);
        bool is_taken = take_location(&r, span_of(cases[i].location));
        assert_int_equal(is_taken, cases[i].want != NULL);
        struct span host;
        uint16_t port;
        assert_int_equal(url_split_authority(r.authority, &host, &port), 0);
        (void)snprintf(got, sizeof(got), "http%s://%.*s:%u%.*s", r.tls ? "s" : "", SPAN_ARG(host),
                       r.port, SPAN_ARG(r.path));
        if (is_taken) {
            assert_string_equal(got, cases[i].want);
        }
        arena_dispose(&r.arena);
    }
}

static void test_reach(void **state)
{
    (void)state;
    static const struct ip both[] = {{4, {10, 0, 0, 7}}, {6, {0xfd, [15] = 7}}};
    struct app_reach r;
    char text[256] = "", to[IP_TEXT_BYTES], from[IP_TEXT_BYTES];
    app_reach_init(&r, both, 2);
    for (size_t i = 0; i < r.count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%s<%s ", ip_format(&r.hops[i].to.ip, to),
                       r.hops[i].from.kind == ADDR_IP ? ip_format(&r.hops[i].from.ip, from) : "");
    }
    assert_string_equal(text, "127.0.0.1< ::1< 10.0.0.7<127.0.0.6 fd00::7<::6 ");
    app_reach_init(&r, NULL, 0);
    assert_int_equal(r.count, 1);
    struct ip many[20];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = (struct ip){4, {10, 0, 0, (uint8_t)i}};
    }
    app_reach_init(&r, many, ARRAY_LEN(many));
    assert_int_equal(r.count, 1 + APP_REACH_OWN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_locations),
                                       cmocka_unit_test(test_reach)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

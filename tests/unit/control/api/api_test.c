/* Objects over the API, on the unix socket and on TCP: kept in a real store, beside a real folder of files. */
#include "control/api/api.c"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "control/sources/from_files.h"
#include "control/sources/from_store.h"
#include "control/sources/source.h"
#include "http/host.h"
#include "http/http_client.h"
#include "store/store.h"
#include "unit/cm.h"

/* The other parts have tests of their own. */
#define NONE                    \
    {                           \
        {                       \
            NULL, NULL, 0, NULL \
        }                       \
    }
const struct api_route api_status_routes[] = NONE;
const struct api_route api_traffic_routes[] = NONE;
const struct api_route api_authz_routes[] = NONE;
const struct api_route api_tap_routes[] = NONE;

static void never(struct api_call *c)
{
    UNUSED(c);
    fail_msg("a part that is not there was asked");
}

const struct api_route api_ca_routes[] = {
    {"GET", "/api/v1/certs", API_OF_CA, never},
    {"GET", "/api/v1/numbers", API_OF_INSIGHT, never},
    {"GET", "/api/v1/watch", API_OF_TAPS | API_STREAM, never},
    {NULL, NULL, 0, NULL},
};

struct bench {
    char folder[64], db[128], socket[128], conf[128];
    struct loop *loop;
    struct host *host;
    struct sources *sources;
    struct store *store;
    struct from_store *stored;
    struct from_files *files;
    struct api api;
    struct http_client *unix_client, *tcp_client;
    unsigned loaded, answers, settled;
    unsigned status;
    char body[65536];
};

static void on_came(void *arg, struct object *o)
{
    UNUSED(arg);
    object_unref(o);
}

static void on_gone_key(void *arg, struct span key)
{
    UNUSED(arg);
    UNUSED(key);
}

static void on_settled(void *arg)
{
    ((struct bench *)arg)->settled++;
}

static const struct source_events events = {
    .on_object = on_came, .on_gone = on_gone_key, .on_settled = on_settled};

static void on_loaded(void *arg, const struct err *err)
{
    struct bench *b = arg;
    assert_null(err);
    sources_settle(b->sources);
    b->loaded++;
}

static void until(struct bench *b, const unsigned *what, unsigned n)
{
    int64_t begin = instant_mono_ms();
    while (*what < n) {
        loop_turn(b->loop, true);
        assert_true(instant_mono_ms() - begin < 20000);
    }
}

static void open_all(struct bench *b)
{
    struct err err;
    struct listener_spec where = {0};
    b->loop = loop_new(false);
    b->host = host_new(b->loop);
    b->sources = sources_new(&events, b);
    assert_int_equal(store_open(&b->store, b->db, &err), 0);
    assert_int_equal(from_files_new(&b->files, b->loop, b->sources, b->store, b->conf, &err), 0);
    b->stored = from_store_new(b->loop, b->sources, b->store, on_loaded, b);
    until(b, &b->loaded, b->loaded + 1);
    b->api = (struct api){.loop = b->loop, .sources = b->sources, .store = b->stored};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(host_listen(b->host, "api", &where, NULL, &err), 0);
    char origin[160];
    snprintf(origin, sizeof(origin), "unix:%s", b->socket);
    assert_int_equal(addr_parse(span_of(origin), &where.addr, &err), 0);
    assert_int_equal(host_listen(b->host, "api-socket", &where, NULL, &err), 0);
    api_attach(host_server(b->host, "api"), &b->api);
    api_attach(host_server(b->host, "api-socket"), &b->api);
    struct http_client_spec spec = {.origin = span_of(origin)};
    assert_int_equal(http_client_new(&b->unix_client, b->loop, &spec, &err), 0);
    char tcp[64] = "http://";
    addr_format(http_server_addr(host_server(b->host, "api")), tcp + 7);
    spec.origin = span_of(tcp);
    assert_int_equal(http_client_new(&b->tcp_client, b->loop, &spec, &err), 0);
}

static void close_all(struct bench *b)
{
    http_client_free(b->unix_client);
    http_client_free(b->tcp_client);
    host_free(b->host);
    from_files_free(b->files);
    from_store_free(b->stored);
    sources_free(b->sources);
    store_close(b->store);
    for (int i = 0; i < 5; i++) {
        loop_turn(b->loop, false);
    }
    loop_free(b->loop);
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    snprintf(b->folder, sizeof(b->folder), "/tmp/mesh-api-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->db, sizeof(b->db), "%s/mesh.db", b->folder);
    snprintf(b->socket, sizeof(b->socket), "%s/s", b->folder);
    snprintf(b->conf, sizeof(b->conf), "%s", b->folder);
    open_all(b);
}

static void teardown(struct bench *b)
{
    close_all(b);
    DIR *dir = opendir(b->folder);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", b->folder, e->d_name);
        unlink(path);
    }
    closedir(dir);
    rmdir(b->folder);
}

static void on_answer(void *arg, const struct http_answer *a)
{
    struct bench *b = arg;
    b->answers++;
    b->status = a->head ? a->head->status : 0;
    span_to_cstr(a->body, b->body, sizeof(b->body));
}

static void start(struct bench *b, struct http_client *client, const char *method, const char *path,
                  const char *body, const struct header *field)
{
    struct http_call call = {.method = span_of(method),
                             .path = span_of(path),
                             .fields = field,
                             .field_count = field != NULL,
                             .body = span_of(body),
                             .on_answer = on_answer,
                             .arg = b};
    http_client_call(client, &call);
}

static void ask(struct bench *b, const char *method, const char *path, const char *body)
{
    start(b, b->unix_client, method, path, body, NULL);
    until(b, &b->answers, b->answers + 1);
}

/* The status, and a piece that the answer must have. */
static void expect(struct bench *b, unsigned status, const char *piece)
{
    if (b->status != status || strstr(b->body, piece) == NULL) {
        print_error("got %u %s\nwant %u %s\n", b->status, b->body, status, piece);
        fail();
    }
}

#define SERVICE(name, port)                                                         \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name ", labels: {app: " name \
    "}}\nspec: {ports: [{port: " port "}]}\n"

static void test_a_part_that_is_not_there(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    static const char *const paths[] = {"/api/v1/certs", "/api/v1/numbers", "/api/v1/watch"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        ask(&b, "GET", paths[i], NULL);
        expect(&b, 503, "MESH5001");
    }
    teardown(&b);
}

static void test_apply(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ask(&b, "POST", "/api/v1/apply?dryRun=true", SERVICE("one", "80"));
    expect(
        &b, 200,
        "\"dryRun\":true,\"items\":[{\"kind\":\"Service\",\"group\":\"\",\"namespace\":\"default\","
        "\"name\":\"one\",\"result\":\"created\",\"generation\":1}],\"warnings\":[]}");
    ask(&b, "GET", "/api/v1/objects", NULL);
    expect(&b, 200,
           "{\"apiVersion\":\"mesh/v1\",\"kind\":\"ObjectList\",\"items\":[],\"warnings\":[]}");
    ask(&b, "POST", "/api/v1/apply", SERVICE("one", "80") "---\n" SERVICE("two", "80"));
    expect(&b, 200, "\"name\":\"one\",\"result\":\"created\",\"generation\":1}");
    expect(&b, 200, "\"name\":\"two\",\"result\":\"created\",\"generation\":1}");
    ask(&b, "POST", "/api/v1/apply", SERVICE("one", "80") "---\n" SERVICE("two", "81"));
    expect(&b, 200, "\"name\":\"one\",\"result\":\"unchanged\",\"generation\":1}");
    expect(&b, 200, "\"name\":\"two\",\"result\":\"configured\",\"generation\":2}");
    /* Labels alone are no new generation. */
    ask(&b, "POST", "/api/v1/apply",
        "apiVersion: v1\nkind: Service\nmetadata: {name: two, labels: {app: x}}\nspec: {ports: [{port: 81}]}\n");
    expect(&b, 200, "\"result\":\"configured\",\"generation\":2}");
    /* What `get` prints can be applied again. */
    ask(&b, "GET", "/api/v1/objects/services/default/two", NULL);
    expect(&b, 200,
           "\"labels\":{\"app\":\"x\"},\"namespace\":\"default\",\"creationTimestamp\":\"2");
    expect(&b, 200, "\"generation\":2},\"spec\":{\"ports\":[{\"port\":81}]}}");
    static char copy[4096];
    snprintf(copy, sizeof(copy), "%s", b.body);
    ask(&b, "POST", "/api/v1/apply", copy);
    expect(&b, 200, "\"result\":\"unchanged\",\"generation\":2}");
    unsigned settled = b.settled;
    ask(&b, "POST", "/api/v1/apply", copy);
    assert_int_equal(b.settled, settled);
    /* All of it survives. */
    close_all(&b);
    open_all(&b);
    ask(&b, "GET", "/api/v1/objects?kind=svc", NULL);
    expect(&b, 200, "\"port\":80");
    expect(&b, 200, "\"port\":81");
    ask(&b, "POST", "/api/v1/apply", copy);
    expect(&b, 200, "\"result\":\"unchanged\",\"generation\":2}");
    teardown(&b);
}

/* Several at once from one and the same state: each sees what the one before will leave. */
static void test_in_a_row(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    start(&b, b.unix_client, "POST", "/api/v1/apply", SERVICE("one", "1"), NULL);
    start(&b, b.unix_client, "POST", "/api/v1/apply", SERVICE("one", "2"), NULL);
    start(&b, b.tcp_client, "POST", "/api/v1/apply", SERVICE("one", "3"),
          &(struct header){.name = SPAN("x-mesh-write"), .value = SPAN("1")});
    until(&b, &b.answers, 3);
    ask(&b, "GET", "/api/v1/objects/services/default/one", NULL);
    expect(&b, 200, "\"generation\":3}");
    ask(&b, "DELETE", "/api/v1/objects/services/default/one", NULL);
    expect(&b, 200, "\"result\":\"deleted\"");
    ask(&b, "GET", "/api/v1/objects/services/default/one", NULL);
    expect(&b, 404, "\"code\":\"MESH5015\"");
    teardown(&b);
}

static void test_refused(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ask(&b, "POST", "/api/v1/apply?file=mine.yaml",
        SERVICE("one", "80") "---\n" SERVICE("two", "many"));
    expect(&b, 422, "{\"apiVersion\":\"mesh/v1\",\"kind\":\"Error\",\"code\":\"MESH2");
    expect(&b, 422, "\"path\":\"spec.ports[0].port\",\"file\":\"mine.yaml\",\"line\":9}");
    expect(&b, 422, "\"findings\":[{");
    ask(&b, "GET", "/api/v1/objects", NULL);
    expect(&b, 200, "\"items\":[]"); /* nothing of it */
    const struct {
        const char *method, *path, *body;
        unsigned status;
        const char *piece;
    } rows[] = {
        {"POST", "/api/v1/apply", "", 422, "MESH5020"},
        {"POST", "/api/v1/apply", "a: [", 422, "MESH2001"},
        {"POST", "/api/v1/apply", SERVICE("a", "1") "---\n" SERVICE("a", "2"), 422,
         "Service 'a' is there twice, in line 1 and in line 6"},
        {"GET", "/api/v1/objects?kind=frogs", NULL, 404, "there is no kind 'frogs'"},
        {"GET", "/api/v1/objects/frogs/a/b", NULL, 404, "MESH5016"},
        {"GET", "/api/v1/objects/services/a/b", NULL, 404, "there is no Service 'a/b'"},
        {"GET", "/api/v1/objects/ns/-/b", NULL, 404, "there is no Namespace 'b'"},
        {"GET", "/api/v1/objects/ns/default/b", NULL, 404, "there is no Namespace 'b'"},
        {"GET", "/api/v1/objects?selector=a+in+(", NULL, 400, "MESH5014"},
        {"DELETE", "/api/v1/objects/services/a/b", NULL, 404, "MESH5015"},
        {"DELETE", "/api/v1/objects/services", NULL, 400, "MESH5014"},
        {"DELETE", "/api/v1/apply", NULL, 405, "/api/v1/apply is not for DELETE; it takes POST"},
        {"GET", "/api/v1/nothing", NULL, 404, "there is no '/api/v1/nothing'"},
        {"GET", "/livez", NULL, 200, "ok"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask(&b, rows[i].method, rows[i].path, rows[i].body);
        expect(&b, rows[i].status, rows[i].piece);
    }
    teardown(&b);
}

static void test_lists(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ask(&b, "POST", "/api/v1/apply",
        SERVICE("one", "1") "---\n" SERVICE(
            "two",
            "2") "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"
                 "apiVersion: v1\nkind: Service\nmetadata: {name: one, namespace: shop}\nspec: {ports: [{port: 3}]}\n");
    expect(&b, 200, "created");
    const struct {
        const char *path;
        unsigned count;
    } rows[] = {
        {"/api/v1/objects", 4},
        {"/api/v1/objects?kind=services", 3},
        {"/api/v1/objects?kind=Service&namespace=shop", 1},
        {"/api/v1/objects?name=one", 2},
        {"/api/v1/objects?selector=app%20in%20(one,two)", 2},
        {"/api/v1/objects?selector=app%3Done", 1},
        {"/api/v1/objects/ns", 1},
        {"/api/v1/objects/services", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned count = 0;
        ask(&b, "GET", rows[i].path, NULL);
        assert_int_equal(b.status, 200);
        for (const char *at = b.body; (at = strstr(at, "\"apiVersion\":\"v1\"")) != NULL; at++) {
            count++;
        }
        if (count != rows[i].count) {
            print_error("%s: %s\n", rows[i].path, b.body);
        }
        assert_int_equal(count, rows[i].count);
    }
    ask(&b, "GET", "/api/v1/objects/ns/-/shop?pretty", NULL);
    expect(&b, 200, "\n    \"name\": \"shop\"");
    teardown(&b);
}

static void write_file(const struct bench *b, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", b->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_files(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ask(&b, "POST", "/api/v1/apply", SERVICE("both", "1"));
    close_all(&b);
    write_file(&b, "a.yaml", SERVICE("both", "2") "---\n" SERVICE("file", "2"));
    write_file(&b, "b.yaml", "a: [");
    open_all(&b);
    ask(&b, "GET", "/api/v1/objects/services/default/both", NULL);
    expect(&b, 200, "\"port\":2");
    ask(&b, "GET", "/api/v1/findings", NULL);
    expect(&b, 200, "\"kind\":\"FindingList\"");
    expect(&b, 200, "MESH5004");
    expect(&b, 200, "MESH2001");
    ask(&b, "POST", "/api/v1/apply", SERVICE("file", "3"));
    expect(&b, 409, "Service 'file' comes from the file '");
    ask(&b, "DELETE", "/api/v1/objects/services/default/file", NULL);
    expect(&b, 409, "MESH5017");
    ask(&b, "DELETE", "/api/v1/objects/services/default/both?dryRun", NULL);
    expect(&b, 200, "\"dryRun\":true");
    ask(&b, "DELETE", "/api/v1/objects/services/default/both", NULL);
    expect(&b, 200, "deleted"); /* the one of the API */
    ask(&b, "GET", "/api/v1/findings", NULL);
    assert_null(strstr(b.body, "MESH5004"));
    teardown(&b);
}

static void test_tcp(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    const struct span ours[] = {SPAN_INIT("mesh.example")};
    b.api.hosts = ours;
    b.api.host_count = 1;
    const struct header wrong = {.name = SPAN("x-mesh-write"), .value = SPAN("0")};
    start(&b, b.tcp_client, "POST", "/api/v1/apply", SERVICE("one", "1"), NULL);
    until(&b, &b.answers, 1);
    expect(&b, 403, "MESH5013");
    start(&b, b.tcp_client, "POST", "/api/v1/apply", SERVICE("one", "1"), &wrong);
    until(&b, &b.answers, 2);
    expect(&b, 403, "MESH5013");
    start(&b, b.tcp_client, "DELETE", "/api/v1/objects/services/default/one", NULL, NULL);
    until(&b, &b.answers, 3);
    expect(&b, 403, "MESH5013");
    start(&b, b.tcp_client, "GET", "/api/v1/objects", NULL, NULL);
    until(&b, &b.answers, 4);
    expect(&b, 200, "\"items\":[]");
    static const struct {
        const char *host;
        unsigned status;
    } hosts[] = {
        {"localhost:15080", 200},   {"127.0.0.1", 200},
        {"[::1]:15080", 200},       {"mesh.localhost", 200},
        {"mesh.example", 200},      {"Mesh.Example:1", 200},
        {"evil.example", 403},      {"127.0.0.1.evil.example", 403},
        {"localhost.evil", 403},    {"notlocalhost", 403},
        {"evil.mesh.example", 403},
    };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct err err;
        char origin[64] = "http://";
        addr_format(http_server_addr(host_server(b.host, "api")), origin + 7);
        struct http_client_spec spec = {.origin = span_of(origin),
                                        .authority = span_of(hosts[i].host)};
        struct http_client *client;
        assert_int_equal(http_client_new(&client, b.loop, &spec, &err), 0);
        start(&b, client, "GET", i % 2 ? "/api/v1/objects" : "/api/v1/findings", NULL, NULL);
        until(&b, &b.answers, b.answers + 1);
        expect(&b, hosts[i].status, hosts[i].status == 403 ? "MESH5012" : "items");
        http_client_free(client);
    }
    teardown(&b);
}

/* Who asked goes away before the store has answered; and control goes away. */
static void test_gone(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    unsigned settled = b.settled;
    start(&b, b.unix_client, "POST", "/api/v1/apply", SERVICE("one", "1"), NULL);
    while (from_store_get(b.stored, SPAN("services/default/one"), NULL) == NULL) {
        loop_turn(b.loop, true);
    }
    http_client_free(b.unix_client);
    b.unix_client = NULL;
    until(&b, &b.settled, settled + 1);
    assert_int_equal(sources_count(b.sources), 1);
    start(&b, b.tcp_client, "POST", "/api/v1/apply", SERVICE("two", "1"),
          &(struct header){.name = SPAN("x-mesh-write"), .value = SPAN("1")});
    while (from_store_get(b.stored, SPAN("services/default/two"), NULL) == NULL) {
        loop_turn(b.loop, true);
    }
    teardown(&b);
}

static void test_without(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    b.api.store = NULL;
    ask(&b, "POST", "/api/v1/apply", SERVICE("one", "1"));
    expect(&b, 503, "MESH5018");
    b.api.sources = NULL;
    ask(&b, "GET", "/api/v1/objects", NULL);
    expect(&b, 503, "MESH5001");
    ask(&b, "GET", "/api/v1/findings", NULL);
    expect(&b, 503, "MESH5001");
    b.api.sources = b.sources;
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_in_a_row),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_without),
        cmocka_unit_test(test_a_part_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

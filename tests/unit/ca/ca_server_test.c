/* ca/ca_server: what our own servers show, seen from a client's side of a real connection. */
#include "ca/ca_server.c"

#include <stdlib.h>

#include "unit/cm.h"

#include "http/http_client.h"
#include "http/http_server.h"
#include "tls/tls.h"
#include "tls/x509.h"

static struct loop *loop;
static struct store *store;
static struct ca *ca;
static char folder[] = "/tmp/mesh-ca-server-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    struct err err;
    char db[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(db, sizeof(db), "%s/mesh.db", folder);
    assert_int_equal(tls_init(&err), 0);
    loop = loop_new(false);
    assert_int_equal(store_open(&store, db, &err), 0);
    const struct ca_spec spec = {.loop = loop, .store = store, .data_dir = folder};
    assert_int_equal(ca_new(&ca, &spec, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    ca_free(ca);
    store_close(store);
    loop_turn(loop, false);
    loop_free(loop);
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static bool was_answered;
static int answer_code;

static void on_answer(void *arg, const struct http_answer *a)
{
    (void)arg;
    was_answered = true;
    answer_code = a->err ? a->err->code : 0;
}

static void on_request(void *arg, const struct http_request *rq)
{
    (void)arg;
    http_stream_reply(rq->stream, 200, SPAN("text/plain"), SPAN("hello"));
}

/* As somebody who trusts our root and wants a certificate of that DNS name. 0 when there was an answer. */
static int call(const struct http_server *server, const char *name, bool http2)
{
    char origin[64], where[ADDR_TEXT_BYTES];
    const struct tls_trust trust = {.roots_pem = ca_roots_pem(ca)};
    const struct tls_san_match allowed = {.san = TLS_SAN_DNS, .text = span_of(name)};
    const struct span alpn = http2 ? SPAN("h2") : SPAN("http/1.1");
    const struct tls_ctx_spec tls = {.trust = &trust,
                                     .trust_count = 1,
                                     .peer_mode = TLS_PEER_REQUIRED,
                                     .allowed = &allowed,
                                     .allowed_count = 1,
                                     .alpn = &alpn,
                                     .alpn_count = 1,
                                     .sni = span_of(name)};
    struct http_client_spec spec = {.http2 = http2};
    struct http_client *client;
    struct err err;
    assert_int_equal(tls_ctx_new(&spec.tls, &tls, &err), 0);
    addr_format(http_server_addr(server), where);
    (void)snprintf(origin, sizeof(origin), "https://%s", where);
    spec.origin = span_of(origin);
    assert_int_equal(http_client_new(&client, loop, &spec, &err), 0);
    const struct http_call get = {.method = SPAN("GET"), .path = SPAN("/"), .on_answer = on_answer};
    was_answered = false;
    http_client_call(client, &get);
    while (!was_answered) {
        loop_turn(loop, true);
    }
    http_client_free(client);
    tls_ctx_put(spec.tls);
    return answer_code;
}

static void serve(struct http_server **server, struct tls_ctx *tls)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct err err;
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(server, loop, &where, tls, &err), 0);
    http_server_route(*server, "GET", "/", false, on_request, NULL);
    tls_ctx_put(tls);
}

static const char webhook_name[] = "mesh-control.mesh-system.svc";

static void test_webhook(void **state)
{
    (void)state;
    static const char *const names[] = {webhook_name, "other.svc", NULL};
    struct http_server *server;
    struct tls_ctx *tls;
    struct err err;
    assert_int_equal(ca_webhook_tls(ca, names, &tls, &err), 0);
    serve(&server, tls);
    assert_int_equal(call(server, webhook_name, true), 0);
    assert_int_equal(call(server, webhook_name, false), 0);
    assert_int_equal(call(server, "other.svc", true), 0);
    assert_int_not_equal(call(server, "mesh-control", true), 0);
    struct ca_webhook *w = ca_webhook_new(ca, loop, server, names);
    int64_t half_ms = CA_LEAF_TTL_S * 500LL, next_ms = ca_renewal_ms(ca, &w->rng);
    assert_in_range(next_ms, half_ms * 9 / 10 - 1000, half_ms);
    on_renew(&w->renew);
    assert_int_equal(call(server, "other.svc", true), 0);
    ca_webhook_free(w);
    http_server_free(server);
}

static void test_bad_names(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    const char *many[CA_WEBHOOK_NAMES_MAX + 2] = {NULL};
    struct tls_ctx *tls;
    struct err err;
    for (size_t i = 0; i + 1 < ARRAY_LEN(many); i++) {
        many[i] = "a.svc";
    }
    assert_int_equal(ca_webhook_tls(ca, none, &tls, &err), -ERR_CONFIG);
    assert_int_equal(ca_webhook_tls(ca, many, &tls, &err), -ERR_CONFIG);
    ca_webhook_free(NULL);
}

static void test_server_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "mesh-control.mesh-system.svc",
        "mesh-control.mesh-system.svc.cluster.local",
        "istiod.istio-system.svc",
        "mesh-control",
        "localhost",
    };
    struct http_server *server;
    struct tls_ctx *tls;
    struct err err;
    assert_int_equal(ca_server_tls(ca, &tls, &err), 0);
    serve(&server, tls);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(call(server, names[i], true), 0);
    }
    assert_int_not_equal(call(server, "istiod.other.svc", true), 0);
    http_server_free(server);
}

/* ---- the ledger ---- */

static char rows_text[4096];
static bool was_listed;

static void on_issued(void *arg, const struct ca_issued *rows, size_t count, const struct err *err)
{
    (void)arg;
    assert_null(err);
    was_listed = true;
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(rows_text);
        (void)snprintf(rows_text + at, sizeof(rows_text) - at, "%.*s %.*s; ",
                       SPAN_ARG(rows[i].identity), SPAN_ARG(rows[i].proof));
    }
}

static void test_ledger(void **state)
{
    (void)state;
    mailbox_deliver(ca->mailbox);
    ca_issued_list(ca, SPAN_EMPTY, 100, on_issued, NULL);
    while (!was_listed) {
        loop_turn(loop, true);
    }
    assert_non_null(strstr(rows_text, "dns:mesh-control.mesh-system.svc self; "));
    assert_non_null(
        strstr(rows_text, "spiffe://cluster.local/ns/mesh-system/sa/mesh-control self; "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_server_names),
        cmocka_unit_test(test_ledger),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

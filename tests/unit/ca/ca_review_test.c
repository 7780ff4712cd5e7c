/* ca/ca_review: a signing request with a ServiceAccount's token, over a real connection; the API server is played here. */
#include "ca/ca_review.c"

#include <stdio.h>
#include <stdlib.h>

#include "unit/cm.h"

#include "ca/authenticate.h"
#include "http/grpc.h"
#include "http/host.h"
#include "io/worker.h"
#include "proto/istio_ca.pb.h"
#include "tls/csr.h"
#include "tls/keypair.h"
#include "tls/tls.h"
#include "tls/tls_ctx.h"

/* ---- the API server ---- */

struct token_reviews {
    int unused;
};
static struct token_reviews reviews;

struct token_review {
    struct loop_task task;
    char token[64];
    void (*on_answer)(void *arg, const struct token_review_answer *a);
    void *arg;
};

static struct loop *loop;
static unsigned asked, cancelled;
static bool is_slow;
static struct token_review *held; /* what a slow one has not answered */

static void on_task(struct loop_task *task)
{
    struct token_review *r = container_of(task, struct token_review, task);
    struct token_review_answer a = {.why = ""};
    if (strcmp(r->token, "good.to.ken") == 0 || strcmp(r->token, "no.pod.told") == 0) {
        a.namespace = SPAN("shop");
        a.service_account = SPAN("web");
        a.pod = r->token[0] == 'g' ? SPAN("web-1") : SPAN_EMPTY;
    } else if (strcmp(r->token, "api.is.away") == 0) {
        a.code = -ECONNREFUSED;
        a.why = "nobody answers";
    } else {
        a.code = -EACCES;
        a.why = "token has expired";
    }
    r->on_answer(r->arg, &a);
    mem_free(r);
}

struct token_review *token_review_ask(struct token_reviews *t, struct span token,
                                      void (*on_answer)(void *arg,
                                                        const struct token_review_answer *a),
                                      void *arg)
{
    assert_ptr_equal(t, &reviews);
    struct token_review *r = mem_new(struct token_review);
    (void)span_to_cstr(token, r->token, sizeof(r->token));
    r->on_answer = on_answer;
    r->arg = arg;
    loop_task_init(&r->task, on_task);
    asked++;
    if (is_slow) {
        held = r;
    } else {
        loop_task_add(loop, &r->task);
    }
    return r;
}

void token_review_cancel(struct token_review *r)
{
    cancelled++;
    loop_task_cancel(&r->task);
    mem_free(r);
}

/* ---- the authority, and somebody who asks ---- */

static struct store *store;
static struct ca *ca;
static struct host *host;
static struct ca_desk *desk;
static char folder[] = "/tmp/mesh-ca-review-XXXXXX";

static void open_host(struct loop *on)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct tls_ctx *tls;
    struct err err;
    host = host_new(on);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(ca_server_tls(ca, &tls, &err), 0);
    assert_int_equal(host_listen(host, "xds-tls", &where, tls, &err), 0);
    tls_ctx_put(tls);
    assert_int_equal(ca_attach(&desk, ca, host, &err), 0);
}

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
    open_host(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    ca_desk_close(desk);
    host_free(host);
    ca_free(ca);
    store_close(store);
    loop_turn(loop, false);
    loop_free(loop);
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

struct asking {
    struct http_client *http;
    struct grpc_stream *call;
    unsigned messages;
    bool is_over;
    enum grpc_status status;
    char why[512];
};

static void on_message(void *arg, struct span message)
{
    struct asking *q = arg;
    assert_true(message.len > 0);
    q->messages++;
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    struct asking *q = arg;
    q->is_over = true;
    q->status = status;
    (void)span_to_cstr(span_first(message, sizeof(q->why) - 1), q->why, sizeof(q->why));
}

static const struct grpc_events events = {.on_message = on_message, .on_end = on_end};

static void start(struct asking *q, const char *token, const char *wish)
{
    static const struct span alpn = SPAN_INIT("h2");
    char origin[64], where[ADDR_TEXT_BYTES];
    const struct tls_trust trust = {.trust_domain = SPAN("cluster.local"),
                                    .roots_pem = ca_roots_pem(ca)};
    const struct tls_ctx_spec tls = {.trust = &trust,
                                     .trust_count = 1,
                                     .peer_mode = TLS_PEER_REQUIRED,
                                     .alpn = &alpn,
                                     .alpn_count = 1};
    struct http_client_spec spec = {.http2 = true};
    struct arena arena;
    struct keypair *key;
    struct buf csr;
    struct err err;
    *q = (struct asking){.is_over = false};
    arena_init(&arena, 4096);
    buf_init(&csr, CSR_BYTES_MAX);
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    assert_int_equal(csr_write(key, span_of(wish), &csr, &err), 0);
    assert_int_equal(tls_ctx_new(&spec.tls, &tls, &err), 0);
    addr_format(http_server_addr(host_server(host, "xds-tls")), where);
    (void)snprintf(origin, sizeof(origin), "https://%s", where);
    spec.origin = span_of(origin);
    assert_int_equal(http_client_new(&q->http, loop, &spec, &err), 0);
    const struct header field = {SPAN("authorization"),
                                 span_of(arena_printf(&arena, "Bearer %s", token))};
    const struct pb_istio_ca_IstioCertificateRequest rq = {.csr = buf_span(&csr)};
    q->call = grpc_call(q->http, PB_ISTIO_CA_ISTIO_CERTIFICATE_SERVICE_CREATE_CERTIFICATE_PATH,
                        &field, 1, 20000, &events, q);
    assert_int_equal(
        grpc_send(q->call, pb_encode_in(&pb_istio_ca_IstioCertificateRequest_desc, &rq, &arena)),
        0);
    grpc_half_close(q->call);
    tls_ctx_put(spec.tls);
    keypair_free(key);
    buf_dispose(&csr);
    arena_dispose(&arena);
}

static void finish(struct asking *q)
{
    while (!q->is_over) {
        loop_turn(loop, true);
    }
    http_client_free(q->http);
}

static void turn_until_asked(unsigned count)
{
    while (asked < count) {
        loop_turn(loop, true);
    }
}

#define ID "spiffe://cluster.local/ns/shop/sa/web"

static void expect(const char *token, const char *wish, enum grpc_status status, const char *word)
{
    struct asking q;
    start(&q, token, wish);
    finish(&q);
    if (q.status != status || strstr(q.why, word) == NULL) {
        fail_msg("%.40s: %s '%s', want %s '%s'", token, grpc_status_name(q.status), q.why,
                 grpc_status_name(status), word);
    }
    assert_int_equal(q.messages, status == GRPC_OK);
}

static bool was_listed;
static char rows_text[1024];

static void on_issued(void *arg, const struct ca_issued *rows, size_t count, const struct err *err)
{
    (void)arg;
    assert_null(err);
    was_listed = true;
    rows_text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(rows_text);
        (void)snprintf(rows_text + at, sizeof(rows_text) - at, "%.*s; ", SPAN_ARG(rows[i].proof));
    }
}

static const char *proofs(void)
{
    was_listed = false;
    ca_issued_list(ca, SPAN(ID), 100, on_issued, NULL);
    while (!was_listed) {
        loop_turn(loop, true);
    }
    return rows_text;
}

static void test_without_reviews(void **state)
{
    (void)state;
    expect("good.to.ken", ID, GRPC_UNAUTHENTICATED,
           "this authority does not take ServiceAccount tokens");
    expect("good.to.ken", ID, GRPC_UNAUTHENTICATED, "MESH3003");
    assert_int_equal(asked, 0);
}

static void test_answers(void **state)
{
    (void)state;
    ca_set_reviews(ca, &reviews);
    expect("good.to.ken", ID, GRPC_OK, "");
    expect("no.pod.told", ID, GRPC_OK, "");
    assert_string_equal(proofs(), "serviceaccount:shop/web; serviceaccount:shop/web:web-1; ");
    assert_int_equal(asked, 2);
    expect("good.to.ken", "spiffe://cluster.local/ns/shop/sa/till", GRPC_PERMISSION_DENIED,
           "MESH3004");
    expect("bad.to.ken", ID, GRPC_UNAUTHENTICATED, "MESH3052");
    expect("bad.to.ken", ID, GRPC_UNAUTHENTICATED, "token has expired");
    expect("api.is.away", ID, GRPC_UNAVAILABLE, "MESH3053");
    /* What is no JWT is not shown to anybody. */
    unsigned before = asked;
    expect("mesh1.aaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbb", ID, GRPC_UNAUTHENTICATED, "MESH3003");
    expect("good.token", ID, GRPC_UNAUTHENTICATED, "MESH3003");
    expect("good..token", ID, GRPC_UNAUTHENTICATED, "MESH3003");
    expect("go+d.to.ken", ID, GRPC_UNAUTHENTICATED, "MESH3003");
    assert_int_equal(asked, before);
}

static void test_long_token(void **state)
{
    (void)state;
    struct buf token;
    unsigned before = asked;
    buf_init(&token, 32768);
    assert_int_equal(buf_append_span(&token, SPAN("a.b.")), 0);
    while (buf_len(&token) <= AUTHENTICATE_JWT_BYTES_MAX) {
        assert_int_equal(buf_append_byte(&token, 'c'), 0);
    }
    expect(buf_cstr(&token), ID, GRPC_UNAUTHENTICATED, "MESH3051");
    assert_int_equal(asked, before);
    buf_dispose(&token);
}

static void test_reviews_that_change(void **state)
{
    (void)state;
    struct asking q;
    unsigned before = cancelled;
    is_slow = true;
    start(&q, "good.to.ken", ID);
    turn_until_asked(asked + 1);
    ca_set_reviews(ca, NULL);
    finish(&q);
    assert_int_equal(q.status, GRPC_UNAVAILABLE);
    assert_int_equal(cancelled, before + 1);
    ca_set_reviews(ca, &reviews);
    is_slow = false;
    expect("good.to.ken", ID, GRPC_OK, "");
}

/* Nobody waits for the answer any more when it comes. */
static void test_who_asked_has_gone(void **state)
{
    (void)state;
    struct asking q;
    is_slow = true;
    start(&q, "good.to.ken", ID);
    turn_until_asked(asked + 1);
    grpc_cancel(q.call);
    http_client_free(q.http);
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, false);
    }
    loop_task_add(loop, &held->task);
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, false);
    }
    is_slow = false;
    expect("good.to.ken", ID, GRPC_OK, "");
    assert_int_equal(ca->review_count, 0);
}

static void test_too_many(void **state)
{
    (void)state;
    ca->review_count = CA_REVIEWS_MAX;
    expect("good.to.ken", ID, GRPC_UNAVAILABLE, "too many");
    ca->review_count = 0;
}

/* The desk goes while the API server thinks; then the answer is for nobody. */
static void test_desk_that_closes(void **state)
{
    (void)state;
    struct asking q;
    is_slow = true;
    start(&q, "good.to.ken", ID);
    turn_until_asked(asked + 1);
    ca_desk_close(desk);
    host_free(host);
    loop_task_add(loop, &held->task);
    finish(&q);
    assert_int_equal(q.status, GRPC_UNAVAILABLE);
    is_slow = false;
    assert_int_equal(ca->review_count, 0);
    open_host(loop);
    expect("good.to.ken", ID, GRPC_OK, "");
}

/* ---- a desk on another thread, as control's are ---- */

static int start_desk(struct worker *w, void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    open_host(worker_loop(w));
    return 0;
}

static void stop_desk(struct worker *w, void *arg)
{
    (void)w;
    (void)arg;
    ca_desk_close(desk);
    host_free(host);
}

static void test_other_thread(void **state)
{
    (void)state;
    static const struct worker_ops ops = {.on_start = start_desk, .on_stop = stop_desk};
    struct worker *worker;
    struct asking q;
    struct err err;
    ca_desk_close(desk);
    host_free(host);
    assert_int_equal(worker_start(&worker, 1, &ops, NULL, &err), 0);
    for (int i = 0; i < 3; i++) {
        expect("good.to.ken", ID, GRPC_OK, "");
        expect("bad.to.ken", ID, GRPC_UNAUTHENTICATED, "MESH3052");
    }
    is_slow = true;
    start(&q, "good.to.ken", ID);
    turn_until_asked(asked + 1);
    worker_stop(worker);
    loop_task_add(loop, &held->task);
    finish(&q);
    assert_int_equal(q.status, GRPC_UNAVAILABLE);
    is_slow = false;
    open_host(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_reviews),    cmocka_unit_test(test_answers),
        cmocka_unit_test(test_long_token),         cmocka_unit_test(test_reviews_that_change),
        cmocka_unit_test(test_who_asked_has_gone), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_desk_that_closes),   cmocka_unit_test(test_other_thread),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

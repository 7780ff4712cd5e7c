/* An API server for tests, and a client of it. */
#include "unit/kube/api_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "io/file.h"
#include "tls/io_tls.h"
#include "tls/tls.h"
#include "unit/cm.h"

struct bench_papers bench_papers = {.folder = "/tmp/mesh-kube-client-XXXXXX"};

/* ---- the server ---- */

static void reply_now(struct http_stream *s, const struct bench_reply *r)
{
    struct head head;
    head_init(&head, http_stream_arena(s));
    head.status = r->status;
    head.content_length = (int64_t)strlen(r->body);
    int code = head_add(&head, SPAN("content-type"), SPAN("application/json"));
    if (r->retry_after != NULL) {
        code |= head_add(&head, SPAN("retry-after"), span_of(r->retry_after));
    }
    assert_int_equal(code, 0);
    http_stream_head(s, &head, r->body[0] == '\0');
    if (r->body[0] != '\0') {
        http_stream_data(s, span_of(r->body), true);
    }
}

static void kept_on_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static void kept_on_close(void *arg, enum http_reset why)
{
    UNUSED(why);
    ((struct bench *)arg)->kept = NULL;
}

static const struct http_stream_events kept_events = {.on_data = kept_on_data,
                                                      .on_close = kept_on_close};

void bench_on_request(void *arg, const struct http_request *rq)
{
    struct bench *b = arg;
    const struct head *h = rq->head;
    struct io *io = http_conn_io(http_stream_conn(rq->stream));
    b->asked++;
    (void)snprintf(b->request, sizeof(b->request), "%.*s %.*s %.*s", SPAN_ARG(h->method),
                   SPAN_ARG(h->path), SPAN_ARG(rq->body));
    (void)snprintf(b->who, sizeof(b->who), "%.*s", SPAN_ARG(head_get(h, SPAN("authorization"))));
    (void)snprintf(b->subject, sizeof(b->subject), "%.*s",
                   SPAN_ARG(io_is_tls(io) ? io_tls_peer(io)->subject : SPAN_EMPTY));
    (void)snprintf(b->fields, sizeof(b->fields), "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s",
                   SPAN_ARG(head_get(h, SPAN("user-agent"))), SPAN_ARG(head_get(h, SPAN("accept"))),
                   SPAN_ARG(head_get(h, SPAN("content-type"))),
                   SPAN_ARG(head_get(h, SPAN("impersonate-user"))),
                   SPAN_ARG(head_get(h, SPAN("impersonate-group"))),
                   SPAN_ARG(head_get(h, SPAN("x-more"))));
    const struct bench_reply *r = b->replies;
    if (r[1].body != NULL) {
        b->replies++;
    }
    if (r->status == 0) {
        http_conn_close(http_stream_conn(rq->stream));
    } else if (r->status == 2) {
        struct head head;
        b->kept = rq->stream;
        head_init(&head, http_stream_arena(rq->stream));
        head.status = 200;
        head.content_length = HEAD_LENGTH_UNKNOWN;
        http_stream_set_events(rq->stream, &kept_events, b);
        http_stream_head(rq->stream, &head, false);
    } else if (r->status != 1) {
        reply_now(rq->stream, r);
    }
}

/* ---- client and server ---- */

static void setup_conf(struct bench *b, const char *scheme, const char *path)
{
    char at[ADDR_TEXT_BYTES];
    arena_init(&b->conf.arena, 1024);
    b->conf.server = span_of(arena_printf(&b->conf.arena, "%s://%s%s", scheme,
                                          addr_format(http_server_addr(b->server), at), path));
    b->conf.ca_pem = test_pki_root(bench_papers.pki);
    b->conf.tls_name = SPAN(BENCH_NAME);
    b->conf.token = SPAN("t1");
    b->conf.context = SPAN("test");
}

void bench_connect(struct bench *b)
{
    struct err err;
    struct kube_client_spec spec = {.conf = &b->conf, .user_agent = "mesh-test"};
    assert_int_equal(kube_client_new(&b->client, b->loop, &spec, &err), 0);
}

void bench_init(struct bench *b, bool tls)
{
    struct err err;
    struct listener_spec where = {0};
    *b = (struct bench){.loop = loop_new(false)};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(
        http_server_new(&b->server, b->loop, &where, tls ? bench_papers.tls : NULL, &err), 0);
    http_server_route(b->server, "GET,POST,PUT,PATCH,DELETE", "/*", false, bench_on_request, b);
    setup_conf(b, tls ? "https" : "http", "");
}

void bench_open(struct bench *b)
{
    bench_init(b, true);
    bench_connect(b);
}

void bench_dispose(struct bench *b)
{
    kube_client_free(b->client);
    http_server_free(b->server);
    while (loop_turn(b->loop, false)) {
    }
    arena_dispose(&b->conf.arena);
    loop_free(b->loop);
}

void bench_until(struct bench *b, const unsigned *what, unsigned n)
{
    int64_t begin = instant_mono_ms();
    while (*what < n) {
        loop_turn(b->loop, true);
        assert_true(instant_mono_ms() - begin < 20000);
    }
}

void bench_until_left(struct bench *b)
{
    int64_t begin = instant_mono_ms();
    while (b->kept != NULL) {
        loop_turn(b->loop, true);
        assert_true(instant_mono_ms() - begin < 20000);
    }
}

void bench_on_answer(void *arg, const struct kube_answer *a)
{
    struct bench *b = arg;
    b->answers++;
    b->answer = *a;
    (void)snprintf(b->why, sizeof(b->why), "%s", a->why);
    (void)snprintf(b->reason, sizeof(b->reason), "%.*s", SPAN_ARG(a->reason));
    const struct doc_node *told = doc_get(a->doc, "told");
    (void)snprintf(b->told, sizeof(b->told), "%.*s",
                   SPAN_ARG(doc_is(told, DOC_TEXT) ? told->text : SPAN_EMPTY));
}

void bench_start(struct bench *b, const struct kube_call_spec *spec)
{
    struct kube_call_spec s = *spec;
    s.on_answer = bench_on_answer;
    s.arg = b;
    assert_non_null(kube_call(b->client, &s));
}

int bench_ask(struct bench *b, const struct kube_call_spec *spec)
{
    unsigned before = b->answers;
    b->asked = 0;
    bench_start(b, spec);
    assert_int_equal(b->answers, before); /* never before it returned */
    bench_until(b, &b->answers, before + 1);
    return b->answer.code;
}

int bench_get(struct bench *b)
{
    return bench_ask(b, &(struct kube_call_spec){.method = "GET", .path = "/api/v1/pods"});
}

const char *bench_put(const char *name, const char *text)
{
    static char path[2][256];
    static unsigned turn;
    struct err err;
    char *to = path[turn++ % 2];
    (void)snprintf(to, sizeof(path[0]), "%s/%s", bench_papers.folder, name);
    assert_int_equal(file_write(to, span_of(text), 0600, &err), 0);
    return to;
}
int bench_set_up(void **state)
{
    UNUSED(state);
    static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
    struct err err;
    if (mkdtemp(bench_papers.folder) == NULL || tls_init(&err) != 0) {
        return 1;
    }
    bench_papers.pki = test_pki_new("cluster", KEYPAIR_P256);
    test_pki_issue(bench_papers.pki, &(struct test_leaf){.dns = BENCH_NAME}, &bench_papers.server);
    test_pki_issue(bench_papers.pki, &(struct test_leaf){.name = "admin", .dns = "admin"},
                   &bench_papers.client);
    struct tls_trust trust = {.roots_pem = test_pki_root(bench_papers.pki)};
    struct tls_ctx_spec spec = {
        .server = true,
        .chain_pem = buf_span(&bench_papers.server.chain),
        .key_pem = buf_span(&bench_papers.server.key),
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_OPTIONAL,
        .alpn = alpn,
        .alpn_count = ARRAY_LEN(alpn),
    };
    return tls_ctx_new(&bench_papers.tls, &spec, &err);
}

int bench_tear_down(void **state)
{
    UNUSED(state);
    char line[128];
    tls_ctx_put(bench_papers.tls);
    test_cert_dispose(&bench_papers.server);
    test_cert_dispose(&bench_papers.client);
    test_pki_free(bench_papers.pki);
    (void)snprintf(line, sizeof(line), "rm -r %s", bench_papers.folder);
    return system(line);
}

/* tls/io_tls.h above io_mem: who is let in, and what happens to the bytes. */
#include "tls/io_tls.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "support/test_pki.h"
#include "tls/tls.h"

#define SERVER_ID "spiffe://cluster.local/ns/shop/sa/web"
#define CLIENT_ID "spiffe://cluster.local/ns/shop/sa/front"
#define NOW_US (1800000000 * 1000000LL)

/* --- who is who --- */

enum identity_name {
    NOBODY,
    WEB,
    FRONT,
    WEB_RSA,
    WEB_P384,
    WEB_BELOW,
    EXPIRED,
    EARLY,
    ELSEWHERE,
    STRANGER,
    PLAIN
};
#define IDENTITY_COUNT 11
#define DAY 86400

static struct test_pki *root, *other_root, *below;
static struct test_cert certs[IDENTITY_COUNT];
static struct loop *loop;

static void issue(enum identity_name who, const struct test_pki *pki, struct test_leaf leaf)
{
    test_pki_issue(pki, &leaf, &certs[who]);
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    instant_fake_start(1000000000, NOW_US);
    root = test_pki_new("root", KEYPAIR_P256);
    other_root = test_pki_new("other root", KEYPAIR_P256);
    below = test_pki_below(root, "below");
    int64_t now = NOW_US / 1000000;
    issue(WEB, root, (struct test_leaf){.spiffe_id = SERVER_ID, .dns = "web.shop"});
    issue(FRONT, root, (struct test_leaf){.spiffe_id = CLIENT_ID});
    issue(WEB_RSA, root, (struct test_leaf){.spiffe_id = SERVER_ID, .kind = KEYPAIR_RSA2048});
    issue(WEB_P384, root, (struct test_leaf){.spiffe_id = SERVER_ID, .kind = KEYPAIR_P384});
    issue(WEB_BELOW, below, (struct test_leaf){.spiffe_id = SERVER_ID});
    issue(EXPIRED, root, (struct test_leaf){.spiffe_id = SERVER_ID, .not_after_s = now - 1});
    issue(EARLY, root,
          (struct test_leaf){
              .spiffe_id = SERVER_ID, .not_before_s = now + 1, .not_after_s = now + DAY});
    issue(ELSEWHERE, root, (struct test_leaf){.spiffe_id = "spiffe://elsewhere/ns/shop/sa/web"});
    issue(STRANGER, other_root, (struct test_leaf){.spiffe_id = SERVER_ID});
    issue(PLAIN, root, (struct test_leaf){.dns = "*.shop.example", .name = "plain"});
    loop = loop_new(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 1; i < IDENTITY_COUNT; i++) {
        test_cert_dispose(&certs[i]);
    }
    test_pki_free(below);
    test_pki_free(other_root);
    test_pki_free(root);
    loop_free(loop);
    instant_fake_stop();
    return 0;
}

/* --- a pair of ends --- */

struct end {
    struct io *io;
    struct tls_ctx *ctx;
    int done; /* calls of on_done */
    int code;
    char why[512];
    char got[1 << 18];
    size_t got_len;
    int ended; /* 1 = not yet; else what read answered at last */
};

static struct end client, server;

static void on_done(void *arg, struct io *io, int code, const char *why)
{
    struct end *e = arg;
    assert_ptr_equal(e->io, io);
    e->done++;
    e->code = code;
    (void)snprintf(e->why, sizeof(e->why), "%s", why);
}

static void on_event(void *arg, unsigned events)
{
    struct end *e = arg;
    if ((events & IO_READ) == 0) {
        return;
    }
    ssize_t n = io_read(e->io, e->got + e->got_len, sizeof(e->got) - e->got_len);
    if (n > 0) {
        e->got_len += (size_t)n;
    } else if (n != -EAGAIN) {
        e->ended = (int)n;
        io_watch(e->io, 0);
    }
}

static void run(void)
{
    while (loop_turn(loop, false)) {
    }
}

static struct span pem(enum identity_name who)
{
    return buf_span(&certs[who].chain);
}

static struct tls_trust cluster_trust;

static struct tls_ctx_spec spec_for(bool is_server, enum identity_name who)
{
    cluster_trust =
        (struct tls_trust){.trust_domain = SPAN("cluster.local"), .roots_pem = test_pki_root(root)};
    return (struct tls_ctx_spec){
        .server = is_server,
        .chain_pem = who == NOBODY ? SPAN_EMPTY : pem(who),
        .key_pem = who == NOBODY ? SPAN_EMPTY : buf_span(&certs[who].key),
        .trust = &cluster_trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_REQUIRED,
    };
}

static struct tls_ctx *make_ctx(const struct tls_ctx_spec *spec)
{
    struct tls_ctx *ctx;
    struct err err;
    int code = tls_ctx_new(&ctx, spec, &err);
    if (code != 0) {
        fail_msg("tls_ctx_new: %s", err.text);
    }
    return ctx;
}

static void start_end(struct end *e, const struct tls_ctx_spec *spec, struct io *lower)
{
    e->done = 0;
    e->code = 1;
    e->got_len = 0;
    e->ended = 1;
    e->why[0] = '\0';
    e->ctx = make_ctx(spec);
    e->io = io_tls_start_take(
        loop, &(struct io_tls_spec){.lower = lower, .ctx = e->ctx, .on_done = on_done, .arg = e});
    assert_int_equal(e->done, 0);
    io_set_owner(e->io, on_event, e);
}

static void start_pair(const struct tls_ctx_spec *c, const struct tls_ctx_spec *s, size_t room)
{
    struct io *a, *b;
    io_mem_pair(loop, room, &a, &b);
    start_end(&client, c, a);
    start_end(&server, s, b);
}

static void watch_both(void)
{
    io_watch(client.io, IO_READ);
    io_watch(server.io, IO_READ);
}

static void close_end(struct end *e)
{
    io_close(e->io);
    e->io = NULL;
    tls_ctx_put(e->ctx);
}

static void close_pair(void)
{
    close_end(&client);
    close_end(&server);
    run();
}

static void open_pair(const struct tls_ctx_spec *c, const struct tls_ctx_spec *s, size_t room)
{
    start_pair(c, s, room);
    run();
    if (client.code != 0 || server.code != 0) {
        fail_msg("client %d (%s), server %d (%s)", client.code, client.why, server.code,
                 server.why);
    }
    watch_both();
}

static void open_usual(size_t room)
{
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    open_pair(&c, &s, room);
}

/* --- the matrix: who is let in --- */

struct matrix {
    const char *name;
    enum identity_name client, server;
    enum tls_peer_mode client_mode, server_mode; /* of what each asks of the other */
    uint16_t most;                               /* version, 0 = 1.3 */
    int client_code, server_code;                /* on_done; 1 = not looked at */
    const char *client_why, *server_why;         /* part of it */
};

#define NONE TLS_PEER_NONE
#define OPT TLS_PEER_OPTIONAL
#define REQ TLS_PEER_REQUIRED

static const struct matrix matrix[] = {
    {"mutual 1.3", FRONT, WEB, REQ, REQ, 0, 0, 0, "", ""},
    {"mutual 1.2", FRONT, WEB, REQ, REQ, 0x0303, 0, 0, "", ""},
    {"rsa 1.3", FRONT, WEB_RSA, REQ, REQ, 0, 0, 0, "", ""},
    {"rsa 1.2", FRONT, WEB_RSA, REQ, REQ, 0x0303, 0, 0, "", ""},
    {"rsa client 1.2", WEB_RSA, WEB, REQ, REQ, 0x0303, 0, 0, "", ""},
    {"p-384 1.3", FRONT, WEB_P384, REQ, REQ, 0, 0, 0, "", ""},
    {"p-384 1.2", WEB_P384, WEB_P384, REQ, REQ, 0x0303, 0, 0, "", ""},
    {"intermediate 1.3", FRONT, WEB_BELOW, REQ, REQ, 0, 0, 0, "", ""},
    {"intermediate 1.2", WEB_BELOW, WEB, REQ, REQ, 0x0303, 0, 0, "", ""},
    {"server asks nothing 1.3", NOBODY, WEB, REQ, NONE, 0, 0, 0, "", ""},
    {"server asks nothing 1.2", NOBODY, WEB, REQ, NONE, 0x0303, 0, 0, "", ""},
    {"optional, given 1.3", FRONT, WEB, REQ, OPT, 0, 0, 0, "", ""},
    {"optional, given 1.2", FRONT, WEB, REQ, OPT, 0x0303, 0, 0, "", ""},
    {"optional, not given 1.3", NOBODY, WEB, REQ, OPT, 0, 0, 0, "", ""},
    {"optional, not given 1.2", NOBODY, WEB, REQ, OPT, 0x0303, 0, 0, "", ""},
    {"optional, bad 1.3", STRANGER, WEB, REQ, OPT, 0, 1, -ERR_DENIED, "",
     "not signed by a trusted root"},
    {"optional, bad 1.2", STRANGER, WEB, REQ, OPT, 0x0303, -ERR_DENIED, -ERR_DENIED,
     "access denied", "not signed by a trusted root"},
    {"optional, expired 1.3", EXPIRED, WEB, REQ, OPT, 0, 1, -ERR_DENIED, "", "has expired"},
    {"optional, elsewhere 1.3", ELSEWHERE, WEB, REQ, OPT, 0, 1, -ERR_DENIED, "", "trust domain"},
    {"client checks nothing", FRONT, STRANGER, NONE, REQ, 0, 0, 0, "", ""},
    {"missing client certificate 1.3", NOBODY, WEB, REQ, REQ, 0, 1, -ERR_DENIED, "",
     "no certificate"},
    {"missing client certificate 1.2", NOBODY, WEB, REQ, REQ, 0x0303, 1, -ERR_DENIED, "",
     "no certificate"},
    {"wrong CA of server 1.3", FRONT, STRANGER, REQ, REQ, 0, -ERR_DENIED, -ERR_DENIED,
     "not signed by a trusted root", "unknown ca"},
    {"wrong CA of server 1.2", FRONT, STRANGER, REQ, REQ, 0x0303, -ERR_DENIED, -ERR_DENIED,
     "not signed by a trusted root", "unknown ca"},
    {"wrong CA of client 1.3", STRANGER, WEB, REQ, REQ, 0, 1, -ERR_DENIED, "",
     "not signed by a trusted root"},
    {"wrong CA of client 1.2", STRANGER, WEB, REQ, REQ, 0x0303, -ERR_DENIED, -ERR_DENIED,
     "unknown ca", "not signed by a trusted root"},
    {"expired server", FRONT, EXPIRED, REQ, REQ, 0, -ERR_DENIED, -ERR_DENIED, "has expired",
     "certificate expired"},
    {"expired client", EXPIRED, WEB, REQ, REQ, 0, 1, -ERR_DENIED, "", "has expired"},
    {"early server", FRONT, EARLY, REQ, REQ, 0, -ERR_DENIED, -ERR_DENIED, "is not valid yet",
     "certificate unknown"},
    {"early client 1.2", EARLY, WEB, REQ, REQ, 0x0303, -ERR_DENIED, -ERR_DENIED,
     "certificate unknown", "is not valid yet"},
    {"wrong trust domain of server", FRONT, ELSEWHERE, REQ, REQ, 0, -ERR_DENIED, -ERR_DENIED,
     "trust domain", "access denied"},
    {"wrong trust domain of client", ELSEWHERE, WEB, REQ, REQ, 0, 1, -ERR_DENIED, "",
     "trust domain"},
    {"no SPIFFE ID, no bundle for that", PLAIN, WEB, REQ, REQ, 0, 1, -ERR_DENIED, "",
     "trust domain"},
};

static void check_code(const char *name, const char *side, const struct end *e, int want,
                       const char *why)
{
    if (e->done != 1 || (want != 1 && e->code != want) || strstr(e->why, why) == NULL) {
        fail_msg("%s: %s is told %d times, %d '%s'; wanted %d '%s'", name, side, e->done, e->code,
                 e->why, want, why);
    }
}

static void test_matrix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
        const struct matrix *m = &matrix[i];
        struct tls_ctx_spec c = spec_for(false, m->client), s = spec_for(true, m->server);
        c.peer_mode = m->client_mode;
        s.peer_mode = m->server_mode;
        c.max_version = m->most;
        start_pair(&c, &s, 65536);
        run();
        check_code(m->name, "client", &client, m->client_code, m->client_why);
        check_code(m->name, "server", &server, m->server_code, m->server_why);
        if (server.code == 0) {
            assert_int_equal(io_tls_peer(server.io)->verified,
                             m->client != NOBODY && m->server_mode != NONE);
            assert_int_equal(io_tls_peer(client.io)->verified, m->client_mode != NONE);
            assert_int_equal(io_tls_peer(client.io)->version, m->most ? m->most : 0x0304);
        } else if (client.code ==
                   0) { /* TLS 1.3: a client learns by its first read that it was refused */
            io_watch(client.io, IO_READ);
            run();
            if (client.ended != -ERR_DENIED) {
                fail_msg("%s: client reads %d (%s)", m->name, client.ended, io_tls_why(client.io));
            }
            assert_non_null(strstr(io_tls_why(client.io), "alert"));
        }
        close_pair();
    }
}

/* --- secure naming --- */

struct naming {
    enum identity_name server;
    struct tls_san_match allowed[2];
    bool in;
};

#define URI(k, t) {.san = TLS_SAN_URI, .kind = TLS_MATCH_##k, .text = SPAN(t)}
#define DNS(k, t) {.san = TLS_SAN_DNS, .kind = TLS_MATCH_##k, .text = SPAN(t)}

static void test_naming(void **state)
{
    (void)state;
    const struct naming namings[] = {
        {WEB, {URI(EXACT, SERVER_ID)}, true},
        {WEB, {URI(EXACT, CLIENT_ID), URI(EXACT, SERVER_ID)}, true},
        {WEB, {URI(EXACT, CLIENT_ID)}, false},
        {WEB, {URI(EXACT, SERVER_ID "x")}, false},
        {WEB, {URI(EXACT, "spiffe://cluster.local/ns/shop/sa/we")}, false},
        {WEB, {URI(EXACT, "SPIFFE://cluster.local/ns/shop/sa/web")}, false},
        {WEB,
         {{.san = TLS_SAN_URI,
           .ignore_case = true,
           .text = SPAN("SPIFFE://cluster.local/NS/shop/sa/web")}},
         true},
        {WEB, {URI(PREFIX, "spiffe://cluster.local/ns/shop/")}, true},
        {WEB, {URI(PREFIX, "spiffe://cluster.local/ns/bank/")}, false},
        {WEB, {URI(SUFFIX, "/sa/web")}, true},
        {WEB, {URI(SUFFIX, "/sa/front")}, false},
        {WEB, {URI(CONTAINS, "/ns/shop/")}, true},
        {WEB, {URI(CONTAINS, "/ns/bank/")}, false},
        {WEB, {URI(CONTAINS, SERVER_ID "/much/longer/than/it")}, false},
        {WEB, {DNS(EXACT, SERVER_ID)}, false}, /* a URI is no DNS name */
        {WEB, {URI(EXACT, "web.shop")}, false},
        {WEB, {DNS(EXACT, "web.shop")}, true},
        {WEB, {DNS(EXACT, "WEB.Shop")}, true},
        {WEB, {DNS(SUFFIX, ".shop")}, true},
        {PLAIN, {DNS(EXACT, "a.shop.example")}, true},
        {PLAIN, {DNS(EXACT, "a.b.shop.example")}, false},
        {PLAIN, {DNS(EXACT, "shop.example")}, false},
        {PLAIN, {DNS(EXACT, ".shop.example")}, false},
        {PLAIN, {DNS(EXACT, "*.shop.example")}, true},
        {PLAIN, {DNS(EXACT, "a.shop.example.org")}, false},
        {PLAIN, {{.san = TLS_SAN_IP, .text = SPAN("10.0.0.1")}}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(namings); i++) {
        const struct naming *n = &namings[i];
        for (int version = 0x0303; version <= 0x0304; version++) {
            struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, n->server);
            struct tls_trust any = {.roots_pem = test_pki_root(root)};
            c.trust = n->server == PLAIN ? &any : c.trust;
            c.allowed = n->allowed;
            c.allowed_count = n->allowed[1].text.len > 0 ? 2 : 1;
            c.max_version = (uint16_t)version;
            start_pair(&c, &s, 65536);
            run();
            if (n->in ? client.code != 0
                      : client.code != -ERR_DENIED || server.code != -ERR_DENIED) {
                fail_msg("naming %zu: client %d (%s), server %d (%s)", i, client.code, client.why,
                         server.code, server.why);
            }
            close_pair();
        }
    }
}

/* The reason names both sides of the comparison. */
static void test_naming_why(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    const struct tls_san_match allowed[] = {URI(EXACT, "spiffe://cluster.local/ns/bank/sa/vault"),
                                            DNS(SUFFIX, ".bank"), URI(PREFIX, "spiffe://p"),
                                            URI(CONTAINS, "zz"), URI(EXACT, "e")};
    c.allowed = allowed;
    c.allowed_count = ARRAY_LEN(allowed);
    start_pair(&c, &s, 65536);
    run();
    assert_string_equal(client.why, "peer is '" SERVER_ID
                                    "', allowed are 'spiffe://cluster.local/ns/bank/sa/vault', "
                                    "'*.bank', 'spiffe://p*', '*zz*', ...");
    assert_string_equal(server.why, "peer sent the alert 'access denied'");
    close_pair();
    /* A server that allows only some clients. */
    c = spec_for(false, FRONT);
    s.allowed = allowed;
    s.allowed_count = 1;
    start_pair(&c, &s, 65536);
    run();
    assert_int_equal(server.code, -ERR_DENIED);
    assert_non_null(strstr(server.why, CLIENT_ID));
    close_pair();
}

/* The peer's own trust domain picks the bundle. */
static void test_bundles(void **state)
{
    (void)state;
    struct span a = test_pki_root(root), b = test_pki_root(other_root);
    const struct {
        enum identity_name server;
        struct tls_trust trust[3];
        size_t count;
        bool in;
    } cases[] = {
        {WEB, {{SPAN("cluster.local"), a}, {SPAN("elsewhere"), b}}, 2, true},
        {WEB, {{SPAN("elsewhere"), a}, {SPAN("cluster.local"), b}}, 2, false},
        {WEB, {{SPAN("elsewhere"), b}, {SPAN("cluster.local"), a}}, 2, true},
        {ELSEWHERE, {{SPAN("cluster.local"), b}, {SPAN("elsewhere"), a}}, 2, true},
        {ELSEWHERE, {{SPAN("cluster.local"), a}, {SPAN("elsewhere"), b}}, 2, false},
        {STRANGER, {{SPAN("cluster.local"), a}, {SPAN("elsewhere"), b}}, 2, false},
        {STRANGER, {{SPAN("cluster.local"), a}, {SPAN("cluster.local"), b}}, 2, true},
        {WEB, {{SPAN_EMPTY, a}}, 1, true},
        {WEB,
         {{SPAN_EMPTY, a}, {SPAN("cluster.local"), b}},
         2,
         false}, /* a named bundle goes first */
        {WEB, {{SPAN("elsewhere"), b}, {SPAN_EMPTY, a}}, 2, true},
        {PLAIN, {{SPAN_EMPTY, a}}, 1, true},
        {PLAIN, {{SPAN_EMPTY, b}, {SPAN("cluster.local"), a}}, 2, false},
        {PLAIN, {{SPAN_EMPTY, b}, {SPAN("cluster.local"), a}, {SPAN_EMPTY, a}}, 3, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, cases[i].server);
        c.trust = cases[i].trust;
        c.trust_count = cases[i].count;
        start_pair(&c, &s, 65536);
        run();
        if (client.code != (cases[i].in ? 0 : -ERR_DENIED)) {
            fail_msg("bundles %zu: %d (%s)", i, client.code, client.why);
        }
        close_pair();
    }
}

/* A certificate expires when the clock, also a fake one, says so. */
static void test_clock(void **state)
{
    (void)state;
    open_usual(65536);
    close_pair();
    instant_fake_advance(2 * DAY * 1000000000LL);
    run();
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    start_pair(&c, &s, 65536);
    run();
    assert_int_equal(client.code, -ERR_DENIED);
    assert_non_null(strstr(client.why, "has expired"));
    close_pair();
}

/* --- what is negotiated --- */

static void test_peer(void **state)
{
    (void)state;
    const struct span alpn_c[] = {SPAN("http/1.1"), SPAN("h2")},
                      alpn_s[] = {SPAN("h2"), SPAN("http/1.1")};
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    c.alpn = alpn_c;
    c.alpn_count = 2;
    c.sni = SPAN("Outbound_.80_._.Web.Shop");
    s.alpn = alpn_s;
    s.alpn_count = 2;
    open_pair(&c, &s, 65536);
    const struct tls_peer *web = io_tls_peer(client.io), *front = io_tls_peer(server.io);
    assert_true(span_is(web->spiffe_id, SERVER_ID));
    assert_true(span_is(web->dns_san, "web.shop"));
    assert_true(span_is(front->spiffe_id, CLIENT_ID));
    assert_int_equal(front->dns_san.len, 0);
    assert_true(span_is(web->alpn, "h2")); /* the server's order */
    assert_true(span_is(front->alpn, "h2"));
    assert_true(span_is(front->sni, "outbound_.80_._.web.shop"));
    assert_int_equal(web->version, 0x0304);
    assert_string_equal(web->suite, "TLS_AES_128_GCM_SHA256");
    assert_true(io_is_tls(client.io));
    assert_false(io_is_tls(client.io->lower));
    assert_int_equal(io_fd(client.io), -1);
    assert_string_equal(io_tls_why(client.io), "");
    close_pair();
    c.max_version = 0x0303;
    open_pair(&c, &s, 65536);
    assert_string_equal(io_tls_peer(client.io)->suite, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    close_pair();
}

static void test_alpn(void **state)
{
    (void)state;
    const struct span h2[] = {SPAN("h2")}, h1[] = {SPAN("http/1.1")};
    for (int version = 0x0303; version <= 0x0304; version++) {
        struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
        c.max_version = (uint16_t)version;
        c.alpn = h1;
        c.alpn_count = 1;
        s.alpn = h2;
        s.alpn_count = 1;
        start_pair(&c, &s, 65536);
        run();
        assert_int_equal(server.code, -ERR_TLS);
        assert_int_equal(client.code, -ERR_TLS);
        assert_string_equal(client.why, "peer sent the alert 'no application protocol'");
        close_pair();
        c.alpn_count = 0; /* no offer, no choice */
        open_pair(&c, &s, 65536);
        assert_int_equal(io_tls_peer(server.io)->alpn.len, 0);
        close_pair();
    }
}

static void test_versions(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    c.max_version = 0x0303;
    s.min_version = 0x0304;
    start_pair(&c, &s, 65536);
    run();
    assert_int_equal(server.code, -ERR_TLS);
    assert_int_equal(client.code, -ERR_TLS);
    assert_string_equal(client.why, "peer sent the alert 'protocol version'");
    close_pair();
}

/* --- bytes --- */

static char pattern(size_t i)
{
    return (char)(i * 7 + (i >> 8));
}

static char big[200000];

static void make_big(void)
{
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = pattern(i);
    }
}

/* Sends all of big[0..len), in parts of an iovec that change in size; turns the loop in between. */
static void send_all(struct end *e, size_t len)
{
    size_t at = 0, step = 1;
    for (int turns = 0; at < len; turns++) {
        assert_true(turns < 1000000);
        struct iovec v[3];
        size_t offered = at;
        for (int i = 0; i < 3; i++) {
            size_t part = size_min(step * (size_t)(i + 1), len - offered);
            v[i] = (struct iovec){big + offered, part};
            offered += part;
        }
        ssize_t n = io_writev(e->io, v, 3);
        if (n == -EAGAIN) {
            run();
            continue;
        }
        assert_true(n > 0 && at + (size_t)n <= offered);
        at += (size_t)n;
        step = step * 3 % 30011 + 1;
    }
    run();
}

static void check_got(struct end *e, size_t len)
{
    run();
    assert_int_equal(e->got_len, len);
    assert_memory_equal(e->got, big, len);
    e->got_len = 0;
}

static void test_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,     2,     1024,  16382, 16383, 16384,
                                   16385, 65535, 65536, 65537, 200000};
    static const size_t rooms[] = {65536, 1000, 17, 1};
    make_big();
    for (int version = 0x0303; version <= 0x0304; version++) {
        for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
            struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
            c.max_version = (uint16_t)version;
            open_pair(&c, &s, rooms[r]); /* room 1: everything comes byte by byte */
            for (size_t i = 0; i < ARRAY_LEN(sizes) && sizes[i] <= rooms[r] * 1024; i++) {
                send_all(&client, sizes[i]);
                check_got(&server, sizes[i]);
                send_all(&server, sizes[i]);
                check_got(&client, sizes[i]);
            }
            close_pair();
        }
    }
}

/* What a read of 64 KiB brought goes out in one record flight and one send. */
static void test_gathered(void **state)
{
    (void)state;
    make_big();
    open_usual(1 << 20);
    uint64_t before = records_out(of(client.io));
    const struct iovec small[] = {{big, 100}, {big + 100, 0}, {big + 100, 50}, {big + 150, 850}};
    assert_int_equal(io_writev(client.io, small, 4), 1000);
    assert_int_equal(records_out(of(client.io)) - before, 1); /* a head and a body: one record */
    check_got(&server, 1000);
    assert_int_equal(io_write(client.io, big, 65536), 65536);
    assert_int_equal(records_out(of(client.io)) - before, 6);
    check_got(&server, 65536);
    close_pair();
}

/* Ciphertext that lower refuses is bounded by one writev. */
static void test_back_pressure(void **state)
{
    (void)state;
    make_big();
    open_usual(4096);
    io_watch(server.io, 0);
    ssize_t n = io_write(client.io, big, sizeof(big));
    assert_true(n > 60000 && n <= 66560);
    assert_int_equal(io_write(client.io, big, 1), -EAGAIN);
    run();
    assert_int_equal(io_write(client.io, big, 1), -EAGAIN);
    assert_int_equal(server.got_len, 0);
    io_watch(server.io, IO_READ);
    run();
    assert_int_equal(server.got_len, n);
    assert_int_equal(buf_len(&of(client.io)->out), 0);
    assert_null(of(client.io)->out.data); /* memory given back */
    assert_int_equal(io_write(client.io, big, 1), 1);
    close_pair();
}

/* An owner that reads little is told again although nothing more comes from below. */
static void on_little(void *arg, unsigned events)
{
    struct end *e = arg;
    assert_int_equal(events, IO_READ);
    ssize_t n = io_read(e->io, e->got + e->got_len, 10);
    assert_true(n > 0 && n <= 10);
    e->got_len += (size_t)n;
}

static void test_pending(void **state)
{
    (void)state;
    make_big();
    open_usual(1 << 20);
    io_set_owner(server.io, on_little, &server);
    assert_int_equal(io_write(client.io, big, 40000), 40000);
    check_got(&server, 40000);
    assert_false(io_tls_ops.pending(server.io));
    assert_null(of(server.io)->saved.data);
    close_pair();
}

/* Half-close: one side ends, the other goes on and ends later. */
static void test_half_close(void **state)
{
    (void)state;
    make_big();
    for (int version = 0x0303; version <= 0x0304; version++) {
        struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
        c.max_version = (uint16_t)version;
        open_pair(&c, &s, 4096);
        assert_int_equal(io_write(client.io, big, 100), 100);
        assert_int_equal(io_shut(client.io), 0);
        assert_int_equal(io_shut(client.io), 0);
        assert_int_equal(io_write(client.io, big, 1), -EPIPE);
        check_got(&server, 100);
        assert_int_equal(server.ended, 0);
        assert_int_equal(client.ended, 1);
        send_all(&server, 100000);
        assert_int_equal(client.ended, 1);
        check_got(&client, 100000);
        assert_int_equal(io_shut(server.io), 0);
        run();
        assert_int_equal(client.ended, 0);
        close_pair();
    }
}

/* shut waits for what lower has refused so far. */
static void test_shut_waits(void **state)
{
    (void)state;
    make_big();
    open_usual(1000);
    io_watch(server.io, 0);
    assert_int_equal(io_write(client.io, big, 5000), 5000);
    assert_int_equal(io_shut(client.io), -EAGAIN);
    assert_int_equal(io_shut(client.io), -EAGAIN);
    io_watch(server.io, IO_READ);
    run();
    assert_int_equal(io_shut(client.io), 0);
    check_got(&server, 5000);
    assert_int_equal(server.ended, 0);
    close_pair();
}

/* An end that TLS did not announce is no end. */
static void test_truncated(void **state)
{
    (void)state;
    open_usual(65536);
    assert_int_equal(io_write(client.io, "hello", 5), 5);
    assert_int_equal(io_shut(client.io->lower), 0);
    run();
    assert_int_equal(server.got_len, 5);
    assert_int_equal(server.ended, -ERR_EOF);
    close_pair();
    open_usual(65536);
    io_close(client.io); /* without shut */
    client.io = NULL;
    run();
    assert_int_equal(server.ended, -ERR_EOF);
    tls_ctx_put(client.ctx);
    close_end(&server);
    run();
    open_usual(65536);
    io_mem_break(server.io->lower, -ERR_RESET);
    run();
    assert_int_equal(server.ended, -ERR_RESET);
    assert_int_equal(io_write(server.io, "x", 1), -ERR_RESET);
    close_pair();
}

/* --- somebody in the middle --- */

struct middle {
    struct io *left, *right; /* towards client and server */
    size_t passed;           /* bytes, both directions */
    size_t flip_at;          /* this one is changed; SIZE_MAX = none */
    size_t cut_at;           /* from here on nothing passes */
};

static struct middle middle;

static void pass(struct io *from, struct io *to)
{
    char bytes[4096];
    ssize_t n = io_read(from, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < n; i++) {
        if (middle.passed == middle.flip_at) {
            bytes[i] ^= 1;
        }
        if (middle.passed++ >= middle.cut_at) {
            return;
        }
        assert_int_equal(io_write(to, &bytes[i], 1), 1);
    }
    if (n == 0) {
        io_watch(from, 0);
        (void)io_shut(to);
    } else if (n < 0 && n != -EAGAIN) {
        io_watch(from, 0);
    }
}

static void on_left(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
    pass(middle.left, middle.right);
}

static void on_right(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
    pass(middle.right, middle.left);
}

static void start_with_middle(uint16_t version, size_t flip_at, size_t cut_at)
{
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    c.max_version = version;
    struct io *a, *b;
    io_mem_pair(loop, 1 << 20, &a, &middle.left);
    start_end(&client, &c, a);
    io_mem_pair(loop, 1 << 20, &b, &middle.right);
    start_end(&server, &s, b);
    middle.passed = 0;
    middle.flip_at = flip_at;
    middle.cut_at = cut_at;
    io_set_owner(middle.left, on_left, NULL);
    io_set_owner(middle.right, on_right, NULL);
    io_watch(middle.left, IO_READ);
    io_watch(middle.right, IO_READ);
}

static void close_with_middle(void)
{
    io_close(middle.left);
    io_close(middle.right);
    close_pair();
}

/* Whatever byte of a handshake is changed or lost: nobody ends up open and believing. */
static void test_tampered_handshake(void **state)
{
    (void)state;
    for (int version = 0x0303; version <= 0x0304; version++) {
        start_with_middle((uint16_t)version, SIZE_MAX, SIZE_MAX);
        run();
        assert_int_equal(client.code, 0);
        assert_int_equal(server.code, 0);
        size_t whole = middle.passed;
        size_t unnoticed = 0;
        close_with_middle();
        /* Signatures make the length vary a little. */
        for (size_t at = 0; at + 32 < whole; at += 13) {
            start_with_middle((uint16_t)version, at, SIZE_MAX);
            run();
            if (client.code == 0 && server.code == 0) {
                unnoticed++;
                assert_true(span_is(io_tls_peer(client.io)->spiffe_id, SERVER_ID));
                assert_true(span_is(io_tls_peer(server.io)->spiffe_id, CLIENT_ID));
            }
            close_with_middle();
            start_with_middle((uint16_t)version, SIZE_MAX, at);
            run();
            assert_true(client.code != 0 || server.code != 0);
            instant_fake_advance(11 * 1000000000LL);
            run();
            assert_int_equal(client.done + server.done, 2);
            assert_true(client.code == -ERR_TIMEOUT || server.code == -ERR_TIMEOUT);
            close_with_middle();
        }
        /* Nothing but the version bytes of record headers is not authenticated. */
        assert_in_range(unnoticed, 0, 4);
    }
}

static void test_tampered_record(void **state)
{
    (void)state;
    for (int version = 0x0303; version <= 0x0304; version++) {
        start_with_middle((uint16_t)version, SIZE_MAX, SIZE_MAX);
        run();
        watch_both();
        middle.flip_at = middle.passed + 7; /* in the payload */
        assert_int_equal(io_write(client.io, "secret", 6), 6);
        run();
        assert_int_equal(server.got_len, 0);
        assert_int_equal(server.ended, -ERR_TLS);
        assert_int_equal(client.ended, -ERR_TLS);
        assert_string_equal(io_tls_why(client.io), "peer sent the alert 'bad record mac'");
        close_with_middle();
    }
}

/* --- beginnings and ends --- */

/* Bytes that were read to look at the ClientHello. */
static void test_first_bytes(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    start_end(&client, &c, a);
    run();
    char first[16384];
    ssize_t n = io_read(b, first, sizeof(first));
    assert_true(n > 100);
    server.code = 1;
    server.ctx = make_ctx(&s);
    server.io =
        io_tls_start_take(loop, &(struct io_tls_spec){.lower = b,
                                                      .ctx = server.ctx,
                                                      .first_bytes = span_from(first, (size_t)n),
                                                      .on_done = on_done,
                                                      .arg = &server});
    io_set_owner(server.io, on_event, &server);
    run();
    assert_int_equal(client.code, 0);
    assert_int_equal(server.code, 0);
    close_pair();
}

static void test_sni_override(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    c.sni = SPAN("of-the-ctx");
    start_end(&server, &s, b);
    client.ctx = make_ctx(&c);
    client.io = io_tls_start_take(loop, &(struct io_tls_spec){.lower = a,
                                                              .ctx = client.ctx,
                                                              .sni = SPAN("of-the-call"),
                                                              .on_done = on_done,
                                                              .arg = &client});
    run();
    assert_true(span_is(io_tls_peer(server.io)->sni, "of-the-call"));
    close_pair();
}

static void test_deadline(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT);
    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    start_end(&client, &c, a);
    run();
    instant_fake_advance(9900 * 1000000LL);
    run();
    assert_int_equal(client.done, 0);
    instant_fake_advance(200 * 1000000LL);
    run();
    assert_int_equal(client.done, 1);
    assert_int_equal(client.code, -ERR_TIMEOUT);
    assert_string_equal(client.why, "handshake took longer than 10000 ms");
    io_close(b);
    close_end(&client);
    run();
}

/* Closing at every point: before the first turn, in on_done, in on_event. */
static void close_on_done(void *arg, struct io *io, int code, const char *why)
{
    (void)why;
    struct end *e = arg;
    e->done++;
    e->code = code;
    io_close(io);
    e->io = NULL;
}

static void close_on_event(void *arg, unsigned events)
{
    (void)events;
    struct end *e = arg;
    io_close(e->io);
    e->io = NULL;
}

static void test_closing(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    start_pair(&c, &s, 65536);
    close_end(&client);
    run();
    assert_int_equal(server.code, -ERR_EOF);
    close_end(&server);
    run();

    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    start_end(&server, &s, b);
    client.ctx = make_ctx(&c);
    client.done = 0;
    client.io = io_tls_start_take(
        loop, &(struct io_tls_spec){
                  .lower = a, .ctx = client.ctx, .on_done = close_on_done, .arg = &client});
    tls_ctx_put(client.ctx); /* the stream holds its own reference */
    run();
    assert_int_equal(client.done, 1);
    assert_int_equal(client.code, 0);
    close_end(&server);
    run();

    open_usual(65536);
    io_set_owner(server.io, close_on_event, &server);
    assert_int_equal(io_write(client.io, "x", 1), 1);
    run();
    assert_null(server.io);
    tls_ctx_put(server.ctx);
    close_end(&client);
    run();
}

/* --- age --- */

static void test_worn(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    c.record_limit = s.record_limit = 1000;
    open_pair(&c, &s, 65536);
    int written = 0;
    for (; written < 1000; written++) {
        assert_false(io_tls_is_worn(client.io));
        assert_int_equal(io_write(client.io, "x", 1), 1);
        run();
    }
    assert_true(io_tls_is_worn(client.io));
    assert_true(io_tls_is_worn(server.io));
    for (; written < 2828; written++) {
        assert_int_equal(io_write(client.io, "x", 1), 1);
        run();
    }
    assert_int_equal(io_write(client.io, "x", 1), -ERR_LIMIT);
    assert_int_equal(io_write(client.io, "x", 1), -ERR_LIMIT);
    assert_string_equal(io_tls_why(client.io), "too many records under one key");
    assert_int_equal(io_shut(client.io), 0);
    run();
    assert_int_equal(server.got_len, 2828);
    assert_int_equal(server.ended, -ERR_LIMIT);
    close_pair();
}

/* What an idle connection costs: most of it are mbedTLS's two record buffers. A change of this figure is a
 * change of the budget in architecture section 13. */
static void test_memory(void **state)
{
    (void)state;
    struct tls_ctx_spec c = spec_for(false, FRONT), s = spec_for(true, WEB);
    open_pair(&c, &s, 65536); /* the loop's own buffers */
    close_pair();
    struct tls_ctx *client_ctx = make_ctx(&c), *server_ctx = make_ctx(&s);
    enum { PAIRS = 20 };
    struct end *ends = mem_array(2 * PAIRS, sizeof(*ends));
    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    size_t bare = mem_live_bytes();
    struct io *more[2];
    io_mem_pair(loop, 65536, &more[0], &more[1]);
    size_t lower_bytes = (mem_live_bytes() - bare) / 2;
    io_close(a);
    io_close(b);
    io_close(more[0]);
    io_close(more[1]);
    run();
    size_t before = mem_live_bytes();
    for (int i = 0; i < PAIRS; i++) {
        io_mem_pair(loop, 65536, &a, &b);
        ends[2 * i].io = io_tls_start_take(
            loop, &(struct io_tls_spec){
                      .lower = a, .ctx = client_ctx, .on_done = on_done, .arg = &ends[2 * i]});
        ends[2 * i + 1].io = io_tls_start_take(
            loop, &(struct io_tls_spec){
                      .lower = b, .ctx = server_ctx, .on_done = on_done, .arg = &ends[2 * i + 1]});
    }
    run();
    size_t each = (mem_live_bytes() - before) / (2 * PAIRS) - lower_bytes;
    print_message("an idle connection: %zu bytes\n", each);
    for (int i = 0; i < 2 * PAIRS; i++) {
        assert_int_equal(ends[i].code, 0);
        io_close(ends[i].io);
    }
    run();
    mem_free(ends);
    tls_ctx_put(client_ctx);
    tls_ctx_put(server_ctx);
    assert_in_range(each, 36000, 46000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_naming),
        cmocka_unit_test(test_naming_why),
        cmocka_unit_test(test_bundles),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_gathered),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_shut_waits),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_tampered_handshake),
        cmocka_unit_test(test_tampered_record),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_sni_override),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_worn),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_clock), /* last: all certificates have expired after it */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

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
    bool stop_reading;
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

__attribute__((unused)) static void open_usual(size_t room)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

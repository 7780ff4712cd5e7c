/* Many at once: 200 handshakes under way together, 2,000 connections open together, on two threads that share
 * nothing but mbedTLS's inside. The first 200 verify each other; the rest take less time for the same memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/mem.h"
#include "support/test_pki.h"
#include "tls/io_tls.h"
#include "tls/tls.h"

enum { THREADS = 2, AT_ONCE = 100, ROUNDS = 10, ENDS = 2 * AT_ONCE * ROUNDS };

static struct test_pki *root;
static struct test_cert web, front;

struct crowd_end {
    struct crowd *crowd;
    struct io *io;
    char got[8];
    size_t got_len;
};

struct crowd {
    struct loop *loop;
    struct tls_ctx *client, *server; /* of the round under way */
    struct crowd_end ends[ENDS];     /* a client, its server, the next client ... */
    size_t started, opened, failed, answered;
};

static void on_done(void *arg, struct io *io, int code, const char *why)
{
    UNUSED(io);
    struct crowd_end *e = arg;
    if (code == 0) {
        e->crowd->opened++;
    } else {
        e->crowd->failed++;
        print_message("%d %s\n", code, why);
    }
}

/* Servers answer what they got; clients count. */
static void on_event(void *arg, unsigned events)
{
    UNUSED(events);
    struct crowd_end *e = arg;
    bool is_server = (e - e->crowd->ends) % 2 == 1;
    ssize_t n = io_read(e->io, e->got, sizeof(e->got));
    if (n <= 0) {
        e->crowd->failed += n != -EAGAIN;
    } else if (is_server) {
        e->crowd->failed += io_write(e->io, e->got, (size_t)n) != n;
    } else {
        e->crowd->answered++;
    }
}

static void start_one(struct crowd *crowd)
{
    struct io *lower[2];
    io_mem_pair(crowd->loop, 16384, &lower[0], &lower[1]);
    for (int i = 0; i < 2; i++) {
        struct crowd_end *e = &crowd->ends[crowd->started++];
        e->crowd = crowd;
        e->io = io_tls_start_take(
            crowd->loop, &(struct io_tls_spec){.lower = lower[i],
                                               .ctx = i == 0 ? crowd->client : crowd->server,
                                               .handshake_ms = 120000,
                                               .on_done = on_done,
                                               .arg = e});
        io_set_owner(e->io, on_event, e);
    }
}

static struct tls_ctx *make_ctx(bool is_server, struct test_cert *cert, enum tls_peer_mode mode)
{
    struct err err;
    struct tls_ctx *ctx;
    const struct tls_trust trust = {.roots_pem = test_pki_root(root)};
    const struct tls_ctx_spec spec = {
        .server = is_server,
        .chain_pem = buf_span(&cert->chain),
        .key_pem = buf_span(&cert->key),
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = mode,
    };
    return tls_ctx_new(&ctx, &spec, &err) == 0 ? ctx : NULL;
}

/* Turns until all that was started has come to an end. */
static void settle(struct crowd *crowd, const size_t *count, size_t wanted)
{
    while (*count + crowd->failed < wanted && loop_turn(crowd->loop, false)) {
    }
}

static void *run_crowd(void *arg)
{
    struct crowd *crowd = arg;
    crowd->loop = loop_new(false);
    for (int round = 0; round < ROUNDS; round++) {
        enum tls_peer_mode mode = round == 0 ? TLS_PEER_REQUIRED : TLS_PEER_NONE;
        crowd->client = make_ctx(false, &front, mode);
        crowd->server = make_ctx(true, &web, mode);
        for (int i = 0; i < AT_ONCE; i++) {
            start_one(crowd);
        }
        settle(crowd, &crowd->opened, crowd->started);
        tls_ctx_put(crowd->client); /* the streams keep theirs */
        tls_ctx_put(crowd->server);
    }
    for (size_t i = 0; i < ENDS && crowd->failed == 0; i++) {
        io_watch(crowd->ends[i].io, IO_READ);
        if (i % 2 == 0) {
            crowd->failed += io_write(crowd->ends[i].io, "hello", 5) != 5;
        }
    }
    settle(crowd, &crowd->answered, ENDS / 2);
    for (size_t i = 0; i < ENDS; i++) {
        io_close(crowd->ends[i].io);
    }
    (void)loop_turn(crowd->loop, false);
    loop_free(crowd->loop);
    return NULL;
}

static void test_crowd(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    root = test_pki_new("root", KEYPAIR_P256);
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/a/sa/web"}, &web);
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/a/sa/front"}, &front);
    static struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_crowd, &crowds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(crowds[i].failed, 0);
        assert_int_equal(crowds[i].opened, ENDS);
        assert_int_equal(crowds[i].answered, ENDS / 2);
    }
    test_cert_dispose(&web);
    test_cert_dispose(&front);
    test_pki_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crowd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

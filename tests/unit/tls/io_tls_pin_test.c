/* tls_ctx_spec.pin: a server is believed for the hash of its root alone, and no more is believed than that. */
#include "unit/cm.h"

#include <stdio.h>

#include "base/arena.h"
#include "support/test_pki.h"
#include "tls/io_tls.h"
#include "tls/tls.h"
#include "tls/x509.h"

#define CONTROL "spiffe://td/ns/mesh-system/sa/mesh-control"

static struct test_pki *root, *below, *twin; /* `twin`: another root of the same name */
static struct test_cert by_root, by_below, by_twin, expired;
static struct loop *loop;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    arena_init(&arena, 4096);
    root = test_pki_new("root", KEYPAIR_P256);
    twin = test_pki_new("root", KEYPAIR_P256);
    below = test_pki_below(root, "below");
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = CONTROL}, &by_root);
    test_pki_issue(below, &(struct test_leaf){.spiffe_id = CONTROL}, &by_below);
    test_pki_issue(twin, &(struct test_leaf){.spiffe_id = CONTROL}, &by_twin);
    test_pki_issue(root,
                   &(struct test_leaf){.spiffe_id = CONTROL, .not_before_s = 1, .not_after_s = 2},
                   &expired);
    loop = loop_new(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct test_cert *certs[] = {&by_root, &by_below, &by_twin, &expired};
    for (size_t i = 0; i < ARRAY_LEN(certs); i++) {
        test_cert_dispose(certs[i]);
    }
    test_pki_free(below);
    test_pki_free(twin);
    test_pki_free(root);
    loop_free(loop);
    arena_dispose(&arena);
    return 0;
}

static const uint8_t *hash_of(struct span pem, size_t index)
{
    struct x509_facts *facts;
    size_t count;
    assert_int_equal(x509_read(&arena, pem, &facts, &count, NULL), 0);
    assert_in_range(index, 0, count - 1);
    return facts[index].sha256;
}

struct end {
    struct io *io;
    int code;
    char why[256];
};

static void on_done(void *arg, struct io *io, int code, const char *why)
{
    struct end *e = arg;
    (void)io;
    e->code = code;
    (void)snprintf(e->why, sizeof(e->why), "%s", why);
}

static void on_event(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
}

static void start(struct end *e, const struct tls_ctx_spec *spec, struct io *lower)
{
    struct tls_ctx *ctx;
    struct err err;
    if (tls_ctx_new(&ctx, spec, &err) != 0) {
        fail_msg("%s", err.text);
    }
    e->code = 1;
    e->io = io_tls_start_take(
        loop, &(struct io_tls_spec){.lower = lower, .ctx = ctx, .on_done = on_done, .arg = e});
    io_set_owner(e->io, on_event, e);
    tls_ctx_put(ctx);
}

static void try(const uint8_t *pin, struct span chain, struct span key, uint16_t version,
                struct end *client)
{
    static const struct tls_san_match control = {
        .san = TLS_SAN_URI, .kind = TLS_MATCH_EXACT, .text = SPAN_INIT(CONTROL)};
    const struct tls_ctx_spec c = {.pin = pin,
                                   .peer_mode = TLS_PEER_REQUIRED,
                                   .allowed = &control,
                                   .allowed_count = 1,
                                   .max_version = version};
    const struct tls_ctx_spec s = {.server = true, .chain_pem = chain, .key_pem = key};
    struct end server;
    struct io *a, *b;
    io_mem_pair(loop, 65536, &a, &b);
    start(client, &c, a);
    start(&server, &s, b);
    while (loop_turn(loop, false)) {
    }
    if (client->code == 0) {
        assert_true(io_tls_peer(client->io)->verified);
        assert_span(io_tls_peer(client->io)->spiffe_id, CONTROL);
        assert_true(io_tls_peer(client->io)->serial.len > 0);
    }
    io_close(client->io);
    io_close(server.io);
    while (loop_turn(loop, false)) {
    }
}

static struct span join(const char *a, struct span b, struct span c)
{
    return span_of(arena_printf(&arena, "%s%.*s%.*s", a, SPAN_ARG(b), SPAN_ARG(c)));
}

static void test_pin(void **state)
{
    (void)state;
    struct span root_pem = test_pki_root(root), twin_pem = test_pki_root(twin);
    const uint8_t *right = hash_of(root_pem, 0), *other = hash_of(twin_pem, 0);
    const struct {
        const char *name;
        const uint8_t *pin;
        struct test_cert *server;
        struct span more; /* sent behind its chain */
        bool in;
    } cases[] = {
        {"root sent", right, &by_root, root_pem, true},
        {"root sent, with one between", right, &by_below, root_pem, true},
        {"root not sent", right, &by_root, SPAN_EMPTY, false},
        {"another root's hash", other, &by_root, root_pem, false},
        {"of another root", right, &by_twin, twin_pem, false},
        {"of another root of that name, the right one sent", right, &by_twin, root_pem, false},
        {"both sent", right, &by_twin, join("", twin_pem, root_pem), false},
        {"both sent, the other way", right, &by_twin, join("", root_pem, twin_pem), false},
        {"the leaf's own hash", hash_of(buf_span(&by_root.chain), 0), &by_root, SPAN_EMPTY, false},
        {"expired", right, &expired, root_pem, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (uint16_t version = 0x0303; version <= 0x0304; version++) {
            struct end client;
            try(cases[i].pin, join("", buf_span(&cases[i].server->chain), cases[i].more),
                buf_span(&cases[i].server->key), version, &client);
            if (client.code != (cases[i].in ? 0 : -ERR_DENIED)) {
                fail_msg("%s, %x: %d (%s)", cases[i].name, version, client.code, client.why);
            }
        }
    }
}

static void test_other_name(void **state)
{
    (void)state;
    struct test_cert web;
    struct end client;
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/a/sa/web"}, &web);
    try(hash_of(test_pki_root(root), 0), join("", buf_span(&web.chain), test_pki_root(root)),
        buf_span(&web.key), 0, &client);
    assert_int_equal(client.code, -ERR_DENIED);
    assert_non_null(strstr(client.why, "allowed are"));
    test_cert_dispose(&web);
}

static void test_where_it_means_nothing(void **state)
{
    (void)state;
    static const uint8_t pin[32];
    struct tls_ctx *ctx;
    struct err err;
    const struct tls_trust trust = {.roots_pem = test_pki_root(root)};
    struct tls_ctx_spec both = {
        .pin = pin, .peer_mode = TLS_PEER_REQUIRED, .trust = &trust, .trust_count = 1};
    assert_int_equal(tls_ctx_new(&ctx, &both, &err), -ERR_CONFIG);
    struct tls_ctx_spec server = {.server = true,
                                  .pin = pin,
                                  .peer_mode = TLS_PEER_REQUIRED,
                                  .chain_pem = buf_span(&by_root.chain),
                                  .key_pem = buf_span(&by_root.key)};
    assert_int_equal(tls_ctx_new(&ctx, &server, &err), -ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_other_name),
        cmocka_unit_test(test_where_it_means_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

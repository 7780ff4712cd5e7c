/* TLS with programs that we did not write, over loopback: OpenSSL's command and Python's ssl, as client and as
 * server. Left out where they are not installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "io/listener.h"
#include "support/test_pki.h"
#include "tls/io_tls.h"
#include "tls/tls.h"

#define WEB_ID "spiffe://td/ns/a/sa/web"
#define FRONT_ID "spiffe://td/ns/a/sa/front"

static char folder[] = "/tmp/io_tls_peers.XXXXXX";
static struct test_pki *root, *below;
static struct test_cert web, front, web_rsa;
static struct loop *loop;
static bool has_openssl, has_python;

/* Sends 300,000 bytes and wants them back; ends TLS both ways. */
static const char client_script[] =
    "import socket, ssl, sys\n"
    "port, version, cert = int(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
    "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
    "c.check_hostname = False\n"
    "c.load_verify_locations('root.pem')\n"
    "if cert != 'none':\n"
    "    c.load_cert_chain(cert + '.pem', cert + '.key')\n"
    "c.minimum_version = c.maximum_version = getattr(ssl.TLSVersion, version)\n"
    "c.set_alpn_protocols(['h2', 'http/1.1'])\n"
    "s = c.wrap_socket(socket.create_connection(('127.0.0.1', port), 20), server_hostname='web.a')\n"
    "if len(sys.argv) > 4: s.recv(1)\n" /* a refusal would be lost when writing meets a reset */
    "data = bytes(i * 7 & 255 for i in range(300000))\n"
    "got = b''\n"
    "for at in range(0, len(data), 50000):\n"
    "    s.sendall(data[at:at + 50000])\n"
    "    while len(got) < at + 50000:\n"
    "        more = s.recv(65536)\n"
    "        assert more\n"
    "        got += more\n"
    "s = s.unwrap() or s\n"
    "print('same' if got == data else 'differs', 'closed')\n";

static const char server_script[] =
    "import socket, ssl, sys\n"
    "c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "c.load_cert_chain('web.pem', 'web.key')\n"
    "c.load_verify_locations('root.pem')\n"
    "c.verify_mode = ssl.CERT_REQUIRED\n"
    "c.minimum_version = c.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])\n"
    "l = socket.create_server(('127.0.0.1', 0))\n"
    "print('ACCEPT 127.0.0.1:%d' % l.getsockname()[1], flush=True)\n"
    "s = c.wrap_socket(l.accept()[0], server_side=True)\n"
    "uri = [v for k, v in s.getpeercert()['subjectAltName'] if k == 'URI']\n"
    "line = s.recv(1000)\n"
    "s.sendall(line[:-1][::-1] + b'\\n')\n"
    "print(uri, s.recv(10), flush=True)\n";

static void save(const char *name, struct span content)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.at, 1, content.len, file), content.len);
    fclose(file);
}

static void issue(const struct test_pki *pki, const char *id, enum keypair_kind kind,
                  const char *name, struct test_cert *out)
{
    char file[64];
    test_pki_issue(pki, &(struct test_leaf){.spiffe_id = id, .dns = "web.a", .kind = kind}, out);
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    save(file, buf_span(&out->chain));
    (void)snprintf(file, sizeof(file), "%s.key", name);
    save(file, buf_span(&out->key));
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    assert_non_null(mkdtemp(folder));
    has_openssl = system("openssl version > /dev/null 2>&1") == 0;
    has_python = system("python3 -c 'import ssl' > /dev/null 2>&1") == 0;
    root = test_pki_new("root", KEYPAIR_P256);
    below = test_pki_below(root, "below");
    issue(below, WEB_ID, KEYPAIR_P256, "web", &web);
    issue(root, FRONT_ID, KEYPAIR_P256, "front", &front);
    issue(root, WEB_ID, KEYPAIR_RSA2048, "web_rsa", &web_rsa);
    save("root.pem", test_pki_root(root));
    save("client.py", span_of(client_script));
    save("server.py", span_of(server_script));
    loop = loop_new(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    assert_int_equal(system(line), 0);
    loop_free(loop);
    test_cert_dispose(&web);
    test_cert_dispose(&front);
    test_cert_dispose(&web_rsa);
    test_pki_free(below);
    test_pki_free(root);
    return 0;
}

/* --- the other program --- */

static struct {
    FILE *pipe;
    struct loop_fd watch;
    char text[16384];
    size_t len;
    bool ended;
} child;

static void on_output(struct loop_fd *w, unsigned events)
{
    UNUSED(events);
    ssize_t n =
        read(fileno(child.pipe), child.text + child.len, sizeof(child.text) - 1 - child.len);
    child.len += n > 0 ? (size_t)n : 0;
    child.text[child.len] = '\0';
    if (n <= 0) {
        child.ended = true;
        loop_fd_watch(w, 0);
    }
}

/* Runs a shell line in the folder; at most 30 s. */
static void start_child(const char *line)
{
    char whole[1024];
    (void)snprintf(whole, sizeof(whole), "cd %s && timeout 30 sh -c '%s' 2>&1", folder, line);
    child.len = 0;
    child.text[0] = '\0';
    child.ended = false;
    child.pipe = popen(whole, "r");
    assert_non_null(child.pipe);
    loop_fd_init(&child.watch, loop, fileno(child.pipe), on_output);
    loop_fd_watch(&child.watch, IO_READ);
}

static void end_child(void)
{
    loop_fd_dispose(&child.watch);
    pclose(child.pipe);
}

static bool timed_out;

static void on_too_late(struct deadline *d)
{
    UNUSED(d);
    timed_out = true;
}

/* Turns the loop until `done`, or for 35 s. */
static void run_until(const bool *done)
{
    struct deadline deadline;
    timed_out = false;
    deadline_init(&deadline, on_too_late);
    deadline_arm(&deadline, loop, 35000);
    while (!*done && !timed_out) {
        (void)loop_turn(loop, true);
    }
    deadline_disarm(&deadline);
    assert_false(timed_out);
}

/* --- our server: an echo --- */

struct echo {
    struct io *io;
    struct tls_ctx *ctx;
    struct buf waiting;
    bool ended;    /* by the peer */
    bool one_line; /* we end after the first */
    bool closed;
    int code;
    char why[256];
    char spiffe_id[128];
    char alpn[16];
};

static struct echo echo;

static void close_echo(struct echo *e)
{
    io_close(e->io);
    e->io = NULL;
    e->closed = true;
}

static void run_echo(struct echo *e)
{
    while (buf_len(&e->waiting) > 0) {
        ssize_t n = io_write(e->io, buf_span(&e->waiting).at, buf_len(&e->waiting));
        if (n <= 0) {
            io_watch(e->io, IO_WRITE);
            return;
        }
        buf_consume(&e->waiting, (size_t)n);
    }
    if (e->ended) {
        if (io_shut(e->io) == -EAGAIN) {
            io_watch(e->io, IO_WRITE);
        } else {
            close_echo(e);
        }
        return;
    }
    io_watch(e->io, IO_READ);
}

static void on_echo_event(void *arg, unsigned events)
{
    struct echo *e = arg;
    if ((events & IO_READ) != 0 && buf_len(&e->waiting) == 0) {
        char *room = loop_read_buffer(loop, 0);
        ssize_t n = io_read(e->io, room, LOOP_READ_BYTES);
        if (n > 0) {
            assert_int_equal(buf_append(&e->waiting, room, (size_t)n), 0);
            e->ended = e->one_line;
        } else if (n != -EAGAIN) {
            e->ended = true;
            e->code = (int)n;
        }
    }
    run_echo(e);
}

static void on_echo_done(void *arg, struct io *io, int code, const char *why)
{
    struct echo *e = arg;
    (void)snprintf(e->why, sizeof(e->why), "%s", why);
    e->code = code;
    if (code != 0) {
        close_echo(e);
        return;
    }
    const struct tls_peer *peer = io_tls_peer(io);
    (void)span_to_cstr(peer->spiffe_id, e->spiffe_id, sizeof(e->spiffe_id));
    (void)span_to_cstr(peer->alpn, e->alpn, sizeof(e->alpn));
    io_set_owner(io, on_echo_event, e);
    io_watch(io, IO_READ);
}

static void on_accept(void *arg, struct io *io)
{
    struct echo *e = arg;
    if (e->io != NULL || e->closed) { /* one is enough */
        io_close(io);
        return;
    }
    e->io = io_tls_start_take(
        loop, &(struct io_tls_spec){.lower = io, .ctx = e->ctx, .on_done = on_echo_done, .arg = e});
}

static struct tls_ctx *make_ctx(bool is_server, struct test_cert *cert, enum tls_peer_mode mode)
{
    const struct tls_trust trust = {SPAN("td"), test_pki_root(root)};
    const struct span alpn[] = {SPAN("h2")};
    const struct tls_san_match allowed = {.san = TLS_SAN_URI,
                                          .text = is_server ? SPAN(FRONT_ID) : SPAN(WEB_ID)};
    const struct tls_ctx_spec spec = {.server = is_server,
                                      .chain_pem = buf_span(&cert->chain),
                                      .key_pem = buf_span(&cert->key),
                                      .trust = &trust,
                                      .trust_count = 1,
                                      .peer_mode = mode,
                                      .allowed = &allowed,
                                      .allowed_count = mode != TLS_PEER_NONE,
                                      .alpn = alpn,
                                      .alpn_count = 1};
    struct tls_ctx *ctx;
    struct err err;
    if (tls_ctx_new(&ctx, &spec, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return ctx;
}

struct server_case {
    const char *line; /* %d is the port */
    bool python, rsa;
    enum tls_peer_mode mode;
    int code;
    const char *output;
};

#define S_CLIENT \
    "echo hello | openssl s_client -connect 127.0.0.1:%d -CAfile root.pem -verify_return_error -alpn h2 "
#define MINE "-cert front.pem -key front.key "

static const struct server_case server_cases[] = {
    {"python3 client.py %d TLSv1_3 front", true, false, TLS_PEER_REQUIRED, 0, "same closed"},
    {"python3 client.py %d TLSv1_2 front", true, false, TLS_PEER_REQUIRED, 0, "same closed"},
    {"python3 client.py %d TLSv1_3 front", true, true, TLS_PEER_REQUIRED, 0, "same closed"},
    {"python3 client.py %d TLSv1_2 front", true, true, TLS_PEER_REQUIRED, 0, "same closed"},
    {"python3 client.py %d TLSv1_3 none", true, false, TLS_PEER_NONE, 0, "same closed"},
    {"python3 client.py %d TLSv1_2 none", true, false, TLS_PEER_OPTIONAL, 0, "same closed"},
    {"python3 client.py %d TLSv1_3 web wait", true, false, TLS_PEER_REQUIRED, -ERR_DENIED,
     "lert access denied"},
    {"python3 client.py %d TLSv1_2 web", true, false, TLS_PEER_REQUIRED, -ERR_DENIED,
     "lert access denied"},
    {"python3 client.py %d TLSv1_2 none", true, false, TLS_PEER_REQUIRED, -ERR_DENIED,
     "handshake failure"},
    {S_CLIENT MINE "-tls1_3 -brief -ign_eof", false, false, TLS_PEER_REQUIRED, 0,
     "Verification: OK"},
    {S_CLIENT MINE "-tls1_3 -quiet", false, false, TLS_PEER_REQUIRED, 0, "hello"},
    {S_CLIENT MINE "-tls1_2 -quiet", false, false, TLS_PEER_REQUIRED, 0, "hello"},
    {S_CLIENT MINE "-tls1_3 -groups X25519 -quiet", false, false, TLS_PEER_REQUIRED, 0, "hello"},
    {S_CLIENT MINE "-tls1_3 -groups P-384 -quiet", false, false, TLS_PEER_REQUIRED, 0, "hello"},
    {S_CLIENT MINE "-tls1_3 -groups X448:P-256 -quiet", false, false, TLS_PEER_REQUIRED, 0,
     "hello"}, /* retry */
    {S_CLIENT MINE "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -quiet", false, false,
     TLS_PEER_REQUIRED, 0, "hello"},
    {S_CLIENT MINE "-tls1_2 -cipher AES128-SHA -quiet", false, true, TLS_PEER_REQUIRED, -ERR_TLS,
     "handshake failure"},
    {S_CLIENT MINE "-tls1_1 -cipher ALL:@SECLEVEL=0 -quiet", false, false, TLS_PEER_REQUIRED,
     -ERR_TLS, "protocol version"},
};

static void serve(const struct server_case *c)
{
    struct listener *listener;
    struct err err;
    struct listener_spec spec = {.backlog = 8};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &spec.addr, &err), 0);
    echo = (struct echo){.ctx = make_ctx(true, c->rsa ? &web_rsa : &web, c->mode)};
    echo.one_line = !c->python;
    buf_init(&echo.waiting, 1 << 20);
    assert_int_equal(listener_open(&listener, loop, &spec, on_accept, &echo, &err), 0);
    char line[512];
    (void)snprintf(line, sizeof(line), c->line, listener_addr(listener)->port);
    start_child(line);
    run_until(&child.ended);
    run_until(&echo.closed);
    if (strstr(child.text, c->output) == NULL || echo.code != c->code) {
        fail_msg("%s\nprints\n%s\nserver %d %s", line, child.text, echo.code, echo.why);
    }
    if (c->code == 0) {
        assert_string_equal(echo.spiffe_id,
                            strstr(c->line, "front") != NULL && c->mode != TLS_PEER_NONE ? FRONT_ID
                                                                                         : "");
        assert_string_equal(echo.alpn, "h2");
    }
    end_child();
    listener_close(listener);
    (void)loop_turn(loop, false);
    buf_dispose(&echo.waiting);
    tls_ctx_put(echo.ctx);
}

static void test_as_server(void **state)
{
    (void)state;
    if (!has_openssl || !has_python) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(server_cases); i++) {
        serve(&server_cases[i]);
    }
}

/* --- our client: a line, which comes back turned round --- */

static struct {
    struct io *io;
    struct tls_ctx *ctx;
    char got[64];
    size_t got_len;
    bool closed;
    int code;
    char why[256];
} caller;

static void on_call_event(void *arg, unsigned events)
{
    UNUSED(arg);
    UNUSED(events);
    ssize_t n =
        io_read(caller.io, caller.got + caller.got_len, sizeof(caller.got) - 1 - caller.got_len);
    if (n == -EAGAIN) {
        return;
    }
    caller.got_len += n > 0 ? (size_t)n : 0;
    if (n <= 0 || memchr(caller.got, '\n', caller.got_len) != NULL) {
        (void)io_shut(caller.io);
        io_close(caller.io);
        caller.code = n < 0 ? (int)n : 0;
        caller.closed = true;
    }
}

static void on_call_done(void *arg, struct io *io, int code, const char *why)
{
    UNUSED(arg);
    caller.code = code;
    (void)snprintf(caller.why, sizeof(caller.why), "%s", why);
    if (code != 0) {
        io_close(io);
        caller.closed = true;
        return;
    }
    assert_true(span_is(io_tls_peer(io)->spiffe_id, WEB_ID));
    io_set_owner(io, on_call_event, NULL);
    io_watch(io, IO_READ);
    assert_int_equal(io_write(io, "hello\n", 6), 6);
}

static void on_dialled(void *arg, struct io *io, int code)
{
    UNUSED(arg);
    assert_int_equal(code, 0);
    caller.io = io_tls_start_take(
        loop, &(struct io_tls_spec){.lower = io, .ctx = caller.ctx, .on_done = on_call_done});
}

struct client_case {
    const char *line;
    bool python;
    int code;
};

#define S_SERVER \
    "openssl s_server -accept 127.0.0.1:0 -naccept 1 -rev -CAfile root.pem -Verify 3 -verify_return_error "
#define THEIRS "-cert web.pem -cert_chain web.pem -key web.key "

static const struct client_case client_cases[] = {
    {"python3 server.py TLSv1_3", true, 0},
    {"python3 server.py TLSv1_2", true, 0},
    {S_SERVER THEIRS "-tls1_3", false, 0},
    {S_SERVER THEIRS "-tls1_2", false, 0},
    {S_SERVER THEIRS "-tls1_3 -groups X25519", false, 0},
    {S_SERVER THEIRS "-tls1_3 -groups P-384", false, 0},
    {S_SERVER "-cert web_rsa.pem -key web_rsa.key -tls1_3", false, 0},
    {S_SERVER "-cert web_rsa.pem -key web_rsa.key -tls1_2", false, 0},
    {S_SERVER "-cert front.pem -key front.key -tls1_3", false,
     -ERR_DENIED}, /* not whom we called */
    {S_SERVER "-cert front.pem -key front.key -tls1_2", false, -ERR_DENIED},
};

static void call(const struct client_case *c)
{
    start_child(c->line);
    const char *place = NULL;
    while (place == NULL && !child.ended) {
        (void)loop_turn(loop, true);
        place = strstr(child.text, "ACCEPT 127.0.0.1:");
        place = place != NULL && strchr(place, '\n') != NULL ? place : NULL;
    }
    if (place == NULL) {
        fail_msg("%s\nprints\n%s", c->line, child.text);
    }
    struct dial_spec spec = {.timeout_ms = 5000};
    struct err err;
    struct span to = span_of(place + 7);
    assert_int_equal(addr_parse(span_first(to, (size_t)span_find_byte(to, '\n')), &spec.to, &err),
                     0);
    memset(&caller, 0, sizeof(caller));
    caller.ctx = make_ctx(false, &front, TLS_PEER_REQUIRED);
    (void)dial_start(loop, &spec, on_dialled, NULL);
    run_until(&caller.closed);
    run_until(&child.ended);
    if (caller.code != c->code || (c->code == 0 && strcmp(caller.got, "olleh\n") != 0)) {
        fail_msg("%s\nprints\n%s\nclient %d %s, got '%s'", c->line, child.text, caller.code,
                 caller.why, caller.got);
    }
    if (c->python) {
        assert_non_null(strstr(child.text, "['" FRONT_ID "'] b''"));
    }
    if (c->code != 0) {
        assert_non_null(strstr(child.text, "alert access denied"));
    }
    end_child();
    (void)loop_turn(loop, false);
    tls_ctx_put(caller.ctx);
}

static void test_as_client(void **state)
{
    (void)state;
    if (!has_openssl || !has_python) {
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(client_cases); i++) {
        call(&client_cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_server),
        cmocka_unit_test(test_as_client),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* The handshake: who the peer is, and why not.
 * In: io_tls.c, from lower's events.  Out: the owner's on_done.  Judge: verify.c. */
#include <stdio.h>

#include "base/mem.h"
#include "tls/io_tls_int.h"
#include "tls/tls_int.h"

enum { HANDSHAKE_MS = 10000 };

void io_tls_set_why(struct io_tls *t, const char *text)
{
    if (t->why == NULL) {
        t->why = mem_strdup(text);
    }
}

/* --- failures --- */

static const struct {
    uint8_t number;
    bool denied; /* the peer did not like who we are */
    const char *name;
} alerts[] = {
    {MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, false, "unexpected message"},
    {MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, false, "bad record mac"},
    {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, false, "handshake failure"},
    {MBEDTLS_SSL_ALERT_MSG_NO_CERT, true, "no certificate"}, /* mbedTLS's for 116 */
    {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, true, "bad certificate"},
    {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, true, "unsupported certificate"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, true, "certificate revoked"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, true, "certificate expired"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, true, "certificate unknown"},
    {MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, false, "illegal parameter"},
    {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, true, "unknown ca"},
    {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, true, "access denied"},
    {MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, false, "decode error"},
    {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, false, "decrypt error"},
    {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, false, "protocol version"},
    {MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, false, "insufficient security"},
    {MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, false, "internal error"},
    {MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME, false, "unrecognized name"},
    {116, true, "certificate required"},
    {MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL, false, "no application protocol"},
};

static int alert_code(struct io_tls *t)
{
    uint8_t number = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(alerts); i++) {
        if (alerts[i].number == number) {
            (void)snprintf(text, sizeof(text), "peer sent the alert '%s'", alerts[i].name);
            io_tls_set_why(t, text);
            return alerts[i].denied ? -ERR_DENIED : -ERR_TLS;
        }
    }
    (void)snprintf(text, sizeof(text), "peer sent alert %u", number);
    io_tls_set_why(t, text);
    return -ERR_TLS;
}

int io_tls_failure(struct io_tls *t, int rc)
{
    char text[192];
    switch (rc) {
    case IO_TLS_BIO_FAILED:
        io_tls_set_why(t, t->lower_code == -ERR_EOF
                              ? "peer ended the connection without saying so in TLS"
                              : err_name(t->lower_code));
        return t->lower_code;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return alert_code(t);
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        io_tls_set_why(t, "peer shows no certificate");
        return -ERR_DENIED;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case MBEDTLS_ERR_X509_FATAL_ERROR:
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        io_tls_set_why(t, "peer's certificate is not acceptable");
        return -ERR_DENIED;
    default:
        io_tls_set_why(t, tls_err_text(rc, text, sizeof(text)));
        return -ERR_TLS;
    }
}

/* --- handshake --- */

void io_tls_end_handshake(struct io_tls *t)
{
    if (t->handshake != NULL) {
        deadline_disarm(&t->handshake->deadline);
        loop_task_cancel(&t->handshake->start);
        mem_free(t->handshake);
        t->handshake = NULL;
    }
}

static void finish(struct io_tls *t, int code)
{
    void (*on_done)(void *arg, struct io *io, int code, const char *why) = t->handshake->on_done;
    void *arg = t->handshake->arg;
    io_tls_end_handshake(t);
    t->state = code == 0 ? TLS_OPEN : TLS_FAILED;
    io_tls_watch_lower(t);
    on_done(arg, &t->io, code, t->why != NULL ? t->why : "");
}

static void fail(struct io_tls *t, int rc)
{
    if (t->handshake->verify.refused) {
        io_tls_set_why(t, t->handshake->verify.why.text);
    }
    if (rc == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE &&
        t->ssl.MBEDTLS_PRIVATE(tls_version) == MBEDTLS_SSL_VERSION_TLS1_2) {
        /* RFC 5246 section 7.4.6; mbedTLS would leave the client waiting. */
        (void)mbedtls_ssl_send_alert_message(&t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
    }
    int code = io_tls_failure(t, rc);
    (void)io_tls_flush(t); /* the alert, if lower takes it at once */
    finish(t, t->handshake->verify.refused ? -ERR_DENIED : code);
}

static void keep_chain(struct io_tls *t)
{
    const mbedtls_x509_crt *leaf = t->ctx->keep_chain ? mbedtls_ssl_get_peer_cert(&t->ssl) : NULL;
    size_t count = 0;
    for (const mbedtls_x509_crt *c = leaf; c != NULL; c = c->next) {
        count++;
    }
    struct span *chain = count > 0 ? arena_array(&t->arena, count, sizeof(*chain)) : NULL;
    t->peer.chain = chain;
    t->peer.chain_count = count;
    for (const mbedtls_x509_crt *c = leaf; c != NULL; c = c->next) {
        *chain++ = arena_dup(&t->arena, span_from(c->raw.p, c->raw.len));
    }
}

static void fill_peer(struct io_tls *t)
{
    const struct verify_result *v = &t->handshake->verify;
    struct tls_peer *peer = &t->peer;
    peer->verified = v->passed;
    if (v->passed) {
        peer->spiffe_id = v->spiffe_id;
        peer->dns_san = v->dns_san;
        peer->dns_sans = v->dns_sans;
        peer->dns_san_count = v->dns_san_count;
        keep_chain(t);
        peer->subject = v->subject;
        peer->serial = v->serial;
        peer->not_before_s = v->not_before_s;
        peer->not_after_s = v->not_after_s;
        memcpy(peer->sha256, v->sha256, sizeof(peer->sha256));
    }
    peer->alpn = span_of(mbedtls_ssl_get_alpn_protocol(&t->ssl)); /* lives in the ctx */
    peer->version = (uint16_t)mbedtls_ssl_get_version_number(&t->ssl);
    peer->suite = tls_ctx_suite_name(mbedtls_ssl_get_ciphersuite_id_from_ssl(&t->ssl));
}

/* Declared in a header that mbedTLS does not install. */
void mbedtls_ssl_handshake_wrapup_free_hs_transform(mbedtls_ssl_context *ssl);

/* What mbedTLS would keep for as long as the connection lives, though nobody asks for it again: the peer's
 * parsed chain (2 to 3 KB; we have what we need of it), and after TLS 1.3 the handshake's state and keys (12 KB),
 * which it gives back itself after TLS 1.2. */
static void drop_handshake(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session *session = ssl->MBEDTLS_PRIVATE(session);
    mbedtls_x509_crt *chain = session->MBEDTLS_PRIVATE(peer_cert);
    session->MBEDTLS_PRIVATE(peer_cert) = NULL;
    if (chain != NULL) {
        mbedtls_x509_crt_free(chain);
        mem_free(chain);
    }
    if (ssl->MBEDTLS_PRIVATE(handshake) != NULL) {
        mbedtls_ssl_handshake_wrapup_free_hs_transform(ssl);
    }
}

/* The second look at what verification said, so that no way through mbedTLS lets somebody in. */
static bool peer_is_acceptable(const struct io_tls *t)
{
    const struct verify_result *v = &t->handshake->verify;
    if (t->ctx->peer_mode == TLS_PEER_NONE) {
        return true;
    }
    if (v->passed && !v->refused && mbedtls_ssl_get_verify_result(&t->ssl) == 0) {
        return true;
    }
    return t->ctx->peer_mode == TLS_PEER_OPTIONAL && mbedtls_ssl_get_peer_cert(&t->ssl) == NULL;
}

static void open_stream(struct io_tls *t)
{
    if (!peer_is_acceptable(t)) {
        (void)mbedtls_ssl_send_alert_message(
            &t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
            MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED); /* refused anyway */
        fail(t, MBEDTLS_ERR_SSL_BAD_CERTIFICATE);
        return;
    }
    fill_peer(t);
    drop_handshake(&t->ssl);
    finish(t, 0);
}

static void write_under(mbedtls_ssl_context *ssl, mbedtls_ssl_transform *keys)
{
    ssl->MBEDTLS_PRIVATE(transform_out) = keys;
    memset(ssl->MBEDTLS_PRIVATE(cur_out_ctr), 0, sizeof(ssl->MBEDTLS_PRIVATE(cur_out_ctr)));
}

/* Two repairs, so that a refused peer can read the alert instead of seeing a broken record. After its
 * Finished a server writes under application keys (RFC 8446 section 4.4.4); mbedTLS 3.6 stays with the
 * handshake's until the client's Finished has come. Nothing but an alert is written in between. */
static void use_application_keys(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_transform *keys = ssl->MBEDTLS_PRIVATE(transform_application);
    if (keys != NULL && ssl->MBEDTLS_PRIVATE(transform_out) != keys) {
        write_under(ssl, keys);
    }
}

/* And a client that refuses the server's certificate writes under handshake keys, where mbedTLS has none in
 * use yet. It reads with them already; one transform holds both directions. */
static int on_cert(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct io_tls *t = arg;
    int rc = verify_on_cert(&t->handshake->verify, crt, depth, flags);
    mbedtls_ssl_transform *keys = t->ssl.MBEDTLS_PRIVATE(transform_in);
    if (depth == 0 && t->handshake->verify.refused && !t->ctx->server && keys != NULL &&
        t->ssl.MBEDTLS_PRIVATE(transform_out) == NULL) {
        write_under(&t->ssl, keys);
    }
    return rc;
}

void io_tls_run_handshake(struct io_tls *t)
{
    if (t->ctx->server) {
        use_application_keys(&t->ssl);
    }
    io_tls_begin_input(t);
    int rc;
    do {
        rc = mbedtls_ssl_handshake(&t->ssl);
    } while (rc == MBEDTLS_ERR_SSL_WANT_READ && !t->turn.starved);
    io_tls_end_input(t);
    int sent = io_tls_flush(t);
    if (rc == MBEDTLS_ERR_SSL_WANT_READ && sent != 0 && sent != -EAGAIN) {
        t->lower_code = sent;
        rc = IO_TLS_BIO_FAILED;
    }
    if (rc == 0) {
        open_stream(t);
    } else if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
        io_tls_watch_lower(t);
    } else {
        fail(t, rc);
    }
}

static void on_start(struct loop_task *task)
{
    io_tls_run_handshake(container_of(task, struct tls_handshake, start)->t);
}

static void on_deadline(struct deadline *d)
{
    struct tls_handshake *h = container_of(d, struct tls_handshake, deadline);
    struct io_tls *t = h->t;
    char text[64];
    (void)snprintf(text, sizeof(text), "handshake took longer than %lld ms",
                   (long long)h->limit_ms);
    io_tls_set_why(t, text);
    finish(t, -ERR_TIMEOUT);
}

int io_tls_on_sni(void *unused, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    UNUSED(unused);
    struct io_tls *t = mbedtls_ssl_get_user_data_p(ssl);
    char *text = arena_bytes(&t->arena, len);
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] >= 0x7f) {
            return -1;
        }
        text[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    }
    t->peer.sni = span_from(text, len);
    return 0;
}

/* SNI must be set or unset explicitly: otherwise mbedTLS refuses to go on without a name (3.6.3). */
static int set_sni(struct io_tls *t, struct span sni)
{
    if (sni.len == 0) {
        return mbedtls_ssl_set_hostname(&t->ssl, t->ctx->sni);
    }
    char name[MBEDTLS_SSL_MAX_HOST_NAME_LEN + 1];
    return mbedtls_ssl_set_hostname(&t->ssl, span_to_cstr(sni, name, sizeof(name)));
}

static void start_ssl(struct io_tls *t, struct span sni, enum tls_offer offer)
{
    mbedtls_ssl_init(&t->ssl);
    const mbedtls_ssl_config *other = t->ctx->offers[offer];
    int rc = mbedtls_ssl_setup(&t->ssl, other != NULL ? other : &t->ctx->conf);
    if (rc == 0 && !t->ctx->server) {
        rc = set_sni(t, sni);
    }
    ASSERT(rc == 0); /* the ctx was checked when it was made, and memory does not run out */
    mbedtls_ssl_set_user_data_p(&t->ssl, t);
    mbedtls_ssl_set_bio(&t->ssl, t, io_tls_bio_send, io_tls_bio_recv, NULL);
    mbedtls_ssl_set_verify(&t->ssl, on_cert, t);
}

void io_tls_begin_handshake(struct io_tls *t, const struct io_tls_spec *spec)
{
    struct tls_handshake *h = mem_new(struct tls_handshake);
    t->handshake = h;
    h->t = t;
    h->on_done = spec->on_done;
    h->arg = spec->arg;
    h->limit_ms = spec->handshake_ms > 0 ? spec->handshake_ms : HANDSHAKE_MS;
    h->verify.rules = &t->ctx->rules;
    h->verify.arena = &t->arena;
    start_ssl(t, spec->sni, spec->offer);
    deadline_init(&h->deadline, on_deadline);
    deadline_arm(&h->deadline, t->io.loop, h->limit_ms);
    loop_task_init(&h->start, on_start);
    loop_task_add(t->io.loop, &h->start);
}

/* What a TLS end knows before a connection. */
#include "tls/tls_ctx_int.h"

#include <mbedtls/ssl_ciphersuites.h>

#include "base/mem.h"
#include "tls/io_tls_int.h"
#include "tls/keypair_int.h"
#include "tls/tls_int.h"
#include "tls/x509_int.h"

enum { ALPN_COUNT_MAX = 32, ALPN_BYTES_MAX = 255 };
#define RECORD_LIMIT_MOST ((uint64_t)1 << 23)

/* In order of preference: what the processor does fastest first (perf.md section 1). Forward secret and
 * authenticated encryption only. */
#define SUITES(S)                                                                                 \
    S(MBEDTLS_TLS1_3_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256")                                \
    S(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384")                                \
    S(MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256")                    \
    S(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256") \
    S(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")     \
    S(MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384") \
    S(MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")     \
    S(MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,                                      \
      "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")                                            \
    S(MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,                                        \
      "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")

#define SUITE_ID(id, name) id,
#define SUITE_NAME(id, name) name,
static const int suite_ids[] = {SUITES(SUITE_ID) 0};
static const char *const suite_names[] = {SUITES(SUITE_NAME)};

static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* PKCS#1 v1.5 signs TLS 1.2 handshakes and certificates only (RFC 8446 section 4.2.3), and mbedTLS can not do
 * PSS in TLS 1.2: so PKCS#1 goes first, and alone where 1.3 is not spoken. */
#define SIGNATURES_12                                                                     \
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384, \
        MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,   \
        MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512
static const uint16_t signatures_12[] = {SIGNATURES_12, MBEDTLS_TLS1_3_SIG_NONE};
static const uint16_t signatures[] = {
    SIGNATURES_12,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};

const char *tls_ctx_suite_name(int id)
{
    for (size_t i = 0; i < ARRAY_LEN(suite_names); i++) {
        if (suite_ids[i] == id) {
            return suite_names[i];
        }
    }
    return "unknown";
}

static int check_peer_mode(const struct tls_ctx_spec *spec, struct err *err)
{
    if (spec->peer_mode == TLS_PEER_NONE) {
        return spec->allowed_count == 0
                   ? 0
                   : err_set(err, -ERR_CONFIG, "names to accept, but peers are not verified");
    }
    if (spec->peer_mode == TLS_PEER_OPTIONAL && !spec->server) {
        return err_set(err, -ERR_CONFIG,
                       "only a server can leave it to its peer to show a certificate");
    }
    if (spec->pin != NULL && (spec->server || spec->trust_count > 0)) {
        return err_set(err, -ERR_CONFIG, "only a client without trusted roots can have a pin");
    }
    return spec->trust_count > 0 || spec->pin != NULL
               ? 0
               : err_set(err, -ERR_CONFIG,
                         "peers are to be verified, but there are no trusted roots");
}

static int check_alpn(const struct span *names, size_t count, struct err *err)
{
    if (count > ALPN_COUNT_MAX) {
        return err_set(err, -ERR_CONFIG, "%zu ALPN names; at most %d", count, ALPN_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        struct span name = names[i];
        if (name.len == 0 || name.len > ALPN_BYTES_MAX || span_find_byte(name, '\0') >= 0) {
            return err_set(err, -ERR_CONFIG, "ALPN name %zu has %zu bytes; 1 to %d, none of them 0",
                           i, name.len, ALPN_BYTES_MAX);
        }
    }
    return 0;
}

static int check_spec(const struct tls_ctx_spec *spec, struct err *err)
{
    if (spec->server && spec->chain_pem.len == 0) {
        return err_set(err, -ERR_CONFIG, "a server needs a certificate");
    }
    if ((spec->chain_pem.len == 0) != (spec->key_pem.len == 0)) {
        return err_set(err, -ERR_CONFIG, "certificate and private key come together or not at all");
    }
    uint16_t least = spec->min_version ? spec->min_version : 0x0303;
    uint16_t most = spec->max_version ? spec->max_version : 0x0304;
    if (least < 0x0303 || most > 0x0304 || least > most) {
        return err_set(err, -ERR_CONFIG, "TLS versions 0x%04x to 0x%04x; use 0x0303 to 0x0304",
                       least, most);
    }
    if (spec->sni.len > MBEDTLS_SSL_MAX_HOST_NAME_LEN) {
        return err_set(err, -ERR_CONFIG, "SNI has %zu bytes; at most %d", spec->sni.len,
                       MBEDTLS_SSL_MAX_HOST_NAME_LEN);
    }
    int code = check_alpn(spec->alpn, spec->alpn_count, err);
    for (size_t i = 0; i < TLS_OFFER_COUNT && code == 0; i++) {
        code = check_alpn(spec->offers[i].names, spec->offers[i].count, err);
    }
    if (code != 0) {
        return code;
    }
    if (spec->record_limit > RECORD_LIMIT_MOST) {
        return err_set(err, -ERR_CONFIG, "record limit is above 2^23");
    }
    return check_peer_mode(spec, err);
}

static int set_identity(struct tls_ctx *ctx, const struct tls_ctx_spec *spec, struct err *err)
{
    if (spec->chain_pem.len == 0) {
        return 0;
    }
    int code = x509_parse_chain(&ctx->chain, spec->chain_pem, err);
    if (code == 0) {
        code = keypair_parse(&ctx->key, spec->key_pem, err);
    }
    if (code != 0) {
        err_prefix(err, "own identity");
        return code;
    }
    mbedtls_pk_context *key = keypair_pk(ctx->key);
    if (mbedtls_pk_check_pair(&ctx->chain.pk, key, tls_random, NULL) != 0) {
        return err_set(err, -ERR_CONFIG, "own identity: the private key is not the certificate's");
    }
    ctx->not_after_s = x509_time(&ctx->chain.valid_to);
    int rc = mbedtls_ssl_conf_own_cert(&ctx->conf, &ctx->chain, key);
    return rc == 0 ? 0 : tls_err(err, -ERR_CONFIG, rc, "own identity");
}

static int set_alpn(mbedtls_ssl_config *conf, const char ***kept, const struct span *names,
                    size_t count, struct err *err)
{
    if (count == 0) {
        return 0;
    }
    *kept = mem_array(count + 1, sizeof(**kept));
    for (size_t i = 0; i < count; i++) {
        (*kept)[i] = mem_strndup(names[i].at, names[i].len);
    }
    int rc = mbedtls_ssl_conf_alpn_protocols(conf, *kept);
    return rc == 0 ? 0 : tls_err(err, -ERR_CONFIG, rc, "ALPN");
}

/* Last of all: the copies borrow what `conf` has. */
static int set_offers(struct tls_ctx *ctx, const struct tls_ctx_spec *spec, struct err *err)
{
    int code = 0;
    for (size_t i = TLS_OFFER_OPAQUE + 1; i < TLS_OFFER_COUNT && code == 0; i++) {
        if (spec->offers[i].count > 0) {
            ctx->offers[i] = mem_dup(&ctx->conf, sizeof(ctx->conf));
            code = set_alpn(ctx->offers[i], &ctx->alpn[i], spec->offers[i].names,
                            spec->offers[i].count, err);
        }
    }
    return code;
}

static void set_versions(mbedtls_ssl_config *conf, const struct tls_ctx_spec *spec)
{
    bool only_13 = spec->min_version == 0x0304;
    bool only_12 = spec->max_version == 0x0303;
    mbedtls_ssl_conf_min_tls_version(conf, only_13 ? MBEDTLS_SSL_VERSION_TLS1_3
                                                   : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(conf, only_12 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                   : MBEDTLS_SSL_VERSION_TLS1_3);
}

static int set_conf(struct tls_ctx *ctx, const struct tls_ctx_spec *spec, struct err *err)
{
    static const int authmodes[] = {
        [TLS_PEER_NONE] = MBEDTLS_SSL_VERIFY_NONE,
        [TLS_PEER_OPTIONAL] = MBEDTLS_SSL_VERIFY_OPTIONAL,
        [TLS_PEER_REQUIRED] = MBEDTLS_SSL_VERIFY_REQUIRED,
    };
    mbedtls_ssl_config *conf = &ctx->conf;
    int rc = mbedtls_ssl_config_defaults(
        conf, spec->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) {
        return tls_err(err, -ERR_TLS, rc, "can not set up TLS");
    }
    mbedtls_ssl_conf_rng(conf, tls_random, NULL);
    /* mbedTLS insists on roots where it requires a certificate; a pin is judged by verify.c alone, which refuses hard. */
    mbedtls_ssl_conf_authmode(conf, spec->pin != NULL ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                                      : authmodes[spec->peer_mode]);
    mbedtls_ssl_conf_ciphersuites(conf, suite_ids);
    mbedtls_ssl_conf_groups(conf, groups);
    mbedtls_ssl_conf_sig_algs(conf, spec->max_version == 0x0303 ? signatures_12 : signatures);
    set_versions(conf, spec);
    /* No resumption: neither tickets asked for or given, nor PSK accepted. */
    mbedtls_ssl_conf_tls13_key_exchange_modes(conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    if (spec->server) {
        mbedtls_ssl_conf_sni(conf, io_tls_on_sni, NULL);
        mbedtls_ssl_conf_new_session_tickets(conf, 0);
        /* Whom we trust is nobody's business; TLS 1.3 does not tell it either. */
        mbedtls_ssl_conf_cert_req_ca_list(conf, MBEDTLS_SSL_CERT_REQ_CA_LIST_DISABLED);
    } else {
        mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    }
    return 0;
}

static int fill(struct tls_ctx *ctx, const struct tls_ctx_spec *spec, struct err *err)
{
    int code = set_conf(ctx, spec, err);
    if (code == 0) {
        code = set_identity(ctx, spec, err);
    }
    if (code == 0) {
        code =
            set_alpn(&ctx->conf, &ctx->alpn[TLS_OFFER_OPAQUE], spec->alpn, spec->alpn_count, err);
    }
    if (code == 0 && spec->trust_count > 0) {
        mbedtls_ssl_conf_ca_chain(&ctx->conf, &ctx->rules.roots, NULL);
    }
    if (spec->sni.len > 0) {
        ctx->sni = mem_strndup(spec->sni.at, spec->sni.len);
    }
    return code ? code : set_offers(ctx, spec, err);
}

int tls_ctx_new(struct tls_ctx **out, const struct tls_ctx_spec *spec, struct err *err)
{
    int code = check_spec(spec, err);
    if (code != 0) {
        return code;
    }
    struct tls_ctx *ctx = mem_new(struct tls_ctx);
    code = verify_rules_init(&ctx->rules, spec, err);
    if (code != 0) {
        mem_free(ctx);
        return code;
    }
    ctx->refs = 1;
    ctx->server = spec->server;
    ctx->peer_mode = spec->peer_mode;
    ctx->keep_chain = spec->keep_chain;
    ctx->record_limit = spec->record_limit ? spec->record_limit : RECORD_LIMIT_MOST;
    mbedtls_ssl_config_init(&ctx->conf);
    mbedtls_x509_crt_init(&ctx->chain);
    code = fill(ctx, spec, err);
    if (code != 0) {
        tls_ctx_put(ctx);
        return code;
    }
    *out = ctx;
    return 0;
}

void tls_ctx_get(struct tls_ctx *ctx)
{
    ASSERT(ctx->refs > 0);
    ctx->refs++;
}

void tls_ctx_put(struct tls_ctx *ctx)
{
    if (ctx == NULL) {
        return;
    }
    ASSERT(ctx->refs > 0);
    if (--ctx->refs > 0) {
        return;
    }
    mbedtls_ssl_config_free(&ctx->conf);
    mbedtls_x509_crt_free(&ctx->chain);
    keypair_free(ctx->key);
    verify_rules_dispose(&ctx->rules);
    for (size_t i = 0; i < TLS_OFFER_COUNT; i++) {
        for (size_t k = 0; ctx->alpn[i] != NULL && ctx->alpn[i][k] != NULL; k++) {
            mem_free((char *)(uintptr_t)ctx->alpn[i][k]);
        }
        mem_free(ctx->alpn[i]);
        mem_free(ctx->offers[i]); /* not mbedtls_ssl_config_free: what it points to is conf's */
    }
    mem_free(ctx->sni);
    mem_free(ctx);
}

int64_t tls_ctx_not_after(const struct tls_ctx *ctx)
{
    return ctx->not_after_s;
}

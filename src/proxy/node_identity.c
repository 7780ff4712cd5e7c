/* Who this proxy is: see node_identity.h.
 * In: the authority over http/grpc, a state file. Out: config/ingest. */
#include "proxy/node_identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/hex.h"
#include "http/grpc.h"
#include "http/http_client.h"
#include "io/deadline.h"
#include "io/file.h"
#include "mesh/identity.h"
#include "mesh/names.h"
#include "proto/core.pb.h"
#include "proto/istio_ca.pb.h"
#include "proto/spiffe.pb.h"
#include "proto/tls.pb.h"
#include "proxy/node_identity_int.h"
#include "tls/csr.h"
#include "tls/keypair.h"
#include "tls/tls_ctx.h"

enum {
    CALL_MS = 10000,
    BACKOFF_MIN_MS = 200,
    BACKOFF_MAX_MS = 30000,
    LOOK_MAX_MS =
        60000, /* the wall clock is looked at so often: it may jump, and the machine may have slept */
    TEXT_BYTES_MAX = 1 << 20,
    TOKEN_BYTES_MAX = 16384,
    ROOTS_SPREAD_US = 60 * 1000000,
};

enum identity_state { IDENTITY_NONE, IDENTITY_HELD };

struct node_identity {
    struct node_identity_spec spec;
    struct arena arena; /* what lives as long as this */
    struct span spiffe_id;
    struct span told_roots; /* of --ca-root */
    char *told_text;        /* owned: their bytes */
    bool has_pin;
    uint8_t pin[32];
    const char *path; /* of the state file; NULL = none */
    enum identity_state state;
    struct node_identity_papers papers; /* in HELD */
    int64_t renew_at_us;                /* wall time */
    bool ended_told;                    /* it was said that the certificate has ended */
    bool
        is_token_next; /* the certificate was refused, or did not help while there is a ServiceAccount token */
    /* an attempt */
    bool by_certificate;
    struct http_client *http; /* owned */
    struct grpc_stream *call; /* NULL = none under way */
    struct span fresh_key;    /* of the request; in fresh_arena */
    struct arena fresh_arena;
    struct node_identity_papers fresh; /* the answer */
    bool has_answer;
    struct err fresh_err; /* why the answer is not taken */
    unsigned failures;    /* in a row */
    struct err last;      /* why the last of them failed */
    struct deadline due;  /* the next look: renewal, retry */
    struct rng rng;
    struct metric_series *renewed, *failed, *ends;
};

static struct node_identity_rules rules_of(const struct node_identity *id)
{
    return (struct node_identity_rules){
        .spiffe_id = id->spiffe_id,
        .trust_domain = span_of(id->spec.trust_domain),
        .roots_pem = id->told_roots,
        .pin = id->has_pin ? id->pin : NULL,
    };
}

/* ---- into ingest ---- */

static struct pb_core_DataSource text_source(struct span text)
{
    return (struct pb_core_DataSource){
        .specifier_case = PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING,
        .inline_string = text,
    };
}

static struct ingest_resource certificate_secret(const struct node_identity_papers *p,
                                                 struct arena *arena)
{
    struct pb_core_DataSource chain = text_source(p->chain_pem), key = text_source(p->key_pem);
    struct pb_tls_TlsCertificate certificate = {.certificate_chain = &chain, .private_key = &key};
    const struct pb_tls_Secret secret = {
        .name = SPAN(NODE_IDENTITY_CERTIFICATE),
        .type_case = PB_TLS_SECRET_TYPE_TLS_CERTIFICATE,
        .tls_certificate = &certificate,
    };
    return (struct ingest_resource){
        .name = SPAN(NODE_IDENTITY_CERTIFICATE),
        .type_url = SPAN(PB_TLS_SECRET_URL),
        .value = pb_encode_in(&pb_tls_Secret_desc, &secret, arena),
    };
}

/* Bound to our trust domain: these roots say nothing about others' (SPIFFE X.509-SVID section 5). */
static struct ingest_resource roots_secret(const struct node_identity *id,
                                           const struct node_identity_papers *p,
                                           struct arena *arena)
{
    struct pb_core_DataSource roots = text_source(p->roots_pem);
    struct pb_spiffe_SPIFFECertValidatorConfig_TrustDomain domain = {
        .name = span_of(id->spec.trust_domain), .trust_bundle = &roots};
    struct pb_spiffe_SPIFFECertValidatorConfig_TrustDomain *domains[] = {&domain};
    const struct pb_spiffe_SPIFFECertValidatorConfig validator = {
        .trust_domains = {.at = domains, .count = 1}};
    struct pb_protobuf_Any any = {
        .type_url = SPAN(PB_SPIFFE_SPIFFE_CERT_VALIDATOR_CONFIG_URL),
        .value = pb_encode_in(&pb_spiffe_SPIFFECertValidatorConfig_desc, &validator, arena),
    };
    struct pb_core_TypedExtensionConfig extension = {
        .name = SPAN("envoy.tls.cert_validator.spiffe"), .typed_config = &any};
    struct pb_tls_CertificateValidationContext context = {.custom_validator_config = &extension};
    const struct pb_tls_Secret secret = {
        .name = SPAN(NODE_IDENTITY_ROOTS),
        .type_case = PB_TLS_SECRET_TYPE_VALIDATION_CONTEXT,
        .validation_context = &context,
    };
    return (struct ingest_resource){
        .name = SPAN(NODE_IDENTITY_ROOTS),
        .type_url = SPAN(PB_TLS_SECRET_URL),
        .value = pb_encode_in(&pb_tls_Secret_desc, &secret, arena),
    };
}

static int apply(struct node_identity *id, const struct node_identity_papers *p, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 16384);
    const struct ingest_resource both[] = {certificate_secret(p, &arena),
                                           roots_secret(id, p, &arena)};
    int code = ingest_apply(id->spec.ingest, both, ARRAY_LEN(both), SPAN(PB_TLS_SECRET_URL), NULL,
                            0, false, err);
    mem_wipe((char *)(uintptr_t)both[0].value.at, both[0].value.len);
    arena_dispose(&arena);
    return code;
}

/* ---- time ---- */

static void arm(struct node_identity *id, int64_t after_ms)
{
    deadline_arm(&id->due, id->spec.loop, i64_min(i64_max(after_ms, 0), LOOK_MAX_MS));
}

/* Half of what is left of its life, a tenth more or less of that, so that a fleet does not come as one. */
static void plan_renewal(struct node_identity *id, int64_t since_s)
{
    int64_t half_us = i64_max(id->papers.not_after_s - since_s, 0) * 500000;
    int64_t jitter_us = (int64_t)rng_below(&id->rng, (uint64_t)(half_us / 5 + 1)) - half_us / 10;
    id->renew_at_us = since_s * 1000000 + half_us + jitter_us;
}

static int64_t left_ms(const struct node_identity *id)
{
    return instant_until_wall_ms(id->papers.not_after_s * 1000000);
}

/* Exponential with jitter; with a certificate in hand never so long that fewer than about eight attempts are left before it ends. */
static void wait_and_retry(struct node_identity *id)
{
    int64_t longest = BACKOFF_MIN_MS;
    for (unsigned i = 0; i < id->failures && longest < BACKOFF_MAX_MS; i++) {
        longest *= 2;
    }
    longest = i64_min(longest, BACKOFF_MAX_MS);
    if (node_identity_is_there(id)) {
        longest = i64_max(i64_min(longest, left_ms(id) / 8), BACKOFF_MIN_MS);
    }
    id->failures++;
    arm(id, longest / 2 + (int64_t)rng_below(&id->rng, (uint64_t)(longest / 2 + 1)));
}

/* ---- taking an identity ---- */

static void hold(struct node_identity *id, struct node_identity_papers *taken, int64_t since_s)
{
    bool is_first = id->state == IDENTITY_NONE;
    if (!is_first) {
        node_identity_papers_dispose(&id->papers);
    }
    id->papers = *taken;
    id->state = IDENTITY_HELD;
    id->ended_told = false;
    id->is_token_next = false;
    metric_gauge_set(id->ends, id->papers.not_after_s);
    plan_renewal(id, since_s);
    arm(id, instant_until_wall_ms(id->renew_at_us));
    if (is_first && id->spec.on_ready) {
        id->spec.on_ready(id->spec.arg);
    }
}

static void keep(struct node_identity *id)
{
    struct err err;
    if (id->path != NULL && node_identity_papers_save(&id->papers, id->path, &err) != 0) {
        log_warn("identity", "not kept for the next start why=\"%s\"", err.text);
    }
}

static void load(struct node_identity *id)
{
    struct node_identity_papers p;
    struct err err;
    if (id->path == NULL || !file_exists(id->path)) {
        return;
    }
    node_identity_papers_init(&p);
    const struct node_identity_rules rules = rules_of(id);
    int code = node_identity_papers_load(&p, id->path, &err);
    code = code ? code : node_identity_papers_check(&p, &rules, &err);
    code = code ? code : apply(id, &p, &err);
    if (code != 0) {
        log_info("identity", "what the last run kept is not used why=\"%s\"", err.text);
        node_identity_papers_dispose(&p);
        return;
    }
    log_info("identity", "kept from the last run identity=%.*s left_s=%lld",
             SPAN_ARG(id->spiffe_id), (long long)(p.not_after_s - instant_wall_s()));
    hold(id, &p, p.not_before_s);
}

/* ---- the call ---- */

static void free_http(void *http)
{
    http_client_free(http);
}

static void end_attempt(struct node_identity *id)
{
    id->call = NULL;
    if (id->http != NULL) { /* we may be in an event of its */
        loop_bury(id->spec.loop, free_http, id->http);
        id->http = NULL;
    }
    if (id->fresh_key.len > 0) {
        mem_wipe((char *)(uintptr_t)id->fresh_key.at, id->fresh_key.len);
        id->fresh_key = SPAN_EMPTY;
    }
    arena_reset(&id->fresh_arena);
    if (id->has_answer) {
        node_identity_papers_dispose(&id->fresh);
        id->has_answer = false;
    }
}

/* Fills `to` with the token's text in `arena`; it is read each time, for whoever runs us may have brought a new one. */
static int read_token(const struct node_identity *id, struct arena *arena, struct span *to,
                      struct err *err)
{
    const char *text = getenv("MESH_TOKEN");
    if (id->spec.token_file == NULL) {
        *to = text ? span_trim(arena_dup(arena, span_of(text))) : SPAN_EMPTY;
    } else {
        struct buf file;
        buf_init(&file, TOKEN_BYTES_MAX);
        int code = file_read(id->spec.token_file, &file, err);
        *to = arena_dup(arena, buf_span(&file));
        buf_dispose(&file);
        if (code != 0) {
            return err_prefix(err, "--token-file");
        }
        while (to->len > 0 && strchr(" \t\r\n", to->at[to->len - 1]) != NULL) {
            to->len--;
        }
    }
    return to->len > 0
               ? 0
               : err_set(err, -ERR_CONFIG,
                         "there is no token; give one in --token-file or MESH_TOKEN (mesh ca "
                         "token create)");
}

/* A ServiceAccount's token may be used as often as need be, unlike a join token: it is tried by turns with the certificate. Where the authority has
 * another root by now, the certificate can not do it. */
static bool has_account_token(const struct node_identity *id)
{
    struct arena arena;
    struct span token;
    struct err err;
    arena_init(&arena, TOKEN_BYTES_MAX);
    bool is_there = id->spec.token_file != NULL && read_token(id, &arena, &token, &err) == 0 &&
                    !span_starts(token, SPAN("mesh1."));
    arena_dispose(&arena);
    return is_there;
}

static void fail(struct node_identity *id, const struct err *why)
{
    id->last = *why;
    id->is_token_next = id->is_token_next || (id->by_certificate && has_account_token(id));
    end_attempt(id);
    metric_add(id->failed, 1);
    if (node_identity_is_there(id)) {
        log_warn("identity", "MESH3007 not renewed left_s=%lld why=\"%s\"",
                 (long long)(id->papers.not_after_s - instant_wall_s()), why->text);
    } else {
        log_warn("identity", "no certificate yet why=\"%s\"", why->text);
    }
    wait_and_retry(id);
}

/* Leaf, what is between, and last the roots. */
static int read_chain(struct node_identity *id,
                      const struct pb_istio_ca_IstioCertificateResponse *a, struct err *err)
{
    struct node_identity_papers *p = &id->fresh;
    uint32_t count = a->cert_chain.count;
    if (count < 2) {
        return err_set(err, -ERR_PROTO, "the answer has %u certificates; want a chain and its root",
                       count);
    }
    struct buf chain;
    buf_init(&chain, TEXT_BYTES_MAX);
    int code = 0;
    for (uint32_t i = 0; i + 1 < count && code == 0; i++) {
        code = buf_append_span(&chain, a->cert_chain.at[i]);
        code = code ? code : buf_append_byte(&chain, '\n');
    }
    p->chain_pem = arena_dup(&p->arena, buf_span(&chain));
    buf_dispose(&chain);
    p->roots_pem = arena_dup(&p->arena, a->cert_chain.at[count - 1]);
    p->key_pem = arena_dup(&p->arena, id->fresh_key);
    const struct node_identity_rules rules = rules_of(id);
    return code ? err_set(err, code, "the answer is too long")
                : node_identity_papers_check(p, &rules, err);
}

static void on_message(void *arg, struct span message)
{
    struct node_identity *id = arg;
    if (id->has_answer) {
        return; /* a second one means nothing */
    }
    err_clear(&id->fresh_err);
    node_identity_papers_init(&id->fresh);
    id->has_answer = true;
    const struct pb_istio_ca_IstioCertificateResponse *a =
        pb_decode(&pb_istio_ca_IstioCertificateResponse_desc, &id->fresh.arena,
                  arena_dup(&id->fresh.arena, message), &id->fresh_err);
    if (a != NULL && read_chain(id, a, &id->fresh_err) == 0) {
        err_clear(&id->fresh_err);
    }
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    struct node_identity *id = arg;
    struct err err = id->fresh_err;
    int code = err.code;
    if (status != GRPC_OK) {
        bool is_refused = status == GRPC_UNAUTHENTICATED || status == GRPC_PERMISSION_DENIED;
        id->is_token_next = id->by_certificate && is_refused;
        code = err_set(&err, -ERR_DENIED, "%s: %.*s", grpc_status_name(status),
                       SPAN_ARG(span_first(message, 300)));
    } else if (!id->has_answer) {
        code = err_set(&err, -ERR_PROTO, "the call ended without an answer");
    }
    code = code ? code : apply(id, &id->fresh, &err);
    if (code != 0) {
        fail(id, &err);
        return;
    }
    struct node_identity_papers taken = id->fresh;
    id->has_answer = false; /* taken */
    end_attempt(id);
    id->failures = 0;
    metric_add(id->renewed, 1);
    log_info("identity", "%s identity=%.*s life_s=%lld",
             id->state == IDENTITY_NONE ? "joined" : "renewed", SPAN_ARG(id->spiffe_id),
             (long long)(taken.not_after_s - instant_wall_s()));
    hold(id, &taken, instant_wall_s());
    keep(id);
}

static const struct grpc_events call_events = {.on_message = on_message, .on_end = on_end};

/* ---- an attempt ---- */

/* To the authority: as ourselves to renew, as nobody yet with a token. It must be the control plane of our mesh. */
static int make_tls(const struct node_identity *id, bool as_ourselves, struct arena *arena,
                    struct tls_ctx **out, struct err *err)
{
    char name[IDENTITY_BYTES_MAX];
    static const struct span alpn[] = {SPAN_INIT("h2")};
    int len = snprintf(name, sizeof(name), "spiffe://%s/ns/%s/sa/%s", id->spec.trust_domain,
                       MESH_SYSTEM_NAMESPACE, MESH_CONTROL_ACCOUNT);
    const struct tls_san_match allowed = {
        .san = TLS_SAN_URI, .kind = TLS_MATCH_EXACT, .text = span_from(name, (size_t)len)};
    /* What the authority gave us, and what we were told, which may be newer. */
    struct span given = id->state == IDENTITY_HELD ? id->papers.roots_pem : SPAN_EMPTY;
    const struct tls_trust trust = {
        .trust_domain = span_of(id->spec.trust_domain),
        .roots_pem =
            span_of(arena_printf(arena, "%.*s\n%.*s", SPAN_ARG(given), SPAN_ARG(id->told_roots))),
    };
    bool has_roots = given.len > 0 || id->told_roots.len > 0;
    const struct tls_ctx_spec spec = {
        .chain_pem = as_ourselves ? id->papers.chain_pem : SPAN_EMPTY,
        .key_pem = as_ourselves ? id->papers.key_pem : SPAN_EMPTY,
        .trust = &trust,
        .trust_count = has_roots,
        .pin = has_roots ? NULL : id->pin,
        .peer_mode = TLS_PEER_REQUIRED,
        .allowed = &allowed,
        .allowed_count = 1,
        .alpn = alpn,
        .alpn_count = ARRAY_LEN(alpn),
        .sni = SPAN(MESH_CONTROL_ACCOUNT),
    };
    return tls_ctx_new(out, &spec, err);
}

static int open_http(struct node_identity *id, bool as_ourselves, struct err *err)
{
    struct tls_ctx *tls;
    int code = make_tls(id, as_ourselves, &id->fresh_arena, &tls, err);
    if (code != 0) {
        return code;
    }
    const struct http_client_spec http = {
        .origin = span_of(arena_printf(&id->fresh_arena, "https://%s", id->spec.control)),
        .http2 = true,
        .tls = tls,
        .resolver = id->spec.resolver,
    };
    code = http_client_new(&id->http, id->spec.loop, &http, err);
    tls_ctx_put(tls);
    return code;
}

/* A new key, and its signing request. */
static int make_request(struct node_identity *id, struct span *csr_pem, struct err *err)
{
    struct keypair *key;
    int code = keypair_generate(&key, KEYPAIR_P256, err);
    if (code != 0) {
        return code;
    }
    struct buf key_pem, csr;
    buf_init(&key_pem, 65536);
    buf_init(&csr, CSR_BYTES_MAX);
    code = csr_write(key, id->spiffe_id, &csr, err);
    if (code == 0 && (code = keypair_write(key, &key_pem)) != 0) {
        err_set(err, code, "can not write a key");
    }
    id->fresh_key = arena_dup(&id->fresh_arena, buf_span(&key_pem));
    *csr_pem = arena_dup(&id->fresh_arena, buf_span(&csr));
    if (buf_len(&key_pem) > 0) {
        mem_wipe((char *)(uintptr_t)buf_span(&key_pem).at, buf_len(&key_pem));
    }
    buf_dispose(&key_pem);
    buf_dispose(&csr);
    keypair_free(key);
    return code;
}

static int try(struct node_identity *id, struct err *err)
{
    bool by_certificate = node_identity_is_there(id) && !id->is_token_next;
    id->by_certificate = by_certificate;
    struct span token = SPAN_EMPTY, csr;
    err_clear(&id->fresh_err);
    id->is_token_next = false; /* each is tried in turn */
    int code = by_certificate ? 0 : read_token(id, &id->fresh_arena, &token, err);
    code = code ? code : open_http(id, by_certificate, err);
    code = code ? code : make_request(id, &csr, err);
    if (code != 0) {
        return code;
    }
    const struct pb_istio_ca_IstioCertificateRequest request = {.csr = csr};
    struct header field = {SPAN("authorization"), SPAN_EMPTY};
    field.value = span_of(arena_printf(&id->fresh_arena, "Bearer %.*s", SPAN_ARG(token)));
    id->call = grpc_call(id->http, PB_ISTIO_CA_ISTIO_CERTIFICATE_SERVICE_CREATE_CERTIFICATE_PATH,
                         &field, by_certificate ? 0 : 1, CALL_MS, &call_events, id);
    code = grpc_send(id->call, pb_encode_in(&pb_istio_ca_IstioCertificateRequest_desc, &request,
                                            &id->fresh_arena));
    if (code != 0) {
        grpc_cancel(id->call);
        return err_set(err, code, "the request can not be sent: %s", err_name(code));
    }
    grpc_half_close(id->call);
    return 0;
}

/* Takes what --ca-root says now. -EALREADY: what it said before. */
static int read_roots(struct node_identity *id, struct err *err)
{
    struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    int code = file_read(id->spec.ca_root, &text, err);
    struct span roots = buf_span(&text);
    if (code != 0) {
        code = err_prefix(err, "--ca-root");
    } else if (roots.at == NULL || roots.len == 0) {
        code = err_set(err, -ERR_CONFIG, "--ca-root '%s' is empty", id->spec.ca_root);
    } else if (id->told_text != NULL && span_eq(roots, id->told_roots)) {
        code = -EALREADY;
    } else {
        mem_free(id->told_text);
        id->told_text = mem_strndup(roots.at, roots.len);
        id->told_roots = span_from(id->told_text, roots.len);
    }
    buf_dispose(&text);
    return code;
}

/* kubelet keeps the file as the ConfigMap is: where the mesh gets another root, everybody takes it up within some minutes, not at once. */
static void look_at_roots(struct node_identity *id)
{
    struct err err;
    if (id->spec.ca_root != NULL && read_roots(id, &err) == 0) {
        int64_t soon_us = instant_wall_us() + (int64_t)rng_below(&id->rng, ROOTS_SPREAD_US);
        log_info("identity", "the roots in --ca-root have changed");
        id->renew_at_us = i64_min(id->renew_at_us, soon_us);
    }
}

static void on_due(struct deadline *d)
{
    struct node_identity *id = container_of(d, struct node_identity, due);
    struct err err;
    if (id->call == NULL) {
        look_at_roots(id);
    }
    if (id->state == IDENTITY_HELD && !id->ended_told && !node_identity_is_there(id)) {
        id->ended_told = true;
        id->failures = 0; /* there is no time to lose any more */
        log_error("identity", "MESH3008 the certificate has ended identity=%.*s",
                  SPAN_ARG(id->spiffe_id));
    }
    if (id->call != NULL) {
        return; /* its end arms the next look */
    }
    if (id->state == IDENTITY_HELD && instant_wall_us() < id->renew_at_us) {
        arm(id, instant_until_wall_ms(id->renew_at_us));
        return;
    }
    if (try(id, &err) != 0) {
        fail(id, &err);
    }
}

/* ---- life ---- */

bool node_identity_is_there(const struct node_identity *id)
{
    return id->state == IDENTITY_HELD && id->papers.not_after_s > instant_wall_s();
}

const char *node_identity_why(const struct node_identity *id)
{
    return id->last.code != 0 ? id->last.text : NULL;
}

bool node_identity_owns(enum conf_kind kind, struct span name)
{
    return kind == CONF_SECRET &&
           (span_is(name, NODE_IDENTITY_CERTIFICATE) || span_is(name, NODE_IDENTITY_ROOTS));
}

static int read_trust(struct node_identity *id, struct err *err)
{
    const char *pin = id->spec.ca_pin;
    int code = id->spec.ca_root != NULL ? read_roots(id, err) : 0;
    if (code != 0) {
        return code;
    }
    if (pin != NULL) {
        static const char prefix[] = "sha256:";
        struct span hex = span_of(pin);
        hex = span_starts_nocase(hex, span_of(prefix)) ? span_from_offset(hex, sizeof(prefix) - 1)
                                                       : hex;
        if (hex.len != 2 * sizeof(id->pin) ||
            hex_decode(hex, id->pin) != (ssize_t)sizeof(id->pin)) {
            return err_set(err, -ERR_CONFIG, "--ca-pin '%.80s': want sha256: and 64 hex digits",
                           pin);
        }
        id->has_pin = true;
    }
    if (id->told_roots.len > 0 && id->has_pin) {
        return err_set(err, -ERR_CONFIG, "--ca-root and --ca-pin say the same; give one of them");
    }
    if (id->told_roots.len == 0 && !id->has_pin) {
        return err_set(
            err, -ERR_CONFIG,
            "--control needs --ca-root or --ca-pin: whom to believe at the first contact");
    }
    return 0;
}

static int read_names(struct node_identity *id, struct err *err)
{
    const struct node_identity_spec *spec = &id->spec;
    struct identity parsed;
    id->spiffe_id = span_of(arena_printf(&id->arena, "spiffe://%s/ns/%s/sa/%s", spec->trust_domain,
                                         spec->ns, spec->service_account));
    if (identity_parse(id->spiffe_id, &parsed) != 0 || !span_is(parsed.ns, spec->ns) ||
        !span_is(parsed.sa, spec->service_account)) {
        return err_set(err, -ERR_CONFIG,
                       "'%.*s' is no SPIFFE ID; look at --trust-domain, --namespace and "
                       "--service-account",
                       SPAN_ARG(span_first(id->spiffe_id, 256)));
    }
    if (spec->state_dir != NULL && spec->state_dir[0] != '\0') {
        int code = file_make_folder(spec->state_dir, err);
        if (code != 0) {
            return err_prefix(err, "--state-dir");
        }
        id->path = arena_printf(&id->arena, "%s/" NODE_IDENTITY_FILE, spec->state_dir);
    }
    return 0;
}

static void bind_metrics(struct node_identity *id)
{
    static const char *const no_labels[] = {NULL};
    static const char *const labels[] = {"result", NULL};
    static const struct metric_family_spec ends = {
        .name = "mesh_identity_expiry_timestamp_seconds",
        .help = "When this proxy's own certificate ends, seconds since 1970.",
        .kind = METRIC_GAUGE,
        .labels = no_labels,
    };
    static const struct metric_family_spec asked = {
        .name = "mesh_identity_requests_total",
        .help = "Certificates asked for, by what came of it.",
        .kind = METRIC_COUNTER,
        .labels = labels,
    };
    struct metric_registry *r = id->spec.registry;
    struct metric_family *ends_family = metric_family_add(r, &ends);
    struct metric_family *asked_family = metric_family_add(r, &asked);
    struct metric_shard *shard = metric_shard_new(r);
    id->ends = metric_series_get(shard, ends_family, NULL);
    id->renewed = metric_series_get(shard, asked_family, &SPAN("given"));
    id->failed = metric_series_get(shard, asked_family, &SPAN("failed"));
}

int node_identity_new(struct node_identity **out, const struct node_identity_spec *spec,
                      struct err *err)
{
    struct node_identity *id = mem_new(struct node_identity);
    id->spec = *spec;
    arena_init(&id->arena, 4096);
    arena_init(&id->fresh_arena, 8192);
    int code = read_names(id, err);
    code = code ? code : read_trust(id, err);
    if (code != 0) {
        mem_free(id->told_text);
        arena_dispose(&id->arena);
        arena_dispose(&id->fresh_arena);
        mem_free(id);
        return code;
    }
    rng_init(&id->rng);
    deadline_init(&id->due, on_due);
    bind_metrics(id);
    *out = id;
    return 0;
}

void node_identity_start(struct node_identity *id)
{
    load(id);
    if (id->state == IDENTITY_NONE) {
        on_due(&id->due);
    }
}

void node_identity_free(struct node_identity *id)
{
    if (id == NULL) {
        return;
    }
    if (id->call != NULL) {
        grpc_cancel(id->call);
    }
    deadline_disarm(&id->due);
    http_client_free(id->http);
    id->http = NULL;
    end_attempt(id);
    if (id->state == IDENTITY_HELD) {
        node_identity_papers_dispose(&id->papers);
    }
    arena_dispose(&id->fresh_arena);
    arena_dispose(&id->arena);
    mem_free(id->told_text);
    mem_free(id);
}

/* The authority's own servers: certificates that it issues to itself, and their renewal.
 * In: ca_desk.c, who hosts a webhook. Out: tls_ctx; the ledger, by mail to the CA's thread. */
#include <stdio.h>

#include "base/instant.h"
#include "base/mem.h"
#include "ca/ca_int.h"
#include "ca/ledger.h"
#include "codec/hex.h"
#include "tls/tls_ctx.h"

enum { CHAIN_BYTES_MAX = 1 << 20, RETRY_MS = 10000 };

/* ---- for the ledger ---- */

struct ca_own {
    struct mail mail;
    char identity[IDENTITY_BYTES_MAX + 1];
    char serial[33];
    int64_t not_before_s, not_after_s;
};

static void on_own_written(void *arg, const struct store_answer *a)
{
    UNUSED(arg);
    if (a->code != 0) {
        log_error("ca", "ledger not written why=\"%s\"", a->why);
    }
}

static void on_own(struct mail *mail, void *owner)
{
    struct ca *ca = owner;
    struct ca_own *own = container_of(mail, struct ca_own, mail);
    const struct ledger_entry entry = {
        .serial = span_of(own->serial),
        .identity = span_of(own->identity),
        .not_before_s = own->not_before_s,
        .not_after_s = own->not_after_s,
        .proof = SPAN("self"),
    };
    (void)ledger_write(ca->port, &entry, on_own_written, NULL); /* nobody waits for it */
    mem_free(own);
}

/* ---- issuing to ourselves ---- */

struct papers { /* PEM */
    struct buf chain, key;
};

static int issue_own(const struct ca *ca, struct issue_spec *spec, struct papers *to,
                     struct ca_own *own, struct err *err)
{
    do {
        rng_fill_secret(spec->serial, sizeof(spec->serial));
        spec->serial[0] &= 0x7f;
    } while (spec->serial[0] == 0);
    spec->not_before_s = instant_wall_s() - GRANT_BACKDATE_S;
    spec->not_after_s = instant_wall_s() + ca->rules.life_s;
    struct issuer *issuer;
    struct keypair *key = NULL;
    int code = issuer_parse(&issuer, ca->root.chain_pem, ca->root.key_pem, err);
    if (code != 0) {
        return code;
    }
    code = keypair_generate(&key, KEYPAIR_P256, err);
    code = code ? code : issue_key(issuer, key, spec, &to->chain, err);
    for (size_t i = 0; i < ca->root.between_count && code == 0; i++) {
        code = buf_append_span(&to->chain, ca->root.between[i]);
        code = code ? code : buf_append_byte(&to->chain, '\n');
    }
    /* The root too: who has only its hash can then begin (tls_ctx_spec.pin). Not others, which may have the same name. */
    code = code ? code : buf_append_span(&to->chain, ca->root.own_root_pem);
    code = code ? code : keypair_write(key, &to->key);
    own->serial[hex_encode(span_from(spec->serial, sizeof(spec->serial)), own->serial)] = '\0';
    own->not_before_s = spec->not_before_s;
    own->not_after_s = i64_min(spec->not_after_s, issuer_not_after(issuer));
    keypair_free(key);
    issuer_free(issuer);
    return code == 0 || err->code == code ? code
                                          : err_set(err, code, "can not write a server's identity");
}

/* `tls` lacks its papers. Tells the ledger that `identity` got them. */
static int make_tls(struct ca *ca, struct issue_spec *spec, struct tls_ctx_spec *tls,
                    struct span identity, struct tls_ctx **out, struct err *err)
{
    struct papers papers;
    struct ca_own *own = mem_new(struct ca_own);
    own->mail.on_arrive = on_own;
    (void)span_to_cstr(span_first(identity, sizeof(own->identity) - 1), own->identity,
                       sizeof(own->identity));
    buf_init(&papers.chain, CHAIN_BYTES_MAX);
    buf_init(&papers.key, CHAIN_BYTES_MAX);
    err_clear(err);
    int code = issue_own(ca, spec, &papers, own, err);
    if (code == 0) {
        tls->server = true;
        tls->chain_pem = buf_span(&papers.chain);
        tls->key_pem = buf_span(&papers.key);
        code = tls_ctx_new(out, tls, err);
    }
    if (buf_len(&papers.key) > 0) {
        mem_wipe((char *)(uintptr_t)buf_span(&papers.key).at, buf_len(&papers.key));
    }
    buf_dispose(&papers.chain);
    buf_dispose(&papers.key);
    if (code != 0) {
        mem_free(own);
        return code;
    }
    mailbox_post_take(ca->mailbox, &own->mail);
    return 0;
}

int ca_server_tls(struct ca *ca, struct tls_ctx **out, struct err *err)
{
    static const struct span names[] = {
        SPAN_INIT("mesh-control.mesh-system.svc"),
        SPAN_INIT("mesh-control.mesh-system.svc.cluster.local"),
        SPAN_INIT("istiod.istio-system.svc"),
        SPAN_INIT("mesh-control"),
        SPAN_INIT("localhost"),
    };
    static const struct span alpn[] = {SPAN_INIT("h2")};
    struct issue_spec spec = {
        .spiffe_id = ca->rules.reserved, .dns = names, .dns_count = ARRAY_LEN(names)};
    const struct tls_trust trust = {.trust_domain = ca->rules.trust_domain,
                                    .roots_pem = ca->root.roots_pem};
    struct tls_ctx_spec tls = {
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_OPTIONAL,
        .alpn = alpn,
        .alpn_count = ARRAY_LEN(alpn),
    };
    int code = make_tls(ca, &spec, &tls, ca->rules.reserved, out, err);
    return code ? err_prefix(err, "the server's own certificate") : 0;
}

/* ---- webhooks ---- */

int ca_webhook_tls(struct ca *ca, const char *const *dns_names, struct tls_ctx **out,
                   struct err *err)
{
    static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
    struct span names[CA_WEBHOOK_NAMES_MAX];
    struct issue_spec spec = {.dns = names, .server_only = true};
    struct tls_ctx_spec tls = {
        .peer_mode = TLS_PEER_NONE, .alpn = alpn, .alpn_count = ARRAY_LEN(alpn)};
    char identity[IDENTITY_BYTES_MAX + 1];
    for (; dns_names[spec.dns_count] != NULL; spec.dns_count++) {
        if (spec.dns_count == ARRAY_LEN(names)) {
            return err_set(err, -ERR_CONFIG, "a webhook's certificate has at most %d names",
                           CA_WEBHOOK_NAMES_MAX);
        }
        names[spec.dns_count] = span_of(dns_names[spec.dns_count]);
    }
    int len = snprintf(identity, sizeof(identity), "dns:%s", dns_names[0] ? dns_names[0] : "");
    struct span told = span_from(identity, size_min((size_t)len, sizeof(identity) - 1));
    int code = make_tls(ca, &spec, &tls, told, out, err);
    return code ? err_prefix(err, "the webhook's certificate") : 0;
}

struct ca_webhook {
    struct ca *ca;              /* borrowed */
    struct loop *loop;          /* borrowed */
    struct http_server *server; /* borrowed */
    struct arena arena;
    const char **names; /* in the arena */
    struct deadline renew;
    struct rng rng;
};

static void arm_webhook(struct ca_webhook *w)
{
    deadline_arm(&w->renew, w->loop, ca_renewal_ms(w->ca, &w->rng));
}

static void on_renew(struct deadline *d)
{
    struct ca_webhook *w = container_of(d, struct ca_webhook, renew);
    struct tls_ctx *fresh = NULL;
    struct err err;
    if (ca_webhook_tls(w->ca, w->names, &fresh, &err) != 0) {
        log_error("ca", "webhook's certificate not renewed why=\"%s\"", err.text);
        deadline_arm(&w->renew, w->loop, RETRY_MS);
        return;
    }
    http_server_set_tls(w->server, fresh);
    tls_ctx_put(fresh);
    arm_webhook(w);
}

struct ca_webhook *ca_webhook_new(struct ca *ca, struct loop *loop, struct http_server *server,
                                  const char *const *dns_names)
{
    struct ca_webhook *w = mem_new(struct ca_webhook);
    size_t count = 0;
    while (dns_names[count] != NULL) {
        count++;
    }
    w->ca = ca;
    w->loop = loop;
    w->server = server;
    arena_init(&w->arena, 512);
    w->names = arena_array(&w->arena, count + 1, sizeof(*w->names));
    for (size_t i = 0; i < count; i++) {
        w->names[i] = arena_printf(&w->arena, "%s", dns_names[i]);
    }
    rng_init(&w->rng);
    deadline_init(&w->renew, on_renew);
    arm_webhook(w);
    return w;
}

void ca_webhook_free(struct ca_webhook *w)
{
    if (w != NULL) {
        deadline_disarm(&w->renew);
        arena_dispose(&w->arena);
        mem_free(w);
    }
}

/* A clock that runs faster in a test is heeded. */
int64_t ca_renewal_ms(const struct ca *ca, struct rng *rng)
{
    int64_t half_us = ca->rules.life_s * 500000;
    int64_t jitter_us = (int64_t)rng_below(rng, (uint64_t)(half_us / 10 + 1));
    return i64_max(instant_until_wall_ms(instant_wall_us() + half_us - jitter_us), 100);
}

/* An identity as texts: checked, kept, loaded. See node_identity_int.h.
 * In: node_identity.c, a file. */
#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "codec/doc.h"
#include "io/file.h"
#include "proxy/node_identity_int.h"
#include "tls/tls_ctx.h"
#include "tls/x509.h"

enum { FILE_BYTES_MAX = 1 << 20 };

void node_identity_papers_init(struct node_identity_papers *p)
{
    *p = (struct node_identity_papers){.key_pem = SPAN_EMPTY};
    arena_init(&p->arena, 4096);
}

void node_identity_papers_dispose(struct node_identity_papers *p)
{
    if (p->key_pem.len > 0) {
        mem_wipe((char *)(uintptr_t)p->key_pem.at, p->key_pem.len);
    }
    arena_dispose(&p->arena);
}

/* ---- checks ---- */

static bool has_root(const struct x509_facts *roots, size_t count, const uint8_t *hash)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(roots[i].sha256, hash, sizeof(roots[i].sha256)) == 0) {
            return true;
        }
    }
    return false;
}

static int check_roots(struct node_identity_papers *p, const struct node_identity_rules *rules,
                       struct err *err)
{
    struct x509_facts *roots, *told;
    size_t count, told_count;
    int code = x509_read(&p->arena, p->roots_pem, &roots, &count, err);
    if (code != 0) {
        return err_prefix(err, "roots");
    }
    bool fits = rules->pin == NULL || has_root(roots, count, rules->pin);
    if (rules->roots_pem.len > 0) {
        code = x509_read(&p->arena, rules->roots_pem, &told, &told_count, err);
        fits = false;
        for (size_t i = 0; i < count && code == 0; i++) {
            fits = fits || has_root(told, told_count, roots[i].sha256);
        }
    }
    if (code != 0) {
        return err_prefix(err, "--ca-root");
    }
    return fits ? 0
                : err_set(err, -ERR_DENIED,
                          "MESH3009 the roots are not those that --ca-root or --ca-pin tells");
}

/* As the TLS of every connection will use them. */
static int check_pair(const struct node_identity_papers *p, const struct node_identity_rules *rules,
                      struct err *err)
{
    const struct tls_trust trust = {.trust_domain = rules->trust_domain, .roots_pem = p->roots_pem};
    const struct tls_ctx_spec spec = {
        .server = true,
        .chain_pem = p->chain_pem,
        .key_pem = p->key_pem,
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_REQUIRED,
    };
    struct tls_ctx *ctx;
    int code = tls_ctx_new(&ctx, &spec, err);
    if (code == 0) {
        tls_ctx_put(ctx);
    }
    return code;
}

int node_identity_papers_check(struct node_identity_papers *p,
                               const struct node_identity_rules *rules, struct err *err)
{
    struct x509_facts *chain;
    size_t count;
    int code = x509_read(&p->arena, p->chain_pem, &chain, &count, err);
    if (code != 0) {
        return err_prefix(err, "certificate");
    }
    if (!span_eq(chain[0].spiffe_id, rules->spiffe_id)) {
        return err_set(err, -ERR_DENIED, "the certificate is of '%.*s', and we are '%.*s'",
                       SPAN_ARG(span_first(chain[0].spiffe_id, 200)),
                       SPAN_ARG(span_first(rules->spiffe_id, 200)));
    }
    p->not_before_s = chain[0].not_before_s;
    p->not_after_s = chain[0].not_after_s;
    if (p->not_after_s <= instant_wall_s()) {
        return err_set(err, -ERR_DENIED, "the certificate has ended");
    }
    code = check_roots(p, rules, err);
    return code ? code : check_pair(p, rules, err);
}

/* ---- file ---- */

int node_identity_papers_load(struct node_identity_papers *p, const char *path, struct err *err)
{
    struct buf text;
    struct doc_node *doc = NULL;
    buf_init(&text, FILE_BYTES_MAX);
    int code = file_read_secret(path, &text, err);
    code = code ? code : doc_parse_json(&p->arena, buf_span(&text), path, &doc, err);
    code = code ? code : doc_read_text(doc, "key", &p->key_pem, err);
    code = code ? code : doc_read_text(doc, "chain", &p->chain_pem, err);
    code = code ? code : doc_read_text(doc, "roots", &p->roots_pem, err);
    if (buf_len(&text) > 0) {
        mem_wipe((char *)(uintptr_t)buf_span(&text).at, buf_len(&text));
    }
    buf_dispose(&text);
    return code;
}

int node_identity_papers_save(const struct node_identity_papers *p, const char *path,
                              struct err *err)
{
    struct arena arena;
    arena_init(&arena, 16384);
    struct doc_node *doc = doc_new_map(&arena);
    doc_set_text(&arena, doc, "chain", p->chain_pem);
    doc_set_text(&arena, doc, "roots", p->roots_pem);
    struct span key = doc_set_text(&arena, doc, "key", p->key_pem)->text;
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    int code = doc_write_json(doc, true, &text);
    code = code ? err_set(err, code, "the identity is too long to be kept")
                : file_write(path, buf_span(&text), 0600, err);
    if (buf_len(&text) > 0) {
        mem_wipe((char *)(uintptr_t)buf_span(&text).at, buf_len(&text));
    }
    mem_wipe((char *)(uintptr_t)key.at, key.len);
    buf_dispose(&text);
    arena_dispose(&arena);
    return code;
}

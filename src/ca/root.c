/* The authority's own certificates: made at first start, or brought along.
 * In: files. Next: ca.c. */
#include "ca/root.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "codec/pem.h"
#include "io/file.h"
#include "tls/issue.h"
#include "tls/x509.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    BACKDATE_S = 300,           /* clocks of a first start are not always right yet */
    WARN_BEFORE_S = 30 * 86400, /* a certificate that signs and ends within that is worth a word */
    COMMON_NAME_BYTES_MAX = 64, /* RFC 5280 appendix A.1 */
};

static const char key_name[] = "ca-key.pem", cert_name[] = "ca-cert.pem",
                  chain_name[] = "cert-chain.pem", roots_name[] = "root-cert.pem",
                  told_name[] = "ca-root.pem";

static const char *path_of(struct root *r, const char *folder, const char *name)
{
    return arena_printf(&r->arena, "%s/%s", folder, name);
}

static int read_file(struct root *r, const char *path, bool secret, struct span *to,
                     struct err *err)
{
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    int code = secret ? file_read_secret(path, &text, err) : file_read(path, &text, err);
    if (code == 0) {
        *to = arena_dup(&r->arena, buf_span(&text));
        if (secret) {
            mem_wipe((char *)(uintptr_t)buf_span(&text).at, buf_len(&text));
        }
    }
    buf_dispose(&text);
    return code;
}

/* ---- first start ---- */

static int write_key(const char *path, struct err *err)
{
    struct keypair *key;
    int code = keypair_generate(&key, KEYPAIR_P256, err);
    if (code != 0) {
        return code;
    }
    struct buf pem;
    buf_init(&pem, FILE_BYTES_MAX);
    code = keypair_write(key, &pem);
    code = code ? err_set(err, code, "can not write a key") : 0;
    code = code ? code : file_write(path, buf_span(&pem), 0600, err);
    mem_wipe((char *)(uintptr_t)buf_span(&pem).at, buf_len(&pem));
    buf_dispose(&pem);
    keypair_free(key);
    return code;
}

static int write_certificate(struct root *r, const char *path, struct span trust_domain,
                             struct err *err)
{
    struct keypair *key;
    int code = keypair_parse(&key, r->key_pem, err);
    if (code != 0) {
        return code;
    }
    struct span name = span_of(arena_printf(&r->arena, "mesh root %.*s", SPAN_ARG(trust_domain)));
    const struct issue_spec spec = {
        .common_name = span_first(name, COMMON_NAME_BYTES_MAX),
        .not_before_s = instant_wall_s() - BACKDATE_S,
        .not_after_s = instant_wall_s() + ROOT_LIFE_S,
        .ca = true,
    };
    struct buf pem;
    buf_init(&pem, FILE_BYTES_MAX);
    code = issue_root(key, &spec, &pem, err);
    code = code ? code : file_write(path, buf_span(&pem), 0644, err);
    buf_dispose(&pem);
    keypair_free(key);
    return code;
}

/* ---- what is there ---- */

/* The certificates of cert-chain.pem as far as they stand between the one that signs and the root: Istio's has the signing one
 * and the root in it, too. */
static int read_between(struct root *r, struct span own, struct span text, const char *path,
                        struct err *err)
{
    struct x509_facts *facts, *mine;
    size_t count = 0, own_count;
    int code = x509_read(&r->arena, own, &mine, &own_count, err);
    if (code == 0 && text.len > 0) {
        code = x509_read(&r->arena, text, &facts, &count, err);
    }
    if (code != 0) {
        return err_prefix(err, "'%s'", path);
    }
    r->between = arena_array(&r->arena, count + own_count, sizeof(*r->between));
    struct span all = span_of(arena_printf(&r->arena, "%.*s%.*s", SPAN_ARG(own), SPAN_ARG(text)));
    struct span chain = SPAN_EMPTY;
    struct pem_block block;
    for (size_t i = 0; pem_next(&all, &r->arena, &block, NULL) == 1;) {
        if (!span_is(block.label, "CERTIFICATE")) {
            continue;
        }
        const struct x509_facts *f = i < own_count ? &mine[i] : &facts[i - own_count];
        bool is_self = span_eq(f->subject, f->issuer);
        bool is_twin = i > 0 && memcmp(f->sha256, mine[0].sha256, sizeof(f->sha256)) == 0;
        if (i == 0 || (!is_self && !is_twin)) {
            chain = span_of(arena_printf(&r->arena, "%.*s%.*s\n", SPAN_ARG(chain),
                                         SPAN_ARG(span_trim(block.text))));
        }
        if (!is_self && !is_twin) {
            r->between[r->between_count++] = block.text;
        }
        i++;
    }
    r->chain_pem = chain;
    r->not_after_s = mine[0].not_after_s;
    return 0;
}

/* The pin is of the root that this chain leads to; others in the bundle are there for a change of roots. */
static int find_pin(struct root *r, const struct issuer *issuer, struct err *err)
{
    struct span rest = r->roots_pem;
    struct pem_block block;
    int code = err_set(err, -ERR_CONFIG, "no root in PEM found");
    int more;
    while ((more = pem_next(&rest, &r->arena, &block, err)) == 1) {
        struct x509_facts *facts;
        size_t count;
        code = issuer_check_roots(issuer, block.text, err);
        code = code ? code : x509_read(&r->arena, block.text, &facts, &count, err);
        if (code == 0) {
            char hex[2 * sizeof(facts[0].sha256)];
            size_t len = hex_encode(span_from(facts[0].sha256, sizeof(facts[0].sha256)), hex);
            r->own_root_pem = block.text;
            snprintf(r->pin, sizeof(r->pin), "sha256:%.*s", (int)len, hex);
            return 0;
        }
    }
    return more < 0 ? more : code;
}

static int check(struct root *r, struct err *err)
{
    struct issuer *issuer;
    int code = issuer_parse(&issuer, r->chain_pem, r->key_pem, err);
    if (code != 0) {
        return code;
    }
    code = find_pin(r, issuer, err);
    issuer_free(issuer);
    int64_t left = r->not_after_s - instant_wall_s();
    if (code == 0 && left < WARN_BEFORE_S) {
        log_warn("ca", "MESH3002 the certificate that signs ends soon days_left=%lld",
                 (long long)(left / 86400));
    }
    return code;
}

static int load(struct root *r, const char *folder, struct span trust_domain, struct err *err)
{
    const char *key = path_of(r, folder, key_name), *cert = path_of(r, folder, cert_name);
    const char *chain = path_of(r, folder, chain_name), *roots = path_of(r, folder, roots_name);
    bool is_brought = file_exists(chain) || file_exists(roots);
    int code = file_make_folder(folder, err);
    if (code == 0 && !file_exists(key)) {
        if (is_brought || file_exists(cert)) {
            return err_set(err, -ERR_CONFIG,
                           "'%s' is missing, but there are certificates beside it; put the key "
                           "back, or move the certificates away to begin anew",
                           key);
        }
        r->is_new = true;
        code = write_key(key, err);
    }
    code = code ? code : read_file(r, key, true, &r->key_pem, err);
    if (code == 0 && !file_exists(cert) && !is_brought) {
        r->is_new = true;
        code = write_certificate(r, cert, trust_domain, err);
    }
    struct span own, between = SPAN_EMPTY;
    code = code ? code : read_file(r, cert, false, &own, err);
    if (code == 0 && file_exists(chain)) {
        code = read_file(r, chain, false, &between, err);
    }
    code = code ? code : read_between(r, own, between, file_exists(chain) ? chain : cert, err);
    if (code == 0 && file_exists(roots)) {
        code = read_file(r, roots, false, &r->roots_pem, err);
    } else if (code == 0) {
        r->roots_pem = r->between_count == 0 ? r->chain_pem : own;
    }
    if (code == 0 && !file_exists(roots) && r->between_count > 0) {
        return err_set(err, -ERR_CONFIG, "'%s' is no root, so its root must be in '%s'", cert,
                       roots);
    }
    if (code == 0 && (code = check(r, err)) != 0) {
        err_prefix(err, "'%s'", cert);
    }
    return code;
}

/* What people copy to other machines: rewritten only when it differs, since the folder may be read-only then. */
static int tell_roots(struct root *r, const char *folder, struct err *err)
{
    const char *path = path_of(r, folder, told_name);
    struct span old = SPAN_EMPTY;
    if (file_exists(path) && read_file(r, path, false, &old, err) == 0 &&
        span_eq(old, r->roots_pem)) {
        return 0;
    }
    return file_write(path, r->roots_pem, 0644, err);
}

int root_load(struct root *r, const char *folder, struct span trust_domain, struct err *err)
{
    *r = (struct root){.is_new = false};
    arena_init(&r->arena, 16384);
    int code = load(r, folder, trust_domain, err);
    code = code ? code : tell_roots(r, folder, err);
    if (code != 0) {
        root_dispose(r);
    }
    return code;
}

void root_dispose(struct root *r)
{
    if (r->key_pem.len > 0) {
        mem_wipe((char *)(uintptr_t)r->key_pem.at, r->key_pem.len);
    }
    arena_dispose(&r->arena);
}

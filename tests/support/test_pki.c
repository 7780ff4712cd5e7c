/* Certificates for tests. */
#include "support/test_pki.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/mem.h"
#include "tls/issue.h"

enum { PEM_BYTES_MAX = 65536 };

struct test_pki {
    struct keypair *key;
    struct issuer *issuer;
    struct buf root, chain, key_pem; /* `chain` of a root is the root */
};

static void must(int code, const struct err *err, const char *what)
{
    if (code != 0) {
        fprintf(stderr, "test_pki: %s: %s\n", what, err->text);
        abort();
    }
}

static void must_append(struct buf *to, struct span s)
{
    const struct err err = {.text = "too long"};
    must(buf_append_span(to, s), &err, "copy");
}

static struct test_pki *new_pki(enum keypair_kind kind)
{
    struct err err;
    struct test_pki *pki = mem_new(struct test_pki);
    buf_init(&pki->root, PEM_BYTES_MAX);
    buf_init(&pki->chain, PEM_BYTES_MAX);
    buf_init(&pki->key_pem, PEM_BYTES_MAX);
    must(keypair_generate(&pki->key, kind, &err), &err, "key");
    must(keypair_write(pki->key, &pki->key_pem), &err, "key");
    return pki;
}

static void make_issuer(struct test_pki *pki)
{
    struct err err;
    must(issuer_parse(&pki->issuer, buf_span(&pki->chain), buf_span(&pki->key_pem), &err), &err,
         "issuer");
}

static struct issue_spec ca_spec(const char *name)
{
    return (struct issue_spec){
        .common_name = span_of(name),
        .not_before_s = instant_wall_s() - 7200,
        .not_after_s = instant_wall_s() + 10 * 365 * 86400LL,
        .ca = true,
    };
}

struct test_pki *test_pki_new(const char *name, enum keypair_kind kind)
{
    struct err err;
    struct test_pki *pki = new_pki(kind);
    struct issue_spec spec = ca_spec(name);
    must(issue_root(pki->key, &spec, &pki->chain, &err), &err, "root");
    must_append(&pki->root, buf_span(&pki->chain));
    make_issuer(pki);
    return pki;
}

struct test_pki *test_pki_below(const struct test_pki *parent, const char *name)
{
    struct err err;
    struct test_pki *pki = new_pki(KEYPAIR_P256);
    struct issue_spec spec = ca_spec(name);
    must(issue_key(parent->issuer, pki->key, &spec, &pki->chain, &err), &err, "intermediate");
    must_append(&pki->root, test_pki_root(parent));
    make_issuer(pki);
    return pki;
}

void test_pki_free(struct test_pki *pki)
{
    if (pki != NULL) {
        keypair_free(pki->key);
        issuer_free(pki->issuer);
        buf_dispose(&pki->root);
        buf_dispose(&pki->chain);
        buf_dispose(&pki->key_pem);
        mem_free(pki);
    }
}

struct span test_pki_root(const struct test_pki *pki)
{
    return buf_span(&pki->root);
}

struct span test_pki_chain(const struct test_pki *pki)
{
    return buf_span(&pki->chain);
}

struct span test_pki_key(const struct test_pki *pki)
{
    return buf_span(&pki->key_pem);
}

void test_pki_issue(const struct test_pki *pki, const struct test_leaf *leaf, struct test_cert *out)
{
    struct err err;
    struct keypair *key;
    struct span dns = span_of(leaf->dns);
    const struct issue_spec spec = {
        .spiffe_id = span_of(leaf->spiffe_id),
        .dns = &dns,
        .dns_count = leaf->dns != NULL,
        .common_name = span_of(leaf->name),
        .not_before_s = leaf->not_before_s ? leaf->not_before_s : instant_wall_s() - 3600,
        .not_after_s = leaf->not_after_s ? leaf->not_after_s : instant_wall_s() + 86400,
    };
    buf_init(&out->chain, PEM_BYTES_MAX);
    buf_init(&out->key, PEM_BYTES_MAX);
    must(keypair_generate(&key, leaf->kind, &err), &err, "leaf key");
    must(keypair_write(key, &out->key), &err, "leaf key");
    must(issue_key(pki->issuer, key, &spec, &out->chain, &err), &err, "leaf");
    if (!span_eq(buf_span(&pki->chain), buf_span(&pki->root))) {
        must_append(&out->chain, buf_span(&pki->chain));
    }
    keypair_free(key);
}

void test_cert_dispose(struct test_cert *cert)
{
    buf_dispose(&cert->chain);
    buf_dispose(&cert->key);
}

#ifndef TESTS_TEST_PKI_H
#define TESTS_TEST_PKI_H
/* Certificates for tests, made in memory with tls/issue.h: a root, and leaves under it. Whatever fails ends
 * the test program. Call tls_init first. */
#include "base/buf.h"
#include "base/span.h"
#include "tls/keypair.h"

struct test_pki; /* a root, or an intermediate, with its key */

struct test_leaf {
    const char *spiffe_id; /* or NULL */
    const char *dns;       /* or NULL */
    const char *name;      /* common name, or NULL */
    enum keypair_kind kind;
    int64_t not_before_s; /* 0 = an hour ago (on base/instant's clock) */
    int64_t not_after_s;  /* 0 = in a day */
};

/* PEM, ready for tls_ctx_spec. */
struct test_cert {
    struct buf chain; /* leaf, then intermediates */
    struct buf key;
};

struct test_pki *test_pki_new(const char *name, enum keypair_kind kind);
/* An intermediate under `parent`. */
struct test_pki *test_pki_below(const struct test_pki *parent, const char *name);
void test_pki_free(struct test_pki *pki);
/* The root's PEM, also of an intermediate. */
struct span test_pki_root(const struct test_pki *pki);
/* The signing certificate's own PEM (with intermediates) and key: for issuer_parse. */
struct span test_pki_chain(const struct test_pki *pki);
struct span test_pki_key(const struct test_pki *pki);
void test_pki_issue(const struct test_pki *pki, const struct test_leaf *leaf,
                    struct test_cert *out);
void test_cert_dispose(struct test_cert *cert);
#endif

/* ca/root: the files of an authority, at first start and later, and what is refused. (OpenSSL's chains: tests/e2e/test_ca.py.) */
#include "ca/root.c"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/cm.h"

#include "support/test_pki.h"
#include "tls/tls.h"

static char folder[64];
static struct err err;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/mesh-root-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return tls_init(&err);
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static const char *in(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, struct span text, unsigned mode)
{
    assert_int_equal(file_write(in(name), text, mode, &err), 0);
}

static void load_well(struct root *r)
{
    if (root_load(r, folder, SPAN("cluster.local"), &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void load_badly(const char *why)
{
    struct root r;
    err_clear(&err);
    assert_int_not_equal(root_load(&r, folder, SPAN("cluster.local"), &err), 0);
    if (strstr(err.text, why) == NULL) {
        fail_msg("'%s' is not in '%s'", why, err.text);
    }
}

static void test_first_and_second_start(void **state)
{
    (void)state;
    struct root a, b;
    load_well(&a);
    assert_true(a.is_new);
    assert_int_equal(a.between_count, 0);
    assert_int_equal(strlen(a.pin), ROOT_PIN_BYTES - 1);
    assert_true(a.not_after_s > instant_wall_s() + ROOT_LIFE_S - 60);
    struct x509_facts *f;
    size_t count;
    assert_int_equal(x509_read(&a.arena, a.roots_pem, &f, &count, &err), 0);
    assert_true(count == 1 && f[0].ca);
    assert_span(f[0].subject, "CN=mesh root cluster.local");
    load_well(&b);
    assert_false(b.is_new);
    assert_string_equal(a.pin, b.pin);
    assert_true(span_eq(a.roots_pem, b.roots_pem));
    struct buf told;
    buf_init(&told, 10000);
    assert_int_equal(file_read(in("ca-root.pem"), &told, &err), 0);
    assert_true(span_eq(buf_span(&told), a.roots_pem));
    buf_dispose(&told);
    root_dispose(&a);
    root_dispose(&b);
}

/* A volume of Kubernetes with an fsGroup: everybody may write into the folder, and what is in it gets its group. The files say what counts. */
static void test_volume(void **state)
{
    (void)state;
    struct root a, b;
    struct stat st;
    mode_t before = umask(0);
    assert_int_equal(chown(folder, (uid_t)-1, geteuid() == 0 ? 1337 : getegid()), 0);
    assert_int_equal(chmod(folder, 02777), 0);
    load_well(&a);
    assert_true(a.is_new);
    assert_int_equal(stat(in("ca-key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    load_well(&b);
    assert_false(b.is_new);
    /* As a Secret's files are written there before. */
    put("ca-key.pem", a.key_pem, 0600);
    put("ca-cert.pem", a.chain_pem, 0600);
    put("cert-chain.pem", a.chain_pem, 0600);
    put("root-cert.pem", a.roots_pem, 0600);
    root_dispose(&b);
    load_well(&b);
    assert_string_equal(a.pin, b.pin);
    root_dispose(&a);
    root_dispose(&b);
    (void)umask(before);
}

/* Killed after the key was written: the same key gets its certificate. */
static void test_cut_short(void **state)
{
    (void)state;
    struct root a, b;
    load_well(&a);
    assert_int_equal(unlink(in("ca-cert.pem")), 0);
    load_well(&b);
    assert_true(b.is_new);
    assert_true(span_eq(a.key_pem, b.key_pem));
    root_dispose(&a);
    root_dispose(&b);
}

static void test_refusals(void **state)
{
    (void)state;
    struct root a;
    load_well(&a);
    assert_int_equal(chmod(in("ca-key.pem"), 0640), 0);
    load_badly("ca-key.pem' is a secret");
    assert_int_equal(chmod(in("ca-key.pem"), 0600), 0);
    put("ca-cert.pem", SPAN("nonsense"), 0644);
    load_badly("ca-cert.pem': no certificate in PEM");
    put("ca-cert.pem", a.chain_pem, 0644);
    put("ca-key.pem", SPAN("nonsense"), 0600);
    load_badly("private key is not usable");
    assert_int_equal(unlink(in("ca-key.pem")), 0);
    load_badly("ca-key.pem' is missing");
    root_dispose(&a);
}

static void test_brought_along(void **state)
{
    (void)state;
    struct test_pki *root = test_pki_new("root", KEYPAIR_P256),
                    *old = test_pki_new("old", KEYPAIR_P256);
    struct test_pki *below = test_pki_below(root, "below");
    struct root r;
    char text[8192];
    put("ca-key.pem", test_pki_key(below), 0600);
    put("ca-cert.pem", test_pki_chain(below), 0644);
    load_badly("root-cert.pem'");
    put("root-cert.pem", test_pki_root(old), 0644);
    load_badly("does not lead to its root");
    put("root-cert.pem", test_pki_root(root), 0644);
    load_well(&r);
    assert_int_equal(r.between_count, 1);
    assert_true(span_eq(r.roots_pem, test_pki_root(root)));
    root_dispose(&r);
    /* While roots change there are two; the pin is of the one that counts. */
    int len = snprintf(text, sizeof(text), "# two\n%.*s%.*s", SPAN_ARG(test_pki_root(old)),
                       SPAN_ARG(test_pki_root(root)));
    put("root-cert.pem", span_from(text, (size_t)len), 0644);
    /* And a chain that has everything in it, as Istio's. */
    len = snprintf(text, sizeof(text), "%.*s%.*s", SPAN_ARG(test_pki_chain(below)),
                   SPAN_ARG(test_pki_root(root)));
    put("cert-chain.pem", span_from(text, (size_t)len), 0644);
    load_well(&r);
    assert_int_equal(r.between_count, 1);
    assert_int_not_equal(span_find(r.own_root_pem, span_trim(test_pki_root(old))), 0);
    struct x509_facts *f;
    size_t count;
    char hex[65] = "";
    assert_int_equal(x509_read(&r.arena, test_pki_root(root), &f, &count, &err), 0);
    hex_encode(span_from(f[0].sha256, 32), hex);
    assert_string_equal(r.pin + 7, hex);
    assert_int_equal(x509_read(&r.arena, r.chain_pem, &f, &count, &err), 0);
    assert_int_equal(count, 1);
    root_dispose(&r);
    /* A leaf's certificate signs nothing. */
    struct test_cert leaf;
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/a/sa/b"}, &leaf);
    put("ca-key.pem", buf_span(&leaf.key), 0600);
    put("ca-cert.pem", buf_span(&leaf.chain), 0644);
    load_badly("may not sign others");
    test_cert_dispose(&leaf);
    test_pki_free(below);
    test_pki_free(old);
    test_pki_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_and_second_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_volume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_brought_along, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

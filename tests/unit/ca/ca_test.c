/* ca/ca: what its owner asks, over a real store. (Signing requests: tests/e2e/test_ca.py.) */
#include "ca/ca.c"

#include <stdlib.h>

#include "unit/cm.h"

#include "tls/tls.h"

static struct loop *loop;
static struct store *store;
static struct ca *ca;
static char folder[] = "/tmp/mesh-ca-XXXXXX";

/* The last answer, as text. */
static unsigned answers;
static char text[4096], token_text[128];
static int code;

static void note(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void note(const char *fmt, ...)
{
    size_t at = strlen(text);
    va_list args;
    va_start(args, fmt);
    assert_true(vsnprintf(text + at, sizeof(text) - at, fmt, args) > 0);
    va_end(args);
}

static void begin(const struct err *err)
{
    answers++;
    text[0] = '\0';
    code = err ? err->code : 0;
    if (err) {
        note("%s", err->text);
    }
}

static void wait_for(unsigned count)
{
    while (answers < count) {
        loop_turn(loop, true);
    }
}

static void note_token(const struct ca_token *t)
{
    note("%.*s/%.*s left=%lld life=%lld%s; ", SPAN_ARG(t->ns), SPAN_ARG(t->sa),
         (long long)t->uses_left, (long long)(t->expires_s - t->created_s),
         t->revoked ? " revoked" : "");
}

static void on_token(void *arg, struct span made, const struct ca_token *t, const struct err *err)
{
    (void)arg;
    begin(err);
    if (err == NULL) {
        (void)span_to_cstr(made, token_text, sizeof(token_text));
        assert_true(span_find(made, t->id) > 0);
        note_token(t);
    }
}

static void on_tokens(void *arg, const struct ca_token *t, size_t count, const struct err *err)
{
    (void)arg;
    begin(err);
    for (size_t i = 0; i < count; i++) {
        note_token(&t[i]);
    }
}

static void on_plain(void *arg, const struct err *err)
{
    (void)arg;
    begin(err);
}

static void on_issued(void *arg, const struct ca_issued *rows, size_t count, const struct err *err)
{
    (void)arg;
    begin(err);
    for (size_t i = 0; i < count; i++) {
        note("%.*s %.*s %.*s%s; ", SPAN_ARG(rows[i].serial), SPAN_ARG(rows[i].identity),
             SPAN_ARG(rows[i].proof), rows[i].revoked ? " revoked" : "");
    }
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    char db[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(db, sizeof(db), "%s/mesh.db", folder);
    assert_int_equal(tls_init(&err), 0);
    loop = loop_new(false);
    assert_int_equal(store_open(&store, db, &err), 0);
    const struct ca_spec spec = {
        .loop = loop, .store = store, .data_dir = folder, .leaf_ttl_s = 60};
    if (ca_new(&ca, &spec, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    ca_token_list(ca, on_tokens, NULL); /* nobody waits for it: it must leave nothing */
    ca_free(ca);
    store_close(store);
    loop_turn(loop, false);
    loop_free(loop);
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static void create(const char *ns, const char *sa, int64_t uses, int64_t ttl_s)
{
    const struct ca_token_spec spec = {
        .ns = span_of(ns), .sa = span_of(sa), .uses = uses, .ttl_s = ttl_s};
    unsigned before = answers;
    ca_token_create(ca, &spec, on_token, NULL);
    assert_int_equal(answers, before); /* not before the call has returned */
    wait_for(before + 1);
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *ns, *sa;
        int64_t uses, ttl_s;
        const char *want;
        int code;
    } cases[] = {
        {"a", "b", 0, 0, "a/b left=1 life=86400; ", 0},
        {"a", "*", 7, 60, "a/* left=7 life=60; ", 0},
        {"a", "b", -1, CA_TOKEN_TTL_MAX_S, "a/b left=-1 life=31622400; ", 0},
        {"", "b", 0, 0, "no namespace", -ERR_CONFIG},
        {"a", "", 0, 0, "no namespace", -ERR_CONFIG},
        {"*", "b", 0, 0, "no namespace", -ERR_CONFIG},
        {"a/x", "b", 0, 0, "no namespace", -ERR_CONFIG},
        {"a", "b/../c", 0, 0, "no namespace", -ERR_CONFIG},
        {"a", "..", 0, 0, "no namespace", -ERR_CONFIG},
        {"a", "b", -2, 0, "uses is -2", -ERR_CONFIG},
        {"a", "b", CA_TOKEN_USES_MAX + 1, 0, "uses is 1000001", -ERR_CONFIG},
        {"a", "b", 0, -1, "ttl is -1", -ERR_CONFIG},
        {"a", "b", 0, CA_TOKEN_TTL_MAX_S + 1, "ttl is", -ERR_CONFIG},
        {"mesh-system", "mesh-control", 0, 0, "the control plane itself", -ERR_CONFIG},
    };
    size_t made = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        create(cases[i].ns, cases[i].sa, cases[i].uses, cases[i].ttl_s);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(text, cases[i].want));
        made += cases[i].code == 0;
    }
    ca_token_list(ca, on_tokens, NULL);
    wait_for(answers + 1);
    size_t listed = 0;
    for (const char *at = text; (at = strstr(at, "; ")) != NULL; at++) {
        listed++;
    }
    assert_int_equal(listed, made);
    assert_non_null(strstr(text, "a/b left=-1"));
    char id[32];
    (void)snprintf(id, sizeof(id), "%.10s", token_text + 6);
    ca_token_revoke(ca, span_of(id), on_plain, NULL);
    wait_for(answers + 1);
    assert_int_equal(code, 0);
    ca_token_revoke(ca, SPAN("nosuchtoken"), on_plain, NULL);
    wait_for(answers + 1);
    assert_int_equal(code, -ENOENT);
    ca_token_list(ca, on_tokens, NULL);
    wait_for(answers + 1);
    assert_non_null(strstr(text, "revoked"));
}

static void on_entered(void *arg, const struct store_answer *a)
{
    (void)arg;
    assert_int_equal(a->code, 0);
}

static void issue(const char *serial, const char *identity)
{
    const struct ledger_entry entry = {
        .serial = span_of(serial), .identity = span_of(identity), .proof = SPAN("token:x")};
    (void)ledger_write(ca->port, &entry, on_entered, NULL);
}

static void list_issued(const char *identity)
{
    ca_issued_list(ca, span_of(identity), 100, on_issued, NULL);
    wait_for(answers + 1);
}

static void revoke(const char *what)
{
    ca_revoke(ca, span_of(what), on_plain, NULL);
    wait_for(answers + 1);
}

#define A "spiffe://cluster.local/ns/n/sa/a"
#define B "spiffe://cluster.local/ns/n/sa/b"

static void test_ledger(void **state)
{
    (void)state;
    issue("01", A);
    issue("02", A);
    issue("03", B);
    list_issued(A);
    assert_string_equal(text, "02 " A " token:x; 01 " A " token:x; ");
    revoke("01");
    assert_int_equal(code, 0);
    revoke(B);
    assert_int_equal(code, 0);
    list_issued(A);
    assert_string_equal(text, "02 " A " token:x; 01 " A " token:x revoked; ");
    list_issued(B);
    assert_string_equal(text, "03 " B " token:x revoked; ");
    static const char *const bad[] = {"", "xyz", "0G", "spiffe://cluster.local", "AB"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        revoke(bad[i]);
        assert_int_equal(code, -ERR_CONFIG);
    }
}

static struct {
    unsigned count;
    int code;
} looked;

static void on_known(void *arg, int result, const struct err *err)
{
    (void)arg;
    (void)err;
    looked.count++;
    looked.code = result;
}

static int look(const char *serial, const char *identity, int64_t issued_s)
{
    struct ledger_look l = {.on_known = on_known};
    unsigned before = looked.count;
    ledger_look_start(&l, ca->port, span_of(serial), span_of(identity), issued_s);
    while (looked.count == before) {
        loop_turn(loop, true);
    }
    ledger_look_stop(&l);
    return looked.code;
}

/* After test_ledger. */
static void test_revoked(void **state)
{
    (void)state;
    int64_t now = instant_wall_s();
    assert_int_equal(look("01", A, now - 100), -ERR_DENIED);
    assert_int_equal(look("02", A, now - 100), 0);
    assert_int_equal(look("03", B, now - 100), -ERR_DENIED);
    assert_int_equal(look("04", B, now + 100), 0); /* joined again since */
    struct ledger_look stopped = {.on_known = on_known};
    unsigned before = looked.count;
    ledger_look_start(&stopped, ca->port, SPAN("01"), SPAN(A), now);
    ledger_look_stop(&stopped);
    assert_int_equal(look("02", A, now), 0);
    assert_int_equal(looked.count, before + 1);
}

static void test_own_certificate(void **state)
{
    (void)state;
    struct tls_ctx *tls;
    struct err err;
    assert_int_equal(ca_server_tls(ca, &tls, &err), 0);
    int64_t left = tls_ctx_not_after(tls) - instant_wall_s();
    assert_in_range(left, 55, 60);
    tls_ctx_put(tls);
    mailbox_deliver(ca->mailbox);
    list_issued("spiffe://cluster.local/ns/mesh-system/sa/mesh-control");
    assert_non_null(strstr(text, " self; "));
    assert_span(ca_control_id(ca), "spiffe://cluster.local/ns/mesh-system/sa/mesh-control");
    assert_span(ca_trust_domain(ca), "cluster.local");
    assert_int_equal(strncmp(ca_pin(ca), "sha256:", 7), 0);
}

static void test_numbers(void **state)
{
    (void)state;
    struct ca_numbers n;
    ca_count(ca, CA_ISSUED);
    ca_count(ca, CA_ISSUED);
    ca_count(ca, CA_REFUSED);
    ca_count(ca, CA_FAILED);
    mailbox_deliver(ca->mailbox);
    ca_numbers_read(ca, &n);
    assert_int_equal(n.issued, 2);
    assert_int_equal(n.refused, 1);
    assert_int_equal(n.failed, 1);
    assert_true(n.root_not_after_s > instant_wall_s());
}

static void test_trust_domains(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "Upper", "a b", "a/b", "spiffe://x", "a:1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct ca_spec spec = {
            .loop = loop, .store = store, .data_dir = folder, .trust_domain = bad[i]};
        struct ca *other;
        struct err err;
        assert_int_equal(ca_new(&other, &spec, &err), -ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),  cmocka_unit_test(test_ledger),
        cmocka_unit_test(test_revoked), cmocka_unit_test(test_own_certificate),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_trust_domains),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

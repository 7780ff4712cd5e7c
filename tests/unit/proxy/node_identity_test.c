/* proxy/node_identity: when it asks, by what proof, how it takes what comes and what does not, on the fake clock over a gRPC made of paper. The other end is
 * an issuer of the test. */
#include "proxy/node_identity.c"

#include <unistd.h>

#include "unit/cm.h"

#include "support/test_pki.h"
#include "tls/issue.h"
#include "tls/tls.h"
#include "tls/x509.h"

#define ID "spiffe://cluster.local/ns/shop/sa/web"
#define NOW_S 1800000000LL
#define DAY 86400LL

static struct loop *loop;
static struct metric_registry *registry;
static struct test_pki *root, *other;
static char folder[] = "/tmp/mesh-identity-XXXXXX";
static char root_path[64], state_dir[64];
static struct err err;

/* ---- the paper ---- */

struct http_client {
    bool has_own; /* unused but by its address */
};
struct grpc_stream {
    const struct grpc_events *ev;
    void *arg;
    bool is_up;
};

static struct {
    struct grpc_stream stream;
    int calls, clients;
    char authorization[128];
    char csr[8192];
    bool half_closed, fail_new;
} net;

int http_client_new(struct http_client **out, struct loop *on, const struct http_client_spec *spec,
                    struct err *why)
{
    assert_ptr_equal(on, loop);
    assert_non_null(spec->tls);
    assert_span(spec->origin, "https://127.0.0.1:15012");
    if (net.fail_new) {
        return err_set(why, -ERR_CONFIG, "no client");
    }
    *out = mem_new(struct http_client);
    net.clients++;
    return 0;
}

void http_client_free(struct http_client *c)
{
    net.clients -= c != NULL;
    mem_free(c);
}

const char *grpc_status_name(enum grpc_status status)
{
    return status == GRPC_UNAUTHENTICATED ? "UNAUTHENTICATED" : "OTHER";
}

struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg)
{
    assert_non_null(c);
    assert_false(net.stream.is_up);
    assert_string_equal(path, "/istio.v1.auth.IstioCertificateService/CreateCertificate");
    assert_int_equal(deadline_ms, CALL_MS);
    net.calls++;
    net.authorization[0] = '\0';
    if (field_count > 0) {
        (void)span_to_cstr(fields[0].value, net.authorization, sizeof(net.authorization));
    }
    net.half_closed = false;
    net.stream = (struct grpc_stream){.ev = ev, .arg = arg, .is_up = true};
    return &net.stream;
}

int grpc_send(struct grpc_stream *g, struct span message)
{
    struct arena arena;
    arena_init(&arena, 4096);
    assert_true(g->is_up);
    const struct pb_istio_ca_IstioCertificateRequest *rq =
        pb_decode(&pb_istio_ca_IstioCertificateRequest_desc, &arena, message, &err);
    assert_non_null(rq);
    (void)span_to_cstr(rq->csr, net.csr, sizeof(net.csr));
    arena_dispose(&arena);
    return 0;
}

void grpc_half_close(struct grpc_stream *g)
{
    assert_true(g->is_up);
    net.half_closed = true;
}

void grpc_cancel(struct grpc_stream *g)
{
    assert_true(g->is_up);
    g->is_up = false;
}

/* ---- ingest, as far as it is asked ---- */

static struct {
    int applied;
    char names[64];
    bool refuse;
} taken;

int ingest_apply(struct ingest *g, const struct ingest_resource *added, size_t added_count,
                 struct span type_url, const struct span *removed, size_t removed_count, bool full,
                 struct err *why)
{
    (void)g;
    (void)removed;
    assert_int_equal(removed_count, 0);
    assert_false(full);
    assert_span(type_url, PB_TLS_SECRET_URL);
    if (taken.refuse) {
        return err_set(why, -ERR_CONFIG, "not taken");
    }
    taken.applied++;
    taken.names[0] = '\0';
    for (size_t i = 0; i < added_count; i++) {
        assert_int_equal(added[i].version.len, 0); /* static: no update replaces it */
        struct arena arena;
        arena_init(&arena, 4096);
        const struct pb_tls_Secret *s =
            pb_decode(&pb_tls_Secret_desc, &arena, added[i].value, &err);
        assert_non_null(s);
        assert_true(span_eq(s->name, added[i].name));
        size_t at = strlen(taken.names);
        (void)snprintf(taken.names + at, sizeof(taken.names) - at, "%.*s ", SPAN_ARG(s->name));
        arena_dispose(&arena);
    }
    return 0;
}

/* ---- the authority of the test ---- */

static void end_call(enum grpc_status status, const char *message)
{
    assert_true(net.stream.is_up && net.half_closed);
    net.stream.is_up = false;
    net.stream.ev->on_end(net.stream.arg, status, span_of(message));
}

static void answer_from(const struct test_pki *pki, const char *id, int64_t life_s, uint32_t count)
{
    struct issuer *issuer;
    struct buf leaf;
    struct arena arena;
    arena_init(&arena, 4096);
    buf_init(&leaf, 8192);
    assert_int_equal(issuer_parse(&issuer, test_pki_chain(pki), test_pki_key(pki), &err), 0);
    const struct issue_spec spec = {.spiffe_id = span_of(id),
                                    .not_before_s = instant_wall_s() - 120,
                                    .not_after_s = instant_wall_s() + life_s};
    assert_int_equal(issue_csr(issuer, span_of(net.csr), &spec, &leaf, &err), 0);
    struct span chain[] = {buf_span(&leaf), test_pki_root(pki)};
    const struct pb_istio_ca_IstioCertificateResponse answer = {
        .cert_chain = {.at = chain, .count = count}};
    net.stream.ev->on_message(
        net.stream.arg, pb_encode_in(&pb_istio_ca_IstioCertificateResponse_desc, &answer, &arena));
    issuer_free(issuer);
    buf_dispose(&leaf);
    arena_dispose(&arena);
    end_call(GRPC_OK, "");
}

static void answer(int64_t life_s)
{
    answer_from(root, ID, life_s, 2);
}

/* ---- time ---- */

static void turn(void)
{
    while (loop_turn(loop, false)) {
    }
}

static void pass_ms(int64_t ms)
{
    while (ms > 0) {
        int64_t due = loop_next_due_ms(loop);
        int64_t step = due >= 0 && due < ms ? (due > 0 ? due : 1) : ms;
        instant_fake_advance(step * 1000000);
        ms -= step;
        turn();
    }
}

/* Until the next call begins; how long that took. */
static int64_t wait_for_call(int64_t most_ms)
{
    int64_t from = instant_mono_ms();
    int calls = net.calls;
    while (net.calls == calls && instant_mono_ms() - from < most_ms) {
        pass_ms(1 + loop_next_due_ms(loop));
    }
    assert_int_equal(net.calls, calls + 1);
    return instant_mono_ms() - from;
}

/* ---- set-up ---- */

static int ready;

static void on_ready(void *arg)
{
    (void)arg;
    ready++;
}

static struct node_identity_spec spec_of(void)
{
    return (struct node_identity_spec){
        .loop = loop,
        .registry = registry,
        .control = "127.0.0.1:15012",
        .ca_root = root_path,
        .trust_domain = "cluster.local",
        .ns = "shop",
        .service_account = "web",
        .on_ready = on_ready,
    };
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tls_init(&err), 0);
    assert_non_null(mkdtemp(folder));
    instant_fake_start(1000000000, NOW_S * 1000000);
    root = test_pki_new("root", KEYPAIR_P256);
    other = test_pki_new("other", KEYPAIR_P256);
    (void)snprintf(root_path, sizeof(root_path), "%s/root.pem", folder);
    (void)snprintf(state_dir, sizeof(state_dir), "%s/state", folder);
    return file_write(root_path, test_pki_root(root), 0644, &err);
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    test_pki_free(root);
    test_pki_free(other);
    instant_fake_stop();
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static int before(void **state)
{
    (void)state;
    instant_fake_start(1000000000, NOW_S * 1000000);
    loop = loop_new(true);
    registry = metric_registry_new();
    memset(&net, 0, sizeof(net));
    memset(&taken, 0, sizeof(taken));
    ready = 0;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/identity.json", state_dir);
    (void)unlink(path); /* there may be none */
    return setenv("MESH_TOKEN", "mesh1.abcdef.abcdefghijkmnpqrstuvwxyz23", 1);
}

static int after(void **state)
{
    (void)state;
    turn();
    assert_int_equal(net.clients, 0);
    metric_registry_free(registry);
    loop_free(loop);
    return 0;
}

static struct node_identity *make(const struct node_identity_spec *spec)
{
    struct node_identity *id;
    if (node_identity_new(&id, spec, &err) != 0) {
        fail_msg("%s", err.text);
    }
    node_identity_start(id);
    turn();
    return id;
}

static int64_t count_of(const char *result)
{
    struct span label = span_of(result);
    return metric_read(registry, "mesh_identity_requests_total", &label);
}

/* ---- tests ---- */

static void test_join_and_renew(void **state)
{
    (void)state;
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    assert_int_equal(net.calls, 1);
    assert_string_equal(net.authorization, "Bearer mesh1.abcdef.abcdefghijkmnpqrstuvwxyz23");
    assert_false(node_identity_is_there(id));
    answer(DAY);
    assert_int_equal(ready, 1);
    assert_true(node_identity_is_there(id));
    assert_string_equal(taken.names, "default ROOTCA ");
    assert_int_equal(metric_read(registry, "mesh_identity_expiry_timestamp_seconds", NULL),
                     NOW_S + DAY);
    char first[8192];
    (void)snprintf(first, sizeof(first), "%s", net.csr);
    for (int i = 0; i < 5; i++) {
        int64_t waited = wait_for_call(DAY * 1000);
        assert_in_range(waited, DAY * 450, DAY * 550 + 1000); /* half, a tenth more or less */
        assert_string_equal(net.authorization, "");           /* the certificate says who we are */
        assert_string_not_equal(net.csr, first);              /* a fresh key each time */
        answer(DAY);
    }
    assert_int_equal(taken.applied, 6);
    assert_int_equal(ready, 1);
    assert_int_equal(count_of("given"), 6);
    node_identity_free(id);
}

static void test_backoff_before_the_first(void **state)
{
    (void)state;
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    int64_t longest = BACKOFF_MIN_MS;
    for (int i = 0; i < 12; i++) {
        end_call(GRPC_UNAVAILABLE, "nobody there");
        int64_t waited = wait_for_call(60000);
        assert_in_range(waited, longest / 2, longest + 2);
        longest = i64_min(longest * 2, BACKOFF_MAX_MS);
    }
    assert_int_equal(count_of("failed"), 12);
    answer(DAY);
    assert_true(node_identity_is_there(id));
    node_identity_free(id);
}

/* An outage while it has one: it goes on, tries often enough, and says when it has ended. Then only a token helps. */
static void test_outage(void **state)
{
    (void)state;
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    answer(80);
    int attempts = 0;
    int64_t first = wait_for_call(80000);
    for (; node_identity_is_there(id); attempts++) {
        assert_string_equal(net.authorization, "");
        end_call(GRPC_UNAVAILABLE, "nobody there");
        int64_t waited = wait_for_call(60000);
        assert_true(waited <= 5000); /* an eighth of what is left */
    }
    assert_in_range(first, 36000, 45000);
    assert_in_range(attempts, 8, 100);
    assert_string_not_equal(net.authorization, "");
    assert_true(id->ended_told);
    answer(80);
    assert_true(node_identity_is_there(id));
    assert_false(id->ended_told);
    node_identity_free(id);
}

static void test_refused_certificate_then_token(void **state)
{
    (void)state;
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    answer(DAY);
    (void)wait_for_call(DAY * 1000);
    end_call(GRPC_UNAUTHENTICATED, "revoked");
    (void)wait_for_call(60000);
    assert_string_not_equal(net.authorization, "");
    end_call(GRPC_UNAUTHENTICATED, "used up");
    (void)wait_for_call(60000);
    assert_string_equal(net.authorization, ""); /* in turn */
    answer(DAY);
    assert_true(node_identity_is_there(id));
    node_identity_free(id);
}

static void test_answers_that_are_not_taken(void **state)
{
    (void)state;
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    answer_from(root, "spiffe://cluster.local/ns/shop/sa/other", DAY, 2);
    (void)wait_for_call(60000);
    answer_from(other, ID, DAY, 2); /* a root that we were not told */
    (void)wait_for_call(60000);
    answer_from(root, ID, DAY, 1);
    (void)wait_for_call(60000);
    answer_from(root, ID, -60, 2);
    (void)wait_for_call(60000);
    net.stream.ev->on_message(net.stream.arg, SPAN("\xff\xff"));
    end_call(GRPC_OK, "");
    (void)wait_for_call(60000);
    end_call(GRPC_OK, "");
    (void)wait_for_call(60000);
    taken.refuse = true;
    answer(DAY);
    taken.refuse = false;
    (void)wait_for_call(60000);
    assert_int_equal(taken.applied, 0);
    assert_int_equal(count_of("failed"), 7);
    assert_false(node_identity_is_there(id));
    answer(DAY);
    assert_true(node_identity_is_there(id));
    node_identity_free(id);
}

static void test_no_token(void **state)
{
    (void)state;
    struct node_identity_spec spec = spec_of();
    assert_int_equal(unsetenv("MESH_TOKEN"), 0);
    struct node_identity *id = make(&spec);
    assert_int_equal(net.calls, 0);
    assert_int_equal(count_of("failed"), 1);
    assert_int_equal(setenv("MESH_TOKEN", "late", 1), 0);
    (void)wait_for_call(60000);
    assert_string_equal(net.authorization, "Bearer late");
    node_identity_free(id);
}

/* A ServiceAccount's token is read at each use, and tried by turns with a certificate that does not help. */
static void test_account_token(void **state)
{
    (void)state;
    char path[128];
    struct node_identity_spec spec = spec_of();
    (void)snprintf(path, sizeof(path), "%s/token", folder);
    spec.token_file = path;
    assert_int_equal(file_write(path, SPAN("one.to.ken\n"), 0600, &err), 0);
    struct node_identity *id = make(&spec);
    assert_string_equal(net.authorization, "Bearer one.to.ken");
    answer(DAY);
    assert_int_equal(file_write(path, SPAN("two.to.ken"), 0600, &err), 0);
    (void)wait_for_call(DAY * 1000);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(net.authorization, "");
        end_call(GRPC_UNAVAILABLE, "nobody there");
        (void)wait_for_call(60000);
        assert_string_equal(net.authorization, "Bearer two.to.ken");
        end_call(GRPC_UNAVAILABLE, "the API server is away");
        (void)wait_for_call(60000);
    }
    assert_non_null(strstr(node_identity_why(id), "API server is away"));
    answer(DAY);
    /* A join token is used up by its use: not so. */
    assert_int_equal(file_write(path, SPAN("mesh1.a.b"), 0600, &err), 0);
    (void)wait_for_call(DAY * 1000);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(net.authorization, "");
        end_call(GRPC_UNAVAILABLE, "nobody there");
        (void)wait_for_call(60000);
    }
    node_identity_free(id);
    assert_int_equal(unlink(path), 0);
}

/* The mesh gets another root: who sees it in the file renews soon, and believes an authority of either. */
static void test_roots_that_change(void **state)
{
    (void)state;
    char both[16384];
    const struct node_identity_spec spec = spec_of();
    struct node_identity *id = make(&spec);
    answer(DAY);
    assert_int_equal(file_write(root_path, test_pki_root(root), 0644, &err), 0); /* the same */
    pass_ms(10 * 60000);
    assert_int_equal(net.calls, 1);
    int len = snprintf(both, sizeof(both), "%.*s%.*s", SPAN_ARG(test_pki_root(root)),
                       SPAN_ARG(test_pki_root(other)));
    assert_int_equal(file_write(root_path, span_from(both, (size_t)len), 0644, &err), 0);
    assert_in_range(wait_for_call(DAY * 1000), 0, 3 * 60000);
    answer_from(other, ID, DAY, 2);
    assert_true(node_identity_is_there(id));
    assert_int_equal(count_of("given"), 2);
    assert_int_equal(file_write(root_path, SPAN(""), 0644, &err), 0); /* being written */
    pass_ms(10 * 60000);
    assert_int_equal(net.calls, 2);
    assert_int_equal(file_write(root_path, test_pki_root(root), 0644, &err), 0);
    node_identity_free(id);
}

static void test_kept(void **state)
{
    (void)state;
    struct node_identity_spec spec = spec_of();
    spec.state_dir = state_dir;
    struct node_identity *id = make(&spec);
    answer(DAY);
    node_identity_free(id);
    pass_ms(6 * 3600 * 1000);
    id = make(&spec);
    assert_int_equal(net.calls, 1); /* none since */
    assert_true(node_identity_is_there(id));
    assert_int_equal(ready, 2);
    assert_in_range(wait_for_call(DAY * 1000), DAY * 150, DAY * 320);
    node_identity_free(id);
    /* Past its half when it starts: at once. */
    pass_ms(9 * 3600 * 1000);
    id = make(&spec);
    assert_true(node_identity_is_there(id));
    pass_ms(10);
    assert_int_equal(net.calls, 3);
    assert_string_equal(net.authorization, "");
    node_identity_free(id);
    /* Ended meanwhile: by token. */
    pass_ms(12 * 3600 * 1000);
    id = make(&spec);
    assert_false(node_identity_is_there(id));
    assert_string_not_equal(net.authorization, "");
    node_identity_free(id);
}

static void test_pins(void **state)
{
    (void)state;
    struct node_identity_spec spec = spec_of();
    struct arena arena;
    struct x509_facts *facts;
    size_t count;
    char pin[80] = "SHA256:";
    arena_init(&arena, 4096);
    assert_int_equal(x509_read(&arena, test_pki_root(root), &facts, &count, &err), 0);
    hex_encode(span_from(facts[0].sha256, 32), pin + 7);
    spec.ca_root = NULL;
    spec.ca_pin = pin;
    struct node_identity *id = make(&spec);
    answer_from(other, ID, DAY, 2);
    assert_false(node_identity_is_there(id));
    (void)wait_for_call(60000);
    answer(DAY);
    assert_true(node_identity_is_there(id));
    node_identity_free(id);
    arena_dispose(&arena);
}

static void test_options(void **state)
{
    (void)state;
    struct node_identity *id;
    struct node_identity_spec spec;
#define REFUSED(change, word)                                         \
    do {                                                              \
        spec = spec_of();                                             \
        change;                                                       \
        assert_int_not_equal(node_identity_new(&id, &spec, &err), 0); \
        assert_non_null(strstr(err.text, word));                      \
    } while (0)
    REFUSED(spec.ca_root = NULL, "--ca-root or --ca-pin");
    REFUSED(spec.ca_pin = "00", "--ca-pin");
    REFUSED(spec.ca_root = "/none", "--ca-root");
    REFUSED((spec.ca_root = NULL, spec.ca_pin = "sha256:00"), "64 hex digits");
    REFUSED(spec.ns = "a/b", "no SPIFFE ID");
    REFUSED(spec.service_account = "", "no SPIFFE ID");
    REFUSED(spec.trust_domain = "A", "no SPIFFE ID");
    REFUSED(spec.state_dir = root_path, "--state-dir");
#undef REFUSED
    assert_true(node_identity_owns(CONF_SECRET, SPAN("default")));
    assert_true(node_identity_owns(CONF_SECRET, SPAN("ROOTCA")));
    assert_false(node_identity_owns(CONF_SECRET, SPAN("other")));
    assert_false(node_identity_owns(CONF_CLUSTER, SPAN("default")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join_and_renew),
        TEST(test_backoff_before_the_first),
        TEST(test_outage),
        TEST(test_refused_certificate_then_token),
        TEST(test_answers_that_are_not_taken),
        TEST(test_no_token),
        TEST(test_account_token),
        TEST(test_roots_that_change),
        TEST(test_kept),
        TEST(test_pins),
        TEST(test_options),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* kube/token_review: what the API server says is told, remembered for its time, and asked once for all who wish to know. */
#include "kube/token_review.c"

#include "unit/guard.h"
#include "unit/kube/fake_api.h"

static struct kube_client api;
static struct token_reviews *reviews;
static char heard[2048];
static unsigned answers;

static void on_told(void *arg, const struct token_review_answer *a)
{
    size_t len = strlen(heard);
    answers++;
    if (arg == NULL) { /* only counted */
        return;
    }
    if (a->code == 0) {
        assert_string_equal(a->why, "");
        (void)snprintf(heard + len, sizeof(heard) - len, "%s=%.*s/%.*s %.*s@%.*s\n",
                       (const char *)arg, SPAN_ARG(a->namespace), SPAN_ARG(a->service_account),
                       SPAN_ARG(a->pod), SPAN_ARG(a->node));
    } else {
        (void)snprintf(heard + len, sizeof(heard) - len, "%s:%d %s\n", (const char *)arg, a->code,
                       a->why);
    }
}

#define assert_heard(want)                \
    do {                                  \
        fake_api_settle(&api);            \
        assert_string_equal(heard, want); \
        heard[0] = '\0';                  \
    } while (0)

static void begin(void)
{
    static const char *const audiences[] = {"istio-ca", "mesh", NULL};
    fake_api_start(&api);
    reviews = token_reviews_new(&api, audiences);
    heard[0] = '\0';
    answers = 0;
}

static void end(void)
{
    token_reviews_free(reviews);
    reviews = NULL;
    assert_heard("");
    fake_api_end(&api);
}

static struct token_review *ask(const char *token, const char *who)
{
    return token_review_ask(reviews, span_of(token), on_told, (void *)(uintptr_t)who);
}

#define GOOD                                                                                  \
    "{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\"audiences\":[\"mesh\"],"  \
    "\"user\":{\"username\":\"system:serviceaccount:shop:cart\",\"uid\":\"u\",\"groups\":[]," \
    "\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"cart-1\"],"                      \
    "\"authentication.kubernetes.io/node-name\":[\"node-1\"]}}}}"

/* A token whose claims are this text. */
static const char *token_of(const char *claims)
{
    static char text[1024];
    (void)snprintf(text, sizeof(text), "eyJhbGciOiJub25lIn0.");
    size_t len = strlen(text);
    len += base64_encode(BASE64_URL, span_of(claims), text + len);
    (void)snprintf(text + len, sizeof(text) - len, ".c2ln");
    return text;
}

static void test_asked_once(void **state)
{
    UNUSED(state);
    begin();
    ask("t.1", "a");
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->method, "POST");
    assert_string_equal(call->path, "/apis/authentication.k8s.io/v1/tokenreviews");
    assert_string_equal(call->body, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":"
                                    "\"TokenReview\",\"spec\":{\"audiences\":[\"istio-ca\","
                                    "\"mesh\"],\"token\":\"t.1\"}}");
    ask("t.1", "b");
    struct token_review *c = ask("t.1", "c");
    ask("t.1", "d");
    token_review_cancel(c);
    assert_heard("");
    fake_answer(fake_call(&api), 201, GOOD);
    assert_heard(
        "a=shop/cart cart-1@node-1\nb=shop/cart cart-1@node-1\nd=shop/cart cart-1@node-1\n");
    /* Remembered for a minute. */
    ask("t.1", "e");
    assert_string_equal(heard, ""); /* not before ask returned */
    assert_heard("e=shop/cart cart-1@node-1\n");
    c = ask("t.1", "f");
    token_review_cancel(c);
    fake_api_pass(&api, 59999);
    ask("t.1", "g");
    assert_heard("g=shop/cart cart-1@node-1\n");
    fake_api_pass(&api, 1);
    ask("t.1", "h");
    fake_answer(fake_call(&api), 201, "{\"status\":{\"error\":\"[token has expired]\"}}");
    assert_heard("h:-13 the API server does not accept the token: [token has expired]\n");
    ask("t.1", "i"); /* a refusal is not remembered */
    fake_answer(fake_call(&api), 201, GOOD);
    assert_heard("i=shop/cart cart-1@node-1\n");
    end();
}

static void test_answers(void **state)
{
    UNUSED(state);
#define STATUS(text) "{\"status\":{" text "}}"
#define USER(name) \
    STATUS("\"authenticated\":true,\"audiences\":[\"mesh\"],\"user\":{\"username\":\"" name "\"}")
    static const struct {
        unsigned status;
        const char *body, *want;
    } cases[] = {
        {201, USER("system:serviceaccount:n:s"), "x=n/s @\n"},
        {201, "{}", "x:-13 the API server does not accept the token\n"},
        {201, STATUS("\"authenticated\":\"true\""),
         "x:-13 the API server does not accept the token\n"},
        {201,
         STATUS("\"authenticated\":true,\"user\":{\"username\":\"system:serviceaccount:n:s\"}"),
         "x:-13 the token is not for the audience 'istio-ca'\n"},
        {201, STATUS("\"authenticated\":true,\"audiences\":[\"vault\",7]"),
         "x:-13 the token is not for the audience 'istio-ca'\n"},
        {201, USER("jane"), "x:-13 the token is of 'jane', which is no service account\n"},
        {201, USER(""), "x:-13 the token is of '', which is no service account\n"},
        {201, USER("system:serviceaccount:n"),
         "x:-13 'system:serviceaccount:n' is no name of a service account\n"},
        {201, USER("system:serviceaccount::s"),
         "x:-13 'system:serviceaccount::s' is no name of a service account\n"},
        {201, USER("system:serviceaccount:n:"),
         "x:-13 'system:serviceaccount:n:' is no name of a service account\n"},
        {201, USER("system:serviceaccount:n:s:t"),
         "x:-13 'system:serviceaccount:n:s:t' is no name of a service account\n"},
        {201, "", "x:-121 the API server could not be asked about the token: its answer is none\n"},
        {0, "", "x:-111 the API server could not be asked about the token: the server said no\n"},
        {403, "", "x:-121 the API server could not be asked about the token: the server said no\n"},
        {500, "", "x:-121 the API server could not be asked about the token: the server said no\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin();
        ask("t", "x");
        fake_answer(fake_call(&api), cases[i].status, cases[i].body);
        assert_heard(cases[i].want);
        end();
    }
    begin();
    static char large[TOKEN_BYTES_MAX + 2];
    memset(large, 'x', TOKEN_BYTES_MAX + 1);
    static const char *const bad[] = {"", "a b", "a\n", "a\xc3\xa4", large};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask(bad[i], "x");
        assert_string_equal(heard, "");
        assert_heard("x:-13 the text is no token of a service account\n");
    }
    ask(large + 1, "x");
    fake_answer(fake_call(&api), 201, GOOD);
    assert_heard("x=shop/cart cart-1@node-1\n");
    end();
}

static void test_expiry(void **state)
{
    UNUSED(state);
    static const struct {
        const char *claims;
        int64_t want;
    } cases[] = {
        {"{\"exp\":1700000030}", 1700000030},
        {"{\"a\":{\"exp\":1},\"exp\":1700000030.75}", 1700000030},
        {"{\"exp\":0}", 0},
        {"{\"exp\":-5}", -1},
        {"{\"exp\":1e300}", -1},
        {"{\"exp\":\"1\"}", -1},
        {"{\"exp\":", -1},
        {"[1]", -1},
        {"{}", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span token = guard_copy(0, span_of(token_of(cases[i].claims)));
        assert_int_equal(token_review_expiry(token), cases[i].want);
        for (size_t len = 0; len < token.len; len++) { /* cut anywhere it has one or none */
            int64_t got = token_review_expiry(guard_copy(1, span_first(token, len)));
            assert_true(got == -1 || got == cases[i].want);
        }
    }
    assert_int_equal(token_review_expiry(SPAN("..")), -1);
    assert_int_equal(token_review_expiry(SPAN("a.!.b")), -1);
    /* What ends in 30 s is remembered for no longer. */
    begin();
    const char *token = token_of("{\"exp\":1700000030}");
    ask(token, "a");
    fake_answer(fake_call(&api), 201, GOOD);
    fake_api_pass(&api, 29999);
    ask(token, "b");
    assert_heard("a=shop/cart cart-1@node-1\nb=shop/cart cart-1@node-1\n");
    fake_api_pass(&api, 1);
    ask(token, "c");
    fake_answer(fake_call(&api), 201, STATUS("\"authenticated\":false"));
    assert_heard("c:-13 the API server does not accept the token\n");
    end();
}

static void test_limits(void **state)
{
    UNUSED(state);
    begin();
    char token[32];
    static struct token_review *waiting[WAITING_MAX];
    for (int i = 0; i < WAITING_MAX; i++) {
        (void)snprintf(token, sizeof(token), "t%d", i);
        waiting[i] = ask(token, NULL);
    }
    fake_api_settle(&api);
    assert_int_equal(api.call_count, OUTSTANDING_MAX);
    ask("one more", "x");
    ask("onemore", "x");
    assert_heard("x:-13 the text is no token of a service account\n"
                 "x:-4097 too many tokens are being asked about; try again\n");
    /* Whom nobody waits for is not asked about; the others are, 64 at once. */
    for (int i = 100; i < WAITING_MAX; i++) {
        if (i % 2) {
            token_review_cancel(waiting[i]);
        }
    }
    while (!list_is_empty(&api.calls)) {
        fake_answer(list_item(api.calls.next, struct kube_call, node), 201, GOOD);
    }
    fake_api_settle(&api);
    unsigned asked = 100 + (WAITING_MAX - 100) / 2;
    assert_int_equal(api.call_count, asked);
    assert_int_equal(answers, 2 + asked);
    assert_int_equal(map_count(&reviews->known), asked);
    /* The memory holds the last ones. */
    unsigned more = REMEMBERED_MAX - asked + 10;
    ask("t0", NULL); /* used again: it stays */
    for (unsigned i = 0; i < more; i++) {
        (void)snprintf(token, sizeof(token), "u%u", i);
        ask(token, NULL);
        fake_answer(fake_call(&api), 201, GOOD);
    }
    assert_int_equal(map_count(&reviews->known), REMEMBERED_MAX);
    unsigned calls = api.call_count;
    ask("t0", "x");
    ask("u0", "y");
    assert_heard("x=shop/cart cart-1@node-1\ny=shop/cart cart-1@node-1\n");
    assert_int_equal(api.call_count, calls);
    ask("t1", "z");
    fake_answer(fake_call(&api), 0, "");
    assert_int_equal(api.call_count, calls + 1);
    heard[0] = '\0';
    end();
}

static void free_all(void *arg, const struct token_review_answer *a)
{
    UNUSED(arg);
    UNUSED(a);
    answers++;
    token_reviews_free(reviews);
    reviews = NULL;
}

/* The owner may leave at any time, also from within an answer. */
static void test_leaving(void **state)
{
    UNUSED(state);
    begin();
    char token[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(token, sizeof(token), "t%d", i);
        ask(token, "x");
    }
    ask("a b", "x");
    end();
    begin();
    ask("t", NULL);
    token_review_ask(reviews, SPAN("t"), free_all, NULL);
    ask("t", "x");
    ask("u", "x");
    fake_api_settle(&api);
    fake_answer(list_item(api.calls.next, struct kube_call, node), 201, GOOD);
    assert_int_equal(answers, 2);
    end();
    begin();
    token_review_ask(reviews, SPAN(""), free_all, NULL);
    ask("", "x");
    fake_api_settle(&api);
    assert_int_equal(answers, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_once), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_expiry),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

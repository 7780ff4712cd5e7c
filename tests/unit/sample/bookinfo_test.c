/* The book shop's four services in one process, each asked over loopback. */
#include "sample/bookinfo.c"

#include "unit/cm.h"

struct shop {
    struct loop *loop;
    struct http_server *servers[BOOKINFO_KINDS];
    struct bookinfo *services[BOOKINFO_KINDS];
    struct peer *peers[BOOKINFO_KINDS];
    bool answered;
    unsigned status;
    char cookie[200], location[200];
    struct buf body;
};

static void keep(char *to, size_t room, struct span value)
{
    (void)span_to_cstr(value, to, room);
}

static void on_test_answer(void *arg, const struct http_answer *answer)
{
    struct shop *s = arg;
    s->answered = true;
    s->status = 0;
    buf_reset(&s->body);
    if (answer->err == NULL) {
        s->status = answer->head->status;
        keep(s->cookie, sizeof(s->cookie), head_get(answer->head, SPAN("set-cookie")));
        keep(s->location, sizeof(s->location), head_get(answer->head, SPAN("location")));
        assert_int_equal(buf_append_span(&s->body, answer->body), 0);
    }
}

struct question {
    enum bookinfo_kind kind;
    const char *method, *path, *body;
    const char *name, *value; /* of a header field, or NULL */
    int64_t timeout_ms;
};

#define ASK(kind, method, path, text) {(kind), (method), (path), (text), NULL, NULL, 0}
#define ASK_WITH(kind, method, path, name, value) {(kind), (method), (path), "", (name), (value), 0}

static void ask_shop(struct shop *s, const struct question *q)
{
    const struct header field = {.name = span_of(q->name), .value = span_of(q->value)};
    const struct http_call call = {.method = span_of(q->method),
                                   .path = span_of(q->path),
                                   .fields = &field,
                                   .field_count = q->name != NULL ? 1 : 0,
                                   .body = span_of(q->body),
                                   .timeout_ms = q->timeout_ms,
                                   .on_answer = on_test_answer,
                                   .arg = s};
    s->answered = false;
    peer_call(s->peers[q->kind], &call);
    while (!s->answered) {
        (void)loop_turn(s->loop, true);
    }
}

static bool says(const struct shop *s, const char *text)
{
    return span_find(buf_span(&s->body), span_of(text)) >= 0;
}

static int setup(void **state)
{
    struct shop *s = mem_new(struct shop);
    struct err err = {.code = 0};
    s->loop = loop_new(false);
    buf_init(&s->body, 1 << 20);
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        struct listener_spec where = {.addr.kind = ADDR_NONE};
        char url[ADDR_TEXT_BYTES + 8], addr[ADDR_TEXT_BYTES];
        assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
        assert_int_equal(http_server_new(&s->servers[i], s->loop, &where, NULL, &err), 0);
        (void)snprintf(url, sizeof(url), "http://%s",
                       addr_format(http_server_addr(s->servers[i]), addr));
        const struct peer_spec peer = {.url = url, .conns = 4};
        assert_int_equal(peer_new(&s->peers[i], s->loop, &peer, &err), 0);
    }
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        const struct bookinfo_spec spec = {
            .kind = (enum bookinfo_kind)i,
            .stars = true,
            .color = "red",
            .pod = "pod<1>",
            .cluster = "null",
            .details = s->peers[BOOKINFO_DETAILS],
            .reviews = s->peers[BOOKINFO_REVIEWS],
            .ratings = s->peers[BOOKINFO_RATINGS],
        };
        s->services[i] = bookinfo_new(s->loop, s->servers[i], &spec);
    }
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shop *s = *state;
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        http_server_free(s->servers[i]);
        bookinfo_free(s->services[i]);
    }
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        peer_free(s->peers[i]);
    }
    (void)loop_turn(s->loop, false);
    loop_free(s->loop);
    buf_dispose(&s->body);
    mem_free(s);
    return 0;
}

static void test_answers(void **state)
{
    static const struct {
        struct question q;
        unsigned status;
        const char *says;
    } cases[] = {
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/health", ""), 200, "Product page is healthy"},
        {ASK(BOOKINFO_DETAILS, "GET", "/health", ""), 200, "{\"status\":\"Details is healthy\"}"},
        {ASK(BOOKINFO_REVIEWS, "GET", "/health", ""), 200, "{\"status\":\"Reviews is healthy\"}"},
        {ASK(BOOKINFO_RATINGS, "GET", "/health", ""), 200, "{\"status\":\"Ratings is healthy\"}"},
        {ASK(BOOKINFO_DETAILS, "GET", "/details/0", ""), 200, "\"ISBN-10\":\"1234567890\""},
        {ASK(BOOKINFO_DETAILS, "GET", "/details/x", ""), 400, "numeric"},
        {ASK(BOOKINFO_RATINGS, "GET", "/ratings/0", ""), 200, "\"Reviewer2\":4"},
        {ASK(BOOKINFO_RATINGS, "POST", "/ratings/7", "{\"Reviewer1\":1}"), 200, "\"Reviewer1\":1"},
        {ASK(BOOKINFO_RATINGS, "GET", "/ratings/7", ""), 200, "\"Reviewer1\":1"},
        {ASK(BOOKINFO_RATINGS, "GET", "/ratings/0", ""), 200, "\"Reviewer1\":5"},
        {ASK(BOOKINFO_RATINGS, "POST", "/ratings/7", "{\"Reviewer1\":6}"), 400, "valid ratings"},
        {ASK(BOOKINFO_RATINGS, "POST", "/ratings/7", "["), 400, "valid ratings"},
        {ASK(BOOKINFO_REVIEWS, "GET", "/reviews/0", ""), 200, "{\"stars\":5,\"color\":\"red\"}"},
        {ASK(BOOKINFO_REVIEWS, "GET", "/reviews/0", ""), 200, "\"podname\":\"pod<1>\""},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/", ""), 200, "<title>Simple Bookstore App</title>"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products", ""), 200, "The Comedy of Errors"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/0", ""), 200,
         "\"publisher\":\"PublisherA\""},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/0/reviews", ""), 200, "Reviewer2"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/0/ratings", ""), 200,
         "\"Reviewer2\":4"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/0/other", ""), 404, "error"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/x", ""), 400, "numeric"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/productpage?u=normal", ""), 200,
         "<h4>Book Details</h4>"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/productpage", ""), 200, "<u>pod&#60;1&#62;</u>"},
        {ASK(BOOKINFO_PRODUCTPAGE, "GET", "/nothing", ""), 404, ""},
    };
    struct shop *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask_shop(s, &cases[i].q);
        if (s->status != cases[i].status || !says(s, cases[i].says)) {
            fail_msg("%s %s: %u %.*s", cases[i].q.method, cases[i].q.path, s->status,
                     SPAN_ARG(buf_span(&s->body)));
        }
    }
}

static size_t count_of(const struct shop *s, const char *text)
{
    struct span rest = buf_span(&s->body);
    size_t n = 0;
    ssize_t at;
    while ((at = span_find(rest, span_of(text))) >= 0) {
        rest = span_from_offset(rest, (size_t)at + 1);
        n++;
    }
    return n;
}

static void test_stars(void **state)
{
    static const struct question page = ASK(BOOKINFO_PRODUCTPAGE, "GET", "/productpage", "");
    static const struct {
        bool stars;
        const char *color;
        size_t red, black, glyphs;
    } cases[] = {{false, "black", 0, 0, 0}, {true, "black", 0, 2, 9}, {true, "red", 2, 0, 9}};
    struct shop *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        s->services[BOOKINFO_REVIEWS]->spec.stars = cases[i].stars;
        s->services[BOOKINFO_REVIEWS]->spec.color = cases[i].color;
        ask_shop(s, &page);
        assert_int_equal(count_of(s, "<font color=\"red\">"), cases[i].red);
        assert_int_equal(count_of(s, "<font color=\"black\">"), cases[i].black);
        assert_int_equal(count_of(s, "glyphicon glyphicon-star\""), cases[i].glyphs);
    }
}

static void test_sessions(void **state)
{
    struct shop *s = *state;
    struct question login = ASK(BOOKINFO_PRODUCTPAGE, "POST", "/login", "username=jason&passwd=x");
    struct question page =
        ASK_WITH(BOOKINFO_PRODUCTPAGE, "GET", "/productpage", "cookie", s->cookie);
    struct question logout =
        ASK_WITH(BOOKINFO_PRODUCTPAGE, "GET", "/logout", "referer", "http://shop/productpage?u=1");

    ask_shop(s, &login);
    assert_int_equal(s->status, 302);
    assert_string_equal(s->location, "/productpage");
    *strchr(s->cookie, ';') = '\0';
    char cookie[220];
    (void)snprintf(cookie, sizeof(cookie), "a=b; %s", s->cookie);
    page.value = cookie;
    ask_shop(s, &page);
    assert_true(says(s, "<b>jason</b>"));
    ask_shop(s, &logout);
    assert_int_equal(s->status, 302);
    assert_true(strncmp(s->cookie, "session=; Max-Age=0", 19) == 0);

    static const char *const bad_forms[] = {"",
                                            "username=",
                                            "passwd=x",
                                            "username=a%0d%0ab",
                                            "username=a%00b",
                                            "username=%3Cb%3E",
                                            "username=%zz"};
    for (size_t i = 0; i < ARRAY_LEN(bad_forms); i++) {
        login.body = bad_forms[i];
        ask_shop(s, &login);
        assert_int_equal(s->status, 400);
    }
    /* {"user":"a\nb"}, {"user":1}, no JSON, no base64: nobody. */
    static const char *const bad_cookies[] = {"session=eyJ1c2VyIjoiYVxuYiJ9",
                                              "session=eyJ1c2VyIjoxfQ", "session=YWJj", "session=!",
                                              "session"};
    for (size_t i = 0; i < ARRAY_LEN(bad_cookies); i++) {
        page.value = bad_cookies[i];
        ask_shop(s, &page);
        assert_int_equal(s->status, 200);
        assert_true(says(s, "Sign in"));
    }
    /* A foreign referer leads to this shop's path only. */
    static const struct {
        const char *referer, *location;
    } backs[] = {{"http://evil.example/a", "/a"},
                 {"http://evil.example//b", "/productpage"},
                 {"no url", "/productpage"},
                 {"http://shop", "/productpage"}};
    for (size_t i = 0; i < ARRAY_LEN(backs); i++) {
        logout.value = backs[i].referer;
        ask_shop(s, &logout);
        assert_string_equal(s->location, backs[i].location);
    }
}

static void set_fault(struct shop *s, enum bookinfo_kind kind, const char *path, unsigned status)
{
    const struct question q = ASK_WITH(kind, "POST", path, "x-mesh-write", "1");
    ask_shop(s, &q);
    assert_int_equal(s->status, status);
}

static void test_faults(void **state)
{
    static const struct question page = ASK(BOOKINFO_PRODUCTPAGE, "GET", "/productpage", "");
    static const struct question unsafe = ASK(BOOKINFO_RATINGS, "POST", "/fault?status=503", "");
    static const struct question told = ASK(BOOKINFO_RATINGS, "GET", "/fault", "");
    static const struct question late = ASK(BOOKINFO_RATINGS, "GET", "/ratings/0", "");
    struct shop *s = *state;

    ask_shop(s, &unsafe);
    assert_int_equal(s->status, 403);
    set_fault(s, BOOKINFO_RATINGS, "/fault?status=1", 400);
    set_fault(s, BOOKINFO_RATINGS, "/fault?status=503", 200);
    ask_shop(s, &told);
    assert_true(says(s, "\"status\":503"));
    ask_shop(s, &page);
    assert_int_equal(s->status, 200);
    assert_true(says(s, "Ratings service is currently unavailable"));
    set_fault(s, BOOKINFO_DETAILS, "/fault?status=500", 200);
    set_fault(s, BOOKINFO_REVIEWS, "/fault?status=500", 200);
    ask_shop(s, &page);
    assert_true(says(s, "Error fetching product details!"));
    assert_true(says(s, "Error fetching product reviews!"));
    const struct question api = ASK(BOOKINFO_PRODUCTPAGE, "GET", "/api/v1/products/0/reviews", "");
    ask_shop(s, &api);
    assert_int_equal(s->status, 500);
    assert_true(says(s, "Sorry, product reviews are currently unavailable for this book."));

    set_fault(s, BOOKINFO_RATINGS, "/fault?delay=30ms&status=503", 200);
    ask_shop(s, &late);
    assert_int_equal(s->status, 503);
    set_fault(s, BOOKINFO_RATINGS, "/fault?delay=30ms", 200);
    ask_shop(s, &late);
    assert_true(says(s, "Reviewer1"));
    /* The caller leaves while it waits. */
    set_fault(s, BOOKINFO_RATINGS, "/fault?delay=10m", 200);
    struct question gone = late;
    gone.timeout_ms = 20;
    ask_shop(s, &gone);
    assert_int_equal(s->status, 0);
    gone = page;
    gone.timeout_ms = 20;
    set_fault(s, BOOKINFO_REVIEWS, "/fault", 200);
    ask_shop(s, &gone);
    assert_int_equal(s->status, 0);

    const struct question heal =
        ASK_WITH(BOOKINFO_RATINGS, "DELETE", "/fault", "x-mesh-write", "1");
    ask_shop(s, &heal);
    ask_shop(s, &late);
    assert_int_equal(s->status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

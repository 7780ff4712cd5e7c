/* kube/reflector, and its neighbours lease and token_review, on the true client over the loopback: that what they ask of it is what
 * it does. What they make of the answers is their own tests' matter. */
#include "kube/reflector.c"

#include "kube/lease.h"
#include "kube/token_review.h"
#include "unit/cm.h"
#include "unit/kube/api_bench.h"

static struct {
    unsigned objects, gone, batches, synced, behind;
    char last[64];
    unsigned led, reviewed;
    char reviewed_as[64];
} seen;

static void on_object(void *arg, const struct doc_node *doc)
{
    UNUSED(arg);
    struct reflector_meta m;
    struct err err;
    assert_int_equal(reflector_meta_read(doc, &m, &err), 0);
    (void)snprintf(seen.last, sizeof(seen.last), "%.*s@%.*s", SPAN_ARG(m.name),
                   SPAN_ARG(m.version));
    seen.objects++;
}

static void on_gone(void *arg, struct span ns, struct span name)
{
    UNUSED(arg);
    UNUSED(ns);
    UNUSED(name);
    seen.gone++;
}

static void on_batch(void *arg)
{
    UNUSED(arg);
    seen.batches++;
}

static void on_state(void *arg, enum reflector_state state, const char *why)
{
    UNUSED(arg);
    UNUSED(why);
    seen.synced += state == REFLECTOR_SYNCED;
    seen.behind += state == REFLECTOR_BEHIND;
}

static struct reflector *follow(struct bench *b)
{
    const struct reflector_spec spec = {
        .client = b->client,
        .kind = {.group = "", .version = "v1", .plural = "pods", .namespaced = true},
        .on_object = on_object,
        .on_gone = on_gone,
        .on_batch = on_batch,
        .on_state = on_state,
    };
    memset(&seen, 0, sizeof(seen));
    return reflector_new(&spec);
}

static void send_text(struct bench *b, const char *text)
{
    assert_non_null(b->kept);
    http_stream_data(b->kept, span_of(text), false);
}

#define OBJECT(name, version)                                                                 \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"resourceVersion\":\"" version \
    "\",\"uid\":\"u-" name "\"}}"
#define LIST(version, token, items)                                                            \
    "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" version \
    "\",\"continue\":\"" token "\"},\"items\":[" items "]}"

static void test_follow(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {
        {200, NULL, LIST("10", "more", OBJECT("a", "1"))},
        {200, NULL, LIST("10", "", OBJECT("b", "2"))},
        {2, NULL, ""}, /* watch, until it is cut */
        {2, NULL, ""}, /* the next */
        {410, NULL, BENCH_STATUS("Expired", "too old")},
        {200, NULL, LIST("30", "", OBJECT("a", "11"))},
        {2, NULL, ""},
        {0},
    };
    struct bench b;
    bench_open(&b);
    b.replies = replies;
    struct reflector *r = follow(&b);
    bench_until(&b, &b.asked, 3);
    assert_int_equal(seen.objects, 2);
    assert_int_equal(seen.synced, 1);
    assert_non_null(strstr(b.request, "GET /api/v1/pods?watch=true&allowWatchBookmarks=true"));
    /* Lines in pieces. */
    send_text(&b, "{\"type\":\"MODIFIED\",\"object\":");
    send_text(&b, OBJECT("a", "11") "}\n{\"type\":\"BOOK");
    bench_until(&b, &seen.objects, 3);
    assert_string_equal(seen.last, "a@11");
    send_text(&b, "MARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"20\"}}}\n");
    send_text(&b, "{\"type\":\"ADDED\",\"object\":" OBJECT("c", "21") "}\n");
    bench_until(&b, &seen.objects, 4);
    /* The connection breaks: from the last version. */
    http_conn_close(http_stream_conn(b.kept));
    bench_until(&b, &b.asked, 4);
    assert_non_null(strstr(b.request, "&resourceVersion=21"));
    send_text(&b, "{\"type\":\"DELETED\",\"object\":" OBJECT("c", "22") "}\n");
    bench_until(&b, &seen.gone, 1);
    /* It ends in order, and the version is forgotten meanwhile: all afresh. */
    http_stream_data(b.kept, SPAN_EMPTY, true);
    bench_until(&b, &b.asked, 7);
    bench_until(&b, &seen.gone, 2);
    assert_int_equal(seen.objects, 4);
    assert_int_equal(seen.behind, 0);
    assert_int_equal(reflector_count(r), 1);
    /* The end of it closes the stream. */
    reflector_free(r);
    bench_until_left(&b);
    bench_dispose(&b);
}

static void test_behind(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {{0, NULL, ""}, /* closed without a word */
                                                 {503, NULL, "no"}, {200, NULL, LIST("10", "", "")},
                                                 {2, NULL, ""},     {0, NULL, ""},
                                                 {2, NULL, ""},     {0}};
    struct bench b;
    bench_open(&b);
    b.replies = replies;
    struct reflector *r = follow(&b);
    bench_until(&b, &seen.synced, 1);
    assert_int_equal(seen.batches, 1);
    bench_until(&b, &b.asked, 4);
    http_conn_close(http_stream_conn(b.kept));
    bench_until(&b, &seen.behind, 1);
    bench_until(&b, &seen.synced, 2);
    reflector_free(r);
    bench_until_left(&b);
    bench_dispose(&b);
}

static void on_leading(void *arg, bool leading)
{
    UNUSED(arg);
    seen.led += leading;
}

static void test_lease(void **state)
{
    UNUSED(state);
#define LEASE(version) \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"spec\":{\"holderIdentity\":\"me\"}}"
    static const struct bench_reply replies[] = {
        {404, NULL, BENCH_STATUS("NotFound", "no")},
        {201, NULL, LEASE("1")},
        {200, NULL, LEASE("2")},
        {0},
    };
    struct bench b;
    bench_open(&b);
    b.replies = replies;
    memset(&seen, 0, sizeof(seen));
    struct lease *l = lease_new(&(struct lease_spec){.client = b.client,
                                                     .namespace = SPAN("n"),
                                                     .name = SPAN("l"),
                                                     .holder = SPAN("me"),
                                                     .on_leading = on_leading});
    bench_until(&b, &seen.led, 1);
    assert_true(lease_is_leading(l));
    lease_free(l);
    bench_until(&b, &b.asked, 3);
    assert_non_null(strstr(b.request, "PATCH /apis/coordination.k8s.io/v1/namespaces/n/leases/l "
                                      "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{"
                                      "\"holderIdentity\":\"\""));
    assert_non_null(strstr(b.fields, KUBE_MERGE));
    /* One that leaves while the client ends. */
    b.replies = replies;
    l = lease_new(&(struct lease_spec){
        .client = b.client, .namespace = SPAN("n"), .name = SPAN("l"), .holder = SPAN("me")});
    while (!lease_is_leading(l)) {
        loop_turn(b.loop, true);
    }
    lease_free(l);
    bench_dispose(&b);
}

static void on_review(void *arg, const struct token_review_answer *a)
{
    UNUSED(arg);
    assert_int_equal(a->code, 0);
    (void)snprintf(seen.reviewed_as, sizeof(seen.reviewed_as), "%.*s/%.*s", SPAN_ARG(a->namespace),
                   SPAN_ARG(a->service_account));
    seen.reviewed++;
}

static void test_review(void **state)
{
    UNUSED(state);
    static const char *const audiences[] = {"istio-ca", NULL};
    static const struct bench_reply replies[] = {
        {201, NULL,
         "{\"status\":{\"authenticated\":true,\"audiences\":[\"istio-ca\"],\"user\":{"
         "\"username\":\"system:serviceaccount:n:s\"}}}"},
        {0}};
    struct bench b;
    bench_open(&b);
    b.replies = replies;
    memset(&seen, 0, sizeof(seen));
    struct token_reviews *t = token_reviews_new(b.client, audiences);
    for (int i = 0; i < 100; i++) {
        (void)token_review_ask(t, i % 2 ? SPAN("t.1") : SPAN("t.2"), on_review, NULL);
    }
    bench_until(&b, &seen.reviewed, 100);
    assert_int_equal(b.asked, 2);
    assert_string_equal(seen.reviewed_as, "n/s");
    token_reviews_free(t);
    bench_dispose(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_lease),
        cmocka_unit_test(test_review),
    };
    return log_set_levels("error") != 0
               ? 1
               : cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}

/* The chapters of mesh demo --check about traffic: routes, policies, failures.
 * In: demo_story. Next: demo_chapters_life. */
#include "cli/demo_chapters.h"

#include <stdio.h>

#include "cli/demo_pods.h"

#define SETTLE_MS \
    20000 /* until a change is in force everywhere: milliseconds, but for a machine that is overloaded */
#define JASON_REQUESTS 200
#define SHARE_REQUESTS 5000
#define SHARE_CONNS 16
#define SHARE_SPREAD 106 /* five standard deviations of 5,000 draws at one in ten */
#define RETRY_REQUESTS 300
#define EJECT_REQUESTS 300
#define DELAY_REQUESTS 200
#define DELAY_MS 300
#define REVIEWS "/api/v1/products/0/reviews"

/* ---- changing objects ---- */

int demo_chapters_delete(struct demo_story *s, int so_far, const char *key)
{
    struct err err = {.code = 0};
    struct demo_answer answer;
    char path[256];
    (void)snprintf(path, sizeof(path), "/api/v1/objects/%s", key);
    const struct demo_question q = {.origin = s->demo->control, .method = "DELETE", .path = path};
    int code = demo_ask(s->demo->asker, &q, &answer, &err);
    code = code == 0 && answer.status != 200 ? -ERR_UNAVAILABLE : code;
    return demo_chapters_undo(s, so_far, code);
}

int demo_chapters_undo(struct demo_story *s, int code, int undone)
{
    return code == 0 && undone < 0
               ? err_set(&s->err, undone, "what the chapter changed can not be undone: %s",
                         err_name(undone))
               : code;
}

/* ---- who answers ---- */

void demo_chapters_count(void *arg, const struct http_answer *answer)
{
    static const char *const pods[DEMO_PODS] = {"reviews-v1", "reviews-v2", "reviews-v3",
                                                "reviews-v4"};
    struct demo_shares *shares = arg;

    shares->asked++;
    if (answer->err != NULL || answer->head->status != 200) {
        shares->failed++;
        shares->last_status = answer->err != NULL ? 0 : answer->head->status;
        return;
    }
    shares->unrated += span_find(answer->body, SPAN("unavailable")) >= 0 ? 1 : 0;
    for (size_t i = 0; i < DEMO_PODS; i++) {
        if (span_find(answer->body, span_of(pods[i])) >= 0) {
            shares->pods[i]++;
        }
    }
}

int demo_chapters_ask_reviews(struct demo_story *s, unsigned count, const char *cookie,
                              struct demo_shares *shares)
{
    const struct demo_volley v = {
        .question = {.origin = s->demo->shop,
                     .path = REVIEWS,
                     .name = cookie != NULL ? "cookie" : NULL,
                     .value = cookie,
                     .timeout_ms = 10000},
        .count = count,
        .conns = SHARE_CONNS,
        .each = demo_chapters_count,
        .arg = shares,
    };
    *shares = (struct demo_shares){.asked = 0};
    return demo_ask_volley(s->demo->asker, &v, &s->err);
}

/* The same straight to productpage's proxy, as its application would: no second try by the application. */
static int ask_as_productpage(struct demo_story *s, unsigned count, struct demo_shares *shares)
{
    bool is_pod = s->demo->net != NULL;
    char origin[64];
    (void)snprintf(origin, sizeof(origin), "http://%s%d:%d", s->demo->place.net,
                   demo_workloads[0].host, DEMO_HTTP_PROXY_PORT);
    const struct demo_volley v = {
        .question = {.origin = is_pod ? "http://reviews:9080" : origin,
                     .host = "reviews:9080",
                     .path = is_pod ? "/reviews/0" : "http://reviews:9080/reviews/0",
                     .timeout_ms = 10000},
        .count = count,
        .conns = 4,
        .each = demo_chapters_count,
        .arg = shares,
    };
    *shares = (struct demo_shares){.asked = 0};
    return is_pod ? demo_pods_volley(s->demo, demo_workloads[0].host, &v, &s->err)
                  : demo_ask_volley(s->demo->asker, &v, &s->err);
}

static int sign_in(struct demo_story *s, char *cookie, size_t room)
{
    struct demo_answer answer;
    const struct demo_question q = {.origin = s->demo->shop,
                                    .method = "POST",
                                    .path = "/login",
                                    .name = "content-type",
                                    .value = "application/x-www-form-urlencoded",
                                    .body = SPAN("username=jason&passwd=")};
    int code = demo_ask(s->demo->asker, &q, &answer, &s->err);
    if (code == 0 && answer.cookie.len == 0) {
        code = err_set(&s->err, -ERR_DENIED, "jason can not sign in: %u", answer.status);
    }
    if (code == 0) {
        (void)span_to_cstr(answer.cookie, cookie, room);
    }
    return code;
}

/* Asks in small volleys until one is as wanted: the change is in force. */
static int settle(struct demo_story *s, const char *cookie,
                  bool (*wanted)(const struct demo_shares *shares))
{
    int64_t end = demo_chapters_now() + SETTLE_MS;
    struct demo_shares shares;
    do {
        int code = demo_chapters_ask_reviews(s, 20, cookie, &shares);
        if (code < 0 || wanted(&shares)) {
            return code;
        }
    } while (demo_chapters_now() < end);
    return err_set(&s->err, -ERR_TIMEOUT,
                   "not in force after %d s: of 20 requests %u were v1's, %u v2's, %u v3's, %u "
                   "failed (%u)",
                   SETTLE_MS / 1000, shares.pods[0], shares.pods[1], shares.pods[2], shares.failed,
                   shares.last_status);
}

static bool all_v2(const struct demo_shares *shares)
{
    return shares->pods[1] == shares->asked;
}

static bool none_v2(const struct demo_shares *shares)
{
    return shares->pods[1] == 0 && shares->failed == 0;
}

/* With three versions in turn, twenty requests meet each. */
static bool all_three(const struct demo_shares *shares)
{
    return shares->pods[0] > 0 && shares->pods[1] > 0 && shares->pods[2] > 0;
}

/* ---- routes ---- */

int demo_chapters_mtls(struct demo_story *s)
{
    struct demo *d = s->demo;
    int code = demo_look_at_edges(d, 60, &s->err);
    (void)snprintf(s->found, sizeof(s->found), "%zu of %d", d->edges_mtls, DEMO_EDGES);
    return code < 0 || d->edges_mtls == DEMO_EDGES
               ? code
               : err_set(&s->err, -ERR_TLS, "%zu edges seen, %zu as promised, of %d", d->edges,
                         d->edges_mtls, DEMO_EDGES);
}

static int look_at_jason(struct demo_story *s)
{
    char cookie[256];
    struct demo_shares shares = {.failed = 0};
    int code = sign_in(s, cookie, sizeof(cookie));
    code = code == 0 ? settle(s, cookie, all_v2) : code;
    code = code == 0 ? demo_chapters_ask_reviews(s, JASON_REQUESTS, cookie, &shares) : code;
    (void)snprintf(s->found, sizeof(s->found), "%d of %d", JASON_REQUESTS, JASON_REQUESTS);
    return code < 0 || shares.pods[1] == JASON_REQUESTS
               ? code
               : err_set(&s->err, -ERR_CONFIG, "v2 answered %u of %d", shares.pods[1],
                         JASON_REQUESTS);
}

int demo_chapters_jason(struct demo_story *s)
{
    int code = demo_apply(s->demo, "scenarios/canary/reviews.yaml", &s->err);
    code = code == 0 ? look_at_jason(s) : code;
    return demo_chapters_delete(s, code, "virtualservices/default/reviews");
}

static int look_at_shares(struct demo_story *s)
{
    struct demo_shares shares = {.failed = 0};
    int code = settle(s, NULL, none_v2);
    code = code == 0 ? demo_chapters_ask_reviews(s, SHARE_REQUESTS, NULL, &shares) : code;
    if (code < 0) {
        return code;
    }
    int off = (int)shares.pods[2] - SHARE_REQUESTS / 10;
    (void)snprintf(s->found, sizeof(s->found), "%u to v1, %u to v3", shares.pods[0],
                   shares.pods[2]);
    return shares.failed == 0 && shares.pods[0] + shares.pods[2] == SHARE_REQUESTS &&
                   off <= SHARE_SPREAD && off >= -SHARE_SPREAD
               ? 0
               : err_set(&s->err, -ERR_CONFIG, "%u to v1, %u to v2, %u to v3, %u failed",
                         shares.pods[0], shares.pods[1], shares.pods[2], shares.failed);
}

int demo_chapters_shares(struct demo_story *s)
{
    int code = demo_apply(s->demo, "scenarios/canary/reviews.yaml", &s->err);
    code = code == 0 ? look_at_shares(s) : code;
    return demo_chapters_delete(s, code, "virtualservices/default/reviews");
}

/* ---- policies ---- */

static int ask_ratings(struct demo_story *s, struct demo_answer *answer)
{
    const struct demo_question q = {.origin = s->demo->shop, .path = "/api/v1/products/0/ratings"};
    return demo_ask(s->demo->asker, &q, answer, &s->err);
}

/* What control says of it, which has to be what the proxy does. */
static int look_at_explanation(struct demo_story *s)
{
    static const char policy[] = "ratings-for-reviews";
    struct demo_answer answer;
    const struct demo_question q = {
        .origin = s->demo->control,
        .path = "/api/v1/authz?source=productpage-v1&destination=ratings-v1&method=GET"
                "&path=/ratings/0&port=9080"};
    int code = demo_ask(s->demo->asker, &q, &answer, &s->err);
    if (code < 0) {
        return code;
    }
    const struct doc_node *allowed = doc_get(answer.doc, "allowed");
    const struct doc_node *named = doc_get(answer.doc, "policy");
    return doc_is(allowed, DOC_BOOL) && !allowed->boolean && doc_is(named, DOC_TEXT) &&
                   span_find(named->text, span_of(policy)) >= 0
               ? 0
               : err_set(&s->err, -ERR_DENIED, "control does not name '%s': %u %.*s", policy,
                         answer.status, (int)size_min(answer.body.len, 300), answer.body.at);
}

static int look_at_denial(struct demo_story *s)
{
    int64_t end = demo_chapters_now() + SETTLE_MS;
    struct demo_answer answer;
    struct demo_shares shares;
    int code;
    do {
        code = ask_ratings(s, &answer);
        if (code == 0 && answer.status != 403) {
            code = demo_ask_wait(s->demo->asker, 20, NULL, NULL);
        }
    } while (code == 0 && answer.status != 403 && demo_chapters_now() < end);
    if (code == 0 && answer.status != 403) {
        return err_set(&s->err, -ERR_DENIED, "productpage is answered %u by ratings",
                       answer.status);
    }
    code = code == 0 ? look_at_explanation(s) : code;
    /* Those who may are not disturbed. */
    code = code == 0 ? demo_chapters_ask_reviews(s, 60, NULL, &shares) : code;
    if (code == 0 && (shares.failed > 0 || shares.unrated > 0)) {
        code = err_set(&s->err, -ERR_DENIED, "reviews are disturbed too: %u failed, %u unrated",
                       shares.failed, shares.unrated);
    }
    (void)snprintf(s->found, sizeof(s->found), "403 by ratings-for-reviews");
    return code;
}

int demo_chapters_deny(struct demo_story *s)
{
    int code = demo_apply(s->demo, "scenarios/authz/ratings.yaml", &s->err);
    code = code == 0 ? look_at_denial(s) : code;
    return demo_chapters_delete(s, code, "authorizationpolicies/default/ratings-for-reviews");
}

/* ---- failures ---- */

static int look_at_retries(struct demo_story *s)
{
    int64_t end = demo_chapters_now() + SETTLE_MS;
    struct demo_shares shares;
    int code = ask_as_productpage(s, RETRY_REQUESTS, &shares);
    unsigned before = shares.failed;

    if (code == 0 && before == 0) {
        return err_set(&s->err, -ERR_CONFIG, "nothing failed before, so nothing can be hidden");
    }
    code = code == 0 ? demo_apply(s->demo, "scenarios/outage/reviews.yaml", &s->err) : code;
    while (code == 0 && demo_chapters_now() < end) {
        code = ask_as_productpage(s, 30, &shares);
        if (shares.failed == 0) {
            break;
        }
    }
    code = code == 0 ? ask_as_productpage(s, RETRY_REQUESTS, &shares) : code;
    (void)snprintf(s->found, sizeof(s->found), "%u of %d failed before, none after", before,
                   RETRY_REQUESTS);
    return code < 0 || shares.failed == 0
               ? code
               : err_set(&s->err, -ERR_CONFIG, "%u of %d still fail (%u)", shares.failed,
                         RETRY_REQUESTS, shares.last_status);
}

int demo_chapters_retry(struct demo_story *s)
{
    /* Not 503, which is tried again without being asked. */
    int code = demo_set_fault(s->demo, "reviews-v2", "status=500", &s->err);
    code = code == 0 ? look_at_retries(s) : code;
    code = demo_chapters_undo(s, code, demo_set_fault(s->demo, "reviews-v2", "", NULL));
    return demo_chapters_delete(s, code, "virtualservices/default/reviews");
}

static int look_at_ejection(struct demo_story *s)
{
    int64_t end = demo_chapters_now() + 2 * SETTLE_MS;
    struct demo_shares shares = {.failed = 1};
    int code = demo_put_object(s->demo, "scenarios/outage/subsets.yaml", &s->err);

    /* The retries of the chapter before may hide v2 until they are gone too. */
    while (code == 0 && shares.failed + shares.pods[1] > 0 && demo_chapters_now() < end) {
        code = ask_as_productpage(s, 30, &shares);
        if (code == 0 && shares.failed == 0) {
            code = ask_as_productpage(s, EJECT_REQUESTS, &shares);
        }
    }
    if (code < 0 || shares.failed > 0 || shares.pods[1] > 0) {
        return code < 0 ? code
                        : err_set(&s->err, -ERR_CONFIG, "v2 still gets requests: %u of %d",
                                  shares.failed + shares.pods[1], EJECT_REQUESTS);
    }
    code = demo_set_fault(s->demo, "reviews-v2", "", &s->err);
    int64_t healed = demo_chapters_now();
    end = healed + 30000;
    shares.pods[1] = 0;
    while (code == 0 && shares.pods[1] == 0 && demo_chapters_now() < end) {
        code = demo_ask_wait(s->demo->asker, 200, NULL, NULL);
        code = code == 0 ? ask_as_productpage(s, 9, &shares) : code;
    }
    (void)snprintf(s->found, sizeof(s->found), "none of %d, and back %.1f s after it was healed",
                   EJECT_REQUESTS, (double)(demo_chapters_now() - healed) / 1000);
    return code < 0 || shares.pods[1] > 0
               ? code
               : err_set(&s->err, -ERR_TIMEOUT, "v2 does not come back within 30 s");
}

int demo_chapters_eject(struct demo_story *s)
{
    int code = demo_set_fault(s->demo, "reviews-v2", "status=500", &s->err);
    code = code == 0 ? look_at_ejection(s) : code;
    code = demo_chapters_undo(s, code, demo_set_fault(s->demo, "reviews-v2", "", NULL));
    code = demo_chapters_undo(s, code, demo_put_object(s->demo, "subsets.yaml", NULL));
    return code == 0 ? settle(s, NULL, all_three) : code;
}

/* ---- delays ---- */

static double p99_of(const struct doc_node *items, const char *workload)
{
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *name = doc_get(doc_at(items, i), "workload");
        if (doc_is(name, DOC_TEXT) && span_is(name->text, workload)) {
            const struct doc_node *ms = doc_path(doc_at(items, i), "inbound.p99Ms");
            return doc_is(ms, DOC_DOUBLE) ? ms->number
                   : doc_is(ms, DOC_INT)  ? (double)ms->integer
                                          : -1;
        }
    }
    return -1;
}

/* The delay is made before ratings is asked, so it shows in who asks. */
static int look_at_delay(struct demo_story *s)
{
    int64_t end = demo_chapters_now() + 2 * SETTLE_MS;
    double p99 = -1;
    int code = 0;

    while (code == 0 && p99 < DELAY_MS && demo_chapters_now() < end) {
        struct demo_shares shares;
        struct demo_answer answer;
        const struct demo_question q = {.origin = s->demo->control,
                                        .path = "/api/v1/stat?window=10"};
        code = demo_chapters_ask_reviews(s, DELAY_REQUESTS / 10, NULL, &shares);
        code = code == 0 ? demo_ask(s->demo->asker, &q, &answer, &s->err) : code;
        if (code == 0) {
            p99 = p99_of(doc_get(answer.doc, "items"), "reviews-v3");
            code = demo_ask_wait(s->demo->asker, 100, NULL, NULL);
        }
    }
    (void)snprintf(s->found, sizeof(s->found), "p99 of reviews-v3 is %.0f ms", p99);
    return code < 0 || p99 >= DELAY_MS
               ? code
               : err_set(&s->err, -ERR_TIMEOUT, "p99 of reviews-v3 is %.1f ms", p99);
}

int demo_chapters_delay(struct demo_story *s)
{
    int code = demo_apply(s->demo, "scenarios/slow/ratings.yaml", &s->err);
    code = code == 0 ? look_at_delay(s) : code;
    return demo_chapters_delete(s, code, "virtualservices/default/ratings");
}

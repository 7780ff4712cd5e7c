/* The chapters of mesh demo --check about files, certificates and processes: what must go on when something ends.
 * In: demo_story. */
#include <stdio.h>
#include <unistd.h>

#include "cli/demo_chapters.h"

#define PSS_MAX_KIB (60 * 1024)
#define LEAF_S 30 /* demo_plan gives certificates this life for --check */
#define BACK_MS 10000
#define OUTAGE_MS 3000
#define NEW_HOST 17
#define PATIENCE_MS 20000

/* ---- the load meanwhile ---- */

static int reset_load(struct demo_story *s)
{
    struct demo_answer answer;
    const struct demo_member *load = demo_crew_find(s->demo->crew, SPAN("load"));
    const struct demo_question q = {
        .origin = demo_member_origin(load), .method = "POST", .path = "/reset"};
    if (s->demo->options->no_traffic) {
        return err_set(&s->err, -ERR_CONFIG, "there is no traffic that could be lost");
    }
    return demo_ask(s->demo->asker, &q, &answer, &s->err);
}

/* How many requests passed since; none may have failed. */
static int look_at_load(struct demo_story *s, int64_t *sent)
{
    struct demo_answer answer;
    const struct demo_member *load = demo_crew_find(s->demo->crew, SPAN("load"));
    const struct demo_question q = {.origin = demo_member_origin(load), .path = "/stats"};
    int64_t failed = -1;
    int code = demo_ask(s->demo->asker, &q, &answer, &s->err);
    code = code == 0 ? doc_read_int(answer.doc, "sent", 0, INT64_MAX, sent, &s->err) : code;
    code = code == 0 ? doc_read_int(answer.doc, "failed", 0, INT64_MAX, &failed, &s->err) : code;
    if (code == 0 && (failed != 0 || *sent == 0)) {
        code = err_set(&s->err, -ERR_RESET, "%ld of %ld requests failed: %.*s", (long)failed,
                       (long)*sent, (int)size_min(answer.body.len, 250), answer.body.at);
    }
    return code;
}

static bool is_ready(void *arg)
{
    return demo_member_state(arg) == DEMO_READY;
}

static bool is_not_ready(void *arg)
{
    return demo_member_state(arg) != DEMO_READY;
}

/* ---- memory ---- */

int demo_chapters_memory(struct demo_story *s)
{
    struct demo_memory sum = demo_memory_sum(s->demo);
    (void)snprintf(s->found, sizeof(s->found), "%.1f MiB", (double)sum.pss_kib / 1024);
    return sum.pss_kib < PSS_MAX_KIB
               ? 0
               : err_set(&s->err, -ERR_LIMIT, "%.1f MiB", (double)sum.pss_kib / 1024);
}

/* ---- a bad file ---- */

/* The finding about the file, or NULL. */
static const struct doc_node *find_finding(const struct doc_node *items, const char *file)
{
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *item = doc_at(items, i);
        const struct doc_node *name = doc_path(item, "where.file");
        if (doc_is(name, DOC_TEXT) && span_find(name->text, span_of(file)) >= 0) {
            return item;
        }
    }
    return NULL;
}

/* Waits until there is (or is not) a finding about bad.yaml; its line goes to `line`. */
static int wait_finding(struct demo_story *s, bool there, int64_t *line)
{
    const struct demo_question q = {.origin = s->demo->control, .path = "/api/v1/findings"};
    int64_t end = demo_chapters_now() + BACK_MS;
    do {
        struct demo_answer answer;
        int code = demo_ask(s->demo->asker, &q, &answer, &s->err);
        if (code < 0) {
            return code;
        }
        const struct doc_node *item = find_finding(doc_get(answer.doc, "items"), "bad.yaml");
        if ((item != NULL) == there) {
            const struct doc_node *at = doc_path(item, "where.line");
            *line = doc_is(at, DOC_INT) ? at->integer : 0;
            return 0;
        }
        code = demo_ask_wait(s->demo->asker, 20, NULL, NULL);
        if (code < 0) {
            return code;
        }
    } while (demo_chapters_now() < end);
    return err_set(&s->err, -ERR_TIMEOUT, "control %s bad.yaml",
                   there ? "does not mention" : "still mentions");
}

static int look_at_bad_file(struct demo_story *s)
{
    struct demo_shares shares;
    int64_t line = 0, sent = 0;
    int code = reset_load(s);
    /* It would send everybody to a version that is not there, but for its fourth line. */
    code = code == 0 ? demo_place_write(&s->demo->place, "config/bad.yaml",
                                        SPAN("apiVersion: networking.istio.io/v1\n"
                                             "kind: VirtualService\n"
                                             "metadata: {name: reviews, namespace: default}\n"
                                             "spec: {hosts: [reviews], http: [\n"
                                             "  route: - destination: {host: nowhere}\n"),
                                        &s->err)
                     : code;
    code = code == 0 ? wait_finding(s, true, &line) : code;
    if (code == 0 && line == 0) {
        code = err_set(&s->err, -ERR_CONFIG, "the finding about bad.yaml names no line");
    }
    code = code == 0 ? demo_chapters_ask_reviews(s, 60, NULL, &shares) : code;
    if (code == 0 && (shares.failed > 0 || shares.pods[0] == 0 || shares.pods[1] == 0)) {
        code = err_set(&s->err, -ERR_CONFIG, "traffic has changed: %u to v1, %u to v2, %u failed",
                       shares.pods[0], shares.pods[1], shares.failed);
    }
    code = code == 0 ? look_at_load(s, &sent) : code;
    (void)snprintf(s->found, sizeof(s->found), "bad.yaml:%ld", (long)line);
    return code;
}

int demo_chapters_bad_file(struct demo_story *s)
{
    char path[PATHS_BYTES];
    int64_t line;
    int code = look_at_bad_file(s);
    if (unlink(demo_place_path(&s->demo->place, "config/bad.yaml", path)) == -1) {
        code = demo_chapters_undo(s, code, -errno);
    }
    return code == 0 ? wait_finding(s, false, &line) : code;
}

/* ---- certificates ---- */

/* Certificates issued until now. */
static int count_issued(struct demo_story *s, int64_t *issued)
{
    struct demo_answer answer;
    const struct demo_question q = {.origin = s->demo->control, .path = "/api/v1/status"};
    int code = demo_ask(s->demo->asker, &q, &answer, &s->err);
    const struct doc_node *n = code == 0 ? doc_path(answer.doc, "ca.issued") : NULL;
    *issued = doc_is(n, DOC_INT) ? n->integer : -1;
    return code;
}

int demo_chapters_rotation(struct demo_story *s)
{
    int64_t before = 0, now = 0, sent = 0;
    int64_t end = demo_chapters_now() + LEAF_S * 1000LL;
    int code = reset_load(s);
    code = code == 0 ? count_issued(s, &before) : code;
    now = before;
    /* Each of the seven proxies renews at half the life of its certificate. */
    while (code == 0 && now < before + DEMO_WORKLOADS + 1 && demo_chapters_now() < end) {
        code = demo_ask_wait(s->demo->asker, 200, NULL, NULL);
        code = code == 0 ? count_issued(s, &now) : code;
    }
    if (code == 0 && now < before + DEMO_WORKLOADS + 1) {
        return err_set(&s->err, -ERR_TIMEOUT, "%ld certificates were renewed within %d s, of %d",
                       (long)(now - before), LEAF_S, DEMO_WORKLOADS + 1);
    }
    code = code == 0 ? look_at_load(s, &sent) : code;
    (void)snprintf(s->found, sizeof(s->found), "%ld renewed, %ld requests, none failed",
                   (long)(now - before), (long)sent);
    return code;
}

/* ---- a proxy is killed ---- */

int demo_chapters_proxy(struct demo_story *s)
{
    struct demo_member *m = demo_plan_proxy(s->demo, "details-v1");
    struct demo_answer answer;
    const struct demo_question q = {.origin = s->demo->shop, .path = "/api/v1/products/0"};
    unsigned restarts = demo_member_restarts(m);
    int64_t begin = demo_chapters_now();

    demo_member_kill(m);
    int code = demo_ask_wait(s->demo->asker, BACK_MS, is_not_ready, m);
    code = code == 0 ? demo_ask_wait(s->demo->asker, BACK_MS, is_ready, m) : code;
    if (code < 0 || demo_member_restarts(m) == restarts) {
        return err_set(&s->err, code < 0 ? code : -ERR_TIMEOUT,
                       "the proxy of details-v1 is not back within %d s", BACK_MS / 1000);
    }
    int64_t back = demo_chapters_now();
    do {
        code = demo_ask(s->demo->asker, &q, &answer, &s->err);
        code = code == 0 && answer.status != 200 ? demo_ask_wait(s->demo->asker, 20, NULL, NULL)
                                                 : code;
    } while (code == 0 && answer.status != 200 && demo_chapters_now() < back + BACK_MS);
    (void)snprintf(s->found, sizeof(s->found), "ready after %.2f s, serves after %.2f s",
                   (double)(back - begin) / 1000, (double)(demo_chapters_now() - begin) / 1000);
    return code < 0 || answer.status == 200
               ? code
               : err_set(&s->err, -ERR_UNAVAILABLE, "details answers %u afterwards", answer.status);
}

/* ---- control is killed ---- */

/* Every proxy connected and with all that was sent acknowledged; `count` of them. */
static int wait_synced(struct demo_story *s, int64_t count)
{
    const struct demo_question q = {.origin = s->demo->control, .path = "/api/v1/status"};
    int64_t end = demo_chapters_now() + PATIENCE_MS;
    int64_t synced = -1;
    int code = 0;
    while (code == 0 && synced < count && demo_chapters_now() < end) {
        struct demo_answer answer;
        code = demo_ask(s->demo->asker, &q, &answer, &s->err);
        const struct doc_node *n = code == 0 ? doc_path(answer.doc, "proxies.synced") : NULL;
        synced = doc_is(n, DOC_INT) ? n->integer : -1;
        code = code == 0 ? demo_ask_wait(s->demo->asker, 20, NULL, NULL) : code;
    }
    return code < 0 || synced >= count
               ? code
               : err_set(&s->err, -ERR_TIMEOUT, "%ld of %ld proxies are in step", (long)synced,
                         (long)count);
}

static int write_newcomer(struct demo_story *s, const struct demo_workload *w)
{
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "apiVersion: networking.istio.io/v1\n"
                   "kind: WorkloadEntry\n"
                   "metadata: {name: %s, namespace: default}\n"
                   "spec:\n"
                   "  address: %s%d\n"
                   "  labels: {app: %s, version: %s, security.istio.io/tlsMode: istio}\n"
                   "  serviceAccount: %s\n",
                   w->name, s->demo->place.net, w->host, w->app, w->version, w->account);
    return demo_place_write(&s->demo->place, "config/newcomer.yaml", span_of(text), &s->err);
}

/* Starts without a control plane there: it must wait for an identity, and get it. */
static int start_newcomer(struct demo_story *s, const struct demo_workload *w)
{
    int code = write_newcomer(s, w);
    code = code == 0 ? demo_member_start(demo_plan_app(s->demo, w->name), &s->err) : code;
    return code == 0 ? demo_member_start(demo_plan_proxy(s->demo, w->name), &s->err) : code;
}

static int wait_newcomer(struct demo_story *s)
{
    int64_t end = demo_chapters_now() + PATIENCE_MS;
    struct demo_shares shares = {.asked = 0};
    int code = 0;
    while (code == 0 && shares.pods[3] == 0 && demo_chapters_now() < end) {
        code = demo_chapters_ask_reviews(s, 20, NULL, &shares);
    }
    return code < 0 || shares.pods[3] > 0
               ? code
               : err_set(&s->err, -ERR_TIMEOUT, "reviews-v4, started meanwhile, gets no requests");
}

static int look_without_control(struct demo_story *s, struct demo_member *control,
                                const struct demo_workload *w)
{
    int64_t sent = 0;
    int code = reset_load(s);
    demo_member_hold(control, true);
    demo_member_kill(control);
    code = code == 0 ? demo_ask_wait(s->demo->asker, BACK_MS, is_not_ready, control) : code;
    code = code == 0 ? start_newcomer(s, w) : code;
    code = code == 0 ? demo_ask_wait(s->demo->asker, OUTAGE_MS, NULL, NULL) : code;
    code = code == 0 ? look_at_load(s, &sent) : code;
    int64_t begin = demo_chapters_now();
    demo_member_hold(control, false);
    code = code == 0 ? demo_ask_wait(s->demo->asker, BACK_MS, is_ready, control) : code;
    code = code == 0 ? wait_synced(s, DEMO_WORKLOADS + 2) : code;
    int64_t back = demo_chapters_now();
    code = code == 0 ? wait_newcomer(s) : code;
    code = code == 0 ? look_at_load(s, &sent) : code;
    (void)snprintf(s->found, sizeof(s->found),
                   "%ld requests, none failed; all in step %.2f s after it was back", (long)sent,
                   (double)(back - begin) / 1000);
    return code;
}

int demo_chapters_control(struct demo_story *s)
{
    struct demo_member *control = demo_crew_find(s->demo->crew, SPAN("control"));
    char path[PATHS_BYTES];
    struct span token;
    /* Whoever joins has its token beforehand. */
    int code = demo_token(s->demo, "bookinfo-reviews", &token, &s->err);
    if (code < 0) {
        return code;
    }
    const struct demo_workload *w = demo_plan_more(s->demo, "reviews", "v4", NEW_HOST);
    demo_plan_token(s->demo, w->name, token);
    code = look_without_control(s, control, w);
    demo_member_hold(control, false);
    if (unlink(demo_place_path(&s->demo->place, "config/newcomer.yaml", path)) == -1) {
        code = demo_chapters_undo(s, code, -errno);
    }
    demo_member_hold(demo_plan_app(s->demo, w->name), true);
    demo_member_hold(demo_plan_proxy(s->demo, w->name), true);
    demo_member_kill(demo_plan_proxy(s->demo, w->name));
    demo_member_kill(demo_plan_app(s->demo, w->name));
    return code;
}

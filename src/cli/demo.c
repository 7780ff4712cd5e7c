/* The life of a demo: place, objects, processes in their order, and what can be asked of all of it.
 * In: options of cmd_demo. Next: demo_plan, demo_crew. Out: a shop that is open, and later nothing. */
#include "cli/demo.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "cli/demo_desk.h"
#include "cli/demo_files.h"
#include "cli/demo_graph.h"
#include "cli/demo_pods.h"

#define READY_MS 15000
#define READY_EACH_MS 300 /* more for each service of a graph */
#define HOPELESS_STARTS 3
#define EDGES_MS 15000
#define EDGES_EVERY_MS 50
#define TEXT_MAX (1u << 20)
#define TRUST "spiffe://cluster.local/ns/default/sa/"

/* ---- the folder */

static int make_folders(struct demo *d, struct err *err)
{
    static const char *const names[] = {"config", "logs", "state"};
    char path[PATHS_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (mkdir(demo_place_path(&d->place, names[i], path), 0700) == -1) {
            return err_set(err, -errno, "'%s' can not be made: %s", path, err_name(-errno));
        }
    }
    return 0;
}

int demo_put_object(struct demo *d, const char *name, struct err *err)
{
    const struct embed *file = embed_find(demo_files, name);
    const char *slash = strrchr(name, '/');
    char path[128];

    ASSERT(file != NULL);
    (void)snprintf(path, sizeof(path), "config/%s", slash != NULL ? slash + 1 : name);
    return demo_place_write_example(&d->place, path, span_from(file->bytes, file->length), err);
}

/* All of examples/bookinfo that is no scenario. */
static int write_objects(struct demo *d, struct err *err)
{
    int code = 0;
    for (const struct embed *file = demo_files; file->name != NULL && code == 0; file++) {
        if (span_ends(span_of(file->name), SPAN(".yaml")) && strchr(file->name, '/') == NULL) {
            code = demo_put_object(d, file->name, err);
        }
    }
    return code;
}

int demo_apply(struct demo *d, const char *name, struct err *err)
{
    const struct embed *file = embed_find(demo_files, name);
    struct demo_answer answer;
    struct buf text;

    ASSERT(file != NULL);
    buf_init(&text, TEXT_MAX);
    int code = demo_place_adapt(&d->place, span_from(file->bytes, file->length), &text);
    const struct demo_question q = {
        .origin = d->control, .method = "POST", .path = "/api/v1/apply", .body = buf_span(&text)};
    code = code < 0 ? code : demo_ask(d->asker, &q, &answer, err);
    if (code == 0 && answer.status != 200) {
        code = err_set(err, -ERR_CONFIG, "%s was refused with %u: %.*s", name, answer.status,
                       (int)size_min(answer.body.len, 300), answer.body.at);
    }
    buf_dispose(&text);
    return code;
}

/* ---- scenarios ---- */

/* "canary/reviews.yaml" of "scenarios/canary/reviews.yaml" when it is of that scenario; else NULL. */
static const char *in_scenario(const char *name, const char *scenario)
{
    char folder[64];
    int n = snprintf(folder, sizeof(folder), "scenarios/%s/", scenario);
    return n > 0 && strncmp(name, folder, (size_t)n) == 0 ? name + n : NULL;
}

static int check_scenario(const char *scenario, struct err *err)
{
    for (const struct embed *file = demo_files; file->name != NULL; file++) {
        if (scenario == NULL || in_scenario(file->name, scenario) != NULL) {
            return 0;
        }
    }
    return err_set(err, -ERR_CONFIG, "there is no scenario '%s'; use canary, authz, outage or slow",
                   scenario);
}

/* What stands in place of a usual file goes to the folder; the rest is applied, so that the CLI can change it. */
static int apply_scenario(struct demo *d, struct err *err)
{
    int code = 0;
    for (const struct embed *file = demo_files; file->name != NULL && code == 0; file++) {
        const char *name =
            d->options->scenario != NULL ? in_scenario(file->name, d->options->scenario) : NULL;
        if (name != NULL) {
            code = embed_find(demo_files, name) != NULL ? demo_put_object(d, file->name, err)
                                                        : demo_apply(d, file->name, err);
        }
    }
    return code;
}

static void on_happening(void *arg, const struct demo_member *m, enum demo_happening what,
                         const char *detail)
{
    UNUSED(arg);
    fprintf(stderr,
            what == DEMO_HAS_ENDED ? "mesh demo: %s ended (%s)\n"
                                   : "mesh demo: %s is back after %s\n",
            demo_member_name(m), detail);
}

/* Each process of ours is two descriptors here. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* what then fails says so itself */
    }
}

static int plan(struct demo *d, struct err *err)
{
    demo_plan_crew(d);
    if (d->options->services > 0) {
        raise_limit();
        demo_graph_plan(d);
    }
    if (d->trouble.code < 0) {
        *err = d->trouble;
    }
    return d->trouble.code;
}

int demo_new(struct demo **out, struct loop *loop, const struct demo_options *options,
             struct err *err)
{
    static const struct demo_crew_events events = {.on_happening = on_happening};
    struct demo *d = mem_new(struct demo);
    char path[PATHS_BYTES];

    d->options = options;
    d->loop = loop;
    d->began_ms = instant_mono_ms();
    d->control_ms = d->services_ms = d->page_ms = d->live_ms = -1;
    arena_init(&d->arena, 16384);
    d->asker = demo_asker_new(loop);
    d->place.lock_fd = -1;
    int code = check_scenario(options->scenario, err);
    code = code == 0 && options->netns ? demo_net_new(&d->net, err) : code;
    int pods = code == 0 && d->net != NULL ? demo_net_number(d->net) : -1;
    code = code == 0 ? demo_place_take(&d->place, loop, pods, err) : code;
    if (code == 0) {
        d->control =
            arena_printf(&d->arena, "unix:%s", demo_place_path(&d->place, "control.sock", path));
        d->shop = arena_printf(&d->arena, "http://%s:%d", d->place.shop_ip, d->place.shop_port);
        d->crew = demo_crew_new(loop, &events, d);
        code = make_folders(d, err);
        code = code == 0 ? demo_pods_open(d, err) : code;
        code = code == 0 ? plan(d, err) : code;
        code = code == 0 ? write_objects(d, err) : code;
        code = code == 0 && d->graph != NULL ? demo_graph_write(d, err) : code;
        code = code == 0 ? demo_desk_open(&d->desk, d, err) : code;
    }
    if (code < 0) {
        demo_free(d);
        return code;
    }
    *out = d;
    return 0;
}

void demo_free(struct demo *d)
{
    if (d == NULL) {
        return;
    }
    demo_desk_close(d->desk);
    demo_asker_free(d->asker);
    resolver_free(d->inside);
    demo_crew_free(d->crew);
    demo_place_leave(&d->place);
    demo_net_free(d->net);
    arena_dispose(&d->arena);
    mem_free(d);
}

/* ---- starting */

struct crew_wait {
    struct demo *demo;
    bool (*belongs)(const struct demo_member *m);
};

static bool is_any(const struct demo_member *m)
{
    return demo_member_state(m) != DEMO_IDLE;
}

static bool is_control(const struct demo_member *m)
{
    return strcmp(demo_member_name(m), "control") == 0;
}

static struct demo_member *first_unready(const struct crew_wait *w)
{
    const struct demo_crew *crew = w->demo->crew;
    for (struct demo_member *m = demo_crew_next(crew, NULL); m != NULL;
         m = demo_crew_next(crew, m)) {
        if (w->belongs(m) && demo_member_state(m) != DEMO_READY) {
            return m;
        }
    }
    return NULL;
}

/* One that ends whenever it is started will not get ready by waiting. */
static bool is_hopeless(const struct demo_member *m)
{
    return demo_member_ready_ms(m) < 0 && demo_member_restarts(m) >= HOPELESS_STARTS;
}

static bool are_ready(void *arg)
{
    const struct demo_member *m = first_unready(arg);
    return m == NULL || is_hopeless(m);
}

static int64_t patience_ms(const struct demo *d)
{
    return READY_MS + d->options->services * READY_EACH_MS;
}

static int wait_ready(struct demo *d, bool (*belongs)(const struct demo_member *m), struct err *err)
{
    struct crew_wait w = {.demo = d, .belongs = belongs};
    int code = demo_ask_wait(d->asker, patience_ms(d), are_ready, &w);
    const struct demo_member *m = first_unready(&w);
    if (code == -EINTR || m == NULL) {
        return code;
    }
    char text[256];
    struct span said = demo_member_last_words(m, text, sizeof(text));
    return err_set(err, -ERR_TIMEOUT, "%s does not get ready; its last words: %.*s",
                   demo_member_name(m), SPAN_ARG(said));
}

int demo_token(struct demo *d, const char *account, struct span *token, struct err *err)
{
    struct demo_answer answer;
    char body[256];

    (void)snprintf(
        body, sizeof(body),
        "{\"namespace\":\"default\",\"serviceAccount\":\"%s\",\"uses\":3,\"ttl\":\"1h\"}", account);
    const struct demo_question q = {
        .origin = d->control, .method = "POST", .path = "/api/v1/tokens", .body = span_of(body)};
    int code = demo_ask(d->asker, &q, &answer, err);
    if (code < 0) {
        return code;
    }
    const struct doc_node *text = doc_get(answer.doc, "token");
    if (answer.status / 100 != 2 || !doc_is(text, DOC_TEXT)) {
        return err_set(err, -ERR_DENIED, "no token for '%s': control answered %u %.*s", account,
                       answer.status, (int)size_min(answer.body.len, 200), answer.body.at);
    }
    *token = arena_dup(&d->arena, text->text);
    return 0;
}

static int start_proxy(struct demo *d, const char *workload, const char *account, struct err *err)
{
    struct span token = SPAN_EMPTY;
    int code = demo_token(d, account, &token, err);
    if (code == 0) {
        demo_plan_token(d, workload, token);
        code = demo_member_start(demo_plan_proxy(d, workload), err);
    }
    return code;
}

static int start_proxies(struct demo *d, struct err *err)
{
    int code = start_proxy(d, DEMO_GATEWAY, DEMO_GATEWAY, err);
    for (size_t i = 0; i < DEMO_WORKLOADS && code == 0; i++) {
        code = start_proxy(d, demo_workloads[i].name, demo_workloads[i].account, err);
    }
    for (size_t i = 0; d->graph != NULL && i < d->graph->count && code == 0; i++) {
        const struct demo_workload *w = &d->graph_workloads[i];
        code = start_proxy(d, w->name, w->account, err);
    }
    return code;
}

static int64_t since_begin(const struct demo *d)
{
    return instant_mono_ms() - d->began_ms;
}

/* The shop is open when its page comes whole. */
static int wait_page(struct demo *d, struct err *err)
{
    const struct demo_question q = {.origin = d->shop, .path = "/productpage"};
    int64_t end = instant_mono_ms() + READY_MS;
    struct demo_answer answer;

    for (;;) {
        int code = demo_ask(d->asker, &q, &answer, err);
        if (code == -EINTR) {
            return code;
        }
        if (code == 0 && answer.status == 200 &&
            span_find(answer.body, SPAN("Book Reviews")) >= 0 &&
            span_find(answer.body, SPAN("Book Details")) >= 0) {
            d->page_ms = since_begin(d);
            return 0;
        }
        if (instant_mono_ms() > end) {
            return err_set(err, -ERR_TIMEOUT, "%s/productpage answers %u: %.*s", d->shop,
                           answer.status, (int)size_min(answer.body.len, 200), answer.body.at);
        }
        code = demo_ask_wait(d->asker, 10, NULL, NULL);
        if (code < 0) {
            return code;
        }
    }
}

static int wait_edges(struct demo *d, struct err *err)
{
    int64_t end = instant_mono_ms() + EDGES_MS;
    for (;;) {
        int code = demo_look_at_edges(d, 60, err);
        if (code == 0 && d->edges == DEMO_EDGES) {
            d->live_ms = since_begin(d);
            return 0;
        }
        if (code == -EINTR || instant_mono_ms() > end) {
            return code < 0 ? code : 0; /* told as it is: N of 7 */
        }
        code = demo_ask_wait(d->asker, EDGES_EVERY_MS, NULL, NULL);
        if (code < 0) {
            return code;
        }
    }
}

int demo_start(struct demo *d, struct err *err)
{
    int code = demo_member_start(demo_crew_find(d->crew, SPAN("control")), err);
    for (size_t i = 0; i < DEMO_WORKLOADS && code == 0; i++) {
        code = demo_member_start(demo_plan_app(d, demo_workloads[i].name), err);
    }
    for (size_t i = 0; d->graph != NULL && i < d->graph->count && code == 0; i++) {
        code = demo_member_start(demo_plan_app(d, d->graph_workloads[i].name), err);
    }
    code = code == 0 ? wait_ready(d, is_control, err) : code;
    if (code < 0) {
        return code;
    }
    d->control_ms = since_begin(d);
    code = demo_pods_publish_root(d, err);
    code = code == 0 ? apply_scenario(d, err) : code;
    code = code == 0 ? start_proxies(d, err) : code;
    code = code == 0 ? wait_ready(d, is_any, err) : code;
    if (code < 0) {
        return code;
    }
    d->services_ms = since_begin(d);
    code = wait_page(d, err);
    if (code == 0 && !d->options->no_traffic) {
        code = demo_member_start(demo_crew_find(d->crew, SPAN("load")), err);
        if (code == 0 && d->graph != NULL) {
            code = demo_member_start(demo_crew_find(d->crew, SPAN("load of the graph")), err);
        }
        code = code == 0 ? wait_edges(d, err) : code;
    }
    if (code == 0 && d->options->scenario != NULL && strcmp(d->options->scenario, "outage") == 0) {
        code = demo_set_fault(d, "reviews-v2", "status=503", err); /* the outage begins */
    }
    return code;
}

/* ---- asking */

static struct span text_of(const struct doc_node *map, const char *path)
{
    const struct doc_node *node = doc_path(map, path);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static const char *account_of(const char *workload)
{
    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        if (strcmp(demo_workloads[i].name, workload) == 0) {
            return demo_workloads[i].account;
        }
    }
    return workload;
}

static bool has_identity(const struct doc_node *end, const char *workload)
{
    struct span id = text_of(end, "principal");
    return span_starts(id, SPAN(TRUST)) &&
           span_is(span_from_offset(id, sizeof(TRUST) - 1), account_of(workload));
}

static bool is_mutual(const struct doc_node *edge, const struct demo_edge *want)
{
    const struct doc_node *mtls = doc_get(edge, "mtls");
    bool all =
        doc_is(mtls, DOC_INT) ? mtls->integer == 1 : doc_is(mtls, DOC_DOUBLE) && mtls->number == 1;
    return all && has_identity(doc_get(edge, "source"), want->from) &&
           has_identity(doc_get(edge, "destination"), want->to);
}

int demo_look_at_edges(struct demo *d, int window_s, struct err *err)
{
    struct demo_answer answer;
    char path[64];

    (void)snprintf(path, sizeof(path), "/api/v1/edges?window=%d", window_s);
    const struct demo_question q = {.origin = d->control, .path = path};
    int code = demo_ask(d->asker, &q, &answer, err);
    if (code < 0 || answer.status != 200) {
        return code < 0
                   ? code
                   : err_set(err, -ERR_UNAVAILABLE, "edges: control answered %u", answer.status);
    }
    d->edges = d->edges_mtls = 0;
    const struct doc_node *items = doc_get(answer.doc, "items");
    for (size_t k = 0; k < DEMO_EDGES; k++) {
        bool seen = false;
        bool mutual = true;
        for (size_t i = 0; i < doc_count(items); i++) {
            const struct doc_node *edge = doc_at(items, i);
            if (span_is(text_of(edge, "source.workload"), demo_edges[k].from) &&
                span_is(text_of(edge, "destination.workload"), demo_edges[k].to)) {
                seen = true;
                mutual = mutual && is_mutual(edge, &demo_edges[k]);
            }
        }
        d->edges += seen ? 1 : 0;
        d->edges_mtls += seen && mutual ? 1 : 0;
    }
    return 0;
}

int demo_set_fault(struct demo *d, const char *workload, const char *words, struct err *err)
{
    struct demo_answer answer;
    struct demo_member *m = demo_plan_app(d, workload);
    char path[256];

    (void)snprintf(path, sizeof(path), "/fault?%s", words);
    const struct demo_question q = {.origin = demo_member_origin(m),
                                    .method = "POST",
                                    .path = path,
                                    .name = "x-mesh-write",
                                    .value = "1"};
    int code = demo_ask(d->asker, &q, &answer, err);
    return code < 0 || answer.status == 200
               ? code
               : err_set(err, -ERR_CONFIG, "the fault '%s' was refused with %u", words,
                         answer.status);
}

struct demo_memory demo_memory_sum(const struct demo *d)
{
    struct demo_memory sum = demo_memory_of((int)getpid());
    for (struct demo_member *m = demo_crew_next(d->crew, NULL); m != NULL;
         m = demo_crew_next(d->crew, m)) {
        struct demo_memory one = demo_memory_of(demo_member_pid(m));
        sum.pss_kib += one.pss_kib;
        sum.rss_kib += one.rss_kib;
    }
    return sum;
}

static void set_seconds(struct arena *a, struct doc_node *map, const char *key, int64_t ms)
{
    if (ms >= 0) {
        doc_set(a, map, key, doc_double(a, (double)ms / 1000));
    }
}

static struct doc_node *memory_to_doc(const struct demo *d, struct arena *a)
{
    struct doc_node *list = doc_new_list(a);
    for (struct demo_member *m = demo_crew_next(d->crew, NULL); m != NULL;
         m = demo_crew_next(d->crew, m)) {
        if (demo_member_pid(m) == 0) {
            continue;
        }
        struct demo_memory memory = demo_memory_of(demo_member_pid(m));
        struct doc_node *one = doc_list_add(a, list, doc_new_map(a));
        doc_set(a, one, "name", doc_cstr(a, demo_member_name(m)));
        doc_set(a, one, "pid", doc_int(a, demo_member_pid(m)));
        set_seconds(a, one, "readySeconds", demo_member_ready_ms(m));
        doc_set(a, one, "restarts", doc_int(a, demo_member_restarts(m)));
        doc_set(a, one, "pssKiB", doc_int(a, (int64_t)memory.pss_kib));
        doc_set(a, one, "rssKiB", doc_int(a, (int64_t)memory.rss_kib));
    }
    return list;
}

struct doc_node *demo_to_doc(const struct demo *d, struct arena *a)
{
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "Demo"));
    doc_set(a, doc, "shop", doc_cstr(a, arena_printf(a, "%s/productpage", d->shop)));
    doc_set(a, doc, "api",
            doc_cstr(a, d->net != NULL
                            ? d->control
                            : arena_printf(a, "http://127.0.0.1:%d", d->place.api_port)));
    doc_set(a, doc, "control", doc_cstr(a, d->control));
    doc_set(a, doc, "folder", doc_cstr(a, d->place.folder));
    struct doc_node *ready = doc_map_in(a, doc, "ready");
    set_seconds(a, ready, "control", d->control_ms);
    set_seconds(a, ready, "services", d->services_ms);
    set_seconds(a, ready, "page", d->page_ms);
    set_seconds(a, ready, "live", d->live_ms);
    struct doc_node *edges = doc_map_in(a, doc, "edges");
    doc_set(a, edges, "expected", doc_int(a, DEMO_EDGES));
    doc_set(a, edges, "seen", doc_int(a, (int64_t)d->edges));
    doc_set(a, edges, "mutualTls", doc_int(a, (int64_t)d->edges_mtls));
    doc_set(a, doc, "pssKiB", doc_int(a, (int64_t)demo_memory_sum(d).pss_kib));
    doc_set(a, doc, "members", memory_to_doc(d, a));
    return doc;
}

/* The admin pages: see proxy_admin.h. */
#include "proxy/proxy_admin.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/doc.h"
#include "http/admin.h"
#include "proxy/proxy_certs.h"
#include "proxy/proxy_clusters.h"
#include "proxy/proxy_stats.h"
#include "version.h"

struct proxy_admin {
    struct http_server *server;
    struct admin *pages;
    struct proxy_admin_view view;
};

#define JSON_TYPE SPAN("application/json")

/* A page that is larger than its buffer is cut off: the ceiling is far above any real proxy. */
static void say(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct buf *out, const char *fmt, ...)
{
    char line[2048];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    int code = buf_append(out, line, size_min((size_t)len, sizeof(line) - 1));
    UNUSED(code);
}

static const char *state_name(enum proxy_state state)
{
    static const char *const names[] = {"PRE_INITIALIZING", "LIVE", "DRAINING"};
    return names[state];
}

static void page_ready(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    enum proxy_state state = a->view.state(a->view.arg);
    UNUSED(rq);
    answer->status = state == PROXY_LIVE ? 200 : 503;
    say(answer->body, "%s\n", state_name(state));
}

static void page_server_info(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    int64_t uptime_s = (instant_wall_us() - a->view.started_us) / 1000000;
    answer->content_type = JSON_TYPE;
    say(answer->body,
        "{\n \"version\": \"mesh/%s\",\n \"state\": \"%s\",\n \"hot_restart_version\": \"disabled\",\n"
        " \"uptime_current_epoch\": \"%" PRId64 "s\",\n \"uptime_all_epochs\": \"%" PRId64 "s\",\n"
        " \"node\": {\"id\": \"%.*s\", \"cluster\": \"%.*s\", \"user_agent_name\": \"mesh\"},\n"
        " \"command_line_options\": {\"concurrency\": %u}\n}\n",
        MESH_VERSION, state_name(a->view.state(a->view.arg)), uptime_s, uptime_s,
        SPAN_ARG(a->view.node_id), SPAN_ARG(a->view.node_cluster), a->view.worker_count);
}

static void page_config_dump(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    struct span resource = admin_query(rq, SPAN("resource"));
    bool with_endpoints = admin_query(rq, SPAN("include_eds")).at != NULL;
    answer->content_type = JSON_TYPE;
    if (ingest_config_dump(a->view.ingest, resource, with_endpoints, answer->body) != 0) {
        answer->status = 500;
    }
}

static void page_listeners(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    const struct snapshot *s = a->view.snapshot(a->view.arg);
    bool json = span_is(admin_query(rq, SPAN("format")), "json");
    answer->content_type = json ? JSON_TYPE : answer->content_type;
    say(answer->body, json ? "{\"listener_statuses\": [" : "%s", "");
    for (size_t i = 0; s != NULL && i < s->listener_count; i++) {
        const struct conf_listener *l = s->listeners[i];
        char text[ADDR_TEXT_BYTES];
        addr_format(&l->addr, text);
        if (json) {
            say(answer->body,
                "%s\n {\"name\": \"%.*s\", \"local_address\": {\"socket_address\": {\"address\": \"%s\", "
                "\"port_value\": %u}}}",
                i > 0 ? "," : "", SPAN_ARG(l->conf.name), ip_format(&l->addr.ip, text),
                l->addr.port);
        } else {
            say(answer->body, "%.*s::%s\n", SPAN_ARG(l->conf.name), text);
        }
    }
    if (json) {
        say(answer->body, "\n]}\n");
    }
}

/* ---- stats ---- */

static void page_stats(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    struct span format = admin_query(rq, SPAN("format"));
    if (span_is(format, "prometheus")) {
        answer->status =
            metric_write(a->view.registry, METRIC_PROMETHEUS, SPAN_EMPTY, answer->body) ? 500 : 200;
        return;
    }
    const struct proxy_stats_want want = {
        .filter = admin_query(rq, SPAN("filter")),
        .json = span_is(format, "json"),
        .used_only = admin_query(rq, SPAN("usedonly")).at != NULL,
    };
    answer->content_type = want.json ? JSON_TYPE : answer->content_type;
    if (proxy_stats_write(&a->view, &want, answer->body) != 0) {
        answer->status = 500;
    }
}

static void page_reset(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    metric_reset(a->view.registry);
    say(answer->body, "OK\n");
}

/* What is configured and still waits for something; empty once all is there. */
static void page_init_dump(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    answer->content_type = JSON_TYPE;
    say(answer->body, "{\n \"unready_targets_dumps\": [%s]\n}\n",
        ingest_is_complete(a->view.ingest)
            ? ""
            : "{\"name\": \"init manager\", \"target_names\": [\"xds\"]}");
}

static void page_prometheus(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    bool open =
        span_find(head_get(rq->head, SPAN("accept")), SPAN("application/openmetrics-text")) >= 0;
    answer->content_type = open ? SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8")
                                : SPAN("text/plain; version=0.0.4; charset=utf-8");
    enum metric_format format = open ? METRIC_OPENMETRICS : METRIC_PROMETHEUS;
    answer->status = metric_write(a->view.registry, format, SPAN_EMPTY, answer->body) ? 500 : 200;
}

/* ---- the rest ---- */

static void page_certs(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    answer->content_type = JSON_TYPE;
    if (proxy_certs_write(a->view.snapshot(a->view.arg), answer->body) != 0) {
        answer->status = 500;
    }
}

/* POST /logging?level=debug, or ?xds=debug&http=info; without a query: what the levels are. */
static void page_logging(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    UNUSED(arg);
    char spec[512] = "";
    size_t len = 0;
    struct span rest = rq->query;
    while (rest.len > 0 && len < sizeof(spec) - 1) {
        struct span pair = span_cut(&rest, '&');
        struct span name = span_cut(&pair, '=');
        bool all = span_is(name, "level") || span_is(name, "paths");
        len += (size_t)snprintf(spec + len, sizeof(spec) - len, "%s%.*s%s%.*s", len > 0 ? "," : "",
                                SPAN_ARG(all ? SPAN_EMPTY : name), all ? "" : ":", SPAN_ARG(pair));
    }
    if (len > 0 && log_set_levels(spec) != 0) {
        answer->status = 400;
        say(answer->body, "'%s' is not known; use level=error|warning|info|debug or AREA=LEVEL\n",
            spec);
        return;
    }
    log_info("admin", "log levels set levels=%s", len > 0 ? spec : "unchanged");
    say(answer->body, "levels: %s\n", len > 0 ? spec : "unchanged");
}

static void page_memory(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    UNUSED(arg);
    UNUSED(rq);
    uint64_t pages = 0;
    char text[128];
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        struct span rest = span_from(text, fread(text, 1, sizeof(text), f));
        (void)fclose(f); /* only read */
        (void)span_cut(&rest, ' ');
        if (!span_to_u64(span_cut(&rest, ' '), &pages)) { /* the second number: resident pages */
            pages = 0;
        }
    }
    answer->content_type = JSON_TYPE;
    say(answer->body, "{\n \"allocated\": \"%zu\",\n \"physical\": \"%" PRIu64 "\"\n}\n",
        mem_live_bytes(), pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void page_fail(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    a->view.fail_health(a->view.arg, span_ends(rq->path, SPAN("fail")));
    say(answer->body, "OK\n");
}

static void page_drain(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    a->view.drain(a->view.arg);
    say(answer->body, "OK\n");
}

static void page_quit(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    const struct proxy_admin *a = arg;
    UNUSED(rq);
    a->view.quit(a->view.arg);
    say(answer->body, "OK\n");
}

static void on_clusters(void *arg, const struct http_request *rq)
{
    const struct proxy_admin *a = arg;
    bool json = span_is(admin_query(rq, SPAN("format")), "json");
    proxy_clusters_answer(&a->view, rq->stream, json);
}

static void add_pages(struct proxy_admin *a)
{
    static const struct {
        const char *methods, *path, *help;
        admin_page page;
    } pages[] = {
        {"GET", "/ready", "200 and LIVE when it serves, 503 otherwise", page_ready},
        {"GET", "/server_info", "version, state, node", page_server_info},
        {"GET", "/config_dump", "all configuration, as xDS (?resource=, ?include_eds)",
         page_config_dump},
        {"GET", "/listeners", "names and addresses (?format=json)", page_listeners},
        {"GET", "/stats", "all numbers (?filter=TEXT, ?format=json|prometheus)", page_stats},
        {"GET", "/stats/prometheus", "all numbers, for Prometheus", page_prometheus},
        {"POST", "/reset_counters", "counters and histograms begin at 0 again", page_reset},
        {"GET", "/init_dump", "what start-up still waits for", page_init_dump},
        {"GET", "/certs", "certificates in use, and when they end", page_certs},
        {"POST", "/logging", "log levels (?level=debug, ?AREA=LEVEL)", page_logging},
        {"GET", "/memory", "memory in use", page_memory},
        {"POST", "/healthcheck/fail", "answer /ready with 503", page_fail},
        {"POST", "/healthcheck/ok", "take that back", page_fail},
        {"POST", "/drain_listeners", "stop accepting, end connections after their requests",
         page_drain},
        {"POST", "/quitquitquit", "drain and end", page_quit},
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        admin_add(a->pages, pages[i].methods, pages[i].path, pages[i].help, pages[i].page, a);
    }
    admin_add_handler(a->pages, "GET", "/clusters", "endpoints and their load (?format=json)",
                      on_clusters, a);
}

int proxy_admin_new(struct proxy_admin **out, const struct listener_spec *where,
                    const struct proxy_admin_view *view, struct err *err)
{
    struct http_server *server;
    int code = http_server_new(&server, view->loop, where, NULL, err);
    if (code != 0) {
        return code;
    }
    struct proxy_admin *a = mem_new(struct proxy_admin);
    a->server = server;
    a->view = *view;
    a->pages = admin_new(server, "mesh proxy");
    add_pages(a);
    *out = a;
    return 0;
}

const struct addr *proxy_admin_addr(const struct proxy_admin *a)
{
    return http_server_addr(a->server);
}

void proxy_admin_free(struct proxy_admin *a)
{
    if (a != NULL) {
        http_server_free(a->server);
        admin_free(a->pages);
        mem_free(a);
    }
}

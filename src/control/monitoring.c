/* Metrics of control itself. What changes seldom is counted when somebody asks; the rest is counted where it happens.
 * In: http_server, control. Out: Prometheus text.
 * Source of names: Istio pilot/pkg/xds/monitoring.go, pilot/pkg/model/push_context.go, security/pkg/server/ca/monitoring.go,
 * pkg/config/validation; the Prometheus client libraries' process collector. */
#include "control/monitoring.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "control/control_int.h"
#include "io/file.h"
#include "version.h"

#define PAGE_MAX (4UL << 20)
#define STATM_MAX 256

static const char *const no_labels[] = {NULL};
static const double build_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

static const struct metric_family_spec worlds = {.name = "mesh_control_worlds_total",
                                                 .help = "Worlds built from objects.",
                                                 .kind = METRIC_COUNTER,
                                                 .labels = no_labels};
static const struct metric_family_spec build_time = {.name = "mesh_control_world_build_seconds",
                                                     .help = "Seconds that building a world took.",
                                                     .kind = METRIC_HISTOGRAM,
                                                     .labels = no_labels,
                                                     .buckets = build_bounds,
                                                     .bucket_count = ARRAY_LEN(build_bounds)};
static const struct metric_family_spec reports = {.name = "mesh_control_reports_total",
                                                  .help = "Metric reports of proxies.",
                                                  .kind = METRIC_COUNTER,
                                                  .labels = no_labels};
static const struct metric_family_spec reports_refused = {
    .name = "mesh_control_reports_refused_total",
    .help = "Those that were malformed, or told of others.",
    .kind = METRIC_COUNTER,
    .labels = no_labels};

static const struct metric_family_spec tap_messages = {.name = "mesh_control_tap_messages_total",
                                                       .help =
                                                           "Messages of proxies that are tapped.",
                                                       .kind = METRIC_COUNTER,
                                                       .labels = no_labels};

void monitoring_init(struct monitoring *m)
{
    m->registry = metric_registry_new();
    struct metric_family *world_family = metric_family_add(m->registry, &worlds);
    struct metric_family *time_family = metric_family_add(m->registry, &build_time);
    struct metric_family *report_family = metric_family_add(m->registry, &reports);
    struct metric_family *refused_family = metric_family_add(m->registry, &reports_refused);
    struct metric_family *tap_family = metric_family_add(m->registry, &tap_messages);
    struct metric_shard *shard = metric_shard_new(m->registry);
    m->worlds = metric_series_get(shard, world_family, NULL);
    m->build_time = metric_series_get(shard, time_family, NULL);
    m->reports = metric_series_get(shard, report_family, NULL);
    m->tap_messages = metric_series_get(shard, tap_family, NULL);
    m->reports_refused = metric_series_get(shard, refused_family, NULL);
}

void monitoring_dispose(struct monitoring *m)
{
    metric_registry_free(m->registry);
}

void monitoring_world_built(struct monitoring *m, int64_t took_us)
{
    metric_add(m->worlds, 1);
    metric_observe(m->build_time, (double)took_us / 1e6);
}

/* ---- the page ---- */

struct page {
    struct buf text;
    int code;
};

static void put_head(struct page *p, const char *kind, const char *name, const char *help)
{
    p->code = p->code
                  ? p->code
                  : buf_printf(&p->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_labelled(struct page *p, const char *name, const char *labels, double value)
{
    p->code = p->code ? p->code : buf_printf(&p->text, "%s%s %.15g\n", name, labels, value);
}

static void put_gauge(struct page *p, const char *name, double value, const char *help)
{
    put_head(p, "gauge", name, help);
    put_labelled(p, name, "", value);
}

static void put_counter(struct page *p, const char *name, double value, const char *help)
{
    put_head(p, "counter", name, help);
    put_labelled(p, name, "", value);
}

static void put_build(struct page *p)
{
    put_head(p, "gauge", "istio_build", "Which version this is.");
    put_labelled(p, "istio_build", "{component=\"pilot\",tag=\"" MESH_VERSION "\"}", 1);
    put_head(p, "gauge", "pilot_info", "Which version this is.");
    put_labelled(p, "pilot_info", "{version=\"" MESH_VERSION "\"}", 1);
}

static void put_proxies(struct page *p, const struct proxies *all)
{
    static const struct {
        enum proxies_type type;
        const char *name;
    } rejecting[] = {{PROXIES_CLUSTER, "pilot_xds_cds_reject"},
                     {PROXIES_ENDPOINTS, "pilot_xds_eds_reject"},
                     {PROXIES_LISTENER, "pilot_xds_lds_reject"},
                     {PROXIES_ROUTES, "pilot_xds_rds_reject"}};
    size_t refusing[PROXIES_TYPE_COUNT] = {0};
    size_t pending = 0;
    LIST_EACH(node, next, &all->entries) {
        const struct proxy_entry *e = list_item(node, struct proxy_entry, node);
        pending += !proxies_is_synced(e);
        for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
            refusing[i] += e->types[i].refused != NULL;
        }
    }
    put_head(p, "gauge", "pilot_xds", "Proxies that hold a stream.");
    put_labelled(p, "pilot_xds", "{version=\"" MESH_VERSION "\"}", (double)all->count);
    for (size_t i = 0; i < ARRAY_LEN(rejecting); i++) {
        put_gauge(p, rejecting[i].name, (double)refusing[rejecting[i].type],
                  "Proxies that refuse their newest configuration of this type.");
    }
    put_gauge(p, "mesh_control_proxies_pending", (double)pending,
              "Proxies that have not taken all that they were sent.");
    put_counter(p, "mesh_control_proxy_connects_total", (double)all->connects, "Streams opened.");
    put_counter(p, "mesh_control_proxy_disconnects_total", (double)all->disconnects,
                "Streams that ended.");
}

static void put_world(struct page *p, const struct control *c)
{
    const struct world *w = c->world;
    size_t routes = 0;
    for (size_t i = 0; w && i < w->config->virtual_host_count; i++) {
        const struct object *o = w->config->virtual_hosts[i].object;
        routes += o && o->kind == OBJECT_VIRTUAL_SERVICE;
    }
    put_gauge(p, "mesh_control_objects", (double)sources_count(c->sources), "Objects in force.");
    put_gauge(p, "pilot_services", w ? (double)w->config->service_count : 0, "Services known.");
    put_gauge(p, "pilot_virt_services", (double)routes, "VirtualServices known.");
    put_gauge(p, "mesh_control_workloads", w ? (double)w->workload_count : 0, "Workloads known.");
}

static void put_ca(struct page *p, const struct ca *ca)
{
    struct ca_numbers n;
    ca_numbers_read(ca, &n);
    put_gauge(p, "citadel_server_root_cert_expiry_timestamp", (double)n.root_not_after_s,
              "When the root ends, Unix time.");
    put_gauge(p, "citadel_server_root_cert_expiry_seconds",
              (double)n.root_not_after_s - (double)instant_wall_us() / 1e6,
              "Seconds until the root ends.");
    put_counter(p, "citadel_server_csr_count", (double)(n.issued + n.refused + n.failed),
                "Signing requests.");
    put_counter(p, "citadel_server_success_cert_issuance_count", (double)n.issued,
                "Certificates issued.");
    put_counter(p, "citadel_server_authentication_failure_count", (double)n.refused,
                "Signing requests refused.");
}

static void put_open_files(struct page *p)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and the one that looks */
    if (!dir) {
        return;
    }
    while (readdir(dir)) { /* NOLINT(concurrency-mt-unsafe): the stream is ours alone */
        count++;
    }
    (void)closedir(dir); /* was only read */
    put_gauge(p, "process_open_fds", count, "Descriptors that are open.");
}

static void put_process(struct page *p, int64_t started_us)
{
    struct span text = SPAN_EMPTY;
    struct timespec cpu = {0};
    struct rlimit files = {0};
    uint64_t pages[2] = {0};
    struct buf statm;
    struct err err;
    buf_init(&statm, STATM_MAX);
    if (file_read("/proc/self/statm", &statm, &err) == 0) {
        text = buf_span(&statm);
        for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
            pages[i] = span_to_u64(span_cut(&text, ' '), &pages[i]) ? pages[i] : 0;
        }
    }
    buf_dispose(&statm);
    double page_bytes = (double)sysconf(_SC_PAGESIZE);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu); /* stays 0 */
    (void)getrlimit(RLIMIT_NOFILE, &files);              /* the same */
    put_counter(p, "process_cpu_seconds_total", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9,
                "CPU time used.");
    put_gauge(p, "process_virtual_memory_bytes", (double)pages[0] * page_bytes, "Address space.");
    put_gauge(p, "process_resident_memory_bytes", (double)pages[1] * page_bytes, "Memory.");
    put_open_files(p);
    put_gauge(p, "process_max_fds", (double)files.rlim_cur, "Descriptors that may be open.");
    put_gauge(p, "process_start_time_seconds", (double)started_us / 1e6, "Unix time.");
}

static void on_metrics(void *arg, const struct http_request *rq)
{
    const struct control *c = arg;
    struct page p = {.code = 0};
    buf_init(&p.text, PAGE_MAX);
    put_build(&p);
    if (c->push) {
        put_proxies(&p, push_proxies(c->push));
    }
    put_world(&p, c);
    put_counter(&p, "galley_validation_passed", (double)c->api.applies_taken,
                "Documents given to the API that were taken.");
    put_counter(&p, "galley_validation_failed", (double)c->api.applies_refused,
                "Those that were refused.");
    put_gauge(&p, "mesh_control_taps", (double)api_taps_count(c->api.taps),
              "Who watches requests go by.");
    put_ca(&p, c->ca);
    put_process(&p, c->started_us);
    p.code = p.code ? p.code
                    : metric_write(c->monitoring.registry, METRIC_PROMETHEUS, SPAN_EMPTY, &p.text);
    struct span body = p.code ? SPAN("the page is too large\n") : buf_span(&p.text);
    (void)http_stream_reply(rq->stream, p.code ? 500 : 200,
                            SPAN("text/plain; version=0.0.4; charset=utf-8"),
                            body); /* on_close follows a failure */
    buf_dispose(&p.text);
}

static void on_live(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    (void)http_stream_reply(rq->stream, 200, SPAN("text/plain"),
                            SPAN("ok\n")); /* on_close follows a failure */
}

void monitoring_attach(struct http_server *s, struct control *c)
{
    http_server_route(s, "GET", "/metrics", true, on_metrics, c);
    http_server_route(s, "GET", "/livez", true, on_live, c);
    host_serve_ready(c->host, s, "/readyz");
}

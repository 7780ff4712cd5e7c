/* One scrape for proxy and application: see app_metrics.h.
 * In: pod_ports, from Prometheus. Out: http_client; metrics_merge. */
#include "proxy/pod/app_metrics.h"

#include <stdio.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/doc.h"
#include "http/http_client.h"
#include "proxy/pod/metrics_merge.h"

enum { ANSWER_MAX = 64 << 20, TOLD_EACH_MS = 60000 };

#define TEXT_TYPE SPAN("text/plain; version=0.0.4; charset=utf-8")
#define OPEN_TYPE SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8")

struct app_metrics {
    struct loop *loop;                /* borrowed */
    struct metric_registry *registry; /* borrowed */
    const struct app_reach *reach;    /* borrowed */
    struct arena arena;
    bool is_wanted;
    uint16_t port;
    struct span path;
    struct list runs;
    size_t run_count;
    struct metric_series *scrapes, *failures;
    int64_t told_at_ms; /* when a failure was last logged */
};

/* One scrape, until its stream has closed. */
struct run {
    struct list node;
    struct app_metrics *owner;
    struct http_stream *stream; /* NULL: closed */
    bool is_over, open_metrics;
    size_t hop;
    int64_t timeout_ms;
    struct http_client *http; /* owned */
};

/* ---- answers ---- */

static void answer_own(struct metric_registry *registry, struct http_stream *stream,
                       bool open_metrics)
{
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    int code = metric_write(registry, open_metrics ? METRIC_OPENMETRICS : METRIC_PROMETHEUS,
                            SPAN_EMPTY, &out);
    http_stream_reply(stream, code == 0 ? 200 : 500, open_metrics ? OPEN_TYPE : TEXT_TYPE,
                      buf_span(&out));
    buf_dispose(&out);
}

static int answer_both(struct run *r, struct span application, bool open_metrics, struct err *err)
{
    struct buf own, out;
    buf_init(&own, ANSWER_MAX);
    buf_init(&out, ANSWER_MAX);
    int code =
        metric_write(r->owner->registry, open_metrics ? METRIC_OPENMETRICS : METRIC_PROMETHEUS,
                     SPAN_EMPTY, &own);
    code = code ? err_set(err, code, "the proxy's numbers are too long")
                : metrics_merge(buf_span(&own), application, open_metrics, &out, err);
    buf_dispose(&own);
    if (code == 0) {
        r->is_over = true;
        http_stream_reply(r->stream, 200, open_metrics ? OPEN_TYPE : TEXT_TYPE, buf_span(&out));
    }
    buf_dispose(&out);
    return code;
}

/* The proxy's numbers do not depend on the application. */
static void fail(struct run *r, const char *why)
{
    struct app_metrics *m = r->owner;
    int64_t now_ms = loop_now_ms(m->loop);
    metric_add(m->failures, 1);
    if (m->told_at_ms == 0 || now_ms - m->told_at_ms >= TOLD_EACH_MS) {
        m->told_at_ms = now_ms;
        log_warn("metrics", "the application's are left out port=%u path=%.*s why=\"%s\"", m->port,
                 SPAN_ARG(m->path), why);
    }
    r->is_over = true;
    answer_own(m->registry, r->stream, r->open_metrics);
}

/* ---- asking the application ---- */

static void ask(struct run *r);

enum form { FORM_TEXT, FORM_OPEN, FORM_OTHER };

static enum form form_of(const struct head *head)
{
    struct span type = head_get(head, SPAN("content-type"));
    struct span media = span_trim(span_cut(&type, ';'));
    if (head_get(head, SPAN("content-encoding")).len > 0) {
        return FORM_OTHER; /* none was asked for */
    }
    return media.len == 0 || span_eq_nocase(media, SPAN("text/plain"))   ? FORM_TEXT
           : span_eq_nocase(media, SPAN("application/openmetrics-text")) ? FORM_OPEN
                                                                         : FORM_OTHER;
}

static void on_answer(void *arg, const struct http_answer *a)
{
    struct run *r = arg;
    struct err err;
    char text[64];
    if (r->is_over) {
        return;
    }
    if (a->err != NULL) {
        if (app_reach_goes_on(a->err->code) && r->hop + 1 < r->owner->reach->count) {
            r->hop++;
            ask(r);
        } else {
            fail(r, a->err->text);
        }
        return;
    }
    enum form form = form_of(a->head);
    if (a->head->status != 200) {
        (void)snprintf(text, sizeof(text), "its status is %u", a->head->status);
        fail(r, text);
    } else if (form == FORM_OTHER) {
        fail(r, "its content type or encoding is not one of metrics");
    } else if (answer_both(r, a->body, form == FORM_OPEN, &err) != 0) {
        fail(r, err.text);
    }
}

static void free_http(void *http)
{
    http_client_free(http);
}

static void ask(struct run *r)
{
    static const char open[] = "application/openmetrics-text;version=1.0.0,"
                               "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                      plain[] = "text/plain;version=0.0.4,*/*;q=0.1";
    char origin[ADDR_TEXT_BYTES + 8], where[ADDR_TEXT_BYTES], seconds[32];
    struct app_metrics *m = r->owner;
    struct addr to = m->reach->hops[r->hop].to;
    struct err err;
    to.port = m->port;
    (void)snprintf(origin, sizeof(origin), "http://%s", addr_format(&to, where));
    (void)snprintf(seconds, sizeof(seconds), "%.3f", (double)r->timeout_ms / 1000);
    const struct http_client_spec spec = {.origin = span_of(origin),
                                          .connect_ms = r->timeout_ms,
                                          .from = m->reach->hops[r->hop].from};
    const struct header fields[] = {
        {SPAN("accept"), span_of(r->open_metrics ? open : plain)},
        {SPAN("user-agent"), SPAN("mesh")},
        {SPAN("x-prometheus-scrape-timeout-seconds"), span_of(seconds)},
    };
    const struct http_call call = {
        .method = SPAN("GET"),
        .path = m->path,
        .fields = fields,
        .field_count = ARRAY_LEN(fields),
        .timeout_ms = r->timeout_ms,
        .body_max = APP_METRICS_BYTES_MAX,
        .on_answer = on_answer,
        .arg = r,
    };
    if (r->http != NULL) { /* we are in an event of its */
        loop_bury(m->loop, free_http, r->http);
        r->http = NULL;
    }
    if (http_client_new(&r->http, m->loop, &spec, &err) != 0) {
        fail(r, err.text);
        return;
    }
    http_client_call(r->http, &call);
}

/* ---- a scrape ---- */

static void run_free(void *obj)
{
    struct run *r = obj;
    http_client_free(r->http); /* may tell of its call, which is over for us */
    mem_free(r);
}

static void on_stream_close(void *arg, enum http_reset why)
{
    struct run *r = arg;
    UNUSED(why);
    r->is_over = true;
    r->stream = NULL;
    list_remove(&r->node);
    r->owner->run_count--;
    loop_bury(r->owner->loop, run_free, r);
}

static void on_stream_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static const struct http_stream_events stream_events = {.on_data = on_stream_data,
                                                        .on_close = on_stream_close};

static bool takes_open_metrics(const struct http_request *rq)
{
    return span_find(head_get(rq->head, SPAN("accept")), SPAN("application/openmetrics-text")) >= 0;
}

/* "10" or "10.5" seconds, less a fifth for the way back. */
static int64_t timeout_of(const struct http_request *rq)
{
    struct span text = head_get(rq->head, SPAN("x-prometheus-scrape-timeout-seconds"));
    uint64_t whole;
    if (!span_to_u64(span_first(span_cut(&text, '.'), 9), &whole)) {
        return APP_METRICS_MS;
    }
    return i64_max(i64_min((int64_t)whole * 800, APP_METRICS_MS_MAX), APP_METRICS_MS);
}

void app_metrics_answer(void *arg, const struct http_request *rq)
{
    struct app_metrics *m = arg;
    if (!m->is_wanted || m->run_count == APP_METRICS_RUNS_MAX) {
        answer_own(m->registry, rq->stream, takes_open_metrics(rq));
        return;
    }
    struct run *r = mem_new(struct run);
    r->owner = m;
    r->stream = rq->stream;
    r->open_metrics = takes_open_metrics(rq);
    r->timeout_ms = timeout_of(rq);
    list_push_back(&m->runs, &r->node);
    m->run_count++;
    metric_add(m->scrapes, 1);
    http_stream_set_events(rq->stream, &stream_events, r);
    ask(r);
}

void app_metrics_answer_own(void *arg, const struct http_request *rq)
{
    answer_own(arg, rq->stream, takes_open_metrics(rq));
}

/* ---- life ---- */

static int read_wish(struct app_metrics *m, const char *json, uint16_t own_port, struct err *err)
{
    struct doc_node *doc;
    struct span path = SPAN("/metrics"), scrape = SPAN("true");
    int code = doc_parse_json(&m->arena, span_of(json), "MESH_APP_METRICS", &doc, err);
    code = code ? code : doc_read_text(doc, "path", &path, err);
    code = code ? code : doc_read_text(doc, "scrape", &scrape, err);
    const struct doc_node *port = doc_get(doc, "port");
    uint64_t value = doc_is(port, DOC_INT) && port->integer > 0 ? (uint64_t)port->integer : 0;
    if (doc_is(port, DOC_TEXT) && !span_to_u64(port->text, &value)) {
        value = 0;
    }
    if (code == 0 && (value == 0 || value > 65535)) {
        code = doc_refuse(doc, "port", port, err, "want a port's number, 1 to 65535");
    }
    if (code != 0) {
        return code;
    }
    m->port = (uint16_t)value;
    m->path = span_of(arena_printf(&m->arena, "%s%.*s",
                                   path.len > 0 && path.at[0] == '/' ? "" : "/", SPAN_ARG(path)));
    m->is_wanted = span_is(scrape, "true");
    if (m->is_wanted && m->port == own_port) {
        log_warn("metrics", "the application's port is our own: it is not asked port=%u", m->port);
        m->is_wanted = false;
    }
    return 0;
}

static void bind_metrics(struct app_metrics *m)
{
    static const char *const none[] = {NULL}, *const by_type[] = {"type", NULL};
    static const struct metric_family_spec scrapes = {
        .name = "istio_agent_scrapes_total",
        .help = "Times the application's metrics were asked for.",
        .kind = METRIC_COUNTER,
        .labels = none,
    };
    static const struct metric_family_spec failures = {
        .name = "istio_agent_scrape_failures_total",
        .help = "Times they could not be had.",
        .kind = METRIC_COUNTER,
        .labels = by_type,
    };
    struct metric_family *scrapes_family = metric_family_add(m->registry, &scrapes);
    struct metric_family *failures_family = metric_family_add(m->registry, &failures);
    struct metric_shard *shard = metric_shard_new(m->registry);
    m->scrapes = metric_series_get(shard, scrapes_family, NULL);
    m->failures = metric_series_get(shard, failures_family, &SPAN("application"));
}

int app_metrics_new(struct app_metrics **out, struct loop *loop, struct metric_registry *registry,
                    const char *json, uint16_t own_port, const struct app_reach *reach,
                    struct err *err)
{
    struct app_metrics *m = mem_new(struct app_metrics);
    m->loop = loop;
    m->registry = registry;
    m->reach = reach;
    arena_init(&m->arena, 512);
    list_init(&m->runs);
    int code = json != NULL && json[0] != '\0' ? read_wish(m, json, own_port, err) : 0;
    if (code != 0) {
        app_metrics_free(m);
        return code;
    }
    bind_metrics(m);
    *out = m;
    return 0;
}

void app_metrics_free(struct app_metrics *m)
{
    if (m == NULL) {
        return;
    }
    ASSERT(list_is_empty(&m->runs)); /* the server has closed their streams */
    arena_dispose(&m->arena);
    mem_free(m);
}

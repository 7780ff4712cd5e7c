/* Endpoints of all workers on one page: see proxy_clusters.h. */
#include "proxy/proxy_clusters.h"

#include <inttypes.h>

#include "base/mem.h"

#define PAGE_MAX (64u << 20)

struct question {
    const struct proxy_admin_view
        *view;                  /* borrowed: outlives the answer, which comes before workers stop */
    struct http_stream *stream; /* NULL when the client has gone; the one who comes last frees */
    bool json;
    unsigned left;
    struct proxy_endpoint_state *states; /* owned; summed by slot and address */
    size_t count, room;
};

static void add(struct question *q, const struct proxy_endpoint_state *s)
{
    for (size_t i = 0; i < q->count; i++) {
        struct proxy_endpoint_state *have = &q->states[i];
        if (have->slot == s->slot && addr_eq(&have->addr, &s->addr)) {
            have->ejected = have->ejected || s->ejected;
            have->rq_active += s->rq_active;
            have->cx_active += s->cx_active;
            have->rq_total += s->rq_total;
            have->rq_error += s->rq_error;
            have->cx_total += s->cx_total;
            have->cx_connect_fail += s->cx_connect_fail;
            return;
        }
    }
    if (q->count == q->room) {
        q->room = q->room ? q->room * 2 : 64;
        q->states = mem_realloc(q->states, q->room * sizeof(*q->states));
    }
    q->states[q->count++] = *s;
}

static int write_text(const struct conf_cluster *c, const struct proxy_endpoint_state *s,
                      struct buf *out)
{
    const struct span n = c->conf.name;
    char a[ADDR_TEXT_BYTES];
    addr_format(&s->addr, a);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"cx_active", s->cx_active}, {"cx_connect_fail", s->cx_connect_fail},
        {"cx_total", s->cx_total},   {"rq_active", s->rq_active},
        {"rq_error", s->rq_error},   {"rq_total", s->rq_total},
        {"weight", s->weight},       {"priority", s->priority},
    };
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows) && code == 0; i++) {
        code = buf_printf(out, "%.*s::%s::%s::%" PRIu64 "\n", SPAN_ARG(n), a, rows[i].name,
                          rows[i].value);
    }
    return code ? code
                : buf_printf(out, "%.*s::%s::health_flags::%s\n", SPAN_ARG(n), a,
                             s->ejected  ? "/failed_outlier_check"
                             : s->usable ? "healthy"
                                         : "/failed_eds_health");
}

static int write_limits(const struct conf_cluster *c, struct buf *out)
{
    static const char *const priorities[] = {"default_priority", "high_priority"};
    const struct span n = c->conf.name;
    int code = 0;
    for (int i = 0; i < 2 && code == 0; i++) {
        const struct conf_limits *l = &c->limits[i];
        code = buf_printf(out,
                          "%.*s::%s::max_connections::%u\n%.*s::%s::max_pending_requests::%u\n"
                          "%.*s::%s::max_requests::%u\n%.*s::%s::max_retries::%u\n",
                          SPAN_ARG(n), priorities[i], l->connections, SPAN_ARG(n), priorities[i],
                          l->pending, SPAN_ARG(n), priorities[i], l->requests, SPAN_ARG(n),
                          priorities[i], l->retries);
    }
    return code;
}

static int write_json(const struct proxy_endpoint_state *s, bool first, struct buf *out)
{
    char a[IP_TEXT_BYTES];
    return buf_printf(
        out,
        "%s\n   {\"address\": {\"socket_address\": {\"address\": \"%s\", \"port_value\": %u}},\n"
        "    \"stats\": [{\"name\": \"cx_connect_fail\", \"value\": \"%" PRIu64
        "\"}, {\"name\": \"cx_total\", \"value\": \"%" PRIu64
        "\"}, {\"name\": \"rq_error\", \"value\": \"%" PRIu64
        "\"}, {\"name\": \"rq_total\", \"value\": \"%" PRIu64
        "\"}, {\"type\": \"GAUGE\", \"name\": \"cx_active\", \"value\": \"%u\"}, {\"type\": \"GAUGE\", "
        "\"name\": \"rq_active\", \"value\": \"%u\"}],\n"
        "    \"health_status\": {%s\"eds_health_status\": \"%s\"}, \"weight\": %u, \"priority\": %u}",
        first ? "" : ",", ip_format(&s->addr.ip, a), s->addr.port, s->cx_connect_fail, s->cx_total,
        s->rq_error, s->rq_total, s->cx_active, s->rq_active,
        s->ejected ? "\"failed_outlier_check\": true, " : "", s->usable ? "HEALTHY" : "UNHEALTHY",
        s->weight, s->priority);
}

static int write_cluster(const struct question *q, const struct conf_cluster *c, bool first,
                         struct buf *out)
{
    int code = q->json ? buf_printf(out, "%s\n {\"name\": \"%.*s\", \"host_statuses\": [",
                                    first ? "" : ",", SPAN_ARG(c->conf.name))
                       : write_limits(c, out);
    bool first_host = true;
    for (size_t i = 0; i < q->count && code == 0; i++) {
        if (q->states[i].slot != c->slot) {
            continue;
        }
        code = q->json ? write_json(&q->states[i], first_host, out)
                       : write_text(c, &q->states[i], out);
        first_host = false;
    }
    return code || !q->json ? code : buf_append_span(out, SPAN("]}"));
}

static void reply(struct question *q)
{
    const struct snapshot *s = q->view->snapshot(q->view->arg);
    struct buf out;
    buf_init(&out, PAGE_MAX);
    int code = q->json ? buf_append_span(&out, SPAN("{\"cluster_statuses\": [")) : 0;
    bool first = true;
    for (size_t i = 0; s != NULL && i < s->slots && code == 0; i++) {
        if (s->clusters[i] != NULL) {
            code = write_cluster(q, s->clusters[i], first, &out);
            first = false;
        }
    }
    if (code == 0 && q->json) {
        code = buf_append_span(&out, SPAN("\n]}\n"));
    }
    struct span type = q->json ? SPAN("application/json") : SPAN("text/plain; charset=utf-8");
    code = http_stream_reply(q->stream, code == 0 ? 200 : 500, type, buf_span(&out));
    UNUSED(code); /* a client that has gone */
    buf_dispose(&out);
}

static void question_free(struct question *q)
{
    mem_free(q->states);
    mem_free(q);
}

static void on_answer(void *arg, const struct proxy_endpoint_state *states, size_t count)
{
    struct question *q = arg;
    for (size_t i = 0; i < count; i++) {
        add(q, &states[i]);
    }
    if (--q->left > 0) {
        return;
    }
    if (q->stream != NULL) {
        reply(q); /* on_close frees */
    } else {
        question_free(q);
    }
}

static void on_close(void *arg, enum http_reset why)
{
    struct question *q = arg;
    UNUSED(why);
    q->stream = NULL;
    if (q->left == 0) {
        question_free(q);
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static const struct http_stream_events events = {.on_data = on_data, .on_close = on_close};

void proxy_clusters_answer(const struct proxy_admin_view *view, struct http_stream *stream,
                           bool json)
{
    struct question *q = mem_new(struct question);
    q->view = view;
    q->stream = stream;
    q->json = json;
    q->left = view->worker_count;
    http_stream_set_events(stream, &events, q);
    for (unsigned i = 0; i < view->worker_count; i++) {
        proxy_worker_ask_endpoints(view->workers[i], on_answer, q);
    }
}

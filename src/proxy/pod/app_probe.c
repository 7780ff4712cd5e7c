/* The application's own probes, carried out: see app_probe.h.
 * In: pod_ports, from kubelet. Out: http_client, dial, grpc; the answer. */
#include <stdio.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/url.h"
#include "http/grpc.h"
#include "http/http_client.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "proto/health.pb.h"
#include "proxy/pod/app_probe_int.h"

enum { FAILED = 500, BUSY = 503, LOCATION_MAX = 8192 };

struct app_probes {
    struct loop *loop;             /* borrowed */
    const struct app_reach *reach; /* borrowed */
    struct arena arena;
    struct map by_name; /* struct app_probe, in the arena */
    struct list runs;
    size_t run_count;
    struct tls_ctx *tls; /* owned; NULL until there is a use */
};

/* One request of kubelet's, until its stream has closed. */
struct run {
    struct list node; /* in the probes' runs */
    struct app_probes *owner;
    const struct app_probe *probe;
    struct http_stream *stream; /* NULL: closed */
    struct arena arena;
    struct deadline due;
    bool is_over;
    size_t hop;
    unsigned redirects;
    /* what is asked for now */
    bool tls;
    uint16_t port;
    struct span path, authority;
    struct header *fields;
    size_t field_count;
    /* how */
    struct http_client *http; /* owned */
    struct grpc_stream *grpc; /* NULL: none under way */
    struct dial *dial;        /* NULL: none under way */
    bool is_serving;          /* grpc */
};

/* ---- the end ---- */

static void free_http(void *http)
{
    http_client_free(http);
}

/* We may be in an event of its. */
static void drop_http(struct run *r)
{
    if (r->http != NULL) {
        loop_bury(r->owner->loop, free_http, r->http);
        r->http = NULL;
    }
}

static void stop(struct run *r)
{
    r->is_over = true;
    deadline_disarm(&r->due);
    if (r->grpc != NULL) {
        grpc_cancel(r->grpc);
        r->grpc = NULL;
    }
    if (r->dial != NULL) {
        dial_cancel(r->dial);
        r->dial = NULL;
    }
}

static void run_free(void *obj)
{
    struct run *r = obj;
    http_client_free(r->http); /* may tell of its call, which is over for us */
    arena_dispose(&r->arena);
    mem_free(r);
}

static void finish(struct run *r, unsigned status, struct span body)
{
    stop(r);
    http_stream_reply(r->stream, status, SPAN("text/plain; charset=utf-8"), body);
}

static void fail(struct run *r, const char *why)
{
    char text[512];
    log_debug("probe", "failed probe=%.*s why=\"%s\"", SPAN_ARG(r->probe->name), why);
    int len = snprintf(text, sizeof(text), "%s\n", why);
    finish(r, FAILED, span_from(text, size_min((size_t)len, sizeof(text) - 1)));
}

static void on_due(struct deadline *d)
{
    fail(container_of(d, struct run, due), "the application did not answer in time");
}

static void on_stream_close(void *arg, enum http_reset why)
{
    struct run *r = arg;
    UNUSED(why);
    r->stream = NULL;
    stop(r);
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

/* ---- asking ---- */

static void ask(struct run *r);

static void try_next(struct run *r, int code, const char *why)
{
    if (app_reach_goes_on(code) && r->hop + 1 < r->owner->reach->count) {
        r->hop++;
        ask(r);
        return;
    }
    fail(r, why);
}

static void on_dialed(void *arg, struct io *io, int code)
{
    struct run *r = arg;
    r->dial = NULL;
    if (io != NULL) {
        io_close(io);
        finish(r, 200, SPAN("connected\n"));
        return;
    }
    try_next(r, code, err_name(code));
}

static void ask_tcp(struct run *r)
{
    struct dial_spec spec = {.to = r->owner->reach->hops[r->hop].to,
                             .from = r->owner->reach->hops[r->hop].from,
                             .timeout_ms = r->probe->timeout_ms};
    spec.to.port = r->port;
    r->dial = dial_start(r->owner->loop, &spec, on_dialed, r);
}

/* Whoever answers is believed, as kubelet does: it is our own pod. */
static int make_tls(struct app_probes *p, struct err *err)
{
    static const struct span alpn[] = {SPAN_INIT("http/1.1")};
    const struct tls_ctx_spec spec = {
        .peer_mode = TLS_PEER_NONE, .alpn = alpn, .alpn_count = ARRAY_LEN(alpn)};
    return p->tls != NULL ? 0 : tls_ctx_new(&p->tls, &spec, err);
}

static int open_http(struct run *r, bool http2, struct err *err)
{
    char origin[ADDR_TEXT_BYTES + 8], where[ADDR_TEXT_BYTES];
    struct addr to = r->owner->reach->hops[r->hop].to;
    int code = r->tls ? make_tls(r->owner, err) : 0;
    to.port = r->port;
    (void)snprintf(origin, sizeof(origin), "%s://%s", r->tls ? "https" : "http",
                   addr_format(&to, where));
    const struct http_client_spec spec = {
        .origin = span_of(origin),
        .authority = r->authority,
        .http2 = http2,
        .tls = r->tls ? r->owner->tls : NULL,
        .connect_ms = r->probe->timeout_ms,
        .from = r->owner->reach->hops[r->hop].from,
    };
    drop_http(r);
    return code ? code : http_client_new(&r->http, r->owner->loop, &spec, err);
}

/* ---- httpGet ---- */

/* Of the same host, whatever name or address it is called by. */
static bool is_same_host(const struct run *r, struct span host)
{
    struct span own;
    uint16_t port;
    struct ip ip;
    return (url_split_authority(r->authority, &own, &port) == 0 && span_eq_nocase(own, host)) ||
           (ip_parse(host, &ip) == 0 && app_reach_has(r->owner->reach, &ip));
}

/* Takes on what a Location says, relative to what was asked for (RFC 3986 section 5.2, without dot segments). False: it leads elsewhere. */
static bool take_location(struct run *r, struct span location)
{
    struct url url;
    struct span text = location;
    const char *scheme = r->tls ? "https" : "http";
    if (span_starts(text, SPAN("//"))) {
        text = span_of(arena_printf(&r->arena, "%s:%.*s", scheme, SPAN_ARG(text)));
    }
    if (span_find(text, SPAN("://")) > 0 && text.at[0] != '/' && text.at[0] != '?') {
        if (url_parse(arena_dup(&r->arena, text), &url) != 0 || !is_same_host(r, url.host) ||
            !(span_is(url.scheme, "http") || span_is(url.scheme, "https"))) {
            return false;
        }
        r->tls = span_is(url.scheme, "https");
        r->port = url_port(&url);
        r->authority = url.authority;
        r->path = span_of(arena_printf(&r->arena, "%s%.*s%s%.*s", url.path.len > 0 ? "" : "/",
                                       SPAN_ARG(url.path), url.has_query ? "?" : "",
                                       SPAN_ARG(url.query)));
        return true;
    }
    struct span rest = r->path;
    struct span path = span_cut(&rest, '?');
    rest = arena_dup(&r->arena, text);
    text = span_cut(&rest, '#'); /* the fragment */
    if (text.len > 0 && text.at[0] == '/') {
        path = SPAN_EMPTY;
    } else if (text.len > 0 && text.at[0] != '?') {
        path = span_first(path, (size_t)(span_rfind_byte(path, '/') + 1));
    }
    r->path = span_of(arena_printf(&r->arena, "%.*s%.*s", SPAN_ARG(path), SPAN_ARG(text)));
    return true;
}

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_target(struct span path)
{
    enum url_form form;
    struct url url;
    return url_parse_target(path, false, &form, &url) == 0 && form == URL_ORIGIN;
}

static void on_answer(void *arg, const struct http_answer *a)
{
    struct run *r = arg;
    if (r->is_over) {
        return;
    }
    if (a->err != NULL) {
        try_next(r, a->err->code, a->err->text);
        return;
    }
    unsigned status = a->head->status;
    struct span location = head_get(a->head, SPAN("location"));
    if (is_redirect(status) && location.len > 0 && location.len <= LOCATION_MAX) {
        if (r->redirects == APP_PROBE_REDIRECTS_MAX) {
            fail(r, "the application redirects again and again");
            return;
        }
        if (take_location(r, location) && is_target(r->path)) {
            r->redirects++;
            ask(r);
            return;
        }
    }
    /* What is elsewhere is none of our business: kubelet takes it for a success. We have no Location to give, so we say so. */
    finish(r, status >= 300 && status < 400 ? 200 : status,
           span_first(a->body, APP_PROBE_BODY_MAX));
}

static int ask_http(struct run *r, struct err *err)
{
    int code = open_http(r, false, err);
    if (code != 0) {
        return code;
    }
    const struct http_call call = {
        .method = SPAN("GET"),
        .path = r->path,
        .fields = r->fields,
        .field_count = r->field_count,
        .timeout_ms = r->probe->timeout_ms + 1000, /* ours is first */
        .on_answer = on_answer,
        .arg = r,
    };
    http_client_call(r->http, &call);
    return 0;
}

/* ---- grpc ---- */

static void on_message(void *arg, struct span message)
{
    struct run *r = arg;
    struct err err;
    const struct pb_health_HealthCheckResponse *a = pb_decode(
        &pb_health_HealthCheckResponse_desc, &r->arena, arena_dup(&r->arena, message), &err);
    r->is_serving =
        a != NULL && a->status == PB_HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING;
}

static void on_grpc_end(void *arg, enum grpc_status status, struct span message)
{
    struct run *r = arg;
    char why[256];
    r->grpc = NULL;
    if (r->is_over) {
        return;
    }
    if (status == GRPC_OK && r->is_serving) {
        finish(r, 200, SPAN("serving\n"));
        return;
    }
    (void)snprintf(why, sizeof(why), "%s: %.*s",
                   status == GRPC_OK ? "not serving" : grpc_status_name(status),
                   SPAN_ARG(span_first(message, 200)));
    /* Nobody there is not told from other ways of being unavailable. */
    try_next(r, status == GRPC_UNAVAILABLE ? -ECONNREFUSED : -ERR_UNAVAILABLE, why);
}

static const struct grpc_events grpc_call_events = {.on_message = on_message,
                                                    .on_end = on_grpc_end};

static int ask_grpc(struct run *r, struct err *err)
{
    int code = open_http(r, true, err);
    if (code != 0) {
        return code;
    }
    const struct pb_health_HealthCheckRequest rq = {.service = r->probe->service};
    r->is_serving = false;
    r->grpc = grpc_call(r->http, PB_HEALTH_HEALTH_CHECK_PATH, NULL, 0, r->probe->timeout_ms + 1000,
                        &grpc_call_events, r);
    grpc_message_max(r->grpc, 65536);
    (void)grpc_send(r->grpc, pb_encode_in(&pb_health_HealthCheckRequest_desc, &rq, &r->arena));
    grpc_half_close(r->grpc); /* a call that has ended already tells so */
    return 0;
}

static void ask(struct run *r)
{
    struct err err;
    int code = 0;
    switch (r->probe->kind) {
    case APP_PROBE_HTTP:
        code = ask_http(r, &err);
        break;
    case APP_PROBE_GRPC:
        code = ask_grpc(r, &err);
        break;
    case APP_PROBE_TCP:
        ask_tcp(r);
        break;
    }
    if (code != 0) {
        fail(r, err.text);
    }
}

/* ---- a request ---- */

/* kubelet names the pod and our port; the application is to see its own. A name that somebody chose is left as it is. */
static struct span authority_of(struct run *r, const struct http_request *rq)
{
    const struct http_stream *s = rq->stream;
    const struct addr *ours =
        &http_conn_io(http_stream_conn((struct http_stream *)(uintptr_t)s))->local;
    struct span host;
    uint16_t port;
    if (r->probe->host.len > 0) {
        return r->probe->host;
    }
    if (url_split_authority(rq->head->authority, &host, &port) != 0 || port != ours->port) {
        return arena_dup(&r->arena, rq->head->authority);
    }
    bool is_v6 = span_find_byte(host, ':') >= 0;
    return span_of(arena_printf(&r->arena, "%s%.*s%s:%u", is_v6 ? "[" : "", SPAN_ARG(host),
                                is_v6 ? "]" : "", r->port));
}

/* kubelet sends the probe's fields to us; those that the probe names win. */
static void copy_fields(struct run *r, const struct head *head)
{
    const struct app_probe *p = r->probe;
    r->fields = arena_array(&r->arena, head->count + p->field_count + 1, sizeof(*r->fields));
    for (size_t i = 0; i < head->count; i++) {
        const struct header *f = &head->fields[i];
        if (header_find(p->fields, p->field_count, f->name) == NULL &&
            !span_is(f->name, "expect")) {
            r->fields[r->field_count++] =
                (struct header){arena_dup(&r->arena, f->name), arena_dup(&r->arena, f->value)};
        }
    }
    for (size_t i = 0; i < p->field_count; i++) {
        r->fields[r->field_count++] = p->fields[i];
    }
}

void app_probes_answer(void *arg, const struct http_request *rq)
{
    struct app_probes *p = arg;
    const struct app_probe *probe = map_get(&p->by_name, rq->path);
    struct span text = SPAN("text/plain; charset=utf-8");
    if (probe == NULL) {
        http_stream_reply(rq->stream, 404, text, SPAN("there is no such probe\n"));
        return;
    }
    if (p->run_count == APP_PROBE_RUNS_MAX) {
        http_stream_reply(rq->stream, BUSY, text, SPAN("too many probes at once\n"));
        return;
    }
    struct run *r = mem_new(struct run);
    r->owner = p;
    r->probe = probe;
    r->stream = rq->stream;
    arena_init(&r->arena, 1024);
    deadline_init(&r->due, on_due);
    list_push_back(&p->runs, &r->node);
    p->run_count++;
    r->tls = probe->tls;
    r->port = probe->port;
    r->path = probe->path;
    r->authority = authority_of(r, rq);
    copy_fields(r, rq->head);
    http_stream_set_events(rq->stream, &stream_events, r);
    deadline_arm(&r->due, p->loop, probe->timeout_ms);
    ask(r);
}

/* ---- life ---- */

int app_probes_new(struct app_probes **out, struct loop *loop, const char *json,
                   const struct app_reach *reach, struct err *err)
{
    struct app_probes *p = mem_new(struct app_probes);
    p->loop = loop;
    p->reach = reach;
    arena_init(&p->arena, 1024);
    map_init(&p->by_name);
    list_init(&p->runs);
    int code = app_probe_read(&p->by_name, &p->arena, json, err);
    if (code != 0) {
        app_probes_free(p);
        return code;
    }
    *out = p;
    return 0;
}

void app_probes_free(struct app_probes *p)
{
    if (p == NULL) {
        return;
    }
    ASSERT(list_is_empty(&p->runs)); /* the server has closed their streams */
    map_dispose(&p->by_name);
    tls_ctx_put(p->tls);
    arena_dispose(&p->arena);
    mem_free(p);
}

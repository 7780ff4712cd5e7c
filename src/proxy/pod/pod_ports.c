/* What a proxy in a pod shows the cluster: see pod_ports.h.
 * In: kubelet, Prometheus. Next: app_probe, app_metrics. */
#include "proxy/pod/pod_ports.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/http_server.h"
#include "proxy/pod/app_metrics.h"
#include "proxy/pod/app_probe.h"

#define TEXT SPAN("text/plain; charset=utf-8")

struct pod_ports {
    struct pod_ports_spec spec; /* its texts are not kept */
    struct app_reach reach;
    struct app_probes *probes;
    struct app_metrics *metrics;
    struct http_server *status, *ready, *stats; /* NULL: off */
};

/* ---- pages ---- */

static void on_ready(void *arg, const struct http_request *rq)
{
    const struct pod_ports *p = arg;
    char text[512];
    const char *why = p->spec.why_not_ready(p->spec.arg);
    if (why == NULL) {
        http_stream_reply(rq->stream, 200, TEXT, SPAN("ready\n"));
        return;
    }
    int len = snprintf(text, sizeof(text), "not ready: %s\n", why);
    http_stream_reply(rq->stream, 503, TEXT,
                      span_from(text, size_min((size_t)len, sizeof(text) - 1)));
}

/* Others in the cluster reach the port, too. */
static bool is_from_pod(const struct http_request *rq)
{
    const struct addr *peer = &http_conn_io(http_stream_conn(rq->stream))->peer;
    if (peer->kind == ADDR_UNIX || (peer->kind == ADDR_IP && ip_is_loopback(&peer->ip))) {
        return true;
    }
    http_stream_reply(rq->stream, 403, TEXT, SPAN("only from within the pod, over loopback\n"));
    return false;
}

static void on_quit(void *arg, const struct http_request *rq)
{
    const struct pod_ports *p = arg;
    if (is_from_pod(rq)) {
        log_info("proxy", "told to quit over the status port");
        http_stream_reply(rq->stream, 200, TEXT, SPAN("OK\n"));
        p->spec.quit(p->spec.arg);
    }
}

static void on_drain(void *arg, const struct http_request *rq)
{
    const struct pod_ports *p = arg;
    if (is_from_pod(rq)) {
        log_info("proxy", "told to drain over the status port");
        http_stream_reply(rq->stream, 200, TEXT, SPAN("OK\n"));
        p->spec.drain(p->spec.arg);
    }
}

/* ---- servers ---- */

/* ":15021" is every address, of IPv4 alone where there is no IPv6. */
static int open_server(struct http_server **out, struct loop *loop, const char *text,
                       const char *option, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    char full[ADDR_TEXT_BYTES];
    bool any = text[0] == ':';
    int len = snprintf(full, sizeof(full), "%s%s", any ? "[::]" : "", text);
    int code = len < 0 || (size_t)len >= sizeof(full)
                   ? err_set(err, -ERR_CONFIG, "'%.64s...' is no address", text)
                   : addr_parse(span_of(full), &where.addr, err);
    if (code != 0) {
        return err_prefix(err, "--%s", option);
    }
    code = http_server_new(out, loop, &where, NULL, err);
    if (any && (code == -EAFNOSUPPORT || code == -EADDRNOTAVAIL)) {
        where.addr.ip = (struct ip){.family = 4};
        code = http_server_new(out, loop, &where, NULL, err);
    }
    if (code != 0) {
        return err_prefix(err, "--%s", option);
    }
    http_server_body_max(*out, 4096);
    addr_format(http_server_addr(*out), full);
    log_info("proxy", "pod port option=%s address=%s", option, full);
    return 0;
}

static int open_status(struct pod_ports *p, struct err *err)
{
    const struct pod_ports_spec *s = &p->spec;
    int code = open_server(&p->status, s->loop, s->status_addr, "status-address", err);
    code = code ? code : app_probes_new(&p->probes, s->loop, s->app_probes, &p->reach, err);
    code = code ? code
                : app_metrics_new(&p->metrics, s->loop, s->registry, s->app_metrics,
                                  http_server_addr(p->status)->port, &p->reach, err);
    if (code == 0) {
        http_server_route(p->status, "GET", "/healthz/ready", false, on_ready, p);
        http_server_route(p->status, "GET", "/stats/prometheus", false, app_metrics_answer,
                          p->metrics);
        http_server_route(p->status, "GET", "/app-health/*", false, app_probes_answer, p->probes);
        http_server_route(p->status, "POST", "/quitquitquit", false, on_quit, p);
        http_server_route(p->status, "POST", "/drain", false, on_drain, p);
    }
    return code;
}

static int open_ready(struct pod_ports *p, struct err *err)
{
    int code = open_server(&p->ready, p->spec.loop, p->spec.ready_addr, "ready-address", err);
    if (code == 0) {
        http_server_route(p->ready, "GET", "/healthz/ready", false, on_ready, p);
    }
    return code;
}

static int open_stats(struct pod_ports *p, struct err *err)
{
    int code = open_server(&p->stats, p->spec.loop, p->spec.stats_addr, "stats-address", err);
    if (code == 0) {
        http_server_route(p->stats, "GET", "/stats/prometheus", false, app_metrics_answer_own,
                          p->spec.registry);
    }
    return code;
}

int pod_ports_new(struct pod_ports **out, const struct pod_ports_spec *spec, struct err *err)
{
    *out = NULL;
    if (spec->status_addr == NULL && spec->ready_addr == NULL && spec->stats_addr == NULL) {
        return 0;
    }
    struct pod_ports *p = mem_new(struct pod_ports);
    p->spec = *spec;
    app_reach_init(&p->reach, spec->own, spec->own_count);
    int code = spec->status_addr != NULL ? open_status(p, err) : 0;
    code = code == 0 && spec->ready_addr != NULL ? open_ready(p, err) : code;
    code = code == 0 && spec->stats_addr != NULL ? open_stats(p, err) : code;
    if (code != 0) {
        pod_ports_free(p);
        return code;
    }
    *out = p;
    return 0;
}

void pod_ports_free(struct pod_ports *p)
{
    if (p == NULL) {
        return;
    }
    http_server_free(p->status);
    http_server_free(p->ready);
    http_server_free(p->stats);
    app_probes_free(p->probes);
    app_metrics_free(p->metrics);
    mem_free(p);
}

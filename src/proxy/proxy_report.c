/* Reports to the control plane: see proxy_report.h. */
#include "proxy/proxy_report.h"

#include "base/mem.h"
#include "proto/core.pb.h"
#include "proxy/report/otlp_export.h"

struct proxy_report {
    struct proxy_report_spec spec;
    struct otlp_export *metrics;
    struct tap_stream *tap; /* NULL once stopped: batches may still come */
};

static struct http_client *client(void *arg)
{
    return proxy_sources_http(((struct proxy_report *)arg)->spec.sources);
}

static void on_batch(void *arg, const struct tap_batch *batch)
{
    struct proxy_report *r = arg;
    if (r->tap != NULL) {
        tap_stream_send(r->tap, batch);
    }
}

static void fetch(void *arg, bool on)
{
    struct proxy_report *r = arg;
    for (unsigned i = 0; i < r->spec.worker_count; i++) {
        proxy_worker_ask_tap(r->spec.workers[i], on, on_batch, r);
    }
}

/* The switch: a resource that is there while somebody watches. */
static int on_extension(void *arg, const struct xds_update *u, struct err *err)
{
    struct proxy_report *r = arg;
    bool is_there = false, is_gone = u->full;
    UNUSED(err);
    for (size_t i = 0; i < u->added_count; i++) {
        is_there = is_there || span_is(u->added[i].name, TAP_RESOURCE);
    }
    for (size_t i = 0; i < u->removed_count; i++) {
        is_gone = is_gone || span_is(u->removed[i], TAP_RESOURCE);
    }
    if (r->tap != NULL && (is_there || is_gone)) {
        tap_stream_set(r->tap, is_there);
    }
    return 0;
}

struct proxy_report *proxy_report_new(const struct proxy_report_spec *spec)
{
    struct proxy_report *r = mem_new(struct proxy_report);
    r->spec = *spec;
    r->metrics = otlp_export_new(&(struct otlp_export_spec){
        .loop = spec->loop,
        .registry = spec->registry,
        .client = client,
        .arg = r,
        .node_id = spec->boot->node_id,
    });
    r->tap = tap_stream_new(&(struct tap_stream_spec){
        .loop = spec->loop,
        .client = client,
        .fetch = fetch,
        .arg = r,
        .node = spec->boot->node_wire,
    });
    proxy_sources_set_other(spec->sources, PB_CORE_TYPED_EXTENSION_CONFIG_URL, on_extension, r);
    proxy_sources_want_other(spec->sources, PB_CORE_TYPED_EXTENSION_CONFIG_URL, SPAN(TAP_RESOURCE),
                             true);
    return r;
}

void proxy_report_stop(struct proxy_report *r)
{
    if (r != NULL) {
        otlp_export_free(r->metrics);
        r->metrics = NULL;
        tap_stream_free(r->tap);
        r->tap = NULL;
    }
}

void proxy_report_free(struct proxy_report *r)
{
    proxy_report_stop(r);
    mem_free(r);
}

/* Probes and scrapes by way of the proxy. In: the merged pod. Next: pod_undo. */
#include "inject/pod_probes.h"

#include <stdio.h>

#include "inject/pod_merge.h"
#include "mesh/names.h"

/* ---- probes ---- */

/* The number of a port: as it is, or the container's port of that name. */
static bool find_port(const struct doc_node *port, const struct doc_node *container, int64_t *out)
{
    const struct doc_node *all = doc_get(container, "ports");
    uint64_t number;
    if (doc_is(port, DOC_INT)) {
        *out = port->integer;
        return true;
    }
    if (!doc_is(port, DOC_TEXT)) {
        return false;
    }
    if (span_to_u64(port->text, &number) && number < 65536) {
        *out = (int64_t)number;
        return true;
    }
    for (size_t i = 0; i < doc_count(all); i++) {
        const struct doc_node *named = doc_get(doc_at(all, i), "containerPort");
        if (doc_eq(doc_get(doc_at(all, i), "name"), port) && doc_is(named, DOC_INT)) {
            *out = named->integer;
            return true;
        }
    }
    return false;
}

struct rewriting {
    const struct doc_node *container;
    struct doc_node *probes; /* path -> original */
    int64_t status_port;
    struct arena *arena;
};

/* The original as the proxy wants it; NULL: it stays where it is. */
static struct doc_node *original_of(struct rewriting *r, const struct doc_node *probe)
{
    static const char *const kinds[] = {"httpGet", "tcpSocket", "grpc"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct doc_node *handler = doc_get(probe, kinds[i]);
        const struct doc_node *host = doc_get(handler, "host");
        const struct doc_node *timeout = doc_get(probe, "timeoutSeconds");
        int64_t port;
        if (!doc_is(handler, DOC_MAP)) {
            continue;
        }
        if ((doc_is(host, DOC_TEXT) && host->text.len > 0) ||
            !find_port(doc_get(handler, "port"), r->container, &port) || port == r->status_port) {
            return NULL;
        }
        struct doc_node *out = doc_new_map(r->arena);
        struct doc_node *copy = doc_set(r->arena, out, kinds[i], doc_dup(r->arena, handler));
        doc_set(r->arena, copy, "port", doc_int(r->arena, port));
        if (doc_is(timeout, DOC_INT)) {
            doc_set(r->arena, out, "timeoutSeconds", doc_dup(r->arena, timeout));
        }
        return out;
    }
    return NULL;
}

static void rewrite_probe(struct rewriting *r, struct doc_node *probe, const char *path)
{
    struct doc_node *original = original_of(r, probe);
    if (original == NULL) {
        return;
    }
    const struct doc_node *fields = doc_path(original, "httpGet.httpHeaders");
    struct doc_node *handler = doc_new_map(r->arena);
    doc_set(r->arena, handler, "path", doc_cstr(r->arena, path));
    doc_set(r->arena, handler, "port", doc_int(r->arena, r->status_port));
    if (fields) {
        doc_set(r->arena, handler, "httpHeaders", doc_dup(r->arena, fields));
    }
    (void)doc_remove(probe, "tcpSocket"); /* one of these is there */
    (void)doc_remove(probe, "grpc");
    doc_set(r->arena, probe, "httpGet", handler);
    doc_set(r->arena, r->probes, path, original);
}

static void rewrite_container(struct rewriting *r, struct doc_node *container)
{
    static const char *const rows[][2] = {
        {"livenessProbe", "livez"}, {"readinessProbe", "readyz"}, {"startupProbe", "startupz"}};
    const struct doc_node *name = doc_get(container, "name");
    if (!doc_is(name, DOC_TEXT) || pod_merge_is_proxy(container)) {
        return;
    }
    r->container = container;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct doc_node *probe = doc_get(container, rows[i][0]);
        if (doc_is(probe, DOC_MAP)) {
            rewrite_probe(
                r, probe,
                arena_printf(r->arena, "/app-health/%.*s/%s", SPAN_ARG(name->text), rows[i][1]));
        }
    }
}

struct doc_node *pod_probes_rewrite(struct doc_node *pod, int64_t status_port, struct arena *arena)
{
    static const char *const lists[] = {"initContainers", "containers"};
    struct rewriting r = {.probes = doc_new_map(arena), .status_port = status_port, .arena = arena};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct doc_node *list = doc_get(doc_get(pod, "spec"), lists[l]);
        for (size_t i = 0; i < doc_count(list); i++) {
            rewrite_container(&r, doc_at(list, i));
        }
    }
    return doc_count(r.probes) > 0 ? r.probes : NULL;
}

/* ---- metrics ---- */

/* "prometheus.io/port", and what Prometheus' relabelling makes the same of: prometheus.io.port, prometheus_io_port. */
static bool is_named(struct span key, struct span name)
{
    if (key.len != name.len) {
        return false;
    }
    for (size_t i = 0; i < key.len; i++) {
        bool mark = name.at[i] == '.' || name.at[i] == '/';
        bool same = key.at[i] == name.at[i] || (mark && (key.at[i] == '.' || key.at[i] == '/' ||
                                                         key.at[i] == '_' || key.at[i] == '-'));
        if (!same) {
            return false;
        }
    }
    return true;
}

/* The value of an annotation under any of its names. */
static struct span annotation(const struct doc_node *all, const char *name, struct arena *arena)
{
    for (size_t i = 0; i < doc_count(all); i++) {
        if (is_named(all->entries[i].key, span_of(name))) {
            return pod_wish_text(all, arena_cstr(arena, all->entries[i].key), arena);
        }
    }
    return SPAN_EMPTY;
}

/* In place of whatever it was called: Prometheus would take any of them. */
static void set_annotation(struct doc_node *all, const char *name, struct span value,
                           struct arena *arena)
{
    for (size_t i = 0; i < doc_count(all);) {
        struct span key = all->entries[i].key;
        if (!is_named(key, span_of(name)) || span_is(key, name) || !doc_remove_span(all, key)) {
            i++;
        }
    }
    doc_set_text(arena, all, name, value);
}

struct doc_node *pod_probes_metrics(struct doc_node *pod, int64_t status_port, struct arena *arena)
{
    struct doc_node *metadata = doc_map_in(arena, pod, "metadata");
    struct doc_node *all = doc_map_in(arena, metadata, "annotations");
    const char *ours = arena_printf(arena, "%lld", (long long)status_port);
    struct span scrape = annotation(all, ANNOTATION_SCRAPE, arena);
    struct span port = annotation(all, ANNOTATION_SCRAPE_PORT, arena);
    struct span path = annotation(all, ANNOTATION_SCRAPE_PATH, arena);
    struct doc_node *own = NULL;
    if ((scrape.at && !span_eq_nocase(scrape, SPAN("true"))) || span_is(port, ours)) {
        return NULL;
    }
    if (scrape.at || port.at || path.at) {
        own = doc_new_map(arena);
        doc_set_text(arena, own, "port", port.len > 0 ? port : SPAN("80"));
        doc_set_text(arena, own, "path", path.len > 0 ? path : SPAN("/metrics"));
    }
    set_annotation(all, ANNOTATION_SCRAPE, SPAN("true"), arena);
    set_annotation(all, ANNOTATION_SCRAPE_PORT, span_of(ours), arena);
    set_annotation(all, ANNOTATION_SCRAPE_PATH, SPAN("/stats/prometheus"), arena);
    return own;
}

/* Dotted names of metrics: see proxy_stats.h. */
#include "proxy/proxy_stats.h"

#include <inttypes.h>

#include "base/instant.h"
#include "base/mem.h"

#define NAME_MAX_BYTES 2048

struct page {
    const struct proxy_stats_want *want;
    struct buf *out;
    bool first;
    int code;
};

static void put_row(struct page *page, struct span name, int64_t value)
{
    bool wanted = page->want->filter.len == 0 || span_find(name, page->want->filter) >= 0;
    if (!wanted || (page->want->used_only && value == 0) || page->code != 0) {
        return;
    }
    if (page->want->json) {
        page->code = buf_printf(page->out, "%s\n  {\"name\": \"%.*s\", \"value\": %" PRId64 "}",
                                page->first ? "" : ",", SPAN_ARG(name), value);
        page->first = false;
    } else {
        page->code = buf_printf(page->out, "%.*s: %" PRId64 "\n", SPAN_ARG(name), value);
    }
}

/* "ssl_handshake" is "ssl.handshake" in Envoy's tree; so are rbac and http2. */
static struct span branch_of(const char *name, const char **leaf)
{
    static const char *const branches[] = {"ssl_", "rbac_", "http2_"};
    for (size_t i = 0; i < ARRAY_LEN(branches); i++) {
        size_t len = strlen(branches[i]);
        if (strncmp(name, branches[i], len) == 0) {
            *leaf = name + len;
            return span_from(name, len - 1);
        }
    }
    *leaf = name;
    return SPAN_EMPTY;
}

/* envoy_GROUP_LEAF{label[, class]} -> GROUP.LABEL.LEAF; LEAF "upstream_rq_xx" with its class: upstream_rq_2xx.
 * A network filter's rbac has its prefix in front: PREFIXrbac.LEAF. */
static size_t dotted(const struct metric_sample *sample, char *to)
{
    const char *group = sample->family->name + strlen("envoy_");
    const char *group_end = strchr(group, '_');
    struct span label = sample->label_values[0];
    const char *leaf;
    struct span branch = branch_of(group_end + 1, &leaf);
    int leaf_len = (int)strlen(leaf);
    struct span klass = SPAN_EMPTY;
    if (sample->family->labels[1] != NULL) {
        klass = sample->label_values[1];
        leaf_len -= 2;
    }
    if (strncmp(group, "rbac_", 5) == 0) {
        return (size_t)snprintf(to, NAME_MAX_BYTES, "%.*srbac.%s", SPAN_ARG(label), leaf);
    }
    return (size_t)snprintf(to, NAME_MAX_BYTES, "%.*s.%.*s.%.*s%s%.*s%.*s%s",
                            (int)(group_end - group), group, SPAN_ARG(label), SPAN_ARG(branch),
                            branch.len > 0 ? "." : "", leaf_len, leaf, SPAN_ARG(klass),
                            klass.len > 0 ? "xx" : "");
}

/* Istio's own, as its Envoy names them: every label and its value. */
static size_t with_labels(const struct metric_sample *sample, char *to)
{
    size_t len = (size_t)snprintf(to, NAME_MAX_BYTES, "%s", sample->family->name);
    const char *const *labels = sample->family->labels;
    for (size_t i = 0; labels != NULL && labels[i] != NULL && len < NAME_MAX_BYTES; i++) {
        len += (size_t)snprintf(to + len, NAME_MAX_BYTES - len, ".%s.%.*s", labels[i],
                                SPAN_ARG(sample->label_values[i]));
    }
    return len;
}

static void put_sample(void *arg, const struct metric_sample *sample)
{
    char name[NAME_MAX_BYTES];
    bool envoys = strncmp(sample->family->name, "envoy_", 6) == 0;
    size_t len = envoys ? dotted(sample, name) : with_labels(sample, name);
    put_row(arg, span_from(name, size_min(len, sizeof(name) - 1)), sample->value);
}

static void put_updates(struct page *page, const char *prefix,
                        const uint64_t counts[PROXY_UPDATE_COUNT])
{
    static const char *const names[] = {"update_attempt", "update_success", "update_rejected",
                                        "update_failure"};
    for (size_t i = 0; i < PROXY_UPDATE_COUNT; i++) {
        char name[128];
        int len = snprintf(name, sizeof(name), "%s.%s", prefix, names[i]);
        put_row(page, span_from(name, (size_t)len), (int64_t)counts[i]);
    }
}

static void put_server(struct page *page, const struct proxy_admin_view *view)
{
    const struct snapshot *s = view->snapshot(view->arg);
    const struct proxy_numbers *n = view->numbers;
    enum proxy_state state = view->state(view->arg);
    int64_t clusters = 0;
    for (size_t i = 0; s != NULL && i < s->slots; i++) {
        clusters += s->clusters[i] != NULL;
    }
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"server.live", state == PROXY_LIVE},
        {"server.state", state == PROXY_LIVE       ? 0
                         : state == PROXY_DRAINING ? 1
                                                   : 2},
        {"server.uptime", (instant_wall_us() - view->started_us) / 1000000},
        {"server.concurrency", view->worker_count},
        {"server.memory_allocated", (int64_t)mem_live_bytes()},
        {"listener_manager.total_listeners_active", s != NULL ? (int64_t)s->listener_count : 0},
        {"cluster_manager.active_clusters", clusters},
        {"listener_manager.listener_added", (int64_t)n->listeners_added},
        {"listener_manager.listener_modified", (int64_t)n->listeners_modified},
        {"listener_manager.listener_removed", (int64_t)n->listeners_removed},
        {"listener_manager.listener_create_failure", (int64_t)n->listener_create_failures},
        {"control_plane.connected_state", (int64_t)n->cp_connected},
        {"mesh.snapshots", (int64_t)n->snapshots},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put_row(page, span_of(rows[i].name), rows[i].value);
    }
    struct overload_gauge gauges[OVERLOAD_GAUGES];
    size_t count = overload_gauges(view->overload, gauges);
    for (size_t i = 0; i < count; i++) {
        put_row(page, span_of(gauges[i].name), gauges[i].value);
    }
    put_updates(page, "listener_manager.lds", n->lds);
    put_updates(page, "cluster_manager.cds", n->cds);
}

int proxy_stats_write(const struct proxy_admin_view *view, const struct proxy_stats_want *want,
                      struct buf *out)
{
    struct page page = {.want = want, .out = out, .first = true};
    page.code = want->json ? buf_append_span(out, SPAN("{\"stats\": [")) : 0;
    put_server(&page, view);
    metric_each(view->registry, put_sample, &page);
    return page.code || !want->json ? page.code : buf_append_span(out, SPAN("\n]}\n"));
}

/* Settings of all proxies. In: a YAML map. Next: pod_wish. */
#include "inject/inject_settings.h"

#include "inject/pod_wish.h"
#include "mesh/names.h"
#include "model/near.h"
#include "version.h"

#define NATIVE_SINCE 29 /* Kubernetes 1.29: SidecarContainers is on by default */

enum row_type { ROW_TEXT, ROW_BOOL, ROW_INT, ROW_LIST, ROW_MAP };
struct row {
    const char *key;
    enum row_type type;
    size_t offset;
    int64_t max; /* ROW_INT */
};

#define AT(field) offsetof(struct inject_settings, field)
static const struct row rows[] = {
    {"image", ROW_TEXT, AT(image), 0},
    {"pullPolicy", ROW_TEXT, AT(pull_policy), 0},
    {"pullSecrets", ROW_LIST, AT(pull_secrets), 0},
    {"trustDomain", ROW_TEXT, AT(trust_domain), 0},
    {"clusterId", ROW_TEXT, AT(cluster_id), 0},
    {"control", ROW_TEXT, AT(control), 0},
    {"revision", ROW_TEXT, AT(revision), 0},
    {"logLevel", ROW_TEXT, AT(log_level), 0},
    {"byDefault", ROW_BOOL, AT(by_default), 0},
    {"native", ROW_BOOL, AT(native), 0},
    {"dnsCapture", ROW_BOOL, AT(dns_capture), 0},
    {"hold", ROW_BOOL, AT(hold), 0},
    {"rewriteProbes", ROW_BOOL, AT(rewrite_probes), 0},
    {"mergeMetrics", ROW_BOOL, AT(merge_metrics), 0},
    {"concurrency", ROW_INT, AT(concurrency), 256},
    {"drainSeconds", ROW_INT, AT(drain_s), 86400},
    {"interception", ROW_TEXT, AT(interception), 0},
    {"includeOutboundIPRanges", ROW_TEXT, AT(include_outbound_ranges), 0},
    {"excludeOutboundIPRanges", ROW_TEXT, AT(exclude_outbound_ranges), 0},
    {"includeInboundPorts", ROW_TEXT, AT(include_inbound_ports), 0},
    {"excludeInboundPorts", ROW_TEXT, AT(exclude_inbound_ports), 0},
    {"excludeOutboundPorts", ROW_TEXT, AT(exclude_outbound_ports), 0},
    {"resources", ROW_MAP, AT(resources), 0},
    {"gatewayResources", ROW_MAP, AT(gateway_resources), 0},
    {"env", ROW_LIST, AT(env), 0},
    {"templates", ROW_MAP, AT(templates), 0},
};

/* A sidecar idles at 4 to 6 MB and needs what its connections need (about 40 kB each with TLS): the request is what it has for sure, the limit
 * a bound for mishaps. A CPU limit as Istio has it, since namespaces with quotas want one, and two workers can not use more. */
static struct doc_node *resources(struct arena *arena, const char *cpu, const char *memory,
                                  const char *most_cpu, const char *most_memory)
{
    struct doc_node *out = doc_new_map(arena);
    struct doc_node *requests = doc_map_in(arena, out, "requests");
    doc_set_text(arena, requests, "cpu", span_of(cpu));
    doc_set_text(arena, requests, "memory", span_of(memory));
    struct doc_node *limits = doc_map_in(arena, out, "limits");
    doc_set_text(arena, limits, "cpu", span_of(most_cpu));
    doc_set_text(arena, limits, "memory", span_of(most_memory));
    return out;
}

void inject_settings_init(struct inject_settings *s, struct arena *arena)
{
    *s = (struct inject_settings){
        .image = SPAN("mesh:" MESH_VERSION),
        .trust_domain = SPAN(MESH_TRUST_DOMAIN),
        .cluster_id = SPAN("Kubernetes"),
        .control = SPAN("mesh-control." MESH_SYSTEM_NAMESPACE ".svc:15012"),
        .revision = SPAN("default"),
        .log_level = SPAN("info"),
        .native = true,
        .dns_capture = true,
        .hold = true,
        .rewrite_probes = true,
        .merge_metrics = true,
        .concurrency = 2,
        .drain_s = 5,
        .interception = SPAN("REDIRECT"),
        .include_outbound_ranges = SPAN("*"),
        .include_inbound_ports = SPAN("*"),
        .resources = resources(arena, "10m", "24Mi", "2", "512Mi"),
        .gateway_resources = resources(arena, "50m", "32Mi", "2", "1Gi"),
    };
}

void inject_settings_for_cluster(struct inject_settings *s, int minor)
{
    s->native = s->native && minor >= NATIVE_SINCE;
}

/* ---- reading ---- */

static int read_row(void *to, const struct row *row, const struct doc_node *doc, struct err *err)
{
    char *at = (char *)to + row->offset;
    struct doc_node *node = NULL;
    int code = 0;
    switch (row->type) {
    case ROW_TEXT:
        return doc_read_text(doc, row->key, (struct span *)(void *)at, err);
    case ROW_BOOL:
        return doc_read_bool(doc, row->key, (bool *)at, err);
    case ROW_INT:
        return doc_read_int(doc, row->key, 0, row->max, (int64_t *)(void *)at, err);
    case ROW_LIST:
        code = doc_read_list(doc, row->key, &node, err);
        break;
    case ROW_MAP:
        code = doc_read_map(doc, row->key, &node, err);
        break;
    }
    if (code == 0 && node) {
        *(const struct doc_node **)(void *)at = node;
    }
    return code;
}

static int refuse_unknown(const struct doc_node *doc, const struct doc_entry *e,
                          struct arena *arena, struct err *err)
{
    struct near near;
    near_init(&near, e->key);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        near_try(&near, span_of(rows[i].key));
    }
    const char *key = arena_cstr(arena, e->key);
    return doc_refuse(doc, key, e->value, err,
                      near.best.at
                          ? arena_printf(arena, "there is no such setting; did you mean '%.*s'?",
                                         SPAN_ARG(near.best))
                          : "there is no such setting");
}

static int read_all(struct inject_settings *s, const struct doc_node *doc, struct arena *arena,
                    struct err *err)
{
    for (size_t i = 0; i < doc_count(doc); i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(rows) && !known; k++) {
            known = span_is(doc->entries[i].key, rows[k].key);
        }
        if (!known) {
            return refuse_unknown(doc, &doc->entries[i], arena, err);
        }
    }
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows) && code == 0; i++) {
        code = read_row(s, &rows[i], doc, err);
    }
    return code;
}

/* What annotations may hold, settings may: the same checks, by way of a pod that asks for all of it. */
static int check(struct inject_settings *s, struct arena *arena, struct err *err)
{
    static const struct {
        const char *annotation;
        size_t offset;
    } same[] = {
        {"mesh.io/logLevel", AT(log_level)},
        {"mesh.io/proxyImage", AT(image)},
        {"mesh.io/interceptionMode", AT(interception)},
        {"mesh.io/includeOutboundIPRanges", AT(include_outbound_ranges)},
        {"mesh.io/excludeOutboundIPRanges", AT(exclude_outbound_ranges)},
        {"mesh.io/includeInboundPorts", AT(include_inbound_ports)},
        {"mesh.io/excludeInboundPorts", AT(exclude_inbound_ports)},
        {"mesh.io/excludeOutboundPorts", AT(exclude_outbound_ports)},
    };
    struct doc_node *pod = doc_new_map(arena);
    struct doc_node *metadata = doc_map_in(arena, pod, "metadata");
    struct doc_node *annotations = doc_map_in(arena, metadata, "annotations");
    struct inject_answer answer = {.notes = NULL};
    const struct inject_subject subject = {.pod = pod};
    struct pod_wish w;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        const char *at = (const char *)s + same[i].offset;
        doc_set_text(arena, annotations, same[i].annotation,
                     *(const struct span *)(const void *)at);
    }
    if (pod_wish_read(&w, &subject, s, arena, &answer) != 0) {
        return err_set(err, -ERR_CONFIG, "settings: %s", answer.why);
    }
    s->interception = w.interception;
    s->log_level = w.log_level;
    return 0;
}

int inject_settings_read(struct inject_settings *s, const struct doc_node *doc, struct arena *arena,
                         struct err *err)
{
    struct inject_settings next = *s;
    if (doc && doc->kind != DOC_NULL && doc->kind != DOC_MAP) {
        return err_set(err, -ERR_CONFIG, "settings of the injector: want a map");
    }
    int code = read_all(&next, doc, arena, err);
    code = code ? code : check(&next, arena, err);
    if (code == 0) {
        *s = next;
    }
    return code;
}

/* ---- writing ---- */

struct doc_node *inject_settings_doc(const struct inject_settings *s, struct arena *arena)
{
    struct doc_node *out = doc_new_map(arena);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const void *at = (const char *)s + rows[i].offset;
        const struct doc_node *node = NULL;
        switch (rows[i].type) {
        case ROW_TEXT:
            doc_set_text(arena, out, rows[i].key, *(const struct span *)at);
            break;
        case ROW_BOOL:
            doc_set(arena, out, rows[i].key, doc_bool(arena, *(const bool *)at));
            break;
        case ROW_INT:
            doc_set(arena, out, rows[i].key, doc_int(arena, *(const int64_t *)at));
            break;
        case ROW_LIST:
        case ROW_MAP:
            node = *(struct doc_node *const *)at;
            break;
        }
        if (node) {
            doc_set(arena, out, rows[i].key, doc_dup(arena, node));
        }
    }
    return out;
}

/* Annotations of a pod. In: the pod and the settings. Next: pod_values. */
#include "inject/pod_wish.h"

#include <stdio.h>

#include "codec/ip.h"
#include "mesh/names.h"
#include "mesh/ports.h"
#include "model/near.h"
#include "model/reader.h"

#define ITEMS_MAX 256 /* of one list of ports, ranges or names: what `mesh init` takes */
#define MESH_PREFIX "mesh.io/"

struct reading {
    struct pod_wish *w;
    const struct inject_settings *settings;
    struct arena *arena;
    struct inject_answer *answer;
    struct doc_node *resources; /* that annotations name; NULL = none do */
    const char *name;           /* of the annotation in hand, as written */
    struct span value;
};

/* ---- what is said about them ---- */

void pod_wish_note(struct inject_answer *answer, struct arena *arena, unsigned code,
                   const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut to fit */
    va_end(args);
    struct inject_note *note = arena_new(arena, struct inject_note);
    *note = (struct inject_note){.code = code, .text = arena_strdup(arena, text)};
    struct inject_note **last = &answer->notes;
    while (*last) {
        last = &(*last)->next;
    }
    *last = note;
}

static int refuse(struct reading *r, const char *want)
{
    struct span shown = span_first(r->value, 100);
    *r->answer = (struct inject_answer){
        .outcome = INJECT_REFUSE,
        .code = 1210,
        .why = arena_printf(r->arena, "annotation %s is '%.*s%s'; want %s", r->name,
                            SPAN_ARG(shown), shown.len < r->value.len ? "..." : "", want),
        .fix = "correct the annotation in the pod's template, or remove it",
        .rule = "",
    };
    return -ERR_CONFIG;
}

static void say_no_effect(struct reading *r, const char *why)
{
    pod_wish_note(r->answer, r->arena, 1219, "annotation %s has no effect: %s", r->name, why);
}

struct span pod_wish_text(const struct doc_node *map, const char *key, struct arena *arena)
{
    const struct doc_node *node = doc_get(map, key);
    if (doc_is(node, DOC_TEXT)) {
        return node->text;
    }
    if (doc_is(node, DOC_BOOL)) {
        return node->boolean ? SPAN("true") : SPAN("false");
    }
    return doc_is(node, DOC_INT) ? span_of(arena_printf(arena, "%lld", (long long)node->integer))
                                 : SPAN_EMPTY;
}

/* ---- kinds of values ---- */

static int read_bool(struct reading *r, void *to)
{
    bool yes = span_eq_nocase(r->value, SPAN("true"));
    if (!yes && !span_eq_nocase(r->value, SPAN("false"))) {
        return refuse(r, "true or false");
    }
    *(bool *)to = yes;
    return 0;
}

static int read_number(struct reading *r, void *to)
{
    uint64_t value;
    if (!span_to_u64(r->value, &value) || value > 65535) {
        return refuse(r, "a whole number, 0 to 65535");
    }
    *(int64_t *)to = (int64_t)value;
    return 0;
}

static int read_workers(struct reading *r, void *to)
{
    int64_t value = 0;
    int code = read_number(r, &value);
    if (code == 0 && value > 256) {
        return refuse(r, "0 (by CPU quota) to 256");
    }
    *(int64_t *)to = value;
    return code;
}

static int read_seconds(struct reading *r, void *to)
{
    int64_t ms = reader_text_duration(r->value);
    if (ms < 0 || ms > 86400000) {
        return refuse(r, "a length of time such as 5s or 1m30s, at most 24h");
    }
    *(int64_t *)to = (ms + 999) / 1000;
    return 0;
}

static bool is_port(struct span text)
{
    uint64_t value;
    return span_to_u64(text, &value) && value > 0 && value <= 65535;
}

static bool is_range(struct span text)
{
    struct cidr cidr;
    return cidr_parse(text, &cidr) == 0;
}

static bool is_interface(struct span text)
{
    return text.len <= 15 && span_find_byte(text, '/') < 0;
}

static int read_items(struct reading *r, void *to, bool (*is_good)(struct span), const char *want)
{
    size_t count = 0;
    for (struct span rest = r->value; rest.at != NULL;) {
        struct span one = span_trim(span_cut(&rest, ','));
        if (one.len > 0 && (!is_good(one) || ++count > ITEMS_MAX)) {
            return refuse(r, want);
        }
    }
    *(struct span *)to = count > 0 ? r->value : SPAN("");
    return 0;
}

static int read_ports(struct reading *r, void *to)
{
    return read_items(r, to, is_port, "ports 1 to 65535 with commas between, at most 256");
}

static int read_ports_or_all(struct reading *r, void *to)
{
    if (span_is(span_trim(r->value), "*")) {
        *(struct span *)to = SPAN("*");
        return 0;
    }
    return read_items(r, to, is_port,
                      "*, nothing, or ports 1 to 65535 with commas between, at most 256");
}

static int read_ranges(struct reading *r, void *to)
{
    return read_items(r, to, is_range,
                      "ranges such as 10.0.0.0/8 with commas between, at most 256");
}

static int read_ranges_or_all(struct reading *r, void *to)
{
    if (span_is(span_trim(r->value), "*")) {
        *(struct span *)to = SPAN("*");
        return 0;
    }
    return read_items(r, to, is_range,
                      "*, nothing, or ranges such as 10.0.0.0/8 with commas between, at most 256");
}

static int read_interfaces(struct reading *r, void *to)
{
    return read_items(r, to, is_interface, "names of interfaces with commas between, at most 256");
}

/* A quantity of Kubernetes: 100m, 0.5, 64Mi, 1e3. */
static bool is_quantity(struct span text)
{
    static const char *const units[] = {"",  "m",  "k",  "M",  "G",  "T",  "P",  "E",
                                        "n", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "u"};
    size_t i = 0, digits = 0, dots = 0;
    for (; i < text.len && ((text.at[i] >= '0' && text.at[i] <= '9') || text.at[i] == '.'); i++) {
        dots += text.at[i] == '.';
        digits += text.at[i] != '.';
    }
    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        if (span_is(span_from_offset(text, i), units[u])) {
            return digits > 0 && digits < 16 && dots <= 1;
        }
    }
    return false;
}

static int read_quantity(struct reading *r, const char *group, const char *what)
{
    if (!is_quantity(r->value)) {
        return refuse(r, "a quantity such as 100m, 0.5 or 64Mi");
    }
    if (!r->resources) {
        r->resources = doc_new_map(r->arena);
    }
    doc_set_text(r->arena, doc_map_in(r->arena, r->resources, group), what, r->value);
    return 0;
}

static int read_cpu(struct reading *r, void *to)
{
    UNUSED(to);
    return read_quantity(r, "requests", "cpu");
}

static int read_memory(struct reading *r, void *to)
{
    UNUSED(to);
    return read_quantity(r, "requests", "memory");
}

static int read_cpu_limit(struct reading *r, void *to)
{
    UNUSED(to);
    return read_quantity(r, "limits", "cpu");
}

static int read_memory_limit(struct reading *r, void *to)
{
    UNUSED(to);
    return read_quantity(r, "limits", "memory");
}

static int read_image(struct reading *r, void *to)
{
    if (r->value.len == 0 || span_find_byte(r->value, ' ') >= 0) {
        return refuse(r, "the name of an image");
    }
    if (span_find(r->value, SPAN("proxyv2")) >= 0) {
        say_no_effect(r, "it names Istio's proxy; ours is used");
        return 0;
    }
    *(struct span *)to = r->value;
    return 0;
}

static int read_interception(struct reading *r, void *to)
{
    if (span_eq_nocase(r->value, SPAN("TPROXY"))) {
        pod_wish_note(r->answer, r->arena, 1219,
                      "annotation %s is TPROXY; REDIRECT is used instead: the application does "
                      "not see the caller's address, but x-forwarded-for",
                      r->name);
        *(struct span *)to = SPAN("REDIRECT");
        return 0;
    }
    bool none = span_eq_nocase(r->value, SPAN("NONE"));
    if (!none && !span_eq_nocase(r->value, SPAN("REDIRECT"))) {
        return refuse(r, "REDIRECT, TPROXY or NONE");
    }
    *(struct span *)to = none ? SPAN("NONE") : SPAN("REDIRECT");
    return 0;
}

/* Envoy's words for ours: warning, trace, critical, off. */
static const char *level_of(struct span word)
{
    static const char *const rows[][2] = {
        {"error", "error"},  {"warn", "warn"},   {"info", "info"},      {"debug", "debug"},
        {"warning", "warn"}, {"trace", "debug"}, {"critical", "error"}, {"off", "error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (span_is(word, rows[i][0])) {
            return rows[i][1];
        }
    }
    return NULL;
}

static bool is_area(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.at[i] < 'a' || text.at[i] > 'z') && text.at[i] != '_') {
            return false;
        }
    }
    return text.len > 0 && text.len < 32;
}

static int read_level(struct reading *r, void *to)
{
    const char *all = "";
    for (struct span rest = r->value; rest.at != NULL;) {
        struct span word = span_trim(span_cut(&rest, ','));
        ssize_t colon = span_find_byte(word, ':');
        struct span area = colon < 0 ? SPAN_EMPTY : span_first(word, (size_t)colon);
        const char *level = level_of(span_from_offset(word, (size_t)(colon + 1)));
        if (!level || (colon >= 0 && !is_area(area)) || strlen(all) > 256) {
            return refuse(r, "error, warn, info or debug; or by area: info,xds:debug");
        }
        all = arena_printf(r->arena, "%s%s%.*s%s%s", all, *all ? "," : "", SPAN_ARG(area),
                           colon < 0 ? "" : ":", level);
    }
    *(struct span *)to = span_of(all);
    return 0;
}

/* Istio's form: JSON, a map of names to volumes (or mounts). */
static int read_named(struct reading *r, void *to)
{
    struct doc_node *doc;
    struct err err;
    if (doc_parse_json(r->arena, r->value, r->name, &doc, &err) != 0 || doc->kind != DOC_MAP) {
        return refuse(r, "a JSON map of names: {\"NAME\": {...}}");
    }
    struct doc_node *list = doc_new_list(r->arena);
    for (size_t i = 0; i < doc_count(doc); i++) {
        if (doc->entries[i].value->kind != DOC_MAP) {
            return refuse(r, "a JSON map of maps: {\"NAME\": {...}}");
        }
        struct doc_node *one = doc_list_add(r->arena, list, doc_new_map(r->arena));
        doc_set_text(r->arena, one, "name", doc->entries[i].key);
        for (size_t k = 0; k < doc_count(doc->entries[i].value); k++) {
            const struct doc_entry *e = &doc->entries[i].value->entries[k];
            doc_set_span(r->arena, one, e->key, e->value);
        }
    }
    *(const struct doc_node **)to = list;
    return 0;
}

static int unknown_template(struct reading *r, struct span name)
{
    struct near near;
    near_init(&near, name);
    near_try(&near, SPAN("sidecar"));
    near_try(&near, SPAN("gateway"));
    for (size_t i = 0; i < doc_count(r->settings->templates); i++) {
        near_try(&near, r->settings->templates->entries[i].key);
    }
    const char *hint =
        near.best.at ? arena_printf(r->arena, "; did you mean '%.*s'?", SPAN_ARG(near.best)) : "";
    (void)refuse(r, arena_printf(r->arena,
                                 "sidecar, gateway, or a name of `templates` in the settings%s",
                                 hint));
    r->answer->code = 1215;
    return -ERR_CONFIG;
}

static int read_templates(struct reading *r, void *to)
{
    UNUSED(to);
    size_t room = doc_count(r->settings->templates);
    r->w->templates = arena_array(r->arena, room + 1, sizeof(struct doc_node *));
    for (struct span rest = r->value; rest.at != NULL;) {
        struct span name = span_trim(span_cut(&rest, ','));
        const struct doc_node *own = doc_get_span(r->settings->templates, name);
        if (span_is(name, "gateway")) {
            r->w->gateway = true;
        } else if (own && r->w->template_count < room) {
            r->w->templates[r->w->template_count++] = own;
        } else if (!span_is(name, "sidecar")) {
            return unknown_template(r, name);
        }
    }
    return 0;
}

/* ---- proxy.istio.io/config ---- */

static int read_config(struct reading *r, void *to);

/* ---- all of them ---- */

struct row {
    const char *prefix;                       /* Istio's; NULL = there is none */
    const char *name;                         /* also of mesh.io/ */
    int (*read)(struct reading *r, void *to); /* NULL: it has no effect */
    size_t offset;
    const char *why; /* it has none */
};

#define AT(field) offsetof(struct pod_wish, field)
#define SIDECAR "sidecar.istio.io/"
#define TRAFFIC "traffic.sidecar.istio.io/"
#define READINESS "readiness.status.sidecar.istio.io/"
static const struct row rows[] = {
    {"proxy.istio.io/", "config", read_config, 0, NULL}, /* first: the others win */
    {SIDECAR, "proxyCPU", read_cpu, 0, NULL},
    {SIDECAR, "proxyMemory", read_memory, 0, NULL},
    {SIDECAR, "proxyCPULimit", read_cpu_limit, 0, NULL},
    {SIDECAR, "proxyMemoryLimit", read_memory_limit, 0, NULL},
    {SIDECAR, "proxyImage", read_image, AT(image), NULL},
    {SIDECAR, "logLevel", read_level, AT(log_level), NULL},
    {SIDECAR, "interceptionMode", read_interception, AT(interception), NULL},
    {SIDECAR, "rewriteAppHTTPProbers", read_bool, AT(rewrite_probes), NULL},
    {SIDECAR, "nativeSidecar", read_bool, AT(native), NULL},
    {SIDECAR, "userVolume", read_named, AT(user_volumes), NULL},
    {SIDECAR, "userVolumeMount", read_named, AT(user_mounts), NULL},
    {TRAFFIC, "includeInboundPorts", read_ports_or_all, AT(include_inbound_ports), NULL},
    {TRAFFIC, "excludeInboundPorts", read_ports, AT(exclude_inbound_ports), NULL},
    {TRAFFIC, "excludeOutboundPorts", read_ports, AT(exclude_outbound_ports), NULL},
    {TRAFFIC, "includeOutboundPorts", read_ports, AT(include_outbound_ports), NULL},
    {TRAFFIC, "includeOutboundIPRanges", read_ranges_or_all, AT(include_outbound_ranges), NULL},
    {TRAFFIC, "excludeOutboundIPRanges", read_ranges, AT(exclude_outbound_ranges), NULL},
    {TRAFFIC, "excludeInterfaces", read_interfaces, AT(exclude_interfaces), NULL},
    {"prometheus.istio.io/", "merge-metrics", read_bool, AT(merge_metrics), NULL},
    {"inject.istio.io/", "templates", read_templates, 0, NULL},
    {"status.sidecar.istio.io/", "port", read_number, AT(status_port), NULL},
    {READINESS, "initialDelaySeconds", read_number, AT(ready_delay_s), NULL},
    {READINESS, "periodSeconds", read_number, AT(ready_period_s), NULL},
    {READINESS, "failureThreshold", read_number, AT(ready_failures), NULL},
    {NULL, "concurrency", read_workers, AT(concurrency), NULL},
    {NULL, "holdApplicationUntilProxyStarts", read_bool, AT(hold), NULL},
    {NULL, "terminationDrainDuration", read_seconds, AT(drain_s), NULL},
    {NULL, "dnsCapture", read_bool, AT(dns_capture), NULL},
    {TRAFFIC, "kubevirtInterfaces", NULL, 0, "virtual machines in pods are not redirected"},
    {SIDECAR, "proxyImageType", NULL, 0, "there is one image"},
    {SIDECAR, "componentLogLevel", NULL, 0, "write logLevel: info,xds:debug"},
    {SIDECAR, "agentLogLevel", NULL, 0, "there is no agent beside the proxy"},
    {SIDECAR, "bootstrapOverride", NULL, 0, "the proxy has no bootstrap file"},
    {SIDECAR, "statsHistogramBuckets", NULL, 0, "the buckets of histograms are fixed"},
    {SIDECAR, "statsEvictionInterval", NULL, 0, "numbers are kept while the proxy runs"},
};
/* Known, and read elsewhere. */
static const char *const others[] = {LABEL_INJECT, MESH_PREFIX "inject", ANNOTATION_STATUS};

static bool is_row(const struct row *row, struct span name)
{
    struct span tail = span_of(row->name);
    struct span prefix = row->prefix ? span_of(row->prefix) : SPAN(MESH_PREFIX);
    bool theirs = span_starts(name, prefix) && span_eq(span_from_offset(name, prefix.len), tail);
    return theirs || (span_starts(name, SPAN(MESH_PREFIX)) && !span_is(tail, "port") &&
                      span_eq(span_from_offset(name, sizeof(MESH_PREFIX) - 1), tail));
}

/* One of these families that nobody knows: most likely a slip. */
static void say_unknown(struct reading *r, struct span name)
{
    static const char *const families[] = {SIDECAR, TRAFFIC, READINESS, MESH_PREFIX};
    struct near near;
    bool ours = false;
    near_init(&near, name);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        ours = ours || span_starts(name, span_of(families[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *prefix = rows[i].prefix ? rows[i].prefix : MESH_PREFIX;
        near_try(&near, span_of(arena_printf(r->arena, "%s%s", prefix, rows[i].name)));
        near_try(&near, span_of(arena_printf(r->arena, MESH_PREFIX "%s", rows[i].name)));
    }
    if (ours && near.best.at) {
        pod_wish_note(r->answer, r->arena, 1219, "annotation %.*s is not known; did you mean %.*s?",
                      SPAN_ARG(name), SPAN_ARG(near.best));
    }
}

static int read_row(struct reading *r, const struct row *row, const struct doc_node *annotations,
                    const char *name)
{
    struct span value = pod_wish_text(annotations, name, r->arena);
    if (value.at == NULL) {
        return 0;
    }
    r->name = name;
    r->value = value;
    if (row->read == NULL) {
        say_no_effect(r, row->why);
        return 0;
    }
    return row->read(r, (char *)r->w + row->offset);
}

static int read_annotations(struct reading *r, const struct doc_node *annotations)
{
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows) && code == 0; i++) {
        if (rows[i].prefix) {
            code = read_row(r, &rows[i], annotations,
                            arena_printf(r->arena, "%s%s", rows[i].prefix, rows[i].name));
        }
        if (code == 0 && strcmp(rows[i].name, "port") != 0) {
            code = read_row(r, &rows[i], annotations,
                            arena_printf(r->arena, MESH_PREFIX "%s", rows[i].name));
        }
    }
    for (size_t i = 0; i < doc_count(annotations) && code == 0; i++) {
        struct span name = annotations->entries[i].key;
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            known = known || is_row(&rows[k], name);
        }
        for (size_t k = 0; k < ARRAY_LEN(others); k++) {
            known = known || span_is(name, others[k]);
        }
        if (!known) {
            say_unknown(r, name);
        }
    }
    return code;
}

static const struct {
    const char *name;
    int (*read)(struct reading *r, void *to);
    size_t offset;
} config_rows[] = {
    {"concurrency", read_workers, AT(concurrency)},
    {"holdApplicationUntilProxyStarts", read_bool, AT(hold)},
    {"terminationDrainDuration", read_seconds, AT(drain_s)},
    {"interceptionMode", read_interception, AT(interception)},
    {"statusPort", read_number, AT(status_port)},
};

static int read_metadata(struct reading *r, const struct doc_node *map)
{
    static const char dns[] = "ISTIO_META_DNS_CAPTURE";
    const char *name = r->name;
    int code = 0;
    for (size_t i = 0; i < doc_count(map) && code == 0; i++) {
        struct span key = map->entries[i].key;
        r->name = arena_printf(r->arena, "%s: proxyMetadata.%.*s", name, SPAN_ARG(key));
        if (span_is(key, dns)) {
            r->value = pod_wish_text(map, dns, r->arena);
            code = read_bool(r, &r->w->dns_capture);
        } else {
            say_no_effect(r, "the proxy knows no such variable");
        }
    }
    return code;
}

static int read_config_key(struct reading *r, const struct doc_node *doc, const char *name,
                           struct span key)
{
    r->name = arena_printf(r->arena, "%s: %.*s", name, SPAN_ARG(key));
    if (span_is(key, "proxyMetadata")) {
        return read_metadata(r, doc_get_span(doc, key));
    }
    for (size_t i = 0; i < ARRAY_LEN(config_rows); i++) {
        if (span_is(key, config_rows[i].name)) {
            r->value = pod_wish_text(doc, config_rows[i].name, r->arena);
            return config_rows[i].read(r, (char *)r->w + config_rows[i].offset);
        }
    }
    say_no_effect(r, "a proxy of ours has no such setting");
    return 0;
}

static int read_config(struct reading *r, void *to)
{
    const char *name = r->name;
    struct doc_node *doc;
    struct err err;
    UNUSED(to);
    if (doc_parse_yaml(r->arena, r->value, "config", &doc, &err) != 0) {
        return refuse(r, arena_printf(r->arena, "a ProxyConfig in YAML: %s", err.text));
    }
    if (doc->kind != DOC_MAP && doc->kind != DOC_NULL) {
        return refuse(r, "a ProxyConfig in YAML: 'concurrency: 2'");
    }
    int code = 0;
    for (size_t i = 0; i < doc_count(doc) && code == 0; i++) {
        code = read_config_key(r, doc, name, doc->entries[i].key);
    }
    return code;
}

/* ---- together ---- */

static void start(struct pod_wish *w, const struct inject_settings *s)
{
    *w = (struct pod_wish){
        .native = s->native,
        .hold = s->hold,
        .rewrite_probes = s->rewrite_probes,
        .merge_metrics = s->merge_metrics,
        .dns_capture = s->dns_capture,
        .image = s->image,
        .log_level = s->log_level,
        .interception = s->interception,
        .concurrency = -1,
        .drain_s = s->drain_s,
        .status_port = PORT_MERGED_STATS,
        .ready_period_s = 15,
        .ready_failures = 4,
        .include_inbound_ports = s->include_inbound_ports,
        .exclude_inbound_ports = s->exclude_inbound_ports,
        .exclude_outbound_ports = s->exclude_outbound_ports,
        .include_outbound_ranges = s->include_outbound_ranges,
        .exclude_outbound_ranges = s->exclude_outbound_ranges,
    };
}

int pod_wish_read(struct pod_wish *w, const struct inject_subject *subject,
                  const struct inject_settings *settings, struct arena *arena,
                  struct inject_answer *answer)
{
    struct reading r = {.w = w, .settings = settings, .arena = arena, .answer = answer};
    const struct doc_node *annotations = doc_path(subject->pod, "metadata.annotations");
    start(w, settings);
    int code = read_annotations(&r, annotations);
    if (w->concurrency < 0) {
        w->concurrency = w->gateway ? 0 : settings->concurrency;
    }
    w->resources = r.resources  ? r.resources
                   : w->gateway ? settings->gateway_resources
                                : settings->resources;
    return code;
}

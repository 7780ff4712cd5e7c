/* From wishes to values. In: pod_wish. Next: template. */
#include "inject/pod_values.h"

#include <stdio.h>

#include "inject/pod_merge.h"
#include "mesh/names.h"
#include "mesh/ports.h"

#define LABEL_MAX 63

/* ---- what it is called ---- */

static struct span text_in(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

/* The owner that controls it. */
static const struct doc_node *owner_of(const struct doc_node *metadata)
{
    const struct doc_node *all = doc_get(metadata, "ownerReferences");
    for (size_t i = 0; i < doc_count(all); i++) {
        const struct doc_node *controller = doc_get(doc_at(all, i), "controller");
        if (doc_is(controller, DOC_BOOL) && controller->boolean) {
            return doc_at(all, i);
        }
    }
    return NULL;
}

/* "reviews-v1-5d4f8c" of hash 5d4f8c is "reviews-v1"; a CronJob's Job has the minutes since 1970 behind its name. */
static struct pod_values_workload above(struct span kind, struct span name,
                                        const struct doc_node *metadata)
{
    struct span hash = text_in(doc_get(metadata, "labels"), "pod-template-hash");
    ssize_t dash = span_rfind_byte(name, '-');
    struct span tail = dash > 0 ? span_from_offset(name, (size_t)dash + 1) : SPAN_EMPTY;
    uint64_t minutes;
    if (span_is(kind, "ReplicaSet") && tail.len > 0 && span_eq(tail, hash)) {
        return (struct pod_values_workload){SPAN("Deployment"), span_first(name, (size_t)dash)};
    }
    if (span_is(kind, "Job") && tail.len >= 8 && span_to_u64(tail, &minutes)) {
        return (struct pod_values_workload){SPAN("CronJob"), span_first(name, (size_t)dash)};
    }
    return (struct pod_values_workload){kind, name};
}

struct pod_values_workload pod_values_workload(const struct inject_subject *subject,
                                               struct arena *arena)
{
    const struct doc_node *metadata = doc_get(subject->pod, "metadata");
    const struct doc_node *owner = owner_of(metadata);
    struct span name = text_in(metadata, "name");
    UNUSED(arena);
    if (subject->name.len > 0) {
        return (struct pod_values_workload){subject->kind, subject->name};
    }
    if (owner) {
        return above(text_in(owner, "kind"), text_in(owner, "name"), metadata);
    }
    if (name.len == 0) {
        name = text_in(metadata, "generateName");
        while (span_ends(name, SPAN("-"))) {
            name.len--;
        }
    }
    return (struct pod_values_workload){SPAN("Pod"), name};
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Cut so that a label can hold it. */
static struct span as_label(struct span text)
{
    text = span_first(text, LABEL_MAX);
    while (text.len > 0 && !is_alnum(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

static struct span first_label(const struct doc_node *labels, const char *const *names,
                               struct span otherwise)
{
    for (; *names; names++) {
        struct span value = text_in(labels, *names);
        if (value.len > 0) {
            return value;
        }
    }
    return as_label(otherwise);
}

/* ---- what mesh init is told ---- */

struct args {
    struct arena *arena;
    struct doc_node *list;
};

static void put_arg(struct args *a, const char *flag, struct span value)
{
    doc_list_add(a->arena, a->list,
                 doc_cstr(a->arena, arena_printf(a->arena, "--%s=%.*s", flag, SPAN_ARG(value))));
}

/* "*" is the default; nothing at all turns the direction off. */
static void put_include(struct args *a, struct span value, const char *flag, const char *port_flag)
{
    if (value.len == 0) {
        put_arg(a, port_flag, SPAN("0"));
    } else if (!span_is(value, "*")) {
        put_arg(a, flag, value);
    }
}

static void put_exclude(struct args *a, struct span value, const char *flag)
{
    if (value.len > 0) {
        put_arg(a, flag, value);
    }
}

static struct doc_node *init_args(const struct pod_wish *w, struct arena *arena)
{
    struct args a = {.arena = arena, .list = doc_new_list(arena)};
    if (w->dns_capture) {
        put_arg(&a, "dns-port", span_of(arena_printf(arena, "%d", PORT_DNS)));
    }
    put_include(&a, w->include_inbound_ports, "include-inbound-ports", "inbound-port");
    put_exclude(&a, w->exclude_inbound_ports, "exclude-inbound-ports");
    if (w->status_port != PORT_MERGED_STATS && w->status_port != 0) {
        put_exclude(&a, span_of(arena_printf(arena, "%lld", (long long)w->status_port)),
                    "exclude-inbound-ports");
    }
    /* Where all destinations are included, ports say nothing; where none are, they are all there is (Istio's annotations). */
    bool ports_count =
        w->include_outbound_ports.len > 0 && !span_is(w->include_outbound_ranges, "*");
    if (ports_count) {
        put_arg(&a, "include-outbound-ports", w->include_outbound_ports);
    }
    if (!ports_count || w->include_outbound_ranges.len > 0) {
        put_include(&a, w->include_outbound_ranges, "include-outbound-cidrs", "outbound-port");
    }
    put_exclude(&a, w->exclude_outbound_ranges, "exclude-outbound-cidrs");
    put_exclude(&a, w->exclude_outbound_ports, "exclude-outbound-ports");
    put_exclude(&a, w->exclude_interfaces, "exclude-interfaces");
    return a.list;
}

/* ---- all ---- */

struct setter {
    struct arena *arena;
    struct doc_node *map;
};

static void set_text(struct setter *s, const char *name, struct span value)
{
    doc_set(s->arena, s->map, name, value.len > 0 ? doc_text(s->arena, value) : doc_null(s->arena));
}

static void set_int(struct setter *s, const char *name, int64_t value)
{
    doc_set(s->arena, s->map, name, doc_int(s->arena, value));
}

static void set_bool(struct setter *s, const char *name, bool value)
{
    doc_set(s->arena, s->map, name, doc_bool(s->arena, value));
}

static void set_doc(struct setter *s, const char *name, const struct doc_node *value)
{
    doc_set(s->arena, s->map, name, value ? doc_dup(s->arena, value) : doc_null(s->arena));
}

/* The settings have names alone, Kubernetes wants {name: NAME}. */
static struct doc_node *secrets_of(const struct doc_node *names, struct arena *arena)
{
    struct doc_node *list = names ? doc_new_list(arena) : doc_null(arena);
    for (size_t i = 0; i < doc_count(names); i++) {
        struct doc_node *one = doc_list_add(arena, list, doc_new_map(arena));
        doc_set(arena, one, "name", doc_at(names, i));
    }
    return list;
}

static struct span first_container(const struct doc_node *pod)
{
    const struct doc_node *list = doc_path(pod, "spec.containers");
    for (size_t i = 0; i < doc_count(list); i++) {
        if (!pod_merge_is_proxy(doc_at(list, i))) {
            return text_in(doc_at(list, i), "name");
        }
    }
    return SPAN_EMPTY;
}

static void set_names(struct setter *s, const struct pod_wish *w,
                      const struct inject_subject *subject)
{
    static const char *const names[] = {LABEL_CANONICAL_NAME, LABEL_APP_NAME, LABEL_APP, NULL};
    static const char *const versions[] = {LABEL_CANONICAL_REVISION, LABEL_APP_VERSION,
                                           LABEL_VERSION, NULL};
    const struct doc_node *labels = doc_path(subject->pod, "metadata.labels");
    struct pod_values_workload workload = pod_values_workload(subject, s->arena);
    set_text(s, "workload", workload.name);
    set_text(s, "workloadFlag",
             workload.name.len == 0
                 ? SPAN_EMPTY
                 : span_of(arena_printf(s->arena, "--workload=%.*s", SPAN_ARG(workload.name))));
    set_text(s, "canonicalName", first_label(labels, names, workload.name));
    set_text(s, "canonicalRevision", first_label(labels, versions, SPAN("latest")));
    set_text(s, "firstContainer", w->gateway ? SPAN_EMPTY : first_container(subject->pod));
    set_text(s, "namespace", subject->namespace);
}

struct doc_node *pod_values(const struct pod_wish *w, const struct inject_subject *subject,
                            const struct inject_settings *settings, struct arena *arena)
{
    struct setter s = {.arena = arena, .map = doc_new_map(arena)};
    bool intercepts = !w->gateway && span_is(w->interception, "REDIRECT");
    set_names(&s, w, subject);
    set_text(&s, "type", w->gateway ? SPAN("gateway") : SPAN("sidecar"));
    set_bool(&s, "gateway", w->gateway);
    set_bool(&s, "redirect", intercepts);
    set_bool(&s, "native", w->native && !w->gateway);
    set_bool(&s, "hold", w->hold || w->gateway);
    set_bool(&s, "wait", w->hold && !w->gateway);
    set_bool(&s, "readiness", w->status_port != 0);
    set_text(&s, "tlsMode", w->gateway ? SPAN_EMPTY : SPAN("istio"));
    set_text(&s, "interception", intercepts ? SPAN("redirect") : SPAN("none"));
    set_text(&s, "image", w->image);
    set_text(&s, "pullPolicy", settings->pull_policy);
    set_text(&s, "control", settings->control);
    set_text(&s, "trustDomain", settings->trust_domain);
    set_text(&s, "clusterId", settings->cluster_id);
    set_text(&s, "logLevel", w->log_level);
    set_text(&s, "dnsCaptureFlag",
             intercepts && w->dns_capture ? SPAN("--dns-capture") : SPAN_EMPTY);
    /* A native sidecar is told to go when the application has ended. */
    set_text(&s, "exitIdleFlag", w->native && !w->gateway ? SPAN("--exit-idle") : SPAN_EMPTY);
    set_int(&s, "statusPort", w->status_port ? w->status_port : PORT_MERGED_STATS);
    set_int(&s, "concurrency", w->concurrency);
    set_int(&s, "drain", w->drain_s);
    set_int(&s, "readyDelay", w->ready_delay_s);
    set_int(&s, "readyPeriod", w->ready_period_s);
    set_int(&s, "readyFailures", w->ready_failures);
    set_doc(&s, "initArgs", init_args(w, arena));
    set_doc(&s, "resources", w->resources);
    set_doc(&s, "env", settings->env);
    set_doc(&s, "pullSecrets", secrets_of(settings->pull_secrets, arena));
    set_doc(&s, "userVolumes", w->user_volumes);
    set_doc(&s, "userMounts", w->user_mounts);
    return s.map;
}

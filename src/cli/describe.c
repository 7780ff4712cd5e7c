/* Facts of one workload or service: where it runs, its proxy, identity, ports, routes, rules, policies, who calls whom, what is wrong.
 * In: documents of control's API. Out: facts. */
#include "cli/describe.h"

#include <stdio.h>
#include <string.h>

#include "mesh/names.h"

#define TEXT_BYTES 400

static void add(struct describe *d, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(struct describe *d, const char *name, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    struct arena *a = &d->verb->arena;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut to fit */
    va_end(args);
    struct doc_node *one = doc_list_add(a, d->facts, doc_new_map(a));
    doc_set(a, one, "name", doc_cstr(a, name));
    doc_set(a, one, "text", doc_cstr(a, text));
}

static const char *dot(const struct describe *d)
{
    return d->verb->is_ascii ? " - " : " \u00b7 ";
}

static const char *cstr(struct describe *d, struct span text)
{
    return arena_cstr(&d->verb->arena, text);
}

/* ---- labels and selectors ---- */

const struct doc_node *describe_labels(const struct doc_node *pod)
{
    bool is_entry = span_is(item_text(pod, "kind"), "WorkloadEntry");
    const struct doc_node *labels = is_entry ? doc_path(pod, "spec.labels") : NULL;
    return labels ? labels : doc_path(pod, "metadata.labels");
}

/* All labels of `wanted` are there. */
static bool has_all(const struct doc_node *labels, const struct doc_node *wanted)
{
    for (size_t i = 0; i < doc_count(wanted); i++) {
        const struct doc_entry *e = &wanted->entries[i];
        const struct doc_node *have = doc_get_span(labels, e->key);
        if (!doc_is(have, DOC_TEXT) || !doc_is(e->value, DOC_TEXT) ||
            !span_eq(have->text, e->value->text)) {
            return false;
        }
    }
    return true;
}

bool describe_is_selected(const struct doc_node *service, const struct doc_node *pod)
{
    const struct doc_node *selector = doc_path(service, "spec.selector");
    return doc_count(selector) > 0 &&
           span_eq(item_text(service, "metadata.namespace"),
                   item_text(pod, "metadata.namespace")) &&
           has_all(describe_labels(pod), selector);
}

const char *describe_workload(struct verb *v, const struct doc_node *pod)
{
    const struct doc_node *owner = doc_path(pod, "metadata.ownerReferences.0");
    const struct doc_node *hash = doc_get(describe_labels(pod), "pod-template-hash");
    struct span name = item_text(owner, "name");
    name = name.len > 0 ? name : item_text(pod, "metadata.name");
    if (doc_is(hash, DOC_TEXT) && name.len > hash->text.len + 1 && span_ends(name, hash->text)) {
        name = span_first(name, name.len - hash->text.len - 1);
    }
    return arena_cstr(&v->arena, name);
}

/* ---- where it is, its proxy, who it is ---- */

static void tell_place(struct describe *d)
{
    struct verb *v = d->verb;
    if (d->service) {
        const struct doc_node *spec = doc_get(d->service, "spec");
        struct span type = item_text(spec, "type");
        struct span address = item_text(spec, "clusterIP");
        add(d, "is", "Service %s/%.*s%s%s%s%.*s", d->ns,
            SPAN_ARG(item_text(d->service, "metadata.name")), dot(d),
            type.len > 0 ? cstr(d, type) : "ClusterIP", address.len > 0 ? dot(d) : "",
            SPAN_ARG(address));
    } else if (d->pod) {
        const struct doc_node *meta = doc_get(d->pod, "metadata");
        struct span node = item_text(d->pod, "spec.nodeName");
        struct span address = item_text(d->pod, "status.podIP");
        address = address.len > 0 ? address : item_text(d->pod, "spec.address");
        const char *age = cell_age(v, meta, "creationTimestamp");
        add(d, "is", "%.*s of %s%s%s%.*s%s%.*s%s%s", SPAN_ARG(item_text(d->pod, "kind")),
            d->workload, node.len > 0 ? dot(d) : "", node.len > 0 ? "node " : "", SPAN_ARG(node),
            dot(d), SPAN_ARG(address), strcmp(age, "-") == 0 ? "" : dot(d),
            strcmp(age, "-") == 0 ? "" : age);
    } else {
        add(d, "is", "workload %s", d->workload);
    }
}

static void tell_proxy(struct describe *d)
{
    const struct doc_node *synced = doc_get(d->proxy, "synced");
    bool is_synced = doc_is(synced, DOC_BOOL) && synced->boolean;
    struct verb *v = d->verb;
    if (d->proxy) {
        add(d, "proxy", "mesh %s%s%s%sconnected %s", cell_text(v, d->proxy, "version"), dot(d),
            is_synced ? "configuration current" : "configuration NOT current: mesh ps", dot(d),
            cell_age(v, d->proxy, "connected"));
    } else if (d->no_proxy) {
        add(d, "proxy", "none: %s", d->no_proxy);
        if (d->no_proxy_fix) {
            add(d, "fix", "%s", d->no_proxy_fix);
        }
    } else if (d->pod) {
        add(d, "proxy", "none is connected to control");
    }
}

static void tell_identity(struct describe *d)
{
    struct span identity = item_text(d->proxy, "identity");
    const struct doc_node *newest = NULL;
    for (size_t i = 0; i < doc_count(d->certs) && !newest; i++) {
        const struct doc_node *one = doc_at(d->certs, i);
        newest = span_eq(item_text(one, "identity"), identity) ? one : NULL;
    }
    if (identity.len > 0) {
        add(d, "identity", "%.*s%s%s%s", SPAN_ARG(identity), newest ? dot(d) : "",
            newest ? "certificate ends " : "", newest ? cell_age(d->verb, newest, "notAfter") : "");
    } else if (d->pod) {
        struct span account = item_text(d->pod, "spec.serviceAccountName");
        account = account.len > 0 ? account : item_text(d->pod, "spec.serviceAccount");
        add(d, "identity", "service account %s/%s", d->ns,
            account.len > 0 ? cstr(d, account) : "default");
    }
}

/* ---- ports ---- */

static bool is_mine(const struct describe *d, const struct doc_node *service)
{
    if (d->service) {
        return span_eq(item_text(service, "metadata.name"),
                       item_text(d->service, "metadata.name")) &&
               span_is(item_text(service, "metadata.namespace"), d->ns);
    }
    return d->pod && describe_is_selected(service, d->pod);
}

/* What the mesh takes a port for: its appProtocol, or its name up to the first "-" (istio.io "Protocol Selection"). */
static const char *protocol_of(const struct doc_node *port)
{
    struct span word = item_text(port, "appProtocol");
    struct span name = item_text(port, "name");
    if (word.len == 0) {
        word = span_cut(&name, '-');
    }
    static const char *const known[] = {"http",
                                        "http2",
                                        "https",
                                        "grpc",
                                        "grpc-web",
                                        "tcp",
                                        "tls",
                                        "mongo",
                                        "mysql",
                                        "redis",
                                        "udp",
                                        "kubernetes.io/h2c",
                                        "kubernetes.io/ws"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (span_eq_nocase(word, span_of(known[i]))) {
            return known[i];
        }
    }
    return "by its first bytes: name it http-..., grpc-... or tcp-... to be sure";
}

static void tell_ports(struct describe *d)
{
    for (size_t i = 0; i < doc_count(d->services); i++) {
        const struct doc_node *service = doc_at(d->services, i);
        const struct doc_node *ports = doc_path(service, "spec.ports");
        for (size_t j = 0; is_mine(d, service) && j < doc_count(ports); j++) {
            const struct doc_node *port = doc_at(ports, j);
            const char *target = cell_text(d->verb, port, "targetPort");
            const char *number = cell_text(d->verb, port, "port");
            bool is_same = strcmp(target, "-") == 0 || strcmp(target, number) == 0;
            add(d, "ports", "%.*s:%s%s%s  %s", SPAN_ARG(item_text(service, "metadata.name")),
                number, is_same ? "" : " -> ", is_same ? "" : target, protocol_of(port));
        }
    }
}

/* ---- endpoints of a service ---- */

static const struct doc_node *proxy_of(const struct describe *d, const struct doc_node *pod)
{
    for (size_t i = 0; i < doc_count(d->proxies); i++) {
        const struct doc_node *one = doc_at(d->proxies, i);
        if (span_eq(item_text(one, "namespace"), item_text(pod, "metadata.namespace")) &&
            span_eq(item_text(one, "name"), item_text(pod, "metadata.name"))) {
            return one;
        }
    }
    return NULL;
}

static void tell_endpoints(struct describe *d)
{
    size_t count = 0, meshed = 0;
    const char *names = "";
    for (size_t i = 0; d->service && i < doc_count(d->pods); i++) {
        const struct doc_node *pod = doc_at(d->pods, i);
        if (!describe_is_selected(d->service, pod)) {
            continue;
        }
        meshed += proxy_of(d, pod) != NULL;
        if (count++ < 8) {
            names = arena_printf(&d->verb->arena, "%s%s%.*s", names, *names ? ", " : "",
                                 SPAN_ARG(item_text(pod, "metadata.name")));
        }
    }
    if (d->service) {
        add(d, "endpoints", "%zu, %zu with a proxy%s%s%s", count, meshed, count ? ": " : "", names,
            count > 8 ? " ..." : "");
    }
}

/* ---- traffic ---- */

static bool is_end(const struct describe *d, const struct doc_node *end)
{
    if (!span_is(item_text(end, "namespace"), d->ns)) {
        return false;
    }
    if (!d->service) {
        return span_is(item_text(end, "workload"), d->workload);
    }
    for (size_t i = 0; i < doc_count(d->pods); i++) {
        const struct doc_node *pod = doc_at(d->pods, i);
        if (describe_is_selected(d->service, pod) &&
            span_is(item_text(end, "workload"), describe_workload(d->verb, pod))) {
            return true;
        }
    }
    return false;
}

static void tell_edges(struct describe *d, const char *name, const char *mine, const char *other)
{
    for (size_t i = 0; i < doc_count(d->edges); i++) {
        const struct doc_node *edge = doc_at(d->edges, i);
        struct span who = item_text(doc_get(edge, other), "workload");
        struct span own = item_text(doc_get(edge, mine), "workload");
        const char *shown = who.len > 0 ? cstr(d, who) : "unknown";
        if (d->service) { /* several workloads are behind it */
            bool is_in = strcmp(name, "in") == 0;
            shown = arena_printf(&d->verb->arena, "%s -> %s", is_in ? shown : cstr(d, own),
                                 is_in ? cstr(d, own) : shown);
        }
        if (is_end(d, doc_get(edge, mine))) {
            add(d, name, "%s  %s rps  %s  p99 %s  mTLS %s", shown, cell_rate(d->verb, edge, "rps"),
                cell_success(d->verb, edge, "success"), cell_ms(d->verb, edge, "p99Ms"),
                cell_percent(d->verb, edge, "mtls"));
        }
    }
}

/* ---- configuration ---- */

static const char *matches_text(struct describe *d, const struct doc_node *route)
{
    const struct doc_node *matches = doc_get(route, "matches");
    const char *text = "";
    for (size_t i = 0; i < doc_count(matches); i++) {
        const struct doc_node *all = doc_at(matches, i);
        const char *one = "";
        for (size_t j = 0; j < doc_count(all); j++) {
            one = arena_printf(&d->verb->arena, "%s%s%.*s", one, j ? ", " : "",
                               SPAN_ARG(doc_at(all, j)->text));
        }
        text = arena_printf(&d->verb->arena, "%s%s%s", text, i ? " or " : "",
                            *one ? one : "everything");
    }
    return *text ? text : "everything";
}

static const char *backends_text(struct describe *d, const struct doc_node *route)
{
    const struct doc_node *list = doc_get(route, "backends");
    const char *text = "";
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *one = doc_at(list, i);
        struct span subset = item_text(one, "subset");
        text = arena_printf(&d->verb->arena, "%s%s%s%s%.*s %s", text, i ? ", " : "",
                            cell_host(d->verb, item_text(one, "host")), subset.len > 0 ? " " : "",
                            SPAN_ARG(subset), cell_percent(d->verb, one, "share"));
    }
    return *text ? text : cstr(d, item_text(route, "action"));
}

static void tell_routes(struct describe *d)
{
    for (size_t i = 0; i < doc_count(d->routes); i++) {
        const struct doc_node *vhost = doc_at(d->routes, i);
        const struct doc_node *routes = doc_get(vhost, "routes");
        struct span kind = item_text(vhost, "kind");
        for (size_t j = 0; kind.len > 0 && j < doc_count(routes); j++) {
            const struct doc_node *route = doc_at(routes, j);
            add(d, "routed by", "%.*s %.*s/%.*s: %s -> %s", SPAN_ARG(kind),
                SPAN_ARG(item_text(vhost, "namespace")), SPAN_ARG(item_text(vhost, "name")),
                matches_text(d, route), backends_text(d, route));
        }
    }
}

/* A host as a rule has it, "reviews" or "reviews.default.svc.cluster.local", for a service of ours. */
static bool is_host_of(struct describe *d, const struct doc_node *rule,
                       const struct doc_node *service)
{
    struct span host = item_text(rule, "spec.host");
    struct span name = item_text(service, "metadata.name");
    struct span ns = item_text(service, "metadata.namespace");
    const char *whole = arena_printf(&d->verb->arena, "%.*s.%.*s", SPAN_ARG(name), SPAN_ARG(ns));
    if (span_find_byte(host, '.') < 0) {
        return span_eq(host, name) && span_eq(item_text(rule, "metadata.namespace"), ns);
    }
    return span_is(host, whole) ||
           span_starts(host, span_of(arena_printf(&d->verb->arena, "%s.svc", whole)));
}

static void tell_rules(struct describe *d)
{
    for (size_t i = 0; i < doc_count(d->rules); i++) {
        const struct doc_node *rule = doc_at(d->rules, i);
        for (size_t j = 0; j < doc_count(d->services); j++) {
            const struct doc_node *service = doc_at(d->services, j);
            if (is_mine(d, service) && is_host_of(d, rule, service)) {
                add(d, "rules", "DestinationRule %.*s/%.*s: %zu subsets%s",
                    SPAN_ARG(item_text(rule, "metadata.namespace")),
                    SPAN_ARG(item_text(rule, "metadata.name")),
                    doc_count(doc_path(rule, "spec.subsets")),
                    doc_path(rule, "spec.trafficPolicy") ? ", a policy for all" : "");
                break;
            }
        }
    }
}

static void tell_policies(struct describe *d)
{
    for (size_t i = 0; i < doc_count(d->policies); i++) {
        const struct doc_node *one = doc_at(d->policies, i);
        add(d, "who may", "%.*s by AuthorizationPolicy %.*s/%.*s, %s rules",
            SPAN_ARG(item_text(one, "action")), SPAN_ARG(item_text(one, "namespace")),
            SPAN_ARG(item_text(one, "name")), cell_text(d->verb, one, "rules"));
    }
    if (d->policies && doc_count(d->policies) == 0) {
        add(d, "who may", "everybody: no AuthorizationPolicy applies");
    }
}

/* 0: not of this pod; more for nearer: the mesh's, the namespace's, its own (istio.io "PeerAuthentication"). */
static int nearness(const struct describe *d, const struct doc_node *peer,
                    const struct doc_node *pod)
{
    const struct doc_node *labels = doc_path(peer, "spec.selector.matchLabels");
    struct span ns = item_text(peer, "metadata.namespace");
    if (span_is(ns, d->ns)) {
        return doc_count(labels) == 0 ? 2 : pod && has_all(describe_labels(pod), labels) ? 3 : 0;
    }
    bool is_root = span_is(ns, MESH_ROOT_NAMESPACE) || span_is(ns, MESH_SYSTEM_NAMESPACE);
    return is_root && doc_count(labels) == 0;
}

static void tell_mtls(struct describe *d)
{
    const struct doc_node *best = NULL;
    int most = 0;
    for (size_t i = 0; i < doc_count(d->peers); i++) {
        const struct doc_node *one = doc_at(d->peers, i);
        struct span mode = item_text(one, "spec.mtls.mode");
        int near = nearness(d, one, d->pod);
        if (near > most && mode.len > 0 && !span_is(mode, "UNSET")) {
            best = one;
            most = near;
        }
    }
    if (best) {
        add(d, "mTLS", "%.*s by PeerAuthentication %.*s/%.*s",
            SPAN_ARG(item_text(best, "spec.mtls.mode")),
            SPAN_ARG(item_text(best, "metadata.namespace")),
            SPAN_ARG(item_text(best, "metadata.name")));
    } else if (d->peers) {
        add(d, "mTLS",
            "PERMISSIVE: takes mutual TLS and plain connections (no PeerAuthentication)");
    }
}

/* ---- problems ---- */

/* Findings of this pod or service, or of an object that was told of. */
static void tell_findings(struct describe *d)
{
    size_t told = doc_count(d->facts);
    for (size_t i = 0; i < doc_count(d->findings); i++) {
        const struct doc_node *one = doc_at(d->findings, i);
        struct span ns = item_text(one, "where.namespace");
        struct span name = item_text(one, "where.name");
        const char *key =
            arena_printf(&d->verb->arena, "%.*s %.*s/%.*s", SPAN_ARG(item_text(one, "where.kind")),
                         SPAN_ARG(ns), SPAN_ARG(name));
        const struct doc_node *self = d->service ? d->service : d->pod;
        bool is_ours =
            name.len > 0 && span_is(ns, d->ns) && span_eq(name, item_text(self, "metadata.name"));
        for (size_t j = 0; j < told && !is_ours && name.len > 0; j++) {
            is_ours = span_find(item_text(doc_at(d->facts, j), "text"), span_of(key)) >= 0;
        }
        if (is_ours) {
            add(d, "problems", "%.*s %.*s", SPAN_ARG(item_text(one, "code")),
                SPAN_ARG(item_text(one, "what")));
        }
    }
}

void describe_facts(struct describe *d)
{
    d->facts = doc_new_list(&d->verb->arena);
    tell_place(d);
    tell_proxy(d);
    if (!d->service) {
        tell_identity(d);
    }
    tell_ports(d);
    tell_endpoints(d);
    tell_edges(d, "in", "destination", "source");
    tell_edges(d, "out", "source", "destination");
    tell_routes(d);
    tell_rules(d);
    tell_policies(d);
    tell_mtls(d);
    tell_findings(d);
}

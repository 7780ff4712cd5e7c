/* Endpoints of one service: from EndpointSlices and the Pods that they name, from the WorkloadEntries it selects, from a ServiceEntry itself. What
 * they point to lives in objects, of which they hold a reference, or in their arena.
 * In: world_members. Out: world.endpoints. Next: world_workloads. */
#include "control/world/world_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "mesh/names.h"
#include "model/endpoint_slice.h"
#include "model/pod.h"
#include "model/service.h"
#include "model/service_entry.h"
#include "model/workload_entry.h"

#define ARENA_BLOCK 1024

/* ---- life ---- */

struct world_endpoints *world_endpoints_ref(struct world_endpoints *e)
{
    (void)__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
    return e;
}

void world_endpoints_unref(struct world_endpoints *e)
{
    if (e == NULL || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    mem_free(e->items);
    arena_dispose(&e->arena);
    mem_free(e);
}

/* ---- labels and names ---- */

const struct label *world_entry_labels(const struct object *entry, struct arena *arena,
                                       size_t *count)
{
    const struct spec_labels *spec = &workload_entry_of(entry)->labels;
    if (entry->label_count == 0) {
        *count = spec->count;
        return spec->items;
    }
    if (spec->count == 0) {
        *count = entry->label_count;
        return entry->labels;
    }
    struct label *merged = arena_array(arena, spec->count + entry->label_count, sizeof(*merged));
    memcpy(merged, entry->labels, entry->label_count * sizeof(*merged));
    *count = entry->label_count;
    for (size_t i = 0; i < spec->count; i++) {
        if (selector_label(entry->labels, entry->label_count, spec->items[i].key).at == NULL) {
            merged[(*count)++] = spec->items[i];
        }
    }
    return merged;
}

static struct span first_label(const struct label *labels, size_t count, const char *const *keys,
                               struct span otherwise)
{
    for (; *keys != NULL; keys++) {
        struct span value = selector_label(labels, count, span_of(*keys));
        if (value.len > 0) {
            return value;
        }
    }
    return otherwise;
}

struct world_names world_names_of(const struct label *labels, size_t count, struct span name)
{
    static const char *const workload_keys[] = {LABEL_WORKLOAD_NAME, NULL};
    static const char *const name_keys[] = {LABEL_CANONICAL_NAME, LABEL_APP_NAME, LABEL_APP, NULL};
    static const char *const revision_keys[] = {LABEL_CANONICAL_REVISION, LABEL_APP_VERSION,
                                                LABEL_VERSION, NULL};
    struct world_names names;
    names.workload = first_label(labels, count, workload_keys, name);
    names.app = first_label(labels, count, name_keys, names.workload);
    names.version = first_label(labels, count, revision_keys, SPAN("latest"));
    return names;
}

/* The Deployment of a pod's name: without "-<hash of the ReplicaSet>-<5 letters>", which Kubernetes writes in an alphabet
 * without vowels (apimachinery util/rand). Other names stay. */
static struct span workload_of_pod(struct span pod)
{
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    struct span rest = pod;
    for (int part = 0; part < 2; part++) {
        ssize_t dash = span_rfind_byte(rest, '-');
        size_t len = dash < 0 ? 0 : rest.len - (size_t)dash - 1;
        if (part == 0 ? len != 5 : len < 6 || len > 10) {
            return pod;
        }
        for (size_t i = (size_t)dash + 1; i < rest.len; i++) {
            if (strchr(alphabet, rest.at[i]) == NULL) {
                return pod;
            }
        }
        rest.len = (size_t)dash;
    }
    return rest;
}

/* ---- one endpoint ---- */

bool world_takes_tunnel(const struct label *labels, size_t count, const struct object *o)
{
    return span_is(selector_label(labels, count, SPAN(LABEL_TUNNEL)), "http") ||
           (o != NULL && span_is(object_annotation(o, ANNOTATION_REDIRECTION), "enabled"));
}

/* What an endpoint has of labels and identity, told once for all its ports. */
static void fill_labels(struct world_endpoint *e, const struct label *labels, size_t count,
                        struct span name)
{
    struct world_names names = world_names_of(labels, count, name);
    e->labels = labels;
    e->label_count = count;
    e->workload = names.workload;
    e->app = names.app;
    e->version = names.version;
    e->mutual_tls = span_is(selector_label(labels, count, SPAN(LABEL_TLS_MODE)), "istio");
    e->tunnel = world_takes_tunnel(labels, count, NULL);
    if (e->network.len == 0) {
        e->network = selector_label(labels, count, SPAN(LABEL_NETWORK));
    }
    if (e->region.len == 0 && e->zone.len == 0) {
        e->region = selector_label(labels, count, SPAN(LABEL_REGION));
        e->zone = selector_label(labels, count, SPAN(LABEL_ZONE));
        e->sub_zone = selector_label(labels, count, SPAN(LABEL_SUBZONE));
    }
}

static void fill_entry(struct world_endpoint *e, const struct workload_entry_spec *spec)
{
    struct span rest = spec->locality;
    e->network = spec->network;
    e->region = span_cut(&rest, '/');
    e->zone = rest.at != NULL ? span_cut(&rest, '/') : SPAN_EMPTY;
    e->sub_zone = rest.at != NULL ? span_cut(&rest, '/') : SPAN_EMPTY;
    e->weight = spec->weight > 0 ? spec->weight : 1;
    e->service_account = spec->service_account;
    e->ready = true;
}

static bool read_address(struct span text, bool names_too, struct world_endpoint *e)
{
    if (span_starts(text, SPAN("unix://"))) {
        e->unix_path = span_from_offset(text, sizeof("unix://") - 1);
        return true;
    }
    if (ip_parse(text, &e->address) == 0) {
        return true;
    }
    e->hostname = text;
    return names_too && text.len > 0;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    struct hash_key key = {hash, len};
    return hash_bytes(&key, bytes, len);
}

static uint64_t hash_of(const struct world_endpoint *e)
{
    const struct span texts[] = {e->hostname,        e->unix_path, e->workload, e->namespace,
                                 e->service_account, e->app,       e->version,  e->network,
                                 e->region,          e->zone,      e->sub_zone};
    struct {
        struct ip ip;
        uint8_t flags;
        uint16_t port, service_port;
        uint32_t weight, labels;
    } fixed;
    memset(&fixed, 0, sizeof(fixed));
    fixed.ip = e->address;
    fixed.flags = (uint8_t)((e->mutual_tls ? 1 : 0) | (e->ready ? 2 : 0) | (e->tunnel ? 4 : 0));
    fixed.port = e->port;
    fixed.service_port = e->service_port;
    fixed.weight = e->weight;
    fixed.labels = (uint32_t)e->label_count;
    uint64_t hash = mix(0, &fixed, sizeof(fixed));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        hash = mix(hash, texts[i].at, texts[i].len);
    }
    for (size_t i = 0; i < e->label_count; i++) {
        hash = mix(hash, e->labels[i].key.at, e->labels[i].key.len);
        hash = mix(hash, e->labels[i].value.at, e->labels[i].value.len);
    }
    return hash;
}

/* ---- the list ---- */

struct making {
    const struct world_endpoint_source *source;
    struct world_endpoints *out;
    size_t room;
    bool has_leaving; /* endpoints that are used only when nothing else is ready */
    uint8_t family;   /* of the slices that count; 0 = all */
};

static void add(struct making *m, const struct world_endpoint *e)
{
    struct world_endpoints *out = m->out;
    if (out->count == m->room) {
        m->room = m->room > 0 ? m->room * 2 : 4;
        out->items = mem_realloc(out->items, m->room * sizeof(*out->items));
    }
    out->items[out->count] = *e;
    out->items[out->count++].hash = hash_of(e);
}

static void unref_object(void *o)
{
    object_unref(o);
}

/* What is in the object may be pointed to from now on. */
static void hold(struct making *m, const struct object *o)
{
    arena_defer(&m->out->arena, unref_object, object_ref((struct object *)(uintptr_t)o));
}

/* The port of an entry that a service port means: by the service port's name, by the name that targetPort asks for, by number.
 * 0: it has none of that name. */
static uint16_t entry_port(const struct workload_entry_spec *spec, const struct world_port *p)
{
    for (size_t i = 0; i < spec->port_count; i++) {
        if (span_eq(spec->ports[i].name, p->name) && p->name.len > 0) {
            return spec->ports[i].port;
        }
    }
    for (size_t i = 0; p->target_name.len > 0 && i < spec->port_count; i++) {
        if (span_eq(spec->ports[i].name, p->target_name)) {
            return spec->ports[i].port;
        }
    }
    return p->target_name.len > 0 ? 0 : p->target != 0 ? p->target : p->number;
}

static void add_ports_of_entry(struct making *m, struct world_endpoint *e,
                               const struct workload_entry_spec *spec)
{
    const struct world_service *s = m->source->service;
    for (size_t i = 0; i < s->port_count; i++) {
        e->port = e->unix_path.len > 0 ? 0 : entry_port(spec, &s->ports[i]);
        e->service_port = s->ports[i].number;
        if (e->port != 0 || e->unix_path.len > 0) {
            add(m, e);
        }
    }
}

static bool takes_names(const struct world_service *s)
{
    return s->resolution == WORLD_DNS || s->resolution == WORLD_DNS_ROUND_ROBIN;
}

static void add_entry(struct making *m, const struct object *o)
{
    const struct workload_entry_spec *spec = workload_entry_of(o);
    struct world_endpoint e = {.namespace = o->namespace};
    if (!read_address(spec->address, takes_names(m->source->service), &e)) {
        return;
    }
    size_t count;
    const struct label *labels = world_entry_labels(o, &m->out->arena, &count);
    hold(m, o);
    fill_entry(&e, spec);
    fill_labels(&e, labels, count, o->name);
    e.tunnel = world_takes_tunnel(labels, count, o);
    add_ports_of_entry(m, &e, spec);
}

static const struct endpoint_slice_port *slice_port(const struct endpoint_slice_spec *spec,
                                                    const struct world_service *s,
                                                    const struct world_port *p)
{
    for (size_t i = 0; i < spec->port_count; i++) {
        if (span_eq(spec->ports[i].name, p->name) ||
            (spec->ports[i].name.len == 0 && s->port_count == 1)) {
            return &spec->ports[i];
        }
    }
    return NULL;
}

/* ---- pods ---- */

static void fill_pod(struct making *m, struct world_endpoint *e, const struct object *pod)
{
    const struct pod_spec *spec = pod_of(pod);
    const struct object *node =
        spec->node.len > 0 ? m->source->node_of(m->source->arg, spec->node) : NULL;
    hold(m, pod);
    if (node != NULL) {
        hold(m, node);
        e->region = pod_node_of(node)->region;
        e->zone = pod_node_of(node)->zone;
        e->sub_zone = pod_node_of(node)->sub_zone;
    }
    e->weight = 1;
    e->service_account = spec->service_account;
    fill_labels(e, pod->labels, pod->label_count, spec->workload);
    e->tunnel = world_takes_tunnel(pod->labels, pod->label_count, pod);
}

static uint16_t pod_port_named(const struct pod_spec *spec, struct span name)
{
    for (size_t i = 0; i < spec->port_count; i++) {
        if (span_eq(spec->ports[i].name, name)) {
            return spec->ports[i].port;
        }
    }
    return 0;
}

/* One that a ServiceEntry selects. */
static void add_pod(struct making *m, const struct object *o)
{
    const struct world_service *s = m->source->service;
    const struct pod_spec *spec = pod_of(o);
    struct world_endpoint e = {.namespace = o->namespace, .ready = spec->ready && !spec->leaves};
    if (spec->ip_count == 0 || spec->ended || spec->host_network) {
        return;
    }
    e.address = spec->ips[0];
    fill_pod(m, &e, o);
    for (size_t i = 0; i < s->port_count; i++) {
        const struct world_port *p = &s->ports[i];
        e.port = p->target_name.len > 0 ? pod_port_named(spec, p->target_name)
                 : p->target != 0       ? p->target
                                        : p->number;
        e.service_port = p->number;
        if (e.port != 0) {
            add(m, &e);
        }
    }
}

/* ---- slices ---- */

/* What the slice does not say: from the Pod that it names, else from what is at the address. False: where Pods are known, its Pod is not
 * there. */
static bool fill_slice(struct making *m, struct world_endpoint *e, const struct object *o,
                       const struct endpoint_slice_endpoint *from)
{
    const struct world_endpoint_source *source = m->source;
    bool is_pod = span_is(from->target_kind, "Pod");
    struct span home = from->target_namespace.len > 0 ? from->target_namespace : o->namespace;
    const struct object *pod =
        is_pod && source->has_pods ? source->pod_of(source->arg, home, from->target_name) : NULL;
    if (is_pod && source->has_pods && (pod == NULL || pod_of(pod)->ended)) {
        source->on_unknown(source->arg, home, from->target_name);
        return false;
    }
    const struct object *at =
        pod == NULL && e->address.family != 0 ? source->occupant_at(source->arg, &e->address) : pod;
    at = at != NULL && span_eq(at->namespace, o->namespace) ? at : NULL;
    e->weight = 1;
    if (at != NULL && at->kind == OBJECT_POD) {
        fill_pod(m, e, at);
    } else if (at != NULL) {
        size_t count;
        const struct label *labels = world_entry_labels(at, &m->out->arena, &count);
        hold(m, at);
        fill_entry(e, workload_entry_of(at));
        fill_labels(e, labels, count, at->name);
        e->tunnel = world_takes_tunnel(labels, count, at);
    } else {
        fill_labels(e, NULL, 0, is_pod ? workload_of_pod(from->target_name) : from->target_name);
    }
    if (e->zone.len == 0) {
        e->zone = from->zone;
    }
    e->ready = from->ready || source->service->publish_not_ready;
    /* Kubernetes KEP-1669: better one that is going than none */
    e->leaving = !e->ready && from->serving && from->terminating;
    m->has_leaving |= e->leaving;
    return true;
}

static uint8_t family_of(const struct endpoint_slice_spec *spec)
{
    return spec->type == ENDPOINT_SLICE_IPV4 ? 4 : spec->type == ENDPOINT_SLICE_IPV6 ? 6 : 0;
}

/* A dual-stack service has a slice of each family with the same pods: those of its first address count, so that each pod is one endpoint.
 * Clients of a headless service dial the pods' own addresses, of either family. */
static uint8_t family_that_counts(const struct world_endpoint_source *source)
{
    const struct world_service *s = source->service;
    if (s->headless || s->address_count == 0 || s->object->kind != OBJECT_SERVICE) {
        return 0;
    }
    for (size_t i = 0; i < source->member_count; i++) {
        const struct object *o = source->members[i];
        if (o->kind == OBJECT_ENDPOINT_SLICE && endpoint_slice_of(o)->endpoint_count > 0 &&
            family_of(endpoint_slice_of(o)) == s->addresses[0].family) {
            return s->addresses[0].family;
        }
    }
    return 0;
}

static void add_slice(struct making *m, const struct object *o)
{
    const struct endpoint_slice_spec *spec = endpoint_slice_of(o);
    const struct world_service *s = m->source->service;
    if (m->family != 0 && family_of(spec) != 0 && family_of(spec) != m->family) {
        return;
    }
    hold(m, o);
    for (size_t i = 0; i < spec->endpoint_count; i++) {
        const struct endpoint_slice_endpoint *from = &spec->endpoints[i];
        struct world_endpoint e = {.namespace = o->namespace};
        if (from->addresses.count == 0 ||
            !read_address(from->addresses.items[0], spec->type == ENDPOINT_SLICE_FQDN, &e)) {
            continue;
        }
        if (!fill_slice(m, &e, o, from)) {
            continue;
        }
        for (size_t k = 0; k < s->port_count; k++) {
            const struct world_port *p = &s->ports[k];
            const struct endpoint_slice_port *to = slice_port(spec, s, p);
            if (to != NULL || spec->port_count == 0) {
                uint16_t own = p->target != 0 ? p->target : p->number;
                e.port = to != NULL && to->port != 0 ? to->port : own;
                e.service_port = p->number;
                add(m, &e);
            }
        }
    }
}

/* Of the ServiceEntry itself; with DNS resolution and no endpoints the host is looked up. */
static void add_inline(struct making *m)
{
    const struct world_service *s = m->source->service;
    const struct service_entry_spec *spec = service_entry_of(s->object);
    struct world_endpoint base = {.namespace = s->namespace, .weight = 1, .ready = true};
    hold(m, s->object);
    for (size_t i = 0; i < spec->endpoint_count; i++) {
        struct world_endpoint e = base;
        if (read_address(spec->endpoints[i].address, takes_names(s), &e)) {
            fill_entry(&e, &spec->endpoints[i]);
            fill_labels(&e, spec->endpoints[i].labels.items, spec->endpoints[i].labels.count,
                        SPAN_EMPTY);
            add_ports_of_entry(m, &e, &spec->endpoints[i]);
        }
    }
    if (spec->endpoint_count == 0 && !spec->has_workload_selector && takes_names(s)) {
        static const struct workload_entry_spec none = {.port_count = 0};
        base.hostname = arena_dup(&m->out->arena, s->host);
        fill_labels(&base, NULL, 0, SPAN_EMPTY);
        add_ports_of_entry(m, &base, &none);
    }
}

static void add_external_name(struct making *m)
{
    const struct world_service *s = m->source->service;
    struct world_endpoint e = {.namespace = s->namespace, .weight = 1, .ready = true};
    hold(m, s->object);
    e.hostname = service_of(s->object)->external_name;
    fill_labels(&e, NULL, 0, SPAN_EMPTY);
    for (size_t i = 0; i < s->port_count; i++) { /* Kubernetes maps no port of an ExternalName */
        e.port = e.service_port = s->ports[i].number;
        add(m, &e);
    }
}

int world_endpoint_order(const struct world_endpoint *a, const struct world_endpoint *b)
{
    int order = (int)a->service_port - (int)b->service_port;
    if (order == 0) {
        order = memcmp(&a->address, &b->address, sizeof(a->address));
    }
    if (order == 0) {
        order = span_cmp(a->hostname, b->hostname);
    }
    if (order == 0) {
        order = span_cmp(a->unix_path, b->unix_path);
    }
    return order != 0 ? order : (int)a->port - (int)b->port;
}

static int by_order(const void *a, const void *b)
{
    const struct world_endpoint *x = a, *y = b;
    int order = world_endpoint_order(x, y);
    return order != 0 ? order : (x->hash > y->hash) - (x->hash < y->hash);
}

/* Sorted, and each once: slices overlap while an endpoint moves, and a workload may be selected and sliced. A ready one counts. */
/* Of service ports where nothing is ready: what is going, but still serves. */
static void use_leaving(struct world_endpoints *e)
{
    for (size_t i = 0; i < e->count;) {
        size_t end = i;
        bool is_ready = false;
        for (; end < e->count && e->items[end].service_port == e->items[i].service_port; end++) {
            is_ready |= e->items[end].ready;
        }
        for (; i < end; i++) {
            if (!is_ready && e->items[i].leaving) {
                e->items[i].ready = true;
                e->items[i].hash = hash_of(&e->items[i]);
            }
        }
    }
}

static void finish(struct world_endpoints *e, bool has_leaving)
{
    if (e->count > 1) {
        qsort(e->items, e->count, sizeof(*e->items), by_order);
    }
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++) {
        struct world_endpoint *last = kept > 0 ? &e->items[kept - 1] : NULL;
        if (last == NULL || world_endpoint_order(last, &e->items[i]) != 0) {
            e->items[kept++] = e->items[i];
        } else if (!last->ready && e->items[i].ready) {
            *last = e->items[i];
        }
    }
    e->count = kept;
    if (has_leaving) {
        use_leaving(e);
    }
    for (size_t i = 0; i < e->count; i++) {
        e->hash = mix(e->hash, &e->items[i].hash, sizeof(e->items[i].hash));
    }
}

struct world_endpoints *world_endpoints_new(const struct world_endpoint_source *s)
{
    struct making m = {.source = s, .out = mem_new(struct world_endpoints)};
    m.out->refs = 1;
    m.family = family_that_counts(s);
    arena_init(&m.out->arena, ARENA_BLOCK);
    for (size_t i = 0; i < s->member_count; i++) {
        if (s->members[i]->kind == OBJECT_WORKLOAD_ENTRY) {
            add_entry(&m, s->members[i]);
        } else if (s->members[i]->kind == OBJECT_POD) {
            add_pod(&m, s->members[i]);
        } else {
            add_slice(&m, s->members[i]);
        }
    }
    if (s->service->object->kind == OBJECT_SERVICE_ENTRY) {
        add_inline(&m);
    } else if (s->service->resolution == WORLD_DNS) {
        add_external_name(&m);
    }
    finish(m.out, m.has_leaving);
    return m.out;
}

size_t world_endpoints_find(const struct world_endpoints *e, uint16_t service_port,
                            const struct ip *ip)
{
    size_t low = 0, high = e->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct world_endpoint *at = &e->items[middle];
        int order = (int)at->service_port - (int)service_port;
        if (order == 0) {
            order = memcmp(&at->address, ip, sizeof(*ip));
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

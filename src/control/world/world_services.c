/* Services: Kubernetes Service and ServiceEntry become one form, each with an address.
 * In: objects of config. Out: services, by_host, by_address, ranges. Next: lower_destination_rule. */
#include <stdlib.h>

#include "control/world/lower.h"
#include "mesh/names.h"
#include "model/mesh_config.h"
#include "model/service.h"
#include "model/service_entry.h"

/* ---- the mesh's settings ---- */

/* The addresses that world_vips gives, and those of meshRanges (what is no CIDR was refused by the model). */
static void lower_ranges(struct world_config *c, const struct spec_texts *texts)
{
    struct cidr *ranges = arena_array(&c->arena, texts->count + 1, sizeof(*ranges));
    c->mesh.mesh_range_count = cidr_parse(SPAN(WORLD_VIPS_RANGE), &ranges[0]) == 0;
    for (size_t i = 0; i < texts->count; i++) {
        if (cidr_parse(texts->items[i], &ranges[c->mesh.mesh_range_count]) == 0) {
            c->mesh.mesh_range_count++;
        }
    }
    c->mesh.mesh_ranges = ranges;
}

static void take_text(struct span text, struct span *to)
{
    if (text.len > 0) {
        *to = text;
    }
}

static void take_bool(enum spec_bool value, bool *to)
{
    if (value != SPEC_BOOL_UNSET) {
        *to = value == SPEC_BOOL_TRUE;
    }
}

void world_mesh_lower(struct world_config *c, struct span trust_domain, struct span cluster_id)
{
    static const uint16_t codes[] = {503};
    struct world_mesh *m = &c->mesh;
    struct world_retry *retry = arena_new(&c->arena, struct world_retry);
    *retry = (struct world_retry){
        .set = true,
        .attempts = 2,
        .on = SPAN("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"),
        .codes = codes,
        .code_count = ARRAY_LEN(codes)};
    *m = (struct world_mesh){.trust_domain = SPAN(MESH_TRUST_DOMAIN),
                             .root_namespace = SPAN(MESH_ROOT_NAMESPACE),
                             .domain = SPAN("cluster.local"),
                             .cluster_id = SPAN("mesh"),
                             .allow_any = true,
                             .auto_mtls = true,
                             .connect_timeout_ms = 10000,
                             .prometheus_merge = true,
                             .paths = MESH_CONFIG_PATHS_BASE,
                             .retry = retry};
    lower_ranges(c, &(struct spec_texts){.count = 0});
    take_text(arena_dup(&c->arena, trust_domain), &m->trust_domain);
    take_text(arena_dup(&c->arena, cluster_id), &m->cluster_id);
    for (size_t i = c->kind_first[OBJECT_MESH_CONFIG]; i < c->kind_first[OBJECT_MESH_CONFIG + 1];
         i++) {
        if (!span_is(c->objects[i]->name, "default")) {
            continue;
        }
        const struct mesh_config_spec *spec = mesh_config_of(c->objects[i]);
        take_text(spec->trust_domain, &m->trust_domain);
        take_text(spec->root_namespace, &m->root_namespace);
        take_bool(spec->allow_any, &m->allow_any);
        take_bool(spec->auto_mtls, &m->auto_mtls);
        take_bool(spec->access_log_json, &m->access_log_json);
        take_bool(spec->hbone, &m->hbone);
        take_bool(spec->prometheus_merge, &m->prometheus_merge);
        m->paths = spec->paths != MESH_CONFIG_PATHS_UNSET ? spec->paths : m->paths;
        m->topology = spec->topology;
        m->gzip = spec->gzip;
        m->access_log_file = spec->access_log_file;
        m->access_log_format = spec->access_log_format;
        if (spec->connect_timeout_ms > 0) {
            m->connect_timeout_ms = spec->connect_timeout_ms;
        }
        if (spec->retry.set) {
            retry->attempts = spec->retry.attempts;
            retry->per_try_ms = i64_max(spec->retry.per_try_timeout_ms, 0);
            retry->backoff_ms = i64_max(spec->retry.backoff_ms, 0);
            if (spec->retry.on.len > 0) {
                lower_retry_words(c, spec->retry.on, retry);
            }
        }
        lower_ranges(c, &spec->mesh_ranges);
    }
    for (size_t i = c->kind_first[OBJECT_NAMESPACE]; i < c->kind_first[OBJECT_NAMESPACE + 1]; i++) {
        (void)map_put(&c->namespaces, c->objects[i]->name, (void *)(uintptr_t)c->objects[i]);
    }
}

/* ---- visibility ---- */

void world_export_to(struct world_config *c, const struct spec_texts *words, struct span namespace,
                     const struct span **out, size_t *count)
{
    struct span *list = arena_array(&c->arena, words->count, sizeof(*list));
    *count = 0;
    *out = list;
    for (size_t i = 0; i < words->count; i++) {
        if (span_is(words->items[i], "*")) {
            *count = 0;
            return;
        }
        bool is_none = span_is(words->items[i], "~"); /* to nobody: a name that no namespace has */
        list[(*count)++] = is_none                         ? SPAN("~")
                           : span_is(words->items[i], ".") ? namespace
                                                           : words->items[i];
    }
}

static struct spec_texts annotated_export(struct world_config *c, const struct object *o)
{
    struct span rest = object_annotation(o, ANNOTATION_EXPORT_TO);
    struct spec_texts words = {.count = 0};
    if (rest.len == 0) {
        return words;
    }
    size_t most = 1;
    for (size_t i = 0; i < rest.len; i++) {
        most += rest.at[i] == ',';
    }
    struct span *items = arena_array(&c->arena, most, sizeof(*items));
    while (rest.at != NULL) {
        struct span word = span_trim(span_cut(&rest, ','));
        if (word.len > 0) {
            items[words.count++] = word;
        }
    }
    words.items = items;
    return words;
}

/* ---- one object ---- */

static enum port_protocol protocol_of(struct world_config *c, struct span app_protocol,
                                      struct span name, struct span transport, uint16_t number)
{
    struct port_facts facts = {.app_protocol = lower_case(c, app_protocol),
                               .name = lower_case(c, name),
                               .transport = transport,
                               .number = number};
    return port_protocol_of(&facts);
}

static void lower_service_ports(struct world_config *c, struct world_service *s,
                                const struct service_spec *spec)
{
    s->ports = arena_array(&c->arena, spec->port_count, sizeof(*s->ports));
    s->port_count = spec->port_count;
    for (size_t i = 0; i < spec->port_count; i++) {
        const struct service_port *p = &spec->ports[i];
        s->ports[i] = (struct world_port){
            .number = p->port,
            .name = p->name,
            .target = p->target_port,
            .target_name = p->target_name,
            .protocol = protocol_of(c, p->app_protocol, p->name, p->protocol, p->port)};
    }
}

static struct world_service *lower_service(struct world_config *c, const struct object *o)
{
    const struct service_spec *spec = service_of(o);
    struct world_service *s = arena_new(&c->arena, struct world_service);
    s->name = o->name;
    s->namespace = o->namespace;
    s->object = o;
    s->host = span_of(arena_printf(&c->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(o->name),
                                   SPAN_ARG(o->namespace), SPAN_ARG(c->mesh.domain)));
    s->headless = spec->headless;
    s->publish_not_ready = spec->publish_not_ready;
    s->resolution = spec->type == SERVICE_EXTERNAL_NAME ? WORLD_DNS
                    : spec->headless                    ? WORLD_PASSTHROUGH
                                                        : WORLD_EDS;
    s->selector = spec->selector.items;
    s->selector_count = spec->selector.count;
    lower_service_ports(c, s, spec);
    s->addresses = arena_array(&c->arena, spec->cluster_ips.count + 1, sizeof(*s->addresses));
    for (size_t i = 0; i < spec->cluster_ips.count; i++) {
        if (ip_parse(spec->cluster_ips.items[i], &s->addresses[s->address_count]) == 0) {
            s->address_count++;
        }
    }
    struct spec_texts words = annotated_export(c, o);
    world_export_to(c, &words, o->namespace, &s->export_to, &s->export_count);
    return s;
}

static void lower_entry_ports(struct world_config *c, struct world_service *s,
                              const struct service_entry_spec *spec)
{
    s->ports = arena_array(&c->arena, spec->port_count, sizeof(*s->ports));
    s->port_count = spec->port_count;
    for (size_t i = 0; i < spec->port_count; i++) {
        const struct service_entry_port *p = &spec->ports[i];
        s->ports[i] = (struct world_port){
            .number = p->number,
            .name = p->name,
            .target = p->target_port,
            .protocol = protocol_of(c, p->protocol, p->name, SPAN("TCP"), p->number)};
    }
}

static void lower_entry_addresses(struct world_config *c, struct world_service *s,
                                  const struct spec_texts *texts)
{
    struct cidr *ranges = arena_array(&c->arena, texts->count, sizeof(*ranges));
    s->addresses = arena_array(&c->arena, texts->count + 1, sizeof(*s->addresses));
    s->ranges = ranges;
    for (size_t i = 0; i < texts->count; i++) {
        struct cidr cidr;
        if (cidr_parse(texts->items[i], &cidr) != 0) {
            continue;
        }
        if (cidr.bits == 8 * ip_len(&cidr.ip)) {
            s->addresses[s->address_count++] = cidr.ip;
        } else {
            ranges[s->range_count++] = cidr;
        }
    }
}

static struct world_service *lower_entry(struct world_config *c, const struct object *o,
                                         struct span host)
{
    static const enum world_resolution resolutions[] = {
        [SERVICE_ENTRY_NONE] = WORLD_PASSTHROUGH,
        [SERVICE_ENTRY_STATIC] = WORLD_EDS,
        [SERVICE_ENTRY_DNS] = WORLD_DNS,
        [SERVICE_ENTRY_DNS_ROUND_ROBIN] = WORLD_DNS_ROUND_ROBIN,
    };
    const struct service_entry_spec *spec = service_entry_of(o);
    struct world_service *s = arena_new(&c->arena, struct world_service);
    s->name = o->name;
    s->namespace = o->namespace;
    s->object = o;
    s->host = lower_case(c, host);
    s->external = !spec->internal;
    s->resolution = resolutions[spec->resolution];
    if (spec->has_workload_selector) {
        s->selector = spec->workload_selector.items;
        s->selector_count = spec->workload_selector.count;
    }
    lower_entry_ports(c, s, spec);
    lower_entry_addresses(c, s, &spec->addresses);
    s->identities = (struct span *)(uintptr_t)spec->subject_alt_names.items;
    s->identity_count = spec->subject_alt_names.count;
    world_export_to(c, &spec->export_to, o->namespace, &s->export_to, &s->export_count);
    return s;
}

/* ---- all of them ---- */

static bool wants_address(const struct world_service *s)
{
    return s->address_count == 0 && s->range_count == 0 && !s->headless &&
           s->resolution != WORLD_PASSTHROUGH && s->host.at[0] != '*';
}

/* In the order of objects, so that who was there first keeps its place when two hashes meet. */
static void give_addresses(struct world_config *c, struct world_vips *vips)
{
    world_vips_begin(vips);
    for (size_t i = 0; i < c->service_count; i++) {
        for (size_t k = 0; k < c->services[i]->address_count; k++) {
            world_vips_claim(vips, &c->services[i]->addresses[k]);
        }
    }
    for (size_t i = 0; i < c->service_count; i++) {
        struct world_service *s = c->services[i];
        if (wants_address(s)) {
            char key[2 * 256];
            int len =
                snprintf(key, sizeof(key), "%.*s/%.*s", SPAN_ARG(s->host), SPAN_ARG(s->namespace));
            struct span text = span_from(key, size_min((size_t)len, sizeof(key) - 1));
            s->address_given_by_us = world_vips_give(vips, text, &s->addresses[0]);
            s->address_count = s->address_given_by_us ? 1 : 0;
        }
    }
    world_vips_end(vips);
}

/* By host; of one host a Service first, then the oldest. */
static int by_host(const void *a, const void *b)
{
    const struct world_service *x = *(struct world_service *const *)a;
    const struct world_service *y = *(struct world_service *const *)b;
    int order = span_cmp(x->host, y->host);
    if (order == 0) {
        order = (int)x->object->kind - (int)y->object->kind;
    }
    return order != 0 ? order : world_object_order(x->object, y->object);
}

_Static_assert(OBJECT_SERVICE < OBJECT_SERVICE_ENTRY, "a Service comes before a ServiceEntry");

/* One service a host and namespace: the first. */
static void drop_duplicates(struct world_config *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->service_count; i++) {
        struct world_service *s = c->services[i];
        bool is_double = false;
        struct world_service *last = NULL;
        for (size_t k = kept; k > 0 && span_eq(c->services[k - 1]->host, s->host); k--) {
            last = last != NULL ? last : c->services[k - 1];
            is_double |= span_eq(c->services[k - 1]->namespace, s->namespace);
        }
        if (is_double) {
            continue;
        }
        if (last != NULL) {
            last->same_host = s;
        } else {
            (void)map_put(&c->by_host, s->host, s);
        }
        s->index = (unsigned)kept;
        c->services[kept++] = s;
    }
    c->service_count = kept;
}

static void index_address(struct world_config *c, const struct world_service *s,
                          const struct ip *ip)
{
    struct world_address *at = map_get(&c->by_address, world_ip_key(ip));
    if (at == NULL) {
        at = arena_new(&c->arena, struct world_address);
        at->ip = *ip;
        (void)map_put(&c->by_address, world_ip_key(&at->ip), at);
    }
    /* few share one address: grown one by one */
    const struct world_service **grown =
        arena_array(&c->arena, at->count + 1, sizeof(const struct world_service *));
    if (at->count > 0) {
        memcpy(grown, at->services, at->count * sizeof(const struct world_service *));
    }
    grown[at->count++] = s;
    at->services = grown;
}

static int by_length(const void *a, const void *b)
{
    const struct world_range *x = a, *y = b;
    return x->cidr.bits != y->cidr.bits ? (int)y->cidr.bits - (int)x->cidr.bits
                                        : span_cmp(x->service->host, y->service->host);
}

static void index_addresses(struct world_config *c)
{
    size_t ranges = 0;
    for (size_t i = 0; i < c->service_count; i++) {
        ranges += c->services[i]->range_count;
        for (size_t k = 0; k < c->services[i]->address_count; k++) {
            index_address(c, c->services[i], &c->services[i]->addresses[k]);
        }
    }
    struct world_range *all = arena_array(&c->arena, ranges, sizeof(*all));
    for (size_t i = 0; i < c->service_count; i++) {
        for (size_t k = 0; k < c->services[i]->range_count; k++) {
            all[c->range_count++] =
                (struct world_range){.cidr = c->services[i]->ranges[k], .service = c->services[i]};
        }
    }
    qsort(all, c->range_count, sizeof(*all), by_length);
    c->ranges = all;
}

void world_services_lower(struct world_config *c, struct world_vips *vips)
{
    size_t most = 0;
    size_t end = c->kind_first[OBJECT_SERVICE + 1];
    size_t entry_end = c->kind_first[OBJECT_SERVICE_ENTRY + 1];
    most += end - c->kind_first[OBJECT_SERVICE];
    for (size_t i = c->kind_first[OBJECT_SERVICE_ENTRY]; i < entry_end; i++) {
        most += service_entry_of(c->objects[i])->hosts.count;
    }
    c->services = arena_array(&c->arena, most, sizeof(struct world_service *));
    for (size_t i = c->kind_first[OBJECT_SERVICE]; i < end; i++) {
        c->services[c->service_count++] = lower_service(c, c->objects[i]);
    }
    for (size_t i = c->kind_first[OBJECT_SERVICE_ENTRY]; i < entry_end; i++) {
        const struct spec_texts *hosts = &service_entry_of(c->objects[i])->hosts;
        for (size_t k = 0; k < hosts->count; k++) {
            c->services[c->service_count++] = lower_entry(c, c->objects[i], hosts->items[k]);
        }
    }
    give_addresses(c, vips);
    qsort(c->services, c->service_count, sizeof(struct world_service *), by_host);
    drop_duplicates(c);
    index_addresses(c);
}

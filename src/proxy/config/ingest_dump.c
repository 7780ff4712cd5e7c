/* Envoy's /config_dump: the table of resources in the shape of envoy.admin.v3.ConfigDump, written as JSON with
 * private keys and other sensitive fields redacted. Only people ask for it: it may allocate. */
#include "base/instant.h"
#include "base/mem.h"
#include "codec/pb_json.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/hcm.pb.h"
#include "proto/listener.pb.h"
#include "proto/types.pb.h"
#include "proxy/config/ingest_int.h"
#include "proxy/config/resource.h"

#define TEMP_ARENA_BYTES 65536
#define HOW (PB_JSON_PRETTY | PB_JSON_REDACT)

struct dump {
    const struct ingest *ingest;
    struct arena arena;
    struct buf *out;
    struct span mask; /* name of one list, or empty */
    size_t written;
    int rc;
};

/* ---- parts that all kinds share ---- */

static struct pb_protobuf_Timestamp *time_of(struct dump *d, int64_t us)
{
    struct pb_protobuf_Timestamp *t = arena_new(&d->arena, struct pb_protobuf_Timestamp);
    t->seconds = us / 1000000;
    t->nanos = (int32_t)(us % 1000000) * 1000;
    return t;
}

static struct pb_protobuf_Any *any_of(struct dump *d, const char *type_url, struct span bytes)
{
    struct pb_protobuf_Any *a = arena_new(&d->arena, struct pb_protobuf_Any);
    a->type_url = span_of(type_url);
    a->value = bytes;
    return a;
}

static struct pb_protobuf_Any *any_of_conf(struct dump *d, const struct conf *c)
{
    return any_of(d, resource_type_url(c->kind), c->resource);
}

static struct span version_of(const struct ingest_entry *e)
{
    return span_of(e->version ? e->version : "");
}

static struct pb_admin_UpdateFailureState *failure_of(struct dump *d, const struct ingest_entry *e)
{
    if (!e->failed) {
        return NULL;
    }
    struct pb_admin_UpdateFailureState *f =
        arena_new(&d->arena, struct pb_admin_UpdateFailureState);
    f->details = span_of(e->failed->details);
    f->version_info = span_of(e->failed->version);
    f->last_update_attempt = time_of(d, e->failed->at_us);
    if (e->kind != CONF_SECRET) { /* one that can not be decoded could not be redacted either */
        f->failed_configuration = any_of(d, resource_type_url(e->kind), e->failed->bytes);
    }
    return f;
}

static int32_t status_of(const struct ingest_entry *e)
{
    return e->failed            ? PB_ADMIN_CLIENT_RESOURCE_STATUS_NACKED
           : e->missing         ? PB_ADMIN_CLIENT_RESOURCE_STATUS_DOES_NOT_EXIST
           : e->active          ? PB_ADMIN_CLIENT_RESOURCE_STATUS_ACKED
           : e->version != NULL ? PB_ADMIN_CLIENT_RESOURCE_STATUS_ACKED
                                : PB_ADMIN_CLIENT_RESOURCE_STATUS_REQUESTED;
}

static struct span last_version(const struct dump *d, enum conf_kind kind)
{
    return span_of(d->ingest->versions[kind] ? d->ingest->versions[kind] : "");
}

/* ---- one kind each ---- */

static struct pb_admin_ListenersConfigDump_DynamicListenerState *listener_state(
    struct dump *d, const struct conf *c)
{
    if (!c) {
        return NULL;
    }
    struct pb_admin_ListenersConfigDump_DynamicListenerState *s =
        arena_new(&d->arena, struct pb_admin_ListenersConfigDump_DynamicListenerState);
    s->version_info = c->version;
    s->listener = any_of_conf(d, c);
    s->last_updated = time_of(d, c->updated_us);
    return s;
}

static void add_listener(struct dump *d, void *to, const struct ingest_entry *e)
{
    struct pb_admin_ListenersConfigDump *all = to;
    all->version_info = last_version(d, CONF_LISTENER);
    if (e->is_static && e->active) {
        struct pb_admin_ListenersConfigDump_StaticListener *s =
            arena_new(&d->arena, struct pb_admin_ListenersConfigDump_StaticListener);
        s->listener = any_of_conf(d, e->active);
        s->last_updated = time_of(d, e->active->updated_us);
        PB_ADD(&d->arena, &all->static_listeners, s);
        return;
    }
    struct pb_admin_ListenersConfigDump_DynamicListener *l =
        arena_new(&d->arena, struct pb_admin_ListenersConfigDump_DynamicListener);
    l->name = e->name;
    l->active_state = listener_state(d, e->active);
    l->warming_state = listener_state(d, e->warming);
    l->error_state = failure_of(d, e);
    l->client_status = status_of(e);
    PB_ADD(&d->arena, &all->dynamic_listeners, l);
}

static struct pb_admin_ClustersConfigDump_DynamicCluster *dynamic_cluster(
    struct dump *d, const struct ingest_entry *e, const struct conf *c)
{
    struct pb_admin_ClustersConfigDump_DynamicCluster *x =
        arena_new(&d->arena, struct pb_admin_ClustersConfigDump_DynamicCluster);
    x->version_info = c ? c->version : SPAN_EMPTY;
    x->cluster = c ? any_of_conf(d, c) : NULL;
    x->last_updated = c ? time_of(d, c->updated_us) : NULL;
    x->error_state = failure_of(d, e);
    x->client_status = status_of(e);
    return x;
}

static void add_cluster(struct dump *d, void *to, const struct ingest_entry *e)
{
    struct pb_admin_ClustersConfigDump *all = to;
    all->version_info = last_version(d, CONF_CLUSTER);
    if (e->is_static && e->active) {
        struct pb_admin_ClustersConfigDump_StaticCluster *s =
            arena_new(&d->arena, struct pb_admin_ClustersConfigDump_StaticCluster);
        s->cluster = any_of_conf(d, e->active);
        s->last_updated = time_of(d, e->active->updated_us);
        PB_ADD(&d->arena, &all->static_clusters, s);
        return;
    }
    if (e->warming) {
        PB_ADD(&d->arena, &all->dynamic_warming_clusters, dynamic_cluster(d, e, e->warming));
    }
    if (e->active || e->failed) {
        PB_ADD(&d->arena, &all->dynamic_active_clusters, dynamic_cluster(d, e, e->active));
    }
}

static void add_routes(struct dump *d, void *to, const struct ingest_entry *e)
{
    struct pb_admin_RoutesConfigDump *all = to;
    const struct conf *c = e->active;
    if (e->is_static && c) {
        struct pb_admin_RoutesConfigDump_StaticRouteConfig *s =
            arena_new(&d->arena, struct pb_admin_RoutesConfigDump_StaticRouteConfig);
        s->route_config = any_of_conf(d, c);
        s->last_updated = time_of(d, c->updated_us);
        PB_ADD(&d->arena, &all->static_route_configs, s);
        return;
    }
    struct pb_admin_RoutesConfigDump_DynamicRouteConfig *r =
        arena_new(&d->arena, struct pb_admin_RoutesConfigDump_DynamicRouteConfig);
    r->version_info = version_of(e);
    r->route_config = c ? any_of_conf(d, c) : NULL;
    r->last_updated = c ? time_of(d, c->updated_us) : NULL;
    r->error_state = failure_of(d, e);
    r->client_status = status_of(e);
    PB_ADD(&d->arena, &all->dynamic_route_configs, r);
}

static void add_endpoints(struct dump *d, void *to, const struct ingest_entry *e)
{
    struct pb_admin_EndpointsConfigDump *all = to;
    const struct conf *c = e->active;
    struct pb_admin_EndpointsConfigDump_DynamicEndpointConfig *x =
        arena_new(&d->arena, struct pb_admin_EndpointsConfigDump_DynamicEndpointConfig);
    x->version_info = version_of(e);
    x->endpoint_config = c ? any_of_conf(d, c) : NULL;
    x->last_updated = c ? time_of(d, c->updated_us) : NULL;
    x->error_state = failure_of(d, e);
    x->client_status = status_of(e);
    PB_ADD(&d->arena, &all->dynamic_endpoint_configs, x);
}

static void add_secret(struct dump *d, void *to, const struct ingest_entry *e)
{
    struct pb_admin_SecretsConfigDump *all = to;
    const struct conf *c = e->active;
    if (e->is_static && c) {
        struct pb_admin_SecretsConfigDump_StaticSecret *s =
            arena_new(&d->arena, struct pb_admin_SecretsConfigDump_StaticSecret);
        s->name = e->name;
        s->secret = any_of_conf(d, c);
        s->last_updated = time_of(d, c->updated_us);
        PB_ADD(&d->arena, &all->static_secrets, s);
        return;
    }
    struct pb_admin_SecretsConfigDump_DynamicSecret *s =
        arena_new(&d->arena, struct pb_admin_SecretsConfigDump_DynamicSecret);
    s->name = e->name;
    s->version_info = version_of(e);
    s->secret = c ? any_of_conf(d, c) : NULL;
    s->last_updated = c ? time_of(d, c->updated_us) : NULL;
    s->error_state = failure_of(d, e);
    s->client_status = status_of(e);
    if (c) {
        PB_ADD(&d->arena, &all->dynamic_active_secrets, s);
    } else {
        PB_ADD(&d->arena, &all->dynamic_warming_secrets, s);
    }
}

/* ---- inline route tables: Envoy shows them as static ones ---- */

static void add_inline(struct dump *d, struct pb_admin_RoutesConfigDump *all, const struct conf *c,
                       const struct pb_listener_FilterChain *chain)
{
    for (uint32_t i = 0; chain && i < chain->filters.count; i++) {
        const struct pb_protobuf_Any *any = chain->filters.at[i]->typed_config;
        if (!any || !span_is(pb_url_name(any->type_url), pb_hcm_HttpConnectionManager_desc.name)) {
            continue;
        }
        const struct pb_hcm_HttpConnectionManager *h =
            pb_decode(&pb_hcm_HttpConnectionManager_desc, &d->arena, any->value, NULL);
        if (!h || !h->route_config) {
            continue;
        }
        struct pb_admin_RoutesConfigDump_StaticRouteConfig *s =
            arena_new(&d->arena, struct pb_admin_RoutesConfigDump_StaticRouteConfig);
        s->route_config =
            any_of(d, resource_type_url(CONF_ROUTES),
                   pb_encode_in(&pb_route_RouteConfiguration_desc, h->route_config, &d->arena));
        s->last_updated = time_of(d, c->updated_us);
        PB_ADD(&d->arena, &all->static_route_configs, s);
    }
}

static void add_inline_routes(struct dump *d, struct pb_admin_RoutesConfigDump *all)
{
    size_t count;
    struct ingest_entry **list = ingest_snapshot_sorted(d->ingest, CONF_LISTENER, &count);
    for (size_t i = 0; i < count; i++) {
        const struct conf *c = list[i]->active;
        const struct pb_listener_Listener *l =
            c ? pb_decode(&pb_listener_Listener_desc, &d->arena, c->resource, NULL) : NULL;
        for (uint32_t k = 0; l && k < l->filter_chains.count; k++) {
            add_inline(d, all, c, l->filter_chains.at[k]);
        }
        add_inline(d, all, c, l ? l->default_filter_chain : NULL);
    }
    mem_free(list);
}

/* What clusters have inline: Envoy shows it as static. */
static void add_inline_endpoints(struct dump *d, struct pb_admin_EndpointsConfigDump *all)
{
    size_t count;
    struct ingest_entry **list = ingest_snapshot_sorted(d->ingest, CONF_CLUSTER, &count);
    for (size_t i = 0; i < count; i++) {
        const struct conf *c = list[i]->active;
        const struct pb_cluster_Cluster *cluster =
            c ? pb_decode(&pb_cluster_Cluster_desc, &d->arena, c->resource, NULL) : NULL;
        if (!cluster || !cluster->load_assignment) {
            continue;
        }
        struct pb_admin_EndpointsConfigDump_StaticEndpointConfig *s =
            arena_new(&d->arena, struct pb_admin_EndpointsConfigDump_StaticEndpointConfig);
        s->endpoint_config = any_of(d, resource_type_url(CONF_ENDPOINTS),
                                    pb_encode_in(&pb_endpoint_ClusterLoadAssignment_desc,
                                                 cluster->load_assignment, &d->arena));
        s->last_updated = time_of(d, c->updated_us);
        PB_ADD(&d->arena, &all->static_endpoint_configs, s);
    }
    mem_free(list);
}

/* ---- writing ---- */

static void say(struct dump *d, const char *text)
{
    if (d->rc == 0) {
        d->rc = buf_append(d->out, text, strlen(text));
    }
}

static void write_any(struct dump *d, const struct pb_desc *desc, const void *msg)
{
    say(d, d->written++ == 0 ? "\n" : ",\n");
    struct span bytes = pb_encode_in(desc, msg, &d->arena);
    const char *url = arena_printf(&d->arena, PB_URL_PREFIX "%s", desc->name);
    if (d->rc == 0) {
        d->rc =
            pb_json_write(&proto_types, &pb_protobuf_Any_desc, any_of(d, url, bytes), HOW, d->out);
    }
}

/* All of it, or only the members of the list that was asked for. */
static void write_kind(struct dump *d, const struct pb_desc *desc, const void *msg)
{
    if (d->mask.len == 0) {
        write_any(d, desc, msg);
        return;
    }
    const struct pb_field *f = pb_field_named(desc, d->mask);
    if (!f || f->label != PB_REPEATED) {
        return;
    }
    const struct pb_list *list = pb_at(msg, f);
    void *const *items = list->at;
    for (uint32_t i = 0; i < list->count; i++) {
        write_any(d, f->type.message, items[i]);
    }
}

static const struct dump_kind {
    enum conf_kind kind;
    const struct pb_desc *desc;
    void (*add)(struct dump *d, void *to, const struct ingest_entry *e);
} dump_kinds[] = {
    {CONF_CLUSTER, &pb_admin_ClustersConfigDump_desc, add_cluster},
    {CONF_LISTENER, &pb_admin_ListenersConfigDump_desc, add_listener},
    {CONF_ROUTES, &pb_admin_RoutesConfigDump_desc, add_routes},
    {CONF_SECRET, &pb_admin_SecretsConfigDump_desc, add_secret},
    {CONF_ENDPOINTS, &pb_admin_EndpointsConfigDump_desc, add_endpoints},
};

static void dump_one(struct dump *d, const struct dump_kind *k)
{
    void *all = arena_zalloc(&d->arena, k->desc->bytes);
    size_t count;
    struct ingest_entry **list = ingest_snapshot_sorted(d->ingest, k->kind, &count);
    for (size_t i = 0; i < count; i++) {
        k->add(d, all, list[i]);
    }
    mem_free(list);
    if (k->kind == CONF_ROUTES) {
        add_inline_routes(d, all);
    } else if (k->kind == CONF_ENDPOINTS) {
        add_inline_endpoints(d, all);
    }
    write_kind(d, k->desc, all);
    arena_reset(&d->arena);
}

/* What was accepted without effect, beside Envoy's list: [{"listener": "x", "skipped": ["a", "b"]}]. */
static void write_skipped(struct dump *d, const struct conf *c, const struct span *list,
                          size_t count, size_t *written)
{
    if (count == 0) {
        return;
    }
    struct pb_protobuf_ListValue names = {0};
    for (size_t i = 0; i < count; i++) {
        struct pb_protobuf_Value *v = arena_new(&d->arena, struct pb_protobuf_Value);
        v->kind_case = PB_PROTOBUF_VALUE_KIND_STRING_VALUE;
        v->string_value = list[i];
        PB_ADD(&d->arena, &names.values, v);
    }
    struct pb_protobuf_Value name = {.kind_case = PB_PROTOBUF_VALUE_KIND_STRING_VALUE,
                                     .string_value = c->name};
    say(d, (*written)++ == 0 ? ",\n \"mesh_skipped\": [\n" : ",\n");
    say(d, "  {\"");
    say(d, conf_kind_name(c->kind));
    say(d, "\": ");
    if (d->rc == 0) {
        d->rc = pb_json_write(&proto_types, &pb_protobuf_Value_desc, &name, 0, d->out);
    }
    say(d, ", \"skipped\": ");
    if (d->rc == 0) {
        d->rc = pb_json_write(&proto_types, &pb_protobuf_ListValue_desc, &names, 0, d->out);
    }
    say(d, "}");
}

static void dump_skipped(struct dump *d)
{
    size_t written = 0;
    for (struct map_slot *s = NULL; (s = map_next(&d->ingest->entries[CONF_LISTENER], s));) {
        const struct conf *c = ((const struct ingest_entry *)s->value)->active;
        const struct conf_listener *l = c ? container_of(c, struct conf_listener, conf) : NULL;
        write_skipped(d, c, l ? l->skipped : NULL, l ? l->skipped_count : 0, &written);
    }
    for (struct map_slot *s = NULL; (s = map_next(&d->ingest->entries[CONF_CLUSTER], s));) {
        const struct conf *c = ((const struct ingest_entry *)s->value)->active;
        const struct conf_cluster *l = c ? container_of(c, struct conf_cluster, conf) : NULL;
        write_skipped(d, c, l ? l->skipped : NULL, l ? l->skipped_count : 0, &written);
    }
    if (written > 0) {
        say(d, "\n ]");
    }
}

void ingest_set_bootstrap(struct ingest *g, const struct pb_bootstrap_Bootstrap *bootstrap)
{
    g->bootstrap = bootstrap;
    g->bootstrap_us = instant_wall_us();
}

static void dump_bootstrap(struct dump *d)
{
    if (d->ingest->bootstrap == NULL || d->mask.len > 0) {
        return;
    }
    struct pb_admin_BootstrapConfigDump all = {
        .bootstrap =
            (struct pb_bootstrap_Bootstrap *)(uintptr_t)d->ingest->bootstrap, /* only read */
        .last_updated = time_of(d, d->ingest->bootstrap_us),
    };
    write_any(d, &pb_admin_BootstrapConfigDump_desc, &all);
    arena_reset(&d->arena);
}

int ingest_config_dump(struct ingest *g, struct span resource_mask, bool with_endpoints,
                       struct buf *out)
{
    struct dump d = {.ingest = g, .out = out, .mask = resource_mask};
    arena_init(&d.arena, TEMP_ARENA_BYTES);
    say(&d, "{\n \"configs\": [");
    dump_bootstrap(&d);
    for (size_t i = 0; i < ARRAY_LEN(dump_kinds); i++) {
        bool wanted =
            dump_kinds[i].kind != CONF_ENDPOINTS || with_endpoints || resource_mask.len > 0;
        if (wanted) {
            dump_one(&d, &dump_kinds[i]);
        }
    }
    say(&d, "\n ]");
    if (resource_mask.len == 0) {
        dump_skipped(&d);
    }
    say(&d, "\n}\n");
    arena_dispose(&d.arena);
    return d.rc;
}

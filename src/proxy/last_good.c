/* The configuration of the last run: see last_good.h. */
#include "proxy/last_good.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/file.h"
#include "io/loop.h"
#include "proto/discovery.pb.h"
#include "proto/nds.pb.h"
#include "proto/protobuf.pb.h"

#define ARENA_BYTES 16384

struct last_good {
    struct last_good_spec spec;
    char *path; /* owned */
    struct deadline await, write;
    int64_t written_ms; /* 0 = not yet */
    bool is_restored;
};

/* ---- keeping ---- */

struct keeping {
    struct arena arena;
    struct pb_discovery_DeltaDiscoveryResponse all;
};

static void keep(struct keeping *k, struct span type_url, struct span name, struct span version,
                 struct span value)
{
    struct pb_discovery_Resource *r = arena_new(&k->arena, struct pb_discovery_Resource);
    r->name = name;
    r->version = version;
    r->resource = arena_new(&k->arena, struct pb_protobuf_Any);
    r->resource->type_url = type_url;
    r->resource->value = value;
    PB_ADD(&k->arena, &k->all.resources, r);
}

static void keep_resource(void *arg, const struct ingest_resource *r)
{
    keep(arg, r->type_url, r->name, r->version, r->value);
}

/* Without a version: the control plane sends it again. */
static void keep_name(void *arg, struct span name, const struct dns_name *known)
{
    struct keeping *k = arg;
    struct pb_nds_NameTable table = {0};
    struct pb_nds_NameTable_TableEntry *row =
        arena_new(&k->arena, struct pb_nds_NameTable_TableEntry);
    row->key = name;
    row->value = arena_new(&k->arena, struct pb_nds_NameTable_NameInfo);
    for (size_t i = 0; i < known->count; i++) {
        char *text = arena_bytes(&k->arena, IP_TEXT_BYTES);
        PB_ADD(&k->arena, &row->value->ips, span_of(ip_format(&known->ips[i], text)));
    }
    PB_ADD(&k->arena, &table.table, row);
    keep(k, SPAN(DNS_NAMES_TYPE), name, SPAN_EMPTY,
         pb_encode_in(&pb_nds_NameTable_desc, &table, &k->arena));
}

static int write_all(struct last_good *l, struct err *err)
{
    struct keeping k = {.all = {.system_version_info = l->spec.node_id}};
    struct buf wire;
    arena_init(&k.arena, ARENA_BYTES);
    buf_init(&wire, LAST_GOOD_BYTES_MAX);
    ingest_each(l->spec.ingest, keep_resource, &k);
    if (l->spec.names != NULL) {
        dns_names_each(l->spec.names, keep_name, &k);
    }
    int code = pb_encode(&pb_discovery_DeltaDiscoveryResponse_desc, &k.all, &wire);
    code = code ? err_set(err, code, "it is larger than %u bytes", LAST_GOOD_BYTES_MAX)
                : file_write(l->path, buf_span(&wire), 0600, err);
    buf_dispose(&wire);
    arena_dispose(&k.arena);
    return code;
}

static void on_write(struct deadline *d)
{
    struct last_good *l = container_of(d, struct last_good, write);
    struct err err;
    err_clear(&err);
    l->written_ms = loop_now_ms(l->spec.loop);
    if (write_all(l, &err) != 0) {
        log_warn("proxy", "MESH4061 the configuration is not kept for a restart why=\"%s\"",
                 err.text);
    }
}

void last_good_changed(struct last_good *l)
{
    if (l == NULL || deadline_is_armed(&l->write) ||
        !proxy_sources_have_answered(l->spec.sources)) {
        return;
    }
    int64_t again_ms = l->written_ms + LAST_GOOD_AGAIN_MS - loop_now_ms(l->spec.loop);
    bool is_first = l->written_ms == 0;
    deadline_arm(&l->write, l->spec.loop,
                 is_first ? LAST_GOOD_WRITE_MS : i64_max(again_ms, LAST_GOOD_WRITE_MS));
}

/* ---- taking ---- */

/* As they mention one another, so that what is mentioned is asked for. */
static const char *const order[] = {
    XDS_LISTENER,  XDS_VIRTUAL_HOST, XDS_ROUTES,     XDS_CLUSTER,
    XDS_ENDPOINTS, XDS_SECRET,       DNS_NAMES_TYPE,
};

/* What was learned on demand is wanted by name; the rest of the listeners is the node's own side. */
static void want(struct last_good *l, const char *type_url, struct span name)
{
    struct discovery *learned =
        l->spec.discovery != NULL ? proxy_discovery_learned(l->spec.discovery) : NULL;
    struct addr at;
    struct err err;
    if (learned == NULL) {
        return;
    }
    bool added = true;
    if (strcmp(type_url, XDS_VIRTUAL_HOST) == 0) {
        added = discovery_add(learned, DISCOVERY_VIRTUAL_HOST, name);
    } else if (strcmp(type_url, DNS_NAMES_TYPE) == 0) {
        added = discovery_add(learned, DISCOVERY_NAME_TABLE, name);
    } else if (strcmp(type_url, XDS_LISTENER) == 0 && addr_parse(name, &at, &err) == 0) {
        added = discovery_add(learned, DISCOVERY_LISTENER, name);
    }
    UNUSED(added); /* beyond the limit it is learned when it is used */
}

static void take_type(struct last_good *l, const char *type_url,
                      const struct pb_discovery_DeltaDiscoveryResponse *all, struct arena *arena,
                      struct xds_update *u)
{
    struct xds_resource *added = arena_array(arena, all->resources.count + 1, sizeof(*added));
    *u = (struct xds_update){.type_url = span_of(type_url), .added = added};
    for (uint32_t i = 0; i < all->resources.count; i++) {
        const struct pb_discovery_Resource *r = all->resources.at[i];
        if (r->resource == NULL || !span_is(r->resource->type_url, type_url)) {
            continue;
        }
        want(l, type_url, r->name);
        added[u->added_count++] = (struct xds_resource){.name = r->name,
                                                        .version = r->version,
                                                        .type_url = span_of(type_url),
                                                        .value = r->resource->value};
    }
}

static int take_all(struct last_good *l, struct span wire, struct err *err)
{
    struct arena arena;
    struct xds_update updates[ARRAY_LEN(order)];
    arena_init(&arena, ARENA_BYTES);
    const struct pb_discovery_DeltaDiscoveryResponse *all =
        pb_decode(&pb_discovery_DeltaDiscoveryResponse_desc, &arena, wire, err);
    int code = all != NULL ? 0 : -ERR_PROTO;
    if (code == 0 && !span_eq(all->system_version_info, l->spec.node_id)) {
        code =
            err_set(err, -ERR_CONFIG, "it is of node '%.*s'", SPAN_ARG(all->system_version_info));
    }
    for (size_t i = 0; i < ARRAY_LEN(order) && code == 0; i++) {
        take_type(l, order[i], all, &arena, &updates[i]);
    }
    if (code == 0) {
        l->is_restored = true;
        log_warn("proxy",
                 "MESH4062 the control plane does not answer, so the configuration of the last run "
                 "is used resources=%u",
                 (unsigned)all->resources.count);
        proxy_sources_restore(l->spec.sources, updates, ARRAY_LEN(updates));
    }
    arena_dispose(&arena);
    return code;
}

static void on_await(struct deadline *d)
{
    struct last_good *l = container_of(d, struct last_good, await);
    struct buf wire;
    struct err err;
    if (proxy_sources_have_answered(l->spec.sources)) {
        return;
    }
    if (!proxy_sources_have_client(l->spec.sources)) { /* no identity yet: it could carry nothing */
        deadline_arm(d, l->spec.loop, LAST_GOOD_AFTER_MS);
        return;
    }
    err_clear(&err);
    buf_init(&wire, LAST_GOOD_BYTES_MAX);
    int code = file_read_secret(l->path, &wire, &err);
    code = code ? code : take_all(l, buf_span(&wire), &err);
    buf_dispose(&wire);
    if (code != 0 && code != -ENOENT) {
        log_warn("proxy", "MESH4063 the configuration of the last run is not used why=\"%s\"",
                 err.text);
    }
}

bool last_good_is_restored(const struct last_good *l)
{
    return l != NULL && l->is_restored;
}

/* ---- life ---- */

struct last_good *last_good_new(const struct last_good_spec *spec)
{
    struct last_good *l = mem_new(struct last_good);
    l->spec = *spec;
    size_t room = strlen(spec->state_dir) + sizeof("/" LAST_GOOD_FILE);
    l->path = mem_zalloc(room);
    (void)snprintf(l->path, room, "%s/%s", spec->state_dir, LAST_GOOD_FILE);
    deadline_init(&l->await, on_await);
    deadline_init(&l->write, on_write);
    return l;
}

void last_good_start(struct last_good *l)
{
    deadline_arm(&l->await, l->spec.loop, LAST_GOOD_AFTER_MS);
}

void last_good_free(struct last_good *l)
{
    if (l == NULL) {
        return;
    }
    deadline_disarm(&l->await);
    if (deadline_is_armed(&l->write)) {
        deadline_disarm(&l->write);
        on_write(&l->write);
    }
    mem_free(l->path);
    mem_free(l);
}

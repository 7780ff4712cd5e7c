/* Envoy's bootstrap file: see bootstrap.h. */
#include "proxy/bootstrap.h"

#include <fcntl.h>
#include <unistd.h>

#include "codec/pb_json.h"
#include "proto/bootstrap.pb.h"
#include "proto/types.pb.h"

#define FILE_MAX (64 << 20)

/* ---- who we are ---- */

static struct span metadata_text(const struct pb_protobuf_Struct *s, const char *key)
{
    for (uint32_t i = 0; s != NULL && i < s->fields.count; i++) {
        const struct pb_protobuf_Struct_FieldsEntry *f = s->fields.at[i];
        if (span_is(f->key, key) && f->value != NULL &&
            f->value->kind_case == PB_PROTOBUF_VALUE_KIND_STRING_VALUE) {
            return f->value->string_value;
        }
    }
    return SPAN_EMPTY;
}

static const struct pb_protobuf_Struct *metadata_struct(const struct pb_protobuf_Struct *s,
                                                        const char *key)
{
    for (uint32_t i = 0; s != NULL && i < s->fields.count; i++) {
        const struct pb_protobuf_Struct_FieldsEntry *f = s->fields.at[i];
        if (span_is(f->key, key) && f->value != NULL) {
            return f->value->struct_value;
        }
    }
    return NULL;
}

static struct span first_of(struct span a, struct span b)
{
    return a.len > 0 ? a : b;
}

/* "sidecar~10.0.0.5~name.ns~ns.svc.cluster.local": what follows "svc". */
static struct span domain_of(struct span node_id)
{
    ssize_t last = span_rfind_byte(node_id, '~');
    struct span domain = last >= 0 ? span_from_offset(node_id, (size_t)last + 1) : SPAN_EMPTY;
    ssize_t svc = span_find(domain, SPAN(".svc."));
    return svc >= 0 ? span_from_offset(domain, (size_t)svc + 5) : SPAN_EMPTY;
}

/* Istio's node metadata: WORKLOAD_NAME, NAMESPACE, CLUSTER_ID, SERVICE_ACCOUNT, LABELS {app, version, ...}. */
static void read_node(struct bootstrap *b, const struct pb_core_Node *node)
{
    const struct pb_protobuf_Struct *m = node->metadata;
    const struct pb_protobuf_Struct *labels = metadata_struct(m, "LABELS");
    b->node_id = node->id;
    b->node_cluster = node->cluster;
    b->dns_capture = span_is(metadata_text(m, "DNS_CAPTURE"), "true");
    b->dns_domain = domain_of(node->id);
    b->node_wire = pb_encode_in(&pb_core_Node_desc, node, &b->arena);
    struct span app = metadata_text(labels, "app");
    struct span version = metadata_text(labels, "version");
    b->node_name = metadata_text(m, "NAME");
    b->node_owner = metadata_text(m, "OWNER");
    b->report_otlp = span_is(metadata_text(m, "MESH_REPORT"), "otlp");
    b->self = (struct stats_workload){
        .workload = metadata_text(m, "WORKLOAD_NAME"),
        .workload_namespace = metadata_text(m, "NAMESPACE"),
        .principal = metadata_text(m, "PRINCIPAL"),
        .app = app,
        .version = version,
        .canonical_service =
            first_of(metadata_text(labels, "service.istio.io/canonical-name"), app),
        .canonical_revision =
            first_of(metadata_text(labels, "service.istio.io/canonical-revision"), version),
        .cluster = metadata_text(m, "CLUSTER_ID"),
    };
}

/* ---- where configuration comes from ---- */

/* Ours: "on-demand" (names as they are used, discovery.h) or "full" (everything, as ever). */
static int read_discovery(struct bootstrap *b, const struct pb_core_Node *node, struct err *err)
{
    struct span how = metadata_text(node != NULL ? node->metadata : NULL, "MESH_DISCOVERY");
    b->on_demand = span_is(how, "on-demand");
    if (how.len > 0 && !b->on_demand && !span_is(how, "full")) {
        return err_set(err, -ERR_CONFIG,
                       "node.metadata.MESH_DISCOVERY is '%.*s'; use on-demand or full",
                       SPAN_ARG(how));
    }
    if (b->on_demand && (!b->ads_delta || b->lds.origin != BOOTSTRAP_ADS)) {
        return err_set(err, -ERR_CONFIG,
                       "node.metadata.MESH_DISCOVERY 'on-demand' needs lds_config ads and an "
                       "ads_config with api_type DELTA_GRPC");
    }
    return 0;
}

static int read_source(struct bootstrap_source *to, const struct pb_core_ConfigSource *from,
                       const char *field, struct err *err)
{
    if (from == NULL) {
        return 0;
    }
    switch (from->config_source_specifier_case) {
    case PB_CORE_CONFIG_SOURCE_CONFIG_SOURCE_SPECIFIER_PATH:
        *to = (struct bootstrap_source){.origin = BOOTSTRAP_FILE, .path = from->path};
        return 0;
    case PB_CORE_CONFIG_SOURCE_CONFIG_SOURCE_SPECIFIER_PATH_CONFIG_SOURCE:
        *to = (struct bootstrap_source){.origin = BOOTSTRAP_FILE,
                                        .path = from->path_config_source->path};
        return 0;
    case PB_CORE_CONFIG_SOURCE_CONFIG_SOURCE_SPECIFIER_ADS:
        to->origin = BOOTSTRAP_ADS;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "dynamic_resources.%s: use ads or path_config_source",
                       field);
    }
}

static int read_ads(struct bootstrap *b, const struct pb_core_ApiConfigSource *ads, struct err *err)
{
    if (ads == NULL) {
        return 0;
    }
    b->ads_delta = ads->api_type == PB_CORE_API_CONFIG_SOURCE_API_TYPE_DELTA_GRPC;
    if (!b->ads_delta && ads->api_type != PB_CORE_API_CONFIG_SOURCE_API_TYPE_GRPC) {
        return err_set(err, -ERR_CONFIG,
                       "dynamic_resources.ads_config.api_type: use GRPC or DELTA_GRPC");
    }
    if (ads->grpc_services.count == 0 || ads->grpc_services.at[0]->envoy_grpc == NULL) {
        return err_set(
            err, -ERR_CONFIG,
            "dynamic_resources.ads_config.grpc_services: needs one with envoy_grpc.cluster_name");
    }
    b->has_ads = true;
    b->ads_cluster = ads->grpc_services.at[0]->envoy_grpc->cluster_name;
    b->ads_authority = ads->grpc_services.at[0]->envoy_grpc->authority;
    return 0;
}

static int read_dynamic(struct bootstrap *b,
                        const struct pb_bootstrap_Bootstrap_DynamicResources *d, struct err *err)
{
    if (d == NULL) {
        return 0;
    }
    int code = read_source(&b->lds, d->lds_config, "lds_config", err);
    code = code ? code : read_source(&b->cds, d->cds_config, "cds_config", err);
    code = code ? code : read_ads(b, d->ads_config, err);
    if (code == 0 && !b->has_ads &&
        (b->lds.origin == BOOTSTRAP_ADS || b->cds.origin == BOOTSTRAP_ADS)) {
        return err_set(err, -ERR_CONFIG,
                       "dynamic_resources: 'ads' is asked for but there is no ads_config");
    }
    return code;
}

static int read_admin(struct bootstrap *b, const struct pb_bootstrap_Admin *admin, struct err *err)
{
    if (admin == NULL || admin->address == NULL) {
        return 0;
    }
    const struct pb_core_Address *a = admin->address;
    b->has_admin = true;
    if (a->address_case == PB_CORE_ADDRESS_ADDRESS_PIPE) {
        char text[ADDR_TEXT_BYTES];
        int len = snprintf(text, sizeof(text), "unix:%.*s", SPAN_ARG(a->pipe->path));
        return addr_parse(span_from(text, (size_t)len), &b->admin, err);
    }
    if (a->address_case != PB_CORE_ADDRESS_ADDRESS_SOCKET_ADDRESS) {
        return err_set(err, -ERR_CONFIG, "admin.address: use socket_address or pipe");
    }
    b->admin.kind = ADDR_IP;
    b->admin.port = (uint16_t)a->socket_address->port_value;
    if (ip_parse(a->socket_address->address, &b->admin.ip) != 0) {
        return err_set(err, -ERR_CONFIG, "admin.address: '%.*s' is not an IP address",
                       SPAN_ARG(a->socket_address->address));
    }
    return 0;
}

/* ---- static resources ---- */

static struct ingest_resource as_resource(struct arena *a, const struct pb_desc *desc,
                                          const char *url, struct span name, const void *msg)
{
    return (struct ingest_resource){
        .name = name,
        .type_url = span_of(url),
        .value = pb_encode_in(desc, msg, a),
    };
}

static void read_static(struct bootstrap *b, const struct pb_bootstrap_Bootstrap_StaticResources *s)
{
    if (s == NULL) {
        return;
    }
    struct arena *a = &b->arena;
    b->clusters = arena_array(a, s->clusters.count + 1, sizeof(*b->clusters));
    for (uint32_t i = 0; i < s->clusters.count; i++) {
        b->clusters[b->cluster_count++] =
            as_resource(a, &pb_cluster_Cluster_desc, PB_CLUSTER_CLUSTER_URL,
                        s->clusters.at[i]->name, s->clusters.at[i]);
    }
    b->secrets = arena_array(a, s->secrets.count + 1, sizeof(*b->secrets));
    for (uint32_t i = 0; i < s->secrets.count; i++) {
        b->secrets[b->secret_count++] = as_resource(a, &pb_tls_Secret_desc, PB_TLS_SECRET_URL,
                                                    s->secrets.at[i]->name, s->secrets.at[i]);
    }
    b->listeners = arena_array(a, s->listeners.count + 1, sizeof(*b->listeners));
    for (uint32_t i = 0; i < s->listeners.count; i++) {
        struct pb_listener_Listener *l = s->listeners.at[i];
        if (l->name.len == 0) { /* Envoy names them by their place, too */
            l->name = span_of(arena_printf(a, "listener_%u", i));
        }
        b->listeners[b->listener_count++] =
            as_resource(a, &pb_listener_Listener_desc, PB_LISTENER_LISTENER_URL, l->name, l);
    }
}

/* ---- the file ---- */

static int read_all(struct bootstrap *b, struct span text, const char *name, struct err *err)
{
    struct doc_node *doc;
    int code = doc_parse_yaml(&b->arena, text, name, &doc, err);
    if (code != 0) {
        return code;
    }
    const struct pb_bootstrap_Bootstrap *pb =
        pb_json_read(&proto_types, &pb_bootstrap_Bootstrap_desc, &b->arena, doc, err);
    if (pb == NULL) {
        return -ERR_CONFIG;
    }
    b->message = pb;
    if (pb->node != NULL) {
        read_node(b, pb->node);
    }
    code = read_admin(b, pb->admin, err);
    code = code ? code : read_dynamic(b, pb->dynamic_resources, err);
    code = code ? code : read_discovery(b, pb->node, err);
    if (code != 0) {
        return err_prefix(err, "%s", name);
    }
    read_static(b, pb->static_resources);
    return 0;
}

int bootstrap_read(struct bootstrap *b, struct span text, const char *name, struct err *err)
{
    *b = (struct bootstrap){0};
    arena_init(&b->arena, 16384);
    char *file = arena_strdup(&b->arena, name);
    int code = read_all(b, arena_dup(&b->arena, text), file, err);
    if (code != 0) {
        arena_dispose(&b->arena);
    }
    return code;
}

static int read_file(const char *path, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return -errno;
    }
    int code = 0;
    for (;;) {
        char *at = buf_reserve(to, 65536);
        ssize_t n = at ? read(fd, at, 65536) : -1;
        if (n <= 0) {
            code = n == 0 ? 0 : at ? -errno : -ERR_LIMIT;
            break;
        }
        buf_commit(to, (size_t)n);
    }
    close(fd);
    return code;
}

int bootstrap_load(struct bootstrap *b, const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    int code = read_file(path, &text);
    if (code != 0) {
        err_set(err, code, "%s: can not be read: %s", path, err_name(code));
    } else {
        code = bootstrap_read(b, buf_span(&text), path, err);
    }
    buf_dispose(&text);
    return code;
}

void bootstrap_dispose(struct bootstrap *b)
{
    arena_dispose(&b->arena);
}

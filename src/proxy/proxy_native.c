/* A bootstrap out of options: see proxy_native.h. */
#include "proxy/proxy_native.h"

#include "codec/doc.h"
#include "codec/ip.h"
#include "codec/url.h"
#include "io/file.h"
#include "mesh/names.h"
#include "proxy/node_identity.h"
#include "proxy/pod/pod_labels.h"
#include "version.h"

enum { TEXT_BYTES_MAX = 1 << 20 };

#define XDS_CLUSTER_NAME "xds-grpc"
#define ISTIO_VERSION "1.26.0" /* whose xDS we expect: foreign control planes ask */

/* A map that is being written, with the arena it is in. */
struct map_out {
    struct arena *arena;
    struct doc_node *map;
};

static struct map_out in(struct map_out m, const char *key)
{
    return (struct map_out){m.arena, doc_map_in(m.arena, m.map, key)};
}

/* A map at the end of the list `key`. */
static struct map_out in_list(struct map_out m, const char *key)
{
    struct doc_node *list = doc_list_in(m.arena, m.map, key);
    return (struct map_out){m.arena, doc_list_add(m.arena, list, doc_new_map(m.arena))};
}

static void put(struct map_out m, const char *key, const char *value)
{
    if (value != NULL) {
        doc_set_text(m.arena, m.map, key, span_of(value));
    }
}

static void put_address(struct map_out m, struct span host, uint16_t port)
{
    struct map_out socket = in(in(m, "address"), "socket_address");
    doc_set_text(m.arena, socket.map, "address", host);
    doc_set(m.arena, socket.map, "port_value", doc_int(m.arena, port));
}

/* ---- node ---- */

static const char *const modes[] = {"NONE", "REDIRECT", "TPROXY"};

static int put_file_labels(struct map_out to, const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, POD_LABELS_BYTES_MAX);
    struct span rest = SPAN_EMPTY, key, value;
    int code = file_read(path, &text, err);
    if (code == 0) {
        rest = arena_dup(to.arena, buf_span(&text));
        code = 1;
    }
    buf_dispose(&text);
    while (code == 1) {
        code = pod_labels_next(&rest, to.arena, &key, &value, err);
        if (code == 1) {
            doc_set_span(to.arena, to.map, key, doc_text(to.arena, value));
        }
    }
    return code ? err_prefix(err, "--labels-file '%s'", path) : 0;
}

static int put_labels(struct map_out metadata, const struct proxy_options *set, struct err *err)
{
    struct map_out to = in(metadata, "LABELS");
    const struct opt_list *labels = &set->labels;
    int code = set->labels_file != NULL ? put_file_labels(to, set->labels_file, err) : 0;
    if (code != 0) {
        return code;
    }
    for (size_t i = 0; i < labels->count; i++) {
        struct span rest = span_of(labels->items[i]);
        while (rest.at != NULL) {
            struct span value = span_cut(&rest, ',');
            struct span key = span_trim(span_cut(&value, '='));
            if (value.at == NULL || key.len == 0) {
                return err_set(err, -ERR_CONFIG, "--labels '%s': want KEY=VALUE, KEY=VALUE",
                               labels->items[i]);
            }
            doc_set_span(to.arena, to.map, key, doc_text(to.arena, span_trim(value)));
        }
    }
    return 0;
}

static int put_node(struct map_out boot, const struct proxy_options *set, struct err *err)
{
    struct map_out node = in(boot, "node"), meta = in(node, "metadata");
    const char *workload = set->workload ? set->workload : set->name;
    bool is_gateway = set->type == PROXY_GATEWAY;
    put(node, "id",
        arena_printf(boot.arena, "%s~%s~%s.%s~%s.svc.cluster.local",
                     is_gateway ? "router" : "sidecar", set->address, set->name, set->ns, set->ns));
    put(node, "cluster", arena_printf(boot.arena, "%s.%s", workload, set->ns));
    put(meta, "NAME", set->name);
    put(meta, "NAMESPACE", set->ns);
    put(meta, "SERVICE_ACCOUNT", set->service_account);
    put(meta, "WORKLOAD_NAME", workload);
    put(meta, "CLUSTER_ID", set->cluster_id);
    put(meta, "MESH_ID", set->mesh_id ? set->mesh_id : set->trust_domain);
    put(meta, "PRINCIPAL",
        arena_printf(boot.arena, "spiffe://%s/ns/%s/sa/%s", set->trust_domain, set->ns,
                     set->service_account));
    bool has_several = set->instance_ips != NULL && set->instance_ips[0] != '\0';
    put(meta, "INSTANCE_IPS", has_several ? set->instance_ips : set->address);
    put(meta, "INTERCEPTION_MODE", modes[set->interception]);
    put(meta, "ISTIO_VERSION", ISTIO_VERSION);
    put(meta, "MESH_VERSION", MESH_VERSION);
    put(meta, "DNS_CAPTURE", set->dns_capture ? "true" : NULL);
    if (set->http_proxy_port > 0) {
        put(meta, "HTTP_PROXY_PORT",
            arena_printf(boot.arena, "%lld", (long long)set->http_proxy_port));
    }
    put(meta, "MESH_APP_ADDRESS", set->app_address);
    put(meta, "MESH_ADMIN", set->admin);
    put(meta, "ENABLE_HBONE", "true"); /* understands internal listeners */
    put(meta, "MESH_REPORT", "otlp");
    put(meta, "MESH_DISCOVERY", set->learning == PROXY_LEARN_FULL ? "full" : "on-demand");
    return put_labels(meta, set, err);
}

/* ---- the way to the control plane ---- */

static void put_tls(struct map_out cluster, const struct proxy_options *set)
{
    struct map_out socket = in(cluster, "transport_socket"), tls = in(socket, "typed_config");
    put(socket, "name", "envoy.transport_sockets.tls");
    put(tls, "@type",
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext");
    put(tls, "sni", MESH_CONTROL_ACCOUNT);
    struct map_out common = in(tls, "common_tls_context");
    doc_list_add(common.arena, doc_list_in(common.arena, common.map, "alpn_protocols"),
                 doc_cstr(common.arena, "h2"));
    struct map_out own = in_list(common, "tls_certificate_sds_secret_configs");
    put(own, "name", NODE_IDENTITY_CERTIFICATE);
    (void)in(in(own, "sds_config"), "ads"); /* an empty message says it all */
    struct map_out both = in(common, "combined_validation_context");
    struct map_out roots = in(both, "validation_context_sds_secret_config");
    put(roots, "name", NODE_IDENTITY_ROOTS);
    (void)in(in(roots, "sds_config"), "ads");
    struct map_out match =
        in_list(in(both, "default_validation_context"), "match_typed_subject_alt_names");
    put(match, "san_type", "URI");
    put(in(match, "matcher"), "exact",
        arena_printf(match.arena, "spiffe://%s/ns/%s/sa/%s", set->trust_domain,
                     MESH_SYSTEM_NAMESPACE, MESH_CONTROL_ACCOUNT));
}

static int put_cluster(struct map_out boot, const struct proxy_options *set, struct err *err)
{
    struct span host, text = span_of(set->control);
    uint16_t port;
    if (url_split_authority(text, &host, &port) != 0 || port == 0) {
        return err_set(err, -ERR_CONFIG, "--control '%s': want HOST:PORT", set->control);
    }
    struct ip ip;
    struct map_out cluster = in_list(in(boot, "static_resources"), "clusters");
    put(cluster, "name", XDS_CLUSTER_NAME);
    put(cluster, "type", ip_parse(host, &ip) == 0 ? "STATIC" : "STRICT_DNS");
    put(cluster, "connect_timeout", "5s");
    struct map_out assignment = in(cluster, "load_assignment");
    put(assignment, "cluster_name", XDS_CLUSTER_NAME);
    put_address(in(in_list(in_list(assignment, "endpoints"), "lb_endpoints"), "endpoint"), host,
                port);
    struct map_out http = in(in(cluster, "typed_extension_protocol_options"),
                             "envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    put(http, "@type",
        "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    (void)in(in(http, "explicit_http_config"), "http2_protocol_options");
    put_tls(cluster, set);
    return 0;
}

static void put_dynamic(struct map_out boot)
{
    struct map_out dynamic = in(boot, "dynamic_resources");
    struct map_out ads = in(dynamic, "ads_config");
    put(ads, "api_type", "DELTA_GRPC");
    put(ads, "transport_api_version", "V3");
    struct map_out grpc = in(in_list(ads, "grpc_services"), "envoy_grpc");
    put(grpc, "cluster_name", XDS_CLUSTER_NAME);
    (void)in(in(dynamic, "lds_config"), "ads");
    (void)in(in(dynamic, "cds_config"), "ads");
}

static int put_admin(struct map_out boot, const struct proxy_options *set, struct err *err)
{
    struct addr addr;
    char text[IP_TEXT_BYTES];
    if (strcmp(set->admin, "off") == 0) {
        return 0;
    }
    if (addr_parse(span_of(set->admin), &addr, err) != 0) {
        return err_prefix(err, "--admin");
    }
    struct map_out admin = in(boot, "admin");
    if (addr.kind == ADDR_UNIX) {
        put(in(in(admin, "address"), "pipe"), "path", addr.path);
    } else {
        put_address(admin, span_of(ip_format(&addr.ip, text)), addr.port);
    }
    return 0;
}

/* ---- the whole ---- */

static int check(const struct proxy_options *set, struct err *err)
{
    struct ip ip;
    if (set->name == NULL) {
        return err_set(err, -ERR_CONFIG,
                       "--name is missing: what this workload instance is called");
    }
    if (set->address == NULL || ip_parse(span_of(set->address), &ip) != 0) {
        return err_set(err, -ERR_CONFIG, "--address is '%s'; want the IP address of this workload",
                       set->address ? set->address : "");
    }
    if (set->app_address != NULL && ip_parse(span_of(set->app_address), &ip) != 0) {
        return err_set(err, -ERR_CONFIG, "--app-address is '%s'; want an IP address",
                       set->app_address);
    }
    /* The id's parts are told apart by '~', and the name ends at the last dot. */
    if (strchr(set->name, '~') != NULL || set->name[0] == '\0') {
        return err_set(err, -ERR_CONFIG, "--name is '%s'; want a name without '~'", set->name);
    }
    return 0;
}

static int write_all(struct map_out boot, const struct proxy_options *set, struct err *err)
{
    int code = check(set, err);
    code = code ? code : put_node(boot, set, err);
    code = code ? code : put_cluster(boot, set, err);
    code = code ? code : put_admin(boot, set, err);
    if (code == 0) {
        put_dynamic(boot);
    }
    return code;
}

int proxy_native_bootstrap(struct bootstrap *b, const struct proxy_options *set, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 8192);
    struct map_out boot = {&arena, doc_new_map(&arena)};
    struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    int code = write_all(boot, set, err);
    if (code == 0 && (code = doc_write_json(boot.map, false, &text)) != 0) {
        err_set(err, -ERR_CONFIG, "the options are too long");
    }
    code = code ? code : bootstrap_read(b, buf_span(&text), "options", err);
    buf_dispose(&text);
    arena_dispose(&arena);
    return code;
}

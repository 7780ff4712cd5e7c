/* MeshConfig. Known fields of Istio's that have no effect here are told so by name. */
#include "model/mesh_config.h"

#include "model/kinds_int.h"

static const struct reader_enum traffic_modes[] = {
    {"REGISTRY_ONLY", SPEC_BOOL_FALSE}, {"ALLOW_ANY", SPEC_BOOL_TRUE}, {NULL, 0}};
static const struct reader_field traffic_fields[] = {
    {.name = "mode", .type = READER_ENUM, .names = traffic_modes},
};
static const struct reader_table traffic_table = {READER_TABLE(enum spec_bool, traffic_fields)};

static const struct reader_enum encodings[] = {
    {"TEXT", SPEC_BOOL_FALSE}, {"JSON", SPEC_BOOL_TRUE}, {NULL, 0}};

static void read_log_file(struct reader *r, const struct doc_node *node, void *to)
{
    struct mesh_config_spec *s = to;
    const struct reader_field text = {.name = "", .type = READER_TEXT};
    reader_value(r, node, &text, &s->access_log_file);
    s->has_access_log_file = true;
    if (s->access_log_file.len == 0 || s->access_log_file.at[0] == '/') {
        return;
    }
    struct finding *found = reader_say(
        r, 2029, node, NULL, "'accessLogFile' is %s, which is no path", reader_show(r, node));
    found->why = SPAN("proxies write to an absolute path");
    found->fix = SPAN("write '/dev/stdout', or \"\" for no log");
}

/* SPIFFE section 2.1: lower case letters, digits, '.', '-', '_'. */
static bool check_trust_domain(struct reader *r, const struct doc_node *node, struct span text)
{
    bool good = text.len > 0 && text.len <= 255;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.at[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    }
    if (good) {
        return true;
    }
    struct finding *found =
        reader_say(r, 2021, node, NULL, "'%s' is %s, which is not a trust domain", reader_here(r),
                   reader_show(r, node));
    found->why = SPAN("it is lower case letters, digits, '.', '-' and '_' (SPIFFE)");
    found->fix = SPAN("write a name like 'cluster.local'");
    return false;
}

static const struct reader_enum path_modes[] = {
    {"DEFAULT", MESH_CONFIG_PATHS_UNSET},
    {"NONE", MESH_CONFIG_PATHS_NONE},
    {"BASE", MESH_CONFIG_PATHS_BASE},
    {"MERGE_SLASHES", MESH_CONFIG_PATHS_MERGE_SLASHES},
    {"DECODE_AND_MERGE_SLASHES", MESH_CONFIG_PATHS_DECODE_AND_MERGE_SLASHES},
    {NULL, 0}};
static const struct reader_field path_fields[] = {
    {.name = "normalization", .type = READER_ENUM, .names = path_modes},
};
/* Strict: what is not read would let paths past a policy. */
static const struct reader_table path_table = {READER_TABLE(enum mesh_config_paths, path_fields),
                                               .strict = true};

static const struct reader_enum client_certs[] = {
    {"UNDEFINED", MESH_CONFIG_CLIENT_CERT_UNSET},
    {"SANITIZE", MESH_CONFIG_CLIENT_CERT_SANITIZE},
    {"FORWARD_ONLY", MESH_CONFIG_CLIENT_CERT_FORWARD_ONLY},
    {"APPEND_FORWARD", MESH_CONFIG_CLIENT_CERT_APPEND_FORWARD},
    {"SANITIZE_SET", MESH_CONFIG_CLIENT_CERT_SANITIZE_SET},
    {"ALWAYS_FORWARD_ONLY", MESH_CONFIG_CLIENT_CERT_ALWAYS_FORWARD_ONLY},
    {NULL, 0}};
/* An empty message: that it is there says it all. */
static void read_proxy_protocol(struct reader *r, const struct doc_node *node, void *to)
{
    static const struct reader_table nothing = {.strict = true};
    const struct reader_field map = {.name = "", .type = READER_MAP, .table = &nothing};
    reader_value(r, node, &map, to);
    ((struct mesh_config_topology *)to)->proxy_protocol = true;
}

static const struct reader_field topology_fields[] = {
    READER_FIELD("numTrustedProxies", U32, struct mesh_config_topology, trusted_proxies,
                 .max = 100),
    READER_FIELD("forwardClientCertDetails", ENUM, struct mesh_config_topology, client_cert,
                 .names = client_certs),
    {.name = "proxyProtocol", .type = READER_CUSTOM, .read = read_proxy_protocol},
};
static const struct reader_table topology_table = {
    READER_TABLE(struct mesh_config_topology, topology_fields), .strict = true};

#define PROXY_OWN "proxies take their settings from flags, environment and mesh.ini"

#define PROXY_FIELD(key) READER_WARN(key, PROXY_OWN)
static const struct reader_field proxy_fields[] = {
    {.name = "gatewayTopology", .type = READER_MAP, .table = &topology_table},
    PROXY_FIELD("configPath"),
    PROXY_FIELD("binaryPath"),
    PROXY_FIELD("serviceCluster"),
    PROXY_FIELD("tracingServiceName"),
    PROXY_FIELD("drainDuration"),
    PROXY_FIELD("discoveryAddress"),
    PROXY_FIELD("zipkinAddress"),
    PROXY_FIELD("statsdUdpAddress"),
    PROXY_FIELD("proxyAdminPort"),
    PROXY_FIELD("controlPlaneAuthPolicy"),
    PROXY_FIELD("customConfigFile"),
    PROXY_FIELD("statNameLength"),
    PROXY_FIELD("concurrency"),
    PROXY_FIELD("proxyBootstrapTemplatePath"),
    PROXY_FIELD("interceptionMode"),
    PROXY_FIELD("tracing"),
    PROXY_FIELD("sds"),
    PROXY_FIELD("envoyAccessLogService"),
    PROXY_FIELD("envoyMetricsService"),
    PROXY_FIELD("proxyMetadata"),
    PROXY_FIELD("runtimeValues"),
    PROXY_FIELD("statusPort"),
    PROXY_FIELD("extraStatTags"),
    PROXY_FIELD("terminationDrainDuration"),
    PROXY_FIELD("meshId"),
    PROXY_FIELD("readinessProbe"),
    PROXY_FIELD("proxyStatsMatcher"),
    PROXY_FIELD("holdApplicationUntilProxyStarts"),
    PROXY_FIELD("caCertificatesPem"),
    PROXY_FIELD("image"),
    PROXY_FIELD("privateKeyProvider"),
    PROXY_FIELD("proxyHeaders"),
    PROXY_FIELD("fileFlushInterval"),
    PROXY_FIELD("fileFlushMinSizeKb"),
    PROXY_FIELD("statsCompression"),
};
static const struct reader_table proxy_table = {
    READER_TABLE(struct mesh_config_topology, proxy_fields)};

static const struct reader_field gzip_fields[] = {
    READER_FIELD("gzip", BOOL, struct mesh_config_gzip, on),
    READER_FIELD("minContentLength", U32, struct mesh_config_gzip, min_bytes),
    READER_FIELD("contentTypes", TEXTS, struct mesh_config_gzip, types),
};
static const struct reader_table gzip_table = {READER_TABLE(struct mesh_config_gzip, gzip_fields)};

static void start_spec(void *out)
{
    ((struct mesh_config_spec *)out)->connect_timeout_ms = SPEC_UNSET;
}

#define PROVIDERS "tracing, metrics and logs go where proxies are told at start"

static const struct reader_field spec_fields[] = {
    READER_FIELD("trustDomain", TEXT, struct mesh_config_spec, trust_domain,
                 .check = check_trust_domain),
    READER_FIELD("rootNamespace", TEXT, struct mesh_config_spec, root_namespace,
                 .check = reader_text_label),
    READER_FIELD("outboundTrafficPolicy", MAP, struct mesh_config_spec, allow_any,
                 .table = &traffic_table),
    READER_FIELD("enableAutoMtls", TOLD, struct mesh_config_spec, auto_mtls),
    {.name = "accessLogFile", .type = READER_CUSTOM, .read = read_log_file},
    READER_FIELD("accessLogFormat", TEXT, struct mesh_config_spec, access_log_format),
    READER_FIELD("accessLogEncoding", ENUM, struct mesh_config_spec, access_log_json,
                 .names = encodings),
    READER_FIELD("connectTimeout", DURATION, struct mesh_config_spec, connect_timeout_ms),
    READER_FIELD("defaultHttpRetryPolicy", MAP, struct mesh_config_spec, retry,
                 .table = &virtual_service_retry_table),
    READER_FIELD("meshRanges", TEXTS, struct mesh_config_spec, mesh_ranges,
                 .check = reader_text_cidr),
    READER_FIELD("enablePrometheusMerge", TOLD, struct mesh_config_spec, prometheus_merge),
    READER_FIELD("enableHBONE", TOLD, struct mesh_config_spec, hbone),
    READER_FIELD("defaultConfig", MAP, struct mesh_config_spec, topology, .table = &proxy_table),
    READER_FIELD("pathNormalization", MAP, struct mesh_config_spec, paths, .table = &path_table),
    READER_FIELD("compression", MAP, struct mesh_config_spec, gzip, .table = &gzip_table),
    READER_WARN("extensionProviders", PROVIDERS),
    READER_WARN("defaultProviders", PROVIDERS),
    READER_WARN("enableTracing", PROVIDERS),
    READER_WARN("enableEnvoyAccessLogService", PROVIDERS),
    READER_WARN("disableEnvoyListenerLog", "there is no listener log"),
    READER_WARN("protocolDetectionTimeout", "the first bytes are awaited for a fixed time"),
    READER_WARN("tcpKeepalive", "write it into a DestinationRule"),
    READER_WARN("h2UpgradePolicy", "write it into a DestinationRule"),
    READER_WARN("localityLbSetting", "endpoints of all zones are the same"),
    READER_WARN("zoneAwareLbSetting", "endpoints of all zones are the same"),
    READER_WARN("defaultTrafficPolicy", "write a DestinationRule for '*.local'"),
    READER_WARN("dnsRefreshRate", "names are resolved as their time to live says"),
    READER_WARN("inboundClusterStatName", "names of statistics are fixed"),
    READER_WARN("outboundClusterStatName", "names of statistics are fixed"),
    READER_WARN("discoverySelectors", "objects of all namespaces are read"),
    READER_WARN("serviceSettings", "services are told apart by their namespace only"),
    READER_WARN("serviceScopeConfigs", "services are told apart by their namespace only"),
    READER_WARN("ingressClass", "Ingress objects are not read"),
    READER_WARN("ingressService", "Ingress objects are not read"),
    READER_WARN("ingressControllerMode", "Ingress objects are not read"),
    READER_WARN("ingressSelector", "Ingress objects are not read"),
    READER_WARN("proxyListenPort", "it is 15001"),
    READER_WARN("proxyInboundListenPort", "it is 15006"),
    READER_WARN("proxyHttpPort", "proxies tell theirs: --http-proxy-port"),
    READER_WARN("configSources", "control reads what its flags name"),
    READER_WARN("hboneIdleTimeout", "idle connections of tunnels end after an hour"),
    READER_REFUSE("trustDomainAliases", "remove it: identities of one trust domain are taken"),
    READER_REFUSE("caCertificates", "give the root to control and proxies by flag"),
    READER_REFUSE("ca", "start 'mesh control' with a CA of its own, or by flag with another"),
    READER_REFUSE("meshMTLS", "remove it: TLS 1.3 and 1.2 with safe ciphers is what there is"),
    READER_REFUSE("tlsDefaults", "remove it: TLS 1.3 and 1.2 with safe ciphers is what there is"),
    READER_REFUSE("inboundTrafficPolicy", "remove it: undeclared ports pass through"),
    READER_REFUSE("defaultServiceExportTo", "write 'exportTo' into each object"),
    READER_REFUSE("defaultVirtualServiceExportTo", "write 'exportTo' into each object"),
    READER_REFUSE("defaultDestinationRuleExportTo", "write 'exportTo' into each object"),
};
const struct reader_table mesh_config_table = {READER_TABLE(struct mesh_config_spec, spec_fields),
                                               .start = start_spec};

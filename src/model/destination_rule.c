/* DestinationRule: policies of a host, its ports and subsets. Next: destination_rule_balancing, _pool. */
#include "model/destination_rule.h"

#include "model/destination_rule_int.h"
#include "model/kinds_int.h"

/* --- ClientTLSSettings --- */

static const struct reader_enum tls_modes[] = {{"DISABLE", DESTINATION_RULE_TLS_DISABLE},
                                               {"SIMPLE", DESTINATION_RULE_TLS_SIMPLE},
                                               {"MUTUAL", DESTINATION_RULE_TLS_MUTUAL},
                                               {"ISTIO_MUTUAL", DESTINATION_RULE_TLS_ISTIO_MUTUAL},
                                               {NULL, 0}};

static void start_tls(void *out)
{
    ((struct destination_rule_tls *)out)->set = true;
}

/* validateTLS of Istio: MUTUAL needs a certificate and key, ISTIO_MUTUAL has its own. */
static void check_tls(struct reader *r, const struct doc_node *node, void *out)
{
    const struct destination_rule_tls *tls = out;
    static const char *const own[] = {"clientCertificate", "privateKey", "caCertificates",
                                      "credentialName"};
    bool mutual = tls->mode == DESTINATION_RULE_TLS_MUTUAL && tls->credential.len == 0;
    if (mutual && tls->certificate_file.len == 0) {
        reader_missing(r, node, "clientCertificate", "add 'clientCertificate', the path of a file");
    }
    if (mutual && tls->key_file.len == 0) {
        reader_missing(r, node, "privateKey", "add 'privateKey', the path of a file");
    }
    for (size_t i = 0; i < ARRAY_LEN(own) && tls->mode == DESTINATION_RULE_TLS_ISTIO_MUTUAL; i++) {
        if (reader_has(node, own[i])) {
            struct finding *found = reader_say(r, 2033, doc_get(node, own[i]), own[i],
                                               "'%s' is told, and would not be used", own[i]);
            found->why = SPAN("mode ISTIO_MUTUAL uses the mesh's certificates");
            found->fix = finding_text(r->findings, "remove '%s', or write 'mode: MUTUAL'", own[i]);
        }
    }
}

static const struct reader_field tls_fields[] = {
    READER_FIELD("mode", ENUM, struct destination_rule_tls, mode, .names = tls_modes),
    READER_FIELD("clientCertificate", TEXT, struct destination_rule_tls, certificate_file,
                 .check = reader_text_file),
    READER_FIELD("privateKey", TEXT, struct destination_rule_tls, key_file,
                 .check = reader_text_file),
    READER_FIELD("caCertificates", TEXT, struct destination_rule_tls, ca_file,
                 .check = reader_text_file),
    READER_FIELD("credentialName", TEXT, struct destination_rule_tls, credential,
                 .check = reader_text_not_empty),
    READER_FIELD("subjectAltNames", TEXTS, struct destination_rule_tls, subject_alt_names,
                 .check = reader_text_not_empty),
    READER_FIELD("sni", TEXT, struct destination_rule_tls, sni,
                 .check = reader_text_precise_hostname),
    READER_FIELD("insecureSkipVerify", TOLD, struct destination_rule_tls, skip_verify),
    READER_REFUSE("caCrl", "remove it: certificates in it would be taken"),
};
static const struct reader_table tls_table = {READER_TABLE(struct destination_rule_tls, tls_fields),
                                              .strict = true, .start = start_tls,
                                              .check = check_tls};

/* --- ProxyProtocol --- */

static const struct reader_enum proxy_versions[] = {
    {"V1", DESTINATION_RULE_PROXY_V1}, {"V2", DESTINATION_RULE_PROXY_V2}, {NULL, 0}};
static const struct reader_field proxy_fields[] = {
    READER_FIELD("version", ENUM, struct destination_rule_proxy, version, .names = proxy_versions),
};

static void start_proxy(void *out)
{
    ((struct destination_rule_proxy *)out)->set = true;
}

static const struct reader_table proxy_table = {
    READER_TABLE(struct destination_rule_proxy, proxy_fields), .strict = true,
    .start = start_proxy};

/* --- TrafficPolicy --- */

static const struct reader_field port_fields[] = {
    READER_FIELD("port", MAP, struct destination_rule_port, port, .required = true,
                 .table = &spec_port_table, .note = "add 'port' with a 'number'"),
    READER_FIELD("loadBalancer", MAP, struct destination_rule_port, traffic.balancing,
                 .table = &destination_rule_balancing_table),
    READER_FIELD("connectionPool", MAP, struct destination_rule_port, traffic.pool,
                 .table = &destination_rule_pool_table),
    READER_FIELD("outlierDetection", MAP, struct destination_rule_port, traffic.outlier,
                 .table = &destination_rule_outlier_table),
    READER_FIELD("tls", MAP, struct destination_rule_port, traffic.tls, .table = &tls_table),
};
static const struct reader_table port_table = {
    READER_TABLE(struct destination_rule_port, port_fields)};

static void start_policy(void *out)
{
    ((struct destination_rule_policy *)out)->set = true;
}

static void check_policy(struct reader *r, const struct doc_node *node, void *out)
{
    const struct destination_rule_policy *p = out;
    const struct doc_node *list = doc_get(node, "portLevelSettings");
    reader_unique(r, list, "portLevelSettings", "port.number", "port");
    bool something = p->traffic.balancing.set || p->traffic.pool.set || p->traffic.outlier.set ||
                     p->traffic.tls.set || p->traffic.proxy.set || p->port_count > 0 ||
                     node->count > 0;
    if (something) {
        return;
    }
    struct finding *found = reader_say(r, 2025, node, NULL, "'trafficPolicy' sets nothing");
    found->why = SPAN("it wants one of loadBalancer, connectionPool, outlierDetection, tls or "
                      "portLevelSettings");
    found->fix = SPAN("add one of them, or remove 'trafficPolicy'");
}

static const struct reader_field policy_fields[] = {
    READER_FIELD("loadBalancer", MAP, struct destination_rule_policy, traffic.balancing,
                 .table = &destination_rule_balancing_table),
    READER_FIELD("connectionPool", MAP, struct destination_rule_policy, traffic.pool,
                 .table = &destination_rule_pool_table),
    READER_FIELD("outlierDetection", MAP, struct destination_rule_policy, traffic.outlier,
                 .table = &destination_rule_outlier_table),
    READER_FIELD("tls", MAP, struct destination_rule_policy, traffic.tls, .table = &tls_table),
    READER_FIELD("portLevelSettings", LIST, struct destination_rule_policy, ports,
                 .table = &port_table),
    READER_REFUSE("tunnel", "remove it: connections would not be tunnelled"),
    READER_FIELD("proxyProtocol", MAP, struct destination_rule_policy, traffic.proxy,
                 .table = &proxy_table),
    READER_WARN("retryBudget", "retries are bounded by connectionPool.http.maxRetries"),
};
static const struct reader_table policy_table = {
    READER_TABLE(struct destination_rule_policy, policy_fields), .start = start_policy,
    .check = check_policy};

/* --- subsets --- */

static const struct reader_field subset_fields[] = {
    READER_FIELD("name", TEXT, struct destination_rule_subset, name, .required = true,
                 .check = reader_text_label),
    READER_FIELD("labels", LABELS, struct destination_rule_subset, labels),
    READER_FIELD("trafficPolicy", MAP, struct destination_rule_subset, policy,
                 .table = &policy_table),
};
static const struct reader_table subset_table = {
    READER_TABLE(struct destination_rule_subset, subset_fields), .strict = true};

/* --- the whole --- */

static void check_rule(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    reader_unique(r, doc_get(node, "subsets"), "subsets", "name", "subset name");
}

static void read_selector(struct reader *r, const struct doc_node *node, void *to)
{
    struct destination_rule_spec *s = to;
    s->has_workload_selector = true;
    reader_map(r, node, &spec_selector_table, &s->workload_selector);
}

static const struct reader_field rule_fields[] = {
    READER_FIELD("host", TEXT, struct destination_rule_spec, host, .required = true,
                 .check = reader_text_host, .note = "add 'host', the name of a service"),
    READER_FIELD("trafficPolicy", MAP, struct destination_rule_spec, policy,
                 .table = &policy_table),
    READER_FIELD("subsets", LIST, struct destination_rule_spec, subsets, .table = &subset_table),
    READER_FIELD("exportTo", TEXTS, struct destination_rule_spec, export_to,
                 .check = reader_text_export),
    {.name = "workloadSelector", .type = READER_CUSTOM, .read = read_selector},
};
const struct reader_table destination_rule_table = {
    READER_TABLE(struct destination_rule_spec, rule_fields), .check = check_rule};

/* Service and Namespace. */
#include "model/service.h"

#include "codec/ip.h"
#include "model/kinds_int.h"

static const struct reader_field namespace_fields[] = {
    READER_FIELD("finalizers", TEXTS, struct namespace_spec, finalizers),
};
const struct reader_table service_namespace_table = {
    READER_TABLE(struct namespace_spec, namespace_fields)};

/* --- ports --- */

/* IANA_SVC_NAME (RFC 6335 section 5.1): what names of ports of pods are. */
static bool is_service_name(struct span text)
{
    bool letter = false;
    for (size_t i = 0; i < text.len; i++) {
        letter |= text.at[i] >= 'a' && text.at[i] <= 'z';
    }
    return letter && text.len <= 15 && reader_text_is_label(text) &&
           span_find(text, SPAN("--")) < 0;
}

static bool check_target_name(struct reader *r, const struct doc_node *node, struct span text)
{
    if (is_service_name(text)) {
        return true;
    }
    struct finding *found = reader_say(r, 2018, node, NULL, "'targetPort' is %s, which is no port",
                                       reader_show(r, node));
    found->why = SPAN("it is a number, or a name of at most 15 lower case letters, digits and '-'");
    found->fix = SPAN("write a number without quotes, or the name of a port");
    return false;
}

static void read_target_port(struct reader *r, const struct doc_node *node, void *to)
{
    struct service_port *port = to;
    const struct reader_field number = {.name = "", .type = READER_PORT};
    const struct reader_field name = {.name = "", .type = READER_TEXT, .check = check_target_name};
    if (node->kind == DOC_TEXT) {
        reader_value(r, node, &name, &port->target_name);
    } else {
        reader_value(r, node, &number, &port->target_port);
    }
}

static bool check_protocol(struct reader *r, const struct doc_node *node, struct span text)
{
    if (span_is(text, "TCP") || span_is(text, "UDP") || span_is(text, "SCTP")) {
        return true;
    }
    struct finding *found = reader_say(
        r, 2015, node, NULL, "'protocol' is %s, which is not allowed", reader_show(r, node));
    found->why = SPAN("allowed: TCP, UDP or SCTP");
    found->fix = SPAN("write 'protocol: TCP', and what is spoken over it as 'appProtocol'");
    return false;
}

static void start_port(void *out)
{
    ((struct service_port *)out)->protocol = SPAN("TCP");
}

static void check_port(struct reader *r, const struct doc_node *node, void *out)
{
    struct service_port *port = out;
    UNUSED(r);
    if (!reader_has(node, "targetPort")) {
        port->target_port = port->port;
    }
}

static const struct reader_field port_fields[] = {
    READER_FIELD("name", TEXT, struct service_port, name, .check = reader_text_label),
    READER_FIELD("port", PORT, struct service_port, port, .required = true),
    {.name = "targetPort", .type = READER_CUSTOM, .read = read_target_port},
    READER_FIELD("protocol", TEXT, struct service_port, protocol, .check = check_protocol),
    READER_FIELD("appProtocol", TEXT, struct service_port, app_protocol),
    READER_IGNORE("nodePort"),
};
static const struct reader_table port_table = {READER_TABLE(struct service_port, port_fields),
                                               .start = start_port, .check = check_port};

/* --- addresses --- */

static void add_address(struct reader *r, const struct doc_node *node, struct service_spec *s)
{
    struct span text = node->kind == DOC_TEXT ? node->text : SPAN("?");
    struct span *items = (struct span *)s->cluster_ips.items;
    if (node->kind == DOC_TEXT && text.len == 0) {
        return;
    }
    if (span_is(text, "None")) {
        s->headless = true;
        return;
    }
    for (size_t i = 0; i < s->cluster_ips.count; i++) {
        if (span_eq(items[i], text)) {
            return; /* clusterIP is clusterIPs[0] too */
        }
    }
    const struct reader_field ip = {.name = "", .type = READER_TEXT, .check = reader_text_ip};
    items = arena_array(r->arena, s->cluster_ips.count + 1, sizeof(items[0]));
    for (size_t i = 0; i < s->cluster_ips.count; i++) {
        items[i] = s->cluster_ips.items[i];
    }
    reader_value(r, node, &ip, &items[s->cluster_ips.count]);
    s->cluster_ips.items = items;
    s->cluster_ips.count++;
}

static void read_cluster_ip(struct reader *r, const struct doc_node *node, void *to)
{
    add_address(r, node, to);
}

static void read_cluster_ips(struct reader *r, const struct doc_node *node, void *to)
{
    if (node->kind != DOC_LIST || node->count > 2) {
        (void)reader_wrong_kind(r, node, "a list of at most two addresses"); /* is said */
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct reader_step step = {.up = r->at, .index = i};
        r->at = &step;
        add_address(r, doc_at(node, i), to);
        r->at = step.up;
    }
}

/* --- the whole --- */

static void check_ports(struct reader *r, const struct doc_node *node, const struct service_spec *s)
{
    const struct doc_node *list = doc_get(node, "ports");
    reader_unique(r, list, "ports", "name", "port name");
    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        const struct doc_node *at = doc_at(list, i);
        if (s->port_count > 1 && p->name.len == 0) {
            struct finding *found =
                reader_say(r, 2014, at, arena_printf(r->findings->arena, "ports[%zu].name", i),
                           "port %u has no name", p->port);
            found->why = SPAN("a service of several ports names each");
            found->fix = SPAN("add 'name', for example 'name: http'");
        }
        for (size_t k = 0; k < i; k++) {
            const struct service_port *q = &s->ports[k];
            if (q->port != p->port || !span_eq(q->protocol, p->protocol)) {
                continue;
            }
            struct finding *found =
                reader_say(r, 2023, doc_get(at, "port"),
                           arena_printf(r->findings->arena, "ports[%zu].port", i),
                           "port %u is there twice", p->port);
            found->why =
                finding_text(r->findings, "ports[%zu] has the same number and protocol", k);
            found->fix = SPAN("remove one of the two");
        }
    }
}

static void check_service(struct reader *r, const struct doc_node *node, void *out)
{
    const struct service_spec *s = out;
    bool external = s->type == SERVICE_EXTERNAL_NAME;
    check_ports(r, node, s);
    if (external && s->external_name.len == 0) {
        reader_missing(r, node, "externalName", "add 'externalName', a DNS name");
    }
    if (!external && s->port_count == 0 && !s->headless) {
        reader_missing(r, node, "ports", "add 'ports' with at least one 'port'");
    }
}

/* "Cluster" is what the API server writes into each. */
static void read_internal_policy(struct reader *r, const struct doc_node *node, void *to)
{
    UNUSED(to);
    if (node->kind == DOC_TEXT && span_is(node->text, "Cluster")) {
        return;
    }
    const struct reader_field later =
        READER_WARN("internalTrafficPolicy", "endpoints of all nodes are used");
    reader_value(r, node, &later, NULL);
}

static const struct reader_enum types[] = {{"ClusterIP", SERVICE_CLUSTER_IP},
                                           {"NodePort", SERVICE_NODE_PORT},
                                           {"LoadBalancer", SERVICE_LOAD_BALANCER},
                                           {"ExternalName", SERVICE_EXTERNAL_NAME},
                                           {NULL, 0}};

static const struct reader_field service_fields[] = {
    READER_FIELD("type", ENUM, struct service_spec, type, .names = types),
    {.name = "clusterIP", .type = READER_CUSTOM, .read = read_cluster_ip},
    {.name = "clusterIPs", .type = READER_CUSTOM, .read = read_cluster_ips},
    READER_FIELD("selector", LABELS, struct service_spec, selector),
    READER_FIELD("externalName", TEXT, struct service_spec, external_name,
                 .check = reader_text_precise_hostname),
    READER_FIELD("ports", LIST, struct service_spec, ports, .table = &port_table),
    READER_FIELD("publishNotReadyAddresses", BOOL, struct service_spec, publish_not_ready),
    READER_WARN("trafficDistribution", "all endpoints are the same, wherever they are"),
    {.name = "internalTrafficPolicy", .type = READER_CUSTOM, .read = read_internal_policy},
    READER_IGNORE("sessionAffinity"),
    READER_IGNORE("sessionAffinityConfig"),
    READER_IGNORE("externalTrafficPolicy"),
    READER_IGNORE("healthCheckNodePort"),
    READER_IGNORE("allocateLoadBalancerNodePorts"),
    READER_IGNORE("loadBalancerClass"),
    READER_IGNORE("loadBalancerIP"),
    READER_IGNORE("loadBalancerSourceRanges"),
    READER_IGNORE("externalIPs"),
    READER_IGNORE("ipFamilies"),
    READER_IGNORE("ipFamilyPolicy"),
};
const struct reader_table service_table = {READER_TABLE(struct service_spec, service_fields),
                                           .check = check_service};

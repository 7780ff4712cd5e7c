/* ServiceEntry. */
#include "model/service_entry.h"

#include "codec/ip.h"
#include "model/kinds_int.h"

/* --- ports --- */

/* What Istio's protocol.Parse knows, any case; kept in capitals. */
static void read_protocol(struct reader *r, const struct doc_node *node, void *to)
{
    static const char *const known[] = {"HTTP", "HTTPS", "HTTP2", "GRPC",  "GRPC-WEB", "HTTP_PROXY",
                                        "TCP",  "TLS",   "UDP",   "MONGO", "MYSQL",    "REDIS"};
    for (size_t i = 0; node->kind == DOC_TEXT && i < ARRAY_LEN(known); i++) {
        if (span_eq_nocase(node->text, span_of(known[i]))) {
            *(struct span *)to = span_of(known[i]);
            return;
        }
    }
    if (node->kind != DOC_TEXT) {
        (void)reader_wrong_kind(r, node, "text"); /* is said */
        return;
    }
    struct finding *found = reader_say(
        r, 2015, node, NULL, "'protocol' is %s, which is not allowed", reader_show(r, node));
    found->why =
        SPAN("allowed: HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, UDP, MONGO, MYSQL or REDIS");
    found->fix = SPAN("write what is spoken, or TCP for anything");
}

static void check_port(struct reader *r, const struct doc_node *node, void *out)
{
    struct service_entry_port *port = out;
    UNUSED(r);
    if (!reader_has(node, "targetPort")) {
        port->target_port = port->number;
    }
}

static void start_port(void *out)
{
    ((struct service_entry_port *)out)->protocol = SPAN("");
}

static const struct reader_field port_fields[] = {
    READER_FIELD("number", PORT, struct service_entry_port, number, .required = true),
    READER_FIELD("name", TEXT, struct service_entry_port, name, .required = true,
                 .check = reader_text_label),
    READER_FIELD("protocol", CUSTOM, struct service_entry_port, protocol, .read = read_protocol),
    READER_FIELD("targetPort", PORT, struct service_entry_port, target_port),
};
static const struct reader_table port_table = {READER_TABLE(struct service_entry_port, port_fields),
                                               .start = start_port, .check = check_port};

/* --- the whole: ValidateServiceEntry of Istio --- */

static void no_fit(struct reader *r, const struct doc_node *at, const char *below, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, 2033, at, below, "%s", what);
    found->why = span_of(why);
    found->fix = span_of(fix);
}

static void check_hosts(struct reader *r, const struct doc_node *node,
                        const struct service_entry_spec *s)
{
    const struct doc_node *list = doc_get(node, "hosts");
    bool dns = s->resolution == SERVICE_ENTRY_DNS || s->resolution == SERVICE_ENTRY_DNS_ROUND_ROBIN;
    reader_unique(r, list, "hosts", NULL, "host");
    for (size_t i = 0; i < s->hosts.count; i++) {
        const char *below = arena_printf(r->findings->arena, "hosts[%zu]", i);
        if (span_is(s->hosts.items[i], "*")) {
            struct finding *found =
                reader_say(r, 2019, doc_at(list, i), below, "host '*' is every name there is");
            found->why = SPAN("a ServiceEntry names what it is about");
            found->fix = SPAN("write a name, or '*.example.com'");
        } else if (dns && s->endpoint_count == 0 && span_starts(s->hosts.items[i], SPAN("*"))) {
            no_fit(r, doc_at(list, i), below, "a wildcard host can not be resolved by DNS",
                   "resolution is DNS and there are no endpoints",
                   "write 'resolution: NONE', or add endpoints");
        }
    }
}

static void check_endpoint(struct reader *r, const struct doc_node *at, size_t i,
                           const struct service_entry_spec *s)
{
    struct ip ip;
    struct span address = s->endpoints[i].address;
    const char *below = arena_printf(r->findings->arena, "endpoints[%zu].address", i);
    bool is_unix = span_starts(address, SPAN("unix://"));
    if (s->resolution == SERVICE_ENTRY_STATIC && !is_unix && ip_parse(address, &ip) != 0) {
        no_fit(r, doc_get(at, "address"), below, "a static endpoint has a name for an address",
               "resolution is STATIC", "write an IP address, or 'resolution: DNS'");
    } else if (s->resolution >= SERVICE_ENTRY_DNS && is_unix) {
        no_fit(r, doc_get(at, "address"), below, "a unix socket can not be resolved by DNS",
               "resolution is DNS", "write 'resolution: STATIC'");
    }
}

static void check_entry(struct reader *r, const struct doc_node *node, void *out)
{
    const struct service_entry_spec *s = out;
    check_hosts(r, node, s);
    reader_unique(r, doc_get(node, "ports"), "ports", "name", "port name");
    reader_unique(r, doc_get(node, "ports"), "ports", "number", "port number");
    const struct doc_node *list = doc_get(node, "endpoints");
    if (s->has_workload_selector && s->workload_selector.count == 0) {
        no_fit(r, doc_get(node, "workloadSelector"), "workloadSelector",
               "the selector has no labels", "it would select every workload of the namespace",
               "add 'labels'");
    }
    if (s->resolution == SERVICE_ENTRY_NONE && s->endpoint_count > 0) {
        no_fit(r, list, "endpoints", "endpoints are given, and would not be used",
               "resolution is NONE: requests go where the client says",
               "write 'resolution: STATIC', or remove 'endpoints'");
        return;
    }
    for (size_t i = 0; i < s->endpoint_count; i++) {
        check_endpoint(r, doc_at(list, i), i, s);
    }
}

static const struct reader_field selector_fields[] = {
    READER_FIELD("labels", LABELS, struct spec_labels, items),
};
static const struct reader_table selector_table = {
    READER_TABLE(struct spec_labels, selector_fields), .strict = true};

static void read_selector(struct reader *r, const struct doc_node *node, void *to)
{
    struct service_entry_spec *s = to;
    s->has_workload_selector = true;
    reader_map(r, node, &selector_table, &s->workload_selector);
}

static const struct reader_enum locations[] = {
    {"MESH_EXTERNAL", 0}, {"MESH_INTERNAL", 1}, {NULL, 0}};
static const struct reader_enum resolutions[] = {{"NONE", SERVICE_ENTRY_NONE},
                                                 {"STATIC", SERVICE_ENTRY_STATIC},
                                                 {"DNS", SERVICE_ENTRY_DNS},
                                                 {"DNS_ROUND_ROBIN", SERVICE_ENTRY_DNS_ROUND_ROBIN},
                                                 {NULL, 0}};

static void read_location(struct reader *r, const struct doc_node *node, void *to)
{
    int which = 0;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = locations};
    reader_value(r, node, &field, &which);
    *(bool *)to = which == 1;
}

static const struct reader_field entry_fields[] = {
    READER_FIELD("hosts", TEXTS, struct service_entry_spec, hosts, .required = true, .min = 1,
                 .check = reader_text_host, .note = "add 'hosts', a list of names"),
    READER_FIELD("addresses", TEXTS, struct service_entry_spec, addresses,
                 .check = reader_text_cidr),
    READER_FIELD("ports", LIST, struct service_entry_spec, ports, .table = &port_table),
    READER_FIELD("location", CUSTOM, struct service_entry_spec, internal, .read = read_location),
    READER_FIELD("resolution", ENUM, struct service_entry_spec, resolution, .names = resolutions),
    READER_FIELD("endpoints", LIST, struct service_entry_spec, endpoints, .one_of = 1,
                 .table = &workload_entry_table),
    {.name = "workloadSelector", .type = READER_CUSTOM, .one_of = 1, .read = read_selector},
    READER_FIELD("exportTo", TEXTS, struct service_entry_spec, export_to,
                 .check = reader_text_export),
    READER_FIELD("subjectAltNames", TEXTS, struct service_entry_spec, subject_alt_names,
                 .check = reader_text_not_empty),
};
const struct reader_table service_entry_table = {
    READER_TABLE(struct service_entry_spec, entry_fields), .check = check_entry};

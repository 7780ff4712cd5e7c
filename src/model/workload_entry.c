/* WorkloadEntry, alone and as an endpoint of a ServiceEntry. */
#include "model/workload_entry.h"

#include "codec/ip.h"
#include "model/kinds_int.h"

/* A map from names of ports to numbers. */
static void read_ports(struct reader *r, const struct doc_node *node, void *to)
{
    struct workload_entry_spec *w = to;
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of port names to numbers"); /* is said */
        return;
    }
    struct workload_entry_port *ports = arena_array(r->arena, node->count, sizeof(ports[0]));
    const struct reader_field number = {.name = "", .type = READER_PORT};
    for (size_t i = 0; i < node->count; i++) {
        ports[i].name = node->entries[i].key;
        reader_value_at(r, ports[i].name, node->entries[i].value, &number, &ports[i].port);
    }
    w->ports = ports;
    w->port_count = node->count;
}

static bool check_address(struct reader *r, const struct doc_node *node, struct span text)
{
    struct ip ip;
    struct span path = text;
    bool is_unix = span_starts(text, SPAN("unix://"));
    path = is_unix ? span_from_offset(text, strlen("unix://")) : path;
    bool good = is_unix ? path.len > 1 && (path.at[0] == '/' || path.at[0] == '@')
                        : ip_parse(text, &ip) == 0 || reader_text_is_subdomain(text);
    if (good) {
        return true;
    }
    struct finding *found = reader_say(r, 2020, node, NULL, "'%s' is %s, which is not an address",
                                       reader_here(r), reader_show(r, node));
    found->why = SPAN("it must be an IP address, a DNS name, or unix:// and an absolute path");
    found->fix = SPAN("write an address like 10.0.0.7");
    return false;
}

/* region[/zone[/sub-zone]] */
static bool check_locality(struct reader *r, const struct doc_node *node, struct span text)
{
    size_t slashes = 0;
    for (size_t i = 0; i < text.len; i++) {
        slashes += text.at[i] == '/';
    }
    if (text.len > 0 && slashes <= 2 && text.at[0] != '/') {
        return true;
    }
    struct finding *found =
        reader_say(r, 2015, node, NULL, "'locality' is %s, which is not one", reader_show(r, node));
    found->why = SPAN("it is a region, zone and sub-zone with '/' between");
    found->fix = SPAN("write it like 'eu-west/eu-west-1/rack-3'");
    return false;
}

/* ValidateWorkloadEntry of Istio: an address unless the network is told; no ports with unix://. */
static void check_workload(struct reader *r, const struct doc_node *node, void *out)
{
    const struct workload_entry_spec *w = out;
    if (w->address.len == 0) {
        reader_missing(r, node, "address", "add 'address', where the workload is reached");
    }
    if (span_starts(w->address, SPAN("unix://")) && w->port_count > 0) {
        struct finding *found =
            reader_say(r, 2033, doc_get(node, "ports"), "ports", "a unix socket has no ports");
        found->why = SPAN("'address' is a unix:// path");
        found->fix = SPAN("remove 'ports'");
    }
}

static const struct reader_field workload_fields[] = {
    READER_FIELD("address", TEXT, struct workload_entry_spec, address, .check = check_address),
    {.name = "ports", .type = READER_CUSTOM, .read = read_ports},
    READER_FIELD("labels", LABELS, struct workload_entry_spec, labels),
    READER_FIELD("network", TEXT, struct workload_entry_spec, network),
    READER_FIELD("locality", TEXT, struct workload_entry_spec, locality, .check = check_locality),
    READER_FIELD("weight", U32, struct workload_entry_spec, weight),
    READER_FIELD("serviceAccount", TEXT, struct workload_entry_spec, service_account,
                 .check = reader_text_subdomain),
};
const struct reader_table workload_entry_table = {
    READER_TABLE(struct workload_entry_spec, workload_fields), .check = check_workload};

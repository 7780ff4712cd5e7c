/* EndpointSlice. */
#include "model/endpoint_slice.h"

#include "codec/ip.h"
#include "mesh/names.h"
#include "model/kinds_int.h"

struct conditions {
    enum spec_bool ready, serving;
    bool terminating;
};
static const struct reader_field condition_fields[] = {
    READER_FIELD("ready", TOLD, struct conditions, ready),
    READER_FIELD("serving", TOLD, struct conditions, serving),
    READER_FIELD("terminating", BOOL, struct conditions, terminating),
};
static const struct reader_table conditions_table = {
    READER_TABLE(struct conditions, condition_fields)};

/* "nil" means ready (EndpointConditions.ready), and serving as ready. */
static void read_conditions(struct reader *r, const struct doc_node *node, void *to)
{
    struct endpoint_slice_endpoint *e = to;
    struct conditions c;
    reader_map(r, node, &conditions_table, &c);
    e->ready = c.ready != SPEC_BOOL_FALSE;
    e->serving = c.serving == SPEC_BOOL_UNSET ? e->ready : c.serving == SPEC_BOOL_TRUE;
    e->terminating = c.terminating;
}

static const struct reader_field target_fields[] = {
    READER_FIELD("kind", TEXT, struct endpoint_slice_endpoint, target_kind),
    READER_FIELD("namespace", TEXT, struct endpoint_slice_endpoint, target_namespace),
    READER_FIELD("name", TEXT, struct endpoint_slice_endpoint, target_name),
    READER_IGNORE("uid"),
    READER_IGNORE("apiVersion"),
    READER_IGNORE("resourceVersion"),
    READER_IGNORE("fieldPath"),
};
static const struct reader_table target_table = {
    READER_TABLE(struct endpoint_slice_endpoint, target_fields)};

static void read_target(struct reader *r, const struct doc_node *node, void *to)
{
    struct endpoint_slice_endpoint *e = to;
    struct endpoint_slice_endpoint target;
    reader_map(r, node, &target_table, &target);
    e->target_kind = target.target_kind;
    e->target_namespace = target.target_namespace;
    e->target_name = target.target_name;
}

static void start_endpoint(void *out)
{
    struct endpoint_slice_endpoint *e = out;
    e->ready = true;
    e->serving = true;
}

static const struct reader_field endpoint_fields[] = {
    READER_FIELD("addresses", TEXTS, struct endpoint_slice_endpoint, addresses, .required = true,
                 .min = 1, .max = 100),
    {.name = "conditions", .type = READER_CUSTOM, .read = read_conditions},
    {.name = "targetRef", .type = READER_CUSTOM, .read = read_target},
    READER_FIELD("hostname", TEXT, struct endpoint_slice_endpoint, hostname,
                 .check = reader_text_label),
    READER_FIELD("nodeName", TEXT, struct endpoint_slice_endpoint, node_name),
    READER_FIELD("zone", TEXT, struct endpoint_slice_endpoint, zone),
    READER_IGNORE("hints"),
    READER_IGNORE("deprecatedTopology"),
};
static const struct reader_table endpoint_table = {
    READER_TABLE(struct endpoint_slice_endpoint, endpoint_fields), .start = start_endpoint};

static const struct reader_enum protocols[] = {{"TCP", 0}, {"UDP", 1}, {"SCTP", 2}, {NULL, 0}};

static void read_protocol(struct reader *r, const struct doc_node *node, void *to)
{
    int which = -1;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = protocols};
    reader_value(r, node, &field, &which);
    if (which >= 0) {
        *(struct span *)to = span_of(protocols[which].name);
    }
}

static void start_port(void *out)
{
    ((struct endpoint_slice_port *)out)->protocol = SPAN("TCP");
}

static const struct reader_field port_fields[] = {
    READER_FIELD("name", TEXT, struct endpoint_slice_port, name),
    READER_FIELD("port", PORT, struct endpoint_slice_port, port),
    READER_FIELD("protocol", CUSTOM, struct endpoint_slice_port, protocol, .read = read_protocol),
    READER_FIELD("appProtocol", TEXT, struct endpoint_slice_port, app_protocol),
};
static const struct reader_table port_table = {
    READER_TABLE(struct endpoint_slice_port, port_fields), .start = start_port};

/* --- the whole --- */

static bool fits(enum endpoint_slice_type type, struct span address)
{
    struct ip ip;
    bool is_ip = ip_parse(address, &ip) == 0;
    switch (type) {
    case ENDPOINT_SLICE_IPV4:
        return is_ip && ip.family == 4;
    case ENDPOINT_SLICE_IPV6:
        return is_ip && ip.family == 6;
    case ENDPOINT_SLICE_FQDN:
        return !is_ip && reader_text_is_subdomain(address);
    }
    return false;
}

static const struct reader_enum types[] = {{"IPv4", ENDPOINT_SLICE_IPV4},
                                           {"IPv6", ENDPOINT_SLICE_IPV6},
                                           {"FQDN", ENDPOINT_SLICE_FQDN},
                                           {NULL, 0}};

static void check_slice(struct reader *r, const struct doc_node *node, void *out)
{
    const struct endpoint_slice_spec *s = out;
    const struct doc_node *list = doc_get(node, "endpoints");
    reader_unique(r, doc_get(node, "ports"), "ports", "name", "port name");
    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct spec_texts *addresses = &s->endpoints[i].addresses;
        for (size_t k = 0; k < addresses->count; k++) {
            if (fits(s->type, addresses->items[k])) {
                continue;
            }
            const struct doc_node *at = doc_at(doc_get(doc_at(list, i), "addresses"), k);
            struct finding *found = reader_say(
                r, s->type == ENDPOINT_SLICE_FQDN ? 2019 : 2020, at,
                arena_printf(r->findings->arena, "endpoints[%zu].addresses[%zu]", i, k),
                "address %s is not of addressType %s", reader_show(r, at), types[s->type].name);
            found->why = SPAN("all addresses of a slice are of one type");
            found->fix = SPAN("correct the address, or 'addressType'");
        }
    }
}

void endpoint_slice_finish(struct reader *r, void *spec)
{
    struct endpoint_slice_spec *s = spec;
    struct span service = object_label(r->object, LABEL_SLICE_SERVICE);
    s->service = service.at ? service : SPAN_EMPTY;
    if (s->service.len > 0) {
        return;
    }
    struct finding *found =
        reader_say(r, 2034, r->object->doc, "metadata.labels", "the slice belongs to no service");
    found->why = SPAN("label '" LABEL_SLICE_SERVICE "' is missing, so that it has no effect");
    found->fix = SPAN("add the label '" LABEL_SLICE_SERVICE "' with the service's name");
}

static const struct reader_field slice_fields[] = {
    READER_FIELD("addressType", ENUM, struct endpoint_slice_spec, type, .required = true,
                 .names = types, .note = "add 'addressType: IPv4'"),
    READER_FIELD("endpoints", LIST, struct endpoint_slice_spec, endpoints,
                 .table = &endpoint_table),
    READER_FIELD("ports", LIST, struct endpoint_slice_spec, ports, .table = &port_table),
};
const struct reader_table endpoint_slice_table = {
    READER_TABLE(struct endpoint_slice_spec, slice_fields), .check = check_slice};

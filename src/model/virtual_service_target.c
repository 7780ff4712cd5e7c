/* Where VirtualServices send: destinations, weights, headers. */
#include "model/kinds_int.h"
#include "model/virtual_service_int.h"

static bool check_host(struct reader *r, const struct doc_node *node, struct span text)
{
    if (span_starts(text, SPAN("*"))) {
        struct finding *found =
            reader_say(r, 2019, node, NULL, "'%s' is %s, which is not one service", reader_here(r),
                       reader_show(r, node));
        found->why = SPAN("requests can not be sent to a wildcard");
        found->fix = SPAN("write the name of a service");
        return false;
    }
    return reader_text_host(r, node, text);
}

static const struct reader_field destination_fields[] = {
    READER_FIELD("host", TEXT, struct virtual_service_destination, host, .required = true,
                 .check = check_host, .note = "add 'host', the name of a service"),
    READER_FIELD("subset", TEXT, struct virtual_service_destination, subset,
                 .check = reader_text_label),
    READER_FIELD("port", MAP, struct virtual_service_destination, port, .table = &spec_port_table),
};
const struct reader_table virtual_service_destination_table = {
    READER_TABLE(struct virtual_service_destination, destination_fields)};

static const struct reader_field headers_fields[] = {
    READER_FIELD("request", MAP, struct virtual_service_header_ops, request,
                 .table = &spec_header_ops_table),
    READER_FIELD("response", MAP, struct virtual_service_header_ops, response,
                 .table = &spec_header_ops_table),
};
const struct reader_table virtual_service_headers_table = {
    READER_TABLE(struct virtual_service_header_ops, headers_fields)};

#define TARGET_FIELDS                                                                              \
    READER_FIELD("destination", MAP, struct virtual_service_target, destination, .required = true, \
                 .table = &virtual_service_destination_table,                                      \
                 .note = "add 'destination' with a 'host'"),                                       \
        READER_FIELD("weight", U32, struct virtual_service_target, weight, .max = INT32_MAX)

static const struct reader_field target_fields[] = {
    TARGET_FIELDS,
    READER_FIELD("headers", MAP, struct virtual_service_target, headers,
                 .table = &virtual_service_headers_table),
};
const struct reader_table virtual_service_target_table = {
    READER_TABLE(struct virtual_service_target, target_fields)};

static const struct reader_field l4_target_fields[] = {TARGET_FIELDS};
const struct reader_table virtual_service_l4_target_table = {
    READER_TABLE(struct virtual_service_target, l4_target_fields)};

/* validateWeights of Istio. */
void virtual_service_check_weights(struct reader *r, const struct doc_node *node,
                                   const struct virtual_service_target *targets, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += targets[i].weight;
    }
    if (count == 1) {
        struct virtual_service_target *only = (struct virtual_service_target *)targets;
        only->weight = only->weight > 0 ? only->weight : 100;
        return;
    }
    struct finding *found;
    if (count > 1 && total == 0) {
        found = reader_say(r, 2026, doc_get(node, "route"), "route",
                           "none of %zu destinations has a weight", count);
        found->why = SPAN("of several destinations those without a weight get nothing");
        found->fix = SPAN("give each a 'weight', for example 50");
    } else if (total > UINT32_MAX) {
        found = reader_say(r, 2016, doc_get(node, "route"), "route", "the weights are too large");
        found->why = finding_text(r->findings, "their sum is %llu, and at most %u is allowed",
                                  (unsigned long long)total, UINT32_MAX);
        found->fix = SPAN("write percentages: together 100");
    }
}

bool virtual_service_check_gateway(struct reader *r, const struct doc_node *node, struct span text)
{
    ssize_t slash = span_find_byte(text, '/');
    struct span name = slash < 0 ? text : span_from_offset(text, (size_t)slash + 1);
    struct span namespace = slash < 0 ? SPAN("x") : span_first(text, (size_t)slash);
    if ((reader_text_is_label(namespace) || span_is(namespace, ".")) &&
        reader_text_is_subdomain(name)) {
        return true;
    }
    struct finding *found = reader_say(r, 2021, node, NULL, "'%s' is %s, which is not a gateway",
                                       reader_here(r), reader_show(r, node));
    found->why = SPAN("it is 'mesh' (all sidecars), a name, or namespace/name");
    found->fix = SPAN("write a name like 'istio-system/public'");
    return false;
}

/* Which requests and connections a route is for. */
#include "model/kinds_int.h"
#include "model/virtual_service_int.h"

/* --- HTTPMatchRequest --- */

/* These are matched by fields of their own; Istio ignores them among headers. */
static void check_headers(struct reader *r, const struct doc_node *headers, const char *key)
{
    static const char *const never[] = {"uri", "scheme", "method", "authority"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        const struct doc_node *at = doc_get(headers, never[i]);
        if (at != NULL) {
            struct finding *found =
                reader_say(r, 2034, at, arena_printf(r->findings->arena, "%s.%s", key, never[i]),
                           "'%s' is not a header", never[i]);
            found->why = SPAN("as a header no request has it");
            found->fix = finding_text(r->findings, "move '%s' up, beside '%s'", never[i], key);
        }
    }
}

static void check_match(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_match *m = out;
    check_headers(r, doc_get(node, "headers"), "headers");
    check_headers(r, doc_get(node, "withoutHeaders"), "withoutHeaders");
    if (m->ignore_uri_case && m->uri.kind == SPEC_MATCH_REGEX) {
        struct finding *found = reader_say(r, 2034, doc_get(node, "ignoreUriCase"), "ignoreUriCase",
                                           "'ignoreUriCase' has no effect on a regex");
        found->why = SPAN("it is for exact and prefix matches of 'uri'");
        found->fix = SPAN("begin the regex with (?i)");
    }
}

static const struct reader_field match_fields[] = {
    READER_FIELD("name", TEXT, struct virtual_service_match, name),
    READER_FIELD("uri", CUSTOM, struct virtual_service_match, uri, .read = spec_read_match),
    READER_FIELD("scheme", CUSTOM, struct virtual_service_match, scheme, .read = spec_read_match),
    READER_FIELD("method", CUSTOM, struct virtual_service_match, method, .read = spec_read_match),
    READER_FIELD("authority", CUSTOM, struct virtual_service_match, authority,
                 .read = spec_read_match),
    READER_FIELD("headers", CUSTOM, struct virtual_service_match, headers,
                 .read = spec_read_named_matches),
    READER_FIELD("withoutHeaders", CUSTOM, struct virtual_service_match, without_headers,
                 .read = spec_read_named_matches),
    READER_FIELD("queryParams", CUSTOM, struct virtual_service_match, queries,
                 .read = spec_read_query_matches),
    READER_FIELD("ignoreUriCase", BOOL, struct virtual_service_match, ignore_uri_case),
    READER_FIELD("port", PORT, struct virtual_service_match, port),
    READER_FIELD("sourceLabels", LABELS, struct virtual_service_match, source_labels),
    READER_FIELD("sourceNamespace", TEXT, struct virtual_service_match, source_namespace,
                 .check = reader_text_label),
    READER_FIELD("gateways", TEXTS, struct virtual_service_match, gateways,
                 .check = virtual_service_check_gateway),
    READER_WARN("statPrefix", "metrics are Istio's standard ones"),
};
const struct reader_table virtual_service_match_table = {
    READER_TABLE(struct virtual_service_match, match_fields), .strict = true, .check = check_match};

/* --- L4MatchAttributes, TLSMatchAttributes --- */

#define L4_MATCH_FIELDS                                                                          \
    READER_FIELD("destinationSubnets", TEXTS, struct virtual_service_l4_match,                   \
                 destination_subnets, .check = reader_text_cidr),                                \
        READER_FIELD("port", PORT, struct virtual_service_l4_match, port),                       \
        READER_FIELD("sourceLabels", LABELS, struct virtual_service_l4_match, source_labels),    \
        READER_FIELD("sourceNamespace", TEXT, struct virtual_service_l4_match, source_namespace, \
                     .check = reader_text_label),                                                \
        READER_FIELD("gateways", TEXTS, struct virtual_service_l4_match, gateways,               \
                     .check = virtual_service_check_gateway)

static const struct reader_field tcp_match_fields[] = {
    L4_MATCH_FIELDS,
    READER_REFUSE("sourceSubnet", "write an AuthorizationPolicy, or match 'sourceLabels'"),
};
static const struct reader_table tcp_match_table = {
    READER_TABLE(struct virtual_service_l4_match, tcp_match_fields), .strict = true};

static const struct reader_field tls_match_fields[] = {
    READER_FIELD("sniHosts", TEXTS, struct virtual_service_l4_match, sni_hosts, .required = true,
                 .min = 1, .check = reader_text_host, .note = "add 'sniHosts', a list of names"),
    L4_MATCH_FIELDS,
};
static const struct reader_table tls_match_table = {
    READER_TABLE(struct virtual_service_l4_match, tls_match_fields), .strict = true};

static void check_l4(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_l4 *l4 = out;
    virtual_service_check_weights(r, node, l4->routes, l4->route_count);
}

#define ROUTE_FIELD                                                                            \
    READER_FIELD("route", LIST, struct virtual_service_l4, routes, .required = true, .min = 1, \
                 .table = &virtual_service_l4_target_table,                                    \
                 .note = "add 'route' with a 'destination'")

static const struct reader_field tcp_fields[] = {
    READER_FIELD("match", LIST, struct virtual_service_l4, matches, .table = &tcp_match_table),
    ROUTE_FIELD,
};
const struct reader_table virtual_service_tcp_table = {
    READER_TABLE(struct virtual_service_l4, tcp_fields), .check = check_l4};

static const struct reader_field tls_fields[] = {
    READER_FIELD("match", LIST, struct virtual_service_l4, matches, .required = true, .min = 1,
                 .table = &tls_match_table, .note = "add 'match' with 'sniHosts'"),
    ROUTE_FIELD,
};
const struct reader_table virtual_service_tls_table = {
    READER_TABLE(struct virtual_service_l4, tls_fields), .check = check_l4};

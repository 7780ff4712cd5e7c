/* Gateway of the Gateway API. Next: http_route. */
#include "model/gateway_api.h"

#include "model/kinds_int.h"

static void no_fit(struct reader *r, const struct doc_node *at, const char *below, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, 2033, at, below, "%s", what);
    found->why = span_of(why);
    found->fix = span_of(fix);
}

/* --- TLS of a listener --- */

struct listener_tls {
    int mode;
    const struct gateway_secret *certificates;
    size_t certificate_count;
    struct spec_labels options;
};

/* One of another kind is not refused: the other listeners stand (ListenerReasonInvalidCertificateRef). */
static void check_secret(struct reader *r, const struct doc_node *node, void *out)
{
    const struct doc_node *kind = doc_get(node, "kind");
    const struct doc_node *group = doc_get(node, "group");
    struct gateway_secret *secret = out;
    secret->namespace = secret->namespace.len > 0 ? secret->namespace : r->object->namespace;
    secret->is_secret = !(doc_is(kind, DOC_TEXT) && !span_is(kind->text, "Secret")) &&
                        !(doc_is(group, DOC_TEXT) && group->text.len > 0);
}

static const struct reader_field certificate_fields[] = {
    {.name = "group", .type = READER_SILENT},
    {.name = "kind", .type = READER_SILENT},
    READER_FIELD("name", TEXT, struct gateway_secret, name, .required = true,
                 .check = reader_text_subdomain),
    READER_FIELD("namespace", TEXT, struct gateway_secret, namespace, .check = reader_text_label),
};
static const struct reader_table certificate_table = {
    READER_TABLE(struct gateway_secret, certificate_fields), .check = check_secret};

static const struct reader_enum tls_modes[] = {
    {"Terminate", GATEWAY_TLS_TERMINATE}, {"Passthrough", GATEWAY_TLS_PASSTHROUGH}, {NULL, 0}};

/* Options are implementation's own: any text. */
static void read_options(struct reader *r, const struct doc_node *node, void *to)
{
    const struct reader_field any = {.name = "", .type = READER_TEXT};
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of texts"); /* is said */
        return;
    }
    struct label *items = arena_array(r->arena, node->count, sizeof(items[0]));
    for (size_t i = 0; i < node->count; i++) {
        items[i].key = node->entries[i].key;
        reader_value_at(r, items[i].key, node->entries[i].value, &any, &items[i].value);
    }
    *(struct spec_labels *)to = (struct spec_labels){items, node->count};
}

static void check_tls(struct reader *r, const struct doc_node *node, void *out)
{
    const struct listener_tls *tls = out;
    if (tls->mode == GATEWAY_TLS_TERMINATE && tls->certificate_count == 0 &&
        tls->options.count == 0) {
        reader_missing(r, node, "certificateRefs",
                       "add 'certificateRefs' with the name of a Secret");
    }
}

static const struct reader_field tls_fields[] = {
    READER_FIELD("mode", ENUM, struct listener_tls, mode, .names = tls_modes),
    READER_FIELD("certificateRefs", LIST, struct listener_tls, certificates, .max = 64,
                 .table = &certificate_table),
    READER_FIELD("options", CUSTOM, struct listener_tls, options, .read = read_options),
    READER_REFUSE("frontendValidation", "write an Istio Gateway with tls mode MUTUAL"),
};
static const struct reader_table tls_table = {READER_TABLE(struct listener_tls, tls_fields),
                                              .strict = true, .check = check_tls};

static void read_tls(struct reader *r, const struct doc_node *node, void *to)
{
    struct gateway_listener *l = to;
    struct listener_tls tls;
    reader_map(r, node, &tls_table, &tls);
    l->has_tls = true;
    l->tls_mode = tls.mode;
    l->certificates = tls.certificates;
    l->certificate_count = tls.certificate_count;
    l->tls_options = tls.options;
}

/* --- which routes a listener takes --- */

static const struct reader_enum froms[] = {{"Same", GATEWAY_ROUTES_SAME},
                                           {"All", GATEWAY_ROUTES_ALL},
                                           {"Selector", GATEWAY_ROUTES_SELECTOR},
                                           {NULL, 0}};

static const struct reader_field namespace_fields[] = {
    READER_FIELD("from", ENUM, struct gateway_listener, routes_from, .names = froms),
    READER_FIELD("selector", CUSTOM, struct gateway_listener, routes_selector,
                 .read = spec_read_label_selector),
};

static void check_namespaces(struct reader *r, const struct doc_node *node, void *out)
{
    const struct gateway_listener *l = out;
    if (l->routes_from == GATEWAY_ROUTES_SELECTOR && !reader_has(node, "selector")) {
        reader_missing(r, node, "selector", "add 'selector' with matchLabels");
    }
}

static const struct reader_table namespaces_table = {
    READER_TABLE(struct gateway_listener, namespace_fields), .strict = true,
    .check = check_namespaces};

struct route_kind {
    struct span kind, group;
};

static const struct reader_field kind_fields[] = {
    READER_FIELD("kind", TEXT, struct route_kind, kind, .required = true),
    READER_FIELD("group", TEXT, struct route_kind, group),
};
static const struct reader_table kind_table = {READER_TABLE(struct route_kind, kind_fields)};

struct allowed_routes {
    struct gateway_listener namespaces;
    const struct route_kind *kinds;
    size_t kind_count;
};

static const struct reader_field allowed_fields[] = {
    READER_FIELD("namespaces", MAP, struct allowed_routes, namespaces, .table = &namespaces_table),
    READER_FIELD("kinds", LIST, struct allowed_routes, kinds, .max = 8, .table = &kind_table),
};
static const struct reader_table allowed_table = {
    READER_TABLE(struct allowed_routes, allowed_fields)};

static void read_allowed(struct reader *r, const struct doc_node *node, void *to)
{
    struct gateway_listener *l = to;
    struct allowed_routes allowed;
    reader_map(r, node, &allowed_table, &allowed);
    l->routes_from = allowed.namespaces.routes_from;
    l->routes_selector = allowed.namespaces.routes_selector;
    struct span *kinds = arena_array(r->arena, allowed.kind_count, sizeof(kinds[0]));
    for (size_t i = 0; i < allowed.kind_count; i++) {
        kinds[i] = allowed.kinds[i].kind;
    }
    l->route_kinds = (struct spec_texts){kinds, allowed.kind_count};
}

/* --- listeners --- */

static const struct reader_enum protocols[] = {{"HTTP", GATEWAY_HTTP},
                                               {"HTTPS", GATEWAY_HTTPS},
                                               {"TLS", GATEWAY_TLS},
                                               {"TCP", GATEWAY_TCP},
                                               {NULL, 0}};

static bool is_secured(const struct gateway_listener *l)
{
    return l->protocol == GATEWAY_HTTPS || l->protocol == GATEWAY_TLS;
}

/* The rules of GatewaySpec.listeners. */
static void check_listener(struct reader *r, const struct doc_node *node, void *out)
{
    const struct gateway_listener *l = out;
    bool secured = is_secured(l);
    if (secured && !l->has_tls) {
        reader_missing(r, node, "tls", "add 'tls' with certificateRefs");
    } else if (!secured && l->has_tls) {
        no_fit(r, doc_get(node, "tls"), "tls", "a listener without TLS has 'tls'",
               "protocol is HTTP or TCP", "write 'protocol: HTTPS', or remove 'tls'");
    } else if (l->protocol == GATEWAY_HTTPS && l->tls_mode == GATEWAY_TLS_PASSTHROUGH) {
        no_fit(r, doc_path(node, "tls.mode"), "tls.mode", "an HTTPS listener passes TLS through",
               "requests can not be seen then", "write 'mode: Terminate', or 'protocol: TLS'");
    }
    if (l->protocol == GATEWAY_TCP && l->hostname.len > 0) {
        no_fit(r, doc_get(node, "hostname"), "hostname", "a TCP listener has a hostname",
               "TCP does not tell host names", "remove 'hostname'");
    }
}

static const struct reader_field listener_fields[] = {
    READER_FIELD("name", TEXT, struct gateway_listener, name, .required = true,
                 .check = reader_text_subdomain),
    READER_FIELD("hostname", TEXT, struct gateway_listener, hostname,
                 .check = reader_text_hostname),
    READER_FIELD("port", PORT, struct gateway_listener, port, .required = true),
    READER_FIELD("protocol", ENUM, struct gateway_listener, protocol, .required = true,
                 .names = protocols, .note = "add 'protocol: HTTP' or 'protocol: HTTPS'"),
    {.name = "tls", .type = READER_CUSTOM, .read = read_tls},
    {.name = "allowedRoutes", .type = READER_CUSTOM, .read = read_allowed},
};
static const struct reader_table listener_table = {
    READER_TABLE(struct gateway_listener, listener_fields), .check = check_listener};

/* --- addresses --- */

static const struct reader_enum address_types[] = {{"IPAddress", 0}, {"Hostname", 1}, {NULL, 0}};

static void read_address_type(struct reader *r, const struct doc_node *node, void *to)
{
    int which = 0;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = address_types};
    reader_value(r, node, &field, &which);
    *(bool *)to = which == 1;
}

static void check_address(struct reader *r, const struct doc_node *node, void *out)
{
    const struct gateway_address *a = out;
    const struct doc_node *value = doc_get(node, "value");
    const struct reader_field ip = {.name = "", .type = READER_TEXT, .check = reader_text_ip};
    const struct reader_field host = {
        .name = "", .type = READER_TEXT, .check = reader_text_hostname};
    struct span unused;
    if (value != NULL) {
        reader_value_at(r, SPAN("value"), value, a->hostname ? &host : &ip, &unused);
    }
}

static const struct reader_field address_fields[] = {
    READER_FIELD("type", CUSTOM, struct gateway_address, hostname, .read = read_address_type),
    READER_FIELD("value", TEXT, struct gateway_address, value, .required = true),
};
static const struct reader_table address_table = {
    READER_TABLE(struct gateway_address, address_fields), .check = check_address};

/* --- the whole --- */

static void check_pair(struct reader *r, const struct doc_node *list,
                       const struct gateway_listener *all, size_t i, size_t k)
{
    const struct gateway_listener *a = &all[i];
    const struct gateway_listener *b = &all[k];
    if (a->port != b->port) {
        return;
    }
    if (a->protocol == b->protocol && span_eq_nocase(a->hostname, b->hostname)) {
        struct finding *found = reader_say(
            r, 2023, doc_get(doc_at(list, i), "port"),
            arena_printf(r->findings->arena, "listeners[%zu].port", i),
            "listener '%.*s' is the same as '%.*s'", SPAN_ARG(a->name), SPAN_ARG(b->name));
        found->why = SPAN("they have the same port, protocol and hostname");
        found->fix = SPAN("remove one of the two, or give it another port or hostname");
    } else if (is_secured(a) != is_secured(b) || (!is_secured(a) && a->protocol != b->protocol)) {
        no_fit(
            r, doc_get(doc_at(list, i), "protocol"),
            arena_printf(r->findings->arena, "listeners[%zu].protocol", i),
            arena_printf(r->findings->arena, "port %u has listeners of several protocols", a->port),
            "a port speaks one protocol", "give one of the listeners another port");
    }
}

static void check_gateway(struct reader *r, const struct doc_node *node, void *out)
{
    const struct gateway_spec *g = out;
    const struct doc_node *list = doc_get(node, "listeners");
    size_t errors = r->findings->errors;
    reader_unique(r, list, "listeners", "name", "listener name");
    reader_unique(r, doc_get(node, "addresses"), "addresses", "value", "address");
    for (size_t i = 0; errors == r->findings->errors && i < g->listener_count; i++) {
        for (size_t k = 0; k < i; k++) {
            check_pair(r, list, g->listeners, i, k);
        }
    }
}

static const struct reader_field infrastructure_fields[] = {
    READER_FIELD("labels", LABELS, struct gateway_spec, infrastructure_labels),
    READER_IGNORE("annotations"),
    READER_WARN("parametersRef", "gateways have no further parameters"),
};
static const struct reader_table infrastructure_table = {
    READER_TABLE(struct gateway_spec, infrastructure_fields)};

static void read_infrastructure(struct reader *r, const struct doc_node *node, void *to)
{
    struct gateway_spec read;
    reader_map(r, node, &infrastructure_table, &read);
    ((struct gateway_spec *)to)->infrastructure_labels = read.infrastructure_labels;
}

static const struct reader_field gateway_fields[] = {
    READER_FIELD("gatewayClassName", TEXT, struct gateway_spec, class_name, .required = true,
                 .check = reader_text_subdomain, .note = "add 'gatewayClassName: mesh'"),
    READER_FIELD("addresses", LIST, struct gateway_spec, addresses, .max = 16,
                 .table = &address_table),
    READER_FIELD("listeners", LIST, struct gateway_spec, listeners, .required = true, .min = 1,
                 .max = 64, .table = &listener_table),
    {.name = "infrastructure", .type = READER_CUSTOM, .read = read_infrastructure},
    READER_REFUSE("tls", "write an Istio Gateway with tls mode MUTUAL"),
    READER_WARN("allowedListeners", "there are no ListenerSets"),
    READER_WARN("defaultScope", "routes name their Gateways in parentRefs"),
    READER_WARN("backendTLS", "write a DestinationRule with tls"),
};
const struct reader_table gateway_api_table = {READER_TABLE(struct gateway_spec, gateway_fields),
                                               .check = check_gateway};

/* One resource at a time, by type and name: the table of types, and names that several files share. */
#include "control/translate/translate.h"

#include "control/translate/translate_int.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/listener.pb.h"
#include "proto/nds.pb.h"
#include "proto/route.pb.h"
#include "proto/tls.pb.h"

/* ---- names ---- */

bool translate_split(struct span name, struct cluster_name *out)
{
    struct span rest = name;
    struct span direction = span_cut(&rest, '|');
    *out = (struct cluster_name){.inbound = span_is(direction, "inbound")};
    if (!rest.at || (!out->inbound && !span_is(direction, "outbound"))) {
        return false;
    }
    uint64_t port;
    struct span number = span_cut(&rest, '|');
    /* As we write it: what is answered has to have the name that was asked for. */
    if (!rest.at || !span_to_u64(number, &port) || port == 0 || port > 65535 ||
        number.at[0] == '0') {
        return false;
    }
    out->port = (uint16_t)port;
    out->subset = span_cut(&rest, '|');
    out->host = rest;
    bool is_bare = out->subset.len == 0 && out->host.len == 0;
    return rest.at && (out->inbound ? is_bare : out->host.len > 0);
}

struct span translate_cluster_name(struct arena *arena, struct span host, uint16_t port,
                                   struct span subset)
{
    return MESSAGE_JOIN(arena, SPAN("outbound|"), message_number(arena, port), SPAN("|"), subset,
                        SPAN("|"), host);
}

struct span translate_inbound_name(struct arena *arena, uint16_t port)
{
    return MESSAGE_JOIN(arena, SPAN("inbound|"), message_number(arena, port), SPAN("||"));
}

struct span translate_host_port(struct arena *arena, struct span host, uint16_t port)
{
    return MESSAGE_JOIN(arena, host, SPAN(":"), message_number(arena, port));
}

/* "VirtualService" -> "virtual-service" */
static struct span dashed(struct arena *arena, struct span kind)
{
    char *to = arena_bytes(arena, kind.len * 2);
    size_t at = 0;
    for (size_t i = 0; i < kind.len; i++) {
        char c = kind.at[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool starts = upper && i > 0 &&
                      ((kind.at[i - 1] >= 'a' && kind.at[i - 1] <= 'z') ||
                       (i + 1 < kind.len && kind.at[i + 1] >= 'a' && kind.at[i + 1] <= 'z'));
        if (starts) {
            to[at++] = '-';
        }
        to[at++] = upper ? (char)(c + ('a' - 'A')) : c;
    }
    return span_from(to, at);
}

struct span translate_config_path(struct arena *arena, const struct object *o)
{
    const struct object_kind_row *row = &object_kinds[o->kind];
    struct span versions = span_of(row->versions);
    return MESSAGE_JOIN(arena, SPAN("/apis/"), span_of(row->group), SPAN("/"),
                        span_cut(&versions, ','), SPAN("/namespaces/"), o->namespace, SPAN("/"),
                        dashed(arena, span_of(row->kind)), SPAN("/"), o->name);
}

void translate_add_name(struct arena *arena, struct name_list *list, struct span name)
{
    PB_ADD(arena, list, name);
}

bool translate_is_http2(enum port_protocol protocol)
{
    return protocol == PROTOCOL_HTTP2 || protocol == PROTOCOL_GRPC || protocol == PROTOCOL_GRPC_WEB;
}

bool translate_is_udp(enum port_protocol protocol)
{
    return protocol == PROTOCOL_UDP;
}

/* ---- types ---- */

struct made {
    const struct pb_desc *desc;
    const void *message; /* NULL: there is none */
};

static struct made make_listener(struct translation *t, struct span name)
{
    struct pb_listener_Listener *l = NULL;
    if (t->n->kind == NODE_GATEWAY) {
        l = hbone_listener(t, name);
        l = l ? l : lds_gateway(t, name);
    } else {
        l = hbone_listener(t, name);
        l = l ? l : lds_outbound(t, name);
        l = l ? l : lds_inbound(t, name);
    }
    return (struct made){&pb_listener_Listener_desc, l};
}

static struct made make_cluster(struct translation *t, struct span name)
{
    return (struct made){&pb_cluster_Cluster_desc, cds_cluster(t, name)};
}

static struct made make_endpoints(struct translation *t, struct span name)
{
    struct cluster_name parts;
    struct destination d;
    struct made m = {&pb_endpoint_ClusterLoadAssignment_desc, NULL};
    if (translate_split(name, &parts) && !parts.inbound && cds_destination(t, &parts, &d) &&
        cds_is_eds(t, &d)) {
        t->service = d.service;
        m.message = eds_endpoints(t, name, &d);
    }
    return m;
}

static struct made make_routes(struct translation *t, struct span name)
{
    return (struct made){&pb_route_RouteConfiguration_desc, rds_routes(t, name)};
}

static struct made make_virtual_host(struct translation *t, struct span name)
{
    return (struct made){&pb_route_VirtualHost_desc, rds_virtual_host(t, name)};
}

static struct made make_name_table(struct translation *t, struct span name)
{
    return (struct made){&pb_nds_NameTable_desc, name_table(t, name)};
}

static struct made make_secret(struct translation *t, struct span name)
{
    return (struct made){&pb_tls_Secret_desc, sds_secret(t, name)};
}

static void list_listeners(struct translation *t, struct name_list *list)
{
    if (t->n->kind == NODE_GATEWAY) {
        lds_gateway_names(t, list);
        hbone_names(t, list, true);
    } else {
        lds_outbound_names(t, list);
        lds_inbound_names(t, list);
    }
}

static const struct type_row {
    struct span url;
    struct made (*make)(struct translation *t, struct span name);
    void (*list)(struct translation *t, struct name_list *list); /* NULL: only by name */
} types[] = {
    {SPAN_INIT(PB_LISTENER_LISTENER_URL), make_listener, list_listeners},
    {SPAN_INIT(PB_CLUSTER_CLUSTER_URL), make_cluster, cds_names},
    {SPAN_INIT(PB_ENDPOINT_CLUSTER_LOAD_ASSIGNMENT_URL), make_endpoints, NULL},
    {SPAN_INIT(PB_ROUTE_ROUTE_CONFIGURATION_URL), make_routes, NULL},
    {SPAN_INIT(PB_ROUTE_VIRTUAL_HOST_URL), make_virtual_host, NULL},
    {SPAN_INIT(NAME_TABLE_TYPE), make_name_table, name_table_names},
    {SPAN_INIT(PB_TLS_SECRET_URL), make_secret, NULL},
};

static const struct type_row *type_of(struct span url)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (span_eq(types[i].url, url)) {
            return &types[i];
        }
    }
    return NULL;
}

bool translate(const struct world *w, const struct node *n, struct span type_url, struct span name,
               struct arena *arena, struct translated *out)
{
    *out = (struct translated){0};
    const struct type_row *type = type_of(type_url);
    if (!type) {
        return false;
    }
    struct translation t = {.w = w, .n = n, .arena = arena};
    struct made made = type->make(&t, name);
    if (!made.message) {
        return false;
    }
    out->value = pb_encode_in(made.desc, made.message, arena);
    out->scope = t.for_node ? TRANSLATE_FOR_NODE : TRANSLATE_FOR_NAMESPACE;
    out->service = t.service;
    return true;
}

size_t translate_names(const struct world *w, const struct node *n, struct span type_url,
                       struct arena *arena, struct span **out)
{
    *out = NULL;
    const struct type_row *type = type_of(type_url);
    if (!type || !type->list) {
        return 0;
    }
    struct translation t = {.w = w, .n = n, .arena = arena};
    struct name_list list = {0};
    type->list(&t, &list);
    *out = list.at;
    return list.count;
}

const struct world_service *translate_service_of(const struct world *w, struct span name)
{
    struct cluster_name parts;
    return translate_split(name, &parts) && !parts.inbound
               ? map_get(&w->config->by_host, parts.host)
               : NULL;
}

/* As the contract has it: whose, and which port. NOLINTNEXTLINE(readability-function-size) */
void translate_authz(const struct world *w, struct span namespace, const struct label *labels,
                     size_t label_count, uint16_t port, bool opaque, struct arena *arena,
                     struct translated_authz *out)
{
    UNUSED(port); /* told by the rules themselves: destination_port */
    const struct authz_for to = {namespace, labels, label_count, opaque, false};
    struct authz_filters f;
    authz_build(w, arena, &to, &f);
    *out = (struct translated_authz){.deny = f.deny, .allow = f.allow};
}

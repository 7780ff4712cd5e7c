/* Who asks: the xDS Node of a stream, in the form that Istio's proxies and ours send.
 * Source: envoy.config.core.v3.Node; Istio pilot/pkg/model (ServiceNode, NodeMetadata). */
#include "control/translate/message.h"
#include "control/translate/translate.h"
#include "proto/core.pb.h"

#define ARENA_BYTES 2048

static const struct pb_protobuf_Value *member(const struct pb_core_Node *message, const char *key)
{
    const struct pb_protobuf_Struct *s = message->metadata;
    for (uint32_t i = 0; s && i < s->fields.count; i++) {
        if (span_is(s->fields.at[i]->key, key)) {
            return s->fields.at[i]->value;
        }
    }
    return NULL;
}

/* Text; numbers and booleans are written out. */
static struct span text_of(struct arena *arena, const struct pb_protobuf_Value *v)
{
    if (!v) {
        return SPAN_EMPTY;
    }
    switch (v->kind_case) {
    case PB_PROTOBUF_VALUE_KIND_STRING_VALUE:
        return arena_dup(arena, v->string_value);
    case PB_PROTOBUF_VALUE_KIND_BOOL_VALUE:
        return v->bool_value ? SPAN("true") : SPAN("false");
    case PB_PROTOBUF_VALUE_KIND_NUMBER_VALUE:
        return span_of(arena_printf(arena, "%.0f", v->number_value));
    default:
        return SPAN_EMPTY;
    }
}

static struct span text_at(struct node *n, const struct pb_core_Node *message, const char *key)
{
    return text_of(&n->arena, member(message, key));
}

static void read_labels(struct node *n, const struct pb_core_Node *message)
{
    const struct pb_protobuf_Value *v = member(message, "LABELS");
    if (!v || !v->struct_value) {
        return;
    }
    n->labels = arena_array(&n->arena, v->struct_value->fields.count, sizeof(*n->labels));
    for (uint32_t i = 0; i < v->struct_value->fields.count; i++) {
        const struct pb_protobuf_Struct_FieldsEntry *e = v->struct_value->fields.at[i];
        n->labels[n->label_count++] =
            (struct label){arena_dup(&n->arena, e->key), text_of(&n->arena, e->value)};
    }
}

static void add_address(struct node *n, const struct ip *ip)
{
    for (size_t i = 0; i < n->address_count; i++) {
        if (ip_eq(&n->addresses[i], ip)) {
            return;
        }
    }
    n->addresses[n->address_count++] = *ip;
}

/* The id's address comes first: it is the one that listeners of the node bind to. */
static int read_addresses(struct node *n, struct span first, struct span others, struct err *err)
{
    size_t room = 2;
    for (size_t i = 0; i < others.len; i++) {
        room += others.at[i] == ',';
    }
    n->addresses = arena_array(&n->arena, room, sizeof(*n->addresses));
    struct ip ip;
    if (ip_parse(first, &ip) == 0) {
        add_address(n, &ip);
    }
    struct span rest = others;
    while (rest.at) {
        if (ip_parse(span_trim(span_cut(&rest, ',')), &ip) == 0) {
            add_address(n, &ip);
        }
    }
    return n->address_count > 0
               ? 0
               : err_set(err, -ERR_CONFIG, "node id '%.*s': '%.*s' is not an address",
                         SPAN_ARG(n->id), SPAN_ARG(first));
}

/* Who lists none may have it: only Envoys say what they are built of (and they could take one of an unknown type as it is optional,
 * but then their /config_dump can not print it). */
static bool lacks(const struct pb_core_Node *message, const char *extension)
{
    for (uint32_t i = 0; i < message->extensions.count; i++) {
        if (span_is(message->extensions.at[i]->name, extension)) {
            return false;
        }
    }
    return message->extensions.count > 0;
}

/* "sidecar~10.0.0.5~reviews-v1.default~default.svc.cluster.local" */
static int read_id(struct node *n, const struct pb_core_Node *message, struct err *err)
{
    struct span part[4] = {SPAN_EMPTY};
    struct span rest = n->id;
    size_t count = 0;
    while (rest.at && count < ARRAY_LEN(part)) {
        part[count++] = span_cut(&rest, '~');
    }
    if (count < ARRAY_LEN(part) || rest.at) {
        return err_set(err, -ERR_CONFIG,
                       "node id '%.*s' has not the form kind~address~name.namespace~domain",
                       SPAN_ARG(n->id));
    }
    if (span_is(part[0], "sidecar")) {
        n->kind = NODE_SIDECAR;
    } else if (span_is(part[0], "router")) {
        n->kind = NODE_GATEWAY;
    } else {
        return err_set(err, -ERR_CONFIG, "node id '%.*s': kind is '%.*s'; use sidecar or router",
                       SPAN_ARG(n->id), SPAN_ARG(part[0]));
    }
    ssize_t dot = span_rfind_byte(part[2], '.');
    if (n->namespace.len == 0 && dot >= 0) {
        n->namespace = span_from_offset(part[2], (size_t)dot + 1);
    }
    if (n->name.len == 0) {
        n->name = dot >= 0 ? span_first(part[2], (size_t)dot) : part[2];
    }
    if (n->namespace.len == 0) {
        return err_set(err, -ERR_CONFIG, "node '%.*s' has no namespace; set metadata NAMESPACE",
                       SPAN_ARG(n->id));
    }
    return read_addresses(n, part[1], text_at(n, message, "INSTANCE_IPS"), err);
}

static int read_interception(struct node *n, struct span mode, struct err *err)
{
    if (mode.len == 0 || span_is(mode, "REDIRECT")) {
        n->interception = NODE_REDIRECT;
    } else if (span_is(mode, "TPROXY")) {
        n->interception = NODE_TPROXY;
    } else if (span_is(mode, "NONE")) {
        n->interception = NODE_NONE;
    } else {
        return err_set(err, -ERR_CONFIG,
                       "metadata INTERCEPTION_MODE is '%.*s'; use REDIRECT, TPROXY or NONE",
                       SPAN_ARG(mode));
    }
    return 0;
}

static int read_own(struct node *n, const struct pb_core_Node *message, struct err *err)
{
    struct span app = text_at(n, message, "MESH_APP_ADDRESS");
    if (app.len > 0 && ip_parse(app, &n->app_address) != 0) {
        return err_set(err, -ERR_CONFIG, "metadata MESH_APP_ADDRESS '%.*s' is not an address",
                       SPAN_ARG(app));
    }
    struct span port = text_at(n, message, "HTTP_PROXY_PORT");
    uint64_t number = 0;
    if (port.len > 0 && (!span_to_u64(port, &number) || number > 65535)) {
        return err_set(err, -ERR_CONFIG, "metadata HTTP_PROXY_PORT '%.*s' is not a port",
                       SPAN_ARG(port));
    }
    n->http_proxy_port = (uint16_t)number;
    n->admin = text_at(n, message, "MESH_ADMIN");
    n->hbone = span_is(text_at(n, message, "ENABLE_HBONE"), "true");
    n->on_demand = span_is(text_at(n, message, "MESH_DISCOVERY"), "on-demand");
    n->dns = span_is(text_at(n, message, "DNS_CAPTURE"), "true");
    return read_interception(n, text_at(n, message, "INTERCEPTION_MODE"), err);
}

int node_read(struct node *n, const struct pb_core_Node *message, struct err *err)
{
    *n = (struct node){0};
    arena_init(&n->arena, ARENA_BYTES);
    n->id = arena_dup(&n->arena, message->id);
    n->name = text_at(n, message, "NAME");
    n->namespace = text_at(n, message, "NAMESPACE");
    n->service_account = text_at(n, message, "SERVICE_ACCOUNT");
    if (n->service_account.len == 0) {
        n->service_account = SPAN("default");
    }
    n->workload = text_at(n, message, "WORKLOAD_NAME");
    n->cluster_id = text_at(n, message, "CLUSTER_ID");
    n->network = text_at(n, message, "NETWORK");
    n->version = text_at(n, message, "MESH_VERSION"); /* of our own proxies */
    if (n->version.len == 0) {
        n->version = text_at(n, message, "ISTIO_VERSION");
    }
    if (n->version.len == 0) {
        n->version = arena_dup(&n->arena, message->user_agent_version);
    }
    if (message->locality) {
        n->region = arena_dup(&n->arena, message->locality->region);
        n->zone = arena_dup(&n->arena, message->locality->zone);
        n->sub_zone = arena_dup(&n->arena, message->locality->sub_zone);
    }
    read_labels(n, message);
    n->no_alpn_filter = lacks(message, TRANSLATE_ALPN_FILTER);
    int rc = read_id(n, message, err);
    rc = rc != 0 ? rc : read_own(n, message, err);
    if (rc != 0) {
        node_dispose(n);
        return rc;
    }
    if (n->workload.len == 0) {
        n->workload = n->name;
    }
    return 0;
}

void node_dispose(struct node *n)
{
    arena_dispose(&n->arena);
}

struct span node_identity(const struct node *n, const struct world *w, struct arena *arena)
{
    return MESSAGE_JOIN(arena, SPAN("spiffe://"), w->config->mesh.trust_domain, SPAN("/ns/"),
                        n->namespace, SPAN("/sa/"), n->service_account);
}

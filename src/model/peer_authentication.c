/* PeerAuthentication. */
#include "model/peer_authentication.h"

#include "model/kinds_int.h"

static const struct reader_enum modes[] = {{"UNSET", PEER_AUTHENTICATION_UNSET},
                                           {"DISABLE", PEER_AUTHENTICATION_DISABLE},
                                           {"PERMISSIVE", PEER_AUTHENTICATION_PERMISSIVE},
                                           {"STRICT", PEER_AUTHENTICATION_STRICT},
                                           {NULL, 0}};

static const struct reader_field mtls_fields[] = {
    {.name = "mode", .type = READER_ENUM, .names = modes},
};
static const struct reader_table mtls_table = {
    READER_TABLE(enum peer_authentication_mode, mtls_fields), .strict = true};

/* A map from port numbers, written as text, to modes. */
static void read_ports(struct reader *r, const struct doc_node *node, void *to)
{
    struct peer_authentication_spec *s = to;
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of ports"); /* is said */
        return;
    }
    struct peer_authentication_port *ports = arena_array(r->arena, node->count, sizeof(ports[0]));
    for (size_t i = 0; i < node->count; i++) {
        const struct doc_entry *entry = &node->entries[i];
        struct reader_step step = {.up = r->at, .key = entry->key.at ? entry->key : SPAN("")};
        uint64_t port = 0;
        r->at = &step;
        if (!span_to_u64(entry->key, &port) || port == 0 || port > UINT16_MAX) {
            struct finding *found =
                reader_say(r, 2018, entry->value, NULL, "'%s' is not a port", reader_here(r));
            found->why = SPAN("ports are 1 to 65535");
            found->fix = SPAN("write the number of a port of the workload");
        } else {
            ports[i].port = (uint16_t)port;
            reader_map(r, entry->value, &mtls_table, &ports[i].mode);
        }
        r->at = step.up;
    }
    s->ports = ports;
    s->port_count = node->count;
}

/* validatePeerAuthentication of Istio: ports are those of a workload. */
static void check_spec(struct reader *r, const struct doc_node *node, void *out)
{
    const struct peer_authentication_spec *s = out;
    const struct doc_node *ports = doc_get(node, "portLevelMtls");
    if (s->port_count == 0 || s->selector.count > 0) {
        return;
    }
    struct finding *found =
        reader_say(r, 2033, ports, "portLevelMtls", "modes of ports are told without a selector");
    found->why = SPAN("ports are those of a workload");
    found->fix = SPAN("add 'selector' with matchLabels");
}

static const struct reader_field spec_fields[] = {
    READER_FIELD("selector", MAP, struct peer_authentication_spec, selector,
                 .table = &spec_selector_table),
    READER_FIELD("mtls", MAP, struct peer_authentication_spec, mode, .table = &mtls_table),
    {.name = "portLevelMtls", .type = READER_CUSTOM, .read = read_ports},
};
const struct reader_table peer_authentication_table = {
    READER_TABLE(struct peer_authentication_spec, spec_fields), .strict = true,
    .check = check_spec};

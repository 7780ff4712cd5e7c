#ifndef POLICY_RBAC_INT_H
#define POLICY_RBAC_INT_H
/* Compiled policies.
 *
 *   rbac --- policies[] by name --- permissions[] (any of) and principals[] (any of) --- trees of nodes
 *       `--- rbac_index: principal or path -> policies that only it can match
 *
 * Permission and Principal have the same shapes of condition, so both become struct rbac_node. */
#include "base/map.h"
#include "codec/ip.h"
#include "policy/header_match.h"
#include "policy/query_match.h"
#include "policy/rbac.h"

#define RBAC_DEPTH_MAX 16 /* conditions inside conditions; Istio writes at most 6 */
#define RBAC_INDEX_MIN 16 /* fewer policies are scanned */

enum rbac_kind {
    RBAC_ANY,
    RBAC_AND,
    RBAC_OR,
    RBAC_NOT,
    RBAC_HEADER,
    RBAC_PATH,        /* url_path: without query and fragment */
    RBAC_DESTINATION, /* destination_ip */
    RBAC_PORTS,       /* destination_port, destination_port_range: [start, end) */
    RBAC_SNI,         /* requested_server_name */
    RBAC_PEER,        /* authenticated with principal_name; filter_state io.istio.peer_principal */
    RBAC_PEER_ANY,    /* authenticated without a name: the connection is TLS */
    RBAC_DIRECT_IP,   /* direct_remote_ip */
    RBAC_SOURCE_IP,   /* source_ip: heeds the PROXY protocol, but no header */
    RBAC_REMOTE_IP,   /* remote_ip */
};

struct rbac_node {
    enum rbac_kind kind;
    union {
        struct {
            const struct rbac_node *items;
            size_t count;
        } set; /* RBAC_AND, RBAC_OR; RBAC_NOT: one */
        struct header_match header;
        struct string_match text;
        struct cidr cidr;
        struct {
            uint32_t start, end;
        } ports;
    };
};

struct rbac_policy {
    struct span name;
    struct rbac_node permission; /* RBAC_OR of the list */
    struct rbac_node principal;
};

struct rbac_bucket { /* policies of one principal or path, ascending */
    const uint32_t *items;
    size_t count;
};

struct rbac_index {
    struct map by_peer;      /* principal -> struct rbac_bucket */
    struct map by_path;      /* path -> struct rbac_bucket; a policy is in one of the two */
    struct rbac_bucket rest; /* policies that others can match too */
};

struct rbac {
    enum { RBAC_ALLOW, RBAC_DENY, RBAC_LOG } action;
    bool opaque;
    const struct rbac_policy *policies;
    size_t count;
    const struct rbac_index *index; /* NULL: scan */
};

/* The index, or NULL when it would not pay. */
const struct rbac_index *rbac_index_build(struct arena *arena, const struct rbac_policy *policies,
                                          size_t count);
#endif

#ifndef POLICY_ROUTE_INT_H
#define POLICY_ROUTE_INT_H
/* What the files of the route table share.
 *
 *   route_table --- hosts (exact map, suffix and prefix maps by length, '*')
 *       `-- virtual_host --- entries[] in order --- route_match + struct route
 *                       `--- route_index: which entries can match a path
 */
#include "base/map.h"
#include "policy/cookie_match.h"
#include "policy/header_match.h"
#include "policy/query_match.h"
#include "policy/route.h"
#include "proto/route.pb.h"

/* ---- one route's conditions (RouteMatch) ---- */

enum route_path_kind {
    ROUTE_PATH_PREFIX,
    ROUTE_PATH_EXACT,
    ROUTE_PATH_SEPARATED, /* path_separated_prefix: equal, or followed by '/' */
    ROUTE_PATH_REGEX,
    ROUTE_PATH_CONNECT, /* connect_matcher: any CONNECT request */
};

enum route_want { ROUTE_WANT_ANY, ROUTE_WANT_TRUE, ROUTE_WANT_FALSE };

struct route_match {
    enum route_path_kind kind;
    bool nocase;
    bool grpc;
    enum route_want presented; /* tls_context */
    enum route_want validated;
    struct span path;
    const struct regex *regex;
    const struct header_match *headers;
    size_t header_count;
    const struct query_match *queries;
    size_t query_count;
    const struct cookie_match *cookies;
    size_t cookie_count;
    uint32_t fraction_of; /* runtime_fraction: denominator; 0 = none */
    uint32_t fraction;
};

MUST_USE int route_match_compile(struct route_match *out, struct arena *arena,
                                 const struct pb_route_RouteMatch *config, struct err *err);

/* A request as the routes of one virtual host look at it. */
struct route_ask {
    const struct traffic *traffic;
    struct span path; /* without query and fragment */
    struct span query;
    struct arena *scratch;
    struct explain *explain;
};
bool route_match_holds(const struct route_match *m, const struct route_ask *ask);

/* ---- which routes can match a path ---- */

struct route_entry {
    struct route_match match;
    struct route route;
};

/* Routes whose path test is a case-sensitive prefix or whole path, grouped by that text. A look-up hashes
 * the path once, byte by byte, and probes at each length that some group has; the groups found and the
 * rest (regexes, case-insensitive ones, CONNECT) are merged in the order of the routes, so the first
 * match is the one a plain scan would find. */
struct route_group {
    uint64_t hash;
    struct span text;
    bool whole;
    uint32_t first, count; /* in items */
};

struct route_index {
    const struct route_group *groups;
    size_t group_count;
    const uint32_t *slots; /* hash -> group + 1, linear probing; 0 = free */
    uint32_t slot_mask;
    const uint32_t *items; /* entry numbers, ascending within each group; the rest at the end */
    uint32_t rest, rest_count;
    const uint32_t *lengths; /* of prefix groups, ascending, without duplicates */
    size_t length_count;
};

#define ROUTE_INDEX_MIN 8      /* fewer routes are scanned: cheaper, and no memory */
#define ROUTE_INDEX_STREAMS 24 /* groups that one path may be in; beyond it is scanned */

void route_index_build(struct route_index *x, struct arena *arena,
                       const struct route_entry *entries, size_t count);
/* The first entry that holds, or NULL. `x` NULL: scan. */
const struct route_entry *route_index_find(const struct route_index *x,
                                           const struct route_entry *entries, size_t count,
                                           const struct route_ask *ask);

/* ---- the table ---- */

struct virtual_host {
    struct span name;
    const struct route_entry *entries;
    size_t count;
    const struct route_index *index;    /* NULL for few routes */
    const struct route *https_redirect; /* require_tls: answers what is not https */
};

struct host_wildcards { /* "*.suffix" or "prefix.*", the '*' cut off */
    struct map map;
    const uint32_t *lengths; /* descending */
    size_t length_count;
};

struct route_table {
    struct span name;
    bool ignore_port;            /* ignore_port_in_host_matching */
    bool ignore_path_parameters; /* ignore_path_parameters_in_path_matching */
    struct map exact;
    struct host_wildcards suffixes, prefixes;
    struct virtual_host *any;
    bool learns;        /* vhds: hosts that none of the above names are asked for */
    struct map learned; /* whole authority -> struct virtual_host: what was asked for */
};

/* ---- compiling: what is inherited on the way down ---- */

struct route_override_list {
    const struct route_override *at;
    size_t count;
};

struct route_scope {
    const struct route_compile *with;
    const struct pb_route_RouteConfiguration *config;
    const struct pb_route_VirtualHost *host;
    const struct route_header_ops *table_headers, *host_headers; /* NULL = none */
    const struct route_header_ops *const *host_chain; /* of routes without ops of their own */
    struct route_override_list overrides;             /* of the host, then of the table */
    size_t direct_body_max;
};

/* The header lists that four kinds of messages carry. */
struct route_header_lists {
    struct pb_core_HeaderValueOption *const *request_add;
    size_t request_add_count;
    const struct span *request_remove;
    size_t request_remove_count;
    struct pb_core_HeaderValueOption *const *response_add;
    size_t response_add_count;
    const struct span *response_remove;
    size_t response_remove_count;
};
#define ROUTE_HEADER_LISTS(config)                                                              \
    &(struct route_header_lists)                                                                \
    {                                                                                           \
        (config)->request_headers_to_add.at, (config)->request_headers_to_add.count,            \
            (config)->request_headers_to_remove.at, (config)->request_headers_to_remove.count,  \
            (config)->response_headers_to_add.at, (config)->response_headers_to_add.count,      \
            (config)->response_headers_to_remove.at, (config)->response_headers_to_remove.count \
    }

MUST_USE int route_headers_compile(struct route_header_ops *out, struct arena *arena,
                                   const struct route_header_lists *lists, struct err *err);
static inline bool route_headers_any(const struct route_header_ops *ops)
{
    return ops->request_count + ops->response_count > 0;
}

/* One entry of a typed_per_filter_config, whichever message it comes from. */
struct route_override_entry {
    struct span filter;
    const struct pb_protobuf_Any *config;
};
/* The entries of a map in one shape. */
#define ROUTE_OVERRIDE_ENTRIES(arena, map)                                                       \
    __extension__({                                                                              \
        struct route_override_entry *list_ = arena_array((arena), (map)->count, sizeof(*list_)); \
        for (uint32_t i_ = 0; i_ < (map)->count; i_++) {                                         \
            list_[i_] = (struct route_override_entry){(map)->at[i_]->key, (map)->at[i_]->value}; \
        }                                                                                        \
        list_;                                                                                   \
    })
/* The entries, then those of the level above (may be NULL). */
MUST_USE int route_overrides_compile(struct route_override_list *out, struct arena *arena,
                                     const struct route_override_entry *entries, size_t count,
                                     const struct route_override_list *above, struct err *err);

MUST_USE int route_action_compile(struct route *out, const struct route_scope *scope,
                                  const struct pb_route_Route *config, struct err *err);
MUST_USE int route_retry_compile(struct route_retry *out, struct arena *arena,
                                 const struct pb_route_RetryPolicy *config, struct err *err);
MUST_USE int route_hash_compile(struct route *out, struct arena *arena,
                                const struct pb_route_RouteAction *config, struct err *err);
#endif

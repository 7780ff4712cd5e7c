#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H
/* Route tables compiled from envoy.config.route.v3.RouteConfiguration, and the decision. Virtual hosts are
 * chosen by exact domain (hash), longest "*.suffix", longest "prefix.*", then "*" (Envoy
 * VirtualHost.domains); then the first route in order whose match holds. Compiled tables are immutable and
 * read by all workers. Names of clusters are turned into slots when compiled, so that no name is looked up
 * per request. Unsupported fields that would change the meaning are refused at compile time, naming the
 * field; never ignored. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/regex.h"
#include "policy/explain.h"
#include "policy/rbac.h"
#include "policy/traffic.h"

struct pb_route_RouteConfiguration;

enum route_action { ROUTE_FORWARD, ROUTE_REDIRECT, ROUTE_DIRECT };

struct route_header_op {
    /* HeaderValueOption.append_action: APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD, ADD_IF_ABSENT,
     * OVERWRITE_IF_EXISTS; removals come first in each list, as in Envoy. */
    enum {
        ROUTE_HEADER_APPEND,
        ROUTE_HEADER_SET,
        ROUTE_HEADER_ADD_IF_ABSENT,
        ROUTE_HEADER_REMOVE,
        ROUTE_HEADER_SET_IF_PRESENT
    } op;
    struct span name;  /* lower case */
    struct span value; /* text; may hold %OPERATORS%, then `formatted` is set */
    bool formatted;
    bool
        keep_empty; /* keep_empty_value: else a value that is empty after formatting adds nothing */
};

struct route_header_ops {
    const struct route_header_op *request;
    size_t request_count;
    const struct route_header_op *response;
    size_t response_count;
};

struct route_cluster { /* one weighted destination */
    struct span name;
    unsigned slot;
    uint32_t weight;
    struct span host_rewrite; /* ClusterWeight.host_rewrite_literal; wins over the route's */
    struct route_header_ops headers;
    const struct route_override *overrides; /* looked at before the route's */
    size_t override_count;
};

/* typed_per_filter_config for one filter, named as in the connection manager's list. */
struct route_override {
    struct span filter;
    bool disabled;            /* FilterConfig.disabled, or RBACPerRoute without rbac */
    const struct rbac *rules; /* in place of the filter's own; NULL = none */
    const struct rbac *shadow;
    bool deny;                       /* the action of `rules` */
    const struct route_fault *fault; /* in place of the fault filter's own */
    const struct route_cors *cors;
};

struct string_match;
/* Texts are those of the configuration; empty = not told. */
struct route_cors {
    const struct string_match *origins;
    size_t origin_count;
    struct span methods, headers, expose, max_age;
    bool credentials, private_network;
    bool
        forward_unmatched; /* preflights of other origins go on; else they are answered with nothing */
    uint32_t enabled_ppm; /* parts per million of the requests */
};

struct route_fault {
    int64_t delay_ms;
    uint32_t delay_ppm, abort_ppm;      /* parts per million of the requests */
    unsigned abort_status;              /* 0 = none */
    int abort_grpc;                     /* a gRPC status in place of it; -1 = none */
    struct span cluster;                /* only requests to it; empty = all */
    const struct header_match *headers; /* only requests for which all hold */
    size_t header_count;
};

enum { /* retry_on, Envoy's words */
       RETRY_5XX = 1u << 0,
       RETRY_GATEWAY_ERROR = 1u << 1,
       RETRY_RESET = 1u << 2,
       RETRY_CONNECT_FAILURE = 1u << 3,
       RETRY_REFUSED_STREAM = 1u << 4,
       RETRY_RETRIABLE_4XX = 1u << 5,
       RETRY_STATUS_CODES = 1u << 6,
       RETRY_RESET_BEFORE_REQUEST = 1u << 7,
       RETRY_GRPC_CANCELLED = 1u << 8,
       RETRY_GRPC_DEADLINE = 1u << 9,
       RETRY_GRPC_INTERNAL = 1u << 10,
       RETRY_GRPC_EXHAUSTED = 1u << 11,
       RETRY_GRPC_UNAVAILABLE = 1u << 12,
};

struct route_retry {
    uint32_t on;             /* RETRY_* */
    uint32_t attempts;       /* retries after the first try; 0 = none */
    int64_t per_try_ms;      /* 0 = none */
    int64_t per_try_idle_ms; /* 0 = none */
    int64_t backoff_base_ms, backoff_max_ms;
    const uint16_t *status_codes;
    size_t status_count;
    bool other_host;     /* previous_hosts predicate */
    uint32_t host_tries; /* host_selection_retry_max_attempts; default 1 */
};

struct route_hash { /* one hash_policy entry */
    enum { ROUTE_HASH_HEADER, ROUTE_HASH_COOKIE, ROUTE_HASH_SOURCE_IP, ROUTE_HASH_QUERY } kind;
    struct span name;
    bool terminal;
    bool cookie_make;     /* a client without the cookie is given one */
    int64_t cookie_ttl_s; /* 0 = a session cookie */
    struct span cookie_path;
    const struct header *cookie_attributes;
    size_t cookie_attribute_count;
};

struct route_mirror {
    struct span name;
    unsigned slot;
    uint32_t parts_per_million;
    bool keep_host; /* else "-shadow" is appended to the host part of the authority */
    struct span host_rewrite;
};

struct route {
    struct span name;
    struct span virtual_host;
    enum route_action action;
    /* ROUTE_FORWARD */
    const struct route_cluster *clusters;
    size_t cluster_count;
    uint64_t total_weight;
    struct span cluster_header; /* the cluster is named by this request header instead */
    int64_t timeout_ms;    /* whole request; 0 = none; default 15 s (Envoy RouteAction.timeout) */
    int64_t idle_ms;       /* -1 = the connection manager's */
    int64_t max_stream_ms; /* max_stream_duration; 0 = none */
    /* max_grpc_timeout: for gRPC requests grpc-timeout takes the place of timeout_ms, less the offset where that leaves
     * something, capped by this, which also holds where none was sent; 0 = no cap. */
    bool grpc_timeout;
    int64_t grpc_timeout_max_ms, grpc_timeout_offset_ms;
    /* max_stream_duration.grpc_timeout_header_max: grpc-timeout, when sent, takes the place of max_stream_ms,
     * capped by this (0 = no cap), less the offset where that leaves something. */
    bool grpc_stream;
    int64_t grpc_stream_max_ms, grpc_stream_offset_ms;
    struct route_retry retry;
    struct span prefix_rewrite;
    size_t matched_prefix_len; /* what prefix_rewrite replaces; SIZE_MAX = the whole path */
    const struct regex *rewrite_regex;
    struct span rewrite_substitution;
    struct span host_rewrite; /* literal; empty = keep */
    bool auto_host_rewrite;
    bool append_forwarded_host; /* x-forwarded-host gets the old authority */
    const struct route_hash *hash;
    size_t hash_count;
    const struct route_mirror *mirrors;
    size_t mirror_count;
    bool websocket;     /* upgrade_configs: "websocket" allowed here */
    bool websocket_off; /* forbidden here although the connection manager allows it */
    bool connect;       /* upgrade_configs: "CONNECT" allowed here */
    bool connect_off;   /* forbidden here although the connection manager allows it */
    bool connect_ends;  /* connect_config: the tunnel ends here */
    bool priority_high;
    bool attempt_count; /* include_request_attempt_count: x-envoy-attempt-count upstream */
    bool attempt_count_response;
    unsigned no_cluster_status; /* cluster_not_found_response_code; default 503 */
    struct span operation;      /* decorator: the span's name; empty = none */
    bool operation_hidden;      /* decorator.propagate false */
    /* ROUTE_REDIRECT */
    unsigned redirect_status;
    bool redirect_https, strip_query;
    struct span redirect_scheme, redirect_host, redirect_path, redirect_prefix;
    uint32_t redirect_port; /* 0 = keep */
    /* ROUTE_DIRECT */
    unsigned direct_status;
    struct span direct_body;
    /* all: the route's, then the virtual host's, then the table's (Envoy's order) */
    const struct route_header_ops *const *headers; /* NULL-terminated */
    /* A weighted cluster's own ops come before `headers`; after them with most_specific_header_mutations_wins,
     * which also turns `headers` round. */
    bool cluster_headers_last;
    const struct route_override
        *overrides; /* most specific first: the first for a filter's name counts */
    size_t override_count;
};

struct route_table;
struct route_compile {
    struct arena *arena; /* the table and all it points to; outlives the table */
    unsigned (*slot_of)(void *arg, struct span cluster_name);
    void *arg;
};
/* The table's memory is the arena's: nothing to free. Texts are borrowed from `config`: the wire bytes it was
 * decoded from must live as long as the arena. -ERR_CONFIG: "virtual host 'x', route 3: ...". */
MUST_USE int route_table_compile(struct route_table **out, const struct route_compile *with,
                                 const struct pb_route_RouteConfiguration *config, struct err *err);
struct span route_table_name(const struct route_table *t);
/* NULL: nothing matches (404). `scratch` serves regular expressions; reset by the caller's habit. */
const struct route *route_find(const struct route_table *t, const struct traffic *tr,
                               struct arena *scratch, struct explain *ex);
/* The same for a table that learns: `*unknown` when no virtual host names the request's authority, so that what
 * was found is of "*" (or nothing), and the host's own may be asked for. */
const struct route *route_find_known(const struct route_table *t, const struct traffic *tr,
                                     struct arena *scratch, bool *unknown);

/* ---- virtual hosts on demand (RouteConfiguration.vhds) ---- */

bool route_table_learns(const struct route_table *t);
struct pb_route_VirtualHost;
struct virtual_host;
/* One virtual host by itself. Its domains do not matter: it answers for the authority it was asked for. Tables that
 * learn have nothing that it could inherit (refused). Memory as route_table_compile. */
MUST_USE int route_host_compile(const struct virtual_host **out, const struct route_compile *with,
                                const struct pb_route_VirtualHost *config, struct err *err);
struct route_learned {
    struct span authority; /* whole, lower case; outlives the table */
    const struct virtual_host *host;
};
/* A table as `base`, which must outlive it as the hosts must, that also knows these. */
struct route_table *route_table_with(const struct route_table *base, struct arena *arena,
                                     const struct route_learned *hosts, size_t count);

/* The weighted choice for this request; NULL for routes with cluster_header. */
const struct route_cluster *route_pick_cluster(const struct route *r, uint64_t random);
/* envoy.extensions.filters.http.fault.v3.HTTPFault from its bytes. Rate limits, limits on active faults, nodes and faults
 * asked for by headers are refused. */
MUST_USE int route_fault_compile(const struct route_fault **out, struct arena *arena,
                                 struct span bytes, struct err *err);
/* Whether it is for this request at all; `cluster` may be NULL. */
bool route_fault_applies(const struct route_fault *f, const struct route_cluster *cluster,
                         const struct traffic *tr, struct arena *scratch);
/* envoy.extensions.filters.http.cors.v3.CorsPolicy from its bytes. */
MUST_USE int route_cors_compile(const struct route_cors **out, struct arena *arena,
                                struct span bytes, struct err *err);
bool route_cors_allows(const struct route_cors *c, struct span origin);
/* The override of that filter for this route and this choice of cluster (may be NULL); NULL = none. */
const struct route_override *route_override(const struct route *r, const struct route_cluster *c,
                                            struct span filter);
/* The path after prefix_rewrite or regex_rewrite (query kept); the same span when there is none. */
struct span route_rewrite_path(const struct route *r, struct span path, struct arena *arena);
/* Location of a redirect. */
struct span route_redirect_location(const struct route *r, const struct traffic *tr,
                                    struct arena *arena);
#endif

#ifndef MODEL_GATEWAY_API_H
#define MODEL_GATEWAY_API_H
/* gateway.networking.k8s.io Gateway, HTTPRoute, GatewayClass and ReferenceGrant (Gateway API v1: apis/v1/gateway_types.go, httproute_types.go,
 * gatewayclass_types.go, apis/v1beta1/referencegrant_types.go; for a Service as parent GEP-1324). Defaults of the API server are filled in. */
#include "model/object.h"
#include "model/spec.h"

/* ---- Gateway ---- */
enum gateway_protocol { GATEWAY_HTTP, GATEWAY_HTTPS, GATEWAY_TLS, GATEWAY_TCP };
enum gateway_tls_mode { GATEWAY_TLS_TERMINATE, GATEWAY_TLS_PASSTHROUGH };
enum gateway_routes_from { GATEWAY_ROUTES_SAME, GATEWAY_ROUTES_ALL, GATEWAY_ROUTES_SELECTOR };

struct gateway_secret {    /* certificateRefs */
    bool is_secret;        /* else of another kind or group, which can not be resolved */
    struct span namespace; /* the Gateway's own when not told */
    struct span name;
};

struct gateway_listener {
    struct span name;
    struct span hostname; /* empty = all */
    uint16_t port;
    enum gateway_protocol protocol;
    bool has_tls;
    enum gateway_tls_mode tls_mode;
    const struct gateway_secret *certificates;
    size_t certificate_count;
    struct spec_labels tls_options;
    enum gateway_routes_from routes_from;
    struct selector routes_selector; /* of namespaces; for GATEWAY_ROUTES_SELECTOR */
    struct spec_texts route_kinds;   /* "HTTPRoute"; none = those that fit the protocol */
};

struct gateway_address {
    bool hostname; /* type Hostname; else IPAddress */
    struct span value;
};

struct gateway_spec {
    struct span class_name;
    const struct gateway_address *addresses;
    size_t address_count;
    const struct gateway_listener *listeners;
    size_t listener_count;
    struct spec_labels infrastructure_labels;
};

/* ---- HTTPRoute ---- */
enum http_route_parent_kind { HTTP_ROUTE_PARENT_GATEWAY, HTTP_ROUTE_PARENT_SERVICE };

struct http_route_parent {
    enum http_route_parent_kind kind;
    struct span namespace; /* the route's own when not told */
    struct span name;
    struct span section; /* of a Gateway's listener; empty = all */
    uint16_t port;       /* 0 = all */
};

enum http_route_path_kind { HTTP_ROUTE_PATH_PREFIX, HTTP_ROUTE_PATH_EXACT, HTTP_ROUTE_PATH_REGEX };

struct http_route_match {
    enum http_route_path_kind path_kind; /* prefix "/" when not told */
    struct span path;                  /* PREFIX is of whole segments: "/a" and "/a/b", not "/ab" */
    struct span method;                /* empty = any */
    struct spec_named_matches headers; /* EXACT or REGEX */
    struct spec_named_matches queries;
};

enum http_route_filter_kind {
    HTTP_ROUTE_REQUEST_HEADERS,
    HTTP_ROUTE_RESPONSE_HEADERS,
    HTTP_ROUTE_REDIRECT,
    HTTP_ROUTE_REWRITE,
    HTTP_ROUTE_MIRROR
};
enum http_route_path_change {
    HTTP_ROUTE_PATH_KEEP,
    HTTP_ROUTE_PATH_FULL,
    HTTP_ROUTE_PATH_PREFIX_MATCH
};

struct http_route_ref {    /* a Service */
    struct span namespace; /* the route's own when not told */
    struct span name;
    uint16_t port;
    bool
        is_service; /* else of another kind or group: the reference is invalid, and its share answers 500 */
    struct span group, kind;
};

struct http_route_filter {
    enum http_route_filter_kind kind;
    struct spec_header_ops headers; /* REQUEST_HEADERS, RESPONSE_HEADERS */
    /* REDIRECT, REWRITE */
    struct span scheme;   /* REDIRECT: "http", "https", or empty = keep */
    struct span hostname; /* empty = keep */
    enum http_route_path_change path_change;
    struct span path;
    uint16_t port;   /* REDIRECT: 0 = by the scheme, or keep */
    unsigned status; /* REDIRECT: 302 when not told */
    /* MIRROR */
    struct http_route_ref mirror;
    double mirror_percent; /* 100 when not told */
};
struct http_route_filters {
    const struct http_route_filter *items;
    size_t count;
};

struct http_route_backend {
    struct http_route_ref ref;
    uint32_t weight; /* 1 when not told; 0 = none */
    struct http_route_filters filters;
};

struct http_route_rule {
    struct span name;
    const struct http_route_match *matches; /* at least one (prefix "/") */
    size_t match_count;
    struct http_route_filters filters;
    const struct http_route_backend *backends; /* none: a redirect, else 500 */
    size_t backend_count;
    int64_t request_timeout_ms; /* SPEC_UNSET; 0 = none */
    int64_t backend_timeout_ms;
    /* retry (experimental channel) */
    bool has_retry;
    int64_t retry_attempts; /* SPEC_UNSET = not told */
    int64_t retry_backoff_ms;
    struct spec_ports retry_codes; /* 400..599 */
};

struct http_route_spec {
    const struct http_route_parent *parents;
    size_t parent_count;
    struct spec_texts hostnames;         /* none = those of the listener or service */
    const struct http_route_rule *rules; /* at least one */
    size_t rule_count;
};

/* ---- GatewayClass ---- */
struct gateway_class_spec {
    struct span controller; /* "mesh.io/gateway-controller" */
};

/* ---- ReferenceGrant: objects of its own namespace that others may refer to ---- */
struct reference_grant_from {
    struct span group, kind, namespace;
};
struct reference_grant_to {
    struct span group, kind;
    struct span name; /* empty = all of the kind */
};
struct reference_grant_spec {
    const struct reference_grant_from *from;
    size_t from_count;
    const struct reference_grant_to *to;
    size_t to_count;
};

static inline const struct gateway_class_spec *gateway_class_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_GATEWAY_CLASS);
    return o->spec;
}
static inline const struct reference_grant_spec *reference_grant_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_REFERENCE_GRANT);
    return o->spec;
}
static inline const struct gateway_spec *gateway_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_GATEWAY);
    return o->spec;
}
static inline const struct http_route_spec *http_route_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_HTTP_ROUTE);
    return o->spec;
}
#endif

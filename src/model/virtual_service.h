#ifndef MODEL_VIRTUAL_SERVICE_H
#define MODEL_VIRTUAL_SERVICE_H
/* networking.istio.io VirtualService (istio/api networking/v1 VirtualService and the messages below it). Refused, as ignoring them would
 * change where requests go: delegate, and a VirtualService without hosts (which only a delegate may be). */
#include "model/object.h"
#include "model/spec.h"

struct virtual_service_destination {
    struct span host; /* as written: short names are of the object's namespace */
    struct span subset;
    uint16_t port; /* 0 = not told */
};

struct virtual_service_header_ops {
    struct spec_header_ops request, response;
};

/* HTTPRouteDestination, and RouteDestination of tcp and tls. */
struct virtual_service_target {
    struct virtual_service_destination destination;
    uint32_t weight; /* 0 = none of the traffic; the only target without a weight has 100 */
    struct virtual_service_header_ops headers; /* http */
};

struct virtual_service_match { /* HTTPMatchRequest: all must hold */
    struct span name;
    struct spec_match uri, scheme, method, authority;
    struct spec_named_matches headers; /* SPEC_MATCH_NONE: is there */
    struct spec_named_matches
        without_headers; /* none of these may hold; SPEC_MATCH_NONE: is not there */
    struct spec_named_matches queries;
    bool ignore_uri_case;
    uint16_t port; /* 0 = any */
    struct spec_labels source_labels;
    struct span source_namespace;
    struct spec_texts gateways; /* none = those of the VirtualService */
};

enum virtual_service_redirect_port {
    VIRTUAL_SERVICE_PORT_KEEP,
    VIRTUAL_SERVICE_PORT_NUMBER,
    VIRTUAL_SERVICE_PORT_BY_PROTOCOL, /* derivePort FROM_PROTOCOL_DEFAULT */
    VIRTUAL_SERVICE_PORT_OF_REQUEST   /* derivePort FROM_REQUEST_PORT */
};
struct virtual_service_redirect { /* HTTPRedirect */
    bool set;
    struct span uri, authority, scheme; /* empty = keep */
    struct span prefix_rewrite; /* instead of uri: replaces the matched prefix; empty = keep */
    enum virtual_service_redirect_port port_from;
    uint16_t port;
    unsigned status; /* 301 when not told */
};

struct virtual_service_direct { /* HTTPDirectResponse */
    bool set;
    unsigned status;
    struct span body; /* text, or bytes decoded from base64 */
};

struct virtual_service_rewrite { /* HTTPRewrite */
    bool set;
    struct span uri; /* replaces the matched prefix, or the whole path after an exact match */
    struct span authority;
    struct span regex, substitution; /* uriRegexRewrite */
};

struct virtual_service_retry { /* HTTPRetry */
    bool set;
    uint32_t attempts; /* 0 = no retries */
    int64_t per_try_timeout_ms;
    int64_t backoff_ms;
    struct span
        on; /* comma-separated conditions and status codes, checked; empty = Istio's default */
    enum spec_bool remote_localities;
    enum spec_bool ignore_previous_hosts;
};

struct virtual_service_fault { /* HTTPFaultInjection; percentages are 0 when not told: no request */
    double delay_percent;
    int64_t delay_ms;
    double abort_percent;
    unsigned abort_status; /* 0 = not told */
    int abort_grpc;        /* 0..16, or SPEC_UNSET */
};

struct virtual_service_mirror {
    struct virtual_service_destination destination;
    double percent; /* 100 when not told */
};

struct virtual_service_cors { /* CorsPolicy */
    bool set;
    const struct spec_match *origins; /* allowOrigins; the older allowOrigin is EXACT */
    size_t origin_count;
    struct spec_texts methods, headers, expose;
    int64_t max_age_ms;
    enum spec_bool credentials;
    enum spec_bool forward_unmatched; /* unmatchedPreflights: IGNORE = false; unset = forward */
};

struct virtual_service_http { /* HTTPRoute of Istio */
    struct span name;
    const struct virtual_service_match *matches; /* any of them; none = everything */
    size_t match_count;
    /* exactly one of the three: */
    const struct virtual_service_target *routes;
    size_t route_count;
    struct virtual_service_redirect redirect;
    struct virtual_service_direct direct;
    struct virtual_service_rewrite rewrite;
    int64_t timeout_ms; /* SPEC_UNSET; 0 = none, as is SPEC_UNSET */
    struct virtual_service_retry retry;
    struct virtual_service_fault fault;
    const struct virtual_service_mirror *mirrors; /* `mirror` is one of these too */
    size_t mirror_count;
    struct virtual_service_cors cors;
    struct virtual_service_header_ops headers;
};

struct virtual_service_l4_match { /* L4MatchAttributes, TLSMatchAttributes */
    struct spec_texts sni_hosts;  /* tls: at least one */
    struct spec_texts destination_subnets;
    uint16_t port; /* 0 = any */
    struct spec_labels source_labels;
    struct span source_namespace;
    struct spec_texts gateways;
};
struct virtual_service_l4 { /* TCPRoute, TLSRoute */
    const struct virtual_service_l4_match *matches;
    size_t match_count;
    const struct virtual_service_target *routes; /* at least one */
    size_t route_count;
};

struct virtual_service_spec {
    struct spec_texts hosts;    /* at least one */
    struct spec_texts gateways; /* "mesh", "name", "ns/name"; none = "mesh" */
    const struct virtual_service_http *http;
    size_t http_count;
    const struct virtual_service_l4 *tls;
    size_t tls_count;
    const struct virtual_service_l4 *tcp;
    size_t tcp_count;
    struct spec_texts export_to;
};

static inline const struct virtual_service_spec *virtual_service_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_VIRTUAL_SERVICE);
    return o->spec;
}
#endif

/* What a route does: forward (to whom, how often, for how long), redirect, answer.
 * Source: Istio pilot/pkg/networking/core/route/route.go, route/retry/retry.go. */
#include "control/translate/translate_int.h"
#include "proto/cors.pb.h"
#include "proto/fault.pb.h"
#include "proto/route.pb.h"

#define RETRY_ON "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
#define HOST_TRIES 5
#define STATUS_UNAVAILABLE 503

/* ---- headers ---- */

struct header_lists {
    void *request_add, *request_remove, *response_add, *response_remove;
    struct span *host; /* a Host that is set is a rewrite: Envoy has no other way */
};
#define HEADER_LISTS(message, host_rewrite)                                              \
    (struct header_lists)                                                                \
    {                                                                                    \
        &(message)->request_headers_to_add, &(message)->request_headers_to_remove,       \
            &(message)->response_headers_to_add, &(message)->response_headers_to_remove, \
            (host_rewrite)                                                               \
    }

static void add_op(struct translation *t, void *add, void *removed,
                   const struct world_header_op *op)
{
    if (op->op == WORLD_HEADER_REMOVE) {
        *(struct span *)pb_list_add(t->arena, removed, sizeof(struct span)) = op->name;
        return;
    }
    struct pb_core_HeaderValueOption *o = arena_new(t->arena, struct pb_core_HeaderValueOption);
    o->header = arena_new(t->arena, struct pb_core_HeaderValue);
    o->header->key = op->name;
    o->header->value = op->value;
    o->append_action =
        op->op == WORLD_HEADER_SET
            ? PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_OVERWRITE_IF_EXISTS_OR_ADD
            : PB_CORE_HEADER_VALUE_OPTION_HEADER_APPEND_ACTION_APPEND_IF_EXISTS_OR_ADD;
    *(struct pb_core_HeaderValueOption **)pb_list_add(t->arena, add, sizeof(void *)) = o;
}

static bool is_host(struct span name)
{
    return span_eq_nocase(name, SPAN("host")) || span_is(name, ":authority");
}

static void headers(struct translation *t, const struct header_lists *to,
                    const struct world_header_ops *ops)
{
    for (size_t i = 0; i < ops->request_count; i++) {
        const struct world_header_op *op = &ops->request[i];
        if (!is_host(op->name)) {
            add_op(t, to->request_add, to->request_remove, op);
        } else if (op->op != WORLD_HEADER_REMOVE && to->host) {
            *to->host = op->value;
        }
    }
    for (size_t i = 0; i < ops->response_count; i++) {
        add_op(t, to->response_add, to->response_remove, &ops->response[i]);
    }
}

static bool has_headers(const struct world_header_ops *ops)
{
    return ops->request_count > 0 || ops->response_count > 0;
}

/* ---- retries, hashes ---- */

static struct pb_route_RetryPolicy *retry_new(struct translation *t, uint32_t attempts)
{
    struct pb_route_RetryPolicy *r = arena_new(t->arena, struct pb_route_RetryPolicy);
    r->num_retries = message_u32(t->arena, attempts);
    r->retry_on = SPAN(RETRY_ON);
    struct pb_route_RetryPolicy_RetryHostPredicate *p =
        arena_new(t->arena, struct pb_route_RetryPolicy_RetryHostPredicate);
    p->name = SPAN("envoy.retry_host_predicates.previous_hosts");
    p->config_type_case = PB_ROUTE_RETRY_POLICY_RETRY_HOST_PREDICATE_CONFIG_TYPE_TYPED_CONFIG;
    p->typed_config = message_any_empty(
        t->arena, SPAN("type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3."
                       "PreviousHostsPredicate"));
    PB_ADD(t->arena, &r->retry_host_predicate, p);
    r->host_selection_retry_max_attempts = HOST_TRIES;
    return r;
}

static bool has_word(struct span words, struct span word)
{
    while (words.at) {
        if (span_eq(span_trim(span_cut(&words, ',')), word)) {
            return true;
        }
    }
    return false;
}

/* NULL: none. */
static struct pb_route_RetryPolicy *retry_of(struct translation *t, const struct world_retry *route)
{
    const struct world_retry *w = route && route->set ? route : t->w->config->mesh.retry;
    if (w->attempts == 0) {
        return NULL;
    }
    struct pb_route_RetryPolicy *r = retry_new(t, w->attempts);
    if (w->on.len > 0) {
        r->retry_on = w->on;
    }
    for (size_t i = 0; i < w->code_count; i++) {
        PB_ADD(t->arena, &r->retriable_status_codes, w->codes[i]);
    }
    if (w->code_count > 0 && !has_word(r->retry_on, SPAN("retriable-status-codes"))) {
        r->retry_on = MESSAGE_JOIN(t->arena, r->retry_on, SPAN(",retriable-status-codes"));
    } else if (w->code_count == 0 && w->on.len == 0) {
        PB_ADD(t->arena, &r->retriable_status_codes, STATUS_UNAVAILABLE);
    }
    if (w->per_try_ms > 0) {
        r->per_try_timeout = message_ms(t->arena, w->per_try_ms);
    }
    if (w->backoff_ms > 0) {
        r->retry_back_off = arena_new(t->arena, struct pb_route_RetryPolicy_RetryBackOff);
        r->retry_back_off->base_interval = message_ms(t->arena, w->backoff_ms);
    }
    return r;
}

static void add_hash(struct translation *t, struct pb_route_RouteAction *a,
                     const struct world_traffic *p)
{
    struct pb_route_RouteAction_HashPolicy *h =
        arena_new(t->arena, struct pb_route_RouteAction_HashPolicy);
    if (p->hash_header.len > 0) {
        h->policy_specifier_case = PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_HEADER;
        h->header = arena_new(t->arena, struct pb_route_RouteAction_HashPolicy_Header);
        h->header->header_name = p->hash_header;
    } else if (p->hash_cookie.len > 0) {
        h->policy_specifier_case = PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_COOKIE;
        h->cookie = arena_new(t->arena, struct pb_route_RouteAction_HashPolicy_Cookie);
        h->cookie->name = p->hash_cookie;
        h->cookie->path = p->hash_cookie_path;
        if (p->hash_cookie_ttl_s >= 0) {
            h->cookie->ttl = message_ms(t->arena, p->hash_cookie_ttl_s * 1000);
        }
    } else if (p->hash_query.len > 0) {
        h->policy_specifier_case =
            PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_QUERY_PARAMETER;
        h->query_parameter =
            arena_new(t->arena, struct pb_route_RouteAction_HashPolicy_QueryParameter);
        h->query_parameter->name = p->hash_query;
    } else {
        h->policy_specifier_case =
            PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_CONNECTION_PROPERTIES;
        h->connection_properties =
            arena_new(t->arena, struct pb_route_RouteAction_HashPolicy_ConnectionProperties);
        h->connection_properties->source_ip = true;
    }
    PB_ADD(t->arena, &a->hash_policy, h);
}

static void hash_of(struct translation *t, struct pb_route_RouteAction *a,
                    const struct world_service *s, uint16_t port, struct span subset)
{
    struct cluster_name name = {.port = port, .subset = subset, .host = s->host};
    struct destination d;
    if (cds_destination(t, &name, &d) && d.traffic->lb == WORLD_LB_HASH) {
        add_hash(t, a, d.traffic);
    }
}

void vhost_action_defaults(struct translation *t, struct pb_route_RouteAction *a,
                           const struct world_service *s, uint16_t port, struct span subset)
{
    a->retry_policy = retry_of(t, NULL);
    if (s) {
        hash_of(t, a, s, port, subset);
    }
}

/* ---- destinations ---- */

static struct span backend_cluster(struct translation *t, const struct world_backend *b)
{
    return translate_cluster_name(t->arena, b->service ? b->service->host : b->host, b->port,
                                  b->subset);
}

static void add_weighted(struct translation *t, struct pb_route_RouteAction *a,
                         const struct world_backend *b)
{
    struct pb_route_WeightedCluster_ClusterWeight *w =
        arena_new(t->arena, struct pb_route_WeightedCluster_ClusterWeight);
    struct span host = SPAN_EMPTY;
    w->name = backend_cluster(t, b);
    w->weight = message_u32(t->arena, b->weight);
    struct header_lists lists = HEADER_LISTS(w, &host);
    headers(t, &lists, &b->headers);
    if (host.len > 0) {
        w->host_rewrite_specifier_case =
            PB_ROUTE_WEIGHTED_CLUSTER_CLUSTER_WEIGHT_HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL;
        w->host_rewrite_literal = host;
    }
    PB_ADD(t->arena, &a->weighted_clusters->clusters, w);
}

/* Those that get a share; a single one does whatever its weight. */
static size_t shares(const struct world_route *r, const struct world_backend **only)
{
    size_t count = 0;
    for (size_t i = 0; i < r->backend_count; i++) {
        if (r->backends[i].weight > 0) {
            *only = &r->backends[i];
            count++;
        }
    }
    if (count == 0 && r->backend_count == 1) {
        *only = &r->backends[0];
        return 1;
    }
    return count;
}

/* False: nobody gets anything. */
static bool destinations(struct translation *t, struct pb_route_Route *out,
                         struct pb_route_RouteAction *a, const struct vhost_action *from)
{
    const struct world_route *r = from->route;
    const struct world_backend *only = NULL;
    size_t count = shares(r, &only);
    bool any_service = false;
    for (size_t i = 0; i < r->backend_count; i++) {
        const struct world_backend *b = &r->backends[i];
        any_service = any_service || (b->service && (b->weight > 0 || b == only));
        if (b->service && (b->weight > 0 || b == only)) {
            hash_of(t, a, b->service, b->port, b->subset);
        }
    }
    if (count == 0 || (!any_service && from->no_service != STATUS_UNAVAILABLE)) {
        return false;
    }
    if (from->no_service != STATUS_UNAVAILABLE) {
        a->cluster_not_found_response_code =
            PB_ROUTE_ROUTE_ACTION_CLUSTER_NOT_FOUND_RESPONSE_CODE_INTERNAL_SERVER_ERROR;
    }
    if (count == 1) {
        a->cluster_specifier_case = PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER;
        a->cluster = backend_cluster(t, only);
        struct span host = SPAN_EMPTY;
        struct header_lists lists = HEADER_LISTS(out, &host);
        headers(t, &lists, &only->headers);
        if (host.len > 0) {
            a->host_rewrite_specifier_case =
                PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL;
            a->host_rewrite_literal = host;
        }
        return true;
    }
    a->cluster_specifier_case = PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS;
    a->weighted_clusters = arena_new(t->arena, struct pb_route_WeightedCluster);
    for (size_t i = 0; i < r->backend_count; i++) {
        if (r->backends[i].weight > 0) {
            add_weighted(t, a, &r->backends[i]);
        }
    }
    return true;
}

/* ---- rewriting ---- */

static struct pb_matcher_RegexMatchAndSubstitute *substitute(struct translation *t,
                                                             struct span pattern,
                                                             struct span substitution)
{
    struct pb_matcher_RegexMatchAndSubstitute *m =
        arena_new(t->arena, struct pb_matcher_RegexMatchAndSubstitute);
    m->pattern = message_regex(t->arena, pattern);
    m->substitution = substitution;
    return m;
}

/* In a substitution a backslash names a group. */
static struct span literal(struct translation *t, struct span text)
{
    char *to = arena_bytes(t->arena, text.len * 2);
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\\') {
            to[at++] = '\\';
        }
        to[at++] = text.at[i];
    }
    return span_from(to, at);
}

/* Gateway API replaces whole segments: "/" for "/shop" makes "/shop/cart" "/cart", not "//cart", and "/v2" for "/" makes
 * "/cart" "/v2/cart". Answers the plain prefix, or empty and a substitution. */
static struct span segment_prefix(struct translation *t, const struct world_match *m,
                                  struct span prefix,
                                  struct pb_matcher_RegexMatchAndSubstitute **regex)
{
    struct span from = m && m->has_path ? m->path.text : SPAN("/");
    while (from.len > 0 && from.at[from.len - 1] == '/') {
        from.len--;
    }
    while (prefix.len > 0 && prefix.at[prefix.len - 1] == '/') {
        prefix.len--;
    }
    if (from.len == 0) {
        return MESSAGE_JOIN(t->arena, prefix, SPAN("/"));
    }
    if (prefix.len > 0) {
        return prefix;
    }
    *regex = substitute(
        t, MESSAGE_JOIN(t->arena, SPAN("^"), message_quote(t->arena, from), SPAN("/?(.*)")),
        SPAN("/\\1"));
    return SPAN_EMPTY;
}

static bool by_segments(const struct world_match *m)
{
    return m && m->has_path && m->path.kind == WORLD_MATCH_PREFIX && m->path_segments;
}

static void rewrite(struct translation *t, struct pb_route_RouteAction *a,
                    const struct vhost_action *from)
{
    const struct world_route *r = from->route;
    if (r->rewrite_regex.len > 0) {
        a->regex_rewrite = substitute(t, r->rewrite_regex, r->rewrite_substitution);
    } else if (r->rewrite_has_path) {
        a->regex_rewrite = substitute(t, SPAN("/.*"), literal(t, r->rewrite_path));
    } else if (r->rewrite_has_prefix) {
        a->prefix_rewrite = by_segments(from->match)
                                ? segment_prefix(t, from->match, r->rewrite_path, &a->regex_rewrite)
                                : r->rewrite_path;
    }
    if (r->rewrite_authority.len > 0) {
        a->host_rewrite_specifier_case =
            PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL;
        a->host_rewrite_literal = r->rewrite_authority;
    }
}

/* ---- filters of one route ---- */

static void add_filter(struct translation *t, struct pb_route_Route *out, struct span name,
                       struct pb_protobuf_Any *config)
{
    struct pb_route_Route_TypedPerFilterConfigEntry *e =
        arena_new(t->arena, struct pb_route_Route_TypedPerFilterConfigEntry);
    e->key = name;
    e->value = config;
    PB_ADD(t->arena, &out->typed_per_filter_config, e);
}

static void fault(struct translation *t, struct pb_route_Route *out, const struct world_fault *w)
{
    if (w->delay_percent <= 0 && w->abort_percent <= 0) {
        return;
    }
    struct pb_fault_HTTPFault *f = arena_new(t->arena, struct pb_fault_HTTPFault);
    if (w->delay_percent > 0) {
        f->delay = arena_new(t->arena, struct pb_fault_common_FaultDelay);
        f->delay->fault_delay_secifier_case =
            PB_FAULT_COMMON_FAULT_DELAY_FAULT_DELAY_SECIFIER_FIXED_DELAY;
        f->delay->fixed_delay = message_ms(t->arena, w->delay_ms);
        f->delay->percentage = message_percent(t->arena, w->delay_percent);
    }
    if (w->abort_percent > 0) {
        f->abort = arena_new(t->arena, struct pb_fault_FaultAbort);
        if (w->abort_grpc >= 0) {
            f->abort->error_type_case = PB_FAULT_FAULT_ABORT_ERROR_TYPE_GRPC_STATUS;
            f->abort->grpc_status = (uint32_t)w->abort_grpc;
        } else {
            f->abort->error_type_case = PB_FAULT_FAULT_ABORT_ERROR_TYPE_HTTP_STATUS;
            f->abort->http_status = w->abort_status;
        }
        f->abort->percentage = message_percent(t->arena, w->abort_percent);
    }
    add_filter(t, out, SPAN("envoy.filters.http.fault"),
               MESSAGE_ANY(t->arena, PB_FAULT_HTTP_FAULT_URL, &pb_fault_HTTPFault_desc, f));
}

static void cors(struct translation *t, struct pb_route_Route *out, const struct world_cors *w)
{
    if (!w->set) {
        return;
    }
    struct pb_cors_CorsPolicy *c = arena_new(t->arena, struct pb_cors_CorsPolicy);
    for (size_t i = 0; i < w->origin_count; i++) {
        PB_ADD(t->arena, &c->allow_origin_string_match, vhost_match_text(t, &w->origins[i]));
    }
    c->allow_methods = w->methods;
    c->allow_headers = w->headers;
    c->expose_headers = w->expose;
    if (w->max_age_s >= 0) {
        c->max_age = message_number(t->arena, (uint64_t)w->max_age_s);
    }
    if (w->credentials >= 0) {
        c->allow_credentials = message_bool(t->arena, w->credentials > 0);
    }
    c->filter_enabled = message_fraction(t->arena, 100);
    c->forward_not_matching_preflights = message_bool(t->arena, w->forward_unmatched);
    add_filter(t, out, SPAN("envoy.filters.http.cors"),
               MESSAGE_ANY(t->arena, PB_CORS_CORS_POLICY_URL, &pb_cors_CorsPolicy_desc, c));
}

static void mirrors(struct translation *t, struct pb_route_RouteAction *a,
                    const struct world_route *r)
{
    for (size_t i = 0; i < r->mirror_count; i++) {
        const struct world_mirror *w = &r->mirrors[i];
        if (w->percent <= 0 || !w->to.service) {
            continue;
        }
        struct pb_route_RouteAction_RequestMirrorPolicy *m =
            arena_new(t->arena, struct pb_route_RouteAction_RequestMirrorPolicy);
        m->cluster = backend_cluster(t, &w->to);
        m->runtime_fraction = message_fraction(t->arena, w->percent);
        m->trace_sampled = message_bool(t->arena, false);
        PB_ADD(t->arena, &a->request_mirror_policies, m);
    }
}

/* ---- actions ---- */

static void direct(struct translation *t, struct pb_route_Route *out, unsigned status,
                   struct span body)
{
    out->action_case = PB_ROUTE_ROUTE_ACTION_DIRECT_RESPONSE;
    out->direct_response = arena_new(t->arena, struct pb_route_DirectResponseAction);
    out->direct_response->status = status;
    if (body.len > 0) {
        out->direct_response->body = arena_new(t->arena, struct pb_core_DataSource);
        out->direct_response->body->specifier_case = PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING;
        out->direct_response->body->inline_string = body;
    }
}

static int32_t redirect_code(unsigned status)
{
    switch (status) {
    case 302:
        return PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_FOUND;
    case 303:
        return PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_SEE_OTHER;
    case 307:
        return PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_TEMPORARY_REDIRECT;
    case 308:
        return PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_PERMANENT_REDIRECT;
    default:
        return PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_MOVED_PERMANENTLY;
    }
}

static void redirect(struct translation *t, struct pb_route_Route *out,
                     const struct vhost_action *from)
{
    const struct world_route *r = from->route;
    struct pb_route_RedirectAction *a = arena_new(t->arena, struct pb_route_RedirectAction);
    a->response_code = redirect_code(r->redirect_code);
    a->host_redirect = r->redirect_host;
    if (r->redirect_scheme.len > 0) {
        a->scheme_rewrite_specifier_case =
            PB_ROUTE_REDIRECT_ACTION_SCHEME_REWRITE_SPECIFIER_SCHEME_REDIRECT;
        a->scheme_redirect = r->redirect_scheme;
    }
    a->port_redirect = r->redirect_port;
    if (r->redirect_port == 0 && r->redirect_port_by_scheme) {
        a->port_redirect = span_is(r->redirect_scheme, "https")  ? 443
                           : span_is(r->redirect_scheme, "http") ? 80
                                                                 : 0;
    }
    if (r->redirect_has_path) {
        a->path_rewrite_specifier_case =
            PB_ROUTE_REDIRECT_ACTION_PATH_REWRITE_SPECIFIER_PATH_REDIRECT;
        a->path_redirect = r->redirect_path;
    } else if (r->redirect_has_prefix) {
        a->prefix_rewrite =
            by_segments(from->match)
                ? segment_prefix(t, from->match, r->redirect_prefix, &a->regex_rewrite)
                : r->redirect_prefix;
        a->path_rewrite_specifier_case =
            a->regex_rewrite ? PB_ROUTE_REDIRECT_ACTION_PATH_REWRITE_SPECIFIER_REGEX_REWRITE
                             : PB_ROUTE_REDIRECT_ACTION_PATH_REWRITE_SPECIFIER_PREFIX_REWRITE;
    }
    out->action_case = PB_ROUTE_ROUTE_ACTION_REDIRECT;
    out->redirect = a;
}

static void forward(struct translation *t, struct pb_route_Route *out,
                    const struct vhost_action *from)
{
    const struct world_route *r = from->route;
    struct pb_route_RouteAction *a = arena_new(t->arena, struct pb_route_RouteAction);
    if (!destinations(t, out, a, from)) {
        direct(t, out, from->no_service, SPAN_EMPTY);
        return;
    }
    struct pb_protobuf_Duration *timeout =
        message_ms(t->arena, r->timeout_ms > 0 ? r->timeout_ms : 0);
    a->timeout = timeout;
    a->max_stream_duration = arena_new(t->arena, struct pb_route_RouteAction_MaxStreamDuration);
    a->max_stream_duration->max_stream_duration = message_ms(t->arena, 0);
    a->max_stream_duration->grpc_timeout_header_max = timeout;
    a->retry_policy = retry_of(t, &r->retry);
    if (r->backend_timeout_ms > 0) {
        if (!a->retry_policy) {
            a->retry_policy = retry_new(t, 0);
        }
        a->retry_policy->per_try_timeout = message_ms(t->arena, r->backend_timeout_ms);
    }
    rewrite(t, a, from);
    mirrors(t, a, r);
    out->action_case = PB_ROUTE_ROUTE_ACTION_ROUTE;
    out->route = a;
}

void vhost_action_do(struct translation *t, struct pb_route_Route *out,
                     const struct vhost_action *a)
{
    const struct world_route *r = a->route;
    switch (r->action) {
    case WORLD_FORWARD:
        forward(t, out, a);
        break;
    case WORLD_REDIRECT:
        redirect(t, out, a);
        break;
    case WORLD_DIRECT:
        direct(t, out, r->direct_status, r->direct_body);
        break;
    }
    if (has_headers(&r->headers)) {
        struct span host = SPAN_EMPTY;
        struct header_lists lists = HEADER_LISTS(out, &host);
        headers(t, &lists, &r->headers);
        if (host.len > 0 && out->route && r->rewrite_authority.len == 0) {
            out->route->host_rewrite_specifier_case =
                PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL;
            out->route->host_rewrite_literal = host;
        }
    }
    fault(t, out, &r->fault);
    cors(t, out, &r->cors);
}

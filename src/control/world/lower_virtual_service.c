/* A VirtualService becomes a virtual host.
 * In: the object, services. Out: world_virtual_host. Next: world_routes. */
#include "control/world/lower.h"
#include "model/virtual_service.h"

/* "name" is of the object's namespace, "ns/name" as it stands, "mesh" the sidecars. */
static const struct span *lower_gateways(struct world_config *c, const struct spec_texts *from,
                                         struct span namespace)
{
    struct span *out = arena_array(&c->arena, from->count, sizeof(*out));
    for (size_t i = 0; i < from->count; i++) {
        struct span word = from->items[i];
        if (span_is(word, "mesh") || span_find_byte(word, '/') >= 0) {
            out[i] = word;
        } else {
            out[i] =
                span_of(arena_printf(&c->arena, "%.*s/%.*s", SPAN_ARG(namespace), SPAN_ARG(word)));
        }
    }
    return out;
}

static void lower_text_match(const struct spec_match *from, bool *has,
                             struct world_string_match *to)
{
    *has = from->kind != SPEC_MATCH_NONE;
    if (*has) {
        *to = lower_match(from);
    }
}

/* Those that must be there, then those that must not. */
static void lower_headers(struct world_config *c, const struct virtual_service_match *from,
                          struct world_match *to)
{
    const struct world_named_match *with = lower_named_matches(c, &from->headers, true);
    if (from->without_headers.count == 0) {
        to->headers = with;
        to->header_count = from->headers.count;
        return;
    }
    const struct world_named_match *without = lower_named_matches(c, &from->without_headers, true);
    to->header_count = from->headers.count + from->without_headers.count;
    struct world_named_match *all = arena_array(&c->arena, to->header_count, sizeof(*all));
    memcpy(all, with, from->headers.count * sizeof(*all));
    for (size_t i = 0; i < from->without_headers.count; i++) {
        struct world_named_match *m = &all[from->headers.count + i];
        *m = without[i];
        if (m->value.kind == WORLD_MATCH_PRESENT) {
            m->value.kind = WORLD_MATCH_ABSENT;
        } else {
            m->value.inverted = true;
        }
    }
    to->headers = all;
}

static void lower_one_match(struct world_config *c, const struct virtual_service_match *from,
                            struct span namespace, struct world_match *to)
{
    lower_text_match(&from->uri, &to->has_path, &to->path);
    lower_text_match(&from->method, &to->has_method, &to->method);
    lower_text_match(&from->authority, &to->has_authority, &to->authority);
    lower_text_match(&from->scheme, &to->has_scheme, &to->scheme);
    to->path.ignore_case = from->ignore_uri_case;
    lower_headers(c, from, to);
    to->queries = lower_named_matches(c, &from->queries, false);
    to->query_count = from->queries.count;
    to->port = from->port;
    to->source_labels = from->source_labels.items;
    to->source_label_count = from->source_labels.count;
    to->source_namespace = from->source_namespace;
    to->gateways = lower_gateways(c, &from->gateways, namespace);
    to->gateway_count = from->gateways.count;
}

static void lower_destination(struct world_config *c, const struct virtual_service_destination *d,
                              struct span namespace, struct world_backend *to)
{
    to->service = world_resolve(c, d->host, namespace);
    to->host = lower_fqdn(c, d->host, namespace);
    to->subset = d->subset;
    to->port = d->port;
    if (d->port == 0 && to->service != NULL && to->service->port_count == 1) {
        to->port = to->service->ports[0].number;
    }
}

/* Shares of 0 are left out, unless there is nothing else: then they stay, and nothing is sent anywhere. */
static const struct world_backend *lower_targets(struct world_config *c,
                                                 const struct virtual_service_target *from,
                                                 size_t count, struct span namespace,
                                                 size_t *out_count)
{
    struct world_backend *to = arena_array(&c->arena, count, sizeof(*to));
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any |= from[i].weight > 0;
    }
    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (any && from[i].weight == 0) {
            continue;
        }
        struct world_backend *b = &to[(*out_count)++];
        lower_destination(c, &from[i].destination, namespace, b);
        b->weight = from[i].weight;
        b->headers = lower_header_ops(c, &from[i].headers.request, &from[i].headers.response);
    }
    return to;
}

static void lower_redirect(const struct virtual_service_redirect *from, struct world_route *to)
{
    to->action = WORLD_REDIRECT;
    to->redirect_code = from->status;
    to->redirect_scheme = from->scheme;
    to->redirect_host = from->authority;
    to->redirect_has_path = from->uri.len > 0;
    to->redirect_path = from->uri;
    to->redirect_has_prefix = from->prefix_rewrite.len > 0;
    to->redirect_prefix = from->prefix_rewrite;
    to->redirect_port = from->port_from == VIRTUAL_SERVICE_PORT_NUMBER ? from->port : 0;
    to->redirect_port_by_scheme = from->port_from == VIRTUAL_SERVICE_PORT_BY_PROTOCOL;
}

static struct span join(struct world_config *c, const struct spec_texts *texts)
{
    size_t len = 0;
    for (size_t i = 0; i < texts->count; i++) {
        len += texts->items[i].len + 1;
    }
    char *out = arena_bytes(&c->arena, len + 1);
    len = 0;
    for (size_t i = 0; i < texts->count; i++) {
        if (i > 0) {
            out[len++] = ',';
        }
        memcpy(out + len, texts->items[i].at, texts->items[i].len);
        len += texts->items[i].len;
    }
    return span_from(out, len);
}

static void lower_cors(struct world_config *c, const struct virtual_service_cors *from,
                       struct world_cors *to)
{
    struct world_string_match *origins =
        arena_array(&c->arena, from->origin_count, sizeof(*origins));
    for (size_t i = 0; i < from->origin_count; i++) {
        origins[i] = lower_match(&from->origins[i]);
    }
    *to = (struct world_cors){.set = true,
                              .origins = origins,
                              .origin_count = from->origin_count,
                              .methods = join(c, &from->methods),
                              .headers = join(c, &from->headers),
                              .expose = join(c, &from->expose),
                              .max_age_s = from->max_age_ms < 0 ? -1 : from->max_age_ms / 1000,
                              .credentials = from->credentials == SPEC_BOOL_UNSET
                                                 ? -1
                                                 : from->credentials == SPEC_BOOL_TRUE,
                              .forward_unmatched = from->forward_unmatched != SPEC_BOOL_FALSE};
}

static void lower_extras(struct world_config *c, const struct virtual_service_http *from,
                         struct span namespace, struct world_route *to)
{
    struct world_mirror *mirrors = arena_array(&c->arena, from->mirror_count, sizeof(*mirrors));
    for (size_t i = 0; i < from->mirror_count; i++) {
        lower_destination(c, &from->mirrors[i].destination, namespace, &mirrors[i].to);
        mirrors[i].to.weight = 1;
        mirrors[i].percent = from->mirrors[i].percent;
    }
    to->mirrors = mirrors;
    to->mirror_count = from->mirror_count;
    if (from->retry.set) {
        to->retry = (struct world_retry){.set = true,
                                         .attempts = from->retry.attempts,
                                         .per_try_ms = i64_max(from->retry.per_try_timeout_ms, 0),
                                         .backoff_ms = i64_max(from->retry.backoff_ms, 0)};
        if (from->retry.on.len > 0) {
            lower_retry_words(c, from->retry.on, &to->retry);
        }
    }
    to->fault = (struct world_fault){.delay_percent = from->fault.delay_percent,
                                     .delay_ms = i64_max(from->fault.delay_ms, 0),
                                     .abort_percent = from->fault.abort_percent,
                                     .abort_status = from->fault.abort_status,
                                     .abort_grpc = from->fault.abort_grpc};
    if (from->cors.set) {
        lower_cors(c, &from->cors, &to->cors);
    }
}

static void lower_http(struct world_config *c, const struct virtual_service_http *from,
                       struct span namespace, struct world_route *to)
{
    struct world_match *matches = arena_array(&c->arena, from->match_count, sizeof(*matches));
    for (size_t i = 0; i < from->match_count; i++) {
        lower_one_match(c, &from->matches[i], namespace, &matches[i]);
    }
    to->name = from->name;
    to->matches = matches;
    to->match_count = from->match_count;
    if (from->redirect.set) {
        lower_redirect(&from->redirect, to);
    } else if (from->direct.set) {
        to->action = WORLD_DIRECT;
        to->direct_status = from->direct.status;
        to->direct_body = from->direct.body;
    }
    to->backends = lower_targets(c, from->routes, from->route_count, namespace, &to->backend_count);
    if (from->rewrite.set) {
        /* Envoy's prefix_rewrite is both: after a match of a prefix it replaces that, else the whole path. */
        to->rewrite_has_prefix = from->rewrite.uri.len > 0;
        to->rewrite_path = from->rewrite.uri;
        to->rewrite_regex = from->rewrite.regex;
        to->rewrite_substitution = from->rewrite.substitution;
        to->rewrite_authority = from->rewrite.authority;
    }
    to->headers = lower_header_ops(c, &from->headers.request, &from->headers.response);
    to->timeout_ms = from->timeout_ms < 0 ? -1 : from->timeout_ms;
    to->backend_timeout_ms = -1;
    lower_extras(c, from, namespace, to);
}

static void lower_l4(struct world_config *c, const struct virtual_service_l4 *from, bool tls,
                     struct span namespace, struct world_l4_route *to)
{
    struct world_l4_match *matches = arena_array(&c->arena, from->match_count, sizeof(*matches));
    for (size_t i = 0; i < from->match_count; i++) {
        const struct virtual_service_l4_match *m = &from->matches[i];
        struct cidr *ranges = arena_array(&c->arena, m->destination_subnets.count, sizeof(*ranges));
        for (size_t k = 0; k < m->destination_subnets.count; k++) {
            if (cidr_parse(m->destination_subnets.items[k], &ranges[matches[i].range_count]) == 0) {
                matches[i].range_count++;
            }
        }
        matches[i].ranges = ranges;
        matches[i].port = m->port;
        matches[i].source_labels = m->source_labels.items;
        matches[i].source_label_count = m->source_labels.count;
        matches[i].source_namespace = m->source_namespace;
        matches[i].gateways = lower_gateways(c, &m->gateways, namespace);
        matches[i].gateway_count = m->gateways.count;
        matches[i].sni = m->sni_hosts.items;
        matches[i].sni_count = m->sni_hosts.count;
    }
    to->tls = tls;
    to->matches = matches;
    to->match_count = from->match_count;
    to->backends = lower_targets(c, from->routes, from->route_count, namespace, &to->backend_count);
}

void lower_virtual_service(struct world_config *c, const struct object *o,
                           struct world_virtual_host *out)
{
    static const struct span mesh = SPAN_INIT("mesh");
    const struct virtual_service_spec *spec = virtual_service_of(o);
    struct span *hosts = arena_array(&c->arena, spec->hosts.count, sizeof(*hosts));
    struct world_route *routes = arena_array(&c->arena, spec->http_count, sizeof(*routes));
    struct world_l4_route *l4 =
        arena_array(&c->arena, spec->tls_count + spec->tcp_count, sizeof(*l4));
    for (size_t i = 0; i < spec->hosts.count; i++) {
        hosts[i] = lower_fqdn(c, spec->hosts.items[i], o->namespace);
    }
    for (size_t i = 0; i < spec->http_count; i++) {
        lower_http(c, &spec->http[i], o->namespace, &routes[i]);
    }
    for (size_t i = 0; i < spec->tls_count; i++) {
        lower_l4(c, &spec->tls[i], true, o->namespace, &l4[out->l4_count++]);
    }
    for (size_t i = 0; i < spec->tcp_count; i++) {
        lower_l4(c, &spec->tcp[i], false, o->namespace, &l4[out->l4_count++]);
    }
    out->hosts = hosts;
    out->host_count = spec->hosts.count;
    out->gateways =
        spec->gateways.count > 0 ? lower_gateways(c, &spec->gateways, o->namespace) : &mesh;
    out->gateway_count = spec->gateways.count > 0 ? spec->gateways.count : 1;
    world_export_to(c, &spec->export_to, o->namespace, &out->export_to, &out->export_count);
    out->routes = routes;
    out->route_count = spec->http_count;
    out->l4 = l4;
    out->namespace = o->namespace;
    out->object = o;
}

/* PeerAuthentication and AuthorizationPolicy: what workloads take, and from whom.
 * In: objects. Out: config.peer_auths, config.authz. Next: translate. */
#include <stdlib.h>

#include "control/world/world_int.h"
#include "mesh/names.h"
#include "model/authorization_policy.h"
#include "model/peer_authentication.h"

/* ---- PeerAuthentication ---- */

static enum world_mtls lower_mode(enum peer_authentication_mode mode)
{
    static const enum world_mtls modes[] = {
        [PEER_AUTHENTICATION_UNSET] = WORLD_MTLS_UNSET,
        [PEER_AUTHENTICATION_DISABLE] = WORLD_MTLS_DISABLE,
        [PEER_AUTHENTICATION_PERMISSIVE] = WORLD_MTLS_PERMISSIVE,
        [PEER_AUTHENTICATION_STRICT] = WORLD_MTLS_STRICT,
    };
    return modes[mode];
}

static void lower_peer_auth(struct world_config *c, const struct object *o,
                            struct world_peer_auth *to)
{
    const struct peer_authentication_spec *spec = peer_authentication_of(o);
    uint16_t *ports = arena_array(&c->arena, spec->port_count, sizeof(*ports));
    enum world_mtls *modes = arena_array(&c->arena, spec->port_count, sizeof(*modes));
    for (size_t i = 0; i < spec->port_count; i++) {
        ports[i] = spec->ports[i].port;
        modes[i] = lower_mode(spec->ports[i].mode);
    }
    *to = (struct world_peer_auth){.namespace = o->namespace,
                                   .selector = spec->selector.items,
                                   .selector_count = spec->selector.count,
                                   .mode = lower_mode(spec->mode),
                                   .ports = ports,
                                   .port_modes = modes,
                                   .port_count = spec->port_count,
                                   .object = o};
}

/* ---- AuthorizationPolicy ---- */

/* "sa" of the policy's namespace or "ns/sa": the end of a principal of any trust domain. */
static const struct span *lower_accounts(struct world_config *c, const struct spec_texts *from,
                                         struct span namespace)
{
    struct span *out = arena_array(&c->arena, from->count, sizeof(*out));
    for (size_t i = 0; i < from->count; i++) {
        struct span name = from->items[i];
        ssize_t slash = span_find_byte(name, '/');
        struct span of = slash < 0 ? namespace : span_first(name, (size_t)slash);
        struct span account = slash < 0 ? name : span_from_offset(name, (size_t)slash + 1);
        out[i] =
            span_of(arena_printf(&c->arena, "*/ns/%.*s/sa/%.*s", SPAN_ARG(of), SPAN_ARG(account)));
    }
    return out;
}

static void lower_source(struct world_config *c, const struct authorization_policy_source *from,
                         struct span namespace, struct world_authz_source *to)
{
    to->principals = from->principals.items;
    to->principal_count = from->principals.count;
    to->not_principals = from->not_principals.items;
    to->not_principal_count = from->not_principals.count;
    if (from->service_accounts.count >
        0) { /* instead of principals: the model takes one of the two */
        to->principals = lower_accounts(c, &from->service_accounts, namespace);
        to->principal_count = from->service_accounts.count;
    }
    if (from->not_service_accounts.count > 0) {
        to->not_principals = lower_accounts(c, &from->not_service_accounts, namespace);
        to->not_principal_count = from->not_service_accounts.count;
    }
    to->namespaces = from->namespaces.items;
    to->namespace_count = from->namespaces.count;
    to->not_namespaces = from->not_namespaces.items;
    to->not_namespace_count = from->not_namespaces.count;
    to->ip_blocks = from->ip_blocks.items;
    to->ip_block_count = from->ip_blocks.count;
    to->not_ip_blocks = from->not_ip_blocks.items;
    to->not_ip_block_count = from->not_ip_blocks.count;
    to->remote_ip_blocks = from->remote_ip_blocks.items;
    to->remote_ip_block_count = from->remote_ip_blocks.count;
    to->not_remote_ip_blocks = from->not_remote_ip_blocks.items;
    to->not_remote_ip_block_count = from->not_remote_ip_blocks.count;
}

static void lower_operation(const struct authorization_policy_operation *from,
                            struct world_authz_operation *to)
{
    *to = (struct world_authz_operation){
        .hosts = from->hosts.items,
        .not_hosts = from->not_hosts.items,
        .ports = from->ports.items,
        .not_ports = from->not_ports.items,
        .methods = from->methods.items,
        .not_methods = from->not_methods.items,
        .paths = from->paths.items,
        .not_paths = from->not_paths.items,
        .host_count = from->hosts.count,
        .not_host_count = from->not_hosts.count,
        .port_count = from->ports.count,
        .not_port_count = from->not_ports.count,
        .method_count = from->methods.count,
        .not_method_count = from->not_methods.count,
        .path_count = from->paths.count,
        .not_path_count = from->not_paths.count,
    };
}

/* Nobody has a request principal, as no JWT is read: a source that asks for one is nobody, one that asks for none is as if it
 * did not say so. False: the whole rule is nobody's. */
static bool lower_sources(struct world_config *c, const struct authorization_policy_rule *from,
                          struct span namespace, struct world_authz_rule *to)
{
    struct world_authz_source *sources = arena_array(&c->arena, from->from_count, sizeof(*sources));
    for (size_t i = 0; i < from->from_count; i++) {
        if (from->from[i].request_principals.count == 0) {
            lower_source(c, &from->from[i], namespace, &sources[to->from_count++]);
        }
    }
    to->from = sources;
    return from->from_count == 0 || to->from_count > 0;
}

static bool lower_conditions(struct world_config *c, const struct authorization_policy_rule *from,
                             struct world_authz_rule *to)
{
    struct world_condition *when = arena_array(&c->arena, from->when_count, sizeof(*when));
    for (size_t i = 0; i < from->when_count; i++) {
        const struct authorization_policy_condition *w = &from->when[i];
        if (span_starts(w->key, SPAN("request.auth."))) {
            if (w->values.count > 0) {
                return false;
            }
            continue;
        }
        when[to->when_count++] = (struct world_condition){.key = w->key,
                                                          .values = w->values.items,
                                                          .value_count = w->values.count,
                                                          .not_values = w->not_values.items,
                                                          .not_value_count = w->not_values.count};
    }
    to->when = when;
    return true;
}

static void lower_authz(struct world_config *c, const struct object *o, struct world_authz *to)
{
    static const unsigned char actions[] = {
        [AUTHORIZATION_POLICY_ALLOW] = WORLD_ALLOW,
        [AUTHORIZATION_POLICY_DENY] = WORLD_DENY,
        [AUTHORIZATION_POLICY_AUDIT] = WORLD_AUDIT,
    };
    const struct authorization_policy_spec *spec = authorization_policy_of(o);
    struct world_authz_rule *rules = arena_array(&c->arena, spec->rule_count, sizeof(*rules));
    struct span *targets = arena_array(&c->arena, spec->targets.count, sizeof(*targets));
    for (size_t i = 0; i < spec->rule_count; i++) {
        const struct authorization_policy_rule *from = &spec->rules[i];
        struct world_authz_rule *rule = &rules[to->rule_count];
        struct world_authz_operation *operations =
            arena_array(&c->arena, from->to_count, sizeof(*operations));
        *rule = (struct world_authz_rule){.to = operations, .to_count = from->to_count};
        for (size_t k = 0; k < from->to_count; k++) {
            lower_operation(&from->to[k], &operations[k]);
        }
        if (lower_sources(c, from, o->namespace, rule) && lower_conditions(c, from, rule)) {
            to->rule_count++;
        }
    }
    for (size_t i = 0; i < spec->targets.count; i++) {
        targets[i] = spec->targets.items[i].name;
    }
    to->namespace = o->namespace;
    to->name = o->name;
    to->action = actions[spec->action];
    to->dry_run = spec->dry_run;
    to->selector = spec->selector.items;
    to->selector_count = spec->selector.count;
    to->target_services = targets;
    to->target_count = spec->targets.count;
    to->rules = rules;
    to->object = o;
}

/* ---- all of them ---- */

static int by_namespace(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;
    int order = span_cmp(x->namespace, y->namespace);
    return order != 0 ? order : world_object_order(x, y);
}

/* Those of the root namespace, then the others by namespace; of one namespace the oldest first. */
static const struct object **sorted(struct world_config *c, enum object_kind kind, size_t *count)
{
    size_t first = c->kind_first[kind], end = c->kind_first[kind + 1], in_root = 0;
    const struct object **list = arena_array(&c->arena, end - first, sizeof(const struct object *));
    *count = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = first; i < end; i++) {
            if (span_eq(c->objects[i]->namespace, c->mesh.root_namespace) == (round == 0)) {
                list[(*count)++] = c->objects[i];
            }
        }
        in_root = round == 0 ? *count : in_root;
    }
    if (*count - in_root > 1) {
        qsort(list + in_root, *count - in_root, sizeof(const struct object *), by_namespace);
    }
    return list;
}

void world_security_lower(struct world_config *c)
{
    const struct object **list = sorted(c, OBJECT_PEER_AUTHENTICATION, &c->peer_auth_count);
    c->peer_auths = arena_array(&c->arena, c->peer_auth_count, sizeof(*c->peer_auths));
    for (size_t i = 0; i < c->peer_auth_count; i++) {
        lower_peer_auth(c, list[i], &c->peer_auths[i]);
    }
    list = sorted(c, OBJECT_AUTHORIZATION_POLICY, &c->authz_count);
    c->authz = arena_array(&c->arena, c->authz_count, sizeof(*c->authz));
    for (size_t i = 0; i < c->authz_count; i++) {
        lower_authz(c, list[i], &c->authz[i]);
    }
}

/* ---- questions ---- */

static enum world_mtls over(enum world_mtls mode, enum world_mtls below)
{
    return mode != WORLD_MTLS_UNSET ? mode : below;
}

/* Istio: security/authn ComposePeerAuthentication. Ports count only in a policy with a selector, and a selector in the root namespace
 * selects nothing. */
enum world_mtls world_mtls_of(const struct world *w, struct span namespace,
                              const struct label *labels, size_t label_count, uint16_t port)
{
    const struct world_config *c = w->config;
    const struct world_peer_auth *of_mesh = NULL, *of_namespace = NULL, *of_workload = NULL;
    for (size_t i = 0; i < c->peer_auth_count; i++) {
        const struct world_peer_auth *p = &c->peer_auths[i];
        bool in_root = span_eq(p->namespace, c->mesh.root_namespace);
        bool here = span_eq(p->namespace, namespace);
        if (p->selector_count == 0) {
            of_mesh = in_root && of_mesh == NULL ? p : of_mesh;
            of_namespace = here && !in_root && of_namespace == NULL ? p : of_namespace;
        } else if (here && !in_root && of_workload == NULL &&
                   world_labels_match(p->selector, p->selector_count, labels, label_count)) {
            of_workload = p;
        }
    }
    enum world_mtls mode = WORLD_MTLS_PERMISSIVE;
    mode = of_mesh != NULL ? over(of_mesh->mode, mode) : mode;
    mode = of_namespace != NULL ? over(of_namespace->mode, mode) : mode;
    mode = of_workload != NULL ? over(of_workload->mode, mode) : mode;
    for (size_t i = 0; of_workload != NULL && i < of_workload->port_count; i++) {
        if (of_workload->ports[i] == port) {
            return over(of_workload->port_modes[i], mode);
        }
    }
    return mode;
}

/* A Gateway's name is on its proxies; a Service is met by what it selects. */
static bool is_target(const struct world_config *c, const struct world_authz *p, struct span name,
                      const struct label *labels, size_t label_count)
{
    if (span_eq(selector_label(labels, label_count, SPAN(LABEL_GATEWAY_NAME)), name)) {
        return true;
    }
    for (size_t i = 0; i < c->service_count; i++) {
        const struct world_service *s = c->services[i];
        if (span_eq(s->name, name) && span_eq(s->namespace, p->namespace) &&
            s->selector_count > 0 &&
            world_labels_match(s->selector, s->selector_count, labels, label_count)) {
            return true;
        }
    }
    return false;
}

static bool applies(const struct world_config *c, const struct world_authz *p,
                    struct span namespace, const struct label *labels, size_t label_count)
{
    bool in_root = span_eq(p->namespace, c->mesh.root_namespace);
    if (!span_eq(p->namespace, namespace) && (!in_root || p->target_count > 0)) {
        return false;
    }
    if (p->target_count == 0) {
        return world_labels_match(p->selector, p->selector_count, labels, label_count);
    }
    for (size_t i = 0; i < p->target_count; i++) {
        if (is_target(c, p, p->target_services[i], labels, label_count)) {
            return true;
        }
    }
    return false;
}

void world_authz_of(const struct world *w, struct span namespace, const struct label *labels,
                    size_t label_count, void (*on_policy)(void *arg, const struct world_authz *p),
                    void *arg)
{
    const struct world_config *c = w->config;
    for (size_t i = 0; i < c->authz_count; i++) {
        if (applies(c, &c->authz[i], namespace, labels, label_count)) {
            on_policy(arg, &c->authz[i]);
        }
    }
}

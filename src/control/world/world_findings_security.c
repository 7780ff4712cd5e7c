/* Findings about PeerAuthentications and AuthorizationPolicies: for nobody, twice, or against what clients are told. */
#include "control/world/world_findings_int.h"
#include "mesh/names.h"
#include "model/authorization_policy.h"
#include "model/peer_authentication.h"

#define PATH_MAX_BYTES 256

/* ---- who is selected ---- */

static bool selects_any(const struct world_check *k, const struct world_peer_auth *scope,
                        bool every_namespace)
{
    for (size_t i = 0; i < k->workload_count; i++) {
        const struct world_workload *w = k->workloads[i];
        if ((every_namespace || span_eq(w->namespace, scope->namespace)) &&
            world_labels_match(scope->selector, scope->selector_count, w->labels, w->label_count)) {
            return true;
        }
    }
    return false;
}

static void check_selector(struct world_check *k, const struct object *o,
                           const struct label *selector, size_t count, bool every_namespace)
{
    struct world_peer_auth scope = {
        .namespace = o->namespace, .selector = selector, .selector_count = count};
    /* without any workload known there is nothing to compare with */
    if (count > 0 && k->workload_count > 0 && !selects_any(k, &scope, every_namespace)) {
        struct finding *f = world_findings_tell(
            k, 3102, o, "spec.selector", "policy \"%.*s\" selects no workload", SPAN_ARG(o->name));
        world_findings_why(k, f, "no workload in %.*s has the labels %s",
                           SPAN_ARG(every_namespace ? SPAN("the mesh") : o->namespace),
                           world_findings_labels(k, selector, count));
    }
}

/* ---- PeerAuthentication ---- */

static bool same_scope(const struct world_peer_auth *a, const struct world_peer_auth *b)
{
    return span_eq(a->namespace, b->namespace) && a->selector_count == b->selector_count &&
           world_labels_match(a->selector, a->selector_count, b->selector, b->selector_count);
}

static void check_peer_auths(struct world_check *k)
{
    const struct world_config *c = k->config;
    for (size_t i = 0; i < c->peer_auth_count; i++) {
        const struct world_peer_auth *p = &c->peer_auths[i];
        bool in_root = span_eq(p->namespace, c->mesh.root_namespace);
        if (in_root && p->selector_count > 0) {
            (void)world_findings_tell(
                k, 3104, p->object, "spec.selector",
                "PeerAuthentication \"%.*s\" has a selector in the root namespace",
                SPAN_ARG(p->object->name));
            continue;
        }
        if (p->selector_count == 0 && p->port_count > 0) {
            (void)world_findings_tell(k, 3104, p->object, "spec.portLevelMtls",
                                      "ports of PeerAuthentication \"%.*s\" need a selector",
                                      SPAN_ARG(p->object->name));
        }
        for (size_t n = i; n > 0 && span_eq(c->peer_auths[n - 1].namespace, p->namespace); n--) {
            if (same_scope(&c->peer_auths[n - 1], p)) {
                (void)world_findings_tell(
                    k, 3101, p->object, "spec",
                    "PeerAuthentication \"%.*s\" is ignored: \"%.*s\" is older",
                    SPAN_ARG(p->object->name), SPAN_ARG(c->peer_auths[n - 1].object->name));
                break;
            }
        }
        check_selector(k, p->object, p->selector, p->selector_count, false);
    }
}

/* ---- clients that are told plaintext, and servers that do not take it ---- */

static void check_plaintext(struct world_check *k, const struct world_service *s,
                            const struct world_rule *rule)
{
    const struct world_endpoints *e = k->world->endpoints[s->index];
    for (size_t p = 0; p < s->port_count; p++) {
        for (size_t i = 0; rule->by_port[p]->tls == WORLD_TLS_DISABLE && i < e->count; i++) {
            const struct world_endpoint *at = &e->items[i];
            if (at->service_port != s->ports[p].number || !at->mutual_tls ||
                world_mtls_of(k->world, at->namespace, at->labels, at->label_count, at->port) !=
                    WORLD_MTLS_STRICT) {
                continue;
            }
            struct finding *f = world_findings_tell(
                k, 3100, rule->object, "spec.trafficPolicy.tls",
                "DestinationRule \"%.*s\" sends plaintext to \"%.*s\", which takes only mutual TLS",
                SPAN_ARG(rule->object->name), SPAN_ARG(s->name));
            world_findings_why(k, f, "PeerAuthentication is STRICT for workload \"%.*s\", port %u",
                               SPAN_ARG(at->workload), at->port);
            return;
        }
    }
}

/* ---- AuthorizationPolicy ---- */

/* "TD/ns/NS/sa/SA" without wildcards. */
static bool split_principal(struct span principal, struct span *namespace, struct span *account)
{
    ssize_t ns = span_find(principal, SPAN("/ns/")), sa = span_find(principal, SPAN("/sa/"));
    if (ns < 0 || sa < ns + 4) {
        return false;
    }
    *namespace = span_from(principal.at + ns + 4, (size_t)(sa - ns - 4));
    *account = span_from_offset(principal, (size_t)sa + 4);
    return span_find_byte(*namespace, '*') < 0 && span_find_byte(*account, '*') < 0;
}

static void check_principal(struct world_check *k, const struct object *o, struct span principal,
                            const char *path)
{
    struct span namespace, account;
    const char *known = "";
    struct near n;
    size_t count = 0;
    if (!split_principal(principal, &namespace, &account)) {
        return;
    }
    near_init(&n, account);
    for (size_t i = 0; i < k->workload_count; i++) {
        const struct world_workload *w = k->workloads[i];
        if (!span_eq(w->namespace, namespace) || w->service_account.len == 0) {
            continue;
        }
        if (span_eq(w->service_account, account)) {
            return;
        }
        near_try(&n, w->service_account);
        if (count < 5 &&
            strstr(known, arena_cstr(k->findings->arena, w->service_account)) == NULL) {
            known = arena_printf(k->findings->arena, "%s%s%.*s", known, count++ > 0 ? ", " : "",
                                 SPAN_ARG(w->service_account));
        }
    }
    if (count > 0) { /* where none is known, none can be missed */
        struct finding *f =
            world_findings_tell(k, 3012, o, path, "policy \"%.*s\": no workload runs as %.*s/%.*s",
                                SPAN_ARG(o->name), SPAN_ARG(namespace), SPAN_ARG(account));
        world_findings_why(k, f, "service accounts in \"%.*s\" are %s", SPAN_ARG(namespace), known);
        world_findings_near(k, f, &n);
    }
}

static void check_principals(struct world_check *k, const struct object *o)
{
    const struct authorization_policy_spec *spec = authorization_policy_of(o);
    for (size_t i = 0; i < spec->rule_count; i++) {
        for (size_t n = 0; n < spec->rules[i].from_count; n++) {
            const struct spec_texts *list = &spec->rules[i].from[n].principals;
            for (size_t p = 0; p < list->count; p++) {
                char path[PATH_MAX_BYTES];
                (void)snprintf(path, sizeof(path), "spec.rules.%zu.from.%zu.source.principals.%zu",
                               i, n, p);
                check_principal(k, o, list->items[p], path);
            }
        }
    }
}

static bool target_exists(const struct world_config *c, const struct object *o, struct span name)
{
    for (size_t i = 0; i < c->service_count; i++) {
        if (span_eq(c->services[i]->name, name) &&
            span_eq(c->services[i]->namespace, o->namespace)) {
            return true;
        }
    }
    for (size_t i = 0; i < c->gateway_count; i++) {
        if (span_eq(c->gateways[i].name, name) && span_eq(c->gateways[i].namespace, o->namespace)) {
            return true;
        }
    }
    return false;
}

static void check_authz(struct world_check *k, const struct world_authz *p)
{
    const struct world_config *c = k->config;
    for (size_t i = 0; i < p->target_count; i++) {
        if (!target_exists(c, p->object, p->target_services[i])) {
            char path[PATH_MAX_BYTES];
            (void)snprintf(path, sizeof(path), "spec.targetRefs.%zu", i);
            (void)world_findings_tell(k, 3103, p->object, path,
                                      "policy \"%.*s\" is for \"%.*s\", which does not exist",
                                      SPAN_ARG(p->name), SPAN_ARG(p->target_services[i]));
        }
    }
    check_selector(k, p->object, p->selector, p->selector_count,
                   span_eq(p->namespace, c->mesh.root_namespace));
    check_principals(k, p->object);
}

void world_findings_security(struct world_check *k)
{
    const struct world_config *c = k->config;
    check_peer_auths(k);
    for (size_t i = 0; i < c->service_count; i++) {
        for (size_t n = 0; n < c->services[i]->rule_count; n++) {
            check_plaintext(k, c->services[i], &c->services[i]->rules[n]);
        }
    }
    for (size_t i = 0; i < c->authz_count; i++) {
        check_authz(k, &c->authz[i]);
    }
}

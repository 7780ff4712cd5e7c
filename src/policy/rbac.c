/* May this peer do this? Source: envoy.config.rbac.v3; Envoy source/extensions/filters/common/rbac. */
#include "policy/rbac_int.h"

struct rbac_ask {
    const struct traffic *traffic;
    struct span path; /* without query and fragment */
    bool opaque;
    struct arena *scratch;
};

static bool holds(const struct rbac_node *n, const struct rbac_ask *ask);

static bool set_holds(const struct rbac_node *n, const struct rbac_ask *ask, bool all)
{
    for (size_t i = 0; i < n->set.count; i++) {
        if (holds(&n->set.items[i], ask) != all) {
            return !all;
        }
    }
    return all;
}

static const struct ip *source_ip(const struct traffic *tr)
{
    return tr->source_ip != NULL ? tr->source_ip : &tr->direct_ip;
}

/* As deep as rbac_compile lets trees be (RBAC_DEPTH_MAX). */
static bool holds(const struct rbac_node *n, const struct rbac_ask *ask)
{
    const struct traffic *tr = ask->traffic;
    switch (n->kind) {
    case RBAC_ANY:
        return true;
    case RBAC_AND:
        return set_holds(n, ask, true);
    case RBAC_OR:
        return set_holds(n, ask, false);
    case RBAC_NOT:
        return !holds(&n->set.items[0], ask);
    case RBAC_HEADER:
        return !ask->opaque && header_match_holds(&n->header, tr, ask->scratch);
    case RBAC_PATH:
        return !ask->opaque && tr->path.len > 0 && string_match_holds(&n->text, ask->path);
    case RBAC_DESTINATION:
        return cidr_contains(&n->cidr, &tr->destination_ip);
    case RBAC_PORTS:
        return tr->destination_port >= n->ports.start && tr->destination_port < n->ports.end;
    case RBAC_SNI:
        return string_match_holds(&n->text, tr->sni);
    case RBAC_PEER: /* nobody proved to be anybody: no name matches */
        return tr->principal.len > 0 && string_match_holds(&n->text, tr->principal);
    case RBAC_PEER_ANY:
        return tr->tls;
    case RBAC_DIRECT_IP:
        return cidr_contains(&n->cidr, &tr->direct_ip);
    case RBAC_SOURCE_IP:
        return cidr_contains(&n->cidr, source_ip(tr));
    case RBAC_REMOTE_IP:
        return cidr_contains(&n->cidr, &tr->remote_ip);
    }
    return false;
}

/* ---- explaining ---- */

static void explain_node(const struct rbac_node *n, const struct rbac_ask *ask, struct explain *ex);

static void explain_leaf(const struct rbac_node *n, const struct rbac_ask *ask, const char *mark,
                         struct explain *ex)
{
    const struct traffic *tr = ask->traffic;
    char is[IP_TEXT_BYTES];
    char want[IP_TEXT_BYTES + 4];
    switch (n->kind) {
    case RBAC_HEADER:
        explain_line(ex, "%s header '%.*s'", mark, SPAN_ARG(n->header.name));
        ex->depth++;
        header_match_explain(&n->header, tr, ask->scratch, ex);
        ex->depth--;
        break;
    case RBAC_PATH:
        explain_line(ex, "%s path '%.*s' against %s '%.*s'", mark, SPAN_ARG(ask->path),
                     string_match_name(&n->text), SPAN_ARG(n->text.text));
        break;
    case RBAC_SNI:
        explain_line(ex, "%s server name '%.*s' against %s '%.*s'", mark, SPAN_ARG(tr->sni),
                     string_match_name(&n->text), SPAN_ARG(n->text.text));
        break;
    case RBAC_PEER:
        explain_line(ex, "%s principal '%.*s' against %s '%.*s'", mark, SPAN_ARG(tr->principal),
                     string_match_name(&n->text), SPAN_ARG(n->text.text));
        break;
    case RBAC_PORTS:
        explain_line(ex, "%s destination port %u against %u to %u", mark,
                     (unsigned)tr->destination_port, n->ports.start, n->ports.end - 1);
        break;
    case RBAC_DESTINATION:
    case RBAC_DIRECT_IP:
    case RBAC_SOURCE_IP:
    case RBAC_REMOTE_IP:
        explain_line(ex, "%s %s %s against %s", mark,
                     n->kind == RBAC_DESTINATION ? "destination" : "source",
                     ip_format(n->kind == RBAC_DESTINATION ? &tr->destination_ip
                               : n->kind == RBAC_DIRECT_IP ? &tr->direct_ip
                               : n->kind == RBAC_SOURCE_IP ? source_ip(tr)
                                                           : &tr->remote_ip,
                               is),
                     cidr_format(&n->cidr, want));
        break;
    case RBAC_PEER_ANY:
        explain_line(ex, "%s authenticated", mark);
        break;
    case RBAC_ANY:
    case RBAC_AND:
    case RBAC_OR:
    case RBAC_NOT:
        explain_line(ex, "%s any", mark);
        break;
    }
}

static void explain_node(const struct rbac_node *n, const struct rbac_ask *ask, struct explain *ex)
{
    const char *mark = holds(n, ask) ? "yes" : "no ";
    if (n->kind != RBAC_AND && n->kind != RBAC_OR && n->kind != RBAC_NOT) {
        explain_leaf(n, ask, mark, ex);
        return;
    }
    if (n->set.count != 1 || n->kind == RBAC_NOT) {
        explain_line(ex, "%s %s", mark,
                     n->kind == RBAC_AND  ? "all of"
                     : n->kind == RBAC_OR ? "any of"
                                          : "not");
        ex->depth++;
    }
    for (size_t i = 0; i < n->set.count; i++) {
        explain_node(&n->set.items[i], ask, ex);
    }
    if (n->set.count != 1 || n->kind == RBAC_NOT) {
        ex->depth--;
    }
}

static void explain_policy(const struct rbac_policy *p, const struct rbac_ask *ask,
                           struct explain *ex)
{
    if (!ex) {
        return;
    }
    explain_line(ex, "policy '%.*s'", SPAN_ARG(p->name));
    ex->depth++;
    explain_node(&p->permission, ask, ex);
    explain_node(&p->principal, ask, ex);
    ex->depth--;
}

/* ---- policies ---- */

static bool policy_holds(const struct rbac_policy *p, const struct rbac_ask *ask)
{
    return holds(&p->permission, ask) && holds(&p->principal, ask);
}

static const struct rbac_policy *scan(const struct rbac *r, const struct rbac_ask *ask,
                                      struct explain *ex)
{
    for (size_t i = 0; i < r->count; i++) {
        explain_policy(&r->policies[i], ask, ex);
        if (policy_holds(&r->policies[i], ask)) {
            return &r->policies[i];
        }
    }
    return NULL;
}

/* Those of this principal, of this path and of everybody, merged in order. */
static const struct rbac_policy *look_up(const struct rbac *r, const struct rbac_ask *ask)
{
    const struct rbac_bucket *found[] = {map_get(&r->index->by_peer, ask->traffic->principal),
                                         map_get(&r->index->by_path, ask->path), &r->index->rest};
    const uint32_t *at[ARRAY_LEN(found)];
    const uint32_t *end[ARRAY_LEN(found)];
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        at[i] = found[i] ? found[i]->items : NULL;
        end[i] = found[i] ? found[i]->items + found[i]->count : NULL;
    }
    for (;;) {
        const uint32_t **first = NULL;
        for (size_t i = 0; i < ARRAY_LEN(found); i++) {
            if (at[i] != end[i] && (first == NULL || *at[i] < **first)) {
                first = &at[i];
            }
        }
        if (first == NULL) {
            return NULL;
        }
        const struct rbac_policy *p = &r->policies[*(*first)++];
        if (policy_holds(p, ask)) {
            return p;
        }
    }
}

bool rbac_is_deny(const struct rbac *r)
{
    return r->action == RBAC_DENY;
}

struct rbac_answer rbac_check(const struct rbac *r, const struct traffic *tr, struct arena *scratch,
                              struct explain *ex)
{
    struct rbac_ask ask = {
        .traffic = tr, .path = query_match_path(tr->path), .opaque = r->opaque, .scratch = scratch};
    const struct rbac_policy *p = r->index && !ex ? look_up(r, &ask) : scan(r, &ask, ex);
    bool allowed = r->action == RBAC_LOG || (p != NULL) == (r->action == RBAC_ALLOW);
    explain_line(ex, "%s: %s policy %s%.*s%s", allowed ? "allowed" : "denied",
                 r->action == RBAC_ALLOW  ? "ALLOW"
                 : r->action == RBAC_DENY ? "DENY"
                                          : "LOG",
                 p ? "'" : "(none matched)", p ? (int)p->name.len : 0, p ? p->name.at : "",
                 p ? "'" : "");
    return (struct rbac_answer){.allowed = allowed, .policy = p ? p->name : SPAN_EMPTY};
}

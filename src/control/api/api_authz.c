/* Would this call be allowed, and which policy says so? GET /api/v1/authz?source=&destination=&port=&method=&path=
 * The same code decides as in the proxy: policies are translated for the destination and evaluated by policy/rbac.
 * In: api. Out: an answer with the decision and how it fell. */
#include "control/api/api_parts.h"
#include "control/api/api_value.h"
#include "control/translate/translate.h"
#include "control/world/world.h"
#include "policy/rbac.h"

#define EXPLAIN_MAX 16384

/* "reviews", "default/reviews-v1", "reviews.default": a workload by its name, or by the name of its application. */
struct wanted {
    struct span name, namespace;
    const struct world_workload *found;
    size_t count;
};

static void look_at(void *arg, const struct world_workload *w)
{
    struct wanted *wanted = arg;
    if (span_eq(w->namespace, wanted->namespace) &&
        (span_eq(w->name, wanted->name) || span_eq(w->app, wanted->name))) {
        bool is_better = !wanted->found || span_cmp(w->name, wanted->found->name) < 0;
        wanted->found = is_better ? w : wanted->found;
        wanted->count++;
    }
}

static const struct world_workload *find(struct api_call *c, struct span text,
                                         struct span namespace)
{
    struct wanted wanted = {.name = text, .namespace = namespace};
    ssize_t slash = span_find_byte(text, '/');
    ssize_t dot = span_find_byte(text, '.');
    if (slash >= 0) {
        wanted.namespace = span_first(text, (size_t)slash);
        wanted.name = span_from_offset(text, (size_t)slash + 1);
    } else if (dot >= 0) {
        wanted.name = span_first(text, (size_t)dot);
        wanted.namespace = span_from_offset(text, (size_t)dot + 1);
    }
    world_each_workload(c->api->world, look_at, &wanted);
    return wanted.found;
}

static struct span identity_of(struct api_call *c, const struct world_workload *w)
{
    return span_of(arena_printf(c->arena, "spiffe://%.*s/ns/%.*s/sa/%.*s",
                                SPAN_ARG(c->api->world->config->mesh.trust_domain),
                                SPAN_ARG(w->namespace), SPAN_ARG(w->service_account)));
}

struct decision {
    bool allowed;
    struct span policy; /* that decided; empty: none did */
    const char *why;
};

/* DENY first, then ALLOW if there is any (Istio "Implicit enablement"). */
static int decide(struct api_call *c, const struct translated_authz *authz,
                  const struct traffic *tr, struct explain *ex, struct decision *out,
                  struct err *err)
{
    struct rbac *rules = NULL;
    struct rbac_answer answer;
    *out = (struct decision){.allowed = true, .why = "no policy applies"};
    if (authz->deny) {
        int code = rbac_compile(&rules, c->arena, authz->deny, false, err);
        if (code != 0) {
            return code;
        }
        explain_write(ex, "DENY");
        answer = rbac_check(rules, tr, c->arena, ex);
        if (!answer.allowed) {
            *out = (struct decision){.policy = answer.policy, .why = "a DENY policy matches"};
            return 0;
        }
        out->why = "no DENY policy matches";
    }
    if (authz->allow) {
        int code = rbac_compile(&rules, c->arena, authz->allow, false, err);
        if (code != 0) {
            return code;
        }
        explain_write(ex, "ALLOW");
        answer = rbac_check(rules, tr, c->arena, ex);
        *out =
            (struct decision){.allowed = answer.allowed,
                              .policy = answer.policy,
                              .why = answer.allowed ? "an ALLOW policy matches"
                                                    : "there are ALLOW policies, and none matches"};
    }
    return 0;
}

static const struct world_workload *need(struct api_call *c, const char *param,
                                         struct span namespace)
{
    struct span text = api_param(c, param);
    const struct world_workload *w = text.len > 0 ? find(c, text, namespace) : NULL;
    if (text.len == 0) {
        api_refuse(c, 400, 5014, NULL, "'%s' is missing: name a workload", param);
    } else if (!w) {
        api_refuse(c, 404, 3140, "mesh stat", "%s: there is no workload \"%.*s\"", param,
                   SPAN_ARG(text));
    }
    return w;
}

static void get_authz(struct api_call *c)
{
    if (!c->api->world) {
        api_refuse(c, 503, 5001, NULL, "control is still reading its objects");
        return;
    }
    struct span namespace = api_param(c, "namespace");
    namespace = namespace.len > 0 ? namespace : SPAN("default");
    const struct world_workload *to = need(c, "destination", namespace);
    const struct world_workload *from = to ? need(c, "source", namespace) : NULL;
    int64_t port;
    if (!from ||
        !api_number(c, "port", 1, 65535, to->serve_count > 0 ? to->serves[0].target : 80, &port)) {
        return;
    }
    struct span method = api_param(c, "method");
    struct span path = api_param(c, "path");
    struct translated_authz authz;
    struct decision decision;
    struct explain ex = {.depth = 0};
    struct err err;
    const struct traffic tr = {.method = method.len > 0 ? method : SPAN("GET"),
                               .path = path.len > 0 ? path : SPAN("/"),
                               .scheme = SPAN("http"),
                               .authority = to->app,
                               .direct_ip = from->address,
                               .remote_ip = from->address,
                               .destination_ip = to->address,
                               .destination_port = (uint16_t)port,
                               .tls = true,
                               .principal = identity_of(c, from)};
    buf_init(&ex.text, EXPLAIN_MAX);
    translate_authz(c->api->world, to->namespace, to->labels, to->label_count, (uint16_t)port,
                    false, c->arena, &authz);
    if (decide(c, &authz, &tr, &ex, &decision, &err) != 0) {
        api_refuse(c, 500, 3141, NULL, "%s", err.text);
    } else {
        struct doc_node *answer = api_answer(c, "Decision");
        api_set_bool(c->arena, answer, "allowed", decision.allowed);
        api_set_text(c->arena, answer, "policy", decision.policy);
        api_set_text(c->arena, answer, "why", span_of(decision.why));
        api_set_text(c->arena, answer, "source", tr.principal);
        api_set_text(c->arena, answer, "destination", identity_of(c, to));
        api_set_text(c->arena, answer, "workload", to->name);
        api_set_text(c->arena, answer, "method", tr.method);
        api_set_text(c->arena, answer, "path", tr.path);
        api_set_int(c->arena, answer, "port", port);
        api_set_text(c->arena, answer, "explanation", buf_span(&ex.text));
        api_reply(c, 200, answer);
    }
    buf_dispose(&ex.text);
}

struct listing {
    struct api_call *call;
    struct doc_node *items;
};

static void add_policy(void *arg, const struct world_authz *p)
{
    static const char *const actions[] = {"ALLOW", "DENY", "AUDIT"};
    struct listing *l = arg;
    struct arena *a = l->call->arena;
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "namespace", p->namespace);
    api_set_text(a, to, "name", p->name);
    api_set_text(a, to, "action", span_of(actions[p->action]));
    api_set_bool(a, to, "dryRun", p->dry_run);
    api_set_int(a, to, "rules", (int64_t)p->rule_count);
    doc_list_add(a, l->items, to);
}

/* The policies that apply to a workload: GET /api/v1/authz/policies?destination= */
static void get_policies(struct api_call *c)
{
    struct span namespace = api_param(c, "namespace");
    const struct world *w = c->api->world;
    if (!w) {
        api_refuse(c, 503, 5001, NULL, "control is still reading its objects");
        return;
    }
    struct doc_node *list = api_list(c, "PolicyList");
    struct listing l = {.call = c, .items = doc_list_in(c->arena, list, "items")};
    if (api_param(c, "destination").len == 0) {
        for (size_t i = 0; i < w->config->authz_count; i++) {
            add_policy(&l, &w->config->authz[i]);
        }
    } else {
        const struct world_workload *to =
            need(c, "destination", namespace.len > 0 ? namespace : SPAN("default"));
        if (!to) {
            return;
        }
        world_authz_of(w, to->namespace, to->labels, to->label_count, add_policy, &l);
    }
    api_reply(c, 200, list);
}

const struct api_route api_authz_routes[] = {
    {"GET", "/api/v1/authz", 0, get_authz},
    {"GET", "/api/v1/authz/policies", 0, get_policies},
    {NULL, NULL, 0, NULL},
};

/* Authorization as filters of a node's own listeners.
 * Source: Istio pilot/pkg/security/authz/builder. */
#include "control/translate/translate_int.h"
#include "proto/hcm.pb.h"
#include "proto/http_rbac.pb.h"
#include "proto/listener.pb.h"
#include "proto/network_rbac.pb.h"
#include "proto/rbac.pb.h"

static void filters_of(struct translation *t, bool opaque, struct authz_filters *out)
{
    struct authz_for to = {
        .namespace = t->n->namespace, .opaque = opaque, .tunnelled = t->tunnelled};
    lds_labels(t, &to.labels, &to.label_count);
    authz_build(t->w, t->arena, &to, out);
}

static void add_http(struct translation *t, struct pb_hcm_HttpConnectionManager *h,
                     const struct pb_rbac_RBAC *rules, const struct pb_rbac_RBAC *shadow,
                     struct span shadow_prefix)
{
    if (!rules && !shadow) {
        return;
    }
    struct pb_http_rbac_RBAC *f = arena_new(t->arena, struct pb_http_rbac_RBAC);
    f->rules = (struct pb_rbac_RBAC *)(uintptr_t)rules;
    f->shadow_rules = (struct pb_rbac_RBAC *)(uintptr_t)shadow;
    f->shadow_rules_stat_prefix = shadow ? shadow_prefix : SPAN_EMPTY;
    lds_http_filter(t, h, SPAN("envoy.filters.http.rbac"),
                    MESSAGE_ANY(t->arena, PB_HTTP_RBAC_RBAC_URL, &pb_http_rbac_RBAC_desc, f),
                    false);
}

void authz_filters_http(struct translation *t, struct pb_hcm_HttpConnectionManager *h)
{
    struct authz_filters f;
    filters_of(t, false, &f);
    add_http(t, h, f.audit, NULL, SPAN_EMPTY);
    add_http(t, h, f.deny, f.deny_shadow, SPAN("istio_dry_run_deny_"));
    add_http(t, h, f.allow, f.allow_shadow, SPAN("istio_dry_run_allow_"));
}

static void add_tcp(struct translation *t, struct pb_listener_FilterChain *chain,
                    const struct pb_rbac_RBAC *rules, const struct pb_rbac_RBAC *shadow,
                    struct span shadow_prefix)
{
    if (!rules && !shadow) {
        return;
    }
    struct pb_network_rbac_RBAC *f = arena_new(t->arena, struct pb_network_rbac_RBAC);
    f->rules = (struct pb_rbac_RBAC *)(uintptr_t)rules;
    f->shadow_rules = (struct pb_rbac_RBAC *)(uintptr_t)shadow;
    f->shadow_rules_stat_prefix = shadow ? shadow_prefix : SPAN_EMPTY;
    f->stat_prefix = SPAN("tcp.");
    lds_add_filter(t, chain, SPAN("envoy.filters.network.rbac"),
                   MESSAGE_ANY(t->arena, PB_NETWORK_RBAC_RBAC_URL, &pb_network_rbac_RBAC_desc, f));
}

void authz_filters_tcp(struct translation *t, struct pb_listener_FilterChain *chain)
{
    struct authz_filters f;
    filters_of(t, true, &f);
    add_tcp(t, chain, f.audit, NULL, SPAN_EMPTY);
    add_tcp(t, chain, f.deny, f.deny_shadow, SPAN("istio_dry_run_deny_"));
    add_tcp(t, chain, f.allow, f.allow_shadow, SPAN("istio_dry_run_allow_"));
}

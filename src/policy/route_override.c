/* What a virtual host, route or weighted cluster says about one filter (typed_per_filter_config).
 * Source: envoy.config.route.v3.FilterConfig; envoy.extensions.filters.http.rbac.v3.RBACPerRoute; a fault filter's own message. */
#include "policy/known.h"
#include "policy/route_int.h"
#include "proto/compressor.pb.h"
#include "proto/http_rbac.pb.h"
#include "proto/rbac.pb.h"

static int compile_rbac(struct route_override *out, struct arena *arena, struct span bytes,
                        struct err *err)
{
    const struct pb_http_rbac_RBACPerRoute *per =
        pb_decode(&pb_http_rbac_RBACPerRoute_desc, arena, bytes, err);
    if (!per) {
        return -ERR_CONFIG;
    }
    int rc = known_check(&pb_http_rbac_RBACPerRoute_desc, per, err);
    if (rc != 0 || !per->rbac) {
        out->disabled = true; /* "if absent, rbac is disabled for this route" */
        return rc;
    }
    struct rbac *rules = NULL;
    struct rbac *shadow = NULL;
    if (per->rbac->rules) {
        rc = rbac_compile(&rules, arena, per->rbac->rules, false, err);
    }
    if (rc == 0 && per->rbac->shadow_rules) {
        rc = rbac_compile(&shadow, arena, per->rbac->shadow_rules, false, err);
    }
    out->rules = rules;
    out->shadow = shadow;
    out->deny = rules && rbac_is_deny(rules);
    return rc;
}

static int compile_compressor(struct route_override *out, struct arena *arena, struct span bytes,
                              struct err *err)
{
    const struct pb_compressor_CompressorPerRoute *c =
        pb_decode(&pb_compressor_CompressorPerRoute_desc, arena, bytes, err);
    if (!c || known_check(&pb_compressor_CompressorPerRoute_desc, c, err) != 0) {
        return err_prefix(err, "typed_per_filter_config '%.*s'", SPAN_ARG(out->filter));
    }
    out->disabled = c->override_case == PB_COMPRESSOR_COMPRESSOR_PER_ROUTE_OVERRIDE_DISABLED;
    return out->disabled ? 0
                         : err_set(err, -ERR_CONFIG,
                                   "typed_per_filter_config '%.*s': only 'disabled' is supported",
                                   SPAN_ARG(out->filter));
}

/* `*used` false: an optional one that we do not know. */
static int compile_one(struct route_override *out, bool *used, struct arena *arena,
                       const struct route_override_entry *entry, struct err *err)
{
    struct span filter = entry->filter;
    const struct pb_protobuf_Any *config = entry->config;
    *out = (struct route_override){.filter = filter};
    *used = true;
    struct span type = config ? pb_url_name(config->type_url) : SPAN_EMPTY;
    struct span bytes = config ? config->value : SPAN_EMPTY;
    bool is_optional = false;
    if (span_is(type, "envoy.config.route.v3.FilterConfig")) {
        const struct pb_route_FilterConfig *wrap =
            pb_decode(&pb_route_FilterConfig_desc, arena, bytes, err);
        if (!wrap || known_check(&pb_route_FilterConfig_desc, wrap, err) != 0) {
            return err_prefix(err, "typed_per_filter_config '%.*s'", SPAN_ARG(filter));
        }
        is_optional = wrap->is_optional;
        if (wrap->disabled) {
            out->disabled = true;
            return 0;
        }
        type = wrap->config ? pb_url_name(wrap->config->type_url) : SPAN_EMPTY;
        bytes = wrap->config ? wrap->config->value : SPAN_EMPTY;
    }
    if (span_is(type, "envoy.extensions.filters.http.rbac.v3.RBACPerRoute")) {
        int rc = compile_rbac(out, arena, bytes, err);
        return rc != 0 ? err_prefix(err, "typed_per_filter_config '%.*s'", SPAN_ARG(filter)) : 0;
    }
    if (span_is(type, "envoy.extensions.filters.http.fault.v3.HTTPFault")) {
        int rc = route_fault_compile(&out->fault, arena, bytes, err);
        return rc != 0 ? err_prefix(err, "typed_per_filter_config '%.*s'", SPAN_ARG(filter)) : 0;
    }
    if (span_is(type, "envoy.extensions.filters.http.cors.v3.CorsPolicy")) {
        int rc = route_cors_compile(&out->cors, arena, bytes, err);
        return rc != 0 ? err_prefix(err, "typed_per_filter_config '%.*s'", SPAN_ARG(filter)) : 0;
    }
    if (span_is(type, "envoy.extensions.filters.http.compressor.v3.CompressorPerRoute")) {
        return compile_compressor(out, arena, bytes, err);
    }
    *used = false;
    if (is_optional) {
        return 0;
    }
    return err_set(err, -ERR_CONFIG, "typed_per_filter_config '%.*s': type '%.*s' is not known",
                   SPAN_ARG(filter), SPAN_ARG(type));
}

int route_overrides_compile(struct route_override_list *out, struct arena *arena,
                            const struct route_override_entry *entries, size_t count,
                            const struct route_override_list *above, struct err *err)
{
    size_t above_count = above ? above->count : 0;
    if (count == 0) {
        *out = above ? *above : (struct route_override_list){0};
        return 0;
    }
    struct route_override *list = arena_array(arena, count + above_count, sizeof(*list));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        bool used;
        int rc = compile_one(&list[at], &used, arena, &entries[i], err);
        if (rc != 0) {
            return rc;
        }
        at += used;
    }
    for (size_t i = 0; i < above_count; i++) {
        list[at++] = above->at[i];
    }
    *out = (struct route_override_list){list, at};
    return 0;
}

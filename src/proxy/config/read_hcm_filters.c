/* The HTTP filters of a connection manager.
 * Source: envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter, rbac.v3, router.v3. */
#include "proxy/config/read_hcm_filters.h"

#include "policy/pb_value.h"
#include "proto/hcm.pb.h"
#include "proto/http_rbac.pb.h"
#include "proto/router.pb.h"
#include "proto/set_filter_state.pb.h"
#include "proxy/config/known_filters.h"
#include "proxy/config/read_compressor.h"

#define TYPE_RBAC "envoy.extensions.filters.http.rbac.v3.RBAC"
#define TYPE_FAULT "envoy.extensions.filters.http.fault.v3.HTTPFault"
#define TYPE_COMPRESSOR "envoy.extensions.filters.http.compressor.v3.Compressor"
#define TYPE_CORS "envoy.extensions.filters.http.cors.v3.Cors"
#define TYPE_STATE "envoy.extensions.filters.http.set_filter_state.v3.Config"
#define TYPE_GRPC_WEB "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
#define TYPE_ROUTER "envoy.extensions.filters.http.router.v3.Router"

static int rbac_filter(struct read *rd, struct conf_rbac *out, const struct pb_hcm_HttpFilter *f,
                       struct err *err)
{
    const struct pb_http_rbac_RBAC *c =
        read_any(rd, &pb_http_rbac_RBAC_desc, f->typed_config->value, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    out->name = f->name;
    out->disabled = f->disabled;
    out->stat_prefix = c->rules_stat_prefix;
    struct rbac *rules = NULL;
    struct rbac *shadow = NULL;
    int rc = c->rules ? rbac_compile(&rules, rd->arena, c->rules, false, err) : 0;
    if (rc != 0) {
        return err_prefix(err, "rules");
    }
    rc = c->shadow_rules ? rbac_compile(&shadow, rd->arena, c->shadow_rules, false, err) : 0;
    if (rc != 0) {
        return err_prefix(err, "shadow_rules");
    }
    out->rules = rules;
    out->shadow = shadow;
    out->deny = rules && rbac_is_deny(rules);
    return 0;
}

static int fault_filter(struct read *rd, struct conf_http *out, const struct pb_hcm_HttpFilter *f,
                        struct err *err)
{
    if (out->fault_name.len > 0) {
        return err_set(err, -ERR_CONFIG, "there is a fault filter before it already");
    }
    out->fault_name = f->name;
    bool is_empty = f->disabled || f->typed_config->value.len == 0;
    return is_empty ? 0 : route_fault_compile(&out->fault, rd->arena, f->typed_config->value, err);
}

static int router(struct read *rd, struct conf_http *out, const struct pb_hcm_HttpFilter *f,
                  struct err *err)
{
    const struct pb_router_Router *c = read_any(
        rd, &pb_router_Router_desc, f->typed_config ? f->typed_config->value : SPAN_EMPTY, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    const char *field = NULL;
    if (c->upstream_log.count > 0) {
        field = "upstream_log";
    } else if (c->strict_check_headers.count > 0) {
        field = "strict_check_headers";
    } else if (c->respect_expected_rq_timeout) {
        field = "respect_expected_rq_timeout";
    }
    for (uint32_t i = 0; i < c->upstream_http_filters.count && !field; i++) {
        const struct pb_hcm_HttpFilter *u = c->upstream_http_filters.at[i];
        if (!known_filters_builtin(KNOWN_UPSTREAM, read_type(rd, u->typed_config), u->name,
                                   u->typed_config)) {
            field = "upstream_http_filters";
        }
    }
    out->suppress_envoy_headers = c->suppress_envoy_headers;
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

/* Where a tunnel leads and whose it is: what it becomes knows both without being told (downstream/session_http). */
static int state_filter(struct read *rd, const struct pb_hcm_HttpFilter *f, struct err *err)
{
    static const struct span known[] = {SPAN_INIT("envoy.filters.listener.original_dst.local_ip"),
                                        SPAN_INIT("envoy.filters.listener.original_dst.remote_ip"),
                                        SPAN_INIT("io.istio.peer_principal"),
                                        SPAN_INIT("io.istio.local_principal")};
    const struct pb_set_filter_state_Config *c =
        read_any(rd, &pb_set_filter_state_Config_desc, f->typed_config->value, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    for (uint32_t i = 0; i < c->on_request_headers.count; i++) {
        struct span key = c->on_request_headers.at[i]->object_key;
        bool is_known = false;
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            is_known = is_known || span_eq(key, known[k]);
        }
        if (!is_known) {
            return err_set(err, -ERR_CONFIG, "object_key '%.*s' is not supported", SPAN_ARG(key));
        }
    }
    return 0;
}

static int one(struct read *rd, struct conf_http *out, struct conf_rbac *rbac,
               const struct pb_hcm_HttpFilter *f, struct err *err)
{
    if (f->config_discovery) {
        return err_set(err, -ERR_CONFIG, "config_discovery is not supported");
    }
    struct span type = read_type(rd, f->typed_config);
    if (span_is(type, TYPE_RBAC)) {
        out->rbac_count++;
        return rbac_filter(rd, rbac, f, err);
    }
    if (span_is(type, TYPE_FAULT)) {
        return fault_filter(rd, out, f, err);
    }
    if (span_is(type, TYPE_COMPRESSOR)) {
        return read_compressor(rd, &out->gzip, f, err);
    }
    if (span_is(type, TYPE_CORS)) { /* has no settings; routes have */
        out->cors_name = f->name;
        return 0;
    }
    if (span_is(type, TYPE_STATE)) {
        return state_filter(rd, f, err);
    }
    if (span_is(type, TYPE_GRPC_WEB)) { /* has no settings */
        out->grpc_web = out->grpc_web || !f->disabled;
        return 0;
    }
    if (known_filters_builtin(KNOWN_HTTP, type, f->name, f->typed_config)) {
        return 0;
    }
    return err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type));
}

int read_hcm_filters(struct read *rd, struct conf_http *out,
                     const struct pb_hcm_HttpConnectionManager *config, struct err *err)
{
    uint32_t count = config->http_filters.count;
    struct conf_rbac *rbac = arena_array(rd->arena, count, sizeof(*rbac));
    bool has_router = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct pb_hcm_HttpFilter *f = config->http_filters.at[i];
        int rc = 0;
        if (has_router) { /* Envoy: the router is terminal */
            rc = err_set(err, -ERR_CONFIG, "comes after the router, which must be the last");
        } else if (span_is(read_type(rd, f->typed_config), TYPE_ROUTER)) {
            has_router = true;
            rc = router(rd, out, f, err);
        } else {
            size_t before = out->rbac_count;
            rc = one(rd, out, &rbac[before], f, err);
            if (rc != 0 && f->is_optional) {
                out->rbac_count = before;
                rbac[before] = (struct conf_rbac){0};
                read_skip(rd, f->name);
                rc = 0;
            }
        }
        if (rc != 0) {
            return err_prefix(err, "http filter '%.*s'", SPAN_ARG(f->name));
        }
    }
    out->rbac = rbac;
    return has_router ? 0 : err_set(err, -ERR_CONFIG, "http_filters: the last must be the router");
}

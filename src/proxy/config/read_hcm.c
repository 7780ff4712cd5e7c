/* The HTTP connection manager. Defaults are Envoy's. */
#include "proxy/config/read_hcm.h"

#include "policy/known.h"
#include "http/limits.h"
#include "policy/pb_value.h"
#include "proto/hcm.pb.h"
#include "proxy/config/read_access_log.h"
#include "proxy/config/read_hcm_filters.h"
#include "proxy/config/read_routes.h"

#define DRAIN_MS 5000 /* drain_timeout */
#define HEADERS_KB 60 /* max_request_headers_kb */
#define TYPE_UUID "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"

static int refuse_unsupported(struct read *rd, const struct pb_hcm_HttpConnectionManager *c,
                              struct err *err)
{
    const char *field = NULL;
    if (c->codec_type == PB_HCM_HTTP_CONNECTION_MANAGER_CODEC_TYPE_HTTP3) {
        field = "codec_type HTTP3";
    } else if (c->original_ip_detection_extensions.count > 0) {
        field = "original_ip_detection_extensions";
    } else if (c->early_header_mutation_extensions.count > 0) {
        field = "early_header_mutation_extensions";
    } else if (c->via.len > 0) {
        field = "via";
    } else if (pb_value_bool(c->add_user_agent, false)) {
        field = "add_user_agent";
    } else if (c->proxy_status_config) {
        field = "proxy_status_config";
    } else if (c->forward_proto_config) {
        field = "forward_proto_config";
    } else if (c->typed_header_validation_config) {
        field = "typed_header_validation_config";
    } else if (c->local_reply_config &&
               (c->local_reply_config->mappers.count > 0 || c->local_reply_config->body_format)) {
        field = "local_reply_config";
    } else if (c->request_id_extension &&
               !span_is(read_type(rd, c->request_id_extension->typed_config), TYPE_UUID)) {
        field = "request_id_extension";
    } else if (c->http_protocol_options && c->http_protocol_options->header_key_format) {
        field = "http_protocol_options.header_key_format";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

static int routes(struct read *rd, struct conf_http *out,
                  const struct pb_hcm_HttpConnectionManager *c, struct err *err)
{
    out->route_slot = SLOT_NONE;
    switch (c->route_specifier_case) {
    case PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_RDS:
        out->route_name = c->rds->route_config_name;
        if (out->route_name.len == 0) {
            return err_set(err, -ERR_CONFIG, "rds: route_config_name is empty");
        }
        out->route_slot = slots_take(rd->slots, out->route_name);
        read_mention(rd, CONF_ROUTES, out->route_name, c->rds->config_source);
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_ROUTE_CONFIG: {
        struct route_table *table = NULL;
        if (c->route_config->vhds != NULL) {
            return err_set(err, -ERR_CONFIG, "route_config '%.*s': 'vhds' is only supported by rds",
                           SPAN_ARG(c->route_config->name));
        }
        int rc = read_routes(rd, &table, c->route_config, err);
        out->routes = table;
        out->route_name = c->route_config->name;
        return rc != 0 ? err_prefix(err, "route_config '%.*s'", SPAN_ARG(c->route_config->name))
                       : 0;
    }
    case PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_SCOPED_ROUTES:
        return err_set(err, -ERR_CONFIG, "scoped_routes is not supported");
    default:
        return err_set(err, -ERR_CONFIG, "route_specifier is not set; use rds or route_config");
    }
}

static int codec_of(struct conf_http *out, int32_t type, struct err *err)
{
    switch (type) {
    case PB_HCM_HTTP_CONNECTION_MANAGER_CODEC_TYPE_AUTO:
        out->codec = CONF_CODEC_AUTO;
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_CODEC_TYPE_HTTP1:
        out->codec = CONF_CODEC_HTTP1;
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_CODEC_TYPE_HTTP2:
        out->codec = CONF_CODEC_HTTP2;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "codec_type %d is not known", (int)type);
    }
}

static int client_cert(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c,
                       struct err *err)
{
    switch (c->forward_client_cert_details) {
    case PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_SANITIZE:
        out->xfcc = CONF_XFCC_SANITIZE;
        break;
    case PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_FORWARD_ONLY:
        out->xfcc = CONF_XFCC_FORWARD_ONLY;
        break;
    case PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_APPEND_FORWARD:
        out->xfcc = CONF_XFCC_APPEND_FORWARD;
        break;
    case PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_SANITIZE_SET:
        out->xfcc = CONF_XFCC_SANITIZE_SET;
        break;
    case PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_ALWAYS_FORWARD_ONLY:
        out->xfcc = CONF_XFCC_ALWAYS_FORWARD;
        break;
    default:
        return err_set(err, -ERR_CONFIG, "forward_client_cert_details %d is not known",
                       (int)c->forward_client_cert_details);
    }
    const struct pb_hcm_HttpConnectionManager_SetCurrentClientCertDetails *d =
        c->set_current_client_cert_details;
    if (d) {
        out->xfcc_subject = pb_value_bool(d->subject, false);
        out->xfcc_cert = d->cert;
        out->xfcc_chain = d->chain;
        out->xfcc_dns = d->dns;
        out->xfcc_uri = d->uri;
    }
    return 0;
}

static int path_options(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c,
                        struct err *err)
{
    out->normalize_path = pb_value_bool(c->normalize_path, false);
    out->merge_slashes = c->merge_slashes;
    switch (c->path_with_escaped_slashes_action) {
    case PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_IMPLEMENTATION_SPECIFIC_DEFAULT:
    case PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_KEEP_UNCHANGED:
        out->escaped_slashes = CONF_SLASHES_KEEP;
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_REJECT_REQUEST:
        out->escaped_slashes = CONF_SLASHES_REJECT;
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_UNESCAPE_AND_REDIRECT:
        out->escaped_slashes = CONF_SLASHES_REDIRECT;
        return 0;
    case PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_UNESCAPE_AND_FORWARD:
        out->escaped_slashes = CONF_SLASHES_UNESCAPE;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "path_with_escaped_slashes_action %d is not known",
                       (int)c->path_with_escaped_slashes_action);
    }
}

static int underscores(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c,
                       struct err *err)
{
    if (c->common_http_protocol_options == NULL) {
        return 0;
    }
    switch (c->common_http_protocol_options->headers_with_underscores_action) {
    case PB_CORE_HTTP_PROTOCOL_OPTIONS_HEADERS_WITH_UNDERSCORES_ACTION_ALLOW:
        return 0;
    case PB_CORE_HTTP_PROTOCOL_OPTIONS_HEADERS_WITH_UNDERSCORES_ACTION_REJECT_REQUEST:
        out->underscores = CONF_UNDERSCORES_REJECT;
        return 0;
    case PB_CORE_HTTP_PROTOCOL_OPTIONS_HEADERS_WITH_UNDERSCORES_ACTION_DROP_HEADER:
        out->underscores = CONF_UNDERSCORES_DROP;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "headers_with_underscores_action %d is not known",
                       (int)c->common_http_protocol_options->headers_with_underscores_action);
    }
}

static int internal_addresses(struct read *rd, struct conf_http *out,
                              const struct pb_hcm_HttpConnectionManager *c, struct err *err)
{
    const struct pb_hcm_HttpConnectionManager_InternalAddressConfig *a = c->internal_address_config;
    if (a == NULL) {
        return 0;
    }
    struct cidr *ranges = arena_array(rd->arena, a->cidr_ranges.count, sizeof(*ranges));
    for (uint32_t i = 0; i < a->cidr_ranges.count; i++) {
        int rc = pb_value_cidr(a->cidr_ranges.at[i], &ranges[i], err);
        if (rc != 0) {
            return err_prefix(err, "internal_address_config: cidr_ranges");
        }
    }
    out->internal.ranges = ranges;
    out->internal.count = a->cidr_ranges.count;
    out->internal.unix_sockets = a->unix_sockets;
    return 0;
}

static double percent_of(const struct pb_type_Percent *p)
{
    double value = p ? p->value / 100 : 1;
    return value >= 0 && value <= 1 ? value : value > 1 ? 1 : 0;
}

static void headers(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c)
{
    out->stat_prefix = c->stat_prefix;
    out->server_name = c->server_name.len > 0 ? c->server_name : SPAN("envoy");
    out->server_if_absent =
        c->server_header_transformation ==
        PB_HCM_HTTP_CONNECTION_MANAGER_SERVER_HEADER_TRANSFORMATION_APPEND_IF_ABSENT;
    out->server_pass_through =
        c->server_header_transformation ==
        PB_HCM_HTTP_CONNECTION_MANAGER_SERVER_HEADER_TRANSFORMATION_PASS_THROUGH;
    out->use_remote_address = pb_value_bool(c->use_remote_address, false);
    out->xff_trusted_hops = c->xff_num_trusted_hops;
    out->skip_xff = c->skip_xff_append;
    out->append_port = c->append_x_forwarded_port;
    out->generate_request_id = pb_value_bool(c->generate_request_id, true);
    out->preserve_request_id = c->preserve_external_request_id;
    out->request_id_in_response = c->always_set_request_id_in_response;
    out->strip_host_port = c->strip_matching_host_port;
    out->strip_any_host_port = c->strip_any_host_port;
    out->strip_host_dot = c->strip_trailing_host_dot;
    out->accept_http10 = c->http_protocol_options && c->http_protocol_options->accept_http_10;
    if (c->http_protocol_options != NULL) {
        out->http10_host = c->http_protocol_options->default_host_for_http_10;
    }
    out->tracing = c->tracing != NULL;
    if (c->tracing) {
        double overall = percent_of(c->tracing->overall_sampling);
        double random = percent_of(c->tracing->random_sampling);
        out->sampling = random < overall ? random : overall;
    }
}

static int limits(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c,
                  struct err *err)
{
    const struct pb_core_HttpProtocolOptions *h = c->common_http_protocol_options;
    out->max_request_headers_kb = pb_value_u32(c->max_request_headers_kb, HEADERS_KB);
    if (out->max_request_headers_kb == 0 || out->max_request_headers_kb > 8192) {
        return err_set(err, -ERR_CONFIG, "max_request_headers_kb is %u; use 1 to 8192",
                       out->max_request_headers_kb);
    }
    out->max_headers = pb_value_u32(h ? h->max_headers_count : NULL, limits_default.fields);
    out->max_requests_per_connection = pb_value_u32(h ? h->max_requests_per_connection : NULL, 0);
    out->max_streams = pb_value_u32(
        c->http2_protocol_options ? c->http2_protocol_options->max_concurrent_streams : NULL, 0);
    int rc = pb_value_ms(h ? h->idle_timeout : NULL, limits_default.idle_ms, "idle_timeout",
                         &out->idle_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(h ? h->max_connection_duration : NULL, 0, "max_connection_duration",
                               &out->max_connection_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(h ? h->max_stream_duration : NULL, 0, "max_stream_duration",
                               &out->max_stream_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(c->stream_idle_timeout, LIMIT_DEFAULT_stream_idle_ms,
                               "stream_idle_timeout", &out->stream_idle_ms, err);
    rc =
        rc != 0 ? rc : pb_value_ms(c->request_timeout, 0, "request_timeout", &out->request_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(c->request_headers_timeout, 0, "request_headers_timeout",
                               &out->request_head_ms, err);
    return rc != 0 ? rc
                   : pb_value_ms(c->drain_timeout, DRAIN_MS, "drain_timeout", &out->drain_ms, err);
}

static int upgrades(struct conf_http *out, const struct pb_hcm_HttpConnectionManager *c,
                    struct err *err)
{
    for (uint32_t i = 0; i < c->upgrade_configs.count; i++) {
        const struct pb_hcm_HttpConnectionManager_UpgradeConfig *u = c->upgrade_configs.at[i];
        bool enabled = pb_value_bool(u->enabled, true);
        if (u->filters.count > 0) {
            return err_set(err, -ERR_CONFIG, "upgrade_configs: filters is not supported");
        }
        if (span_eq_nocase(u->upgrade_type, SPAN("websocket"))) {
            out->websocket = enabled;
        } else if (span_eq_nocase(u->upgrade_type, SPAN("CONNECT"))) {
            out->connect = enabled;
        } else if (enabled) {
            return err_set(err, -ERR_CONFIG,
                           "upgrade_type '%.*s' is not supported; use websocket or CONNECT",
                           SPAN_ARG(u->upgrade_type));
        }
    }
    return 0;
}

int read_hcm(struct read *rd, const struct conf_http **out, struct span bytes, struct err *err)
{
    const struct pb_hcm_HttpConnectionManager *c =
        read_any(rd, &pb_hcm_HttpConnectionManager_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    struct conf_http *http = arena_new(rd->arena, struct conf_http);
    headers(http, c);
    int rc = refuse_unsupported(rd, c, err);
    rc = rc != 0 ? rc : codec_of(http, c->codec_type, err);
    rc = rc != 0 ? rc : limits(http, c, err);
    rc = rc != 0 ? rc : path_options(http, c, err);
    rc = rc != 0 ? rc : client_cert(http, c, err);
    rc = rc != 0 ? rc : internal_addresses(rd, http, c, err);
    rc = rc != 0 ? rc : underscores(http, c, err);
    rc = rc != 0 ? rc : upgrades(http, c, err);
    rc = rc != 0 ? rc : read_hcm_filters(rd, http, c, err);
    rc = rc != 0 ? rc : routes(rd, http, c, err);
    rc = rc != 0 ? rc
                 : read_access_log(rd, &http->logs, &http->log_count, c->access_log.at,
                                   c->access_log.count, err);
    *out = http;
    return rc;
}

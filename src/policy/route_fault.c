/* Delays and aborts on purpose, as a filter or a route has them.
 * Source: envoy.extensions.filters.http.fault.v3.HTTPFault and Envoy's "Fault Injection". */
#include "policy/known.h"
#include "policy/pb_value.h"
#include "policy/route_int.h"
#include "proto/fault.pb.h"
#include "proto/fault_common.pb.h"

#define GRPC_STATUS_MAX 16

static int compile_delay(struct route_fault *out, const struct pb_fault_common_FaultDelay *config,
                         struct err *err)
{
    if (config->fault_delay_secifier_case !=
        PB_FAULT_COMMON_FAULT_DELAY_FAULT_DELAY_SECIFIER_FIXED_DELAY) {
        return err_set(err, -ERR_CONFIG, "delay: only fixed_delay is supported");
    }
    int rc = pb_value_ms(config->fixed_delay, 0, "fixed_delay", &out->delay_ms, err);
    if (rc == 0 && config->percentage) {
        rc = pb_value_fraction(config->percentage, &out->delay_ppm, err);
    }
    return rc != 0 ? err_prefix(err, "delay") : 0;
}

static int compile_abort(struct route_fault *out, const struct pb_fault_FaultAbort *config,
                         struct err *err)
{
    switch (config->error_type_case) {
    case PB_FAULT_FAULT_ABORT_ERROR_TYPE_HTTP_STATUS:
        if (config->http_status < 200 || config->http_status > 599) {
            return err_set(err, -ERR_CONFIG, "abort: http_status is %u; use 200 to 599",
                           config->http_status);
        }
        out->abort_status = config->http_status;
        break;
    case PB_FAULT_FAULT_ABORT_ERROR_TYPE_GRPC_STATUS:
        if (config->grpc_status > GRPC_STATUS_MAX) {
            return err_set(err, -ERR_CONFIG, "abort: grpc_status is %u; use 0 to %d",
                           config->grpc_status, GRPC_STATUS_MAX);
        }
        out->abort_grpc = (int)config->grpc_status;
        break;
    default:
        return err_set(err, -ERR_CONFIG, "abort: only http_status and grpc_status are supported");
    }
    return config->percentage ? pb_value_fraction(config->percentage, &out->abort_ppm, err) : 0;
}

static const char *unsupported(const struct pb_fault_HTTPFault *config)
{
    return config->downstream_nodes.count > 0 ? "downstream_nodes"
           : config->max_active_faults        ? "max_active_faults"
           : config->response_rate_limit      ? "response_rate_limit"
                                              : NULL;
}

int route_fault_compile(const struct route_fault **out, struct arena *arena, struct span bytes,
                        struct err *err)
{
    const struct pb_fault_HTTPFault *config =
        pb_decode(&pb_fault_HTTPFault_desc, arena, bytes, err);
    if (!config || known_check(&pb_fault_HTTPFault_desc, config, err) != 0) {
        return -ERR_CONFIG;
    }
    if (unsupported(config)) {
        return err_set(err, -ERR_CONFIG, "'%s' is not supported", unsupported(config));
    }
    struct route_fault *f = arena_new(arena, struct route_fault);
    struct header_match *headers =
        arena_array(arena, (size_t)config->headers.count + 1, sizeof(*headers));
    f->abort_grpc = -1;
    f->cluster = arena_dup(arena, config->upstream_cluster);
    f->headers = headers;
    f->header_count = config->headers.count;
    int rc = config->delay ? compile_delay(f, config->delay, err) : 0;
    rc = rc == 0 && config->abort ? compile_abort(f, config->abort, err) : rc;
    for (uint32_t i = 0; i < config->headers.count && rc == 0; i++) {
        rc = header_match_compile(&headers[i], arena, config->headers.at[i], err);
    }
    *out = f;
    return rc;
}

bool route_fault_applies(const struct route_fault *f, const struct route_cluster *cluster,
                         const struct traffic *tr, struct arena *scratch)
{
    if (f->cluster.len > 0 && (cluster == NULL || !span_eq(f->cluster, cluster->name))) {
        return false;
    }
    for (size_t i = 0; i < f->header_count; i++) {
        if (!header_match_holds(&f->headers[i], tr, scratch)) {
            return false;
        }
    }
    return true;
}

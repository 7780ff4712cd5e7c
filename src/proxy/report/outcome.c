/* The table of endings: see outcome.h. */
#include "proxy/report/outcome.h"

#define RESET_BODY "upstream connect error or disconnect/reset before headers. reset reason: "

static const struct outcome_row rows[OUTCOME_COUNT] = {
    [OUTCOME_OK] = {"ok", 0, 0, SPAN_INIT("via_upstream"), SPAN_INIT(""), false},
    [OUTCOME_DIRECT] = {"direct", 0, 0, SPAN_INIT("direct_response"), SPAN_INIT(""), true},
    [OUTCOME_NO_ROUTE] = {"no_route", 404, FLAG_NR, SPAN_INIT("route_not_found"), SPAN_INIT(""),
                          true},
    [OUTCOME_NO_CLUSTER] = {"no_cluster", 503, FLAG_NC, SPAN_INIT("cluster_not_found"),
                            SPAN_INIT(""), true},
    [OUTCOME_NO_HEALTHY] = {"no_healthy", 503, FLAG_UH, SPAN_INIT("no_healthy_upstream"),
                            SPAN_INIT("no healthy upstream"), true},
    [OUTCOME_OVERFLOW] = {"overflow", 503, FLAG_UO,
                          SPAN_INIT("upstream_reset_before_response_started{overflow}"),
                          SPAN_INIT(RESET_BODY "overflow"), true},
    [OUTCOME_CONNECT_FAILURE] = {"connect_failure", 503, FLAG_UF,
                                 SPAN_INIT(
                                     "upstream_reset_before_response_started{connection_failure}"),
                                 SPAN_INIT(RESET_BODY "connection failure"), true},
    [OUTCOME_CONNECT_TIMEOUT] = {"connect_timeout", 503, FLAG_UF,
                                 SPAN_INIT(
                                     "upstream_reset_before_response_started{connection_timeout}"),
                                 SPAN_INIT(RESET_BODY "connection timeout"), true},
    [OUTCOME_TLS_FAILURE] = {"tls_failure", 503, FLAG_UF,
                             SPAN_INIT("upstream_reset_before_response_started{connection_failure,"
                                       "TLS_error}"),
                             SPAN_INIT(RESET_BODY
                                       "connection failure, transport failure reason: TLS "
                                       "handshake failed"),
                             true},
    [OUTCOME_WRONG_IDENTITY] = {"wrong_identity", 503, FLAG_UF,
                                SPAN_INIT(
                                    "upstream_reset_before_response_started{connection_failure,"
                                    "verify_SAN_list}"),
                                SPAN_INIT(RESET_BODY
                                          "connection failure, transport failure reason: the "
                                          "upstream's identity is not allowed"),
                                true},
    [OUTCOME_UPSTREAM_CLOSED] = {"upstream_closed", 503, FLAG_UC,
                                 SPAN_INIT("upstream_reset_before_response_started{connection_"
                                           "termination}"),
                                 SPAN_INIT(RESET_BODY "connection termination"), true},
    [OUTCOME_UPSTREAM_RESET] = {"upstream_reset", 503, FLAG_UR,
                                SPAN_INIT("upstream_reset_before_response_started{remote_reset}"),
                                SPAN_INIT(RESET_BODY "remote reset"), true},
    [OUTCOME_UPSTREAM_PROTO] = {"upstream_proto", 502, FLAG_UPE,
                                SPAN_INIT("upstream_reset_before_response_started{protocol_error}"),
                                SPAN_INIT(RESET_BODY "protocol error"), true},
    [OUTCOME_TIMEOUT] = {"timeout", 504, FLAG_UT, SPAN_INIT("response_timeout"),
                         SPAN_INIT("upstream request timeout"), true},
    [OUTCOME_TRY_TIMEOUT] = {"try_timeout", 504, FLAG_UT, SPAN_INIT("upstream_per_try_timeout"),
                             SPAN_INIT("upstream request timeout"), true},
    [OUTCOME_STREAM_IDLE] = {"stream_idle", 504, FLAG_SI, SPAN_INIT("stream_idle_timeout"),
                             SPAN_INIT("stream timeout"), true},
    [OUTCOME_REQUEST_TIMEOUT] = {"request_timeout", 408, 0, SPAN_INIT("request_overall_timeout"),
                                 SPAN_INIT("request timeout"), true},
    [OUTCOME_MAX_DURATION] = {"max_duration", 504, 0, SPAN_INIT("max_duration_timeout"),
                              SPAN_INIT("downstream duration timeout"), true},
    [OUTCOME_DENIED] = {"denied", 403, 0, SPAN_INIT("rbac_access_denied"),
                        SPAN_INIT("RBAC: access denied"), true},
    [OUTCOME_CLIENT_GONE] = {"client_gone", 0, FLAG_DC, SPAN_INIT("downstream_remote_disconnect"),
                             SPAN_INIT(""), false},
    [OUTCOME_CLIENT_PROTO] = {"client_proto", 400, FLAG_DPE, SPAN_INIT("http1.codec_error"),
                              SPAN_INIT("Bad Request"), true},
    [OUTCOME_BAD_PATH] = {"bad_path", 400, 0, SPAN_INIT("path_normalization_failed"),
                          SPAN_INIT("Bad Request"), true},
    [OUTCOME_LOW_VERSION] = {"low_version", 426, 0, SPAN_INIT("low_version"), SPAN_INIT(""), true},
    [OUTCOME_NO_HOST] = {"no_host", 400, 0, SPAN_INIT("missing_host_header"), SPAN_INIT(""), true},
    [OUTCOME_UNDERSCORE] = {"underscore", 400, 0, SPAN_INIT("unexpected_underscore"),
                            SPAN_INIT("Bad Request"), true},
    [OUTCOME_UPGRADE_REFUSED] = {"upgrade_refused", 403, 0, SPAN_INIT("upgrade_failed"),
                                 SPAN_INIT(""), true},
    [OUTCOME_DRAINING] = {"draining", 503, FLAG_LR, SPAN_INIT("local_reset"), SPAN_INIT("draining"),
                          true},
    [OUTCOME_ABORTED] = {"aborted", 503, FLAG_FI, SPAN_INIT("fault_filter_abort"),
                         SPAN_INIT("fault filter abort"), true},
    [OUTCOME_OVERLOAD] = {"overload", 503, FLAG_OM, SPAN_INIT("overload"),
                          SPAN_INIT("envoy overloaded"), true},
};

const struct outcome_row *outcome_row(enum outcome o)
{
    DEBUG_ASSERT((unsigned)o < OUTCOME_COUNT);
    return &rows[o];
}

static const char *const names[] = {"UH",    "UF",   "UO", "NR", "URX", "NC",  "DT",
                                    "DC",    "UC",   "UT", "UR", "SI",  "DPE", "UPE",
                                    "UMSDR", "UAEX", "LR", "DI", "FI",  "OM"};

uint32_t outcome_flags_parse(struct span text)
{
    uint32_t flags = 0;
    while (text.at != NULL) {
        struct span name = span_trim(span_cut(&text, ','));
        for (size_t bit = 0; bit < ARRAY_LEN(names); bit++) {
            flags |= span_is(name, names[bit]) ? 1u << bit : 0;
        }
    }
    return flags;
}

struct span outcome_flags(uint32_t flags, char to[OUTCOME_FLAGS_BYTES])
{
    if (flags == 0) {
        return SPAN("-");
    }
    size_t len = 0;
    for (size_t bit = 0; bit < ARRAY_LEN(names); bit++) {
        size_t word = strlen(names[bit]);
        if ((flags & (1u << bit)) != 0 && len + word + 1 < OUTCOME_FLAGS_BYTES) {
            if (len > 0) {
                to[len++] = ',';
            }
            memcpy(to + len, names[bit], word);
            len += word;
        }
    }
    return span_from(to, len);
}

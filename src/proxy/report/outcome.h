#ifndef PROXY_REPORT_OUTCOME_H
#define PROXY_REPORT_OUTCOME_H
/* How a request or connection ended, in one enum; one table gives the reply to the client, Envoy's response
 * flag, the %RESPONSE_CODE_DETAILS% text and the metric label. Sources: Envoy "Response flags" of the access
 * log documentation and StreamInfo's ResponseCodeDetails. */
#include "base/compiler.h"
#include "base/span.h"

enum outcome {
    OUTCOME_OK,     /* the upstream's response went down whole */
    OUTCOME_DIRECT, /* answered by configuration: direct response or redirect */
    OUTCOME_NO_ROUTE,
    OUTCOME_NO_CLUSTER,
    OUTCOME_NO_HEALTHY,
    OUTCOME_OVERFLOW, /* a circuit breaker was full */
    OUTCOME_CONNECT_FAILURE,
    OUTCOME_CONNECT_TIMEOUT,
    OUTCOME_TLS_FAILURE,     /* upstream handshake failed */
    OUTCOME_WRONG_IDENTITY,  /* secure naming: the upstream is not who it must be */
    OUTCOME_UPSTREAM_CLOSED, /* the connection ended before the response */
    OUTCOME_UPSTREAM_RESET,  /* the stream was reset by the upstream */
    OUTCOME_UPSTREAM_PROTO,  /* the upstream broke HTTP */
    OUTCOME_TIMEOUT,         /* route timeout */
    OUTCOME_TRY_TIMEOUT,     /* per-try timeout */
    OUTCOME_STREAM_IDLE,
    OUTCOME_REQUEST_TIMEOUT, /* the client's request did not arrive whole in time */
    OUTCOME_MAX_DURATION,
    OUTCOME_DENIED,          /* authorization */
    OUTCOME_CLIENT_GONE,     /* the downstream ended first */
    OUTCOME_CLIENT_PROTO,    /* the downstream broke HTTP */
    OUTCOME_BAD_PATH,        /* path normalisation refused it */
    OUTCOME_LOW_VERSION,     /* HTTP/1.0, which is not accepted here */
    OUTCOME_NO_HOST,         /* and it named no host */
    OUTCOME_UNDERSCORE,      /* a field's name has one, which is not wanted here */
    OUTCOME_UPGRADE_REFUSED, /* upgrade not allowed on this route */
    OUTCOME_DRAINING,        /* we are going away */
    OUTCOME_ABORTED,         /* by a fault filter, on purpose */
    OUTCOME_OVERLOAD,        /* the proxy itself is short of memory (Envoy's overload manager) */
    OUTCOME_COUNT
};

/* Envoy's flags, one bit each; outcome_flag gives the outcome's own, retry exhaustion adds FLAG_URX. */
enum {
    FLAG_UH = 1u << 0,
    FLAG_UF = 1u << 1,
    FLAG_UO = 1u << 2,
    FLAG_NR = 1u << 3,
    FLAG_URX = 1u << 4,
    FLAG_NC = 1u << 5,
    FLAG_DT = 1u << 6,
    FLAG_DC = 1u << 7,
    FLAG_UC = 1u << 8,
    FLAG_UT = 1u << 9,
    FLAG_UR = 1u << 10,
    FLAG_SI = 1u << 11,
    FLAG_DPE = 1u << 12,
    FLAG_UPE = 1u << 13,
    FLAG_UMSDR = 1u << 14,
    FLAG_UAEX = 1u << 15,
    FLAG_LR = 1u << 16,
    FLAG_DI = 1u << 17,
    FLAG_FI = 1u << 18,
    FLAG_OM = 1u << 19,
};

struct outcome_row {
    const char *name; /* for logs and tests */
    uint16_t status;  /* reply; 0 = none is possible or none is made */
    uint32_t flag;
    struct span details; /* %RESPONSE_CODE_DETAILS% */
    struct span body;    /* of the reply, as Envoy words it */
    bool local;          /* the reply is ours, not the upstream's */
};

const struct outcome_row *outcome_row(enum outcome o);
/* The bits of a comma-separated text of flags; a name that Envoy does not have gives none. */
uint32_t outcome_flags_parse(struct span names);
#define OUTCOME_FLAGS_BYTES 80
/* "-" or "UF,URX" into `to`. */
struct span outcome_flags(uint32_t flags, char to[OUTCOME_FLAGS_BYTES]);
#endif

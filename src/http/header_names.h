#ifndef HTTP_HEADER_NAMES_H
#define HTTP_HEADER_NAMES_H
/* Fields that have an identity of their own (enum head_known), so that finding them costs no search.
 * One row a field, X(ID, "lower-case-name"), in the group of its length: head_known_of switches on the
 * length and compares with the few rows of that group. A new length needs a line in HEADER_NAME_GROUPS.
 *
 * connection, keep-alive, proxy-connection, transfer-encoding, upgrade, http2-settings, host and
 * content-length are known here so that parsers recognise them, but are never in a struct head. */
#define HEADER_NAMES_2(X) \
    X(TE, "te")           \
    X(B3, "b3")
#define HEADER_NAMES_4(X) \
    X(HOST, "host")       \
    X(DATE, "date")
#define HEADER_NAMES_6(X) \
    X(EXPECT, "expect")   \
    X(SERVER, "server")   \
    X(COOKIE, "cookie")
#define HEADER_NAMES_7(X) \
    X(TRAILER, "trailer") \
    X(UPGRADE, "upgrade")
#define HEADER_NAMES_10(X)      \
    X(USER_AGENT, "user-agent") \
    X(TRACESTATE, "tracestate") \
    X(CONNECTION, "connection") \
    X(KEEP_ALIVE, "keep-alive") \
    X(X_B3_FLAGS, "x-b3-flags")
#define HEADER_NAMES_11(X)        \
    X(RETRY_AFTER, "retry-after") \
    X(TRACEPARENT, "traceparent") \
    X(X_B3_SPANID, "x-b3-spanid") \
    X(GRPC_STATUS, "grpc-status")
#define HEADER_NAMES_12(X)          \
    X(CONTENT_TYPE, "content-type") \
    X(X_REQUEST_ID, "x-request-id") \
    X(X_B3_TRACEID, "x-b3-traceid") \
    X(X_B3_SAMPLED, "x-b3-sampled") \
    X(GRPC_MESSAGE, "grpc-message") \
    X(GRPC_TIMEOUT, "grpc-timeout")
#define HEADER_NAMES_13(X)            \
    X(AUTHORIZATION, "authorization") \
    X(GRPC_ENCODING, "grpc-encoding")
#define HEADER_NAMES_14(X)              \
    X(CONTENT_LENGTH, "content-length") \
    X(HTTP2_SETTINGS, "http2-settings")
#define HEADER_NAMES_15(X) X(X_FORWARDED_FOR, "x-forwarded-for")
#define HEADER_NAMES_16(X)                  \
    X(X_FORWARDED_HOST, "x-forwarded-host") \
    X(PROXY_CONNECTION, "proxy-connection")
#define HEADER_NAMES_17(X)                    \
    X(X_FORWARDED_PROTO, "x-forwarded-proto") \
    X(X_B3_PARENTSPANID, "x-b3-parentspanid") \
    X(TRANSFER_ENCODING, "transfer-encoding")
#define HEADER_NAMES_21(X)                            \
    X(X_ENVOY_ATTEMPT_COUNT, "x-envoy-attempt-count") \
    X(X_ENVOY_PEER_METADATA, "x-envoy-peer-metadata")
#define HEADER_NAMES_23(X) X(X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert")
#define HEADER_NAMES_24(X) X(X_ENVOY_PEER_METADATA_ID, "x-envoy-peer-metadata-id")
#define HEADER_NAMES_29(X) X(X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time")

/* G(length, X) for each group. */
#define HEADER_NAME_GROUPS(G, X) \
    G(2, X)                      \
    G(4, X)                      \
    G(6, X)                      \
    G(7, X)                      \
    G(10, X)                     \
    G(11, X)                     \
    G(12, X) G(13, X) G(14, X) G(15, X) G(16, X) G(17, X) G(21, X) G(23, X) G(24, X) G(29, X)
#define HEADER_NAMES_GROUP(length, X) HEADER_NAMES_##length(X)
#define HEADER_NAMES(X) HEADER_NAME_GROUPS(HEADER_NAMES_GROUP, X)
#endif

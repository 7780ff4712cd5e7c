#ifndef HTTP_HEADER_NAMES_H
#define HTTP_HEADER_NAMES_H
/* Fields that have an identity of their own (enum head_known), so that finding them costs no comparison.
 * One row a field: X(ID, "lower-case-name"). Adding one is adding a row; its length must have a case in
 * head_known_of only if no row has that length yet. */
#define HEADER_NAMES(X)                                                  \
    X(HOST, "host")                                                      \
    X(CONTENT_LENGTH, "content-length")                                  \
    X(CONTENT_TYPE, "content-type")                                      \
    X(EXPECT, "expect")                                                  \
    X(TE, "te")                                                          \
    X(DATE, "date")                                                      \
    X(SERVER, "server")                                                  \
    X(USER_AGENT, "user-agent")                                          \
    X(AUTHORIZATION, "authorization")                                    \
    X(COOKIE, "cookie")                                                  \
    X(RETRY_AFTER, "retry-after")                                        \
    X(X_REQUEST_ID, "x-request-id")                                      \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                \
    X(X_FORWARDED_HOST, "x-forwarded-host")                              \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                            \
    X(X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert")                \
    X(X_ENVOY_ATTEMPT_COUNT, "x-envoy-attempt-count")                    \
    X(X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time")    \
    X(TRACEPARENT, "traceparent")                                        \
    X(TRACESTATE, "tracestate")                                          \
    X(B3, "b3")                                                          \
    X(X_B3_TRACEID, "x-b3-traceid")                                      \
    X(X_B3_SPANID, "x-b3-spanid")                                        \
    X(X_B3_PARENTSPANID, "x-b3-parentspanid")                            \
    X(X_B3_SAMPLED, "x-b3-sampled")                                      \
    X(X_B3_FLAGS, "x-b3-flags")                                          \
    X(GRPC_STATUS, "grpc-status")                                        \
    X(GRPC_MESSAGE, "grpc-message")                                      \
    X(GRPC_TIMEOUT, "grpc-timeout")                                      \
    X(GRPC_ENCODING, "grpc-encoding")                                    \
    X(TRAILER, "trailer")                                                \
    /* Of one connection only: never in a struct head (RFC 9110 section 7.6.1) */ \
    X(CONNECTION, "connection")                                          \
    X(KEEP_ALIVE, "keep-alive")                                          \
    X(PROXY_CONNECTION, "proxy-connection")                              \
    X(TRANSFER_ENCODING, "transfer-encoding")                            \
    X(UPGRADE, "upgrade")                                                \
    X(HTTP2_SETTINGS, "http2-settings")
#endif

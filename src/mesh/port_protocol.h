#ifndef MESH_PORT_PROTOCOL_H
#define MESH_PORT_PROTOCOL_H
/* What a service port speaks, told by its appProtocol or by the prefix of its name (istio.io "Protocol
 * selection"), or found out by looking at the first bytes. */
#include "base/compiler.h"
#include "base/span.h"

enum port_protocol {
    PROTOCOL_AUTO, /* not told: the proxy looks */
    PROTOCOL_HTTP,
    PROTOCOL_HTTP2,
    PROTOCOL_GRPC,
    PROTOCOL_GRPC_WEB,
    PROTOCOL_HTTP_PROXY,
    PROTOCOL_HTTPS, /* opaque TLS, routed by SNI */
    PROTOCOL_TLS,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOL_MONGO, /* these are TCP to us, and named for messages */
    PROTOCOL_MYSQL,
    PROTOCOL_REDIS,
};

/* appProtocol wins over the name; `transport` is the port's protocol field ("TCP", "UDP", or empty). A
 * port without both whose number is a server-speaks-first protocol's (3306, 6379 ...) is not guessed here. */
enum port_protocol port_protocol_of(struct span app_protocol, struct span name,
                                    struct span transport);
/* "http", "tcp" ...; "auto" for PROTOCOL_AUTO. */
const char *port_protocol_name(enum port_protocol protocol);
/* Requests can be routed one by one. */
bool port_protocol_is_http(enum port_protocol protocol);
#endif

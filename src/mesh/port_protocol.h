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

struct port_facts {
    struct span app_protocol; /* wins over the name */
    struct span name;         /* "http", "grpc-main": the part before the first '-' */
    struct span transport;    /* "TCP", "UDP", or empty */
    uint16_t number; /* of 25, 53, 3306 and 27017 the server speaks first, or none can tell: TCP */
};

enum port_protocol port_protocol_of(const struct port_facts *port);
/* "http", "tcp" ...; "auto" for PROTOCOL_AUTO. */
const char *port_protocol_name(enum port_protocol protocol);
/* Requests can be routed one by one. */
bool port_protocol_is_http(enum port_protocol protocol);
#endif

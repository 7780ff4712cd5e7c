/* Protocols of service ports. */
#include "mesh/port_protocol.h"

static const struct {
    const char *word;
    enum port_protocol protocol;
} words[] = {
    {"http", PROTOCOL_HTTP},
    {"http2", PROTOCOL_HTTP2},
    {"grpc", PROTOCOL_GRPC},
    {"grpc-web", PROTOCOL_GRPC_WEB},
    {"http_proxy", PROTOCOL_HTTP_PROXY},
    {"https", PROTOCOL_HTTPS},
    {"tls", PROTOCOL_TLS},
    {"tcp", PROTOCOL_TCP},
    {"udp", PROTOCOL_UDP},
    {"mongo", PROTOCOL_MONGO},
    {"mysql", PROTOCOL_MYSQL},
    {"redis", PROTOCOL_REDIS},
};

/* Kubernetes' standard appProtocols (KEP 3726). */
static const struct {
    const char *word;
    enum port_protocol protocol;
} kubernetes_words[] = {
    {"kubernetes.io/h2c", PROTOCOL_HTTP2},
    {"kubernetes.io/ws", PROTOCOL_HTTP},
    {"kubernetes.io/wss", PROTOCOL_HTTPS},
};

static enum port_protocol by_word(struct span text)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_eq_nocase(text, span_of(words[i].word))) {
            return words[i].protocol;
        }
    }
    return PROTOCOL_AUTO;
}

enum port_protocol port_protocol_of(const struct port_facts *port)
{
    static const uint16_t opaque_ports[] = {25, 53, 3306, 27017};
    struct span word = port->app_protocol.len > 0 ? port->app_protocol : port->name;
    if (span_is(port->transport, "UDP")) {
        return PROTOCOL_UDP;
    }
    for (size_t i = 0; i < ARRAY_LEN(kubernetes_words); i++) {
        if (span_is(word, kubernetes_words[i].word)) {
            return kubernetes_words[i].protocol;
        }
    }
    if (span_starts_nocase(word, SPAN("grpc-web"))) { /* the one word with a '-' */
        return PROTOCOL_GRPC_WEB;
    }
    enum port_protocol protocol = by_word(span_cut(&word, '-'));
    for (size_t i = 0; protocol == PROTOCOL_AUTO && i < ARRAY_LEN(opaque_ports); i++) {
        protocol = port->number == opaque_ports[i] ? PROTOCOL_TCP : PROTOCOL_AUTO;
    }
    return protocol;
}

const char *port_protocol_name(enum port_protocol protocol)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].protocol == protocol) {
            return words[i].word;
        }
    }
    return "auto";
}

bool port_protocol_is_http(enum port_protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_HTTP:
    case PROTOCOL_HTTP2:
    case PROTOCOL_GRPC:
    case PROTOCOL_GRPC_WEB:
    case PROTOCOL_HTTP_PROXY:
        return true;
    case PROTOCOL_AUTO:
    case PROTOCOL_HTTPS:
    case PROTOCOL_TLS:
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case PROTOCOL_MONGO:
    case PROTOCOL_MYSQL:
    case PROTOCOL_REDIS:
        return false;
    }
    return false;
}

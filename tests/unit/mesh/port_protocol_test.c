/* mesh/port_protocol: Istio's words. */
#include "mesh/port_protocol.c"

#include "unit/cm.h"

static void follows_istio(void **state)
{
    static const struct {
        const char *app_protocol, *name, *transport;
        uint16_t number;
        const char *want;
        bool is_http;
    } rows[] = {
        {"", "http", "TCP", 80, "http", true},
        {"", "HTTP-main", "TCP", 80, "http", true},
        {"", "http2", "", 80, "http2", true},
        {"", "grpc-x", "", 80, "grpc", true},
        {"", "grpc-web", "", 80, "grpc-web", true},
        {"", "grpc-web-x", "", 80, "grpc-web", true},
        {"", "https-admin", "", 443, "https", false},
        {"", "tls", "", 443, "tls", false},
        {"", "tcp-db", "", 5432, "tcp", false},
        {"", "mysql", "", 3306, "mysql", false},
        {"", "mongo", "", 1, "mongo", false},
        {"", "redis-cache", "", 1, "redis", false},
        {"", "httpx", "", 80, "auto", false},
        {"", "web", "TCP", 80, "auto", false},
        {"", "", "", 80, "auto", false},
        {"", "db", "TCP", 3306, "tcp", false},
        {"", "", "TCP", 25, "tcp", false},
        {"", "http", "TCP", 3306, "http", true},
        {"", "http", "UDP", 80, "udp", false},
        {"http", "tcp", "TCP", 80, "http", true},
        {"tcp", "http", "TCP", 80, "tcp", false},
        {"kubernetes.io/h2c", "tcp", "TCP", 80, "http2", true},
        {"kubernetes.io/ws", "", "TCP", 80, "http", true},
        {"kubernetes.io/wss", "", "TCP", 80, "https", false},
        {"example.com/own", "http", "TCP", 80, "auto", false},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct port_facts port = {span_of(rows[i].app_protocol), span_of(rows[i].name),
                                  span_of(rows[i].transport), rows[i].number};
        enum port_protocol protocol = port_protocol_of(&port);
        assert_string_equal(port_protocol_name(protocol), rows[i].want);
        assert_int_equal(port_protocol_is_http(protocol), rows[i].is_http);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(follows_istio)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

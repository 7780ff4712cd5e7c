/* sim: whose connection it is, as the PROXY protocol tells it, in and out. */
#include "sim/expect.h"

SIM_FILE

#define TYPE "type.googleapis.com/envoy.extensions."
#define TOLD(more)                                                 \
    "listener_filters: [{name: pp, typed_config: {'@type': '" TYPE \
    "filters.listener.proxy_protocol.v3.ProxyProtocol'" more "}}], listener_filters_timeout: 1s"
#define SOCKET(version, inner)                                                                        \
    "transport_socket: {name: pp, typed_config: {'@type': '" TYPE                                     \
    "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', config: {version: " version \
    "}, transport_socket: {name: inner, typed_config: {'@type': '" TYPE inner "'}}}}"
#define RAW "transport_sockets.raw_buffer.v3.RawBuffer"
#define GET "GET / HTTP/1.1\r\nhost: h\r\n\r\n"
#define V1 "PROXY TCP4 198.51.100.7 203.0.113.9 4567 443\r\n"
#define LOG                                                                        \
    "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% " \
    "%DOWNSTREAM_LOCAL_ADDRESS%"

CASE(the_told_address_is_the_peers)
{
    BEGIN(.listener = TOLD(""), .hcm = "use_remote_address: true", .log = LOG);
    struct sim_peer *c = sim_ask(&s, V1 GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "x-forwarded-for: 198.51.100.7\r\n");
    sim_send(&s, o, SIM_OK);
    sim_expect(c, "200 OK");
    assert_string_equal(sim_log(&s), "198.51.100.7:4567 192.0.2.1 203.0.113.9:443\n");
    sim_expect_metric(&s, "envoy_listener_proxy_proto_versions_v1_found", NULL, 1);
}

CASE(byte_by_byte)
{
    BEGIN(.listener = TOLD(""), .hcm = "use_remote_address: true");
    struct sim_peer *c = sim_ask(&s, "");
    for (const char *b = V1 GET; *b != '\0'; b++) {
        sim_peer_write(c, span_from(b, 1));
        sim_settle(&s);
    }
    sim_expect(sim_upstream(&s, 1), "x-forwarded-for: 198.51.100.7\r\n");
}

CASE(version_2_and_local)
{
    static const struct {
        const char *head;
        size_t len;
        const char *want;
    } rows[] = {
        {"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc6\x33\x64\x08\xcb\0\x71\x09\x11\xd7\x01\xbb\x04\0\0",
         31, "x-forwarded-for: 198.51.100.8\r\n"},
        {"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16, "x-forwarded-for: 192.0.2.1\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.listener = TOLD(""), .hcm = "use_remote_address: true");
        struct sim_peer *c = sim_ask(&s, "");
        sim_peer_write(c, span_from(rows[i].head, rows[i].len));
        sim_send(&s, c, GET);
        sim_expect(sim_upstream(&s, 1), rows[i].want);
        sim_expect_metric(&s, "envoy_listener_proxy_proto_versions_v2_found", NULL, 1);
    }
}

CASE(what_is_refused)
{
    static const struct {
        const char *more, *bytes, *metric;
    } rows[] = {
        {"", GET, "envoy_listener_proxy_proto_not_found_disallowed"},
        {"", "PROXY TCP4 198.51.100.7\r\n" GET, "envoy_listener_proxy_proto_versions_v1_error"},
        {", allow_requests_without_proxy_protocol: true", "PROXY TCP9 x\r\n" GET,
         "envoy_listener_proxy_proto_versions_v1_error"},
        {", disallowed_versions: [V1]", V1 GET,
         "envoy_listener_proxy_proto_versions_v1_disallowed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        char listener[512];
        (void)snprintf(listener, sizeof(listener), TOLD("%s"), rows[i].more);
        BEGIN(.listener = listener);
        sim_expect_end(sim_ask(&s, rows[i].bytes));
        assert_int_equal(sim_origin(&s, 1)->dials, 0);
        sim_expect_metric(&s, rows[i].metric, NULL, 1);
        sim_expect_metric(&s, "envoy_listener_downstream_cx_proxy_proto_error", NULL, 1);
    }
}

CASE(without_a_header_where_that_is_allowed)
{
    BEGIN(.listener = TOLD(", allow_requests_without_proxy_protocol: true"),
          .hcm = "use_remote_address: true");
    (void)sim_ask(&s, GET);
    sim_expect(sim_upstream(&s, 1), "x-forwarded-for: 192.0.2.1\r\n");
    sim_expect_metric(&s, "envoy_listener_proxy_proto_not_found_allowed", NULL, 1);
}

/* Even where sniffing goes on after its time: a connection whose header is missing is nobody's. */
CASE(the_silent_are_closed)
{
    BEGIN(.listener = TOLD("") ", continue_on_listener_filters_timeout: true");
    struct sim_peer *c = sim_ask(&s, "PROXY TCP4 ");
    sim_advance(&s, 1000);
    sim_expect_end(c);
    sim_expect_metric(&s, "envoy_listener_downstream_pre_cx_timeout", NULL, 1);
}

CASE(policies_see_the_told_and_the_direct_address)
{
    static const struct {
        const char *principal;
        bool allowed;
    } rows[] = {
        {"remote_ip: {address_prefix: 198.51.100.0, prefix_len: 24}", true},
        {"source_ip: {address_prefix: 198.51.100.0, prefix_len: 24}", true},
        {"direct_remote_ip: {address_prefix: 198.51.100.0, prefix_len: 24}", false},
        {"direct_remote_ip: {address_prefix: 192.0.2.0, prefix_len: 24}", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        char filter[512];
        (void)snprintf(
            filter, sizeof(filter),
            "{name: rbac, typed_config: {'@type': '" TYPE
            "filters.http.rbac.v3.RBAC', rules: {policies: {p: {permissions: [{any: true}], "
            "principals: [{%s}]}}}}}",
            rows[i].principal);
        BEGIN(.listener = TOLD(""), .filters = filter);
        struct sim_peer *c = sim_ask(&s, V1 GET);
        if (rows[i].allowed) {
            sim_send(&s, sim_upstream(&s, 1), SIM_OK);
        }
        sim_expect(c, rows[i].allowed ? "200 OK" : "403 Forbidden");
    }
}

CASE(the_header_goes_out_before_the_first_byte)
{
    BEGIN(.tcp = "cluster: a", .cluster = SOCKET("V1", RAW));
    struct sim_peer *c = sim_ask(&s, "hello");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "PROXY TCP4 192.0.2.1 10.0.0.100 5000 80\r\nhello");
    sim_send(&s, o, "back");
    sim_expect(c, "back");
    sim_end(&s);
    BEGIN(.tcp = "cluster: a", .cluster = SOCKET("V2", RAW));
    (void)sim_ask(&s, "hello");
    o = sim_upstream(&s, 1);
    static const char want[] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x0a\0\0\x64\x13\x88\0\x50hello";
    assert_int_equal(buf_len(&o->got), sizeof(want) - 1);
    assert_memory_equal(buf_span(&o->got).at, want, sizeof(want) - 1);
}

CASE(what_came_in_goes_out)
{
    BEGIN(.listener = TOLD(""), .tcp = "cluster: a", .cluster = SOCKET("V1", RAW));
    (void)sim_ask(&s, V1 "hello");
    sim_expect(sim_upstream(&s, 1), V1 "hello");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_told_address_is_the_peers),
        RUN(byte_by_byte),
        RUN(version_2_and_local),
        RUN(what_is_refused),
        RUN(without_a_header_where_that_is_allowed),
        RUN(the_silent_are_closed),
        RUN(policies_see_the_told_and_the_direct_address),
        RUN(the_header_goes_out_before_the_first_byte),
        RUN(what_came_in_goes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sim: who asks, and what is believed of it. The clients of this network are 192.0.2.1. */
#include "sim/expect.h"

SIM_FILE

#define EDGE "use_remote_address: true"
#define OURS \
    "internal_address_config: {cidr_ranges: [{address_prefix: 192.0.2.0, prefix_len: 24}, {address_prefix: 10.0.0.0, prefix_len: 8}]}"

/* The first six are the examples of Envoy's documentation of x-forwarded-for, with our client's address in the place of theirs. */
static const struct row {
    const char *hcm, *sent, *remote, *has, *has_not;
} rows[] = {
    {EDGE, "x-forwarded-for: 203.0.113.128, 203.0.113.10, 203.0.113.1\r\n", "192.0.2.1",
     "x-forwarded-for: 203.0.113.128, 203.0.113.10, 203.0.113.1,192.0.2.1\r\n", "x-envoy-internal"},
    {NULL,
     "x-forwarded-for: 203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5\r\n"
     "x-envoy-external-address: 192.0.2.5\r\n",
     "192.0.2.5", "x-envoy-external-address: 192.0.2.5\r\n", "192.0.2.1\r\n"},
    {EDGE ", xff_num_trusted_hops: 2",
     "x-forwarded-for: 203.0.113.128, 203.0.113.10, 203.0.113.1\r\n", "203.0.113.10",
     "x-envoy-external-address: 203.0.113.10\r\n", "x-envoy-internal"},
    {"xff_num_trusted_hops: 2",
     "x-forwarded-for: 203.0.113.128, 203.0.113.10, 203.0.113.1, 192.0.2.5\r\n", "203.0.113.10",
     "203.0.113.1, 192.0.2.5\r\n", "x-envoy-external-address"},
    {OURS, "", "192.0.2.1", "GET", "x-envoy-"},
    {OURS, "x-forwarded-for: 10.20.30.40\r\n", "10.20.30.40", "x-envoy-internal: true\r\n",
     "x-envoy-external-address"},
    /* several lines are one list */
    {EDGE, "x-forwarded-for: 9.9.9.9\r\nx-forwarded-for: 8.8.8.8\r\n", "192.0.2.1",
     "x-forwarded-for: 9.9.9.9,8.8.8.8,192.0.2.1\r\n", "8.8.8.8\r\n"},
    {NULL, "x-forwarded-for: 9.9.9.9\r\nx-forwarded-for: 8.8.8.8\r\n", "8.8.8.8", "GET", "none"},
    {"xff_num_trusted_hops: 1", "x-forwarded-for: 9.9.9.9\r\na: b\r\nx-forwarded-for: 8.8.8.8\r\n",
     "9.9.9.9", "GET", "none"},
    /* what is not an address, or too short a list, says nothing */
    {NULL, "x-forwarded-for: 9.9.9.9, unknown\r\n", "192.0.2.1", "unknown\r\n", "none"},
    {EDGE ", xff_num_trusted_hops: 3", "x-forwarded-for: 9.9.9.9\r\n", "192.0.2.1",
     "x-envoy-external-address: 192.0.2.1\r\n", "none"},
    {EDGE ", skip_xff_append: true", "x-forwarded-for: 9.9.9.9\r\n", "192.0.2.1",
     "x-forwarded-for: 9.9.9.9\r\n", "192.0.2.1,"},
    /* IPv6 */
    {NULL, "x-forwarded-for: 2001:db8::1\r\n", "2001:db8::1", "GET", "none"},
    /* internal at an edge: from our network, and nobody before it */
    {EDGE ", " OURS, "x-envoy-retry-on: 5xx\r\nx-envoy-internal: false\r\n", "192.0.2.1",
     "x-envoy-internal: true\r\n", "false"},
    {EDGE ", " OURS, "x-envoy-retry-on: 5xx\r\n", "192.0.2.1", "x-envoy-retry-on: 5xx\r\n",
     "x-envoy-external-address"},
    {EDGE ", " OURS, "x-forwarded-for: 9.9.9.9\r\nx-envoy-internal: true\r\n", "192.0.2.1",
     "x-envoy-external-address: 192.0.2.1\r\n", "x-envoy-internal"},
    /* what only our own may say */
    {EDGE,
     "x-envoy-retry-on: 5xx\r\nx-envoy-max-retries: 9\r\nx-envoy-upstream-rq-timeout-ms: 1\r\n",
     "192.0.2.1", "GET", "x-envoy-retry"},
    {EDGE, "x-envoy-max-retries: 9\r\na: b\r\nx-envoy-max-retries: 8\r\n", "192.0.2.1", "a: b",
     "x-envoy-max-retries"},
    {NULL, "x-envoy-force-trace: 1\r\nx-envoy-downstream-service-cluster: me\r\n", "192.0.2.1",
     "x-envoy-downstream-service-cluster: me\r\n", "x-envoy-force-trace"},
    {EDGE, "x-envoy-downstream-service-cluster: me\r\nx-envoy-decorator-operation: op\r\n",
     "192.0.2.1", "GET", "x-envoy-de"},
    {EDGE, "x-envoy-original-path: /a\r\n", "192.0.2.1", "x-envoy-original-path: /a\r\n", "none"},
    {EDGE, "forwarded: for=9.9.9.9\r\nx-forwarded-host: evil\r\n", "192.0.2.1", "GET", "evil"},
    {EDGE, "forwarded: for=9.9.9.9\r\n", "192.0.2.1", "GET", "for=9.9.9.9"},
    {EDGE ", xff_num_trusted_hops: 1", "forwarded: for=9.9.9.9\r\nx-forwarded-host: ours\r\n",
     "192.0.2.1", "forwarded: for=9.9.9.9\r\nx-forwarded-host: ours\r\n", "none"},
    {NULL, "x-forwarded-host: ours\r\n", "192.0.2.1", "x-forwarded-host: ours\r\n", "none"},
    {EDGE, "x-forwarded-proto: https\r\n", "192.0.2.1", "x-forwarded-proto: http\r\n", "https"},
    {EDGE ", xff_num_trusted_hops: 1", "x-forwarded-proto: https\r\n", "192.0.2.1",
     "x-forwarded-proto: https\r\n", "proto: http\r"},
    {EDGE ", append_x_forwarded_port: true", "x-forwarded-port: 1\r\n", "192.0.2.1",
     "x-forwarded-port: 80\r\n", "port: 1\r"},
    {"append_x_forwarded_port: true", "x-forwarded-port: 1\r\n", "192.0.2.1",
     "x-forwarded-port: 1\r\n", "port: 80\r"},
    /* a request gets a new name at the edge, unless the edge believes */
    {EDGE ", xff_num_trusted_hops: 1", "x-request-id: mine\r\n", "192.0.2.1",
     "x-request-id: ", "mine"},
    {EDGE ", preserve_external_request_id: true", "x-request-id: mine\r\n", "192.0.2.1",
     "x-request-id: mine\r\n", "none"},
    {EDGE ", generate_request_id: false", "a: b\r\n", "192.0.2.1", "a: b\r\n", "x-request-id"},
    /* names that a server could take for others */
    {"common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}",
     "x_user: root\r\nx-user: me\r\nx_user: root\r\n", "192.0.2.1", "x-user: me\r\n", "root"},
    {NULL, "x_user: root\r\n", "192.0.2.1", "x_user: root\r\n", "none"},
};

CASE(who_asks_is_believed_as_far_as_told)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.hcm = rows[i].hcm, .log = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%");
        sim_origin(&s, 1)->reply = SIM_OK;
        char text[512], log[64];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nhost: h\r\n%s\r\n", rows[i].sent);
        struct sim_peer *c = sim_ask(&s, text);
        sim_expect(c, "HTTP/1.1 200");
        struct sim_peer *o = sim_upstream(&s, 1);
        print_message("row %zu: %s | %s", i, rows[i].hcm ? rows[i].hcm : "", rows[i].sent);
        sim_expect_no(o, rows[i].has_not);
        sim_expect(o, rows[i].has);
        (void)snprintf(log, sizeof(log), "%s\n", rows[i].remote);
        assert_string_equal(sim_log(&s), log);
    }
}

CASE(names_with_underscores_may_be_refused)
{
    BEGIN(.hcm = "common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}",
          .log = "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%");
    struct sim_peer *c = sim_ask(&s, "GET / HTTP/1.1\r\nhost: h\r\nx_user: root\r\n\r\n");
    sim_expect(c, "HTTP/1.1 400");
    assert_string_equal(sim_log(&s), "400 unexpected_underscore\n");
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(who_asks_is_believed_as_far_as_told),
        RUN(names_with_underscores_may_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

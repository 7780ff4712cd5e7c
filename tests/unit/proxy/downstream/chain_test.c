#include "proxy/downstream/chain.c"

#include "unit/io/io_help.h"

static struct cidr cidr(const char *text)
{
    struct cidr c;
    assert_int_equal(cidr_parse(span_of(text), &c), 0);
    return c;
}

static struct ip ip(const char *text)
{
    struct ip i;
    assert_int_equal(ip_parse(span_of(text), &i), 0);
    return i;
}

/* The listener that Istio makes for inbound traffic, in small: by port, transport and ALPN. */
static void test_inbound(void **state)
{
    UNUSED(state);
    static const struct span mesh_http[] = {{"istio-http/1.1", 14}, {"istio-h2", 8}};
    static const struct span mesh[] = {{"istio", 5}, {"istio-peer-exchange", 19}};
    static const struct span http[] = {{"http/1.1", 8}, {"h2c", 3}};
    const struct conf_chain chains[] = {
        {.name = SPAN("tls-http"),
         .match = {.transport = CONF_TRANSPORT_TLS, .alpn = mesh_http, .alpn_count = 2}},
        {.name = SPAN("raw-http"),
         .match = {.transport = CONF_TRANSPORT_RAW, .alpn = http, .alpn_count = 2}},
        {.name = SPAN("tls-tcp"),
         .match = {.transport = CONF_TRANSPORT_TLS, .alpn = mesh, .alpn_count = 2}},
        {.name = SPAN("raw-tcp"), .match = {.transport = CONF_TRANSPORT_RAW}},
        {.name = SPAN("tls-any"), .match = {.transport = CONF_TRANSPORT_TLS}},
        {.name = SPAN("9080-tls"),
         .match = {.destination_port = 9080,
                   .transport = CONF_TRANSPORT_TLS,
                   .alpn = mesh_http,
                   .alpn_count = 2}},
        {.name = SPAN("9080-raw"),
         .match = {.destination_port = 9080,
                   .transport = CONF_TRANSPORT_RAW,
                   .alpn = http,
                   .alpn_count = 2}},
    };
    const struct conf_listener listener = {.chains = chains, .chain_count = ARRAY_LEN(chains)};
    static const struct {
        uint16_t port;
        bool tls;
        const char *alpn;
        const char *want;
    } cases[] = {
        {80, true, "istio-h2", "tls-http"},
        {80, false, "http/1.1", "raw-http"},
        {80, false, "h2c", "raw-http"},
        {80, true, "istio", "tls-tcp"},
        {80, false, NULL, "raw-tcp"},
        {80, true, "h2", "tls-any"},
        {80, true, NULL, "tls-any"},
        {9080, true, "istio-http/1.1", "9080-tls"},
        {9080, false, "http/1.1", "9080-raw"},
        /* The port decides first, and no chain of that port takes this. */
        {9080, true, "h2", NULL},
        {9080, false, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span alpn = span_of(cases[i].alpn);
        struct chain_facts facts = {
            .destination_port = cases[i].port,
            .tls = cases[i].tls,
            .alpn = &alpn,
            .alpn_count = cases[i].alpn ? 1 : 0,
        };
        int found = chain_find(&listener, &facts);
        if (cases[i].want == NULL) {
            assert_int_equal(found, CHAIN_NONE);
        } else {
            assert_true(found >= 0);
            assert_true(span_is(chains[found].name, cases[i].want));
        }
    }
}

static void test_names(void **state)
{
    UNUSED(state);
    static const struct span exact[] = {{"a.example.com", 13}};
    static const struct span suffix[] = {{"*.example.com", 13}};
    static const struct span longer[] = {{"*.b.example.com", 15}};
    const struct conf_chain fallback = {.name = SPAN("default")};
    const struct conf_chain chains[] = {
        {.name = SPAN("suffix"), .match = {.server_names = suffix, .server_name_count = 1}},
        {.name = SPAN("exact"), .match = {.server_names = exact, .server_name_count = 1}},
        {.name = SPAN("longer"), .match = {.server_names = longer, .server_name_count = 1}},
    };
    const struct conf_listener listener = {
        .chains = chains, .chain_count = ARRAY_LEN(chains), .default_chain = &fallback};
    static const struct {
        const char *name;
        const char *want;
    } cases[] = {
        {"a.example.com", "exact"},    {"c.example.com", "suffix"},   {"x.b.example.com", "longer"},
        {"b.example.com", "suffix"},   {"example.com", "default"},    {"", "default"},
        {"notexample.com", "default"}, {"x.y.example.com", "suffix"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct chain_facts facts = {.server_name = span_of(cases[i].name), .tls = true};
        assert_true(
            span_is(chain_at(&listener, chain_find(&listener, &facts))->name, cases[i].want));
    }
}

static void test_addresses(void **state)
{
    UNUSED(state);
    const struct cidr wide = cidr("10.0.0.0/8"), narrow = cidr("10.1.0.0/16"),
                      from = cidr("192.168.0.0/16");
    const uint16_t ports[] = {4000};
    const struct conf_chain chains[] = {
        {.name = SPAN("wide"), .match = {.destinations = &wide, .destination_count = 1}},
        {.name = SPAN("narrow"), .match = {.destinations = &narrow, .destination_count = 1}},
        {.name = SPAN("from"),
         .match = {.destinations = &narrow,
                   .destination_count = 1,
                   .sources = &from,
                   .source_count = 1}},
        {.name = SPAN("port"),
         .match = {.destinations = &narrow,
                   .destination_count = 1,
                   .source_ports = ports,
                   .source_port_count = 1}},
        {.name = SPAN("local"), .match = {.source_local_only = true}},
    };
    const struct conf_listener listener = {.chains = chains, .chain_count = ARRAY_LEN(chains)};
    static const struct {
        const char *to, *by;
        uint16_t port;
        const char *want; /* NULL = none */
    } cases[] = {
        {"10.2.0.1", "172.16.0.1", 1, "wide"},  {"10.1.0.1", "172.16.0.1", 1, "narrow"},
        {"10.1.0.1", "192.168.3.4", 1, "from"}, {"10.1.0.1", "172.16.0.1", 4000, "port"},
        {"11.0.0.1", "127.0.0.1", 1, "local"},  {"11.0.0.1", "11.0.0.1", 1, "local"},
        {"11.0.0.1", "172.16.0.1", 1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct chain_facts facts = {.destination_ip = ip(cases[i].to),
                                    .source_ip = ip(cases[i].by),
                                    .source_port = cases[i].port};
        int found = chain_find(&listener, &facts);
        if (cases[i].want == NULL) {
            assert_int_equal(found, CHAIN_NONE);
            assert_null(chain_at(&listener, found));
        } else {
            assert_true(span_is(chain_at(&listener, found)->name, cases[i].want));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbound),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

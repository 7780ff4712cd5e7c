/* Which port of a service is meant. */
#include "cli/kube_service.c"

#include "unit/cm.h"

static void test_ports(void **state)
{
    UNUSED(state);
    static const struct {
        const char *ports;
        int64_t asked, port;
        bool is_tls;
    } cases[] = {
        {"[{port: 9080, name: http}]", 0, 9080, false},
        {"[{port: 3306}]", 0, 3306, false}, /* the only one */
        {"[{port: 15021, name: status-port}, {port: 80, name: http2}, {port: 443, name: https}]", 0,
         80, false},
        {"[{port: 15021, name: status-port}, {port: 80, name: http2}, {port: 443, name: https}]",
         443, 443, true},
        {"[{port: 9}, {port: 10, name: http-a}, {port: 11, name: http-b}]", 0, 10, false},
        {"[{port: 9, name: x}, {port: 10, name: x2, appProtocol: http}]", 0, 10, false},
        {"[{port: 9}, {port: 8443, name: tls-x}]", 8443, 8443, true},
        {"[{port: 9}, {port: 10}]", 0, 0, false},
        {"[{port: 9}]", 10, 0, false},
        {"[]", 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct doc_node *doc = NULL;
        struct err err;
        arena_init(&arena, 1024);
        const char *text = arena_printf(&arena, "spec: {ports: %s}", cases[i].ports);
        assert_int_equal(doc_parse_yaml(&arena, span_of(text), "test", &doc, &err), 0);
        struct kube_service s = {.doc = doc};
        assert_int_equal(kube_service_pick_port(&s, cases[i].asked), cases[i].port != 0);
        assert_int_equal(s.port, cases[i].port);
        assert_int_equal(s.is_tls, cases[i].is_tls);
        arena_dispose(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ports)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

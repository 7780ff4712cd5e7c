/* control/world/world: names, addresses, visibility, and whose rules and routes count. */
#include "control/world/world.c"

#include "unit/control/world/world_test.h"

static const char objects[] =
    SERVICE("reviews", "default", "clusterIP: 10.0.0.1, ports: [{port: 9080, name: http}]") SERVICE(
        "db", "default", "clusterIP: None, selector: {app: db}, ports: [{port: 5432, name: tcp}]")
        SERVICE("reviews", "prod", "clusterIP: 10.0.1.1, ports: [{port: 80, name: http}]") SERVICE_ENTRY(
            "web", "default",
            "hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, "
            "ports: [{number: 443, name: tls, protocol: TLS}]")
            SERVICE_ENTRY("wide", "default",
                          "hosts: [\"*.example.com\"], resolution: NONE, "
                          "ports: [{number: 80, name: http, protocol: HTTP}]")
                SERVICE_ENTRY("wider", "default",
                              "hosts: [\"*.com\"], resolution: NONE, exportTo: [\".\"], "
                              "ports: [{number: 80, name: http, protocol: HTTP}]")
                    SERVICE_ENTRY(
                        "mine", "default",
                        "hosts: [x.corp], exportTo: [\".\"], resolution: STATIC, addresses: [10.9.0.1], "
                        "ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]")
                        SERVICE_ENTRY(
                            "theirs", "prod",
                            "hosts: [x.corp], resolution: STATIC, addresses: [10.9.0.1, 10.8.0.0/16], "
                            "ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.2}]")
                            SERVICE_ENTRY(
                                "net", "default",
                                "hosts: [net.corp], resolution: NONE, addresses: [10.8.1.0/24], "
                                "ports: [{number: 80, name: http, protocol: HTTP}]")
                                WORKLOAD("db-1", "default", "address: 10.1.0.5, labels: {app: db}");

static void finds_hosts(void **state)
{
    static const struct {
        const char *host, *namespace, *want; /* "host namespace" */
    } rows[] = {
        {"reviews", "default", "reviews.default.svc.cluster.local default"},
        {"reviews", "prod", "reviews.prod.svc.cluster.local prod"},
        {"reviews", "other", NULL},
        {"Reviews.Prod", "default", "reviews.prod.svc.cluster.local prod"},
        {"reviews.prod.svc", "default", "reviews.prod.svc.cluster.local prod"},
        {"reviews.prod.svc.cluster.local", "x", "reviews.prod.svc.cluster.local prod"},
        {"reviews.prod.svc.cluster.local.", "x", "reviews.prod.svc.cluster.local prod"},
        {"reviews.prod.svc.cluster", "x", NULL},
        {"reviews.prod.foo", "x", NULL},
        {"10.0.1.1", "default", "reviews.prod.svc.cluster.local prod"},
        {"10.0.1.9", "default", NULL},
        {"api.example.com", "prod", "api.example.com default"},
        {"b.example.com", "prod", "*.example.com default"},
        {"a.b.example.com", "prod", "*.example.com default"},
        {"example.com", "prod", NULL}, /* "*.com" is private to default */
        {"example.com", "default", "*.com default"},
        {"com", "default", NULL},
        {"x.corp", "default", "x.corp default"},
        {"x.corp", "prod", "x.corp prod"},
        {"x.corp", "other", "x.corp prod"},
        {"", "default", NULL},
        {".", "default", NULL},
        {"..", "default", NULL},
    };
    UNUSED(state);
    struct world *w = world_test_of(objects);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct world_service *s =
            world_find_host(w, span_of(rows[i].host), span_of(rows[i].namespace));
        char text[256] = "";
        if (s != NULL) {
            (void)snprintf(text, sizeof(text), "%.*s %.*s", SPAN_ARG(s->host),
                           SPAN_ARG(s->namespace));
        }
        if (strcmp(text, rows[i].want != NULL ? rows[i].want : "") != 0) {
            print_error("%s of %s: got '%s'\n", rows[i].host, rows[i].namespace, text);
            fail();
        }
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    for (size_t len = 240; len < sizeof(longest); len++) {
        assert_null(world_find_host(w, span_from(longest, len), SPAN("default")));
    }
    world_unref(w);
}

static void finds_addresses(void **state)
{
    static const struct {
        const char *address;
        uint16_t port;
        const char *namespace, *want;
    } rows[] = {
        {"10.0.0.1", 9080, "x", "reviews.default.svc.cluster.local 9080"},
        {"10.0.0.1", 80, "x", ""},
        {"10.9.0.1", 80, "default", "x.corp 80"}, /* its own */
        {"10.9.0.1", 80, "other", "x.corp 80"},
        {"10.1.0.5", 5432, "x", "db.default.svc.cluster.local 5432"}, /* headless */
        {"10.1.0.5", 80, "x", ""},
        {"10.8.2.2", 80, "x", "x.corp 80"},
        {"10.8.1.2", 80, "x", "net.corp 80"}, /* the longer prefix */
        {"10.8.1.2", 81, "x", ""},
        {"::1", 80, "x", ""},
    };
    UNUSED(state);
    struct world *w = world_test_of(objects);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct world_port *port;
        struct ip ip = world_test_ip(rows[i].address);
        const struct world_service *s =
            world_service_at(w, &ip, rows[i].port, span_of(rows[i].namespace), &port);
        char text[256] = "";
        if (s != NULL) {
            (void)snprintf(text, sizeof(text), "%.*s %u", SPAN_ARG(s->host), port->number);
        } else {
            assert_null(port);
        }
        assert_string_equal(text, rows[i].want);
    }
    struct ip ip = world_test_ip("10.9.0.1");
    const struct world_service *s = world_service_at(w, &ip, 80, SPAN("default"), NULL);
    assert_span(s->namespace, "default");
    s = world_service_at(w, &ip, 80, SPAN("other"), NULL);
    assert_span(s->namespace, "prod");
    world_unref(w);
}

static void count_workload(void *arg, const struct world_workload *workload)
{
    UNUSED(workload);
    ++*(size_t *)arg;
}

static void finds_workloads(void **state)
{
    UNUSED(state);
    size_t count = 0;
    struct world *w = world_test_of(objects);
    struct ip ip = world_test_ip("10.1.0.5"), other = world_test_ip("10.1.0.6");
    const struct world_workload *workload = world_workload_at(w, &ip);
    assert_non_null(workload);
    assert_int_equal(workload->serve_count, 1);
    assert_int_equal(workload->serves[0].target, 5432);
    assert_span(workload->app, "db");
    assert_null(world_workload_at(w, &other));
    /* the two static endpoints of ServiceEntries are known by their addresses too */
    assert_int_equal(w->workload_count, 3);
    world_each_workload(w, count_workload, &count);
    assert_int_equal(count, 3);
    world_unref(w);
}

static void covers_hosts(void **state)
{
    static const struct {
        const char *wide, *host;
        bool covers;
    } rows[] = {
        {"*", "a", true},        {"*", "*.b", true},    {"*.b", "a.b", true},
        {"*.b", "*.a.b", true},  {"*.b", "b", false},   {"*.b", "*.b", true},
        {"*.a.b", "*.b", false}, {"a.b", "a.b", true},  {"a.b", "x.a.b", false},
        {"*.b", "ab", false},    {"a.b", "*.b", false}, {"", "", true},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(world_host_covers(span_of(rows[i].wide), span_of(rows[i].host)),
                         rows[i].covers);
    }
}

/* Whose DestinationRule counts: the client's namespace, the service's, the root's. */
static void picks_rules(void **state)
{
    static const char rules[] = SERVICE("a", "svc", "ports: [{port: 80, name: http}]")
        SERVICE("b", "svc", "ports: [{port: 80, name: http}]")
            RULE("of-client", "client", "host: a.svc.svc.cluster.local")
                RULE("of-service", "svc", "host: a")
                    RULE("private", "svc", "host: b, exportTo: [\".\"]")
                        RULE("of-root", "istio-system", "host: \"*.cluster.local\"")
                            RULE("root-own", "istio-system",
                                 "host: \"*.svc.cluster.local\", exportTo: [\".\"]");
    static const struct {
        const char *service, *client, *want;
    } rows[] = {
        {"a", "client", "of-client"},      {"a", "svc", "of-service"}, {"a", "other", "of-service"},
        {"b", "svc", "private"},           {"b", "other", "of-root"},  {"b", "client", "of-root"},
        {"a", "istio-system", "root-own"},
    };
    UNUSED(state);
    struct world *w = world_test_of(rules);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct world_service *s = world_test_service(w, rows[i].service, "svc");
        const struct world_rule *r = world_rule_for(w, s, span_of(rows[i].client));
        assert_span(r->object->name, rows[i].want);
    }
    world_unref(w);
    w = world_test_of(SERVICE("a", "svc", "ports: [{port: 80, name: a}, {port: 81, name: b}]"));
    const struct world_service *s = world_test_service(w, "a", "svc");
    const struct world_rule *r = world_rule_for(w, s, SPAN("svc"));
    assert_null(r->object);
    assert_int_equal(r->by_port[1]->lb, WORLD_LB_LEAST_REQUEST);
    assert_int_equal(r->by_port[1]->tls, WORLD_TLS_AUTO);
    world_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_hosts),     cmocka_unit_test(finds_addresses),
        cmocka_unit_test(finds_workloads), cmocka_unit_test(covers_hosts),
        cmocka_unit_test(picks_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

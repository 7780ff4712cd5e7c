/* proxy/config/ingest: what is taken, warmed, shared, removed, refused and dumped. */
#include "proxy/config/ingest.c"

#include "unit/cm.h"
#include "unit/proxy/config/ingest_help.h"

static struct bench b;

static int begin(void **state)
{
    (void)state;
    bench_begin(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    bench_end(&b);
    return 0;
}

static const char static_cluster[] =
    "[{" TYPE CLUSTER
    ", name: c, connect_timeout: 1s, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints:"
    " [{endpoint: {" AT("80") "}}, {endpoint: {" AT("81") "}, load_balancing_weight: 3}]}]}}]";
static const char eds_cluster[] =
    "[{" TYPE CLUSTER
    ", name: e, type: EDS, eds_cluster_config: {service_name: svc, eds_config: {ads: {}}}}]";
static const char endpoints[] =
    "[{" TYPE ENDPOINTS ", cluster_name: svc, endpoints: [{locality: {region: r, zone: z},"
    " priority: 1, lb_endpoints: [{endpoint: {" AT(
        "90") "}, health_status: UNHEALTHY,"
              " metadata: {filter_metadata: {envoy.transport_socket_match: {tlsMode: istio},"
              " istio: {workload: 'w;ns;app;v1;cl'}}}}]}]}]";
static const char tcp_listener[] =
    "[{" TYPE LISTENER ", name: l, " AT("1") ", filter_chains: [" TCP_CHAIN("c") "]}]";
static const char rds_listener[] =
    "[{" TYPE LISTENER ", name: l, " AT("1") ", filter_chains: [" HTTP_CHAIN(RDS("r")) "]}]";
static const char routes[] =
    "[{" TYPE ROUTES ", name: r, virtual_hosts: [{name: v, domains: ['*'], routes: [{name: one,"
    " match: {prefix: /}, route: {cluster: c}}]}]}]";

static void takes_clusters_and_listeners(void **state)
{
    (void)state;
    bench_apply(&b, static_cluster, "1");
    bench_apply(&b, tcp_listener, "1");
    assert_int_equal(b.snapshots, 0);
    bench_settle(&b);
    assert_int_equal(b.snapshots, 1);
    assert_true(ingest_is_complete(b.ingest));
    const struct conf_cluster *c = bench_cluster(&b, "c");
    assert_int_equal(c->connect_ms, 1000);
    assert_int_equal(c->limits[0].connections, 1024);
    assert_int_equal(c->limits[1].retries, 3);
    const struct conf_endpoints *e = b.snapshot->endpoints[c->slot];
    assert_int_equal(e->count, 2);
    assert_int_equal(e->items[1].weight, 3);
    assert_int_equal(e->items[1].addr.port, 81);
    const struct conf_listener *l = bench_listener(&b, "l");
    assert_int_equal(l->chain_count, 1);
    assert_int_equal(l->chains[0].tcp->clusters[0].slot, c->slot);
    assert_int_equal(l->chains[0].tcp->idle_ms, 3600000);
    assert_true(l->bind && l->reuse_port);
}

static void one_snapshot_a_turn_shares_what_stays(void **state)
{
    (void)state;
    bench_apply(&b, static_cluster, "1");
    bench_apply(&b, tcp_listener, "1");
    bench_settle(&b);
    const struct conf_listener *before = bench_listener(&b, "l");
    /* The same bytes again: nothing happens, under whatever version. */
    bench_apply(&b, static_cluster, "2");
    bench_apply(&b, tcp_listener, "2");
    bench_settle(&b);
    assert_int_equal(b.snapshots, 1);
    bench_apply(&b, "[{" TYPE CLUSTER ", name: c, connect_timeout: 2s}]", "3");
    bench_apply(&b, "[{" TYPE CLUSTER ", name: d}]", "4");
    bench_settle(&b);
    assert_int_equal(b.snapshots, 2);
    assert_ptr_equal(bench_listener(&b, "l"), before);
    assert_int_equal(bench_cluster(&b, "c")->connect_ms, 2000);
    assert_int_equal(b.snapshot->endpoints[bench_cluster(&b, "c")->slot]->count, 0);
    assert_int_equal(b.snapshot->number, 2);
}

static void waits_for_what_is_mentioned(void **state)
{
    (void)state;
    bench_apply(&b, rds_listener, "1");
    bench_apply(&b, eds_cluster, "1");
    assert_string_equal(b.interest, "+routes:r +endpoints:svc ");
    bench_settle(&b);
    assert_int_equal(b.snapshots, 0);
    assert_false(ingest_is_complete(b.ingest));
    bench_apply(&b, routes, "1");
    bench_settle(&b);
    const struct conf_listener *l = bench_listener(&b, "l");
    uint32_t slot = l->chains[0].http->route_slot;
    assert_span(route_table_name(b.snapshot->routes[slot]->table), "r");
    assert_null(bench_cluster(&b, "e"));
    assert_false(ingest_is_complete(b.ingest));
    bench_apply(&b, endpoints, "1");
    bench_settle(&b);
    assert_true(ingest_is_complete(b.ingest));
    const struct conf_endpoint *e = b.snapshot->endpoints[bench_cluster(&b, "e")->slot]->items;
    assert_int_equal(e->health, CONF_UNHEALTHY);
    assert_int_equal(e->priority, 1);
    assert_span(e->region, "r");
    assert_span(e->labels[0].name, "tlsMode");
    assert_span(e->labels[0].value, "istio");
    assert_span(e->workload, "w");
    assert_span(e->workload_namespace, "ns");
    assert_span(e->app, "app");
    assert_span(e->version, "v1");
    assert_span(e->cluster_id, "cl");
}

static void keeps_the_old_until_the_new_is_warm(void **state)
{
    (void)state;
    bench_apply(&b, tcp_listener, "1");
    bench_settle(&b);
    bench_apply(&b, rds_listener, "2");
    bench_settle(&b);
    assert_non_null(bench_listener(&b, "l")->chains[0].tcp);
    assert_false(ingest_is_complete(b.ingest));
    /* A newer one takes the place of the one that waits. */
    bench_apply(&b,
                "[{" TYPE LISTENER
                ", name: l, " AT("1") ", filter_chains: [" HTTP_CHAIN(RDS("s")) "]}]",
                "3");
    bench_settle(&b);
    assert_string_equal(b.interest, "+routes:r +routes:s -routes:r ");
    assert_non_null(bench_listener(&b, "l")->chains[0].tcp);
    bench_remove(&b, ROUTES, "s"); /* the control plane has none: no reason to wait */
    bench_settle(&b);
    assert_non_null(bench_listener(&b, "l")->chains[0].http);
    assert_true(ingest_is_complete(b.ingest));
}

static void stops_waiting_after_a_while(void **state)
{
    (void)state;
    bench_apply(&b, rds_listener, "1");
    bench_settle(&b);
    bench_advance(&b, INGEST_WARM_MS - 1);
    assert_int_equal(b.snapshots, 0);
    bench_advance(&b, 2);
    assert_non_null(bench_listener(&b, "l"));
    assert_true(ingest_is_complete(b.ingest));
}

static void forgets_what_nobody_mentions(void **state)
{
    (void)state;
    bench_apply(&b, rds_listener, "1");
    bench_apply(&b, routes, "1");
    bench_settle(&b);
    b.interest[0] = '\0';
    bench_apply(&b, tcp_listener, "2");
    bench_settle(&b);
    assert_string_equal(b.interest, "-routes:r ");
    for (size_t i = 0; i < b.snapshot->slots; i++) {
        assert_null(b.snapshot->routes[i]);
    }
}

static void removes_by_name_and_by_omission(void **state)
{
    (void)state;
    struct err err = {0};
    bench_apply(&b,
                "[{" TYPE CLUSTER ", name: a}, {" TYPE CLUSTER ", name: b}, {" TYPE CLUSTER
                ", name: c}]",
                "1");
    bench_apply(&b, "[{" TYPE CLUSTER ", name: s}]", "");
    bench_settle(&b);
    bench_remove(&b, CLUSTER, "a");
    bench_settle(&b);
    assert_null(bench_cluster(&b, "a"));
    assert_non_null(bench_cluster(&b, "b"));
    assert_int_equal(bench_try(&b, "[{" TYPE CLUSTER ", name: c}]", "2", true, &err), 0);
    bench_settle(&b);
    assert_null(bench_cluster(&b, "b"));
    assert_non_null(bench_cluster(&b, "c"));
    assert_non_null(bench_cluster(&b, "s")); /* static */
    /* A static one is not replaced either. */
    bench_apply(&b, "[{" TYPE CLUSTER ", name: s, connect_timeout: 9s}]", "3");
    bench_settle(&b);
    assert_int_equal(bench_cluster(&b, "s")->connect_ms, 5000);
}

static void refuses_all_or_nothing(void **state)
{
    (void)state;
    struct err err = {0};
    bench_apply(&b, static_cluster, "1");
    bench_settle(&b);
    assert_int_equal(bench_try(&b,
                               "[{" TYPE CLUSTER ", name: good}, {" TYPE CLUSTER
                               ", name: c, connect_timeout: -1s}]",
                               "2", false, &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text,
                        "cluster 'c': 'connect_timeout' is -1 s and 0 ns; use 0 s to 100 years");
    bench_settle(&b);
    assert_int_equal(b.snapshots, 1);
    assert_null(bench_cluster(&b, "good"));
    assert_int_equal(bench_cluster(&b, "c")->connect_ms, 1000);
    assert_int_equal(bench_try(&b, "[{" TYPE CLUSTER ", name: x}, {" TYPE CLUSTER ", name: x}]",
                               "2", false, &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "cluster 'x' comes twice");
    struct ingest_resource wrong = {
        .type_url = SPAN(LISTENER), .version = SPAN("1"), .value = SPAN("\x0a\x01x")};
    assert_int_equal(ingest_apply(b.ingest, &wrong, 1, SPAN(CLUSTER), NULL, 0, false, &err),
                     -ERR_CONFIG);
    assert_int_equal(ingest_apply(b.ingest, &wrong, 1, SPAN("x.Y"), NULL, 0, false, &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "type 'x.Y' is not known");
    struct ingest_resource broken = {.version = SPAN("1"), .value = SPAN("\x0a\x01x\xff")};
    assert_int_equal(ingest_apply(b.ingest, &broken, 1, SPAN(CLUSTER), NULL, 0, false, &err),
                     -ERR_CONFIG);
    struct ingest_resource misnamed = {
        .name = SPAN("y"), .version = SPAN("1"), .value = SPAN("\x0a\x01x")};
    assert_int_equal(ingest_apply(b.ingest, &misnamed, 1, SPAN(CLUSTER), NULL, 0, false, &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "cluster 'x' came under the name 'y'");
}

/* ---- secrets ---- */

static const char sds_cluster[] =
    "[{" TYPE CLUSTER ", name: c, transport_socket: {name: tls, typed_config: {" TYPE
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: s.example, common_tls_context: {alpn_protocols:"
    " [istio, h2], tls_certificate_sds_secret_configs: [{name: default, sds_config: {ads: {}}}],"
    " combined_validation_context: {default_validation_context: {match_typed_subject_alt_names: [{san_type: URI, matcher:"
    " {exact: 'spiffe://td/ns/a/sa/b'}}]}, validation_context_sds_secret_config: {name: ROOTCA, sds_config: {ads: {}}}}}}}}]";
static const char secrets[] =
    "[{" TYPE SECRET
    ", name: default, tls_certificate: {certificate_chain: {inline_string: CHAIN}, private_key:"
    " {inline_string: PRIVATE-KEY}}}, {" TYPE SECRET
    ", name: ROOTCA, validation_context: {trusted_ca: {inline_string: ROOTS}}}]";

/* What CHAIN stands for, as bytes. */
static const char *pem_of(unsigned which)
{
    char *text = arena_strdup(&b.arena, b.pem[which] + 1);
    char *to = text;
    for (const char *from = text; *from != '"'; from++) {
        bool is_end = from[0] == '\\' && from[1] == 'n';
        *to++ = is_end ? '\n' : *from;
        from += is_end;
    }
    *to = '\0';
    return text;
}

static void takes_secrets_by_name(void **state)
{
    (void)state;
    bench_apply(&b, sds_cluster, "1");
    assert_string_equal(b.interest, "+secret:default +secret:ROOTCA ");
    bench_apply(&b, secrets, "1");
    bench_settle(&b);
    const struct conf_tls *tls = bench_cluster(&b, "c")->tls;
    assert_span(tls->sni, "s.example");
    assert_int_equal(tls->alpn_count, 2);
    assert_int_equal(tls->peer_mode, TLS_PEER_REQUIRED);
    assert_int_equal(tls->allowed_count, 1);
    assert_span(tls->allowed[0].text, "spiffe://td/ns/a/sa/b");
    assert_span(b.snapshot->secrets[tls->identity_slot]->chain_pem, pem_of(0));
    assert_span(b.snapshot->secrets[tls->trust_slot]->trust[0].roots_pem, pem_of(0));
}

static void keeps_a_secret_in_use_until_its_successor_comes(void **state)
{
    (void)state;
    bench_apply(&b, sds_cluster, "1");
    bench_apply(&b, secrets, "1");
    bench_settle(&b);
    const struct conf_tls *tls = bench_cluster(&b, "c")->tls;
    const struct conf_secret *first = b.snapshot->secrets[tls->identity_slot];
    assert_non_null(first);
    bench_remove(&b, SECRET, "default");
    bench_settle(&b);
    assert_ptr_equal(b.snapshot->secrets[tls->identity_slot], first);
    bench_remove(&b, CLUSTER, "c"); /* and goes with the last that uses it */
    bench_settle(&b);
    for (size_t i = 0; i < b.snapshot->slots; i++) {
        assert_null(b.snapshot->secrets[i]);
    }
}

static void needs_no_interest_in_static_secrets(void **state)
{
    (void)state;
    bench_apply(&b, secrets, "");
    bench_apply(&b, sds_cluster, "1");
    bench_settle(&b);
    assert_string_equal(b.interest, "");
    assert_non_null(bench_cluster(&b, "c"));
    bench_remove(&b, CLUSTER, "c");
    bench_apply(&b, sds_cluster, "2");
    bench_settle(&b);
    assert_non_null(bench_cluster(&b, "c"));
}

static void keeps_the_old_secret_when_the_new_is_broken(void **state)
{
    (void)state;
    static const struct {
        const char *config, *why;
    } cases[] = {
        {"[{" TYPE SECRET
         ", name: default, tls_certificate: {certificate_chain: {inline_string: CHAIN},"
         " private_key: {inline_string: nonsense}}}]",
         "secret 'default': tls_certificate: "},
        {"[{" TYPE SECRET
         ", name: default, tls_certificate: {certificate_chain: {inline_string: nonsense},"
         " private_key: {inline_string: PRIVATE-KEY}}}]",
         "secret 'default': tls_certificate: "},
        {"[{" TYPE SECRET
         ", name: ROOTCA, validation_context: {trusted_ca: {inline_string: nonsense}}}]",
         "secret 'ROOTCA': validation_context: trusted_ca: "},
    };
    bench_apply(&b, sds_cluster, "1");
    bench_apply(&b, secrets, "1");
    bench_settle(&b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        assert_int_equal(bench_try(&b, cases[i].config, "2", false, &err), -ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].why));
        assert_null(strstr(err.text, "nonsense"));
    }
    bench_settle(&b);
    assert_int_equal(b.snapshots, 1);
    /* A key that is not the certificate's. */
    const char *key = b.pem[1];
    bench_make_pem(&b);
    b.pem[1] = key;
    struct err err = {0};
    assert_int_equal(bench_try(&b, secrets, "3", false, &err), -ERR_CONFIG);
}

/* ---- memory ---- */

static void stays_flat_over_many_pushes(void **state)
{
    (void)state;
    struct arena keep = b.arena;
    size_t before = 0;
    bench_apply(&b, static_cluster, "0");
    bench_apply(&b, rds_listener, "0");
    bench_apply(&b, routes, "0");
    bench_apply(&b, sds_cluster, "0");
    bench_apply(&b, secrets, "0");
    bench_settle(&b);
    (void)keep;
    for (unsigned i = 0; i < 10000; i++) {
        char text[1024];
        char version[16];
        struct arena saved = b.arena;
        arena_init(&b.arena, 65536);
        (void)snprintf(version, sizeof(version), "%u", i);
        (void)snprintf(text, sizeof(text), "[{" TYPE CLUSTER ", name: c%u, connect_timeout: %us}]",
                       i % 10, i % 7 + 1);
        bench_apply(&b, text, version);
        (void)snprintf(text, sizeof(text),
                       "[{" TYPE ROUTES
                       ", name: r, virtual_hosts: [{name: v, domains: ['*'], routes: [{match:"
                       " {prefix: /%u}, route: {cluster: c%u}}]}]}]",
                       i, i % 10);
        bench_apply(&b, text, version);
        struct err err;
        (void)snprintf(text, sizeof(text), "[{" TYPE LISTENER ", name: bad%u}]", i % 3);
        assert_int_equal(bench_try(&b, text, version, false, &err), -ERR_CONFIG);
        if (i % 50 == 0) {
            bench_remove(&b, CLUSTER, "c5");
        }
        bench_settle(&b);
        arena_dispose(&b.arena);
        b.arena = saved;
        if (i == 100) {
            before = mem_live_bytes();
        }
    }
    assert_true(mem_live_bytes() < before + 8192);
    assert_true(b.snapshots > 9000);
}

static void frees_a_snapshot_with_its_last_holder(void **state)
{
    (void)state;
    bench_apply(&b, static_cluster, "1");
    bench_settle(&b);
    struct snapshot *old = b.snapshot;
    snapshot_get(old);
    bench_apply(&b, "[{" TYPE CLUSTER ", name: c, connect_timeout: 2s}]", "2");
    bench_settle(&b);
    assert_ptr_not_equal(b.snapshot, old);
    for (size_t i = 0; i < old->slots; i++) {
        assert_true(!old->clusters[i] || old->clusters[i]->connect_ms == 1000);
    }
    ingest_snapshot_done(b.ingest, old);
}

/* ---- the dump ---- */

static const char *dump(const char *mask, bool with_endpoints)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(ingest_config_dump(b.ingest, span_of(mask), with_endpoints, &out), 0);
    char *text = arena_strdup(&b.arena, buf_cstr(&out));
    buf_dispose(&out);
    struct doc_node *doc = NULL;
    struct err err = {0};
    if (doc_parse_json(&b.arena, span_of(text), "dump", &doc, &err) != 0) {
        print_error("%s\n%s\n", err.text, text);
        fail();
    }
    assert_non_null(doc_get(doc, "configs"));
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        print_error("no '%s' in\n%s\n", part, text);
        fail();
    }
}

static void dumps_as_envoy_does(void **state)
{
    (void)state;
    struct err err = {0};
    bench_apply(&b, "[{" TYPE CLUSTER ", name: fixed}]", "");
    bench_apply(&b, secrets, "7");
    bench_apply(&b, sds_cluster, "7");
    bench_apply(&b, eds_cluster, "7");
    bench_apply(&b, endpoints, "7");
    bench_apply(&b, rds_listener, "7");
    bench_apply(&b, routes, "7");
    bench_settle(&b);
    assert_int_equal(bench_try(&b, "[{" TYPE LISTENER ", name: l, " AT("1") "}]", "8", false, &err),
                     -ERR_CONFIG);
    const char *text = dump("", false);
    assert_has(text, "type.googleapis.com/envoy.admin.v3.ListenersConfigDump");
    assert_has(text, "\"dynamic_listeners\"");
    assert_has(text, "\"active_state\"");
    assert_has(text, "\"version_info\": \"7\"");
    assert_has(text, "\"last_updated\": \"2023-11-14T22:13:20Z\"");
    assert_has(text, "\"error_state\"");
    assert_has(text, "\"failed_configuration\"");
    assert_has(text, "\"details\": \"listener 'l': there is no filter chain\"");
    assert_has(text, "\"NACKED\"");
    assert_has(text, "type.googleapis.com/envoy.admin.v3.ClustersConfigDump");
    assert_has(text, "\"static_clusters\"");
    assert_has(text, "\"dynamic_active_clusters\"");
    assert_has(text, "type.googleapis.com/envoy.admin.v3.RoutesConfigDump");
    assert_has(text, "\"dynamic_route_configs\"");
    assert_has(text, "type.googleapis.com/envoy.admin.v3.SecretsConfigDump");
    assert_has(text, "[redacted]");
    assert_null(strstr(text, "PRIVATE KEY"));
    assert_null(strstr(text, "UFJJVkFURS")); /* "PRIVATE" in base64 */
    assert_null(strstr(text, "EndpointsConfigDump"));
    assert_has(dump("", true), "\"dynamic_endpoint_configs\"");
    assert_null(strstr(dump("", true), "\"static_endpoint_configs\""));
    bench_apply(&b, static_cluster, "9");
    bench_settle(&b);
    assert_has(dump("", true), "\"static_endpoint_configs\"");
    text = dump("dynamic_active_clusters", false);
    assert_has(text, "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster");
    assert_null(strstr(text, "Listener"));
}

static void dumps_inline_routes_and_skipped_extensions(void **state)
{
    (void)state;
    bench_apply(
        &b,
        "[{" TYPE LISTENER ", name: l, " AT(
            "1") ", filter_chains: [{filters: [{name: http, typed_config: {" TYPE HCM
                 ", stat_prefix: h, route_config: {name: inline-one, virtual_hosts: []}, http_filters: [{name:"
                 " my.filter, is_optional: true, typed_config: {" TYPE
                 "google.protobuf.Duration, value: 1s}}, " ROUTER "]}}]}]}]",
        "1");
    bench_settle(&b);
    const char *text = dump("", false);
    assert_has(text, "\"static_route_configs\"");
    assert_has(text, "inline-one");
    assert_has(text, "\"mesh_skipped\"");
    assert_has(text, "{\"listener\": \"l\", \"skipped\": [\"my.filter\"]}");
    struct buf small;
    buf_init(&small, 100);
    assert_int_equal(ingest_config_dump(b.ingest, SPAN_EMPTY, false, &small), -ERR_LIMIT);
    buf_dispose(&small);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        T(takes_clusters_and_listeners),
        T(one_snapshot_a_turn_shares_what_stays),
        T(waits_for_what_is_mentioned),
        T(keeps_the_old_until_the_new_is_warm),
        T(stops_waiting_after_a_while),
        T(forgets_what_nobody_mentions),
        T(removes_by_name_and_by_omission),
        T(refuses_all_or_nothing),
        T(takes_secrets_by_name),
        T(keeps_a_secret_in_use_until_its_successor_comes),
        T(needs_no_interest_in_static_secrets),
        T(keeps_the_old_secret_when_the_new_is_broken),
        T(stays_flat_over_many_pushes),
        T(frees_a_snapshot_with_its_last_holder),
        T(dumps_as_envoy_does),
        T(dumps_inline_routes_and_skipped_extensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

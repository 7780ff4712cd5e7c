/* proxy/config: what the readers make of listeners, clusters, endpoints and secrets as Envoy and Istio write
 * them, and what they refuse, by name. */
#include "proxy/config/resource.c"

#include "io/sockopt.h"
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

static void expect_refusal(const char *yaml, const char *why)
{
    struct err err = {0};
    int rc = bench_try(&b, yaml, "1", false, &err);
    if (rc != -ERR_CONFIG || !strstr(err.text, why)) {
        print_error("%s\n got %d '%s'\n want '%s'\n", yaml, rc, err.text, why);
        fail();
    }
}

/* ---- listeners ---- */

/* The outline of what Istio sends to a sidecar: a captured inbound listener with inspectors, mutual TLS chains
 * per ALPN, network and HTTP authorization, telemetry filters, and a pass-through chain. */
static const char istio_inbound[] =
    "[{" TYPE LISTENER ", name: virtualInbound, traffic_direction: INBOUND,"
    " address: {socket_address: {address: 0.0.0.0, port_value: 15006}},"
    " continue_on_listener_filters_timeout: true, listener_filters_timeout: 0s,"
    " listener_filters: ["
    "{name: envoy.filters.listener.original_dst, typed_config: {" TYPE
    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst}},"
    "{name: envoy.filters.listener.tls_inspector, typed_config: {" TYPE
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}, filter_disabled: {or_match: {rules:"
    " [{destination_port_range: {start: 3306, end: 3307}}, {or_match: {rules: [{destination_port_range:"
    " {start: 25, end: 26}}]}}]}}},"
    "{name: envoy.filters.listener.http_inspector, typed_config: {" TYPE
    "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}],"
    " access_log: [{name: envoy.access_loggers.file, filter: {response_flag_filter: {flags: [NR]}}, typed_config: {" TYPE
    "envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/stdout, log_format: {text_format_source:"
    " {inline_string: '[%START_TIME%]'}}}}],"
    " filter_chains: [{name: inbound, filter_chain_match: {destination_port: 8080, transport_protocol: tls,"
    " server_names: ['*.Example.com', a.b], application_protocols: [istio, istio-peer-exchange, istio-http/1.1],"
    " prefix_ranges: [{address_prefix: 10.0.0.1, prefix_len: 32}], source_type: EXTERNAL, source_ports: [7],"
    " source_prefix_ranges: [{address_prefix: '::', prefix_len: 0}]},"
    " transport_socket: {name: envoy.transport_sockets.tls, typed_config: {" TYPE
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, require_client_certificate: true,"
    " common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_2, cipher_suites: [ECDHE-ECDSA-AES256-GCM-SHA384]},"
    " tls_certificate_sds_secret_configs: [{name: default}], combined_validation_context: {default_validation_context:"
    " {match_subject_alt_names: [{prefix: 'spiffe://td/'}]}, validation_context_sds_secret_config: {name: ROOTCA}},"
    " alpn_protocols: [h2, http/1.1]}}},"
    " filters: [{name: istio.metadata_exchange, typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct,"
    " type_url: type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, value: {protocol: istio-peer-exchange}}},"
    "{name: envoy.filters.network.rbac, typed_config: {" TYPE
    "envoy.extensions.filters.network.rbac.v3.RBAC, stat_prefix: tcp., rules: {action: DENY, policies: {p: {permissions:"
    " [{destination_port: 9}], principals: [{any: true}]}}}}},"
    "{name: envoy.filters.network.http_connection_manager, typed_config: {" TYPE HCM
    ", stat_prefix: inbound_0.0.0.0_8080,"
    " server_name: istio-envoy, normalize_path: true, path_with_escaped_slashes_action: KEEP_UNCHANGED,"
    " forward_client_cert_details: APPEND_FORWARD, set_current_client_cert_details: {subject: true, dns: true, uri: true},"
    " upgrade_configs: [{upgrade_type: websocket}], tracing: {client_sampling: {value: 100}, random_sampling: {value: 1},"
    " overall_sampling: {value: 100}}, stream_idle_timeout: 0s, use_remote_address: false,"
    " request_id_extension: {typed_config: {" TYPE
    "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig}},"
    "";
static const char istio_inbound_rest[] =
    " route_config: {name: 'inbound|8080||', validate_clusters: false, virtual_hosts: [{name: 'inbound|http|8080',"
    " domains: ['*'], routes: [{name: default, match: {prefix: /}, decorator: {operation: 'a:8080/*'},"
    " route: {cluster: 'inbound|8080||', timeout: 0s, max_stream_duration: {max_stream_duration: 0s,"
    " grpc_timeout_header_max: 0s}}}]}]},"
    " http_filters: [{name: istio.metadata_exchange, typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct,"
    " type_url: type.googleapis.com/io.istio.http.peer_metadata.Config, value: {}}},"
    "{name: envoy.filters.http.rbac, typed_config: {" TYPE
    "envoy.extensions.filters.http.rbac.v3.RBAC, rules: {policies:"
    " {'ns[a]-policy[b]-rule[0]': {permissions: [{and_rules: {rules: [{any: true}]}}], principals: [{and_ids: {ids:"
    " [{or_ids: {ids: [{authenticated: {principal_name: {exact: 'spiffe://td/ns/a/sa/b'}}}]}}]}}]}}},"
    " shadow_rules_stat_prefix: istio_dry_run_allow_}},"
    "{name: envoy.filters.http.grpc_stats, typed_config: {" TYPE
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig}},"
    "{name: istio.alpn, typed_config: {" TYPE
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig}},"
    "{name: envoy.filters.http.fault, typed_config: {" TYPE
    "envoy.extensions.filters.http.fault.v3.HTTPFault}},"
    "{name: envoy.filters.http.cors, typed_config: {" TYPE
    "envoy.extensions.filters.http.cors.v3.Cors}},"
    "{name: istio.stats, typed_config: {'@type': type.googleapis.com/stats.PluginConfig, disable_host_header_fallback: true}}," ROUTER
    "]}}]}],"
    " default_filter_chain: {name: virtualInbound-blackhole, filters: [{name: envoy.filters.network.tcp_proxy, typed_config:"
    " {" TYPE TCP ", stat_prefix: BlackHoleCluster, cluster: BlackHoleCluster}}]}}]";

static void reads_a_listener_of_istio(void **state)
{
    (void)state;
    bench_apply(&b, arena_printf(&b.arena, "%s%s", istio_inbound, istio_inbound_rest), "1");
    bench_advance(&b, 20000);
    const struct conf_listener *l = bench_listener(&b, "virtualInbound");
    assert_int_equal(l->direction, CONF_INBOUND);
    assert_true(l->original_dst_filter && l->tls_inspector && l->http_inspector);
    assert_int_equal(l->sniff_ms, 0);
    assert_true(l->continue_on_sniff_timeout);
    assert_int_equal(l->tls_inspector_off_count, 2);
    assert_int_equal(l->tls_inspector_off[0].start, 3306);
    assert_int_equal(l->tls_inspector_off[1].end, 26);
    assert_int_equal(l->logs[0].only_flag_count, 1);
    assert_span(l->logs[0].format, "[%START_TIME%]");
    assert_int_equal(l->skipped_count, 0);
    assert_span(l->default_chain->tcp->clusters[0].name, "BlackHoleCluster");

    const struct conf_chain *c = &l->chains[0];
    assert_int_equal(c->match.destination_port, 8080);
    assert_int_equal(c->match.transport, CONF_TRANSPORT_TLS);
    assert_span(c->match.server_names[0], "*.example.com");
    assert_int_equal(c->match.alpn_count, 3);
    assert_int_equal(c->match.destinations[0].bits, 32);
    assert_int_equal(c->match.source_ports[0], 7);
    assert_int_equal(c->match.sources[0].ip.family, 6);
    assert_true(c->match.source_external_only);
    assert_int_equal(c->network_rbac_count, 1);
    assert_true(c->network_rbac[0].deny);

    const struct conf_tls *tls = c->tls;
    assert_true(tls->server);
    assert_int_equal(tls->peer_mode, TLS_PEER_REQUIRED);
    assert_int_equal(tls->min_version, 0x0303);
    assert_int_equal(tls->allowed_count, 3); /* any kind of name */
    assert_int_not_equal(tls->identity_slot, SLOT_NONE);
    assert_int_not_equal(tls->trust_slot, tls->identity_slot);

    const struct conf_http *h = c->http;
    assert_span(h->server_name, "istio-envoy");
    assert_int_equal(h->rbac_count, 1);
    assert_span(h->rbac[0].name, "envoy.filters.http.rbac");
    assert_non_null(h->rbac[0].rules);
    assert_null(h->rbac[0].shadow);
    assert_int_equal(h->xfcc, CONF_XFCC_APPEND_FORWARD);
    assert_true(h->xfcc_uri && h->xfcc_dns && h->xfcc_subject && !h->xfcc_cert);
    assert_true(h->websocket && h->normalize_path && h->generate_request_id && h->tracing);
    assert_true(h->sampling > 0.0099 && h->sampling < 0.0101);
    assert_int_equal(h->stream_idle_ms, 0);
    assert_int_equal(h->idle_ms, 3600000);
    assert_int_equal(h->max_request_headers_kb, 60);
    assert_int_equal(h->route_slot, SLOT_NONE);
    assert_span(h->route_name, "inbound|8080||");
}

static void reads_other_listeners(void **state)
{
    (void)state;
    bench_apply(
        &b,
        "[{" TYPE LISTENER ", name: out, " AT(
            "15001") ", use_original_dst: true, traffic_direction: OUTBOUND,"
                     " additional_addresses: [{address: {socket_address: {address: '::1', port_value: 15001}}}],"
                     " filter_chains: [" TCP_CHAIN(
                         "PassthroughCluster") "]},"
                                               "{" TYPE LISTENER ", name: unbound, " AT(
                                                   "80") ", bind_to_port: false, enable_reuse_port: false,"
                                                         " transparent: true, filter_chains: [" TCP_CHAIN(
                                                             "x") "]},"
                                                                  "{" TYPE LISTENER
                                                                  ", name: old, " AT("80") ", deprecated_v1: {bind_to_port: false}, filter_chains: [" TCP_CHAIN(
                                                                      "x") "]},"
                                                                           "{" TYPE LISTENER
                                                                           ", name: pipe, address: {pipe: {path: /run/x.sock}}, socket_options: [{level: 6, name: 1,"
                                                                           " int_value: 1}], filter_chains: [{filters: [{name: t, typed_config: {" TYPE TCP
                                                                           ", stat_prefix: t,"
                                                                           " weighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 3}]}, idle_timeout: 0s,"
                                                                           " max_connect_attempts: 4}}]}]}]",
        "1");
    bench_settle(&b);
    assert_true(bench_listener(&b, "out")->use_original_dst);
    assert_int_equal(bench_listener(&b, "out")->more_addrs[0].ip.family, 6);
    assert_int_equal(bench_listener(&b, "out")->sniff_ms, 15000);
    const struct conf_listener *l = bench_listener(&b, "unbound");
    assert_true(!l->bind && !l->reuse_port && l->transparent);
    assert_false(bench_listener(&b, "old")->bind);
    l = bench_listener(&b, "pipe");
    assert_int_equal(l->addr.kind, ADDR_UNIX);
    assert_span(l->skipped[0], "socket_options");
    assert_int_equal(l->chains[0].tcp->total_weight, 4);
    assert_int_equal(l->chains[0].tcp->idle_ms, 0);
    assert_int_equal(l->chains[0].tcp->connect_attempts, 4);
}

#define L(text) "[{" TYPE LISTENER ", name: x, " text "}]"
#define LC(text) L(AT("1") ", filter_chains: [{" text "}]")
#define LF(text) LC("filters: [" text "]")
#define LH(text)                            \
    LF("{name: h, typed_config: {" TYPE HCM \
       ", stat_prefix: s, route_config: {name: r}, http_filters: [" ROUTER "], " text "}}")
#define LHF(text)                           \
    LF("{name: h, typed_config: {" TYPE HCM \
       ", stat_prefix: s, route_config: {name: r}, http_filters: [" text "]}}")
#define UNKNOWN_FILTER                                          \
    "{name: envoy.filters.http.jwt_authn, typed_config: {" TYPE \
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication}}"

static void refuses_listeners_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *why;
    } cases[] = {
        {"[{" TYPE LISTENER ", " AT("1") "}]", "listener '': name is empty"},
        {L("filter_chains: []"), "listener 'x': address is missing"},
        {L("address: {socket_address: {address: localhost, port_value: 1}}"),
         "address 'localhost' is not an IP address"},
        {L("address: {socket_address: {address: 1.1.1.1, port_value: 70000}}"),
         "port_value is 70000"},
        {L("address: {socket_address: {address: 1.1.1.1, protocol: UDP}}"),
         "needs the listener filter udp_proxy"},
        {L("address: {envoy_internal_address: {server_listener_name: i}}"),
         "address: a listener can not have an internal one"},
        {L(AT("1")), "there is no filter chain"},
        {L(AT("1") ", api_listener: {}"), "'api_listener' is not supported"},
        {L(AT("1") ", internal_listener: {}"), "address: an internal_listener has none"},
        {L(AT("1") ", filter_chains: [" TCP_CHAIN("a") ", " TCP_CHAIN("b") "]"),
         "filter chain 1 has the same filter_chain_match as 0"},
        {LC("filters: []"),
         "filter chain 0: filters: the last must be http_connection_manager or tcp_proxy"},
        {LC("name: nn, filters: []"), "filter chain 0 'nn': filters"},
        {LC("use_proxy_proto: true"), "use_proxy_proto"},
        {LC("filter_chain_match: {transport_protocol: quic}"),
         "filter_chain_match: transport_protocol 'quic'"},
        {LC("filter_chain_match: {server_names: ['a.*']}"), "server_names: 'a.*'"},
        {LC("filter_chain_match: {prefix_ranges: [{address_prefix: x}]}"),
         "prefix_ranges: address_prefix 'x'"},
        {LC("filter_chain_match: {address_suffix: x}"), "address_suffix"},
        {LC("filter_chain_match: {direct_source_prefix_ranges: [{address_prefix: 1.1.1.1}]}"),
         "direct_source_prefix_ranges"},
        {LC("transport_socket: {name: quic, typed_config: {" TYPE
            "envoy.extensions.transport_sockets.quic.v3.X}}"),
         "transport socket 'quic': type 'envoy.extensions.transport_sockets.quic.v3.X' is not known here"},
        {LC("transport_socket: {name: tls, typed_config: {" TYPE
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}"),
         "UpstreamTlsContext' is not known here"},
        {L(AT("1") ", listener_filters: [{name: envoy.filters.listener.tap, typed_config: {" TYPE
                   "a.B}}]"),
         "listener filter 'envoy.filters.listener.tap': type 'a.B' is not known"},
        {L(AT("1") ", listener_filters: [{name: f, config_discovery: {}}]"), "config_discovery"},
        {L(AT(
             "1") ", listener_filters: [{name: f, filter_disabled: {not_match: {any_match: true}}, typed_config: {" TYPE
                  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}]"),
         "filter_disabled: only any_match"},
        {LF("{name: envoy.filters.network.mongo_proxy, typed_config: {" TYPE
            "envoy.x.MongoProxy}}"),
         "filter 'envoy.filters.network.mongo_proxy': type 'envoy.x.MongoProxy' is not known"},
        {LF("{name: t, typed_config: {" TYPE TCP ", stat_prefix: t}}"),
         "filter 't': cluster_specifier is not set"},
        {LF("{name: t, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c, tunneling_config: {}}}"),
         "tunneling_config: hostname is ''; use a name with a port"},
        {LF("{name: t, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c, tunneling_config: {hostname: 'a:1', use_post: true}}}"),
         "tunneling_config: POST"},
        {LF("{name: t, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c, tunneling_config: {hostname: '%PROTOCOL%'}}}"),
         "tunneling_config: hostname is '%PROTOCOL%'"},
        {LF("{name: t, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c, max_connect_attempts: 0}}"),
         "max_connect_attempts"},
        {LF("{name: t, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c}}, {name: u, typed_config: {" TYPE TCP
            ", stat_prefix: t, cluster: c}}"),
         "filter 'u': comes after a filter that must be the last"},
        {LHF(UNKNOWN_FILTER ", " ROUTER),
         "filter 'h': http filter 'envoy.filters.http.jwt_authn': type"
         " 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication' is not known"},
        {LHF(""), "http_filters: the last must be the router"},
        {LHF(ROUTER ", " ROUTER), "comes after the router"},
        {LHF("{name: f, typed_config: {" TYPE
             "envoy.extensions.filters.http.fault.v3.HTTPFault, delay: {header_delay: {}}}}, " ROUTER),
         "http filter 'f': delay: only fixed_delay"},
        {LHF("{name: f, typed_config: {" TYPE
             "envoy.extensions.filters.http.fault.v3.HTTPFault}}, {name: g, typed_config: {" TYPE
             "envoy.extensions.filters.http.fault.v3.HTTPFault}}, " ROUTER),
         "http filter 'g': there is a fault filter before it already"},
        {LHF("{name: ecds, config_discovery: {}}, " ROUTER),
         "http filter 'ecds': config_discovery"},
        {LHF("{name: r, typed_config: {" TYPE
             "envoy.extensions.filters.http.rbac.v3.RBAC, rules: {policies: {p: {permissions:"
             " [{any: true}], principals: [{metadata: {filter: jwt}}]}}}}}, " ROUTER),
         "http filter 'r': rules: policy 'p': principal: metadata of 'jwt'"},
        {LH("codec_type: HTTP3"), "codec_type HTTP3"},
        {LH("via: x"), "'via' is not supported"},
        {LH("upgrade_configs: [{upgrade_type: h2c}]"), "upgrade_type 'h2c'"},
        {LH("local_reply_config: {mappers: [{}]}"), "local_reply_config"},
        {LH("original_ip_detection_extensions: [{name: x}]"), "original_ip_detection_extensions"},
        {LH("common_http_protocol_options: {headers_with_underscores_action: 7}"),
         "headers_with_underscores_action"},
        {LH("internal_address_config: {cidr_ranges: [{address_prefix: x, prefix_len: 8}]}"),
         "internal_address_config: cidr_ranges"},
        {LH("max_request_headers_kb: 100000"), "max_request_headers_kb"},
        {LH("stream_idle_timeout: -1s"), "'stream_idle_timeout' is -1 s"},
        {LH("access_log: [{name: g, typed_config: {" TYPE
            "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig}}]"),
         "access_log 'g': type"},
        {LH("access_log: [{name: f, filter: {duration_filter: {}}, typed_config: {" TYPE
            "envoy.extensions.access_loggers.file.v3.FileAccessLog, path: a}}]"),
         "access_log 'f': filter"},
        {LF("{name: h, typed_config: {" TYPE HCM ", stat_prefix: s, http_filters: [" ROUTER "]}}"),
         "route_specifier is not set"},
        {LF("{name: h, typed_config: {" TYPE HCM ", stat_prefix: s, rds: {}, http_filters: [" ROUTER
            "]}}"),
         "route_config_name"},
        {LF("{name: h, typed_config: {" TYPE HCM
            ", stat_prefix: s, scoped_routes: {}, http_filters: [" ROUTER "]}}"),
         "scoped_routes"},
        {LF("{name: h, typed_config: {" TYPE HCM
            ", stat_prefix: s, route_config: {name: r, vhds: {}}, http_filters: [" ROUTER "]}}"),
         "route_config 'r': 'vhds'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_refusal(cases[i].config, cases[i].why);
    }
}

static void skips_what_is_optional(void **state)
{
    (void)state;
    bench_apply(&b,
                LHF("{name: j, is_optional: true, typed_config: {" TYPE
                    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication}},"
                    "{name: r, is_optional: true, typed_config: {" TYPE
                    "envoy.extensions.filters.http.rbac.v3.RBAC, rules: {action: 9}}}, " ROUTER),
                "1");
    bench_settle(&b);
    const struct conf_listener *l = bench_listener(&b, "x");
    assert_int_equal(l->skipped_count, 2);
    assert_span(l->skipped[0], "j");
    assert_int_equal(l->chains[0].http->rbac_count, 0);
}

static void reads_access_logs(void **state)
{
    (void)state;
    bench_apply(
        &b,
        LH("access_log: [{name: a, typed_config: {" TYPE
           "envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /a, format: '%PROTOCOL%'}},"
           "{name: b, typed_config: {" TYPE
           "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}},"
           "{name: c, typed_config: {" TYPE
           "envoy.extensions.access_loggers.stream.v3.StderrAccessLog,"
           " log_format: {json_format: {start: '%START_TIME%', n: 5}, omit_empty_values: true}}}]"),
        "1");
    bench_settle(&b);
    const struct conf_access_log *logs = bench_listener(&b, "x")->chains[0].http->logs;
    assert_span(logs[0].path, "/a");
    assert_span(logs[0].format, "%PROTOCOL%");
    assert_span(logs[1].path, "/dev/stdout");
    assert_int_equal(logs[1].format.len, 0);
    assert_span(logs[2].path, "/dev/stderr");
    assert_true(logs[2].json && logs[2].omit_empty);
    assert_int_equal(logs[2].json_count, 2);
}

/* ---- clusters ---- */

static void reads_a_cluster_of_istio(void **state)
{
    (void)state;
    bench_apply(
        &b,
        "[{" TYPE CLUSTER
        ", name: 'outbound|80||a.ns.svc', type: EDS, connect_timeout: 10s, lb_policy: LEAST_REQUEST,"
        " eds_cluster_config: {eds_config: {ads: {}, initial_fetch_timeout: 0s, resource_api_version: V3},"
        " service_name: 'outbound|80||a.ns.svc'}, circuit_breakers: {thresholds: [{max_connections: 4294967295,"
        " max_pending_requests: 7, max_requests: 8, max_retries: 9, track_remaining: true},"
        " {priority: HIGH, max_requests: 2}]}, outlier_detection: {consecutive_5xx: 3, interval: 1s,"
        " enforcing_success_rate: 0}, common_lb_config: {healthy_panic_threshold: {}, locality_weighted_lb_config: {}},"
        " metadata: {filter_metadata: {istio: {services: [{host: a.ns.svc, name: a, namespace: ns}]}}},"
        " typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {" TYPE
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options:"
        " {max_concurrent_streams: 50}}, common_http_protocol_options: {idle_timeout: 9s, max_requests_per_connection: 5}}},"
        " upstream_connection_options: {tcp_keepalive: {keepalive_time: 30}},"
        " filters: [{name: istio.metadata_exchange, typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct,"
        " type_url: type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange, value: {}}}],"
        " transport_socket_matches: [{name: tlsMode-istio, match: {tlsMode: istio}, transport_socket: {name: tls,"
        " typed_config: {" TYPE
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: x}}},"
        " {name: tlsMode-disabled, match: {}, transport_socket: {name: envoy.transport_sockets.raw_buffer,"
        " typed_config: {" TYPE "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}]}]",
        "1");
    bench_advance(&b, 20000);
    const struct conf_cluster *c = bench_cluster(&b, "outbound|80||a.ns.svc");
    assert_int_equal(c->discovery, CONF_EDS);
    assert_int_equal(c->lb, CONF_LB_LEAST_REQUEST);
    assert_int_equal(c->choices, 2);
    assert_int_equal(c->connect_ms, 10000);
    assert_int_equal(c->limits[0].connections, UINT32_MAX);
    assert_int_equal(c->limits[0].pending, 7);
    assert_int_equal(c->limits[1].requests, 2);
    assert_int_equal(c->limits[1].connections, 1024);
    assert_true(c->http2 && c->locality_weighted);
    assert_int_equal(c->max_streams, 50);
    assert_int_equal(c->idle_ms, 9000);
    assert_int_equal(c->max_requests_per_connection, 5);
    assert_int_equal(c->panic_percent, 0);
    assert_true(c->outlier.enabled);
    assert_int_equal(c->outlier.consecutive_5xx, 3);
    assert_int_equal(c->outlier.consecutive_gateway, 0);
    assert_int_equal(c->outlier.interval_ms, 1000);
    assert_int_equal(c->outlier.base_ejection_ms, 30000);
    assert_span(c->service_host, "a.ns.svc");
    assert_span(c->service_name, "a");
    assert_span(c->service_namespace, "ns");
    assert_int_equal(c->keepalive->idle_ms, 30000);
    assert_int_equal(c->tls_match_count, 2);
    assert_span(c->tls_matches[0].labels[0].name, "tlsMode");
    assert_non_null(c->tls_matches[0].tls);
    assert_int_equal(c->tls_matches[0].tls->peer_mode, TLS_PEER_NONE);
    assert_null(c->tls_matches[1].tls);
    assert_int_equal(c->tls_matches[1].label_count, 0);
    assert_span(c->skipped[0], "outlier_detection");
}

static void reads_other_clusters(void **state)
{
    (void)state;
    bench_apply(
        &b,
        "[{" TYPE CLUSTER
        ", name: dst, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, original_dst_lb_config:"
        " {upstream_port_override: 99}},"
        "{" TYPE CLUSTER
        ", name: down, protocol_selection: USE_DOWNSTREAM_PROTOCOL, http2_protocol_options: {}},"
        "{" TYPE CLUSTER ", name: auto, typed_extension_protocol_options: {o: {" TYPE
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions, auto_config: {}, upstream_http_protocol_options:"
        " {auto_sni: true}}}, transport_socket: {name: tls, typed_config: {" TYPE
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {validation_context:"
        " {trusted_ca: {inline_string: ROOTS}}}}}},"
        "{" TYPE CLUSTER
        ", name: wrr, load_balancing_policy: {policies: [{typed_extension_config: {name: new, typed_config:"
        " {" TYPE "a.New}}}, {typed_extension_config: {name: wrr, typed_config: {" TYPE
        "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality, endpoint_picking_policy: {policies:"
        " [{typed_extension_config: {name: lr, typed_config: {" TYPE
        "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest, choice_count: 5}}}]}}}}]}},"
        "{" TYPE CLUSTER
        ", name: bound, upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0}},"
        " load_assignment: {cluster_name: b, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: '@x'}}}}],"
        " load_balancing_weight: 10}, {lb_endpoints: [{endpoint: {" AT(
            "1") "}, load_balancing_weight: 2}, {endpoint: {" AT("2") "}, load_balancing_weight: 6}], load_balancing_weight: 80}]}}]",
        "1");
    bench_settle(&b);
    assert_int_equal(bench_cluster(&b, "dst")->discovery, CONF_ORIGINAL_DST);
    assert_int_equal(bench_cluster(&b, "dst")->upstream_port, 99);
    assert_true(bench_cluster(&b, "down")->use_downstream_protocol &&
                bench_cluster(&b, "down")->http2);
    const struct conf_cluster *c = bench_cluster(&b, "auto");
    assert_true(c->alpn_auto);
    assert_int_equal(c->skipped_count, 1);
    assert_span(c->skipped[0], "auto_sni");
    assert_int_equal(c->tls->peer_mode, TLS_PEER_REQUIRED);
    assert_span(span_first(c->tls->trust[0].roots_pem, 10), "-----BEGIN");
    c = bench_cluster(&b, "wrr");
    assert_true(c->locality_weighted);
    assert_int_equal(c->lb, CONF_LB_LEAST_REQUEST);
    assert_int_equal(c->choices, 5);
    c = bench_cluster(&b, "bound");
    assert_int_equal(c->bind_from.kind, ADDR_IP);
    const struct conf_endpoint *e = c->inline_endpoints->items;
    assert_string_equal(e[0].addr.path, "@x");
    assert_int_equal(e[1].locality_weight * 3, e[2].locality_weight);
    assert_int_equal(e[0].locality_weight * 6, e[2].locality_weight);
}

#define C(text) "[{" TYPE CLUSTER ", name: x, " text "}]"
#define CT(text)                                           \
    C("transport_socket: {name: tls, typed_config: {" TYPE \
      "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, " text "}}")
#define CV(text) CT("common_tls_context: {validation_context: {" text "}}")
#define CE(text) C("load_assignment: {cluster_name: x, endpoints: [{lb_endpoints: [" text "]}]}")

static void reads_consistent_hashing(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        enum conf_lb lb;
        struct conf_hash hash;
        bool locality_weighted;
    } cases[] = {
        {C("lb_policy: RING_HASH"),
         CONF_LB_RING_HASH,
         {.ring_min = 1024, .ring_max = 8388608},
         false},
        {C("lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 7, maximum_ring_size: 9}"),
         CONF_LB_RING_HASH,
         {.ring_min = 7, .ring_max = 9},
         false},
        {C("lb_policy: RING_HASH, common_lb_config: {consistent_hashing_lb_config:"
           " {use_hostname_for_hashing: true}, locality_weighted_lb_config: {}}"),
         CONF_LB_RING_HASH,
         {.ring_min = 1024, .ring_max = 8388608, .by_hostname = true},
         true},
        {C("lb_policy: MAGLEV"), CONF_LB_MAGLEV, {.table_size = 65537}, false},
        {C("lb_policy: MAGLEV, maglev_lb_config: {table_size: 1009}"),
         CONF_LB_MAGLEV,
         {.table_size = 1009},
         false},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, minimum_ring_size: 7,"
           " consistent_hashing_lb_config: {use_hostname_for_hashing: true}}}}]}"),
         CONF_LB_RING_HASH,
         {.ring_min = 7, .ring_max = 8388608, .by_hostname = true},
         false},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "envoy.extensions.load_balancing_policies.maglev.v3.Maglev, table_size: 7,"
           " locality_weighted_lb_config: {}}}}]}"),
         CONF_LB_MAGLEV,
         {.table_size = 7},
         true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bench_apply(&b, cases[i].config, arena_printf(&b.arena, "%zu", i));
        bench_settle(&b);
        const struct conf_cluster *c = bench_cluster(&b, "x");
        assert_int_equal(c->lb, cases[i].lb);
        assert_int_equal(c->hash.ring_min, cases[i].hash.ring_min);
        assert_int_equal(c->hash.ring_max, cases[i].hash.ring_max);
        assert_int_equal(c->hash.table_size, cases[i].hash.table_size);
        assert_int_equal(c->hash.by_hostname, cases[i].hash.by_hostname);
        assert_int_equal(c->locality_weighted, cases[i].locality_weighted);
    }
}

static void refuses_clusters_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *why;
    } cases[] = {
        {C("lb_policy: 4"), "cluster 'x': lb_policy of number 4 is not supported"},
        {C("lb_policy: RING_HASH, ring_hash_lb_config: {hash_function: MURMUR_HASH_2}"),
         "hash_function MURMUR_HASH_2 is not supported"},
        {C("lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 8388609}"),
         "minimum_ring_size 8388609 and maximum_ring_size 8388608 are not in order"},
        {C("lb_policy: RING_HASH, ring_hash_lb_config: {maximum_ring_size: 1023}"),
         "minimum_ring_size 1024 and maximum_ring_size 1023"},
        {C("lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 0}"),
         "minimum_ring_size 0"},
        {C("lb_policy: RING_HASH, common_lb_config: {consistent_hashing_lb_config:"
           " {hash_balance_factor: 120}}"),
         "hash_balance_factor is not supported"},
        {C("lb_policy: MAGLEV, maglev_lb_config: {table_size: 1000}"),
         "table_size 1000 is not a prime number between 3 and 5000011"},
        {C("lb_policy: MAGLEV, maglev_lb_config: {table_size: 5000077}"), "table_size 5000077"},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "envoy.extensions.load_balancing_policies.maglev.v3.Maglev, consistent_hashing_lb_config:"
           " {hash_balance_factor: 120}}}}]}"),
         "hash_balance_factor is not supported"},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, hash_function:"
           " MURMUR_HASH_2}}}]}"),
         "hash_function MURMUR_HASH_2"},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash, consistent_hashing_lb_config:"
           " {hash_policy: [{header: {header_name: h}}]}}}}]}"),
         "hash_policy of a load balancing policy"},
        {C("lb_policy: LEAST_REQUEST, least_request_lb_config: {choice_count: 1}"),
         "choice_count is 1"},
        {C("load_balancing_policy: {policies: [{typed_extension_config: {name: nn, typed_config: {" TYPE
           "a.B}}}]}"),
         "none of the policies is known"},
        {C("common_lb_config: {healthy_panic_threshold: {value: 101}}"), "healthy_panic_threshold"},
        {C("type: EDS"), "type EDS needs eds_cluster_config"},
        {C("type: ORIGINAL_DST"), "type ORIGINAL_DST needs lb_policy CLUSTER_PROVIDED"},
        {C("type: LOGICAL_DNS"), "type LOGICAL_DNS needs exactly one endpoint"},
        {C("cluster_type: {name: envoy.clusters.redis}"),
         "cluster_type 'envoy.clusters.redis' is not known"},
        {C("lb_subset_config: {subset_selectors: [{keys: [a]}]}"), "lb_subset_config"},
        {C("circuit_breakers: {thresholds: [{retry_budget: {}}]}"), "retry_budget"},
        {C("circuit_breakers: {per_host_thresholds: [{}]}"), "per_host_thresholds"},
        {C("filters: [{name: f, typed_config: {" TYPE "a.B}}]"),
         "filter 'f': type 'a.B' is not known"},
        {C("typed_extension_protocol_options: {t: {" TYPE "a.B}}"),
         "typed_extension_protocol_options 't': type 'a.B'"},
        {C("upstream_bind_config: {socket_options: [{level: 1, name: 1}]}"),
         "upstream_bind_config"},
        {C("dns_resolvers: [{}], type: STRICT_DNS"), "dns_resolvers"},
        {C("http_protocol_options: {header_key_format: {proper_case_words: {}}}"),
         "header_key_format"},
        {CE("{endpoint_name: e}"), "load_assignment: endpoints 0: endpoint 0: endpoint is missing"},
        {CE("{endpoint: {" AT("1") "}, load_balancing_weight: 0}"), "load_balancing_weight is 0"},
        {CE("{endpoint: {address: {socket_address: {address: a.b, port_value: 1}}}}"),
         "address 'a.b' is not an IP address"},
        {CE("{endpoint: {address: {socket_address: {address: 1.1.1.1, named_port: http}}}}"),
         "named_port"},
        {C("load_assignment: {policy: {drop_overloads: [{category: c}]}}"), "drop_overloads"},
        {CT("allow_renegotiation: true"), "transport socket 'tls': allow_renegotiation"},
        {CT("common_tls_context: {tls_certificates: [{}]}"),
         "certificate_chain or private_key is missing"},
        {CT("common_tls_context: {tls_certificates: [{certificate_chain: {inline_string: a}, private_key: {filename:"
            " /nonexistent}}]}"),
         "private_key: file '/nonexistent' can not be opened"},
        {CT("common_tls_context: {tls_certificates: [{certificate_chain: {environment_variable: A}, private_key:"
            " {inline_string: k}}]}"),
         "environment_variable"},
        {CT("common_tls_context: {tls_certificates: [{pkcs12: {inline_string: a}}]}"), "'pkcs12'"},
        {CT("common_tls_context: {tls_certificates: [{}, {}]}"),
         "2 certificates; only one is supported"},
        {CT("common_tls_context: {tls_params: {tls_maximum_protocol_version: TLSv1_1}}"),
         "tls_params: TLS below 1.2"},
        {CT("common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_2}}"),
         "above the maximum"},
        {CT("common_tls_context: {custom_handshaker: {name: h}}"), "custom_handshaker"},
        {CT("common_tls_context: {key_log: {path: /tmp/k}}"), "key_log"},
        {CV("trust_chain_verification: ACCEPT_UNTRUSTED"), "ACCEPT_UNTRUSTED"},
        {CV("allow_expired_certificate: true"), "allow_expired_certificate"},
        {CV("verify_certificate_hash: [aa]"), "verify_certificate_hash"},
        {CV("verify_certificate_spki: [aa]"), "verify_certificate_spki"},
        {CV("crl: {inline_string: x}"), "'crl'"},
        {CV("match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: a}}]"),
         "trusted_ca is missing"},
        {CV("trusted_ca: {inline_string: ROOTS}, match_typed_subject_alt_names: [{san_type: URI, matcher: {safe_regex:"
            " {regex: a}}}]"),
         "match_typed_subject_alt_names: use exact, prefix, suffix or contains"},
        {CV("trusted_ca: {inline_string: ROOTS}, match_typed_subject_alt_names: [{san_type: EMAIL, matcher: {exact: a}}]"),
         "san_type is not supported"},
        {CV("custom_validator_config: {name: my, typed_config: {" TYPE "a.B}}"),
         "custom_validator_config 'my'"},
        {"[{" TYPE SECRET ", name: s, generic_secret: {}}]",
         "secret 's': only tls_certificate and validation_context"},
        {"[{" TYPE SECRET ", name: s, validation_context: {}}]", "trusted_ca is missing"},
        {"[{" TYPE ENDPOINTS ", cluster_name: e, endpoints: [{priority: 200}]}]",
         "endpoints 'e': endpoints 0: priority 200"},
        {"[{" TYPE ROUTES ", name: r, virtual_hosts: [{name: v}]}]",
         "route table 'r': virtual host 'v': domains is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_refusal(cases[i].config, cases[i].why);
    }
}

static void reads_bundles_of_trust_domains(void **state)
{
    (void)state;
    bench_apply(
        &b,
        "[{" TYPE SECRET ", name: ROOTCA, validation_context: {custom_validator_config: {name:"
        " envoy.tls.cert_validator.spiffe, typed_config: {" TYPE
        "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig, trust_domains: [{name: td1,"
        " trust_bundle: {inline_string: CHAIN}}, {name: td2, trust_bundle: {inline_string: CHAIN}}]}}}}]",
        "1");
    bench_settle(&b);
    const struct conf_secret *s = NULL;
    for (size_t i = 0; i < b.snapshot->slots; i++) {
        s = b.snapshot->secrets[i] ? b.snapshot->secrets[i] : s;
    }
    assert_int_equal(s->trust_count, 2);
    assert_span(s->trust[1].trust_domain, "td2");
    assert_true(span_eq(s->trust[1].roots_pem, s->trust[0].roots_pem));
}

static void refuses_fields_that_are_not_known(void **state)
{
    (void)state;
    struct err err = {0};
    /* name "x", field 36 (fcds_config) {} */
    struct ingest_resource more = {.version = SPAN("1"), .value = SPAN("\x0a\x01x\xa2\x02\x00")};
    assert_int_equal(ingest_apply(b.ingest, &more, 1, SPAN(LISTENER), NULL, 0, false, &err),
                     -ERR_CONFIG);
    assert_string_equal(
        err.text, "listener 'x': field 36 (fcds_config) of envoy.config.listener.v3.Listener is not"
                  " supported");
}

/* ---- the name on the wire ---- */

static void finds_names_on_the_wire(void **state)
{
    (void)state;
    assert_span(resource_name(SPAN("\x0a\x01x")), "x");
    assert_span(resource_name(SPAN("\x10\x05\x0a\x02xy\x1a\x00")), "xy");
    assert_span(resource_name(SPAN("\x0a\x01x\x0a\x01y")), "y");
    assert_int_equal(resource_name(SPAN("\x0a\x05x")).len, 0);
    assert_int_equal(resource_name(SPAN_EMPTY).len, 0);
    assert_int_equal(resource_name(SPAN("\x0b\x0b\x0b")).len, 0);
    assert_int_equal(resource_kind(SPAN("type.googleapis.com/" CLUSTER)), CONF_CLUSTER);
    assert_int_equal(resource_kind(SPAN(SECRET)), CONF_SECRET);
    assert_int_equal(resource_kind(SPAN("x")), CONF_KIND_COUNT);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        T(reads_a_listener_of_istio),
        T(reads_other_listeners),
        T(refuses_listeners_by_name),
        T(skips_what_is_optional),
        T(reads_access_logs),
        T(reads_a_cluster_of_istio),
        T(reads_other_clusters),
        T(reads_consistent_hashing),
        T(refuses_clusters_by_name),
        T(reads_bundles_of_trust_domains),
        T(refuses_fields_that_are_not_known),
        T(finds_names_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

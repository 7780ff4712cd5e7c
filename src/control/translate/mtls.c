/* TLS of clusters and listeners: mutual TLS with the mesh's identities, or what a DestinationRule or a Gateway asks for.
 * Source: Istio pilot/pkg/networking/core/cluster_tls.go, security/authn/utils, networking/util ALPN lists; names of secrets are
 * security/model's: "default" and "ROOTCA", which the proxy has from its own identity and never asks control for. */
#include "control/translate/translate_int.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/internal_upstream.pb.h"
#include "proto/upstream_proxy_protocol.pb.h"

#define SECRET_OWN SPAN("default")
#define SECRET_ROOT SPAN("ROOTCA")
/* Where Debian, Alpine and most images keep the public authorities. */
#define SYSTEM_ROOTS SPAN("/etc/ssl/certs/ca-certificates.crt")

static const struct span alpn_mesh[] = {SPAN_INIT(ALPN_PEER_EXCHANGE), SPAN_INIT(ALPN_MESH)};
static const struct span alpn_mesh_h2[] = {SPAN_INIT(ALPN_PEER_EXCHANGE), SPAN_INIT(ALPN_MESH),
                                           SPAN_INIT(ALPN_H2)};
/* Beside h2 and http/1.1 the mesh's own names: a server that shares none with its client ends the handshake. */
static const struct span alpn_server_http[] = {SPAN_INIT(ALPN_H2),
                                               SPAN_INIT(ALPN_HTTP_1_1),
                                               SPAN_INIT(ALPN_MESH_H2),
                                               SPAN_INIT(ALPN_MESH_HTTP_1_1),
                                               SPAN_INIT(ALPN_MESH_HTTP_1_0),
                                               SPAN_INIT(ALPN_MESH)};
static const struct span alpn_server_tcp[] = {SPAN_INIT(ALPN_PEER_EXCHANGE), SPAN_INIT(ALPN_H2),
                                              SPAN_INIT(ALPN_HTTP_1_1), SPAN_INIT(ALPN_MESH)};
static const struct span alpn_http[] = {SPAN_INIT(ALPN_H2), SPAN_INIT(ALPN_HTTP_1_1)};
static const struct span alpn_h2[] = {SPAN_INIT(ALPN_H2)};

/* ---- parts ---- */

/* Lists are borrowed from static tables: room 0, so that pb_list_add would copy. */
#define SET_ALPN(context, list)                                          \
    do {                                                                 \
        (context)->alpn_protocols.at = (struct span *)(uintptr_t)(list); \
        (context)->alpn_protocols.count = ARRAY_LEN(list);               \
    } while (0)

static struct pb_tls_SdsSecretConfig *secret(struct arena *arena, struct span name, bool own)
{
    struct pb_tls_SdsSecretConfig *s = arena_new(arena, struct pb_tls_SdsSecretConfig);
    s->name = name;
    if (!own) {
        s->sds_config = message_ads(arena);
        /* It may not exist, which only delta can say: an Envoy of the other form goes on after its own timeout (15 s). */
        s->sds_config->initial_fetch_timeout = NULL;
        return s;
    }
    /* The node's agent: beside an Envoy a process of its own, in ours the proxy itself. */
    struct pb_core_ConfigSource *c = arena_new(arena, struct pb_core_ConfigSource);
    struct pb_core_ApiConfigSource *api = arena_new(arena, struct pb_core_ApiConfigSource);
    struct pb_core_GrpcService *grpc = arena_new(arena, struct pb_core_GrpcService);
    grpc->target_specifier_case = PB_CORE_GRPC_SERVICE_TARGET_SPECIFIER_ENVOY_GRPC;
    grpc->envoy_grpc = arena_new(arena, struct pb_core_GrpcService_EnvoyGrpc);
    grpc->envoy_grpc->cluster_name = SPAN("sds-grpc");
    api->api_type = PB_CORE_API_CONFIG_SOURCE_API_TYPE_GRPC;
    api->transport_api_version = PB_CORE_API_VERSION_V3;
    api->set_node_on_first_message_only = true;
    PB_ADD(arena, &api->grpc_services, grpc);
    c->config_source_specifier_case =
        PB_CORE_CONFIG_SOURCE_CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE;
    c->api_config_source = api;
    c->initial_fetch_timeout = message_ms(arena, 0);
    c->resource_api_version = PB_CORE_API_VERSION_V3;
    s->sds_config = c;
    return s;
}

static struct pb_tls_TlsParameters *tls13(struct arena *arena)
{
    struct pb_tls_TlsParameters *p = arena_new(arena, struct pb_tls_TlsParameters);
    p->tls_minimum_protocol_version = PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_3;
    p->tls_maximum_protocol_version = PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_3;
    return p;
}

static void add_san(struct arena *arena, struct pb_tls_CertificateValidationContext *v,
                    int32_t type, struct pb_matcher_StringMatcher *matcher)
{
    struct pb_tls_SubjectAltNameMatcher *m = arena_new(arena, struct pb_tls_SubjectAltNameMatcher);
    m->san_type = type;
    m->matcher = matcher;
    PB_ADD(arena, &v->match_typed_subject_alt_names, m);
}

/* A name as people write it in subjectAltNames: an URI, or a DNS name. */
static void add_san_text(struct arena *arena, struct pb_tls_CertificateValidationContext *v,
                         struct span name)
{
    bool is_uri = span_find(name, SPAN("://")) >= 0;
    add_san(arena, v,
            is_uri ? PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_URI
                   : PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_DNS,
            message_exact(arena, name));
}

/* Own certificate and the mesh's roots; what more is asked of the peer goes into the answer. */
static struct pb_tls_CertificateValidationContext *mesh_context(struct arena *arena,
                                                                struct pb_tls_CommonTlsContext *c)
{
    c->tls_params = tls13(arena);
    PB_ADD(arena, &c->tls_certificate_sds_secret_configs, secret(arena, SECRET_OWN, true));
    struct pb_tls_CommonTlsContext_CombinedCertificateValidationContext *both =
        arena_new(arena, struct pb_tls_CommonTlsContext_CombinedCertificateValidationContext);
    both->default_validation_context = arena_new(arena, struct pb_tls_CertificateValidationContext);
    both->validation_context_sds_secret_config = secret(arena, SECRET_ROOT, true);
    c->validation_context_type_case =
        PB_TLS_COMMON_TLS_CONTEXT_VALIDATION_CONTEXT_TYPE_COMBINED_VALIDATION_CONTEXT;
    c->combined_validation_context = both;
    return both->default_validation_context;
}

static struct pb_core_TransportSocket *socket_of(struct arena *arena, struct pb_protobuf_Any *any)
{
    struct pb_core_TransportSocket *s = arena_new(arena, struct pb_core_TransportSocket);
    s->name = SPAN("envoy.transport_sockets.tls");
    s->config_type_case = PB_CORE_TRANSPORT_SOCKET_CONFIG_TYPE_TYPED_CONFIG;
    s->typed_config = any;
    return s;
}

static struct pb_core_TransportSocket *raw(struct arena *arena)
{
    struct pb_core_TransportSocket *s = socket_of(
        arena,
        message_any_empty(
            arena,
            SPAN(
                "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")));
    s->name = SPAN("envoy.transport_sockets.raw_buffer");
    return s;
}

/* ---- towards a service ---- */

/* Secure naming: only the accounts that the service's workloads run as are believed to be it. */
static void add_identities(struct translation *t, struct pb_tls_CertificateValidationContext *v,
                           const struct destination *d)
{
    const struct world_service *s = d->service;
    for (size_t i = 0; i < s->identity_count; i++) {
        add_san_text(t->arena, v, s->identities[i]);
    }
    if (s->identity_count > 0) {
        return;
    }
    const struct world_endpoints *e = t->w->endpoints[s->index];
    const struct world_endpoint **seen = arena_array(t->arena, e->count, sizeof(*seen));
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++) {
        const struct world_endpoint *p = &e->items[i];
        if (p->service_port != d->port->number || p->service_account.len == 0) {
            continue;
        }
        size_t k = count;
        while (k > 0 && !(span_eq(seen[k - 1]->service_account, p->service_account) &&
                          span_eq(seen[k - 1]->namespace, p->namespace))) {
            k--;
        }
        if (k == 0) {
            seen[count++] = p;
        }
    }
    for (size_t i = 0; i < count; i++) {
        add_san(t->arena, v, PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_URI,
                message_exact(t->arena, MESSAGE_JOIN(t->arena, SPAN("spiffe://"),
                                                     t->w->config->mesh.trust_domain, SPAN("/ns/"),
                                                     seen[i]->namespace, SPAN("/sa/"),
                                                     seen[i]->service_account)));
    }
}

static struct pb_core_TransportSocket *mutual(struct translation *t, const struct destination *d,
                                              bool http2)
{
    struct arena *arena = t->arena;
    struct pb_tls_UpstreamTlsContext *u = arena_new(arena, struct pb_tls_UpstreamTlsContext);
    u->common_tls_context = arena_new(arena, struct pb_tls_CommonTlsContext);
    struct pb_tls_CertificateValidationContext *v = mesh_context(arena, u->common_tls_context);
    if (d->traffic->tls_san_count > 0) {
        for (size_t i = 0; i < d->traffic->tls_san_count; i++) {
            add_san_text(arena, v, d->traffic->tls_sans[i]);
        }
    } else {
        add_identities(t, v, d);
    }
    u->sni = d->traffic->tls_sni.len > 0
                 ? d->traffic->tls_sni
                 : MESSAGE_JOIN(arena, SPAN("outbound_."), message_number(arena, d->port->number),
                                SPAN("_."), d->subset ? d->subset->name : SPAN_EMPTY, SPAN("_."),
                                d->service->host);
    if (http2) {
        SET_ALPN(u->common_tls_context, alpn_mesh_h2);
    } else {
        SET_ALPN(u->common_tls_context, alpn_mesh);
    }
    return socket_of(arena, MESSAGE_ANY(arena, PB_TLS_UPSTREAM_TLS_CONTEXT_URL,
                                        &pb_tls_UpstreamTlsContext_desc, u));
}

static struct pb_tls_TlsCertificate *certificate(struct arena *arena, struct span cert,
                                                 struct span key)
{
    struct pb_tls_TlsCertificate *c = arena_new(arena, struct pb_tls_TlsCertificate);
    c->certificate_chain = message_file(arena, cert);
    c->private_key = message_file(arena, key);
    return c;
}

static void verify_server(struct arena *arena, struct pb_tls_CommonTlsContext *c,
                          const struct world_traffic *p, struct span credential, struct span sni)
{
    struct pb_tls_CertificateValidationContext *v =
        arena_new(arena, struct pb_tls_CertificateValidationContext);
    for (size_t i = 0; i < p->tls_san_count; i++) {
        add_san_text(arena, v, p->tls_sans[i]);
    }
    if (p->tls_san_count == 0 && sni.len > 0) {
        add_san_text(arena, v, sni);
    }
    if (p->tls_credential.len > 0) {
        c->combined_validation_context =
            arena_new(arena, struct pb_tls_CommonTlsContext_CombinedCertificateValidationContext);
        c->combined_validation_context->default_validation_context = v;
        c->combined_validation_context->validation_context_sds_secret_config =
            secret(arena, MESSAGE_JOIN(arena, credential, SPAN("-cacert")), false);
        c->validation_context_type_case =
            PB_TLS_COMMON_TLS_CONTEXT_VALIDATION_CONTEXT_TYPE_COMBINED_VALIDATION_CONTEXT;
        return;
    }
    v->trusted_ca = message_file(arena, p->tls_ca_file.len > 0 ? p->tls_ca_file : SYSTEM_ROOTS);
    c->validation_context_type_case =
        PB_TLS_COMMON_TLS_CONTEXT_VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT;
    c->validation_context = v;
}

/* SIMPLE and MUTUAL. A certificate of a public authority without a name to check would believe anybody, so the name
 * that is asked for is also the one that must be shown, unless the rule tells others. */
static struct pb_core_TransportSocket *plain_tls(struct translation *t, const struct destination *d,
                                                 bool http2)
{
    struct arena *arena = t->arena;
    const struct world_traffic *p = d->traffic;
    struct pb_tls_UpstreamTlsContext *u = arena_new(arena, struct pb_tls_UpstreamTlsContext);
    struct pb_tls_CommonTlsContext *c = arena_new(arena, struct pb_tls_CommonTlsContext);
    u->common_tls_context = c;
    bool has_name = d->service->host.len > 0 && d->service->host.at[0] != '*';
    u->sni = p->tls_sni.len > 0 ? p->tls_sni : has_name ? d->service->host : SPAN_EMPTY;
    struct span name = MESSAGE_JOIN(arena, SPAN(WORLD_CREDENTIAL), p->tls_credential);
    if (p->tls == WORLD_TLS_MUTUAL && p->tls_credential.len > 0) {
        PB_ADD(arena, &c->tls_certificate_sds_secret_configs, secret(arena, name, false));
    } else if (p->tls == WORLD_TLS_MUTUAL && p->tls_cert_file.len > 0) {
        PB_ADD(arena, &c->tls_certificates, certificate(arena, p->tls_cert_file, p->tls_key_file));
    }
    if (!p->tls_skip_verify) {
        verify_server(arena, c, p, name, u->sni);
    }
    if (http2) {
        SET_ALPN(c, alpn_h2);
    }
    return socket_of(arena, MESSAGE_ANY(arena, PB_TLS_UPSTREAM_TLS_CONTEXT_URL,
                                        &pb_tls_UpstreamTlsContext_desc, u));
}

static void add_match(struct translation *t, struct pb_cluster_Cluster *c, struct span name,
                      const char *key, struct pb_core_TransportSocket *socket)
{
    struct pb_cluster_Cluster_TransportSocketMatch *m =
        arena_new(t->arena, struct pb_cluster_Cluster_TransportSocketMatch);
    m->name = name;
    m->match = arena_new(t->arena, struct pb_protobuf_Struct);
    if (key != NULL) {
        message_put_text(t->arena, m->match, span_of(key),
                         span_is(span_of(key), "tunnel") ? SPAN("http") : SPAN("istio"));
    }
    m->transport_socket = socket;
    PB_ADD(t->arena, &c->transport_socket_matches, m);
}

static void upstream_tls(struct translation *t, struct pb_cluster_Cluster *c,
                         const struct destination *d)
{
    bool http2 = translate_is_http2(d->port->protocol) || d->traffic->h2_upgrade;
    switch (d->traffic->tls) {
    case WORLD_TLS_DISABLE:
        return;
    case WORLD_TLS_SIMPLE:
    case WORLD_TLS_MUTUAL:
        c->transport_socket = plain_tls(t, d, http2);
        return;
    case WORLD_TLS_ISTIO_MUTUAL:
        c->transport_socket = mutual(t, d, http2);
        return;
    case WORLD_TLS_AUTO:
        break;
    }
    if (!t->w->config->mesh.auto_mtls || d->service->external) {
        return;
    }
    if (c->type == PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST) {
        /* No endpoint to tell by: Istio stays with plain text here; we do when one of them needs it. */
        c->transport_socket = eds_all_mutual(t, d) ? mutual(t, d, http2) : NULL;
        return;
    }
    if (hbone_reaches(t, d)) {
        add_match(t, c, SPAN("hbone"), "tunnel", mtls_internal(t, true));
    }
    add_match(t, c, SPAN("tlsMode-istio"), "tlsMode", mutual(t, d, http2));
    add_match(t, c, SPAN("tlsMode-disabled"), NULL, raw(t->arena));
}

/* Who the client is, said before what `inner` says. Source: Istio pilot/pkg/networking/core (cluster_builder.go:
 * applyUpstreamProxyProtocol). */
static struct pb_core_TransportSocket *telling(struct translation *t, const struct destination *d,
                                               struct pb_core_TransportSocket *inner)
{
    struct arena *arena = t->arena;
    struct pb_up_proxy_protocol_ProxyProtocolUpstreamTransport *p =
        arena_new(arena, struct pb_up_proxy_protocol_ProxyProtocolUpstreamTransport);
    p->config = arena_new(arena, struct pb_core_ProxyProtocolConfig);
    p->config->version = d->traffic->proxy_version == 2 ? PB_CORE_PROXY_PROTOCOL_CONFIG_VERSION_V2
                                                        : PB_CORE_PROXY_PROTOCOL_CONFIG_VERSION_V1;
    p->transport_socket = inner != NULL ? inner : raw(arena);
    struct pb_core_TransportSocket *s = socket_of(
        arena, MESSAGE_ANY(arena, PB_UP_PROXY_PROTOCOL_PROXY_PROTOCOL_UPSTREAM_TRANSPORT_URL,
                           &pb_up_proxy_protocol_ProxyProtocolUpstreamTransport_desc, p));
    s->name = SPAN("envoy.transport_sockets.upstream_proxy_protocol");
    return s;
}

void mtls_upstream(struct translation *t, struct pb_cluster_Cluster *c, const struct destination *d)
{
    upstream_tls(t, c, d);
    if (d->traffic->proxy_version == 0) {
        return;
    }
    c->transport_socket = telling(t, d, c->transport_socket);
    for (uint32_t i = 0; i < c->transport_socket_matches.count; i++) {
        struct pb_cluster_Cluster_TransportSocketMatch *m = c->transport_socket_matches.at[i];
        m->transport_socket = telling(t, d, m->transport_socket);
    }
}

/* ---- of listeners ---- */

static struct pb_core_TransportSocket *downstream(struct arena *arena,
                                                  const struct pb_tls_DownstreamTlsContext *d)
{
    return socket_of(arena, MESSAGE_ANY(arena, PB_TLS_DOWNSTREAM_TLS_CONTEXT_URL,
                                        &pb_tls_DownstreamTlsContext_desc, d));
}

static void add_mesh_san(struct translation *t, struct pb_tls_CertificateValidationContext *v)
{
    add_san(t->arena, v, PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_URI,
            message_prefix(t->arena, MESSAGE_JOIN(t->arena, SPAN("spiffe://"),
                                                  t->w->config->mesh.trust_domain, SPAN("/"))));
}

static struct pb_tls_DownstreamTlsContext *mesh_downstream(struct translation *t)
{
    struct arena *arena = t->arena;
    struct pb_tls_DownstreamTlsContext *d = arena_new(arena, struct pb_tls_DownstreamTlsContext);
    d->common_tls_context = arena_new(arena, struct pb_tls_CommonTlsContext);
    d->require_client_certificate = message_bool(arena, true);
    add_mesh_san(t, mesh_context(arena, d->common_tls_context));
    return d;
}

struct pb_core_TransportSocket *mtls_downstream(struct translation *t, bool http)
{
    struct pb_tls_DownstreamTlsContext *d = mesh_downstream(t);
    if (http) {
        SET_ALPN(d->common_tls_context, alpn_server_http);
    } else {
        SET_ALPN(d->common_tls_context, alpn_server_tcp);
    }
    return downstream(t->arena, d);
}

/* HBONE: who it is decides the workload's own policy, and the tunnel's `mesh.tunnel` at the other end. */
struct pb_core_TransportSocket *mtls_tunnel(struct translation *t, bool server)
{
    struct arena *arena = t->arena;
    if (server) {
        struct pb_tls_DownstreamTlsContext *d = mesh_downstream(t);
        SET_ALPN(d->common_tls_context, alpn_h2);
        return downstream(arena, d);
    }
    struct pb_tls_UpstreamTlsContext *u = arena_new(arena, struct pb_tls_UpstreamTlsContext);
    u->common_tls_context = arena_new(arena, struct pb_tls_CommonTlsContext);
    add_mesh_san(t, mesh_context(arena, u->common_tls_context));
    SET_ALPN(u->common_tls_context, alpn_h2);
    return socket_of(arena, MESSAGE_ANY(arena, PB_TLS_UPSTREAM_TLS_CONTEXT_URL,
                                        &pb_tls_UpstreamTlsContext_desc, u));
}

struct pb_core_TransportSocket *mtls_internal(struct translation *t, bool host)
{
    struct arena *arena = t->arena;
    struct pb_internal_upstream_InternalUpstreamTransport *i =
        arena_new(arena, struct pb_internal_upstream_InternalUpstreamTransport);
    i->transport_socket = raw(arena);
    if (host) {
        struct pb_internal_upstream_InternalUpstreamTransport_MetadataValueSource *m = arena_new(
            arena, struct pb_internal_upstream_InternalUpstreamTransport_MetadataValueSource);
        m->kind = arena_new(arena, struct pb_metadata_MetadataKind);
        m->kind->kind_case = PB_METADATA_METADATA_KIND_KIND_HOST;
        m->kind->host = arena_new(arena, struct pb_metadata_MetadataKind_Host);
        m->name = SPAN("envoy.filters.listener.original_dst");
        PB_ADD(arena, &i->passthrough_metadata, m);
    }
    struct pb_core_TransportSocket *s =
        socket_of(arena, MESSAGE_ANY(arena, PB_INTERNAL_UPSTREAM_INTERNAL_UPSTREAM_TRANSPORT_URL,
                                     &pb_internal_upstream_InternalUpstreamTransport_desc, i));
    s->name = SPAN("envoy.transport_sockets.internal_upstream");
    return s;
}

static int32_t version_of(struct span name)
{
    return span_is(name, "TLSV1_3")   ? PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_3
           : span_is(name, "TLSV1_2") ? PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_2
                                      : PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TLS_AUTO;
}

/* Files, or a secret that the control plane brings. False: the server has no certificate, or lets nobody in. */
static bool gateway_secrets(struct arena *arena, struct pb_tls_CommonTlsContext *c,
                            const struct world_server *s)
{
    bool asks = s->tls == WORLD_SERVER_MUTUAL || s->tls == WORLD_SERVER_OPTIONAL_MUTUAL;
    struct span name = s->credential;
    struct pb_tls_CertificateValidationContext *v =
        arena_new(arena, struct pb_tls_CertificateValidationContext);
    for (size_t i = 0; i < s->san_count; i++) {
        add_san_text(arena, v, s->sans[i]);
    }
    if (s->credential.len > 0) {
        PB_ADD(arena, &c->tls_certificate_sds_secret_configs, secret(arena, name, false));
    } else if (s->cert_file.len > 0) {
        PB_ADD(arena, &c->tls_certificates, certificate(arena, s->cert_file, s->key_file));
    } else {
        return false;
    }
    if (!asks) {
        return true;
    }
    if (s->ca_file.len > 0) {
        v->trusted_ca = message_file(arena, s->ca_file);
        c->validation_context = v;
        c->validation_context_type_case =
            PB_TLS_COMMON_TLS_CONTEXT_VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT;
        return true;
    }
    if (s->credential.len == 0) {
        return false;
    }
    c->combined_validation_context =
        arena_new(arena, struct pb_tls_CommonTlsContext_CombinedCertificateValidationContext);
    c->combined_validation_context->default_validation_context = v;
    c->combined_validation_context->validation_context_sds_secret_config =
        secret(arena, MESSAGE_JOIN(arena, name, SPAN("-cacert")), false);
    c->validation_context_type_case =
        PB_TLS_COMMON_TLS_CONTEXT_VALIDATION_CONTEXT_TYPE_COMBINED_VALIDATION_CONTEXT;
    return true;
}

struct pb_core_TransportSocket *mtls_gateway(struct translation *t, const struct world_server *s)
{
    struct arena *arena = t->arena;
    bool http = port_protocol_is_http(s->protocol) || s->protocol == PROTOCOL_HTTPS;
    if (s->tls == WORLD_SERVER_ISTIO_MUTUAL) {
        return mtls_downstream(t, http);
    }
    struct pb_tls_DownstreamTlsContext *d = arena_new(arena, struct pb_tls_DownstreamTlsContext);
    struct pb_tls_CommonTlsContext *c = arena_new(arena, struct pb_tls_CommonTlsContext);
    d->common_tls_context = c;
    d->require_client_certificate = message_bool(arena, s->tls == WORLD_SERVER_MUTUAL);
    if (!gateway_secrets(arena, c, s)) {
        return NULL;
    }
    c->tls_params = arena_new(arena, struct pb_tls_TlsParameters);
    c->tls_params->tls_minimum_protocol_version =
        s->min_version.len > 0 ? version_of(s->min_version) : version_of(SPAN("TLSV1_2"));
    c->tls_params->tls_maximum_protocol_version = version_of(s->max_version);
    if (http) {
        SET_ALPN(c, alpn_http);
    }
    return downstream(arena, d);
}

/* A worker's batch of finished requests: see tap.h. Next: tap_stream.c. */
#include "proxy/report/tap.h"

#include "base/mem.h"
#include "codec/ip.h"
#include "proto/accesslog_entry.pb.h"

#define TEXT_MAX 2048 /* of a path; other texts are shorter */

struct tap {
    struct tap_batch batch;
    struct arena scratch;
};

struct tap *tap_new(void)
{
    struct tap *t = mem_new(struct tap);
    buf_init(&t->batch.entries, TAP_BYTES_MAX);
    arena_init(&t->scratch, 4096);
    return t;
}

void tap_free(struct tap *t)
{
    if (t != NULL) {
        buf_dispose(&t->batch.entries);
        arena_dispose(&t->scratch);
        mem_free(t);
    }
}

void tap_take(struct tap *t, struct tap_batch *to)
{
    *to = t->batch;
    t->batch = (struct tap_batch){.count = 0};
    buf_init(&t->batch.entries, TAP_BYTES_MAX);
}

/* ---- an entry ---- */

static struct span text(struct span s)
{
    return span_first(s, TEXT_MAX);
}

static struct pb_core_Address *address(struct arena *arena, const struct addr *a)
{
    char text_of_ip[IP_TEXT_BYTES];
    if (a->kind != ADDR_IP) {
        return NULL;
    }
    struct pb_core_Address *to = arena_new(arena, struct pb_core_Address);
    to->address_case = PB_CORE_ADDRESS_ADDRESS_SOCKET_ADDRESS;
    to->socket_address = arena_new(arena, struct pb_core_SocketAddress);
    ip_format(&a->ip, text_of_ip);
    to->socket_address->address = arena_dup(arena, span_of(text_of_ip));
    to->socket_address->port_specifier_case = PB_CORE_SOCKET_ADDRESS_PORT_SPECIFIER_PORT_VALUE;
    to->socket_address->port_value = a->port;
    return to;
}

/* NULL for a time that did not come. */
static struct pb_protobuf_Duration *duration(struct arena *arena, int64_t us)
{
    if (us < 0) {
        return NULL;
    }
    struct pb_protobuf_Duration *d = arena_new(arena, struct pb_protobuf_Duration);
    d->seconds = us / 1000000;
    d->nanos = (int32_t)(us % 1000000 * 1000);
    return d;
}

static struct pb_protobuf_UInt32Value *number(struct arena *arena, uint32_t n)
{
    struct pb_protobuf_UInt32Value *v = arena_new(arena, struct pb_protobuf_UInt32Value);
    v->value = n;
    return v;
}

static struct pb_accesslog_entry_ResponseFlags *flags(struct arena *arena, uint32_t bits)
{
    if (bits == 0) {
        return NULL;
    }
    struct pb_accesslog_entry_ResponseFlags *f =
        arena_new(arena, struct pb_accesslog_entry_ResponseFlags);
    f->no_healthy_upstream = (bits & FLAG_UH) != 0;
    f->upstream_connection_failure = (bits & FLAG_UF) != 0;
    f->upstream_overflow = (bits & FLAG_UO) != 0;
    f->no_route_found = (bits & FLAG_NR) != 0;
    f->upstream_retry_limit_exceeded = (bits & FLAG_URX) != 0;
    f->no_cluster_found = (bits & FLAG_NC) != 0;
    f->duration_timeout = (bits & FLAG_DT) != 0;
    f->downstream_connection_termination = (bits & FLAG_DC) != 0;
    f->upstream_connection_termination = (bits & FLAG_UC) != 0;
    f->upstream_request_timeout = (bits & FLAG_UT) != 0;
    f->upstream_remote_reset = (bits & FLAG_UR) != 0;
    f->stream_idle_timeout = (bits & FLAG_SI) != 0;
    f->downstream_protocol_error = (bits & FLAG_DPE) != 0;
    f->upstream_protocol_error = (bits & FLAG_UPE) != 0;
    f->upstream_max_stream_duration_reached = (bits & FLAG_UMSDR) != 0;
    f->local_reset = (bits & FLAG_LR) != 0;
    f->delay_injected = (bits & FLAG_DI) != 0;
    f->fault_injected = (bits & FLAG_FI) != 0;
    return f;
}

static void tag(struct arena *arena, struct pb_accesslog_entry_AccessLogCommon *c, const char *key,
                struct span value)
{
    struct pb_accesslog_entry_AccessLogCommon_CustomTagsEntry *e =
        arena_new(arena, struct pb_accesslog_entry_AccessLogCommon_CustomTagsEntry);
    e->key = span_of(key);
    e->value = value;
    PB_ADD(arena, &c->custom_tags, e);
}

static struct pb_accesslog_entry_TLSProperties_CertificateProperties *certificate(
    struct arena *arena, struct span uri)
{
    if (uri.len == 0) {
        return NULL;
    }
    struct pb_accesslog_entry_TLSProperties_CertificateProperties_SubjectAltName *san = arena_new(
        arena, struct pb_accesslog_entry_TLSProperties_CertificateProperties_SubjectAltName);
    san->san_case =
        PB_ACCESSLOG_ENTRY_TLS_PROPERTIES_CERTIFICATE_PROPERTIES_SUBJECT_ALT_NAME_SAN_URI;
    san->uri = uri;
    struct pb_accesslog_entry_TLSProperties_CertificateProperties *c =
        arena_new(arena, struct pb_accesslog_entry_TLSProperties_CertificateProperties);
    PB_ADD(arena, &c->subject_alt_name, san);
    return c;
}

static struct pb_accesslog_entry_AccessLogCommon *common(struct arena *arena,
                                                         const struct access_entry *e,
                                                         const struct stats_edge *edge)
{
    struct pb_accesslog_entry_AccessLogCommon *c =
        arena_new(arena, struct pb_accesslog_entry_AccessLogCommon);
    c->downstream_remote_address = address(arena, &e->downstream_remote);
    c->downstream_local_address = address(arena, &e->downstream_local);
    c->upstream_remote_address = address(arena, &e->upstream_remote);
    c->upstream_local_address = address(arena, &e->upstream_local);
    c->start_time = arena_new(arena, struct pb_protobuf_Timestamp);
    c->start_time->seconds = e->start_us / 1000000;
    c->start_time->nanos = (int32_t)(e->start_us % 1000000 * 1000);
    c->time_to_last_rx_byte = duration(arena, e->request_us);
    c->time_to_first_upstream_rx_byte = duration(arena, e->response_us);
    c->duration = duration(arena, e->duration_us);
    c->upstream_cluster = text(e->cluster);
    c->route_name = text(e->route_name);
    c->response_flags = flags(arena, e->flags);
    c->upstream_transport_failure_reason = text(e->failure);
    c->upstream_request_attempt_count = e->attempts;
    if (e->peer_principal.len > 0 || e->local_principal.len > 0) {
        c->tls_properties = arena_new(arena, struct pb_accesslog_entry_TLSProperties);
        c->tls_properties->tls_sni_hostname = text(e->requested_server);
        c->tls_properties->peer_certificate_properties = certificate(arena, e->peer_principal);
        c->tls_properties->local_certificate_properties = certificate(arena, e->local_principal);
    }
    struct stats_ends ends = stats_edge_ends(edge);
    tag(arena, c, "reporter", ends.reporter);
    tag(arena, c, "source_workload", ends.source_workload);
    tag(arena, c, "source_workload_namespace", ends.source_namespace);
    tag(arena, c, "destination_workload", ends.destination_workload);
    tag(arena, c, "destination_workload_namespace", ends.destination_namespace);
    return c;
}

static int32_t method(enum head_method id)
{
    static const int32_t methods[] = {
        [METHOD_OTHER] = PB_CORE_REQUEST_METHOD_METHOD_UNSPECIFIED,
        [METHOD_GET] = PB_CORE_REQUEST_METHOD_GET,
        [METHOD_HEAD] = PB_CORE_REQUEST_METHOD_HEAD,
        [METHOD_POST] = PB_CORE_REQUEST_METHOD_POST,
        [METHOD_PUT] = PB_CORE_REQUEST_METHOD_PUT,
        [METHOD_DELETE] = PB_CORE_REQUEST_METHOD_DELETE,
        [METHOD_CONNECT] = PB_CORE_REQUEST_METHOD_CONNECT,
        [METHOD_OPTIONS] = PB_CORE_REQUEST_METHOD_OPTIONS,
        [METHOD_TRACE] = PB_CORE_REQUEST_METHOD_TRACE,
        [METHOD_PATCH] = PB_CORE_REQUEST_METHOD_PATCH,
    };
    return methods[id];
}

static struct pb_accesslog_entry_HTTPRequestProperties *request(struct arena *arena,
                                                                const struct access_entry *e)
{
    const struct head *h = e->request;
    struct pb_accesslog_entry_HTTPRequestProperties *r =
        arena_new(arena, struct pb_accesslog_entry_HTTPRequestProperties);
    r->request_method = method(h->method_id);
    r->scheme = e->traffic->scheme;
    r->authority = text(e->traffic->authority);
    r->path = text(e->traffic->path);
    r->original_path = text(e->original_path);
    r->user_agent = text(head_get_known(h, HEAD_USER_AGENT));
    r->forwarded_for = text(head_get_known(h, HEAD_X_FORWARDED_FOR));
    r->request_id = text(head_get_known(h, HEAD_X_REQUEST_ID));
    r->request_body_bytes = e->bytes_received;
    return r;
}

static struct pb_accesslog_entry_HTTPResponseProperties *response(struct arena *arena,
                                                                  const struct access_entry *e)
{
    struct pb_accesslog_entry_HTTPResponseProperties *r =
        arena_new(arena, struct pb_accesslog_entry_HTTPResponseProperties);
    r->response_code = number(arena, e->status);
    r->response_body_bytes = e->bytes_sent;
    r->response_code_details =
        text(e->details.len > 0 ? e->details : outcome_row(e->outcome)->details);
    return r;
}

static int append(struct buf *to, struct span entry)
{
    /* HTTPAccessLogEntries.log_entry: field 1, length-delimited. */
    char head[8];
    size_t len = 0;
    head[len++] = 0x0a;
    size_t rest = entry.len;
    for (; rest >= 0x80; rest >>= 7) {
        head[len++] = (char)(unsigned char)(rest | 0x80);
    }
    head[len++] = (char)rest;
    char *at = buf_reserve(to, len + entry.len);
    if (at == NULL) {
        return -ERR_LIMIT;
    }
    memcpy(at, head, len);
    memcpy(at + len, entry.at, entry.len);
    buf_commit(to, len + entry.len);
    return 0;
}

void tap_add(struct tap *t, const struct access_entry *e, const struct stats_edge *edge)
{
    struct pb_accesslog_entry_HTTPAccessLogEntry entry = {
        .common_properties = common(&t->scratch, e, edge),
        .protocol_version = e->request->http2
                                ? PB_ACCESSLOG_ENTRY_HTTP_ACCESS_LOG_ENTRY_HTTP_VERSION_HTTP2
                            : e->request->http_minor == 0
                                ? PB_ACCESSLOG_ENTRY_HTTP_ACCESS_LOG_ENTRY_HTTP_VERSION_HTTP10
                                : PB_ACCESSLOG_ENTRY_HTTP_ACCESS_LOG_ENTRY_HTTP_VERSION_HTTP11,
        .request = request(&t->scratch, e),
        .response = response(&t->scratch, e),
    };
    struct span wire =
        pb_encode_in(&pb_accesslog_entry_HTTPAccessLogEntry_desc, &entry, &t->scratch);
    if (t->batch.count < TAP_ENTRIES_MAX && append(&t->batch.entries, wire) == 0) {
        t->batch.count++;
    } else {
        t->batch.dropped++;
    }
    arena_reset(&t->scratch);
}

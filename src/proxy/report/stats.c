/* The proxy's numbers: see stats.h. */
#include "proxy/report/stats.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "mesh/names.h"
#include "proxy/report/outcome.h"

/* ---- families ---- */

enum {
    F_REQUESTS,
    F_DURATION,
    F_REQUEST_BYTES,
    F_RESPONSE_BYTES,
    F_TCP_OPENED,
    F_TCP_CLOSED,
    F_TCP_SENT,
    F_TCP_RECEIVED,
    F_ISTIO_COUNT
};

/* Istio's labels in its order; HTTP has response_code and grpc_response_status more. */
#define ISTIO_LABELS                                                                              \
    "reporter", "source_workload", "source_canonical_service", "source_canonical_revision",       \
        "source_workload_namespace", "source_principal", "source_app", "source_version",          \
        "source_cluster", "destination_workload", "destination_workload_namespace",               \
        "destination_principal", "destination_app", "destination_version", "destination_service", \
        "destination_canonical_service", "destination_canonical_revision",                        \
        "destination_service_name", "destination_service_namespace", "destination_cluster",       \
        "request_protocol", "response_flags", "connection_security_policy"
#define LABEL_COUNT 23 /* those above */
#define LABEL_FLAGS 21
#define LABEL_CODE 23
#define LABEL_GRPC 24

static const char *const http_labels[] = {ISTIO_LABELS, "response_code", "grpc_response_status",
                                          NULL};
static const char *const tcp_labels[] = {ISTIO_LABELS, NULL};
static const double ms_buckets[] = {0.5,   1,      5,      10,      25,     50,    100,
                                    250,   500,    1000,   2500,    5000,   10000, 30000,
                                    60000, 300000, 600000, 1800000, 3600000};
static const double byte_buckets[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

#define COUNTER_ROW(n, h, l) {.name = n, .help = h, .kind = METRIC_COUNTER, .labels = l}
#define HISTOGRAM_ROW(n, h, b) \
    {.name = n,                \
     .help = h,                \
     .kind = METRIC_HISTOGRAM, \
     .labels = http_labels,    \
     .buckets = b,             \
     .bucket_count = ARRAY_LEN(b)}

static const struct metric_family_spec istio_rows[F_ISTIO_COUNT] = {
    [F_REQUESTS] = COUNTER_ROW(METRIC_REQUESTS, "Requests handled by the proxy.", http_labels),
    [F_DURATION] = HISTOGRAM_ROW(METRIC_REQUEST_DURATION, "Duration of requests.", ms_buckets),
    [F_REQUEST_BYTES] = HISTOGRAM_ROW(METRIC_REQUEST_BYTES, "Request body sizes.", byte_buckets),
    [F_RESPONSE_BYTES] = HISTOGRAM_ROW(METRIC_RESPONSE_BYTES, "Response body sizes.", byte_buckets),
    [F_TCP_OPENED] = COUNTER_ROW(METRIC_TCP_OPENED, "Opaque connections opened.", tcp_labels),
    [F_TCP_CLOSED] = COUNTER_ROW(METRIC_TCP_CLOSED, "Opaque connections closed.", tcp_labels),
    [F_TCP_SENT] =
        COUNTER_ROW(METRIC_TCP_SENT, "Bytes sent in responses of opaque connections.", tcp_labels),
    [F_TCP_RECEIVED] = COUNTER_ROW(METRIC_TCP_RECEIVED,
                                   "Bytes received in requests of opaque connections.", tcp_labels),
};

static const char *const cluster_labels[] = {"envoy_cluster_name", NULL};
static const char *const cluster_xx_labels[] = {"envoy_cluster_name", "envoy_response_code_class",
                                                NULL};
static const char *const listener_labels[] = {"envoy_listener_address", NULL};
static const char *const http_prefix_labels[] = {"envoy_http_conn_manager_prefix", NULL};
static const char *const http_xx_labels[] = {"envoy_http_conn_manager_prefix",
                                             "envoy_response_code_class", NULL};

#define CLUSTER_COUNTER(n) \
    COUNTER_ROW("envoy_cluster_" #n, "See Envoy's cluster statistics.", cluster_labels),
#define GAUGE_ROW(n, h, l) {.name = n, .help = h, .kind = METRIC_GAUGE, .labels = l}
#define CLUSTER_GAUGE(n) \
    GAUGE_ROW("envoy_cluster_" #n, "See Envoy's cluster statistics.", cluster_labels),
#define LISTENER_COUNTER(n) \
    COUNTER_ROW("envoy_listener_" #n, "See Envoy's listener statistics.", listener_labels),
#define LISTENER_GAUGE(n) \
    GAUGE_ROW("envoy_listener_" #n, "See Envoy's listener statistics.", listener_labels),
#define HTTP_COUNTER(n)                                                              \
    COUNTER_ROW("envoy_http_" #n, "See Envoy's HTTP connection manager statistics.", \
                http_prefix_labels),
#define HTTP_GAUGE(n)                                                              \
    GAUGE_ROW("envoy_http_" #n, "See Envoy's HTTP connection manager statistics.", \
              http_prefix_labels),

static const struct metric_family_spec cluster_rows[] = {
    STATS_CLUSTER_LIST(CLUSTER_COUNTER, CLUSTER_GAUGE)};
static const struct metric_family_spec listener_rows[] = {
    STATS_LISTENER_LIST(LISTENER_COUNTER, LISTENER_GAUGE)};
static const char *const rbac_labels[] = {"envoy_rbac_prefix", NULL};
#define RBAC_COUNTER(n) \
    COUNTER_ROW("envoy_rbac_" #n, "See Envoy's network RBAC statistics.", rbac_labels),
static const struct metric_family_spec rbac_rows[] = {STATS_RBAC_LIST(RBAC_COUNTER)};
static const char *const udp_labels[] = {"envoy_udp_prefix", NULL};
#define UDP_COUNTER(n) \
    COUNTER_ROW("envoy_udp_" #n, "See Envoy's UDP proxy statistics.", udp_labels),
#define UDP_GAUGE(n) GAUGE_ROW("envoy_udp_" #n, "See Envoy's UDP proxy statistics.", udp_labels),
static const struct metric_family_spec udp_rows[] = {STATS_UDP_LIST(UDP_COUNTER, UDP_GAUGE)};
static const struct metric_family_spec http_rows[] = {STATS_HTTP_LIST(HTTP_COUNTER, HTTP_GAUGE)};
static const struct metric_family_spec limit_rows[LIMIT_STAT_COUNT] = {
#define LIMIT_STAT(n, h) [LIMIT_STAT_##n] = COUNTER_ROW("envoy_http_" #n, h, http_prefix_labels),
#include "http/limits.def"
};
static const struct metric_family_spec cluster_xx_row = COUNTER_ROW(
    "envoy_cluster_upstream_rq_xx", "Responses of upstreams by class.", cluster_xx_labels);
static const struct metric_family_spec http_xx_row =
    COUNTER_ROW("envoy_http_downstream_rq_xx", "Responses to clients by class.", http_xx_labels);

/* Each struct is a row of pointers in the order of its list. */
_Static_assert(sizeof(struct stats_cluster) == (ARRAY_LEN(cluster_rows) + 6) * sizeof(void *),
               "cluster rows");
_Static_assert(sizeof(struct stats_listener) == ARRAY_LEN(listener_rows) * sizeof(void *),
               "listener rows");
_Static_assert(sizeof(struct stats_udp) == ARRAY_LEN(udp_rows) * sizeof(void *), "udp rows");
_Static_assert(sizeof(struct stats_rbac) == ARRAY_LEN(rbac_rows) * sizeof(void *), "rbac rows");
_Static_assert(sizeof(struct stats_http) == (ARRAY_LEN(http_rows) + 6) * sizeof(void *),
               "http rows");

struct stats_families {
    struct metric_family *istio[F_ISTIO_COUNT];
    struct metric_family *cluster[ARRAY_LEN(cluster_rows)];
    struct metric_family *listener[ARRAY_LEN(listener_rows)];
    struct metric_family *http[ARRAY_LEN(http_rows)];
    struct metric_family *limit[LIMIT_STAT_COUNT];
    struct metric_family *rbac[ARRAY_LEN(rbac_rows)];
    struct metric_family *udp[ARRAY_LEN(udp_rows)];
    struct metric_family *cluster_xx, *http_xx;
    struct stats_workload self;
    struct arena texts;
};

static struct span unknown(struct arena *a, struct span s)
{
    return s.len > 0 ? arena_dup(a, s) : SPAN("unknown");
}

static struct stats_workload named(struct arena *a, const struct stats_workload *w)
{
    return (struct stats_workload){
        .workload = unknown(a, w->workload),
        .workload_namespace = unknown(a, w->workload_namespace),
        .principal = unknown(a, w->principal),
        .app = unknown(a, w->app),
        .version = unknown(a, w->version),
        .canonical_service = unknown(a, w->canonical_service),
        .canonical_revision =
            w->canonical_revision.len > 0 ? arena_dup(a, w->canonical_revision) : SPAN("latest"),
        .cluster = unknown(a, w->cluster),
    };
}

static void add_all(struct metric_registry *r, const struct metric_family_spec *rows, size_t count,
                    struct metric_family **to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = metric_family_add(r, &rows[i]);
    }
}

struct stats_families *stats_families_new(struct metric_registry *r,
                                          const struct stats_workload *self)
{
    struct stats_families *f = mem_new(struct stats_families);
    arena_init(&f->texts, 512);
    f->self = named(&f->texts, self);
    add_all(r, istio_rows, F_ISTIO_COUNT, f->istio);
    add_all(r, cluster_rows, ARRAY_LEN(cluster_rows), f->cluster);
    add_all(r, listener_rows, ARRAY_LEN(listener_rows), f->listener);
    add_all(r, http_rows, ARRAY_LEN(http_rows), f->http);
    add_all(r, limit_rows + 1, ARRAY_LEN(limit_rows) - 1, f->limit + 1); /* the first is none */
    add_all(r, rbac_rows, ARRAY_LEN(rbac_rows), f->rbac);
    add_all(r, udp_rows, ARRAY_LEN(udp_rows), f->udp);
    f->cluster_xx = metric_family_add(r, &cluster_xx_row);
    f->http_xx = metric_family_add(r, &http_xx_row);
    return f;
}

void stats_families_free(struct stats_families *f)
{
    if (f != NULL) {
        arena_dispose(&f->texts);
        mem_free(f);
    }
}

/* ---- edges ---- */

#define ENDINGS 8 /* (code, flags, grpc) of an edge that are kept at hand */

/* How requests of one edge ended in one way. */
struct ending {
    unsigned status;
    int grpc_status;
    uint32_t flags;
    struct metric_series *requests, *duration, *request_bytes, *response_bytes;
};

struct tcp_ending {
    uint32_t flags;
    struct metric_series *closed, *sent, *received;
};

struct stats_edge {
    struct stats *stats;
    struct span labels[LABEL_COUNT];
    struct span key;
    struct ending endings[ENDINGS];
    size_t ending_count;
    size_t ending_oldest;
    struct metric_series *tcp_opened;
    struct tcp_ending tcp;
};

struct stats {
    struct stats_families *families; /* borrowed */
    struct metric_shard *shard;      /* borrowed */
    struct map edges;
    struct arena arena; /* edges and their texts */
    struct stats_edge *overflow;
};

struct stats *stats_new(struct stats_families *f, struct metric_shard *shard)
{
    struct stats *s = mem_new(struct stats);
    s->families = f;
    s->shard = shard;
    map_init(&s->edges);
    arena_init(&s->arena, 8192);
    return s;
}

void stats_free(struct stats *s)
{
    if (s != NULL) {
        map_dispose(&s->edges);
        arena_dispose(&s->arena);
        mem_free(s);
    }
}

static void workload_labels(struct span *at, const struct stats_workload *w, bool destination)
{
    if (!destination) {
        at[0] = w->workload;
        at[1] = w->canonical_service;
        at[2] = w->canonical_revision;
        at[3] = w->workload_namespace;
        at[4] = w->principal;
        at[5] = w->app;
        at[6] = w->version;
        at[7] = w->cluster;
        return;
    }
    at[0] = w->workload;
    at[1] = w->workload_namespace;
    at[2] = w->principal;
    at[3] = w->app;
    at[4] = w->version;
    at[6] = w->canonical_service;
    at[7] = w->canonical_revision;
    at[10] = w->cluster;
}

static void fill_labels(struct stats_edge *e, const struct stats_edge_key *key)
{
    static const struct span protocols[] = {{"http", 4}, {"grpc", 4}, {"tcp", 3}};
    struct arena *a = &e->stats->arena;
    struct stats_workload self = e->stats->families->self;
    if (key->self_principal.len > 0) {
        self.principal = arena_dup(a, key->self_principal);
    }
    struct stats_workload peer = named(a, key->peer);
    bool source = key->reporter == STATS_SOURCE;
    e->labels[0] = source ? SPAN("source") : SPAN("destination");
    workload_labels(&e->labels[1], source ? &self : &peer, false);
    workload_labels(&e->labels[9], source ? &peer : &self, true);
    e->labels[14] = unknown(a, key->service.host);
    e->labels[17] = unknown(a, key->service.name);
    e->labels[18] = unknown(a, key->service.service_namespace);
    e->labels[20] = protocols[key->protocol];
    e->labels[21] = SPAN("-");
    /* Istio: only the destination knows for sure how it was called. */
    e->labels[22] = source ? SPAN("unknown") : key->mutual_tls ? SPAN("mutual_tls") : SPAN("none");
}

/* All that tells edges apart, in one text. */
static struct span key_text(const struct stats_edge_key *key, char *to, size_t room)
{
    const struct stats_workload *w = key->peer;
    const struct span parts[] = {w->workload,
                                 w->workload_namespace,
                                 w->principal,
                                 w->app,
                                 w->version,
                                 w->canonical_service,
                                 w->canonical_revision,
                                 w->cluster,
                                 key->service.host,
                                 key->service.name,
                                 key->service.service_namespace,
                                 key->self_principal};
    size_t len = 0;
    to[len++] = (char)('0' + key->reporter);
    to[len++] = (char)('0' + key->protocol);
    to[len++] = key->mutual_tls ? '1' : '0';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t part = size_min(parts[i].len, room - len - 1);
        if (part > 0) {
            memcpy(to + len, parts[i].at, part);
        }
        len += part;
        to[len++] = '\0';
        if (len + 1 >= room) {
            break;
        }
    }
    return span_from(to, len);
}

static struct stats_edge *edge_make(struct stats *s, const struct stats_edge_key *key,
                                    struct span text)
{
    struct stats_edge *e = arena_new(&s->arena, struct stats_edge);
    e->stats = s;
    fill_labels(e, key);
    e->key = arena_dup(&s->arena, text);
    return e;
}

struct stats_edge *stats_edge_get(struct stats *s, const struct stats_edge_key *key)
{
    char text[2048];
    struct span k = key_text(key, text, sizeof(text));
    struct stats_edge *e = map_get(&s->edges, k);
    if (e != NULL) {
        return e;
    }
    if (map_count(&s->edges) >= STATS_EDGES_MAX) {
        if (s->overflow == NULL) {
            static const struct stats_workload nobody;
            struct stats_edge_key rest = {.reporter = key->reporter, .peer = &nobody};
            s->overflow = edge_make(s, &rest, SPAN("overflow"));
        }
        return s->overflow;
    }
    e = edge_make(s, key, k);
    map_put(&s->edges, e->key, e);
    return e;
}

struct stats_ends stats_edge_ends(const struct stats_edge *e)
{
    return (struct stats_ends){
        .reporter = e->labels[0],
        .source_workload = e->labels[1],
        .source_namespace = e->labels[4],
        .destination_workload = e->labels[9],
        .destination_namespace = e->labels[10],
    };
}

/* ---- adding ---- */

static struct metric_series *edge_series(struct stats_edge *e, int family, struct span code,
                                         struct span grpc, uint32_t flags)
{
    struct span labels[LABEL_COUNT + 2];
    char text[OUTCOME_FLAGS_BYTES];
    memcpy(labels, e->labels, sizeof(e->labels));
    labels[LABEL_FLAGS] = outcome_flags(flags, text);
    labels[LABEL_CODE] = code;
    labels[LABEL_GRPC] = grpc;
    return metric_series_get(e->stats->shard, e->stats->families->istio[family], labels);
}

static struct ending *ending_get(struct stats_edge *e, unsigned status, int grpc_status,
                                 uint32_t flags)
{
    for (size_t i = 0; i < e->ending_count; i++) {
        struct ending *have = &e->endings[i];
        if (have->status == status && have->flags == flags && have->grpc_status == grpc_status) {
            return have;
        }
    }
    struct ending *n;
    if (e->ending_count < ENDINGS) {
        n = &e->endings[e->ending_count++];
    } else {
        n = &e->endings[e->ending_oldest];
        e->ending_oldest = (e->ending_oldest + 1) % ENDINGS;
    }
    char code_text[16], grpc_text[16];
    struct span code =
        span_from(code_text, (size_t)snprintf(code_text, sizeof(code_text), "%u", status));
    struct span grpc = SPAN_EMPTY;
    if (grpc_status >= 0) {
        grpc =
            span_from(grpc_text, (size_t)snprintf(grpc_text, sizeof(grpc_text), "%d", grpc_status));
    }
    *n = (struct ending){
        .status = status,
        .grpc_status = grpc_status,
        .flags = flags,
        .requests = edge_series(e, F_REQUESTS, code, grpc, flags),
        .duration = edge_series(e, F_DURATION, code, grpc, flags),
        .request_bytes = edge_series(e, F_REQUEST_BYTES, code, grpc, flags),
        .response_bytes = edge_series(e, F_RESPONSE_BYTES, code, grpc, flags),
    };
    return n;
}

void stats_request(struct stats_edge *e, unsigned status, int grpc_status, uint32_t flags,
                   int64_t duration_us, uint64_t request_bytes, uint64_t response_bytes)
{
    struct ending *n = ending_get(e, status, grpc_status, flags);
    metric_add(n->requests, 1);
    metric_observe(n->duration, (double)duration_us / 1000.0);
    metric_observe(n->request_bytes, (double)request_bytes);
    metric_observe(n->response_bytes, (double)response_bytes);
}

static struct tcp_ending *tcp_get(struct stats_edge *e, uint32_t flags)
{
    if (e->tcp.closed == NULL || e->tcp.flags != flags) {
        e->tcp = (struct tcp_ending){
            .flags = flags,
            .closed = edge_series(e, F_TCP_CLOSED, SPAN_EMPTY, SPAN_EMPTY, flags),
            .sent = edge_series(e, F_TCP_SENT, SPAN_EMPTY, SPAN_EMPTY, flags),
            .received = edge_series(e, F_TCP_RECEIVED, SPAN_EMPTY, SPAN_EMPTY, flags),
        };
    }
    return &e->tcp;
}

void stats_tcp_opened(struct stats_edge *e)
{
    if (e->tcp_opened == NULL) {
        e->tcp_opened = edge_series(e, F_TCP_OPENED, SPAN_EMPTY, SPAN_EMPTY, 0);
    }
    metric_add(e->tcp_opened, 1);
}

void stats_tcp_bytes(struct stats_edge *e, uint32_t flags, uint64_t sent, uint64_t received)
{
    struct tcp_ending *t = tcp_get(e, flags);
    metric_add(t->sent, sent);
    metric_add(t->received, received);
}

void stats_tcp_closed(struct stats_edge *e, uint32_t flags)
{
    metric_add(tcp_get(e, flags)->closed, 1);
}

/* ---- Envoy's ---- */

static void bind_row(struct stats *s, struct metric_family *const *families, size_t count,
                     struct span label, struct metric_series **out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = metric_series_get(s->shard, families[i], &label);
    }
}

static void bind_classes(struct stats *s, struct metric_family *family, struct span label,
                         struct metric_series *out[6])
{
    static const struct span classes[] = {{"0", 1}, {"1", 1}, {"2", 1},
                                          {"3", 1}, {"4", 1}, {"5", 1}};
    for (size_t i = 0; i < 6; i++) {
        const struct span labels[] = {label, classes[i]};
        out[i] = metric_series_get(s->shard, family, labels);
    }
}

void stats_cluster_bind(struct stats *s, struct span cluster, struct stats_cluster *out)
{
    bind_row(s, s->families->cluster, ARRAY_LEN(cluster_rows), cluster,
             (struct metric_series **)out);
    bind_classes(s, s->families->cluster_xx, cluster, out->upstream_rq_xx);
}

void stats_listener_bind(struct stats *s, struct span address, struct stats_listener *out)
{
    bind_row(s, s->families->listener, ARRAY_LEN(listener_rows), address,
             (struct metric_series **)out);
}

void stats_rbac_bind(struct stats *s, struct span stat_prefix, struct stats_rbac *out)
{
    bind_row(s, s->families->rbac, ARRAY_LEN(rbac_rows), stat_prefix, (struct metric_series **)out);
}

void stats_udp_bind(struct stats *s, struct span stat_prefix, struct stats_udp *out)
{
    bind_row(s, s->families->udp, ARRAY_LEN(udp_rows), stat_prefix, (struct metric_series **)out);
}

void stats_http_bind(struct stats *s, struct span stat_prefix, struct stats_http *out)
{
    bind_row(s, s->families->http, ARRAY_LEN(http_rows), stat_prefix, (struct metric_series **)out);
    bind_classes(s, s->families->http_xx, stat_prefix, out->downstream_rq_xx);
    for (size_t i = LIMIT_STAT_none + 1; i < LIMIT_STAT_COUNT; i++) { /* they show from the start */
        (void)metric_series_get(s->shard, s->families->limit[i], &stat_prefix);
    }
}

void stats_limit(struct stats *s, struct span stat_prefix, enum limit broken)
{
    enum limit_stat stat = limits_rows[broken].stat;
    if (stat != LIMIT_STAT_none) {
        metric_add(metric_series_get(s->shard, s->families->limit[stat], &stat_prefix), 1);
    }
}

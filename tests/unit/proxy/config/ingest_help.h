#ifndef UNIT_PROXY_INGEST_HELP_H
#define UNIT_PROXY_INGEST_HELP_H
/* An ingest on a simulated loop, fed with resources written as YAML. */
#include "base/arena.h"
#include "base/instant.h"
#include "base/mem.h"
#include "codec/doc.h"
#include "codec/pb_json.h"
#include "io/loop.h"
#include "proto/protobuf.pb.h"
#include "proto/types.pb.h"
#include "proxy/config/ingest.h"
#include "tls/issue.h"
#include "tls/keypair.h"
#include "tls/tls.h"

struct bench {
    struct loop *loop;
    struct ingest *ingest;
    struct arena arena;
    struct snapshot *snapshot; /* the newest; held */
    unsigned snapshots;
    const char *pem[2];  /* certificate, key */
    char interest[4096]; /* "+routes:a -secret:b " */
};

static inline void bench_on_snapshot(void *arg, struct snapshot *s)
{
    struct bench *b = arg;
    snapshot_get(s);
    if (b->snapshot) {
        ingest_snapshot_done(b->ingest, b->snapshot);
    }
    b->snapshot = s;
    b->snapshots++;
}

static inline void bench_on_interest(void *arg, enum conf_kind kind, struct span name,
                                     struct span path, bool wanted)
{
    UNUSED(path);
    struct bench *b = arg;
    static const char *const names[] = {"listener", "routes", "cluster", "endpoints", "secret"};
    size_t len = strlen(b->interest);
    (void)snprintf(b->interest + len, sizeof(b->interest) - len, "%c%s:%.*s ", wanted ? '+' : '-',
                   names[kind], SPAN_ARG(name));
}

/* A self-signed certificate and its key, as YAML texts: what CHAIN, ROOTS and PRIVATE-KEY stand for below. */
static inline void bench_make_pem(struct bench *b)
{
    struct keypair *key = NULL;
    struct err err = {0};
    struct issue_spec spec = {.spiffe_id = SPAN("spiffe://td/ns/a/sa/b"),
                              .common_name = SPAN("root"),
                              .not_before_s = 1600000000,
                              .not_after_s = 1800000000,
                              .ca = true};
    struct buf pem[2];
    assert_int_equal(tls_init(&err), 0);
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    for (unsigned i = 0; i < 2; i++) {
        buf_init(&pem[i], 8192);
        assert_int_equal(i ? keypair_write(key, &pem[i]) : issue_root(key, &spec, &pem[i], &err),
                         0);
        char *to = arena_alloc(&b->arena, 2 * buf_len(&pem[i]) + 3);
        b->pem[i] = to;
        *to++ = '"';
        for (size_t k = 0; k < buf_len(&pem[i]); k++) {
            char c = buf_span(&pem[i]).at[k];
            *to++ = c == '\n' ? '\\' : c;
            if (c == '\n') {
                *to++ = 'n';
            }
        }
        *to++ = '"';
        *to = '\0';
        buf_dispose(&pem[i]);
    }
    keypair_free(key);
}

/* The text with its placeholders filled in. */
static inline const char *bench_fill(struct bench *b, const char *yaml)
{
    static const struct {
        const char *word;
        unsigned pem;
    } words[] = {{"CHAIN", 0}, {"ROOTS", 0}, {"PRIVATE-KEY", 1}};
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        for (const char *at; (at = strstr(yaml, words[i].word)) != NULL;) {
            yaml = arena_printf(&b->arena, "%.*s%s%s", (int)(at - yaml), yaml, b->pem[words[i].pem],
                                at + strlen(words[i].word));
        }
    }
    return yaml;
}

static inline void bench_begin(struct bench *b)
{
    *b = (struct bench){0};
    instant_fake_start(1000000000, 1700000000000000);
    b->loop = loop_new(true);
    arena_init(&b->arena, 65536);
    bench_make_pem(b);
    struct ingest_events events = {.on_snapshot = bench_on_snapshot,
                                   .on_interest = bench_on_interest};
    b->ingest = ingest_new(b->loop, NULL, &events, b);
}

static inline void bench_end(struct bench *b)
{
    ingest_free(b->ingest);
    arena_dispose(&b->arena);
    loop_free(b->loop);
    instant_fake_stop();
}

static inline void bench_settle(struct bench *b)
{
    while (loop_turn(b->loop, false)) {
    }
}

static inline void bench_advance(struct bench *b, int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    bench_settle(b);
}

/* A list of Anys. */
static inline struct ingest_resource *bench_read(struct bench *b, const char *yaml,
                                                 const char *version, size_t *count)
{
    struct err err = {0};
    struct doc_node *doc = NULL;
    if (doc_parse_yaml(&b->arena, span_of(bench_fill(b, yaml)), "t.yaml", &doc, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    *count = doc_count(doc);
    struct ingest_resource *list = arena_array(&b->arena, *count, sizeof(*list));
    for (size_t i = 0; i < *count; i++) {
        struct pb_protobuf_Any *any =
            pb_json_read(&proto_types, &pb_protobuf_Any_desc, &b->arena, doc_at(doc, i), &err);
        if (!any) {
            print_error("%s\n", err.text);
            fail();
        }
        list[i] = (struct ingest_resource){
            .version = span_of(version), .type_url = any->type_url, .value = any->value};
    }
    return list;
}

static inline int bench_try(struct bench *b, const char *yaml, const char *version, bool full,
                            struct err *err)
{
    size_t count;
    struct ingest_resource *list = bench_read(b, yaml, version, &count);
    assert_true(count > 0);
    return ingest_apply(b->ingest, list, count, list[0].type_url, NULL, 0, full, err);
}

static inline void bench_apply(struct bench *b, const char *yaml, const char *version)
{
    struct err err = {0};
    if (bench_try(b, yaml, version, false, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
}

static inline void bench_remove(struct bench *b, const char *type, const char *name)
{
    struct err err = {0};
    struct span gone = span_of(name);
    assert_int_equal(ingest_apply(b->ingest, NULL, 0, span_of(type), &gone, 1, false, &err), 0);
}

static inline const struct conf_cluster *bench_cluster(const struct bench *b, const char *name)
{
    for (size_t i = 0; b->snapshot && i < b->snapshot->slots; i++) {
        if (b->snapshot->clusters[i] && span_is(b->snapshot->clusters[i]->conf.name, name)) {
            return b->snapshot->clusters[i];
        }
    }
    return NULL;
}

static inline const struct conf_listener *bench_listener(const struct bench *b, const char *name)
{
    for (size_t i = 0; b->snapshot && i < b->snapshot->listener_count; i++) {
        if (span_is(b->snapshot->listeners[i]->conf.name, name)) {
            return b->snapshot->listeners[i];
        }
    }
    return NULL;
}

#define TYPE "'@type': type.googleapis.com/"
#define LISTENER "envoy.config.listener.v3.Listener"
#define CLUSTER "envoy.config.cluster.v3.Cluster"
#define ROUTES "envoy.config.route.v3.RouteConfiguration"
#define ENDPOINTS "envoy.config.endpoint.v3.ClusterLoadAssignment"
#define SECRET "envoy.extensions.transport_sockets.tls.v3.Secret"
#define HCM "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
#define TCP "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
#define ROUTER                                               \
    "{name: envoy.filters.http.router, typed_config: {" TYPE \
    "envoy.extensions.filters.http.router.v3.Router}}"
#define AT(port) "address: {socket_address: {address: 127.0.0.1, port_value: " port "}}"
#define TCP_CHAIN(cluster) \
    "{filters: [{name: tcp, typed_config: {" TYPE TCP ", stat_prefix: t, cluster: " cluster "}}]}"
#define HTTP_CHAIN(routes)                                                         \
    "{filters: [{name: http, typed_config: {" TYPE HCM ", stat_prefix: h, " routes \
    ", http_filters: [" ROUTER "]}}]}"
#define RDS(name) "rds: {route_config_name: " name ", config_source: {ads: {}}}"
#endif

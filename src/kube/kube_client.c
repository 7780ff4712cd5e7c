/* The client of an API server: whom it must prove to be, how we reach it, and what dies with us.
 * In: struct kube_conf. Out: http/http_client. Next: kube_call.c, kube_stream.c. */
#include "kube/kube_client.h"

#include "base/mem.h"
#include "codec/url.h"
#include "kube/kube_client_int.h"

#define CONNECT_MS 5000
#define HTTP1_CONNS 64 /* each watch has one for itself */
#define STREAMS 250    /* as Go's server allows by default */
#define STREAM_WINDOW (1u << 20)
#define CONN_WINDOW (8u << 20)
#define PING_MS 5000 /* a server that is gone is noticed within twice this */
#define IDLE_MS 300000

/* For HTTP/1, which has no PING. */
static const struct sockopt_keepalive keepalive = {
    .idle_ms = 10000, .interval_ms = 5000, .probes = 2};

/* ---- ways ---- */

static int make_tls(struct kube_client *c, struct span cert_pem, struct span key_pem,
                    struct tls_ctx **out, struct err *err)
{
    static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
    const struct kube_conf *conf = c->conf;
    struct ip ip;
    char text[IP_TEXT_BYTES];
    bool is_ip = ip_parse(c->tls_host, &ip) == 0;
    struct tls_trust trust = {.roots_pem = conf->ca_pem};
    struct tls_san_match name = {
        .san = is_ip ? TLS_SAN_IP : TLS_SAN_DNS,
        .kind = TLS_MATCH_EXACT,
        .text = is_ip ? span_of(ip_format(&ip, text)) : c->tls_host,
    };
    struct tls_ctx_spec spec = {
        .chain_pem = cert_pem,
        .key_pem = key_pem,
        .trust = &trust,
        .trust_count = conf->insecure ? 0 : 1,
        .peer_mode = conf->insecure ? TLS_PEER_NONE : TLS_PEER_REQUIRED,
        .allowed = &name,
        .allowed_count = conf->insecure ? 0 : 1,
        .alpn = alpn,
        .alpn_count = ARRAY_LEN(alpn),
        .sni = is_ip ? SPAN_EMPTY : c->tls_host,
    };
    if (!conf->insecure && conf->ca_pem.len == 0) {
        return err_set(err, -ERR_CONFIG,
                       "there is no certificate authority to prove '%.*s' with; name it, or use "
                       "insecure-skip-tls-verify where that is no danger",
                       SPAN_ARG(c->origin));
    }
    return tls_ctx_new(out, &spec, err);
}

static int make_way(struct kube_client *c, struct span cert_pem, struct span key_pem,
                    struct kube_way **out, struct err *err)
{
    struct tls_ctx *tls = NULL;
    struct http_client *http;
    int code = 0;
    if (span_starts(c->origin, SPAN("https:"))) {
        code = make_tls(c, cert_pem, key_pem, &tls, err);
    }
    struct http_client_spec spec = {
        .origin = c->origin,
        .tls = tls,
        .resolver = c->resolver,
        .connect_ms = CONNECT_MS,
        .conns = HTTP1_CONNS,
        .limits = &c->limits,
        .keepalive = &keepalive,
    };
    if (code == 0) {
        code = http_client_new(&http, c->loop, &spec, err);
    }
    tls_ctx_put(tls);
    if (code == 0) {
        struct kube_way *way = mem_new(struct kube_way);
        way->users = 1;
        way->http = http;
        list_push_back(&c->ways, &way->node);
        *out = way;
    }
    return code;
}

static void way_free(struct kube_way *way)
{
    list_remove(&way->node);
    http_client_free(way->http);
    mem_free(way);
}

static void on_sweep(struct loop_task *task)
{
    struct kube_client *c = container_of(task, struct kube_client, sweep);
    LIST_EACH(node, next, &c->ways) {
        struct kube_way *way = list_item(node, struct kube_way, node);
        if (way->users == 0) {
            way_free(way);
        }
    }
}

struct kube_way *kube_client_way_get(struct kube_client *c)
{
    c->way->users++;
    return c->way;
}

/* Not freed within an event of its own. */
void kube_client_way_put(struct kube_client *c, struct kube_way *way)
{
    if (--way->users == 0) {
        loop_task_add(c->loop, &c->sweep);
    }
}

static int on_certificate(void *arg, struct span cert_pem, struct span key_pem, struct err *err)
{
    struct kube_client *c = arg;
    struct kube_way *fresh;
    int code = make_way(c, cert_pem, key_pem, &fresh, err);
    if (code == 0) {
        struct kube_way *old = c->way;
        c->way = fresh;
        kube_client_way_put(c, old);
    }
    return code;
}

/* ---- the client ---- */

static int read_server(struct kube_client *c, struct err *err)
{
    struct url url;
    struct ip ip;
    struct span server = arena_dup(&c->arena, c->conf->server);
    if (url_parse(server, &url) != 0 || url.host.len == 0 || url.has_query) {
        return err_set(err, -ERR_CONFIG, "'%.*s' is no API server; want https://HOST:PORT",
                       SPAN_ARG(server));
    }
    c->origin = span_first(server, (size_t)(url.authority.at - server.at) + url.authority.len);
    c->prefix = url.path;
    while (c->prefix.len > 0 && c->prefix.at[c->prefix.len - 1] == '/') {
        c->prefix.len--;
    }
    c->tls_host = c->conf->tls_name.len > 0 ? c->conf->tls_name : url.host;
    return ip_parse(url.host, &ip) == 0
               ? 0
               : resolver_new(&c->resolver, c->loop, &(struct resolver_spec){0}, err);
}

static void set_limits(struct kube_client *c)
{
    c->limits = limits_default;
    c->limits.streams = STREAMS;
    c->limits.stream_window = STREAM_WINDOW;
    c->limits.conn_window = CONN_WINDOW;
    c->limits.idle_ms = IDLE_MS;
    c->limits.ping_ms = PING_MS;
}

static void client_free(void *obj)
{
    struct kube_client *c = obj;
    resolver_free(c->resolver);
    arena_dispose(&c->arena);
    mem_free(c);
}

int kube_client_new(struct kube_client **out, struct loop *loop,
                    const struct kube_client_spec *spec, struct err *err)
{
    struct kube_client *c = mem_new(struct kube_client);
    c->loop = loop;
    c->conf = spec->conf;
    arena_init(&c->arena, 1024);
    list_init(&c->ways);
    list_init(&c->calls);
    list_init(&c->streams);
    loop_task_init(&c->sweep, on_sweep);
    rng_init(&c->rng);
    set_limits(c);
    c->user_agent =
        arena_dup(&c->arena, span_of(spec->user_agent != NULL ? spec->user_agent : "mesh"));
    int code = read_server(c, err);
    if (code == 0) {
        code = make_way(c, c->conf->cert_pem, c->conf->key_pem, &c->way, err);
    }
    if (code != 0) {
        client_free(c);
        return code;
    }
    kube_credentials_init(&c->credentials, loop, c->conf);
    c->credentials.on_certificate = on_certificate;
    c->credentials.arg = c;
    *out = c;
    return 0;
}

void kube_client_free(struct kube_client *c)
{
    if (c == NULL) {
        return;
    }
    kube_stream_end_all(c);
    kube_call_end_all(c);
    kube_credentials_dispose(&c->credentials);
    loop_task_cancel(&c->sweep);
    while (!list_is_empty(&c->ways)) {
        way_free(list_item(c->ways.next, struct kube_way, node));
    }
    c->way = NULL;
    loop_bury(c->loop, client_free, c);
}

struct loop *kube_client_loop(const struct kube_client *c)
{
    return c->loop;
}

const struct kube_conf *kube_client_conf(const struct kube_client *c)
{
    return c->conf;
}

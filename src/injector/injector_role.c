/* mesh injector: the webhook on its own, for clusters where control is not to have it. Certificate and key from files (re-read when they change),
 * settings and labels of namespaces from the API server.
 * In: role.h. Next: injector_cluster, injector. */
#include <signal.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/opt.h"
#include "http/host.h"
#include "injector/injector.h"
#include "injector/injector_cluster.h"
#include "io/file.h"
#include "io/file_watch.h"
#include "io/signals.h"
#include "role.h"
#include "tls/tls.h"

#define PEM_MAX (1u << 20)
#define PAGE_MAX (1u << 20)

struct injector_options {
    const char *address, *address_path, *monitoring, *cert, *key, *kubeconfig, *context, *settings,
        *log_level;
    int log_format;
};

static const char *const log_formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct injector_options, field)
#define TEXT_ROW(flag, field, what, otherwise, text) \
    {.name = flag,                                   \
     .type = OPT_TEXT,                               \
     .offset = AT(field),                            \
     .arg = what,                                    \
     .fallback = otherwise,                          \
     .help = text}
static const struct opt rows[] = {
    TEXT_ROW("address", address, "ADDR:PORT", "0.0.0.0:15017", "where the API server asks"),
    TEXT_ROW("address-path", address_path, "FILE", NULL, "write the address there once it is open"),
    TEXT_ROW("tls-cert", cert, "FILE", NULL, "certificate and those between it and the root, PEM"),
    TEXT_ROW("tls-key", key, "FILE", NULL, "its key"),
    TEXT_ROW("settings", settings, "FILE", NULL,
             "of all proxies, YAML; default: ConfigMap mesh-system/mesh-injector"),
    TEXT_ROW("monitoring-address", monitoring, "ADDR:PORT", "0.0.0.0:15014",
             "metrics and readiness; off for none"),
    TEXT_ROW("kubeconfig", kubeconfig, "FILE", NULL, "default: the pod's own account"),
    TEXT_ROW("context", context, "NAME", NULL, "of the kubeconfig; default: the current"),
    {.name = "log-level",
     .letter = 'l',
     .type = OPT_TEXT,
     .offset = AT(log_level),
     .arg = "LEVEL",
     .fallback = "info",
     .help = "error, warn, info, debug; or by area: info,injector:debug"},
    {.name = "log-format",
     .type = OPT_CHOICE,
     .offset = AT(log_format),
     .choices = log_formats,
     .fallback = "text",
     .help = "text or json"},
    {.name = NULL},
};
static const struct opt_spec spec = {
    .command = "mesh injector",
    .section = "injector",
    .summary = "The admission webhook that adds proxies to pods (mesh control has one in it).",
    .examples = "mesh injector --tls-cert tls.crt --tls-key tls.key\n"
                "mesh injector --tls-cert c.pem --tls-key k.pem --kubeconfig ~/.kube/config\n",
    .rows = rows,
};

struct injector_role {
    struct injector_options set;
    struct arena arena;
    struct loop *loop;
    struct signals *signals;
    struct host *host;
    struct injector *injector;
    struct metric_registry *metrics;
    struct file_watch *watch;
    struct kube_conf conf;
    bool has_conf;
    struct kube_client *client;
    struct injector_cluster *cluster; /* NULL: there is none */
    struct inject_settings settings;  /* of --settings, or the built-in ones */
};

static void on_signal(void *arg, int signo)
{
    UNUSED(signo);
    loop_stop(arg);
}

/* ---- TLS ---- */

static int load_tls(const struct injector_role *r, struct tls_ctx **out, struct err *err)
{
    static const struct span alpn[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
    struct buf chain, key;
    if (r->set.cert == NULL || r->set.key == NULL) {
        return err_set(err, -ERR_CONFIG,
                       "--tls-cert and --tls-key are missing: the API server "
                       "asks by HTTPS alone");
    }
    buf_init(&chain, PEM_MAX);
    buf_init(&key, PEM_MAX);
    int code = file_read(r->set.cert, &chain, err);
    code = code ? code : file_read(r->set.key, &key, err);
    code = code ? code
                : tls_ctx_new(out,
                              &(struct tls_ctx_spec){.server = true,
                                                     .chain_pem = buf_span(&chain),
                                                     .key_pem = buf_span(&key),
                                                     .peer_mode = TLS_PEER_NONE,
                                                     .alpn = alpn,
                                                     .alpn_count = ARRAY_LEN(alpn)},
                              err);
    if (buf_len(&key) > 0) {
        mem_wipe((char *)(uintptr_t)buf_span(&key).at, buf_len(&key));
    }
    buf_dispose(&chain);
    buf_dispose(&key);
    return code;
}

static void on_files_changed(void *arg)
{
    struct injector_role *r = arg;
    struct tls_ctx *tls = NULL;
    struct err err;
    if (load_tls(r, &tls, &err) != 0) {
        log_error("injector", "certificate kept why=\"%s\"", err.text);
        return;
    }
    http_server_set_tls(host_server(r->host, INJECTOR_SERVER), tls);
    tls_ctx_put(tls);
    log_info("injector", "certificate changed");
}

static int open_webhook(struct injector_role *r, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct tls_ctx *tls = NULL;
    char text[ADDR_TEXT_BYTES];
    int code = addr_parse(span_of(r->set.address), &where.addr, err);
    if (code != 0) {
        return err_prefix(err, "--address");
    }
    code = load_tls(r, &tls, err);
    code = code ? code : host_listen(r->host, INJECTOR_SERVER, &where, tls, err);
    tls_ctx_put(tls);
    code = code ? code
                : file_watch_new(&r->watch, r->loop, r->set.cert, 100, on_files_changed, r, err);
    if (code != 0) {
        return code;
    }
    addr_format(http_server_addr(host_server(r->host, INJECTOR_SERVER)), text);
    log_info("injector", "serving address=%s", text);
    return r->set.address_path ? file_write(r->set.address_path, span_of(text), 0644, err) : 0;
}

/* ---- metrics ---- */

static void on_metrics(void *arg, const struct http_request *rq)
{
    const struct injector_role *r = arg;
    struct buf page;
    buf_init(&page, PAGE_MAX);
    int code = metric_write(r->metrics, METRIC_PROMETHEUS, SPAN_EMPTY, &page);
    /* The stream tells by itself when the client is gone. */
    (void)http_stream_reply(rq->stream, code ? 500 : 200,
                            SPAN("text/plain; version=0.0.4; charset=utf-8"), buf_span(&page));
    buf_dispose(&page);
}

static int open_monitoring(struct injector_role *r, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    if (strcmp(r->set.monitoring, "off") == 0) {
        return 0;
    }
    int code = addr_parse(span_of(r->set.monitoring), &where.addr, err);
    code = code ? code : host_listen(r->host, "monitoring", &where, NULL, err);
    if (code != 0) {
        return err_prefix(err, "--monitoring-address");
    }
    struct http_server *s = host_server(r->host, "monitoring");
    http_server_route(s, "GET,HEAD", "/metrics", false, on_metrics, r);
    host_serve_ready(r->host, s, "/readyz");
    char text[ADDR_TEXT_BYTES];
    log_info("injector", "monitoring address=%s", addr_format(http_server_addr(s), text));
    return 0;
}

/* ---- settings and the cluster ---- */

static int read_settings(struct injector_role *r, struct err *err)
{
    struct doc_node *doc;
    struct buf text;
    inject_settings_init(&r->settings, &r->arena);
    if (r->set.settings == NULL) {
        return 0;
    }
    buf_init(&text, PEM_MAX);
    int code = file_read(r->set.settings, &text, err);
    struct span copy = arena_dup(&r->arena, buf_span(&text));
    buf_dispose(&text);
    code = code ? code : doc_parse_yaml(&r->arena, copy, r->set.settings, &doc, err);
    return code ? code : inject_settings_read(&r->settings, doc, &r->arena, err);
}

static void on_settings(void *arg, const struct inject_settings *settings)
{
    const struct injector_role *r = arg;
    if (r->set.settings == NULL) {
        injector_set_settings(r->injector, settings);
    }
}

static int open_cluster(struct injector_role *r, struct err *err)
{
    const struct kube_conf_spec where = {.kubeconfig = r->set.kubeconfig,
                                         .context = r->set.context,
                                         .in_cluster_first = r->set.kubeconfig == NULL};
    int code = kube_conf_load(&r->conf, &where, err);
    if (code == -ENOENT && r->set.kubeconfig == NULL) {
        log_warn("injector", "no cluster: who asks decides for namespaces why=\"%s\"", err->text);
        return 0;
    }
    r->has_conf = code == 0;
    code = code ? code
                : kube_client_new(
                      &r->client, r->loop,
                      &(struct kube_client_spec){.conf = &r->conf, .user_agent = "mesh-injector"},
                      err);
    if (code == 0) {
        r->cluster = injector_cluster_new(&(struct injector_cluster_spec){
            .client = r->client, .host = r->host, .on_settings = on_settings, .arg = r});
    }
    return code;
}

/* ---- the process ---- */

static int start(struct injector_role *r, struct err *err)
{
    static const int ends[] = {SIGTERM, SIGINT, 0};
    r->loop = loop_new(false);
    r->signals = signals_new(r->loop, ends, on_signal, r->loop);
    r->host = host_new(r->loop);
    r->metrics = metric_registry_new();
    int code = read_settings(r, err);
    code = code ? code : open_monitoring(r, err);
    code = code ? code : open_webhook(r, err);
    code = code ? code : open_cluster(r, err);
    return code ? code
                : injector_attach(
                      &r->injector,
                      &(struct injector_spec){.settings = &r->settings,
                                              .namespace_labels =
                                                  r->cluster ? injector_cluster_labels : NULL,
                                              .arg = r->cluster,
                                              .metrics = r->metrics},
                      r->host, err);
}

static void take_down(struct injector_role *r)
{
    file_watch_free(r->watch);
    injector_cluster_free(r->cluster);
    kube_client_free(r->client);
    host_free(r->host);
    injector_free(r->injector);
    metric_registry_free(r->metrics);
    if (r->has_conf) {
        kube_conf_dispose(&r->conf);
    }
    signals_free(r->signals);
    loop_free(r->loop);
}

static int run(struct injector_role *r, struct err *err)
{
    log_set_json(r->set.log_format == 1);
    int code = log_set_levels(r->set.log_level);
    if (code != 0) {
        return err_set(err, -ERR_CONFIG,
                       "--log-level '%s' is not known; use error, warn, info or debug",
                       r->set.log_level);
    }
    code = instant_init();
    code = code ? err_set(err, code, "MESH_TEST_CLOCK is malformed") : tls_init(err);
    if (code == 0) {
        code = start(r, err);
        if (code == 0) {
            loop_run(r->loop);
        }
        take_down(r);
    }
    return code;
}

int injector_main(int argc, char **argv)
{
    struct injector_role r = {.loop = NULL};
    struct opt_list operands; /* none are taken */
    struct err err;
    err_clear(&err);
    arena_init(&r.arena, 4096);
    int code = opt_parse(&spec, &r.set, argc, argv, &r.arena, &operands, &err);
    code = code == 0 ? run(&r, &err) : code;
    if (code < 0) {
        fprintf(stderr, "mesh injector: %s\n", err.text);
    }
    arena_dispose(&r.arena);
    return code >= 0 ? 0 : code == -ERR_CONFIG ? 2 : 1;
}

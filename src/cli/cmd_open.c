/* mesh open SERVICE: a service of a cluster at an address of this machine. Requests go through the API server's proxy to the Service, so that it takes neither
 * kubelets nor a route to pods: only the right to services/proxy.
 * The API server writes its own path before links of pages and redirects; requests that come with it are taken as those without.
 * In: options. Out: kube/kube_relay. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/kube_service.h"
#include "cli/verb_int.h"
#include "codec/ip.h"
#include "codec/url.h"
#include "io/signals.h"
#include "kube/kube_relay.h"
#include "mesh/names.h"

#define INGRESS "mesh-ingressgateway." MESH_SYSTEM_NAMESPACE
#define BODY_MAX (64u << 20)

struct settings {
    struct verb_flags common;
    const char *path;
    int64_t port, local_port;
    bool print;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "port",
     .type = OPT_INT,
     .offset = AT(port),
     .arg = "N",
     .fallback = "0",
     .max = 65535,
     .help = "of the service; 0 = the one for HTTP"},
    {.name = "path",
     .type = OPT_TEXT,
     .offset = AT(path),
     .arg = "PATH",
     .fallback = "/",
     .help = "what the browser opens"},
    {.name = "local-port",
     .type = OPT_INT,
     .offset = AT(local_port),
     .arg = "N",
     .fallback = "0",
     .max = 65535,
     .help = "of this machine; 0 = a free one"},
    {.name = "print",
     .type = OPT_BOOL,
     .offset = AT(print),
     .help = "print the address, and open no browser"},
    VERB_LOOK_ROWS(struct settings),
    VERB_OUTPUT_ROWS(struct settings),
    VERB_CLUSTER_ROWS(struct settings),
    {.name = NULL},
};
static const struct opt_spec spec = {
    .command = "mesh open",
    .section = "cli",
    .summary = "A service of a cluster at an address of this machine, until Ctrl-C.",
    .examples = "mesh open productpage --path /productpage\n"
                "mesh open grafana.monitoring --port 3000 --print\n"
                "mesh open\n",
    .operands = "[SERVICE[.NAMESPACE]]",
    .rows = rows,
};

struct run {
    struct verb *v;
    struct kube_verb *k;
    struct span prefix; /* the API's path of the service */
};

/* ---- requests ---- */

/* Another name for this machine would let a web page of somebody else's read the answers (DNS rebinding). */
static bool is_this_machine(struct span authority)
{
    struct span host;
    uint16_t port;
    struct ip ip;
    return url_split_authority(authority, &host, &port) == 0 &&
           (ip_parse(host, &ip) == 0 || span_eq_nocase(host, SPAN("localhost")) ||
            span_ends_nocase(host, SPAN(".localhost")));
}

static void on_done(void *arg, unsigned status, const char *why)
{
    UNUSED(arg);
    if (status == 0) {
        fprintf(stderr, "no answer: %s\n", why);
    }
}

static void on_request(void *arg, const struct http_request *rq)
{
    struct run *r = arg;
    struct arena *a = http_stream_arena(rq->stream);
    struct span path = rq->head->path;
    if (!is_this_machine(rq->head->authority)) {
        (void)http_stream_reply(rq->stream, 403, SPAN("text/plain"),
                                SPAN("this address is for this machine alone\n"));
        return;
    }
    bool has_prefix = span_starts(path, r->prefix);
    const struct kube_relay_spec relay = {
        .path = arena_printf(a, "%.*s%.*s", has_prefix ? 0 : (int)r->prefix.len, r->prefix.at,
                             SPAN_ARG(path)),
        .strip = r->prefix,
        .on_done = on_done,
    };
    kube_relay(r->k->client, rq, &relay);
}

/* ---- the whole ---- */

static void on_interrupt(void *arg, int signo)
{
    struct verb *v = arg;
    UNUSED(signo);
    loop_stop(v->loop);
}

/* In the background, and silent: who has no browser reads the address. */
static void open_browser(const char *url)
{
    const char *x = getenv("DISPLAY");
    const char *wayland = getenv("WAYLAND_DISPLAY");
    if ((!x || !x[0]) && (!wayland || !wayland[0])) {
        return;
    }
    if (fork() == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)setsid();
        for (int fd = 0; null >= 0 && fd < 3; fd++) {
            (void)dup2(null, fd); /* then it speaks where we do */
        }
        execlp("xdg-open", "xdg-open", url, (char *)NULL);
        _exit(127);
    }
}

static void print_url(struct verb *v, const struct kube_service *s, const char *url)
{
    struct doc_node *doc = doc_new_map(&v->arena);
    doc_set(&v->arena, doc, "apiVersion", doc_cstr(&v->arena, "mesh/v1"));
    doc_set(&v->arena, doc, "kind", doc_cstr(&v->arena, "Forward"));
    doc_set(&v->arena, doc, "service",
            doc_cstr(&v->arena, arena_printf(&v->arena, "%s/%s", s->ns, s->name)));
    doc_set(&v->arena, doc, "port", doc_int(&v->arena, s->port));
    doc_set(&v->arena, doc, "url", doc_cstr(&v->arena, url));
    if (!verb_print_doc(v, doc)) {
        printf("%s\n", url);
        verb_footer(v, "%s/%s:%lld through the API server of %s, until Ctrl-C", s->ns, s->name,
                    (long long)s->port, v->target);
    }
    fflush(stdout);
}

static int serve(struct run *r, const struct settings *set, const struct kube_service *s)
{
    static const int signos[] = {2 /* SIGINT */, 15 /* SIGTERM */, 0};
    struct verb *v = r->v;
    struct http_server *server;
    struct listener_spec where = {.backlog = 0};
    char text[ADDR_TEXT_BYTES];
    struct err err;
    const char *address = arena_printf(&v->arena, "127.0.0.1:%lld", (long long)set->local_port);
    int code = addr_parse(span_of(address), &where.addr, &err);
    code = code ? code : http_server_new(&server, v->loop, &where, NULL, &err);
    if (code != 0) {
        return verb_fail(v, EXIT_USAGE, 1366, NULL, "%s can not be listened on: %s", address,
                         err.text);
    }
    http_server_route(server, "*", "/*", false, on_request, r);
    http_server_body_max(server, BODY_MAX);
    const char *url =
        arena_printf(&v->arena, "http://%s%s%s", addr_format(http_server_addr(server), text),
                     set->path[0] == '/' ? "" : "/", set->path);
    struct signals *signals = signals_new(v->loop, signos, on_interrupt, v);
    print_url(v, s, url);
    if (!set->print) {
        open_browser(url);
    }
    loop_run(v->loop);
    http_server_free(server);
    signals_free(signals);
    return EXIT_DONE;
}

static int run(struct verb *v, const struct settings *set)
{
    struct kube_verb k;
    struct kube_service s;
    size_t ready = 0;
    int status = kube_verb_open(&k, v);
    (void)snprintf(v->target, sizeof v->target, "context %.140s", k.context);
    status = status ? status
                    : kube_service_find(&k, v->operands.count ? v->operands.items[0] : INGRESS,
                                        set->port, &s);
    status = status ? status : kube_service_ready(&k, &s, &ready);
    if (status == EXIT_DONE && ready == 0) {
        status = verb_fail(v, EXIT_NEGATIVE, 1364,
                           arena_printf(&v->arena, "mesh describe svc/%s.%s", s.name, s.ns),
                           "service %s/%s has no ready endpoint", s.ns, s.name);
    }
    if (status == EXIT_DONE) {
        struct run r = {.v = v,
                        .k = &k,
                        .prefix = span_of(arena_printf(
                            &v->arena, "/api/v1/namespaces/%s/services/%s:%s:%lld/proxy", s.ns,
                            s.is_tls ? "https" : "http", s.name, (long long)s.port))};
        status = serve(&r, set, &s);
    }
    kube_verb_close(&k);
    return status;
}

int cmd_open(int argc, char **argv)
{
    struct settings set = {.path = "/"};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count <= 1 ? run(&v, &set)
                                       : verb_fail(&v, EXIT_USAGE, 1004, "mesh open SERVICE",
                                                   "open takes one service");
    }
    verb_close(&v);
    return status;
}

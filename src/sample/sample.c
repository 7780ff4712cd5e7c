/* mesh sample: services for demonstrations and tests. Without a word it is the echo of sample_service.h; the
 * services of Bookinfo are in bookinfo.h, those of a made-up mesh in caller.h, the load maker in sample_load.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/opt.h"
#include "io/signals.h"
#include "role.h"
#include "sample/bookinfo.h"
#include "sample/caller.h"
#include "sample/sample_load.h"
#include "sample/sample_service.h"

#define PEER_CONNS 64

struct sample_options {
    const char *listen, *name;
    const char *upstream, *upstream_host;                /* echo */
    const char *version, *cluster, *proxy, *fault_words; /* Bookinfo, and all below */
    const char *domain, *health;
    const char *calls; /* of a caller */
    const char *hosts[BOOKINFO_KINDS], *ports[BOOKINFO_KINDS];
};

#define ROW(flag, field, value, text, what, variable)     \
    {                                                     \
        .name = (flag),                                   \
        .type = OPT_TEXT,                                 \
        .offset = offsetof(struct sample_options, field), \
        .fallback = (value),                              \
        .arg = (text),                                    \
        .help = (what),                                   \
        .env = (variable),                                \
    }
static const struct opt echo_rows[] = {
    ROW("listen", listen, "127.0.0.1:8080", "ADDR:PORT", "where to serve; port 0 = any", ""),
    ROW("name", name, "sample", "NAME", "what the answers call it", ""),
    ROW("upstream", upstream, NULL, "URL", "whom /upstream/PATH asks", ""),
    ROW("upstream-host", upstream_host, NULL, "HOST", "Host that the upstream is asked for", ""),
    {.name = NULL},
};

static const struct opt_spec echo_spec = {
    .command = "mesh sample",
    .section = "sample",
    .summary = "small services for demonstrations and tests: an echo, Bookinfo, a load maker",
    .examples = "  mesh sample --listen 127.0.0.1:8080 --name v1\n"
                "  mesh sample --listen 127.0.0.1:8081 --name web --upstream "
                "http://127.0.0.1:8080\n"
                "  mesh sample productpage|details|reviews|ratings -h      Bookinfo's services\n"
                "  mesh sample load http://127.0.0.1:8080/productpage      constant load\n",
    .rows = echo_rows,
};

#define PEER_ROWS(word, kind, host_variable, port_variable)                           \
    ROW(word "-host", hosts[kind], word, "HOST", "where " word " is", host_variable), \
        ROW(word "-port", ports[kind], "9080", "PORT", "its port", port_variable)
static const struct opt bookinfo_rows[] = {
    ROW("address", listen, "0.0.0.0:9080", "ADDR:PORT", "where to serve; port 0 = any", ""),
    ROW("health-address", health, NULL, "ADDR:PORT|unix:PATH",
        "a second address, for health and faults: outside of what a mesh redirects", ""),
    ROW("version", version, "v1", "vN", "reviews: v1 no stars, v2 black, v3 red",
        "SERVICE_VERSION"),
    ROW("name", name, NULL, "NAME", "what reviews call their pod; default the host's name",
        "HOSTNAME"),
    ROW("cluster", cluster, "null", "NAME", "what reviews call their cluster", "CLUSTER_NAME"),
    ROW("proxy", proxy, NULL, "URL", "forward proxy for all requests to others", "http_proxy"),
    ROW("break", fault_words, "", "WORDS", "misbehave: status=503,share=50,delay=2s", ""),
    ROW("services-domain", domain, "", "DOMAIN", "what follows the hosts below", "SERVICES_DOMAIN"),
    PEER_ROWS("details", BOOKINFO_DETAILS, "DETAILS_HOSTNAME", "DETAILS_SERVICE_PORT"),
    PEER_ROWS("reviews", BOOKINFO_REVIEWS, "REVIEWS_HOSTNAME", "REVIEWS_SERVICE_PORT"),
    PEER_ROWS("ratings", BOOKINFO_RATINGS, "RATINGS_HOSTNAME", "RATINGS_SERVICE_PORT"),
    {.name = NULL},
};

static const struct opt_spec bookinfo_spec = {
    .command = "mesh sample productpage|details|reviews|ratings",
    .section = "sample",
    .summary = "one of Bookinfo's services: the paths, ports and JSON that its users know",
    .examples = "  mesh sample ratings --address 127.0.0.2:9080\n"
                "  mesh sample reviews --version v3 --address 127.0.0.3:9080 --ratings-host "
                "127.0.0.2\n"
                "  curl -X POST -H 'x-mesh-write: 1' '127.0.0.2:9080/fault?status=503&share=50'\n",
    .rows = bookinfo_rows,
};

static const struct opt caller_rows[] = {
    ROW("address", listen, "0.0.0.0:9080", "ADDR:PORT", "where to serve; port 0 = any", ""),
    ROW("health-address", health, NULL, "ADDR:PORT|unix:PATH", "a second address, for health", ""),
    ROW("name", name, "caller", "NAME", "what the answers call it", ""),
    ROW("calls", calls, "", "HOST:PORT,...", "whom it asks, at most 8", ""),
    ROW("proxy", proxy, NULL, "URL", "forward proxy for all requests to others", "http_proxy"),
    {.name = NULL},
};

static const struct opt_spec caller_spec = {
    .command = "mesh sample caller",
    .section = "sample",
    .summary = "a service of a made-up mesh: asks others for the path that it is asked for",
    .examples = "  mesh sample caller --name a --address 127.0.0.2:9080 --calls 127.0.0.3:9080\n",
    .rows = caller_rows,
};

static void on_signal(void *arg, int signo)
{
    UNUSED(signo);
    loop_stop(arg);
}

/* Opens the server of --listen or --address. */
static int open_server(struct http_server **out, const struct sample_options *options,
                       struct loop *loop, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    int code = addr_parse(span_of(options->listen), &where.addr, err);
    return code < 0 ? code : http_server_new(out, loop, &where, NULL, err);
}

/* Until a signal. */
static void serve(struct http_server *server, struct loop *loop)
{
    static const int ends[] = {SIGTERM, SIGINT, 0};
    struct signals *signals = signals_new(loop, ends, on_signal, loop);
    char text[ADDR_TEXT_BYTES];

    printf("ready %s\n", addr_format(http_server_addr(server), text));
    (void)fflush(stdout); /* nobody may be reading */
    loop_run(loop);
    signals_free(signals);
}

static int run_echo(const struct sample_options *options, struct loop *loop, struct err *err)
{
    struct http_server *server = NULL;
    struct http_client *upstream = NULL;

    if (options->upstream != NULL) {
        const struct http_client_spec client = {
            .origin = span_of(options->upstream),
            .authority = span_of(options->upstream_host),
            .conns = 16,
        };
        int code = http_client_new(&upstream, loop, &client, err);
        if (code < 0) {
            return err_prefix(err, "--upstream");
        }
    }
    int code = open_server(&server, options, loop, err);
    if (code < 0) {
        http_client_free(upstream);
        return err_prefix(err, "--listen");
    }
    struct sample_service *service = sample_service_new(loop, options->name, server, upstream);
    serve(server, loop);
    http_server_free(server);
    sample_service_free(service);
    http_client_free(upstream);
    return 0;
}

/* ---- Bookinfo */

/* The services that one asks, and what they need. */
struct neighbours {
    struct arena arena;
    struct resolver *resolver;
    struct peer *peers[BOOKINFO_KINDS];
};

static int meet(struct neighbours *n, const struct sample_options *options, struct loop *loop,
                enum bookinfo_kind kind, struct err *err)
{
    bool direct = options->proxy == NULL || options->proxy[0] == '\0';
    const char *dot = options->domain[0] != '\0' ? "." : "";
    const struct peer_spec spec = {
        .url = arena_printf(&n->arena, "http://%s%s%s:%s", options->hosts[kind], dot,
                            options->domain, options->ports[kind]),
        .proxy = options->proxy,
        .resolver = n->resolver,
        .conns = PEER_CONNS,
    };
    int code = peer_new(&n->peers[kind], loop, &spec, err);
    return code < 0 ? err_prefix(err, direct ? "the address of %s" : "--proxy, for %s",
                                 bookinfo_kind_name(kind))
                    : 0;
}

/* Only those that `kind` asks. A forward proxy resolves names itself. */
static int meet_all(struct neighbours *n, const struct sample_options *options, struct loop *loop,
                    enum bookinfo_kind kind, struct err *err)
{
    bool direct = options->proxy == NULL || options->proxy[0] == '\0';
    bool asks = kind == BOOKINFO_PRODUCTPAGE || kind == BOOKINFO_REVIEWS;
    const struct resolver_spec names = {.servers = NULL};
    int code = asks && direct ? resolver_new(&n->resolver, loop, &names, err) : 0;

    if (code == 0 && asks) {
        code = meet(n, options, loop, BOOKINFO_RATINGS, err);
    }
    if (code == 0 && kind == BOOKINFO_PRODUCTPAGE) {
        code = meet(n, options, loop, BOOKINFO_DETAILS, err);
        code = code == 0 ? meet(n, options, loop, BOOKINFO_REVIEWS, err) : code;
    }
    return code;
}

static void part(struct neighbours *n)
{
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        peer_free(n->peers[i]);
    }
    resolver_free(n->resolver);
    arena_dispose(&n->arena);
}

/* A second server in front of the same service, if one is asked for. */
static int open_second(struct http_server **out, const char *address, struct loop *loop,
                       struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    if (address == NULL) {
        return 0;
    }
    int code = addr_parse(span_of(address), &where.addr, err);
    code = code < 0 ? code : http_server_new(out, loop, &where, NULL, err);
    return code < 0 ? err_prefix(err, "--health-address") : 0;
}

static int run_bookinfo(enum bookinfo_kind kind, const struct sample_options *options,
                        struct loop *loop, struct err *err)
{
    struct http_server *server = NULL;
    struct http_server *health = NULL;
    struct neighbours n = {.resolver = NULL};
    char host[256] = "";

    struct bookinfo_spec spec = {
        .kind = kind,
        .stars = strcmp(options->version, "v1") != 0,
        .color = strcmp(options->version, "v3") == 0 ? "red" : "black",
        .pod = options->name != NULL ? options->name : host,
        .cluster = options->cluster,
    };
    if (gethostname(host, sizeof(host) - 1) == -1) {
        host[0] = '\0'; /* only shown */
    }
    arena_init(&n.arena, 512);
    int code = fault_parse(span_of(options->fault_words), ',', &spec.fault, err);
    code = code < 0 ? err_prefix(err, "--break") : meet_all(&n, options, loop, kind, err);
    if (code == 0) {
        code = open_server(&server, options, loop, err);
        code = code < 0 ? err_prefix(err, "--address") : 0;
    }
    if (code == 0) {
        spec.details = n.peers[BOOKINFO_DETAILS];
        spec.reviews = n.peers[BOOKINFO_REVIEWS];
        spec.ratings = n.peers[BOOKINFO_RATINGS];
        struct bookinfo *service = bookinfo_new(loop, server, &spec);
        code = open_second(&health, options->health, loop, err);
        if (code == 0) {
            if (health != NULL) {
                bookinfo_serve_health(service, health);
            }
            serve(server, loop);
        }
        http_server_free(health);
        http_server_free(server);
        bookinfo_free(service);
    }
    part(&n);
    return code;
}

/* ---- a made-up mesh */

static int meet_callees(struct caller_spec *spec, const struct sample_options *options,
                        struct neighbours *n, struct loop *loop, struct err *err)
{
    const struct resolver_spec names = {.servers = NULL};
    struct span rest = span_of(options->calls);
    int code = resolver_new(&n->resolver, loop, &names, err);

    while (code == 0 && rest.len > 0) {
        struct span host = span_cut(&rest, ',');
        if (spec->count == CALLER_CALLS_MAX) {
            return err_set(err, -ERR_LIMIT, "--calls names more than %d", CALLER_CALLS_MAX);
        }
        const struct peer_spec peer = {
            .url = arena_printf(&n->arena, "http://%.*s", SPAN_ARG(host)),
            .proxy = options->proxy,
            .resolver = n->resolver,
            .conns = PEER_CONNS,
        };
        spec->names[spec->count] = peer.url + sizeof("http://") - 1;
        code = peer_new(&spec->peers[spec->count], loop, &peer, err);
        spec->count += code == 0 ? 1 : 0;
    }
    return code < 0 ? err_prefix(err, "--calls") : 0;
}

static int run_caller(const struct sample_options *options, struct loop *loop, struct err *err)
{
    struct http_server *server = NULL;
    struct http_server *health = NULL;
    struct neighbours n = {.resolver = NULL};
    struct caller_spec spec = {.name = options->name};

    arena_init(&n.arena, 512);
    int code = meet_callees(&spec, options, &n, loop, err);
    code = code == 0 ? open_server(&server, options, loop, err) : code;
    if (code == 0) {
        struct caller *service = caller_new(server, &spec);
        code = open_second(&health, options->health, loop, err);
        if (code == 0) {
            if (health != NULL) {
                caller_serve_health(health);
            }
            serve(server, loop);
        }
        http_server_free(health);
        http_server_free(server);
        caller_free(service);
    }
    for (size_t i = 0; i < spec.count; i++) {
        peer_free(spec.peers[i]);
    }
    part(&n);
    return code;
}

/* The first word picks one; without a word it is the echo. */
enum sample_kind { SAMPLE_BOOKINFO = BOOKINFO_KINDS - 1, SAMPLE_CALLER, SAMPLE_ECHO };

static int kind_of(const char *word)
{
    int kind = bookinfo_kind_of(word);
    return kind >= 0 ? kind : strcmp(word, "caller") == 0 ? SAMPLE_CALLER : SAMPLE_ECHO;
}

static const struct opt_spec *spec_of(int kind)
{
    return kind <= SAMPLE_BOOKINFO ? &bookinfo_spec
           : kind == SAMPLE_CALLER ? &caller_spec
                                   : &echo_spec;
}

static int run(int kind, struct sample_options *options, struct loop *loop, struct err *err)
{
    if (kind == SAMPLE_ECHO) {
        return run_echo(options, loop, err);
    }
    if (options->proxy == NULL) {
        options->proxy = getenv("HTTP_PROXY");
    }
    return kind == SAMPLE_CALLER ? run_caller(options, loop, err)
                                 : run_bookinfo((enum bookinfo_kind)kind, options, loop, err);
}

int sample_main(int argc, char **argv)
{
    struct sample_options options = {.name = NULL};
    struct err err = {.code = 0};
    struct opt_list operands;
    struct arena arena;

    if (argc > 1 && strcmp(argv[1], "load") == 0) {
        return sample_load_main(argc - 1, argv + 1);
    }
    int kind = argc > 1 ? kind_of(argv[1]) : SAMPLE_ECHO;
    int skip = kind == SAMPLE_ECHO ? 0 : 1;
    arena_init(&arena, 1024);
    int code =
        opt_parse(spec_of(kind), &options, argc - skip, argv + skip, &arena, &operands, &err);
    if (code == 0) {
        struct loop *loop = loop_new(false);
        code = run(kind, &options, loop, &err);
        loop_free(loop);
    }
    if (code < 0) {
        fprintf(stderr, "mesh sample: %s\n", err.text);
    }
    arena_dispose(&arena);
    return code < 0 ? 2 : 0;
}

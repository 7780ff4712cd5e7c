/* Which processes a demo has, and with what arguments: one row a workload, one argv a kind. */
#include "cli/demo.h"

#include "cli/demo_pods.h"
#include "mesh/ports.h"

#define CONTROL_HOST 1
#define GATEWAY_HOST DEMO_PLACE_GATEWAY
#define LOAD_HOST 3
#define STATS_PORT 15099
#define ARGS_MAX 48

const struct demo_workload demo_workloads[DEMO_WORKLOADS] = {
    {"productpage-v1", "productpage", "v1", "bookinfo-productpage", 11, NULL},
    {"details-v1", "details", "v1", "bookinfo-details", 12, NULL},
    {"reviews-v1", "reviews", "v1", "bookinfo-reviews", 13, NULL},
    {"reviews-v2", "reviews", "v2", "bookinfo-reviews", 14, NULL},
    {"reviews-v3", "reviews", "v3", "bookinfo-reviews", 15, NULL},
    {"ratings-v1", "ratings", "v1", "bookinfo-ratings", 16, NULL},
};

const struct demo_edge demo_edges[DEMO_EDGES] = {
    {DEMO_GATEWAY, "productpage-v1"}, {"productpage-v1", "details-v1"},
    {"productpage-v1", "reviews-v1"}, {"productpage-v1", "reviews-v2"},
    {"productpage-v1", "reviews-v3"}, {"reviews-v2", "ratings-v1"},
    {"reviews-v3", "ratings-v1"},
};

/* An argv that grows in the arena. */
struct words {
    struct arena *arena;
    const char **at;
    size_t count;
};

static struct words words_new(struct demo *d)
{
    return (struct words){.arena = &d->arena,
                          .at = arena_array(&d->arena, ARGS_MAX, sizeof(const char *))};
}

static void add(struct words *w, const char *flag, const char *value)
{
    ASSERT(w->count + 3 <= ARGS_MAX);
    w->at[w->count++] = flag;
    if (value != NULL) {
        w->at[w->count++] = value;
    }
}

static const char *proxy_ip(struct demo *d, int host)
{
    return arena_printf(&d->arena, "%s%d", d->place.net, host);
}

static const char *app_ip(struct demo *d, int host)
{
    return arena_printf(&d->arena, "127.66.%d.%d", d->place.network + 1, host);
}

static const char *file(struct demo *d, const char *name)
{
    char path[PATHS_BYTES];
    return arena_strdup(&d->arena, demo_place_path(&d->place, name, path));
}

static struct demo_member *add_member(struct demo *d, struct demo_member_spec *spec,
                                      const struct words *words, const char *log_name)
{
    spec->argv = words->at;
    spec->log = file(d, arena_printf(&d->arena, "logs/%s.log", log_name));
    return demo_crew_add(d->crew, spec);
}

static void plan_control(struct demo *d)
{
    struct words w = words_new(d);
    struct demo_member_spec spec = {
        .name = "control",
        .ready_origin = d->control,
        .ready_path = "/readyz",
        .seat = demo_pods_seat(d, CONTROL_HOST, DEMO_TOOL),
        .sudden = true,
    };

    add(&w, "control", NULL);
    add(&w, "--config-dir", file(d, "config"));
    add(&w, "--data-dir", file(d, "state/control"));
    add(&w, "--socket", file(d, "control.sock"));
    add(&w, "--api-address",
        d->net != NULL ? "off" : arena_printf(&d->arena, "127.0.0.1:%d", d->place.api_port));
    add(&w, "--xds-address",
        arena_printf(&d->arena, "%s:%d", proxy_ip(d, CONTROL_HOST), PORT_XDS_TLS));
    add(&w, "--workers", "1");
    add(&w, "--leaf-ttl", d->options->check ? "30s" : "24h");
    (void)add_member(d, &spec, &w, "control");
}

/* ---- proxies */

struct plan_proxy {
    const char *name, *type, *account, *labels;
    int host;
};

/* What all proxies are told. */
static struct words proxy_words(struct demo *d, const struct plan_proxy *p)
{
    struct words w = words_new(d);
    add(&w, "proxy", NULL);
    add(&w, "--control", arena_printf(&d->arena, "%s:%d", proxy_ip(d, CONTROL_HOST), PORT_XDS_TLS));
    add(&w, "--ca-root", file(d, d->net != NULL ? "ca-root.pem" : "state/control/ca-root.pem"));
    add(&w, "--type", p->type);
    add(&w, "--name", p->name);
    add(&w, "--namespace", "default");
    add(&w, "--service-account", p->account);
    add(&w, "--workload", p->name);
    add(&w, "--labels", p->labels);
    add(&w, "--address", proxy_ip(d, p->host));
    add(&w, "--state-dir", file(d, arena_printf(&d->arena, "state/%s", p->name)));
    add(&w, "--concurrency", "1");
    add(&w, "--drain-time-s", "0");
    return w;
}

/* Its admin page is a socket in the folder: nobody else's. */
static void add_proxy(struct demo *d, const struct plan_proxy *p, struct words *w)
{
    const char **env = arena_array(&d->arena, 2, sizeof(const char *));
    const char *admin = d->net != NULL ? "state/%s/admin.sock" : "%s.sock";
    struct demo_member_spec spec = {
        .name = arena_printf(&d->arena, "proxy of %s", p->name),
        .env = env,
        .ready_origin =
            arena_printf(&d->arena, "unix:%s", file(d, arena_printf(&d->arena, admin, p->name))),
        .ready_path = "/ready",
        .seat = demo_pods_seat(d, p->host, DEMO_PROXY),
        .sudden = true,
    };
    ASSERT(d->slot_count < DEMO_SLOTS);
    d->slots[d->slot_count++] = (struct demo_slot){.workload = p->name, .place = &env[0]};
    demo_pods_state(d, p->name);
    env[0] = "MESH_TOKEN=";
    add(w, "--admin", spec.ready_origin);
    (void)add_member(d, &spec, w, arena_printf(&d->arena, "%s-proxy", p->name));
}

static void plan_gateway(struct demo *d)
{
    const struct plan_proxy p = {
        .name = DEMO_GATEWAY,
        .type = "gateway",
        .account = DEMO_GATEWAY,
        .labels = "gateway.networking.k8s.io/gateway-name=" DEMO_GATEWAY,
        .host = GATEWAY_HOST,
    };
    struct words w = proxy_words(d, &p);
    add_proxy(d, &p, &w);
}

/* ---- workloads: an application that reaches others through its proxy, and that proxy */

/* Where it listens, and how it reaches others: as in any pod, or told of its proxy. */
static const char *const *reach(struct demo *d, const struct demo_workload *workload,
                                struct words *w)
{
    static const char *const nothing[] = {"http_proxy=", "HTTP_PROXY=", "SERVICES_DOMAIN=", NULL};
    const char **env = arena_array(&d->arena, 3, sizeof(const char *));
    if (d->net != NULL) {
        add(w, "--address", arena_printf(&d->arena, "0.0.0.0:%d", DEMO_SHOP_PORT));
        add(w, "--health-address", demo_plan_app_origin(d, workload, &d->arena));
        return nothing;
    }
    add(w, "--address",
        arena_printf(&d->arena, "%s:%d", app_ip(d, workload->host), DEMO_SHOP_PORT));
    env[0] = arena_printf(&d->arena, "http_proxy=http://%s:%d", proxy_ip(d, workload->host),
                          DEMO_HTTP_PROXY_PORT);
    env[1] = "SERVICES_DOMAIN=";
    return env;
}

static void plan_app(struct demo *d, const struct demo_workload *workload)
{
    struct words w = words_new(d);
    struct demo_member_spec spec = {
        .name = workload->name,
        .ready_origin = demo_plan_app_origin(d, workload, &d->arena),
        .ready_path = "/health",
        .seat = demo_pods_seat(d, workload->host, DEMO_APP),
    };
    add(&w, "sample", workload->calls != NULL ? "caller" : workload->app);
    spec.env = reach(d, workload, &w);
    add(&w, "--name", workload->name);
    if (workload->calls != NULL) {
        add(&w, "--calls", workload->calls);
    } else {
        add(&w, "--version", workload->version);
    }
    (void)add_member(d, &spec, &w, workload->name);
}

void demo_plan_pair(struct demo *d, const struct demo_workload *workload)
{
    const struct plan_proxy p = {
        .name = workload->name,
        .type = "sidecar",
        .account = workload->account,
        .labels = arena_printf(&d->arena, "app=%s,version=%s", workload->app, workload->version),
        .host = workload->host,
    };
    struct words w = proxy_words(d, &p);
    plan_app(d, workload);
    if (d->net != NULL) {
        add(&w, "--interception", "redirect");
        add(&w, "--dns-capture", NULL);
    } else {
        add(&w, "--app-address", app_ip(d, workload->host));
        add(&w, "--interception", "none");
        add(&w, "--http-proxy-port", arena_printf(&d->arena, "%d", DEMO_HTTP_PROXY_PORT));
    }
    add(&w, "--discovery", "on-demand");
    add_proxy(d, &p, &w);
}

/* Every fourth request is jason's. What the page says when a part of it failed counts as failure. */
void demo_plan_load(struct demo *d, const char *name, const char *path, int64_t rps)
{
    static const char *const env[] = {"http_proxy=", "HTTP_PROXY=", NULL};
    struct words w = words_new(d);
    int port = STATS_PORT + d->load_count++;
    const char *stats = arena_printf(&d->arena, "%s:%d", proxy_ip(d, LOAD_HOST), port);
    struct demo_member_spec spec = {
        .name = name,
        .env = env,
        .ready_origin = arena_printf(&d->arena, "http://%s", stats),
        .ready_path = "/stats",
        .seat = demo_pods_seat(d, LOAD_HOST, DEMO_TOOL),
    };
    add(&w, "sample", "load");
    add(&w, arena_printf(&d->arena, "%s%s", d->shop, path), NULL);
    add(&w, "--rps", arena_printf(&d->arena, "%ld", (long)rps));
    add(&w, "--users", "-,-,-,jason");
    add(&w, "--reject", "unavailable");
    add(&w, "--stats", stats);
    (void)add_member(d, &spec, &w, name);
}

void demo_plan_crew(struct demo *d)
{
    plan_control(d);
    plan_gateway(d);
    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        demo_plan_pair(d, &demo_workloads[i]);
    }
    demo_plan_load(d, "load", "/productpage", d->options->rps);
}

const struct demo_workload *demo_plan_more(struct demo *d, const char *app, const char *version,
                                           int host)
{
    struct demo_workload *w = arena_new(&d->arena, struct demo_workload);
    w->app = arena_strdup(&d->arena, app);
    w->version = arena_strdup(&d->arena, version);
    w->name = arena_printf(&d->arena, "%s-%s", app, version);
    w->account = arena_printf(&d->arena, "bookinfo-%s", app);
    w->host = host;
    demo_plan_pair(d, w);
    return w;
}

struct demo_member *demo_plan_app(const struct demo *d, const char *workload)
{
    return demo_crew_find(d->crew, span_of(workload));
}

struct demo_member *demo_plan_proxy(const struct demo *d, const char *workload)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "proxy of %s", workload);
    return demo_crew_find(d->crew, span_of(name));
}

const char *demo_plan_app_origin(const struct demo *d, const struct demo_workload *w,
                                 struct arena *arena)
{
    char path[PATHS_BYTES];
    if (d->net != NULL) {
        (void)demo_place_path(&d->place, arena_printf(arena, "%s.sock", w->name), path);
        return arena_printf(arena, "unix:%s", path);
    }
    return arena_printf(arena, "http://127.66.%d.%d:%d", d->place.network + 1, w->host,
                        DEMO_SHOP_PORT);
}

void demo_plan_token(struct demo *d, const char *workload, struct span token)
{
    for (size_t i = 0; i < d->slot_count; i++) {
        if (strcmp(d->slots[i].workload, workload) == 0) {
            *d->slots[i].place = arena_printf(&d->arena, "MESH_TOKEN=%.*s", SPAN_ARG(token));
        }
    }
}

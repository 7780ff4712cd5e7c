/* In: control_kube.c. Next: in_cluster_secrets.c for what is kept as Secrets; keeper and those who want. */
#include "control/cluster/in_cluster.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/cluster/in_cluster_int.h"

#define TRY_FOR_MS 60000
#define TRY_EVERY_MS 1000
#define LOOK_AFTER_MS 100 /* worlds that come within this are looked at once */

/* ---- start ---- */

static bool is_worth_a_try(int code)
{
    return code != -EACCES && code != -ERR_CONFIG && code != -ENOENT;
}

int in_cluster_ask(struct in_cluster *c, struct arena *arena, const struct kube_call_spec *spec,
                   struct kube_answer *a, struct err *err)
{
    int64_t until_ms = instant_mono_ms() + TRY_FOR_MS;
    for (;;) {
        int code = kube_ask(c->client, arena, spec, a, err);
        if (code == 0 || a->status > 0 || !is_worth_a_try(code) || instant_mono_ms() > until_ms) {
            return code;
        }
        log_warn("cluster", "waiting for the API server why=\"%s\"", err->text);
        usleep(TRY_EVERY_MS * 1000);
    }
}

static int ask_version(struct in_cluster *c, struct err *err)
{
    struct arena arena;
    struct kube_answer a;
    arena_init(&arena, 1024);
    int code = in_cluster_ask(
        c, &arena, &(struct kube_call_spec){.method = "GET", .path = "/version"}, &a, err);
    const struct doc_node *minor = code == 0 ? doc_get(a.doc, "minor") : NULL;
    if (doc_is(minor, DOC_TEXT)) {
        c->minor = (unsigned)strtoul(span_to_cstr(minor->text, (char[16]){0}, 16), NULL, 10);
    }
    arena_dispose(&arena);
    return code;
}

static void on_look(struct deadline *d);

static void look_soon(struct in_cluster *c)
{
    if (c->world && !deadline_is_armed(&c->look)) {
        deadline_arm(&c->look, c->loop, LOOK_AFTER_MS);
    }
}

static void on_leading(void *arg, bool leading)
{
    struct in_cluster *c = arg;
    log_info("cluster", "%s holder=%.*s", leading ? "leads: writes status" : "follows",
             SPAN_ARG(lease_holder(c->lease)));
    keeper_lead(c->keeper, leading);
    look_soon(c);
}

static struct span own_name(struct arena *arena)
{
    char host[256] = "mesh-control";
    const char *pod = getenv("POD_NAME");
    if (pod == NULL && gethostname(host, sizeof(host) - 1) != 0) {
        log_debug("cluster", "this host has no name");
    }
    return arena_dup(arena, span_of(pod ? pod : host));
}

int in_cluster_open(struct in_cluster **out, const struct in_cluster_spec *spec, struct err *err)
{
    struct in_cluster *c = mem_new(struct in_cluster);
    const char *ns = getenv("POD_NAMESPACE");
    arena_init(&c->arena, 1024);
    c->loop = spec->loop;
    c->name = own_name(&c->arena);
    deadline_init(&c->look, on_look);
    int code = kube_conf_load(&c->conf,
                              &(struct kube_conf_spec){.kubeconfig = spec->kubeconfig,
                                                       .context = spec->context,
                                                       .in_cluster_first = !spec->kubeconfig},
                              err);
    if (code != 0) {
        arena_dispose(&c->arena);
        mem_free(c);
        return code;
    }
    c->namespace = ns                   ? arena_dup(&c->arena, span_of(ns))
                   : c->conf.in_cluster ? c->conf.namespace
                                        : SPAN(CLUSTER_NAMESPACE);
    code = kube_client_new(
        &c->client, c->loop,
        &(struct kube_client_spec){.conf = &c->conf, .user_agent = "mesh-control"}, err);
    code = code ? code : ask_version(c, err);
    if (code != 0) {
        in_cluster_free(c);
        return err_prefix(err, "Kubernetes");
    }
    c->keeper = keeper_new(c->client);
    c->events = kube_events_new(c->client, c->name);
    c->status = status_writer_new(c->events);
    log_info("cluster", "server=%.*s version=1.%u namespace=%.*s", SPAN_ARG(c->conf.server),
             c->minor, SPAN_ARG(c->namespace));
    *out = c;
    return 0;
}

void in_cluster_free(struct in_cluster *c)
{
    if (c == NULL) {
        return;
    }
    deadline_disarm(&c->look);
    webhook_bundle_free(c->bundle);
    lease_free(c->lease);
    keeper_free(c->keeper);
    status_writer_free(c->status);
    kube_events_free(c->events);
    kube_client_free(c->client);
    kube_conf_dispose(&c->conf);
    world_unref(c->world);
    arena_dispose(&c->arena);
    mem_free(c);
}

struct kube_client *in_cluster_client(struct in_cluster *c)
{
    return c->client;
}

struct span in_cluster_namespace(const struct in_cluster *c)
{
    return c->namespace;
}

unsigned in_cluster_minor(const struct in_cluster *c)
{
    return c->minor;
}

/* ---- life ---- */

void in_cluster_begin(struct in_cluster *c, struct span roots_pem, const struct sources *sources)
{
    c->sources = sources;
    c->roots_pem = roots_pem;
    c->bundle = webhook_bundle_new(c->client, CLUSTER_WEBHOOK, roots_pem);
    c->lease = lease_new(&(struct lease_spec){.client = c->client,
                                              .namespace = c->namespace,
                                              .name = SPAN(CLUSTER_LEASE),
                                              .holder = c->name,
                                              .on_leading = on_leading,
                                              .arg = c});
}

static void on_look(struct deadline *d)
{
    struct in_cluster *c = container_of(d, struct in_cluster, look);
    if (!in_cluster_is_leading(c)) {
        return; /* looked at when it begins to */
    }
    keeper_begin(c->keeper);
    root_maps_want(c->keeper, c->world, c->roots_pem);
    if (c->settings) {
        gateway_deployer_want(c->keeper, c->world, c->settings);
    }
    status_writer_want(c->status, c->keeper, c->world, c->sources);
    keeper_end(c->keeper);
}

void in_cluster_world(struct in_cluster *c, struct world *w)
{
    struct world *old = c->world;
    c->world = world_ref(w);
    world_unref(old);
    look_soon(c);
}

void in_cluster_settings(struct in_cluster *c, const struct inject_settings *settings)
{
    c->settings = settings;
    look_soon(c);
}

bool in_cluster_is_leading(const struct in_cluster *c)
{
    return c->lease && lease_is_leading(c->lease);
}

struct in_cluster_numbers in_cluster_numbers(const struct in_cluster *c)
{
    struct keeper_numbers k = keeper_numbers(c->keeper);
    return (struct in_cluster_numbers){.leading = in_cluster_is_leading(c),
                                       .written = k.written,
                                       .write_failures = k.failed,
                                       .waiting = k.waiting};
}

/* In: control.c. Next: cluster/in_cluster, sources/from_kube, injector. */
#include "control/control_kube.h"

#include "base/log.h"
#include "base/mem.h"
#include "control/cluster/in_cluster.h"
#include "control/control_int.h"
#include "control/sources/from_kube.h"
#include "injector/injector.h"
#include "kube/reflector.h"
#include "kube/token_review.h"

/* What a proof may be made out to: Istio's name, which the pods of its injector have too, and ours. */
static const char *const audiences[] = {"istio-ca", "mesh", NULL};

/* By these names the API server and pods call us. */
static const char *const webhook_names[] = {"mesh-control.mesh-system.svc",
                                            "mesh-control.mesh-system.svc.cluster.local", NULL};

/* What proxies are made with, as the ConfigMap says it; the older one lives until all have the newer. */
struct made_with {
    struct arena arena;
    struct inject_settings settings;
};

struct control_kube {
    struct in_cluster *cluster;
    struct token_reviews *reviews;
    struct from_kube *objects;
    struct reflector *config; /* ConfigMap mesh-injector */
    struct made_with *made_with;
    struct injector *injector;  /* NULL: not asked for */
    struct ca_webhook *webhook; /* its certificate */
};

/* ---- settings of proxies ---- */

static struct made_with *made_with_new(const struct control *c)
{
    struct made_with *m = mem_new(struct made_with);
    arena_init(&m->arena, 4096);
    inject_settings_init(&m->settings, &m->arena);
    m->settings.trust_domain = arena_dup(&m->arena, span_of(c->set.trust_domain));
    inject_settings_for_cluster(&m->settings, (int)in_cluster_minor(c->kube->cluster));
    return m;
}

static void made_with_free(struct made_with *m)
{
    if (m) {
        arena_dispose(&m->arena);
        mem_free(m);
    }
}

static void use_settings(struct control_kube *k, struct made_with *m)
{
    struct made_with *old = k->made_with;
    k->made_with = m;
    if (k->injector) {
        injector_set_settings(k->injector, &m->settings);
    }
    in_cluster_settings(k->cluster, &m->settings);
    made_with_free(old);
}

/* The ConfigMap as it is now. A bad one changes nothing. */
static void on_config(void *arg, const struct doc_node *map)
{
    struct control *c = arg;
    struct err err;
    struct made_with *m = made_with_new(c);
    const struct doc_node *data = doc_get(map, "data");
    const struct doc_node *text = data ? doc_get(data, INJECT_CONFIG_KEY) : NULL;
    struct doc_node *doc = NULL;
    int code = 0;
    if (doc_is(text, DOC_TEXT)) {
        struct span own = arena_dup(&m->arena, text->text);
        code = doc_parse_yaml(&m->arena, own, INJECT_CONFIG_MAP, &doc, &err);
        code = code ? code : inject_settings_read(&m->settings, doc, &m->arena, &err);
    }
    if (code != 0) {
        log_warn("control", "configmap=" INJECT_CONFIG_MAP " is not used why=\"%s\"", err.text);
        made_with_free(m);
        return;
    }
    use_settings(c->kube, m);
}

static void on_config_gone(void *arg, struct span ns, struct span name)
{
    UNUSED(arg); /* what was said last stays */
    log_warn("control", "configmap=%.*s/%.*s is gone", SPAN_ARG(ns), SPAN_ARG(name));
}

static void follow_config(struct control *c)
{
    struct control_kube *k = c->kube;
    k->config = reflector_new(&(struct reflector_spec){
        .client = in_cluster_client(k->cluster),
        .kind = {.group = "", .version = "v1", .plural = "configmaps", .namespaced = true},
        .namespace = in_cluster_namespace(k->cluster),
        .field_selector = "metadata.name=" INJECT_CONFIG_MAP,
        .on_object = on_config,
        .on_gone = on_config_gone,
        .arg = c});
}

/* ---- the injector in this process ---- */

static const struct doc_node *namespace_labels(void *arg, struct span name)
{
    static const struct doc_node none = {.kind = DOC_MAP}; /* NULL would mean: not known */
    const struct control *c = arg;
    const struct object *ns = map_get(&c->world->config->namespaces, name);
    const struct doc_node *labels = ns ? doc_path(ns->doc, "metadata.labels") : NULL;
    return ns && !labels ? &none : labels;
}

static int open_webhook(struct control *c, const struct addr *addr, struct err *err)
{
    struct tls_ctx *tls;
    const struct listener_spec where = {.addr = *addr};
    int code = ca_webhook_tls(c->ca, webhook_names, &tls, err);
    if (code != 0) {
        return code;
    }
    code = host_listen(c->host, INJECTOR_SERVER, &where, tls, err);
    tls_ctx_put(tls);
    if (code != 0) {
        return code;
    }
    c->kube->webhook =
        ca_webhook_new(c->ca, c->loop, host_server(c->host, INJECTOR_SERVER), webhook_names);
    return injector_attach(&c->kube->injector,
                           &(struct injector_spec){.settings = &c->kube->made_with->settings,
                                                   .namespace_labels = namespace_labels,
                                                   .arg = c,
                                                   .metrics = c->monitoring.registry},
                           c->host, err);
}

/* ---- life ---- */

int control_kube_open(struct control *c, const char *data_dir, struct err *err)
{
    struct control_kube *k = mem_new(struct control_kube);
    c->kube = k;
    int code = in_cluster_open(&k->cluster,
                               &(struct in_cluster_spec){.loop = c->loop,
                                                         .kubeconfig = c->set.kubeconfig,
                                                         .context = c->set.context},
                               err);
    return code ? code : in_cluster_bring_root(k->cluster, data_dir, err);
}

int control_kube_join(struct control *c, const char *data_dir, void (*on_synced)(void *arg),
                      void *arg, struct err *err)
{
    struct control_kube *k = c->kube;
    int code = in_cluster_keep_root(k->cluster, data_dir, err);
    code = code ? code : in_cluster_api_token(k->cluster, &c->api.token, err);
    if (code != 0) {
        return code;
    }
    k->reviews = token_reviews_new(in_cluster_client(k->cluster), audiences);
    ca_set_reviews(c->ca, k->reviews);
    use_settings(k, made_with_new(c));
    follow_config(c);
    k->objects = from_kube_new(&(struct from_kube_spec){.client = in_cluster_client(k->cluster),
                                                        .sources = c->sources,
                                                        .on_synced = on_synced,
                                                        .arg = arg});
    return 0;
}

int control_kube_serve(struct control *c, struct err *err)
{
    struct control_kube *k = c->kube;
    struct addr addr = {.kind = ADDR_NONE};
    const char *where = c->set.webhook_address;
    int code = strcmp(where, "off") == 0 ? 0 : addr_parse(span_of(where), &addr, err);
    code = code || addr.kind == ADDR_NONE ? code : open_webhook(c, &addr, err);
    if (code != 0) {
        return err_prefix(err, "--webhook-address");
    }
    in_cluster_begin(k->cluster, ca_roots_pem(c->ca), c->sources);
    in_cluster_world(k->cluster, c->world);
    return 0;
}

void control_kube_world(struct control *c, struct world *w)
{
    if (c->kube) {
        in_cluster_world(c->kube->cluster, w);
    }
}

void control_kube_end(struct control *c)
{
    if (c->kube) {
        from_kube_free(c->kube->objects);
        reflector_free(c->kube->config);
        ca_webhook_free(c->kube->webhook);
    }
}

void control_kube_free(struct control *c)
{
    if (c->kube) {
        injector_free(c->kube->injector);
        token_reviews_free(c->kube->reviews);
        in_cluster_free(c->kube->cluster);
        made_with_free(c->kube->made_with);
        mem_free(c->kube);
        c->kube = NULL;
    }
}

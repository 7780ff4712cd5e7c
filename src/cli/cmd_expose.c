/* mesh expose SERVICE: reachable from outside, through a gateway of the mesh.
 * What is written is a Gateway and an HTTPRoute of the Gateway API: they belong to the service's own namespace, so its owners may write them, and every
 * implementation understands them. The Gateway names the ingress gateway's Service as its address, so no gateway of its own is made for it (and no second load
 * balancer is paid for). Istio's Gateway and VirtualService would do the same; they stay for who has them.
 * In: options. Out: objects, applied after a question. */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/commands.h"
#include "cli/install.h"
#include "cli/kube_service.h"
#include "cli/verb_int.h"
#include "mesh/names.h"

#define INGRESS "ingress"
#define GATEWAY "mesh-ingress"
#define WAIT_MS 250

struct settings {
    struct verb_flags common;
    const char *host, *path, *gateway, *name;
    int64_t port;
    bool yes, dry_run;
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
    {.name = "host",
     .type = OPT_TEXT,
     .offset = AT(host),
     .arg = "NAME",
     .help = "only requests for this host; default: any"},
    {.name = "path",
     .type = OPT_TEXT,
     .offset = AT(path),
     .arg = "PATH",
     .fallback = "/",
     .help = "only requests below this path"},
    {.name = "gateway",
     .type = OPT_TEXT,
     .offset = AT(gateway),
     .arg = "ingress|NAME",
     .fallback = INGRESS,
     .help = "the mesh's ingress gateway, or a Gateway of the namespace"},
    {.name = "name",
     .type = OPT_TEXT,
     .offset = AT(name),
     .arg = "NAME",
     .help = "of the HTTPRoute; default: the service's"},
    {.name = "yes", .letter = 'y', .type = OPT_BOOL, .offset = AT(yes), .help = "do not ask"},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .offset = AT(dry_run),
     .help = "print the objects, and change nothing"},
    VERB_LOOK_ROWS(struct settings),
    VERB_OUTPUT_ROWS(struct settings),
    VERB_TIMEOUT_ROW(struct settings, "15s", "how long to wait until it answers"),
    VERB_CLUSTER_ROWS(struct settings),
    {.name = NULL},
};
static const struct opt_spec spec = {
    .command = "mesh expose",
    .section = "cli",
    .summary = "Makes a service of a cluster reachable from outside, through a gateway.",
    .examples = "mesh expose productpage\n"
                "mesh expose shop.web --host shop.example.com --path /cart\n"
                "mesh expose productpage --dry-run -o yaml > route.yaml\n",
    .operands = "SERVICE[.NAMESPACE]",
    .rows = rows,
};

static const struct kube_kind routes = {"gateway.networking.k8s.io", "v1", "httproutes", true};
static const struct kube_kind gateways = {"gateway.networking.k8s.io", "v1", "gateways", true};

struct run {
    struct verb *v;
    const struct settings *set;
    struct kube_verb k;
    struct kube_service service;
    struct doc_node *gateway; /* to be written; NULL: one that is there is used */
    struct doc_node *route;
    const char *gateway_name, *route_name;
};

/* ---- the objects ---- */

static struct doc_node *put(struct run *r, struct doc_node *map, const char *key, const char *value)
{
    return doc_set(&r->v->arena, map, key, doc_cstr(&r->v->arena, value));
}

static struct doc_node *object(struct run *r, const char *kind, const char *name)
{
    struct arena *a = &r->v->arena;
    struct doc_node *doc = doc_new_map(a);
    put(r, doc, "apiVersion", "gateway.networking.k8s.io/v1");
    put(r, doc, "kind", kind);
    struct doc_node *meta = doc_map_in(a, doc, "metadata");
    put(r, meta, "name", name);
    put(r, meta, "namespace", r->service.ns);
    put(r, doc_map_in(a, meta, "labels"), INSTALL_OWNER_LABEL, INSTALL_OWNER);
    return doc;
}

static void make_gateway(struct run *r)
{
    struct arena *a = &r->v->arena;
    r->gateway = object(r, "Gateway", GATEWAY);
    struct doc_node *s = doc_map_in(a, r->gateway, "spec");
    put(r, s, "gatewayClassName", "mesh");
    struct doc_node *address = doc_list_add(a, doc_list_in(a, s, "addresses"), doc_new_map(a));
    put(r, address, "type", "Hostname");
    put(r, address, "value", INSTALL_GATEWAY_NAME "." MESH_SYSTEM_NAMESPACE ".svc.cluster.local");
    struct doc_node *listener = doc_list_add(a, doc_list_in(a, s, "listeners"), doc_new_map(a));
    put(r, listener, "name", "http");
    doc_set(a, listener, "port", doc_int(a, 80));
    put(r, listener, "protocol", "HTTP");
}

static void make_route(struct run *r)
{
    struct arena *a = &r->v->arena;
    r->route = object(r, "HTTPRoute", r->route_name);
    struct doc_node *s = doc_map_in(a, r->route, "spec");
    struct doc_node *parent = doc_list_add(a, doc_list_in(a, s, "parentRefs"), doc_new_map(a));
    put(r, parent, "name", r->gateway_name);
    if (r->set->host) {
        doc_list_add(a, doc_list_in(a, s, "hostnames"), doc_cstr(a, r->set->host));
    }
    struct doc_node *rule = doc_list_add(a, doc_list_in(a, s, "rules"), doc_new_map(a));
    struct doc_node *match = doc_list_add(a, doc_list_in(a, rule, "matches"), doc_new_map(a));
    struct doc_node *path = doc_map_in(a, match, "path");
    put(r, path, "type", "PathPrefix");
    put(r, path, "value", r->set->path);
    struct doc_node *to = doc_list_add(a, doc_list_in(a, rule, "backendRefs"), doc_new_map(a));
    put(r, to, "name", r->service.name);
    doc_set(a, to, "port", doc_int(a, r->service.port));
}

/* ---- what is there ---- */

static int need_gateway(struct run *r)
{
    struct doc_node *found;
    int status = kube_verb_get(&r->k, &gateways, r->service.ns, r->gateway_name, &found);
    return status == EXIT_MISSING
               ? verb_fail(r->v, EXIT_MISSING, 1365,
                           "mesh expose SERVICE      takes the mesh's own ingress gateway",
                           "there is no Gateway \"%s\" in namespace %s", r->gateway_name,
                           r->service.ns)
               : status;
}

/* A route of that name that somebody else wrote stays as it is. */
static int guard_route(struct run *r)
{
    struct doc_node *found;
    int status = kube_verb_get(&r->k, &routes, r->service.ns, r->route_name, &found);
    if (status == EXIT_MISSING) {
        return EXIT_DONE;
    }
    const struct doc_node *labels = doc_path(found, "metadata.labels");
    const struct doc_node *owner = doc_get(labels, INSTALL_OWNER_LABEL);
    bool is_ours = doc_is(owner, DOC_TEXT) && span_is(owner->text, INSTALL_OWNER);
    return status || is_ours
               ? status
               : verb_fail(r->v, EXIT_NEGATIVE, 1367, "--name NAME      writes another one",
                           "HTTPRoute %s/%s is there already, and was not made by mesh expose",
                           r->service.ns, r->route_name);
}

static int prepare(struct run *r)
{
    bool is_ingress = strcmp(r->set->gateway, INGRESS) == 0;
    int status = kube_service_find(&r->k, r->v->operands.items[0], r->set->port, &r->service);
    if (status != EXIT_DONE) {
        return status;
    }
    r->gateway_name = is_ingress ? GATEWAY : r->set->gateway;
    r->route_name = r->set->name ? r->set->name : r->service.name;
    if (is_ingress) {
        make_gateway(r);
    }
    make_route(r);
    status = is_ingress ? EXIT_DONE : need_gateway(r);
    return status ? status : guard_route(r);
}

/* ---- showing, asking, writing ---- */

static void print_yaml(const struct run *r, const char *indent)
{
    const struct doc_node *const all[] = {r->gateway, r->route};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct buf text;
        buf_init(&text, 65536);
        if (all[i] && doc_write_yaml(all[i], &text) == 0) {
            printf("%s---\n", indent);
            for (struct span rest = span_trim(buf_span(&text)); rest.at;) {
                struct span line = span_cut(&rest, '\n');
                printf("%s%.*s%s", line.len ? indent : "", SPAN_ARG(line), line.len ? "\n" : "");
            }
        }
        buf_dispose(&text);
    }
}

static struct doc_node *list_doc(struct run *r)
{
    struct arena *a = &r->v->arena;
    struct doc_node *doc = doc_new_map(a);
    put(r, doc, "apiVersion", "v1");
    put(r, doc, "kind", "List");
    struct doc_node *items = doc_list_in(a, doc, "items");
    if (r->gateway) {
        doc_list_add(a, items, r->gateway);
    }
    doc_list_add(a, items, r->route);
    return doc;
}

static int apply(struct run *r)
{
    int status = r->gateway ? kube_verb_apply(&r->k, r->gateway, false, NULL) : EXIT_DONE;
    return status ? status : kube_verb_apply(&r->k, r->route, false, NULL);
}

/* The first parent's condition, or empty while nobody has looked at it. */
static struct span accepted(const struct doc_node *route, struct span *why)
{
    const struct doc_node *list = doc_path(route, "status.parents.0.conditions");
    for (size_t i = 0; i < doc_count(list); i++) {
        if (span_is(item_text(doc_at(list, i), "type"), "Accepted")) {
            *why = item_text(doc_at(list, i), "message");
            return item_text(doc_at(list, i), "status");
        }
    }
    return SPAN_EMPTY;
}

static int await(struct run *r)
{
    int64_t deadline_ms = instant_mono_ms() + r->v->flags->timeout_ms;
    for (;;) {
        struct doc_node *route;
        struct span why = SPAN_EMPTY;
        int status = kube_verb_get(&r->k, &routes, r->service.ns, r->route_name, &route);
        struct span is = accepted(route, &why);
        if (status != EXIT_DONE || span_is(is, "True")) {
            return status;
        }
        if (is.len > 0 || instant_mono_ms() >= deadline_ms) {
            const char *text = why.len > 0 ? arena_cstr(&r->v->arena, why)
                                           : "no control plane has looked at it: mesh check";
            return verb_fail(r->v, is.len > 0 ? EXIT_NEGATIVE : EXIT_TIMED_OUT, 1368, "mesh check",
                             "HTTPRoute %s/%s is not taken: %s", r->service.ns, r->route_name,
                             text);
        }
        kube_verb_pause(&r->k, WAIT_MS);
    }
}

/* ---- where it is now ---- */

/* Of the ingress gateway's Service, or of a Gateway's status. */
static const char *address_of(struct run *r)
{
    struct doc_node *found;
    if (r->gateway) {
        return kube_verb_get(&r->k, &kube_verb_services, MESH_SYSTEM_NAMESPACE,
                             INSTALL_GATEWAY_NAME, &found) == EXIT_DONE
                   ? kube_service_address(&r->k, found)
                   : "";
    }
    return kube_verb_get(&r->k, &gateways, r->service.ns, r->gateway_name, &found) == EXIT_DONE
               ? arena_cstr(&r->v->arena, item_text(found, "status.addresses.0.value"))
               : "";
}

static void print_end(struct run *r)
{
    struct verb *v = r->v;
    const char *address = address_of(r);
    const char *host = r->set->host ? r->set->host : address;
    bool has_address = address[0] != '\0';
    const char *url = arena_printf(&v->arena, "http://%s%s", host, r->set->path);
    struct doc_node *doc = doc_new_map(&v->arena);
    put(r, doc, "apiVersion", "mesh/v1");
    put(r, doc, "kind", "Exposure");
    put(r, doc, "service", arena_printf(&v->arena, "%s/%s", r->service.ns, r->service.name));
    put(r, doc, "gateway", arena_printf(&v->arena, "%s/%s", r->service.ns, r->gateway_name));
    put(r, doc, "route", arena_printf(&v->arena, "%s/%s", r->service.ns, r->route_name));
    put(r, doc, "address", address);
    if (has_address) {
        put(r, doc, "url", url);
    }
    if (verb_print_doc(v, doc)) {
        return;
    }
    if (!has_address) {
        printf("the gateway has no address yet (MESH1301); until then:  mesh open%s%s\n",
               strcmp(r->set->path, "/") == 0 ? "" : " --path ",
               strcmp(r->set->path, "/") == 0 ? "" : r->set->path);
    } else if (r->set->host) {
        printf("%s      once %s is the address %s; now: curl --resolve %s:80:%s %s\n", url, host,
               address, host, address, url);
    } else {
        printf("%s\n", url);
    }
}

static int run(struct run *r)
{
    struct verb *v = r->v;
    bool is_table = v->flags->output == OUTPUT_TABLE || v->flags->output == OUTPUT_WIDE;
    int status = kube_verb_open(&r->k, v);
    status = status ? status : prepare(r);
    if (status == EXIT_DONE && r->set->dry_run) {
        if (is_table || v->flags->output == OUTPUT_YAML) {
            print_yaml(r, "");
        } else if (!verb_print_doc(v, list_doc(r))) {
            print_yaml(r, "");
        }
    } else if (status == EXIT_DONE) {
        if (is_table && !r->set->yes) {
            print_yaml(r, "  ");
        }
        status = install_confirm(&r->k, r->set->yes,
                                 arena_printf(&v->arena, "apply to %s?", r->k.context));
        status = status ? status : apply(r);
        status = status ? status : await(r);
        if (status == EXIT_DONE) {
            print_end(r);
        }
    }
    kube_verb_close(&r->k);
    return status;
}

int cmd_expose(int argc, char **argv)
{
    struct settings set = {.path = "/"};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct run r = {.v = &v, .set = &set};
        if (v.operands.count != 1) {
            status =
                verb_fail(&v, EXIT_USAGE, 1004, "mesh expose SERVICE", "expose takes one service");
        } else if (set.path[0] != '/') {
            status = verb_fail(&v, EXIT_USAGE, 1011, NULL, "--path '%s': a path begins with /",
                               set.path);
        } else {
            status = run(&r);
        }
    }
    verb_close(&v);
    return status;
}

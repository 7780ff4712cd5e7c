/* Finding a Service and its port. In: cmd_expose, cmd_open. Out: kube_verb. */
#include "cli/kube_service.h"

#include "mesh/names.h"

static int64_t number(const struct doc_node *doc, const char *key)
{
    const struct doc_node *n = doc_get(doc, key);
    return doc_is(n, DOC_INT) ? n->integer : 0;
}

/* ---- ports ---- */

static bool has_word(const struct doc_node *port, const char *const *words)
{
    struct span name = item_text(port, "name");
    struct span protocol = item_text(port, "appProtocol");
    struct span first = protocol.len > 0 ? protocol : span_cut(&name, '-');
    for (; *words; words++) {
        if (span_eq_nocase(first, span_of(*words))) {
            return true;
        }
    }
    return false;
}

static bool is_http(const struct doc_node *port)
{
    static const char *const words[] = {
        "http", "http2", "http-web", "web", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws", NULL};
    int64_t n = number(port, "port");
    return has_word(port, words) || n == 80 || n == 8080;
}

static bool is_tls(const struct doc_node *port)
{
    static const char *const words[] = {"https", "tls", NULL};
    return has_word(port, words) || number(port, "port") == 443;
}

bool kube_service_pick_port(struct kube_service *out, int64_t port)
{
    const struct doc_node *ports = doc_path(out->doc, "spec.ports");
    const struct doc_node *found = doc_count(ports) == 1 && port == 0 ? doc_at(ports, 0) : NULL;
    for (size_t i = 0; i < doc_count(ports) && !found; i++) {
        const struct doc_node *one = doc_at(ports, i);
        found = (port ? number(one, "port") == port : is_http(one)) ? one : NULL;
    }
    if (found) {
        out->port = number(found, "port");
        out->is_tls = is_tls(found);
    }
    return found != NULL;
}

static const char *ports_text(struct kube_verb *k, const struct doc_node *service)
{
    const struct doc_node *ports = doc_path(service, "spec.ports");
    const char *text = "";
    for (size_t i = 0; i < doc_count(ports); i++) {
        struct span name = item_text(doc_at(ports, i), "name");
        text = arena_printf(&k->verb->arena, "%s%s%lld%s%.*s%s", text, i ? ", " : "",
                            (long long)number(doc_at(ports, i), "port"), name.len ? " (" : "",
                            SPAN_ARG(name), name.len ? ")" : "");
    }
    return *text ? text : "none";
}

/* ---- services ---- */

static int no_service(struct kube_verb *k, const struct kube_service *s)
{
    struct doc_node *items;
    const char *names = "";
    int status = kube_verb_list(k, &kube_verb_services, s->ns, NULL, &items);
    for (size_t i = 0; i < doc_count(items) && i < 12; i++) {
        names = arena_printf(&k->verb->arena, "%s%s%.*s", names, i ? ", " : "",
                             SPAN_ARG(item_text(doc_at(items, i), "metadata.name")));
    }
    return status ? status
                  : verb_fail(k->verb, EXIT_MISSING, 1362, NULL,
                              "there is no service \"%s\" in namespace %s, which has %s", s->name,
                              s->ns, *names ? names : "none");
}

int kube_service_find(struct kube_verb *k, const char *text, int64_t port, struct kube_service *out)
{
    struct arena *a = &k->verb->arena;
    struct doc_node *doc;
    struct span rest = span_of(text);
    if (span_starts(rest, SPAN("svc/")) || span_starts(rest, SPAN("service/"))) {
        (void)span_cut(&rest, '/');
    }
    *out = (struct kube_service){.name = arena_cstr(a, span_cut(&rest, '.'))};
    out->ns = rest.len > 0 ? arena_cstr(a, rest) : kube_verb_namespace(k);
    int status = kube_verb_get(k, &kube_verb_services, out->ns, out->name, &doc);
    if (status != EXIT_DONE) {
        return status == EXIT_MISSING ? no_service(k, out) : status;
    }
    out->doc = doc;
    if (!kube_service_pick_port(out, port)) {
        const char *asked =
            port ? arena_printf(a, "service %s/%s has no port %lld", out->ns, out->name,
                                (long long)port)
                 : arena_printf(a, "service %s/%s has several ports, and none is HTTP by its name",
                                out->ns, out->name);
        return verb_fail(k->verb, EXIT_USAGE, 1363, "--port N names one of them", "%s; it has %s",
                         asked, ports_text(k, doc));
    }
    return EXIT_DONE;
}

int kube_service_ready(struct kube_verb *k, const struct kube_service *s, size_t *ready)
{
    struct doc_node *slices;
    const char *selector = arena_printf(&k->verb->arena, LABEL_SLICE_SERVICE "=%s", s->name);
    int status = kube_verb_list(k, &kube_verb_slices, s->ns, selector, &slices);
    *ready = 0;
    for (size_t i = 0; i < doc_count(slices); i++) {
        const struct doc_node *ends = doc_get(doc_at(slices, i), "endpoints");
        for (size_t j = 0; j < doc_count(ends); j++) {
            const struct doc_node *is_ready = doc_path(doc_at(ends, j), "conditions.ready");
            *ready += !is_ready || (doc_is(is_ready, DOC_BOOL) && is_ready->boolean);
        }
    }
    return status;
}

const char *kube_service_address(struct kube_verb *k, const struct doc_node *service)
{
    const struct doc_node *first = doc_path(service, "status.loadBalancer.ingress.0");
    struct span address = item_text(first, "ip");
    return arena_cstr(&k->verb->arena, address.len > 0 ? address : item_text(first, "hostname"));
}

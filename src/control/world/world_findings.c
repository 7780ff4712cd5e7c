/* What is wrong with objects in relation to one another: services and gateways; the rest is in world_findings_routes, _rules
 * and _security.
 * In: a world. Out: findings. Next: the API's /findings and apply. */
#include "base/mem.h"
#include "control/world/world_findings_int.h"
#include "model/pod.h"
#include "model/service.h"
#include "model/service_entry.h"
#include "model/workload_entry.h"

#define PATH_MAX_BYTES 256

/* ---- telling ---- */

/* "spec.http.0.route" as people write it: "spec.http[0].route". */
static struct span shown_path(struct arena *arena, const char *path)
{
    struct span rest = span_of(path);
    char *out = arena_bytes(arena, 2 * rest.len + 1);
    size_t len = 0;
    while (rest.at != NULL) {
        struct span part = span_cut(&rest, '.');
        uint64_t number;
        bool is_place = span_to_u64(part, &number);
        if (len > 0 && !is_place) {
            out[len++] = '.';
        }
        if (is_place) {
            out[len++] = '[';
        }
        memcpy(out + len, part.at, part.len);
        len += part.len;
        if (is_place) {
            out[len++] = ']';
        }
    }
    return span_from(out, len);
}

static const struct doc_node *node_at(const struct object *o, const char *path)
{
    char text[PATH_MAX_BYTES];
    span_to_cstr(span_of(path), text, sizeof(text));
    for (;;) {
        const struct doc_node *node = doc_path(o->doc, text);
        char *dot = strrchr(text, '.');
        if (node != NULL || dot == NULL) {
            return node != NULL ? node : o->doc;
        }
        *dot = '\0';
    }
}

struct finding *world_findings_tell(struct world_check *k, unsigned code, const struct object *o,
                                    const char *path, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct arena *arena = k->findings->arena;
    struct finding *f = finding_add(k->findings, code, node_at(o, path), "%s", text);
    f->kind = span_of(object_kinds[o->kind].kind);
    f->namespace = arena_dup(arena, o->namespace);
    f->name = arena_dup(arena, o->name);
    f->path = shown_path(arena, path);
    return f;
}

void world_findings_why(struct world_check *k, struct finding *f, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    f->why = span_of(arena_strdup(k->findings->arena, text));
}

void world_findings_fix(struct world_check *k, struct finding *f, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    f->fix = span_of(arena_strdup(k->findings->arena, text));
}

void world_findings_near(struct world_check *k, struct finding *f, const struct near *n)
{
    if (n->best.at != NULL) {
        world_findings_fix(k, f, "did you mean \"%.*s\"?", SPAN_ARG(n->best));
    }
}

const char *world_findings_labels(struct world_check *k, const struct label *labels, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count && i < 8; i++) {
        text = arena_printf(k->findings->arena, "%s%s%.*s=%.*s", text, i > 0 ? "," : "",
                            SPAN_ARG(labels[i].key), SPAN_ARG(labels[i].value));
    }
    return text;
}

/* ---- services ---- */

/* The host of an object that another one owns. */
static void check_owner(struct world_check *k, const struct object *o, struct span host,
                        const char *path)
{
    const struct world_service *s = map_get(&k->config->by_host, host);
    while (s != NULL && !span_eq(s->namespace, o->namespace)) {
        s = s->same_host;
    }
    if (s != NULL && s->object != o) {
        (void)world_findings_tell(
            k, 2100, o, path, "host \"%.*s\" is ignored: %s \"%.*s\" defines it too",
            SPAN_ARG(host), object_kinds[s->object->kind].kind, SPAN_ARG(s->object->name));
    }
}

static void check_hosts(struct world_check *k)
{
    const struct world_config *c = k->config;
    for (size_t i = c->kind_first[OBJECT_SERVICE_ENTRY];
         i < c->kind_first[OBJECT_SERVICE_ENTRY + 1]; i++) {
        const struct object *o = c->objects[i];
        const struct spec_texts *hosts = &service_entry_of(o)->hosts;
        for (size_t h = 0; h < hosts->count; h++) {
            char path[PATH_MAX_BYTES];
            (void)snprintf(path, sizeof(path), "spec.hosts.%zu", h);
            check_owner(k, o, hosts->items[h], path);
        }
    }
}

static bool has_port_named(const struct object *o, struct span target, struct span name)
{
    bool found = false;
    if (o->kind == OBJECT_POD) {
        const struct pod_spec *pod = pod_of(o);
        for (size_t n = 0; n < pod->port_count; n++) {
            found |= span_eq(pod->ports[n].name, target);
        }
        return found;
    }
    const struct workload_entry_spec *spec = workload_entry_of(o);
    for (size_t n = 0; n < spec->port_count; n++) {
        found |= span_eq(spec->ports[n].name, target) ||
                 (name.len > 0 && span_eq(spec->ports[n].name, name));
    }
    return found;
}

/* A named target port that a selected workload does not have. */
static bool check_target_names(struct world_check *k, const struct world_service *s)
{
    for (size_t p = 0; p < s->port_count; p++) {
        for (size_t i = 0; s->ports[p].target_name.len > 0 && i < k->workload_count; i++) {
            const struct world_workload *w = k->workloads[i];
            if (w->object == NULL || !span_eq(w->namespace, s->namespace) ||
                !world_labels_match(s->selector, s->selector_count, w->labels, w->label_count) ||
                has_port_named(w->object, s->ports[p].target_name, s->ports[p].name)) {
                continue;
            }
            char path[PATH_MAX_BYTES];
            (void)snprintf(path, sizeof(path), "spec.ports.%zu.targetPort", p);
            (void)world_findings_tell(k, 2112, s->object, path,
                                      "workload \"%.*s\" has no port named \"%.*s\"",
                                      SPAN_ARG(w->object->name), SPAN_ARG(s->ports[p].target_name));
            return true;
        }
    }
    return false;
}

static void check_address(struct world_check *k, const struct world_service *s)
{
    for (size_t i = 0; i < s->address_count; i++) {
        const struct world_address *at =
            map_get(&k->config->by_address, world_ip_key(&s->addresses[i]));
        for (size_t n = 0; at != NULL && n < at->count && at->services[n] != s; n++) {
            const struct world_service *other = at->services[n];
            bool meet = world_is_visible(other, s->namespace) &&
                        world_is_visible(s, other->namespace) && !span_eq(other->host, s->host);
            bool port = false;
            for (size_t p = 0; meet && p < s->port_count; p++) {
                port |= world_port_of(other, s->ports[p].number) != NULL;
            }
            if (port) {
                char ip[IP_TEXT_BYTES];
                (void)world_findings_tell(
                    k, 2115, s->object, "spec", "\"%.*s\" has the address %s of \"%.*s\"",
                    SPAN_ARG(s->host), ip_format(&s->addresses[i], ip), SPAN_ARG(other->host));
                return;
            }
        }
    }
}

static void check_service(struct world_check *k, const struct world_service *s)
{
    const struct world_endpoints *e = k->world->endpoints[s->index];
    check_address(k, s);
    if (check_target_names(k, s) || s->selector_count == 0 || e->count > 0) {
        return;
    }
    bool is_entry = s->object->kind == OBJECT_SERVICE_ENTRY;
    (void)world_findings_tell(
        k, 2108, s->object, is_entry ? "spec.workloadSelector" : "spec.selector",
        "service \"%.*s\" selects %s, which no workload in \"%.*s\" has", SPAN_ARG(s->name),
        world_findings_labels(k, s->selector, s->selector_count), SPAN_ARG(s->namespace));
}

/* ---- all ---- */

static void collect_workload(void *arg, const struct world_workload *workload)
{
    struct world_check *k = arg;
    if (k->workload_count == k->workload_room) {
        k->workload_room = k->workload_room > 0 ? k->workload_room * 2 : 64;
        k->workloads =
            mem_realloc(k->workloads, k->workload_room * sizeof(const struct world_workload *));
    }
    k->workloads[k->workload_count++] = workload;
}

void world_findings(const struct world *w, struct findings *f)
{
    struct world_check k = {.world = w, .config = w->config, .findings = f};
    world_each_workload(w, collect_workload, &k);
    check_hosts(&k);
    for (size_t i = 0; i < w->config->service_count; i++) {
        check_service(&k, w->config->services[i]);
    }
    world_findings_gateways(&k);
    world_findings_routes(&k);
    world_findings_rules(&k);
    world_findings_security(&k);
    mem_free(k.workloads);
}

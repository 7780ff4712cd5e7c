/* The state of the mesh in a few numbers, and who is connected: GET /api/v1/status, /api/v1/proxies.
 * In: api. Out: answers from the world, push/proxies and the CA's numbers. */
#include "base/instant.h"
#include "ca/ca.h"
#include "control/api/api_parts.h"
#include "control/api/api_value.h"
#include "control/push/push.h"
#include "control/sources/source.h"
#include "control/world/world.h"
#include "version.h"

struct tally {
    int64_t errors, warnings;
};

static void count_finding(void *arg, const struct finding *f)
{
    struct tally *t = arg;
    t->errors += f->severity == CODE_ERROR;
    t->warnings += f->severity == CODE_WARNING;
}

static void count_workload(void *arg, const struct world_workload *w)
{
    UNUSED(w);
    ++*(int64_t *)arg;
}

static void set_proxies(struct arena *a, struct doc_node *map, const struct proxies *all)
{
    struct doc_node *to = doc_map_in(a, map, "proxies");
    int64_t synced = 0;
    int64_t refused = 0;
    LIST_EACH(node, next, &all->entries) {
        const struct proxy_entry *e = list_item(node, struct proxy_entry, node);
        synced += proxies_is_synced(e);
        for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
            if (e->types[i].refused) {
                refused++;
                break;
            }
        }
    }
    api_set_int(a, to, "connected", (int64_t)all->count);
    api_set_int(a, to, "synced", synced);
    api_set_int(a, to, "refusing", refused);
}

static void get_status(struct api_call *c)
{
    struct api *api = c->api;
    struct doc_node *to = api_answer(c, "Status");
    struct tally tally = {.errors = 0};
    api_set_text(c->arena, to, "version", span_of(MESH_VERSION));
    api_set_number(c->arena, to, "uptime", (double)(instant_wall_us() - api->started_us) / 1e6);
    api_set_int(c->arena, to, "objects", (int64_t)sources_count(api->sources));
    if (api->world) {
        const struct world *w = api->world;
        int64_t workloads = 0;
        world_each_workload(w, count_workload, &workloads);
        api_set_text(c->arena, to, "trustDomain", w->config->mesh.trust_domain);
        api_set_int(c->arena, to, "world", (int64_t)w->version);
        api_set_int(c->arena, to, "services", (int64_t)w->config->service_count);
        api_set_int(c->arena, to, "workloads", workloads);
    }
    if (api->push) {
        set_proxies(c->arena, to, push_proxies(api->push));
    }
    if (api->ca) {
        struct ca_numbers n;
        struct doc_node *ca = doc_map_in(c->arena, to, "ca");
        ca_numbers_read(api->ca, &n);
        api_set_int(c->arena, ca, "issued", (int64_t)n.issued);
        api_set_int(c->arena, ca, "refused", (int64_t)n.refused);
        api_set_time_us(c->arena, ca, "rootNotAfter", n.root_not_after_s * 1000000);
        api_set_text(c->arena, ca, "pin", span_of(ca_pin(api->ca)));
    }
    sources_each_finding(api->sources, count_finding, &tally);
    if (api->each_world_finding) {
        api->each_world_finding(api->world_arg, count_finding, &tally);
    }
    struct doc_node *findings = doc_map_in(c->arena, to, "findings");
    api_set_int(c->arena, findings, "errors", tally.errors);
    api_set_int(c->arena, findings, "warnings", tally.warnings);
    api_reply(c, 200, to);
}

/* As `istioctl proxy-status` says it. */
static const char *state_of(const struct proxy_type_state *t)
{
    return t->refused           ? "REFUSED"
           : t->sent == 0       ? "NOT SENT"
           : t->acked < t->sent ? "STALE"
                                : "SYNCED";
}

static void set_types(struct arena *a, struct doc_node *map, const struct proxy_entry *e)
{
    for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
        const struct proxy_type_state *t = &e->types[i];
        struct doc_node *to = doc_map_in(a, map, proxies_type_names[i]);
        api_set_text(a, to, "state", span_of(state_of(t)));
        api_set_int(a, to, "names", t->names);
        api_set_time_us(a, to, "sent", t->sent_us);
        api_set_time_us(a, to, "acknowledged", t->acked_us);
        api_set_text(a, to, "why", span_of(t->refused));
    }
}

static struct doc_node *proxy_to_doc(struct arena *a, const struct proxy_entry *e)
{
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "id", e->who.id);
    api_set_text(a, to, "kind", e->who.kind == NODE_GATEWAY ? SPAN("gateway") : SPAN("sidecar"));
    api_set_text(a, to, "name", e->who.name);
    api_set_text(a, to, "namespace", e->who.namespace);
    api_set_text(a, to, "workload", e->who.workload);
    api_set_text(a, to, "serviceAccount", e->who.service_account);
    struct doc_node *addresses = doc_list_in(a, to, "addresses");
    for (size_t i = 0; i < e->who.address_count; i++) {
        doc_list_add(a, addresses, api_ip(a, &e->who.addresses[i]));
    }
    api_set_text(a, to, "identity", span_of(e->identity));
    api_set_text(a, to, "peer", span_of(e->address));
    api_set_text(a, to, "protocol", span_of(e->protocol));
    api_set_text(a, to, "discovery", e->who.on_demand ? SPAN("on-demand") : SPAN("full"));
    api_set_text(a, to, "version", e->who.version);
    api_set_text(a, to, "admin", e->who.admin);
    api_set_time_us(a, to, "connected", e->connected_us);
    api_set_bool(a, to, "synced", proxies_is_synced(e));
    set_types(a, doc_map_in(a, to, "types"), e);
    return to;
}

static void get_proxies(struct api_call *c)
{
    struct doc_node *to = api_list(c, "ProxyList");
    struct doc_node *items = doc_list_in(c->arena, to, "items");
    if (c->api->push) {
        LIST_EACH(node, next, &push_proxies(c->api->push)->entries) {
            doc_list_add(c->arena, items,
                         proxy_to_doc(c->arena, list_item(node, struct proxy_entry, node)));
        }
    }
    api_reply(c, 200, to);
}

const struct api_route api_status_routes[] = {
    {"GET", "/api/v1/status", 0, get_status},
    {"GET", "/api/v1/proxies", 0, get_proxies},
    {NULL, NULL, 0, NULL},
};

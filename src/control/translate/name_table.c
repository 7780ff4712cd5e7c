/* Names for the proxy's DNS: the addresses of a service, or of its endpoints when it has none of its own.
 * Source: Istio pkg/dns/server (BuildNameTable), istio.networking.nds.v1. */
#include "control/translate/translate_int.h"
#include "proto/nds.pb.h"

static void add_ip(struct translation *t, struct pb_nds_NameTable_NameInfo *info,
                   const struct ip *ip)
{
    if (ip->family != 0) {
        PB_ADD(t->arena, &info->ips, message_ip(t->arena, ip));
    }
}

struct pb_nds_NameTable *name_table(struct translation *t, struct span host)
{
    struct span bare =
        host.len > 0 && host.at[host.len - 1] == '.' ? span_first(host, host.len - 1) : host;
    const struct world_service *s = world_find_host(t->w, bare, t->n->namespace);
    struct ip as_address;
    if (!s || ip_parse(bare, &as_address) == 0) {
        return NULL;
    }
    struct pb_nds_NameTable_NameInfo *info = arena_new(t->arena, struct pb_nds_NameTable_NameInfo);
    for (size_t i = 0; i < s->address_count; i++) {
        add_ip(t, info, &s->addresses[i]);
    }
    const struct world_endpoints *e = t->w->endpoints[s->index];
    for (size_t i = 0; s->headless && i < e->count; i++) {
        bool is_new = e->items[i].ready;
        for (size_t k = 0; k < i && is_new; k++) { /* one entry a port: each address once */
            is_new = !ip_eq(&e->items[k].address, &e->items[i].address);
        }
        if (is_new) {
            add_ip(t, info, &e->items[i].address);
        }
    }
    if (info->ips.count == 0) {
        return NULL;
    }
    info->registry = s->external ? SPAN("External") : SPAN("Kubernetes");
    info->shortname = s->name;
    info->namespace = s->namespace;
    struct pb_nds_NameTable *table = arena_new(t->arena, struct pb_nds_NameTable);
    struct pb_nds_NameTable_TableEntry *entry =
        arena_new(t->arena, struct pb_nds_NameTable_TableEntry);
    entry->key = bare;
    entry->value = info;
    PB_ADD(t->arena, &table->table, entry);
    t->service = s;
    return table;
}

void name_table_names(struct translation *t, struct name_list *list)
{
    for (size_t i = 0; !t->n->on_demand && i < t->w->config->service_count; i++) {
        const struct world_service *s = t->w->config->services[i];
        if (world_find_host(t->w, s->host, t->n->namespace) == s) {
            translate_add_name(t->arena, list, s->host);
        }
    }
}

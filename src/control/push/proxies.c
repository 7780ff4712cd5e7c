/* The proxies that hold a stream, as the main thread knows them. */
#include "control/push/proxies.h"

#include "base/mem.h"
#include "xds/xds.h"

const char *const proxies_type_urls[PROXIES_TYPE_COUNT] = {
    XDS_CLUSTER,      XDS_ENDPOINTS,   XDS_LISTENER, XDS_ROUTES,
    XDS_VIRTUAL_HOST, NAME_TABLE_TYPE, XDS_SECRET};
const char *const proxies_type_names[PROXIES_TYPE_COUNT] = {"CDS",  "EDS", "LDS", "RDS",
                                                            "VHDS", "NDS", "SDS"};

bool proxies_is_synced(const struct proxy_entry *e)
{
    bool is_told = false;
    for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
        if (e->types[i].sent != e->types[i].acked || e->types[i].refused) {
            return false;
        }
        is_told = is_told || e->types[i].sent > 0;
    }
    return is_told;
}

void proxies_init(struct proxies *p)
{
    *p = (struct proxies){.count = 0};
    list_init(&p->entries);
}

void proxies_entry_free(struct proxy_entry *e)
{
    if (!e) {
        return;
    }
    for (size_t i = 0; i < PROXIES_TYPE_COUNT; i++) {
        mem_free(e->types[i].refused);
    }
    mem_free(e->workload);
    mem_free(e->identity);
    mem_free(e->address);
    node_dispose(&e->who);
    mem_free(e);
}

void proxies_dispose(struct proxies *p)
{
    LIST_EACH(node, next, &p->entries) {
        proxies_entry_free(list_item(node, struct proxy_entry, node));
    }
    list_init(&p->entries);
}

struct proxy_entry *proxies_find(const struct proxies *p, uint64_t stream)
{
    LIST_EACH(node, next, &p->entries) {
        struct proxy_entry *e = list_item(node, struct proxy_entry, node);
        if (e->stream == stream) {
            return e;
        }
    }
    return NULL;
}

void proxies_add_take(struct proxies *p, struct proxy_entry *e)
{
    list_push_back(&p->entries, &e->node);
    p->count++;
    p->connects++;
}

void proxies_remove(struct proxies *p, uint64_t stream)
{
    struct proxy_entry *e = proxies_find(p, stream);
    if (e) {
        list_remove(&e->node);
        p->count--;
        p->disconnects++;
        proxies_entry_free(e);
    }
}

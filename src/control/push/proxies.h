#ifndef CONTROL_PUSH_PROXIES_H
#define CONTROL_PUSH_PROXIES_H
/* The proxies that hold a stream, as the main thread knows them: for `mesh ps`, status and pilot_* metrics. Fed by mail of the
 * stream workers. */
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "control/translate/translate.h"

/* Types that are followed one by one. */
enum proxies_type {
    PROXIES_CLUSTER,
    PROXIES_ENDPOINTS,
    PROXIES_LISTENER,
    PROXIES_ROUTES,
    PROXIES_VIRTUAL_HOST,
    PROXIES_NAMES,
    PROXIES_SECRETS,
    PROXIES_TYPE_COUNT
};
extern const char *const proxies_type_urls[PROXIES_TYPE_COUNT];
extern const char *const proxies_type_names[PROXIES_TYPE_COUNT]; /* CDS, EDS, LDS, RDS, VHDS, NDS */

struct proxy_type_state {
    uint32_t names;            /* that it asks for */
    uint64_t sent;             /* world version of the last answer; 0 = none */
    uint64_t acked;            /* the same of the last one that was taken, or had already */
    char *refused;             /* why the last one was not taken; NULL: it was; owned */
    int64_t sent_us, acked_us; /* wall time */
};

struct proxy_entry {
    struct list node;
    uint64_t stream; /* unique in this process */
    struct node who;
    char *workload;       /* as destinations.h has it; owned */
    char *identity;       /* proven SPIFFE ID; NULL on the plain port; owned */
    char *address;        /* ip:port of the connection; owned */
    const char *protocol; /* "delta", "sotw" */
    int64_t connected_us;
    struct proxy_type_state types[PROXIES_TYPE_COUNT];
};

struct proxies {
    struct list entries;
    size_t count;
    uint64_t connects, disconnects; /* since the start */
};

/* It was told something, and acknowledged all that it was told. */
bool proxies_is_synced(const struct proxy_entry *e);
void proxies_init(struct proxies *p);
void proxies_dispose(struct proxies *p);
struct proxy_entry *proxies_find(const struct proxies *p, uint64_t stream);
void proxies_add_take(struct proxies *p, struct proxy_entry *e);
void proxies_remove(struct proxies *p, uint64_t stream);
/* NULL is fine. */
void proxies_entry_free(struct proxy_entry *e);
#endif

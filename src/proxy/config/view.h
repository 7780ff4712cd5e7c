#ifndef PROXY_CONFIG_VIEW_H
#define PROXY_CONFIG_VIEW_H
/* A worker's hold on snapshots. A request holds the view it began with until its request head is sent; a
 * retired view with no users is mailed back to the main thread. Owner thread only.
 * In: snapshot by mail. Out: lookups by slot. Next: downstream/, upstream/. */
#include "base/compiler.h"
#include "base/list.h"
#include "proxy/config/snapshot.h"

struct view {
    const struct snapshot *snapshot;
    /* private */
    unsigned users;
    bool retired;
    void (*on_unused)(void *arg, struct view *v);
    void *arg;
};

/* The holder itself counts as one user until view_retire. */
struct view *view_new(const struct snapshot *s, void (*on_unused)(void *arg, struct view *v),
                      void *arg);
void view_get(struct view *v);
void view_put(struct view *v);
/* No new users; on_unused comes when the last is gone (maybe at once), and must view_free. */
void view_retire(struct view *v);
void view_free(struct view *v);

static inline const struct conf_cluster *view_cluster(const struct view *v, uint32_t slot)
{
    return slot < v->snapshot->slots ? v->snapshot->clusters[slot] : NULL;
}

static inline const struct conf_endpoints *view_endpoints(const struct view *v, uint32_t slot)
{
    return slot < v->snapshot->slots ? v->snapshot->endpoints[slot] : NULL;
}
#endif

#ifndef PROXY_PROXY_STATS_H
#define PROXY_PROXY_STATS_H
/* Envoy's /stats: every number under the dotted name that people know: cluster.NAME.upstream_rq_total,
 * listener.ADDRESS.ssl.handshake, http.PREFIX.rbac.denied, server.live. */
#include "base/buf.h"
#include "proxy/proxy_admin.h"

struct proxy_stats_want {
    struct span filter; /* only names that hold this text */
    bool json, used_only;
};

/* 0 or -ERR_LIMIT. */
MUST_USE int proxy_stats_write(const struct proxy_admin_view *view,
                               const struct proxy_stats_want *want, struct buf *out);
#endif

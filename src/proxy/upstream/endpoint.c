/* One address of a cluster in one worker: see endpoint.h.
 * In: upstream/cluster makes and updates it. Out: pools and metric edges. Next: upstream/pool. */
#include "proxy/upstream/endpoint.h"

#include "base/mem.h"
#include "proxy/upstream/cluster.h"

#define LABEL_ARENA_BYTES 256
#define PRINCIPAL_BYTES 2048 /* SPIFFE-ID section 2.3 */

static struct span keep(char to[PRINCIPAL_BYTES], struct span from)
{
    size_t len = size_min(from.len, PRINCIPAL_BYTES);
    if (len > 0) {
        memcpy(to, from.at, len);
    }
    return span_from(to, len);
}

static void copy_labels(struct endpoint *e, const struct conf_endpoint *conf)
{
    char principal[PRINCIPAL_BYTES]; /* what was learned stays */
    char local[PRINCIPAL_BYTES];
    struct span learned = keep(principal, e->labels.principal);
    struct span learned_local = keep(local, e->tunnel_local);
    arena_reset(&e->arena);
    e->hostname = arena_dup(&e->arena, conf->hostname);
    e->tunnel = arena_dup(&e->arena, conf->tunnel);
    e->tunnel_identity = arena_dup(&e->arena, conf->tunnel_identity);
    e->tunnel_local = arena_dup(&e->arena, learned_local);
    e->labels = (struct stats_workload){
        .principal = arena_dup(&e->arena, learned),
        .workload = arena_dup(&e->arena, conf->workload),
        .workload_namespace = arena_dup(&e->arena, conf->workload_namespace),
        .app = arena_dup(&e->arena, conf->app),
        .version = arena_dup(&e->arena, conf->version),
        .canonical_service = arena_dup(&e->arena, conf->app),
        .canonical_revision = arena_dup(&e->arena, conf->version),
        .cluster = arena_dup(&e->arena, conf->cluster_id),
    };
    memset(e->edges, 0, sizeof(e->edges));
}

struct endpoint *endpoint_new(struct cluster *c, const struct conf_endpoint *conf)
{
    struct endpoint *e = mem_new(struct endpoint);
    e->cluster = c;
    cluster_get(c);
    e->addr = conf->addr;
    e->refs = 1;
    arena_init(&e->arena, LABEL_ARENA_BYTES);
    for (unsigned i = 0; i < HTTP_PROTO_COUNT; i++) {
        pool_init(&e->pools[i], e, (enum http_proto)i);
    }
    e->last_used_ms = loop_now_ms(c->up->loop);
    endpoint_update(e, conf);
    return e;
}

void endpoint_update(struct endpoint *e, const struct conf_endpoint *conf)
{
    uint32_t weight = e->cluster->locality_weighted ? conf->locality_weight : conf->weight;
    e->weight = weight > 0 ? weight : 1;
    e->priority = conf->priority;
    e->usable = conf->health == CONF_HEALTHY || conf->health == CONF_DEGRADED;
    copy_labels(e, conf);
}

void endpoint_get(struct endpoint *e)
{
    e->refs++;
}

static void endpoint_free(void *obj)
{
    struct endpoint *e = obj;
    DEBUG_ASSERT(pool_is_empty(&e->pools[0]) && pool_is_empty(&e->pools[1]) &&
                 pool_is_empty(&e->pools[2]));
    arena_dispose(&e->arena);
    mem_free(e);
}

void endpoint_put(struct endpoint *e)
{
    DEBUG_ASSERT(e->refs > 0);
    if (--e->refs == 0) {
        struct cluster *c = e->cluster;
        loop_bury(c->up->loop, endpoint_free, e);
        cluster_put(c);
    }
}

void endpoint_remove(struct endpoint *e)
{
    e->removed = true;
    for (unsigned i = 0; i < HTTP_PROTO_COUNT; i++) {
        pool_close(&e->pools[i]);
    }
}

void endpoint_learn(struct endpoint *e, struct span principal)
{
    if (!span_eq(e->labels.principal, principal)) {
        e->labels.principal = arena_dup(&e->arena, principal);
        memset(e->edges, 0, sizeof(e->edges));
    }
}

bool endpoint_learn_peer(struct endpoint *e, const struct peer *told)
{
    if (e->labels.workload.len > 0 || told == NULL ||
        !peers_believe(&e->labels, told, e->labels.principal)) {
        return false;
    }
    memset(e->edges, 0, sizeof(e->edges));
    return true;
}

void endpoint_learn_tunnel(struct endpoint *e, struct span local_uri)
{
    if (!span_eq(e->tunnel_local, local_uri)) {
        e->tunnel_local = arena_dup(&e->arena, local_uri);
        memset(e->edges, 0, sizeof(e->edges));
    }
}

struct span endpoint_local_uri(const struct endpoint *e)
{
    return e->tls != NULL ? e->tls->local_uri : e->tunnel_local;
}

struct stats_edge *endpoint_edge(struct endpoint *e, enum stats_protocol protocol)
{
    if (e->edges[protocol] == NULL) {
        struct stats_edge_key key = {
            .reporter = STATS_SOURCE,
            .protocol = protocol,
            .mutual_tls = endpoint_is_secure(e),
            .peer = &e->labels,
            .self_principal = endpoint_local_uri(e),
            .service = e->cluster->service,
        };
        e->edges[protocol] = stats_edge_get(e->cluster->up->stats, &key);
    }
    return e->edges[protocol];
}

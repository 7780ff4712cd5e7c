#ifndef PROXY_BOOTSTRAP_H
#define PROXY_BOOTSTRAP_H
/* What a proxy starts from: Envoy's bootstrap (envoy.config.bootstrap.v3.Bootstrap) as YAML or JSON. Static
 * resources come out as Anys that config/ingest takes like any others; the rest says who we are and where
 * configuration comes from. In: a file. Next: proxy.c. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "io/addr.h"
#include "proxy/config/ingest.h"
#include "proxy/report/stats.h"

enum bootstrap_origin {
    BOOTSTRAP_NONE,
    BOOTSTRAP_FILE, /* path_config_source, or the old `path` */
    BOOTSTRAP_ADS,
};

struct bootstrap_source {
    enum bootstrap_origin origin;
    struct span path;
};

struct pb_bootstrap_Bootstrap;

struct bootstrap {
    struct arena arena; /* owns all below */
    const struct pb_bootstrap_Bootstrap *message;
    struct span node_id, node_cluster;
    struct span node_wire;             /* the Node message, for xDS requests */
    struct stats_workload self;        /* from the node's metadata, with Istio's keys */
    struct span node_name, node_owner; /* NAME, OWNER: told to other sidecars */
    bool report_otlp; /* metadata MESH_REPORT "otlp": numbers go to the control plane */
    bool has_admin;
    struct addr admin;
    struct bootstrap_source lds, cds;
    bool has_ads, ads_delta;
    bool dns_capture;          /* node metadata DNS_CAPTURE "true" */
    struct span dns_domain;    /* "cluster.local" of the node id; may be empty */
    bool on_demand;            /* node metadata MESH_DISCOVERY "on-demand"; needs delta ADS */
    struct span ads_cluster;   /* the static cluster that reaches the control plane */
    struct span ads_authority; /* EnvoyGrpc.authority; may be empty */
    /* Static resources; clusters first, then secrets, then listeners. */
    struct ingest_resource *clusters, *secrets, *listeners;
    size_t cluster_count, secret_count, listener_count;
};

/* -ERR_CONFIG with file:line and what is wrong; -errno when the file can not be read. */
MUST_USE int bootstrap_load(struct bootstrap *b, const char *path, struct err *err);
/* The same from text; `name` is for messages. YAML, of which JSON is a part. */
MUST_USE int bootstrap_read(struct bootstrap *b, struct span text, const char *name,
                            struct err *err);
void bootstrap_dispose(struct bootstrap *b);
#endif

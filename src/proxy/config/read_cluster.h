#ifndef PROXY_CONFIG_READ_CLUSTER_H
#define PROXY_CONFIG_READ_CLUSTER_H
/* envoy.config.cluster.v3.Cluster -> conf_cluster. */
#include "proxy/config/read.h"

struct pb_cluster_Cluster;

MUST_USE int read_cluster(struct read *rd, struct conf_cluster *out,
                          const struct pb_cluster_Cluster *config, struct err *err);
#endif

#ifndef PROXY_CONFIG_READ_CLUSTER_LB_H
#define PROXY_CONFIG_READ_CLUSTER_LB_H
/* How a cluster's endpoints are chosen and when they are left out. */
#include "proxy/config/read.h"

struct pb_cluster_Cluster;

/* lb_policy, load_balancing_policy, lb_config, common_lb_config. */
MUST_USE int read_cluster_lb(struct read *rd, struct conf_cluster *out,
                             const struct pb_cluster_Cluster *config, struct err *err);
/* circuit_breakers. */
MUST_USE int read_cluster_lb_limits(struct conf_cluster *out,
                                    const struct pb_cluster_Cluster *config, struct err *err);
/* outlier_detection. */
MUST_USE int read_cluster_lb_outlier(struct conf_cluster *out,
                                     const struct pb_cluster_Cluster *config, struct err *err);
#endif

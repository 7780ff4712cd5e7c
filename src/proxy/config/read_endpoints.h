#ifndef PROXY_CONFIG_READ_ENDPOINTS_H
#define PROXY_CONFIG_READ_ENDPOINTS_H
/* envoy.config.endpoint.v3.ClusterLoadAssignment -> conf_endpoints. */
#include "proxy/config/read.h"

struct pb_endpoint_ClusterLoadAssignment;

/* `names`: host names are allowed in addresses (DNS clusters). */
MUST_USE int read_endpoints(struct read *rd, struct conf_endpoints *out,
                            const struct pb_endpoint_ClusterLoadAssignment *config, bool names,
                            struct err *err);
#endif

#ifndef PROXY_CONFIG_READ_HCM_H
#define PROXY_CONFIG_READ_HCM_H
/* envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager -> conf_http. */
#include "proxy/config/read.h"

/* `bytes`: of the Any. */
MUST_USE int read_hcm(struct read *rd, const struct conf_http **out, struct span bytes,
                      struct err *err);
#endif

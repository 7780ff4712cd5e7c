#ifndef PROXY_CONFIG_READ_HCM_FILTERS_H
#define PROXY_CONFIG_READ_HCM_FILTERS_H
/* The HTTP filters of a connection manager: rbac, those that are built in, and the router at the end. */
#include "proxy/config/read.h"

struct pb_hcm_HttpConnectionManager;

MUST_USE int read_hcm_filters(struct read *rd, struct conf_http *out,
                              const struct pb_hcm_HttpConnectionManager *config, struct err *err);
#endif

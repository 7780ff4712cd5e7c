#ifndef PROXY_CONFIG_READ_FILTERS_H
#define PROXY_CONFIG_READ_FILTERS_H
/* The network filters of a chain: http_connection_manager, tcp_proxy, rbac. */
#include "proxy/config/read.h"

struct pb_listener_FilterChain;

/* Fills http or tcp, and network_rbac. */
MUST_USE int read_filters(struct read *rd, struct conf_chain *out,
                          const struct pb_listener_FilterChain *config, struct err *err);
#endif

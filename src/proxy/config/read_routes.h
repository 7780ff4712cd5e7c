#ifndef PROXY_CONFIG_READ_ROUTES_H
#define PROXY_CONFIG_READ_ROUTES_H
/* Route tables, inline or by RDS: compiled by policy/, less what the data path does not do. */
#include "proxy/config/read.h"

struct pb_route_RouteConfiguration;
MUST_USE int read_routes(struct read *rd, struct route_table **out,
                         const struct pb_route_RouteConfiguration *config, struct err *err);
#endif

#ifndef PROXY_CONFIG_READ_ROUTES_H
#define PROXY_CONFIG_READ_ROUTES_H
/* Route tables, inline or by RDS, and virtual hosts by VHDS: compiled by policy/, less what the data path does not
 * do. */
#include "proxy/config/read.h"

struct pb_route_RouteConfiguration;
MUST_USE int read_routes(struct read *rd, struct route_table **out,
                         const struct pb_route_RouteConfiguration *config, struct err *err);
struct pb_route_VirtualHost;
/* The object has its name already: "TABLE/AUTHORITY". */
MUST_USE int read_virtual_host(struct read *rd, struct conf_virtual_host *out,
                               const struct pb_route_VirtualHost *config, struct err *err);
#endif

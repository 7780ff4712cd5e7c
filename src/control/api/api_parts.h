#ifndef CONTROL_API_API_PARTS_H
#define CONTROL_API_API_PARTS_H
/* The tables of the API's parts, one a file. */
#include "control/api/api.h"

extern const struct api_route api_objects_routes[]; /* objects, findings */
extern const struct api_route api_apply_routes[];   /* apply */
extern const struct api_route api_status_routes[];  /* status, proxies */
extern const struct api_route api_ca_routes[];      /* tokens, certs */
extern const struct api_route api_traffic_routes[]; /* stat, edges, routes */
extern const struct api_route api_authz_routes[];   /* authz */
extern const struct api_route api_tap_routes[];     /* tap */
extern const struct api_route api_analyze_routes[]; /* analyze */
#endif

/* Route tables: see read_routes.h. */
#include "proxy/config/read_routes.h"

#include "proto/route.pb.h"

/* Mirroring is compiled, and no step sends the copies: better refused than believed to happen. */
static bool has_mirrors(const struct pb_route_RouteConfiguration *config)
{
    uint32_t count = config->request_mirror_policies.count;
    for (uint32_t i = 0; i < config->virtual_hosts.count; i++) {
        const struct pb_route_VirtualHost *host = config->virtual_hosts.at[i];
        count += host->request_mirror_policies.count;
        for (uint32_t k = 0; k < host->routes.count; k++) {
            const struct pb_route_RouteAction *action = host->routes.at[k]->route;
            count += action != NULL ? action->request_mirror_policies.count : 0;
        }
    }
    return count > 0;
}

int read_routes(struct read *rd, struct route_table **out,
                const struct pb_route_RouteConfiguration *config, struct err *err)
{
    if (has_mirrors(config)) {
        return err_set(err, -ERR_CONFIG, "request_mirror_policies is not supported");
    }
    struct route_compile with = {.arena = rd->arena, .slot_of = slots_of, .arg = rd->slots};
    return route_table_compile(out, &with, config, err);
}

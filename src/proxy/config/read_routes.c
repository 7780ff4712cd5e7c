/* Route tables: see read_routes.h. */
#include "proxy/config/read_routes.h"

#include "proto/route.pb.h"

/* Mirroring is compiled, and no step sends the copies: better refused than believed to happen. */
static bool host_mirrors(const struct pb_route_VirtualHost *host)
{
    uint32_t count = host->request_mirror_policies.count;
    for (uint32_t k = 0; k < host->routes.count; k++) {
        const struct pb_route_RouteAction *action = host->routes.at[k]->route;
        count += action != NULL ? action->request_mirror_policies.count : 0;
    }
    return count > 0;
}

static bool has_mirrors(const struct pb_route_RouteConfiguration *config)
{
    bool any = config->request_mirror_policies.count > 0;
    for (uint32_t i = 0; i < config->virtual_hosts.count; i++) {
        any = any || host_mirrors(config->virtual_hosts.at[i]);
    }
    return any;
}

static unsigned slot_of(void *rd, struct span name)
{
    return read_cluster_slot(rd, name);
}

int read_routes(struct read *rd, struct route_table **out,
                const struct pb_route_RouteConfiguration *config, struct err *err)
{
    if (has_mirrors(config)) {
        return err_set(err, -ERR_CONFIG, "request_mirror_policies is not supported");
    }
    if (config->vhds != NULL && !rd->by_name) {
        return err_set(err, -ERR_CONFIG, "'vhds' is only supported in on-demand discovery");
    }
    struct route_compile with = {.arena = rd->arena, .slot_of = slot_of, .arg = rd};
    return route_table_compile(out, &with, config, err);
}

int read_virtual_host(struct read *rd, struct conf_virtual_host *out,
                      const struct pb_route_VirtualHost *config, struct err *err)
{
    ssize_t slash = span_rfind_byte(out->conf.name, '/');
    if (slash <= 0 || (size_t)slash + 1 == out->conf.name.len) {
        return err_set(err, -ERR_CONFIG, "its name must be that of a route table, '/', and a host");
    }
    out->table = span_first(out->conf.name, (size_t)slash);
    out->authority = span_from_offset(out->conf.name, (size_t)slash + 1);
    if (host_mirrors(config)) {
        return err_set(err, -ERR_CONFIG, "request_mirror_policies is not supported");
    }
    struct route_compile with = {.arena = rd->arena, .slot_of = slot_of, .arg = rd};
    return route_host_compile(&out->host, &with, config, err);
}

/* Route tables: see read_routes.h. */
#include "proxy/config/read_routes.h"

#include "proto/route.pb.h"

static unsigned slot_of(void *rd, struct span name)
{
    return read_cluster_slot(rd, name);
}

int read_routes(struct read *rd, struct route_table **out,
                const struct pb_route_RouteConfiguration *config, struct err *err)
{
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
    struct route_compile with = {.arena = rd->arena, .slot_of = slot_of, .arg = rd};
    return route_host_compile(&out->host, &with, config, err);
}

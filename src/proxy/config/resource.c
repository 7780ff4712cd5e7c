/* One xDS resource. */
#include "proxy/config/resource.h"

#include "base/instant.h"
#include "policy/known.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/listener.pb.h"
#include "proto/route.pb.h"
#include "proto/tls.pb.h"
#include "proxy/config/conf.h"
#include "proxy/config/read_cluster.h"
#include "proxy/config/read_endpoints.h"
#include "proxy/config/read_listener.h"
#include "proxy/config/read_routes.h"
#include "proxy/config/read_tls.h"

static int listener(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_listener(rd, container_of(c, struct conf_listener, conf), msg, err);
}

static int cluster(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_cluster(rd, container_of(c, struct conf_cluster, conf), msg, err);
}

static int endpoints(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_endpoints(rd, container_of(c, struct conf_endpoints, conf), msg, false, err);
}

static int secret(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_tls_secret(rd, container_of(c, struct conf_secret, conf), msg, err);
}

static int routes(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_routes(rd, &container_of(c, struct conf_routes, conf)->table, msg, err);
}

static int virtual_host(struct read *rd, struct conf *c, const void *msg, struct err *err)
{
    return read_virtual_host(rd, container_of(c, struct conf_virtual_host, conf), msg, err);
}

static const struct kind {
    const char *type_url;
    const struct pb_desc *desc;
    int (*read)(struct read *rd, struct conf *c, const void *msg, struct err *err);
} kinds[CONF_KIND_COUNT] = {
    [CONF_LISTENER] = {PB_LISTENER_LISTENER_URL, &pb_listener_Listener_desc, listener},
    [CONF_ROUTES] = {PB_ROUTE_ROUTE_CONFIGURATION_URL, &pb_route_RouteConfiguration_desc, routes},
    [CONF_CLUSTER] = {PB_CLUSTER_CLUSTER_URL, &pb_cluster_Cluster_desc, cluster},
    [CONF_ENDPOINTS] = {PB_ENDPOINT_CLUSTER_LOAD_ASSIGNMENT_URL,
                        &pb_endpoint_ClusterLoadAssignment_desc, endpoints},
    [CONF_SECRET] = {PB_TLS_SECRET_URL, &pb_tls_Secret_desc, secret},
    [CONF_VIRTUAL_HOST] = {PB_ROUTE_VIRTUAL_HOST_URL, &pb_route_VirtualHost_desc, virtual_host},
};

enum conf_kind resource_kind(struct span type_url)
{
    struct span name = pb_url_name(type_url);
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        if (span_is(name, kinds[k].desc->name)) {
            return (enum conf_kind)k;
        }
    }
    return CONF_KIND_COUNT;
}

const char *resource_type_url(enum conf_kind kind)
{
    return kinds[kind].type_url;
}

/* ---- the name, from the wire ---- */

static bool take_varint(struct span *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)rest->at[0];
        *rest = span_from_offset(*rest, 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

struct span resource_name(struct span bytes)
{
    struct span name = SPAN_EMPTY;
    struct span rest = bytes;
    uint64_t tag;
    while (take_varint(&rest, &tag)) {
        uint64_t len = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : 0;
        if ((tag & 7) == 0) {
            if (!take_varint(&rest, &len)) {
                break;
            }
            len = 0;
        } else if ((tag & 7) == 2 && !take_varint(&rest, &len)) {
            break;
        }
        if (len > rest.len || (tag & 7) == 3 || (tag & 7) == 4 || (tag & 7) > 5) {
            break; /* broken: the decoder will say how */
        }
        if (tag == (1 << 3 | 2)) {
            name = span_first(rest, (size_t)len); /* the last one counts */
        }
        rest = span_from_offset(rest, (size_t)len);
    }
    return name;
}

/* ---- reading ---- */

static int read_into(struct conf *c, const struct resource_spec *spec, struct arena *temp,
                     struct err *err)
{
    const struct kind *k = &kinds[c->kind];
    if (c->name.len == 0) {
        return err_set(err, -ERR_CONFIG, "name is empty");
    }
    struct read rd = {
        .arena = &c->arena, .temp = temp, .slots = spec->slots, .by_name = spec->by_name};
    const void *msg = read_any(&rd, k->desc, c->resource, err);
    if (!msg) {
        return -ERR_CONFIG;
    }
    int rc = k->read(&rd, c, msg, err);
    c->mentions = rd.mentions;
    c->mention_count = rd.mention_count;
    return rc;
}

struct conf *resource_read(const struct resource_spec *spec, struct arena *temp, struct err *err)
{
    struct conf *c = conf_new(spec->kind);
    c->resource = arena_dup(&c->arena, spec->bytes);
    c->version = arena_dup(&c->arena, spec->version);
    c->name = spec->kind == CONF_VIRTUAL_HOST ? arena_dup(&c->arena, spec->name)
                                              : resource_name(c->resource);
    c->updated_us = instant_wall_us();
    if (read_into(c, spec, temp, err) != 0) {
        (void)err_prefix(err, "%s '%.*s'", conf_kind_name(spec->kind), SPAN_ARG(c->name));
        conf_put(c);
        return NULL;
    }
    return c;
}

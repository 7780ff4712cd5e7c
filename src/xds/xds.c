/* Words that both xDS protocols share. */
#include "xds/xds.h"

#include "codec/pb.h"
#include "proto/discovery.pb.h"

struct span xds_short_type(struct span type_url)
{
    ssize_t dot = span_rfind_byte(type_url, '.');
    return span_from_offset(type_url, (size_t)(dot + 1));
}

bool xds_type_is_full(struct span type_url)
{
    return span_is(type_url, XDS_LISTENER) || span_is(type_url, XDS_CLUSTER);
}

/* A message of which only field 1, a string, is of interest: `name` of Listener, RouteConfiguration,
 * VirtualHost, Cluster and Secret, `cluster_name` of ClusterLoadAssignment. */
struct named {
    const struct pb_unknown *unknown;
    struct span name;
};

struct span xds_name_of(struct span value)
{
    static const struct pb_field field = {
        .name = "name",
        .number = 1,
        .offset = offsetof(struct named, name),
        .kind = PB_STRING,
        .label = PB_SINGLE,
    };
    static const struct pb_desc desc = {
        .name = "Named", .fields = &field, .count = 1, .bytes = sizeof(struct named)};
    char room[1024]; /* for the unknown fields, which are mostly one */
    struct arena arena;
    arena_init_in(&arena, room, sizeof room, 4096);
    const struct named *named = pb_decode(&desc, &arena, value, NULL);
    struct span name = named ? named->name : SPAN_EMPTY;
    arena_dispose(&arena);
    return name;
}

int xds_unwrap(struct arena *arena, struct span type_url, struct span value,
               struct xds_resource *to, struct err *err)
{
    if (!span_is(type_url, PB_DISCOVERY_RESOURCE_URL)) {
        to->type_url = type_url;
        to->value = value;
        to->name = xds_name_of(value);
        return 1;
    }
    const struct pb_discovery_Resource *r =
        pb_decode(&pb_discovery_Resource_desc, arena, value, err);
    if (!r) {
        return -ERR_CONFIG;
    }
    if (!r->resource) {
        return 0;
    }
    to->type_url = r->resource->type_url;
    to->value = r->resource->value;
    to->name = r->name.len ? r->name : xds_name_of(to->value);
    return 1;
}

/* Names that a proxy asks for: the first byte says of which type and which node, the rest is the name. What is answered is a
 * message of its type, and carries the name where types do. */
#include "control/translate/translate.h"
#include "proto/types.pb.h"
#include "xds/xds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char objects[] =
    "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ns}, spec: {clusterIP: 10.0.0.1, "
    "selector: {app: a}, ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: x, port: "
    "82}]}}\n"
    "---\n{apiVersion: v1, kind: Service, metadata: {name: h, namespace: ns}, spec: {clusterIP: "
    "None, selector: {app: a}, ports: [{name: tcp, port: 83}]}}\n"
    "---\n{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: a-1, "
    "namespace: ns}, spec: {address: 10.1.0.1, labels: {app: a}}}\n"
    "---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: e, namespace: "
    "ns}, spec: {hosts: ['*.e.example', f.example], location: MESH_EXTERNAL, resolution: NONE, "
    "ports: [{number: 443, name: tls, protocol: TLS}]}}\n"
    "---\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g, namespace: ns}, "
    "spec: {servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]}}\n";

static const char *const types[] = {XDS_LISTENER,     XDS_CLUSTER,     XDS_ENDPOINTS, XDS_ROUTES,
                                    XDS_VIRTUAL_HOST, NAME_TABLE_TYPE, XDS_SECRET,    ""};

static void on_object(void *arg, struct object *o)
{
    world_builder_put(arg, o);
    object_unref(o);
}

static void ask(const struct world *w, const struct node *n, struct span type, struct span name,
                struct arena *arena)
{
    struct translated t;
    struct err err;
    const struct world_service *s = translate_service_of(w, name);
    ASSERT(!s || s->host.len > 0);
    if (!translate(w, n, type, name, arena, &t)) {
        return;
    }
    const struct pb_desc *desc = pb_find(&proto_types, pb_url_name(type));
    ASSERT(desc && pb_decode(desc, arena, t.value, &err));
    bool is_named = !span_is(type, XDS_VIRTUAL_HOST) && !span_is(type, NAME_TABLE_TYPE);
    ASSERT(!is_named || span_eq(xds_name_of(t.value), name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena arena;
    struct findings f;
    struct world_change change;
    arena_init(&arena, 65536);
    findings_init(&f, &arena);
    struct world_builder *builder = world_builder_new();
    ASSERT(object_read_text(span_from(objects, sizeof(objects) - 1), "t", &f, on_object, builder) ==
           5);
    struct world *w = world_build(builder, &change);
    struct ip address = {4, {10, 1, 0, 1}};
    struct node n = {
        .kind = data[0] & 8 ? NODE_GATEWAY : NODE_SIDECAR,
        .addresses = &address,
        .address_count = 1,
        .namespace = SPAN("ns"),
        .interception = data[0] & 16 ? NODE_NONE : NODE_REDIRECT,
        .http_proxy_port = data[0] & 32 ? 15007 : 0,
        .on_demand = (data[0] & 64) != 0,
    };
    ask(w, &n, span_of(types[data[0] % ARRAY_LEN(types)]), span_from(data + 1, size - 1), &arena);
    world_unref(w);
    world_builder_free(builder);
    arena_dispose(&arena);
    return 0;
}

#ifndef UNIT_WORLD_TEST_H
#define UNIT_WORLD_TEST_H
/* Worlds from YAML. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "control/world/world.h"
#include "unit/cm.h"

static inline void world_test_put(void *builder, struct object *o)
{
    world_builder_put(builder, o);
    object_unref(o);
}

/* Puts all objects of a text; every one must be good. */
static inline void world_test_read(struct world_builder *b, const char *yaml)
{
    struct arena arena;
    struct findings findings;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    (void)object_read_text(span_of(yaml), "t.yaml", &findings, world_test_put, b);
    if (findings.errors > 0) {
        print_error("%.*s (line %u)\nof: %s\n", SPAN_ARG(findings.first->what),
                    findings.first->line, yaml);
        fail();
    }
    arena_dispose(&arena);
}

static inline struct world *world_test_of(const char *yaml)
{
    struct world_builder *b = world_builder_new();
    struct world_change change;
    world_test_read(b, yaml);
    struct world *w = world_build(b, &change);
    assert_true(change.config);
    world_builder_free(b);
    return w;
}

/* ---- objects in one line ---- */
#define META(name, ns) "metadata: {name: \"" name "\", namespace: \"" ns "\"}\n"
#define SERVICE(name, ns, spec) \
    "---\napiVersion: v1\nkind: Service\n" META(name, ns) "spec: {" spec "}\n"
#define SERVICE_ENTRY(name, ns, spec)                                                             \
    "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n" META(name, ns) "spec: {" spec \
                                                                                   "}\n"
#define WORKLOAD(name, ns, spec)                                                                   \
    "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n" META(name, ns) "spec: {" spec \
                                                                                    "}\n"
#define RULE(name, ns, spec)                                                 \
    "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n" META( \
        name, ns) "spec: {" spec "}\n"
/* of an age in seconds after the epoch, "10" to "59" */
#define AGED(name, ns, age)                           \
    "metadata: {name: \"" name "\", namespace: \"" ns \
    "\", creationTimestamp: \"2024-01-01T00:00:" age "Z\"}\n"
#define VIRTUAL_SERVICE(name, ns, age, spec)                                         \
    "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n" AGED(name, ns, \
                                                                           age) "spec:\n" spec
#define HTTP_ROUTE(name, ns, age, spec)                                               \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n" AGED(name, ns, \
                                                                            age) "spec:\n" spec
#define GATEWAY(name, ns, spec) \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n" META(name, ns) "spec:\n" spec
#define ISTIO_GATEWAY(name, ns, spec) \
    "---\napiVersion: networking.istio.io/v1\nkind: Gateway\n" META(name, ns) "spec:\n" spec
/* Whatever is in `ns` may be taken by routes and Gateways of `from`. */
#define GRANT(ns, from)                                                                         \
    "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n" META(          \
        "grant", ns) "spec:\n  from:\n"                                                         \
                     "  - {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: " from \
                     "}\n"                                                                      \
                     "  - {group: gateway.networking.k8s.io, kind: Gateway, namespace: " from   \
                     "}\n"                                                                      \
                     "  to: [{group: \"\", kind: Service}, {group: \"\", kind: Secret}]\n"
#define PEER_AUTH(name, ns, age, spec)                                        \
    "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n" AGED( \
        name, ns, age) "spec: {" spec "}\n"
#define AUTHZ(name, ns, spec)                                                  \
    "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n" META( \
        name, ns) "spec: {" spec "}\n"
#define MESH_CONFIG(spec) \
    "---\napiVersion: mesh.io/v1\nkind: MeshConfig\nmetadata: {name: default}\nspec: {" spec "}\n"

static inline const struct world_service *world_test_service(const struct world *w,
                                                             const char *host, const char *ns)
{
    const struct world_service *s = world_find_host(w, span_of(host), span_of(ns));
    if (s == NULL) {
        print_error("no service '%s' for '%s'\n", host, ns);
        fail();
    }
    return s;
}

static inline struct ip world_test_ip(const char *text)
{
    struct ip ip;
    assert_int_equal(ip_parse(span_of(text), &ip), 0);
    return ip;
}
#endif

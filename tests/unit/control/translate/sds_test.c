/* control/translate/sds: who is given which Secret. */
#include "control/translate/sds.c"

#include "unit/cm.h"
#include "unit/control/translate/translate_lab.h"
#include "xds/xds.h"

#define PEM(label) "\"-----BEGIN " label "-----\\nAAAA\\n-----END " label "-----\\n\""
#define KUBE_SECRET(name, ns, more)                                                      \
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " name ", namespace: " ns "}\n" \
    "stringData: {tls.crt: " PEM("CERTIFICATE") ", tls.key: " PEM("PRIVATE KEY") more "}\n"
#define POD(name, labels)                                                                          \
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", namespace: edge, labels: {" labels \
    "}}\nstatus: {phase: Running, podIP: 10.244.0.1}\n"
#define GATEWAY(server)                                                                    \
    "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, "        \
    "namespace: default}\nspec: {selector: {istio: edge}, servers: [{port: {number: 443, " \
    "name: https, protocol: HTTPS}, hosts: ['*'], tls: {" server "}}]}\n"
#define API(namespace, more)                                                               \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: api, " \
    "namespace: edge}\nspec: {gatewayClassName: mesh, listeners: [{name: s, port: 443, "   \
    "protocol: HTTPS, tls: {certificateRefs: [{name: web, namespace: " namespace "}]}}]}\n" more
#define GRANT                                                                                  \
    "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n"               \
    "metadata: {name: g, namespace: certs}\nspec: {from: [{group: gateway.networking.k8s.io, " \
    "kind: Gateway, namespace: edge}], to: [{group: '', kind: Secret}]}\n"
#define OUT                                                                              \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: edge}\n"         \
    "spec: {ports: [{port: 80}]}\n"                                                      \
    "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                   \
    "metadata: {name: s, namespace: edge}\nspec: {host: s, trafficPolicy: {tls: {mode: " \
    "MUTUAL, credentialName: out}}}\n"
#define EDGE_NODE(labels)                                                                     \
    "{id: 'router~10.244.0.1~gw-1.edge~edge.svc.cluster.local', metadata: {NAMESPACE: edge, " \
    "LABELS: {" labels "}}}"
#define SIMPLE GATEWAY("mode: SIMPLE, credentialName: web")
#define MUTUAL GATEWAY("mode: MUTUAL, credentialName: web")

static const struct sds_case {
    const char *objects, *node, *name;
    bool given;
} cases[] = {
    {SIMPLE KUBE_SECRET("web", "edge", ""), EDGE_NODE("istio: edge"), "kubernetes://web", true},
    /* of the proxy's namespace, not the Gateway's */
    {SIMPLE KUBE_SECRET("web", "default", ""), EDGE_NODE("istio: edge"), "kubernetes://web", false},
    {SIMPLE KUBE_SECRET("web", "edge", "") KUBE_SECRET("other", "edge", ""),
     EDGE_NODE("istio: edge"), "kubernetes://other", false},
    {SIMPLE KUBE_SECRET("web", "edge", ""), EDGE_NODE("istio: x"), "kubernetes://web", false},
    {SIMPLE KUBE_SECRET("web", "edge", ""),
     "{id: 'sidecar~10.244.0.1~a.edge~edge.svc.cluster.local', metadata: {LABELS: {istio: edge}}}",
     "kubernetes://web", false},
    /* what a Pod's labels are, Kubernetes says */
    {SIMPLE KUBE_SECRET("web", "edge", "") POD("gw-1", "istio: edge"), EDGE_NODE(""),
     "kubernetes://web", true},
    {SIMPLE KUBE_SECRET("web", "edge", "") POD("app-1", "app: x"), EDGE_NODE("istio: edge"),
     "kubernetes://web", false},
    {SIMPLE KUBE_SECRET(
         "web", "edge",
         "") "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: 10.244.0.9}\n",
     EDGE_NODE("istio: edge"), "kubernetes://web", false},
    /* roots: a Secret of their own, or in the same */
    {MUTUAL KUBE_SECRET("web", "edge", ", ca.crt: " PEM("CERTIFICATE")), EDGE_NODE("istio: edge"),
     "kubernetes://web-cacert", true},
    {MUTUAL KUBE_SECRET("web", "edge",
                        "") "---\napiVersion: v1\nkind: Secret\nmetadata: {name: "
                            "web-cacert, namespace: edge}\nstringData: {cacert: " PEM(
                                "CERTIFICATE") "}\n",
     EDGE_NODE("istio: edge"), "kubernetes://web-cacert", true},
    {MUTUAL KUBE_SECRET("web", "edge", ""), EDGE_NODE("istio: edge"), "kubernetes://web-cacert",
     false},
    /* one that is none */
    {SIMPLE "---\napiVersion: v1\nkind: Secret\nmetadata: {name: web, namespace: edge}\n"
            "stringData: {tls.crt: hello, tls.key: world}\n",
     EDGE_NODE("istio: edge"), "kubernetes://web", false},
    /* Gateway API */
    {API("edge", "") KUBE_SECRET("web", "edge", ""),
     EDGE_NODE("gateway.networking.k8s.io/gateway-name: api"), "kubernetes-gateway://edge/web",
     true},
    {API("certs", "") KUBE_SECRET("web", "certs", ""),
     EDGE_NODE("gateway.networking.k8s.io/gateway-name: api"), "kubernetes-gateway://certs/web",
     false},
    {API("certs", GRANT) KUBE_SECRET("web", "certs", ""),
     EDGE_NODE("gateway.networking.k8s.io/gateway-name: api"), "kubernetes-gateway://certs/web",
     true},
    {API("certs", GRANT) KUBE_SECRET("web", "certs", ""),
     EDGE_NODE("gateway.networking.k8s.io/gateway-name: api"), "kubernetes-gateway://certs/web2",
     false},
    /* the way out */
    {OUT KUBE_SECRET("out", "edge", ""), EDGE_NODE("istio: edge"), "kubernetes://out", true},
    {OUT KUBE_SECRET("in", "edge", ""), EDGE_NODE("istio: edge"), "kubernetes://in", false},
    {"", EDGE_NODE("istio: edge"), "kubernetes://", false},
    {"", EDGE_NODE("istio: edge"), "kubernetes-gateway://a", false},
    {"", EDGE_NODE("istio: edge"), "-cacert", false},
    {"", EDGE_NODE("istio: edge"), "default", false},
};

static void gives(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lab l;
        struct doc_node *node;
        struct translated t;
        struct err err;
        lab_begin(&l);
        lab_world(&l, span_of(cases[i].objects), "t.yaml");
        assert_int_equal(doc_parse_yaml(&l.arena, span_of(cases[i].node), NULL, &node, &err), 0);
        lab_node(&l, node);
        bool given = translate(l.w, &l.n, SPAN(XDS_SECRET), span_of(cases[i].name), &l.arena, &t);
        if (given != cases[i].given) {
            print_error("case %zu: %s\n", i, cases[i].name);
            fail();
        }
        if (given) {
            assert_int_equal(t.scope, TRANSLATE_FOR_NODE);
        }
        lab_end(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

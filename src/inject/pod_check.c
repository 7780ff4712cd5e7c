/* In: the pod as it was. Out: notes. */
#include "inject/pod_check.h"

#include "inject/pod_merge.h"
#include "inject/pod_values.h"
#include "mesh/ports.h"

struct checking {
    const struct pod_wish *w;
    struct arena *arena;
    struct inject_answer *answer;
    struct span name; /* of the container in hand */
    bool redirect;
};

static void check_user(struct checking *c, const struct doc_node *context, const char *what)
{
    const struct doc_node *user = doc_get(context, "runAsUser");
    const struct doc_node *group = doc_get(context, "runAsGroup");
    bool is_ours = (doc_is(user, DOC_INT) && user->integer == MESH_PROXY_UID) ||
                   (doc_is(group, DOC_INT) && group->integer == MESH_PROXY_UID);
    if (is_ours && c->redirect) {
        pod_wish_note(c->answer, c->arena, 1213,
                      "%s runs as user or group 1337, the proxy's own: its traffic is not "
                      "redirected",
                      what);
    }
}

static void check_ports(struct checking *c, const struct doc_node *container)
{
    static const uint16_t own[] = {PORT_ADMIN,  PORT_OUTBOUND, PORT_INBOUND, PORT_MERGED_STATS,
                                   PORT_HEALTH, PORT_DNS,      PORT_STATS};
    const struct doc_node *ports = doc_get(container, "ports");
    for (size_t i = 0; i < doc_count(ports); i++) {
        const struct doc_node *port = doc_get(doc_at(ports, i), "containerPort");
        for (size_t k = 0; doc_is(port, DOC_INT) && k < ARRAY_LEN(own); k++) {
            if (port->integer == own[k]) {
                pod_wish_note(c->answer, c->arena, 1214,
                              "container %.*s has port %u, which the proxy listens on",
                              SPAN_ARG(c->name), own[k]);
            }
        }
    }
}

static void check_containers(struct checking *c, const struct doc_node *list)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *one = doc_at(list, i);
        const struct doc_node *name = doc_get(one, "name");
        if (doc_is(name, DOC_TEXT) && !pod_merge_is_proxy(one)) {
            c->name = span_first(name->text, 63);
            check_user(c, doc_get(one, "securityContext"),
                       arena_printf(c->arena, "container %.*s", SPAN_ARG(c->name)));
            check_ports(c, one);
        }
    }
}

static void check_security(struct checking *c, const struct inject_subject *subject)
{
    static const char label[] = "pod-security.kubernetes.io/enforce";
    struct span level = pod_wish_text(subject->namespace_labels, label, c->arena);
    if (c->redirect && (span_is(level, "baseline") || span_is(level, "restricted"))) {
        pod_wish_note(c->answer, c->arena, 1221,
                      "namespace '%.*s' has the label %s=%.*s, which does not let mesh-init set "
                      "redirection up",
                      SPAN_ARG(span_first(subject->namespace, 63)), label, SPAN_ARG(level));
    }
}

void pod_check(const struct doc_node *pod, const struct pod_wish *w,
               const struct inject_subject *subject, struct arena *arena,
               struct inject_answer *answer)
{
    struct checking c = {.w = w,
                         .arena = arena,
                         .answer = answer,
                         .redirect = !w->gateway && span_is(w->interception, "REDIRECT")};
    const struct doc_node *spec = doc_get(pod, "spec");
    struct pod_values_workload workload = pod_values_workload(subject, arena);
    bool ends = span_is(workload.kind, "Job") || span_is(workload.kind, "CronJob");
    check_user(&c, doc_get(spec, "securityContext"), "the pod");
    check_containers(&c, doc_get(spec, "initContainers"));
    check_containers(&c, doc_get(spec, "containers"));
    check_security(&c, subject);
    if (ends && !w->native && !w->gateway) {
        pod_wish_note(answer, arena, 1220,
                      "the pod of %.*s %.*s does not end by itself: its proxy is an ordinary "
                      "container, and goes on when the work is done",
                      SPAN_ARG(workload.kind), SPAN_ARG(span_first(workload.name, 63)));
    }
}

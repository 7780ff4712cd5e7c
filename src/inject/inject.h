#ifndef INJECT_INJECT_H
#define INJECT_INJECT_H
/* A pod gets its proxy. Pure: documents in, documents out, no clock and no network, so that the webhook, `mesh inject`, `mesh install` and
 * the gateways that control makes all come to the same pod.
 *
 *   pod -> decide (has it to be?) -> pod_wish (what its annotations ask for) -> template (templates/NAME.yaml filled in)
 *       -> pod_merge (into the pod, the user's own words last) -> pod_probes, pod_metrics -> pod_undo (how to take it back) -> pod
 *
 * Sources: Istio pkg/kube/inject (webhook.go, inject.go, app_probe.go, template.go) and its injection template, in meaning; "resource labels" and "resource
 * annotations" of istio.io; Kubernetes "Sidecar Containers", "Pod Security Standards". */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "codec/doc.h"
#include "inject/inject_settings.h"

/* Containers, volumes and the annotation by which others know what is ours. */
#define INJECT_PROXY "mesh-proxy"
#define INJECT_INIT "mesh-init"

/* The pod that is asked about. All borrowed. */
struct inject_subject {
    const struct doc_node *pod; /* a Pod, or the template of a workload: metadata and spec */
    struct span namespace;      /* where it will live */
    const struct doc_node
        *namespace_labels; /* a map of texts; NULL = not known: whoever asks has looked at them */
    /* The workload: "Deployment", "reviews-v1". Empty: told by metadata.ownerReferences, name or generateName. */
    struct span kind, name;
    bool asked;  /* when neither pod nor namespace say anything, yes (`mesh inject`) */
    bool wanted; /* the namespace wants it, whatever `namespace_labels` say, which may lag */
};

enum inject_outcome {
    INJECT_SKIP,   /* the pod stays as it is */
    INJECT_YES,    /* it gets a proxy */
    INJECT_REFUSE, /* it should get one and can not: better no pod than one without */
};

/* Something that people should know though it went well; MESH12nn in the catalogue. */
struct inject_note {
    struct inject_note *next;
    unsigned code;
    const char *text;
};

struct inject_answer {
    enum inject_outcome outcome;
    unsigned code;    /* 1200 to 1299 */
    const char *why;  /* one sentence: "pod label sidecar.istio.io/inject is 'false'" */
    const char *fix;  /* what changes it; NULL = nothing needs to */
    const char *rule; /* what decided: "pod label sidecar.istio.io/inject=false", or "" */
    struct inject_note *notes;
    struct doc_node *pod; /* INJECT_YES: the pod with its proxy; the subject's is not touched */
};

/* Whether and why, without doing it: outcome, code, why, fix, rule. Annotations are looked at only by inject_pod. */
void inject_decide(const struct inject_subject *subject, const struct inject_settings *settings,
                   struct arena *arena, struct inject_answer *out);
/* Decides, and does it. */
void inject_pod(const struct inject_subject *subject, const struct inject_settings *settings,
                struct arena *arena, struct inject_answer *out);
/* The pod as it was before inject_pod, exactly. NULL: it has no proxy of ours. */
struct doc_node *inject_undo(const struct doc_node *pod, struct arena *arena);

/* A gateway's pod template (metadata and spec), for a Deployment: proxy of type gateway that listens on the true port numbers as uid 1337. */
struct inject_gateway {
    struct span namespace, name; /* of the Deployment: also what metrics call it */
    struct span service_account;
    const struct doc_node *labels; /* of the pod; NULL = none */
    const struct doc_node
        *annotations; /* sidecar.istio.io/proxyCPU and the like are obeyed; NULL = none */
};
/* -ERR_CONFIG: an annotation or the settings are not good. */
MUST_USE int inject_gateway_pod(const struct inject_gateway *gateway,
                                const struct inject_settings *settings, struct arena *arena,
                                struct doc_node **out, struct err *err);

/* ---- manifests: what people write ---- */

/* The pod template in an object (Pod, Deployment, DaemonSet, StatefulSet, ReplicaSet, ReplicationController, Job, CronJob, PodTemplate, Rollout); NULL:
 * it makes no pods. */
struct doc_node *inject_template_of(struct doc_node *object);
#endif

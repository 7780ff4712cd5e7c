#ifndef INJECTOR_INJECTOR_H
#define INJECTOR_INJECTOR_H
/* The admission webhook that adds the sidecar to pods as they are created: POST /inject on the host's server "webhook" (HTTPS, port 15017; its TLS
 * belongs to who opens it: control by ca_webhook_tls, the role by files). Answers at once: all it needs is in memory.
 *
 *   http_server -> injector -> review (AdmissionReview in) -> inject/inject -> codec/jsonpatch -> review (AdmissionReview out)
 *
 * A pod that should get a proxy and can not (an annotation that is not good) is refused with a sentence that names annotation, value and fix;
 * pods that need none pass untouched. Nothing is kept between calls but counters, so dry runs are like others.
 * Sources: Kubernetes "Dynamic Admission Control", admission.k8s.io/v1. */
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"
#include "inject/inject_settings.h"

struct host;
struct injector;
struct metric_registry;

#define INJECTOR_SERVER "webhook" /* the name under which the host's owner opens it (host_listen) */
#define INJECTOR_PATH "/inject"
/* For a webhook whose namespaceSelector lets only namespaces through that want injection: their labels are then not looked at again, so that one that was
 * labelled a moment ago is not missed. */
#define INJECTOR_PATH_NAMESPACE "/inject/namespace"
#define INJECTOR_BODY_MAX (3u << 20) /* of an AdmissionReview: what the API server sends at most */

struct injector_spec {
    const struct inject_settings *settings; /* borrowed until injector_set_settings */
    /* The labels of a namespace (a map of texts, borrowed for the call), or NULL: not known. Then the API server's having asked counts as the
     * namespace's wish. May be NULL itself. */
    const struct doc_node *(*namespace_labels)(void *arg, struct span name);
    void *arg;
    struct metric_registry *metrics; /* borrowed; NULL = not counted */
};

/* -ERR_CONFIG: the host has no server "webhook". On the host's thread, as all of this. */
MUST_USE int injector_attach(struct injector **out, const struct injector_spec *spec,
                             struct host *host, struct err *err);
/* From the next pod on; borrowed. The old ones are not used any more when this returns. */
void injector_set_settings(struct injector *i, const struct inject_settings *settings);
/* After host_free. NULL is fine. */
void injector_free(struct injector *i);
#endif

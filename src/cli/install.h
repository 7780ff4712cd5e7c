#ifndef CLI_INSTALL_H
#define CLI_INSTALL_H
/* What install, upgrade and uninstall share: settings, the objects that they come to, and how these get into a cluster.
 *
 *   --set, -f, profile -> install_values -> install_render (install/NAME.yaml, filled in; install_crds) -> objects
 *       -> install_plan (what is there already?) -> install_apply, install_wait -> cmd_install says what came of it
 */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "cli/kube_verb.h"
#include "cli/progress.h"
#include "codec/doc.h"

/* ---- settings ---- */

enum install_id {
#define KEY(id, name, alias, type, fallback, help) INSTALL_##id,
#include "cli/install_keys.def"
#undef KEY
    INSTALL_KEYS,
};

struct install_key {
    const char *name;  /* "meshConfig.accessLogFile" */
    const char *alias; /* "accessLog"; "" = none */
    const char *type;  /* "text", "bool", "count", "amount", or words with '|' */
    const char *fallback;
    const char *help;
};
extern const struct install_key install_keys[INSTALL_KEYS];

/* Terminated texts of the arena, in the order of the keys. NULL: not told (yet). */
struct install_values {
    const char *at[INSTALL_KEYS];
};

/* "key=value" of a flag. -ERR_CONFIG: no such key ("did you mean"), or a value that the key does not take. */
MUST_USE int install_values_set(struct install_values *v, struct arena *arena, const char *text,
                                struct err *err);
/* A values file: the same keys as a tree, or an IstioOperator. */
MUST_USE int install_values_read(struct install_values *v, struct arena *arena,
                                 const struct doc_node *doc, struct err *err);
/* Profile and defaults below what was told. */
void install_values_settle(struct install_values *v);
bool install_values_is(const struct install_values *v, enum install_id id); /* "true" */

/* What pods run: hub, name and tag. Values are settled. */
const char *install_image(const struct install_values *values, struct arena *arena);

/* ---- objects ---- */

/* In the order in which they are applied. */
enum install_step {
    INSTALL_STEP_CRDS,
    INSTALL_STEP_ACCESS, /* namespace, accounts, roles */
    INSTALL_STEP_CONTROL,
    INSTALL_STEP_GATEWAY,
    INSTALL_STEPS,
};
struct install_object {
    enum install_step step;
    struct doc_node *doc; /* labelled as ours */
};
struct install_objects {
    struct install_object *items;
    size_t count;
};
/* What differs from cluster to cluster. */
struct install_cluster {
    unsigned minor;   /* of Kubernetes; 0 = the newest */
    bool other_istio; /* an Istio lives there: istio-injection and istio.io/rev stay its own */
    bool other_class; /* GatewayClass "istio" is somebody else's */
};
/* Values are settled; `told` is what they were before. -ERR_CONFIG: a setting that can not be, in words. */
MUST_USE int install_render(const struct install_values *values, const struct install_values *told,
                            const struct install_cluster *cluster, struct arena *arena,
                            struct install_objects *out, struct err *err);
/* Custom resource definitions alone, out of install/crds.yaml: a list. */
struct doc_node *install_crds(struct arena *arena);

#define INSTALL_OWNER_LABEL "app.kubernetes.io/managed-by"
#define INSTALL_PART_LABEL "app.kubernetes.io/part-of"
#define INSTALL_OWNER "mesh"
#define INSTALL_CONTROLLER "mesh.io/gateway-controller"
#define INSTALL_GATEWAY_NAME "mesh-ingressgateway"
#define INSTALL_SELECTOR \
    INSTALL_OWNER_LABEL "=" INSTALL_OWNER "," INSTALL_PART_LABEL "=" INSTALL_OWNER
/* Told settings, as they are in the cluster: ConfigMap mesh-system/mesh-install, one key a setting. `mesh upgrade` begins with them. */
#define INSTALL_RECORD "mesh-install"
/* The oldest Kubernetes that will do, 1.25: server-side apply, and sysctls of unprivileged ports. */
#define INSTALL_MINOR_MIN 25
/* Whether an object of the cluster carries our labels. */
bool install_is_ours(const struct doc_node *object);

/* ---- the cluster ---- */

enum install_change {
    INSTALL_NEW,
    INSTALL_CHANGED,
    INSTALL_SAME,
    INSTALL_KEPT, /* somebody else's, or newer than ours: not touched */
    INSTALL_GONE, /* ours, and no longer wanted */
    INSTALL_CHANGES,
};
struct install_item {
    const struct doc_node *doc; /* wanted; of one that goes: as it is */
    struct kube_kind kind;
    const char *what; /* "Deployment" */
    const char *ns;   /* NULL: of a kind without */
    const char *name;
    enum install_step step;
    enum install_change change;
    const char *facts; /* "spec.replicas 1 -> 2", or why it is kept; "" */
};
struct install_plan {
    struct install_item *items; /* in the order in which they are applied; what goes comes last */
    size_t count;
    size_t counts[INSTALL_CHANGES];
    size_t room; /* private */
};
/* What applying would do, by dry runs of the server; `prune` adds objects of ours that are not among `objects`. Exit code. */
MUST_USE int install_plan(struct kube_verb *k, const struct install_objects *objects, bool prune,
                          struct install_plan *out);
/* Applies what is new or changed of one step. Exit code. */
MUST_USE int install_plan_apply(struct kube_verb *k, const struct install_plan *plan,
                                enum install_step step);
/* Lines "+ Deployment mesh-system/mesh-control", only what changes. */
void install_plan_print(struct kube_verb *k, const struct install_plan *plan);
struct doc_node *install_plan_doc(struct kube_verb *k, const struct install_plan *plan);
/* Objects of ours anywhere: the items of a plan whose change is INSTALL_GONE, in the order in which they should go. With `purge` also custom resource
 * definitions that hold objects; else `*kept` says how many stay ("virtualservices.networking.istio.io (3)"; "" = none). */
MUST_USE int install_plan_remove(struct kube_verb *k, bool purge, struct install_plan *out,
                                 const char **kept);

/* What the cluster is like. */
struct install_look {
    struct install_cluster cluster;
    size_t nodes;
    unsigned allowed, asked; /* permissions */
    const char *denied;      /* the first that is missing, in words; "" = none */
    const char *other_mesh;  /* "Istio", or "" */
    int64_t skew_s;          /* our clock against the server's */
    bool is_installed;       /* a Deployment of control is there */
};
MUST_USE int install_look(struct kube_verb *k, struct install_look *out);

/* Waits until all of these custom resource definitions serve. Exit code. */
MUST_USE int install_wait_crds(struct kube_verb *k, struct progress *p,
                               const struct install_plan *plan, int64_t deadline_ms);
/* Waits until a Deployment runs as it was last told. EXIT_TIMED_OUT or EXIT_NEGATIVE after saying which pod waits for what. `facts` becomes "2/2
 * ready". */
MUST_USE int install_wait_deployment(struct kube_verb *k, struct progress *p, const char *ns,
                                     const char *name, int64_t deadline_ms, const char **facts);
/* Whether control accepts the GatewayClass; waits for it a little. */
bool install_wait_class(struct kube_verb *k, const char *name, int64_t deadline_ms);
/* A pod as a dry run that asks for a sidecar: 0 when it came back with one, after `*ms`; else a negative code, and `*why` says what was in the way. */
MUST_USE int install_probe_injection(struct kube_verb *k, const char *ns, int64_t *ms,
                                     const char **why);
/* Running pods that have to be made anew: those that should have a sidecar by their labels and have none; and those whose sidecar trusts an earlier
 * root than this installation's. */
struct install_pods {
    size_t bare, old;
    const char *where; /* namespaces, "default, shop" */
};
MUST_USE int install_pods(struct kube_verb *k, struct install_pods *out);
/* Whether a pod has a sidecar of ours. */
bool install_pods_has_proxy(const struct doc_node *pod);

/* Asks on a terminal; -y says yes. EXIT_DONE: go on. EXIT_USAGE off a terminal without -y, EXIT_NEGATIVE: no. */
MUST_USE int install_confirm(struct kube_verb *k, bool yes, const char *question);
#endif

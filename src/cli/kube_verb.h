#ifndef CLI_KUBE_VERB_H
#define CLI_KUBE_VERB_H
/* What the verbs share that talk to a Kubernetes cluster (install, upgrade, uninstall, check, describe, expose ...): the client, blocking
 * calls, errors in the five parts with their exit codes. --kubeconfig, --context and -n are flags of every verb (verb.h).
 *
 *   struct kube_verb k;
 *   int status = kube_verb_open(&k, &v);              // after verb_open
 *   if (status == EXIT_DONE) { status = kube_verb_list(&k, &pods, ns, NULL, &items); ... }
 *   kube_verb_close(&k);                              // before verb_close
 *
 * All answers live in the verb's arena. Functions that return an exit code have printed the error, unless they say otherwise. */
#include "cli/verb.h"
#include "kube/kube_client.h"
#include "kube/kube_path.h"

struct kube_verb {
    struct verb *verb; /* borrowed */
    struct kube_client *client;
    const char *context;   /* what people call the cluster: the context's name, or its server */
    const char *version;   /* "1.34", of /version; "" when not told */
    unsigned minor;        /* 34; 0 = not told */
    struct kube_conf conf; /* private */
    bool has_conf;
};

/* Reads the kubeconfig and asks the server for its version: 0, or the exit code: EXIT_USAGE without a configuration, EXIT_UNREACHABLE when
 * nobody answers, EXIT_FORBIDDEN when we are nobody to it. */
MUST_USE int kube_verb_open(struct kube_verb *k, struct verb *v);
/* Fine after a failed open, too. */
void kube_verb_close(struct kube_verb *k);
/* What -n says, else the context's namespace, else "default". */
const char *kube_verb_namespace(const struct kube_verb *k);

/* Kinds that several verbs ask for. */
extern const struct kube_kind kube_verb_pods, kube_verb_services, kube_verb_namespaces,
    kube_verb_nodes, kube_verb_deployments, kube_verb_secrets, kube_verb_configmaps, kube_verb_crds,
    kube_verb_webhooks, kube_verb_slices, kube_verb_events;

/* EXIT_MISSING when there is none: then nothing is printed and `*out` is NULL. `ns` NULL: a kind without, or all of them in a list. */
MUST_USE int kube_verb_get(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                           const char *name, struct doc_node **out);
/* All of them, page by page, as one list; apiVersion and kind are filled in. `selector`: of labels, NULL = none. EXIT_MISSING, silent and
 * with an empty list, when the server does not have the kind at all. */
MUST_USE int kube_verb_list(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                            const char *selector, struct doc_node **items);
/* Server-side apply of an object that names itself; `*out` (may be NULL) is what came of it. */
MUST_USE int kube_verb_apply(struct kube_verb *k, const struct doc_node *object, bool dry_run,
                             struct doc_node **out);
/* POST; `dry_run` goes through admission and stores nothing. Also for reviews (SelfSubjectAccessReview). */
MUST_USE int kube_verb_create(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                              const struct doc_node *object, bool dry_run, struct doc_node **out);
/* In the background (its dependents after it). EXIT_MISSING, silent: it was not there. */
MUST_USE int kube_verb_delete(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                              const char *name);
/* Merge patch; `sub` NULL or a subresource. */
MUST_USE int kube_verb_patch(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                             const char *name, const struct doc_node *patch, struct doc_node **out);

/* The same without a word: any call; a negative code as kube_ask gives it, `a` and `err` say what came. */
MUST_USE int kube_verb_ask(struct kube_verb *k, const struct kube_call_spec *spec,
                           struct kube_answer *a, struct err *err);
/* The code of kube_ask as an exit code. */
int kube_verb_exit_of(int code);
/* Prints "what: why" in the form for `code` of kube_ask (who is asked, what to do) and returns the exit code. */
int kube_verb_fail(struct kube_verb *k, int code, const char *what, const char *why);

/* Whether we may: SelfSubjectAccessReview. `group` "" = core; `ns` NULL = cluster-wide, `name` NULL = any. */
MUST_USE int kube_verb_may(struct kube_verb *k, const char *verb, const char *group,
                           const char *resource, const char *ns, const char *name, bool *may);
/* The same of several at once: may[i] is true when rights[i] is given. */
struct kube_verb_right {
    const char *verb, *group, *resource, *ns;
};
MUST_USE int kube_verb_may_all(struct kube_verb *k, const struct kube_verb_right *rights,
                               size_t count, bool *may);

/* Lets the loop turn for so long: between two looks at something that is awaited. */
void kube_verb_pause(struct kube_verb *k, int64_t ms);
#endif

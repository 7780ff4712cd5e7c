#ifndef CLI_CHECK_H
#define CLI_CHECK_H
/* What `mesh check` looks at, and what it says: checks in six groups, each with a name that stays, a result and a sentence.
 *
 *   check_cluster  cluster, control, injection: the API server     \
 *   check_pods     injection, data plane: pods as they are          > struct check -> check_print
 *   check_mesh     control, certs, data plane, config: control     /
 *
 * check_mesh and check_pods only read documents. Words: ux 2.9 no. 1. */
#include "cli/kube_verb.h"
#include "inject/inject.h"

enum check_group {
    CHECK_CLUSTER,
    CHECK_CONTROL,
    CHECK_INJECTION,
    CHECK_CERTS,
    CHECK_PLANE,
    CHECK_CONFIG,
    CHECK_GROUPS,
};
enum check_result { CHECK_PASSED, CHECK_NOTE, CHECK_WARNING, CHECK_FAILED, CHECK_RESULTS };

struct check {
    struct verb *verb; /* borrowed */
    struct doc_node *
        items; /* {name, group, result, text, code, where, fix}, in the order in which they were found */
    size_t counts[CHECK_GROUPS][CHECK_RESULTS];
};
void check_init(struct check *c, struct verb *v);
/* It is as it should be. `name` stays from version to version; the sentence is shown in the line of the group, "" is not shown. */
void check_pass(struct check *c, enum check_group group, const char *name, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* It is not: how bad that is, its code says. `fix` NULL = the code's own. */
void check_find(struct check *c, enum check_group group, const char *name, unsigned code,
                const char *fix, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* What control found: {code, severity, what, where, fix}. */
void check_take(struct check *c, enum check_group group, const struct doc_node *finding);
size_t check_count(const struct check *c, enum check_result result);
/* EXIT_NEGATIVE when something is as bad as `threshold` or worse. */
int check_exit(const struct check *c, enum check_result threshold);
/* Whatever -o says. `head` is the first line: what was looked at; `started_ms` is when that began. */
void check_print(struct check *c, const char *head, int64_t started_ms);

/* ---- what is looked at ---- */

/* Answers of control; each may be NULL. */
struct check_answers {
    const struct doc_node *status, *proxies, *certs, *findings;
};
void check_mesh(struct check *c, const struct check_answers *a, int64_t certs_within_ms,
                int64_t now_us);

/* A workload whose pods should have a proxy and have none. */
struct check_owner {
    const char *kind, *ns, *name; /* "Deployment"; "Pod" for one that nobody makes again */
    size_t pods;
    bool can_restart; /* a rollout makes the pods again */
};
struct check_pods {
    const struct doc_node *pods, *namespaces; /* lists */
    const struct inject_settings *settings;
    struct check_owner *owners; /* found by check_pods */
    size_t owner_count;
    size_t meshed; /* pods with a proxy of ours */
};
void check_pods(struct check *c, struct check_pods *p);
/* Pods that have a proxy which control does not know: `proxies` are its items. */
void check_pods_known(struct check *c, const struct check_pods *p, const struct doc_node *proxies);

struct check_cluster {
    struct kube_verb *kube;
    bool before;            /* nothing is installed yet: what does installing need? */
    bool is_injecting;      /* the dry-run pod got its proxy */
    struct doc_node *items; /* private */
};
/* Exit code; 0 also when a check failed. */
MUST_USE int check_cluster(struct check *c, struct check_cluster *x);
#endif

#ifndef CLI_VERB_INT_H
#define CLI_VERB_INT_H
/* Between verb.c, verb_call.c, verb_cluster.c and table.c. */
#include "cli/verb.h"

/* Finds control and makes the client: 0, or the exit code after the error was printed. */
MUST_USE int verb_connect(struct verb *v);

/* ---- control in a cluster ---- */
/* Flags or a kubeconfig name one; nothing is asked. */
bool verb_cluster_is_configured(struct verb *v);
/* 0, or the exit code after the error was printed. */
MUST_USE int verb_cluster_open(struct verb *v);
/* The verb's own client: control is asked through it from now on. Prints nothing; a negative code as of kube_verb_ask, -ENOENT: no mesh is
 * installed. The client lives as long as the verb asks. */
struct kube_answer;
struct kube_call_spec;
struct kube_verb;
MUST_USE int verb_cluster_attach(struct kube_verb *k, struct kube_answer *a);
/* A call of control's API, for kube_verb_ask and kube_ask_all; after one of the two above. */
struct kube_call_spec verb_cluster_call(struct verb *v, const char *method, const char *path);
/* Whether verb_connect would ask a cluster. */
bool verb_cluster_is_wanted(struct verb *v);
void verb_cluster_close(struct verb *v);
/* As verb_try, but tells the status of control's answer; EXIT_DONE when control answered, whatever it said. */
MUST_USE int verb_cluster_try(struct verb *v, const char *method, const char *path,
                              struct span body, struct doc_node **out, unsigned *http_status);
MUST_USE int verb_cluster_stream(struct verb *v, const char *path,
                                 bool (*on_event)(void *arg, struct doc_node *event), void *arg);

/* The escape that begins a tone, or "" without colour. */
const char *table_tone_on(const struct verb *v, enum table_tone tone);
const char *table_tone_off(const struct verb *v, enum table_tone tone);
/* Quoted where it must be; "-" is empty. */
void table_csv_field(const char *text);
#endif

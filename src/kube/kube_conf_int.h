#ifndef KUBE_KUBE_CONF_INT_H
#define KUBE_KUBE_CONF_INT_H
/* What the two files of kube_conf share: kube_conf.c finds and merges the files, kube_conf_read.c reads what was chosen. */
#include "codec/doc.h"
#include "kube/kube_conf.h"

#define KUBE_CONF_FILES_MAX 32
#define KUBE_CONF_BYTES_MAX (4u << 20) /* of one file */

/* One kubeconfig text, parsed. */
struct kube_conf_file {
    const struct doc_node *doc;
    const char *name;
    const char *folder; /* relative paths begin here */
};

/* `cluster` and `user` are the maps of that name in the chosen entries; `user` may be NULL: nobody. */
MUST_USE int kube_conf_read_cluster(struct kube_conf *out, const struct kube_conf_file *file,
                                    const struct doc_node *cluster, struct err *err);
MUST_USE int kube_conf_read_user(struct kube_conf *out, const struct kube_conf_file *file,
                                 const struct doc_node *user, struct err *err);
#endif

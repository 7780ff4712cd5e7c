#ifndef KUBE_KUBE_CONF_H
#define KUBE_KUBE_CONF_H
/* Where a Kubernetes API server is and who we are to it: from kubeconfig files, or from the pod we run in.
 * Sources: Kubernetes documentation "Organizing Cluster Access Using kubeconfig Files" (order and merging of files: the first that
 * names a thing counts), client-go rest.InClusterConfig, client authentication API (client.authentication.k8s.io/v1, v1beta1: ExecCredential). */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "codec/doc.h"
#include "codec/header.h"

/* The folder of a pod's own account; its token is re-read as the kubelet renews it. */
#define KUBE_POD_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

/* A credential plugin: a program that prints an ExecCredential. */
enum kube_exec_input { KUBE_EXEC_NEVER, KUBE_EXEC_IF_AVAILABLE, KUBE_EXEC_ALWAYS };
struct kube_exec {
    const char *const *argv; /* NULL-terminated; argv[0] without '/' is looked up in PATH */
    const char *const *env;  /* "K=V", NULL-terminated; added to ours */
    struct span api_version;
    struct span install_hint;
    bool provide_cluster_info;
    enum kube_exec_input input; /* interactiveMode: whether it may ask the person at the terminal */
};

struct kube_conf {
    struct arena arena; /* owns everything below */
    struct span server; /* "https://10.96.0.1:443", without a slash at the end; may have a path */
    struct span
        ca_pem;    /* empty: none, only http or insecure; of the system when the file names none */
    bool insecure; /* insecure-skip-tls-verify */
    struct span tls_name;          /* tls-server-name; empty = the host of `server` */
    struct span cert_pem, key_pem; /* client certificate; may be empty */
    struct span token;             /* may be empty */
    const char
        *token_file; /* NULL = none; else it counts before `token`, and is read again each minute */
    struct span username, password;
    struct span impersonate;               /* as: a user's name */
    const struct header *impersonate_more; /* as-uid, as-groups, as-user-extra, as request fields */
    size_t impersonate_more_count;
    const struct kube_exec *exec;       /* NULL = none */
    const struct doc_node *exec_config; /* what the cluster has for such programs; NULL = none */
    struct span context;                /* its name; "in-cluster" in a pod */
    struct span namespace;              /* "default" when not told */
    bool in_cluster;
};

struct kube_conf_spec {
    const char
        *kubeconfig; /* --kubeconfig; NULL: $KUBECONFIG (a list with ':'), else ~/.kube/config */
    const char *context; /* --context; NULL: current-context */
    bool
        in_cluster_first; /* roles in a pod: the pod's account before any file; the CLI: files first */
};

/* -ENOENT: neither file nor pod ("no Kubernetes is configured here: ..."), code 1400 of mesh/codes.def. -ERR_CONFIG: file, line and what to
 * do, code 1401. */
MUST_USE int kube_conf_load(struct kube_conf *out, const struct kube_conf_spec *spec,
                            struct err *err);
/* From one kubeconfig text; relative paths in it are taken from `folder`. Names the files that it read. */
MUST_USE int kube_conf_parse(struct kube_conf *out, struct span text, const char *file,
                             const char *folder, const char *context, struct err *err);
void kube_conf_dispose(struct kube_conf *c);
#endif

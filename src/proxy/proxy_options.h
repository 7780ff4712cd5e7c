#ifndef PROXY_PROXY_OPTIONS_H
#define PROXY_PROXY_OPTIONS_H
/* What `mesh proxy` is told on the command line, by the environment and in its INI file. */
#include "base/opt.h"

#define PROXY_WORKERS_MAX 256

enum proxy_type { PROXY_SIDECAR, PROXY_GATEWAY };
enum proxy_interception { PROXY_INTERCEPT_NONE, PROXY_INTERCEPT_REDIRECT, PROXY_INTERCEPT_TPROXY };
enum proxy_learning { PROXY_LEARN_ON_DEMAND, PROXY_LEARN_FULL };

struct proxy_options {
    const char *config_file, *config_text, *log_level, *service_node, *service_cluster,
        *admin_address_path, *state_dir, *dns_address, *dns_upstream;
    int log_format, mode;
    int64_t concurrency, drain_s;
    /* The identity from a control plane (node_identity.h); `control` NULL = none. */
    const char *control, *token_file, *ca_root, *ca_pin, *trust_domain, *ns, *service_account;
    /* Who we are without a bootstrap file (proxy_native.h). */
    const char *name, *workload, *address, *app_address, *admin, *cluster_id, *mesh_id;
    struct opt_list labels;
    int type, interception, learning; /* the enums above */
    int64_t http_proxy_port;          /* 0 = none */
    bool dns_capture;
    /* In a pod (pod/pod_ports.h); NULL = off. */
    const char *labels_file, *status_addr, *ready_addr, *stats_addr, *app_probes, *app_metrics,
        *instance_ips;
    bool exit_idle;
    int64_t max_connections, max_connections_per_peer, memory_limit_mb; /* overload.h */
};

extern const struct opt_spec proxy_options;
#endif

#ifndef INJECT_INJECT_SETTINGS_H
#define INJECT_INJECT_SETTINGS_H
/* What all proxies of a mesh have in common: key `settings` (YAML) of ConfigMap mesh-system/mesh-injector, or flags. A pod's annotations
 * win. Names of keys are those of the struct, in camelCase as Kubernetes has them (inject_settings.c lists them). */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "codec/doc.h"

#define INJECT_CONFIG_MAP "mesh-injector"
#define INJECT_CONFIG_KEY "settings"

struct inject_settings {
    struct span image;                   /* "mesh:<version>" */
    struct span pull_policy;             /* imagePullPolicy; empty = Kubernetes' own rule */
    const struct doc_node *pull_secrets; /* imagePullSecrets: list of names; NULL = none */
    struct span trust_domain;            /* "cluster.local" */
    struct span cluster_id;              /* "Kubernetes" */
    struct span control;                 /* "mesh-control.mesh-system.svc:15012" */
    struct span revision;                /* "default": which istio.io/rev is ours */
    struct span log_level;               /* "info" */
    bool by_default;                     /* pods of namespaces that say nothing get a proxy too */
    bool native; /* Kubernetes >= 1.29: the proxy is an init container that stays */
    bool dns_capture;
    bool hold;           /* the application starts when the proxy is ready */
    bool rewrite_probes; /* kubelet asks the proxy, which asks the application */
    bool merge_metrics;  /* one scrape for proxy and application */
    int64_t concurrency; /* workers of a sidecar; 0 = by CPU quota */
    int64_t drain_s;
    struct span interception; /* REDIRECT, TPROXY, NONE */
    /* Comma-separated, as in the annotations of the same name; empty = none, "*" = all. */
    struct span include_outbound_ranges, exclude_outbound_ranges;
    struct span include_inbound_ports, exclude_inbound_ports, exclude_outbound_ports;
    const struct doc_node *resources; /* of a sidecar: {requests: {cpu, memory}, limits: {...}} */
    const struct doc_node *gateway_resources; /* of a gateway */
    const struct doc_node *env; /* more variables for proxies: list of {name, value}; NULL = none */
    const struct doc_node
        *templates; /* map: more of inject.istio.io/templates, each a pod overlay; NULL = none */
};

/* Good for a cluster >= 1.29. Everything lives in the arena. */
void inject_settings_init(struct inject_settings *s, struct arena *arena);
/* Over what is there; `doc` (a map, or NULL) must live as long as the settings. -ERR_CONFIG: "file:line: ..." with the key, the value and what is
 * allowed; what is there stays then. */
MUST_USE int inject_settings_read(struct inject_settings *s, const struct doc_node *doc,
                                  struct arena *arena, struct err *err);
/* All of it as a map that inject_settings_read takes: for `mesh install`. */
NONNULL_RETURN struct doc_node *inject_settings_doc(const struct inject_settings *s,
                                                    struct arena *arena);
/* A cluster's version decides what it can do: minor 28 = no native sidecars. */
void inject_settings_for_cluster(struct inject_settings *s, int minor);
#endif

#ifndef INJECT_POD_WISH_H
#define INJECT_POD_WISH_H
/* What a pod asks of its proxy: the settings of the mesh, then the annotation proxy.istio.io/config (Istio's ProxyConfig), then annotations of its own, each
 * of which may also be written mesh.io/NAME. A value that is not good refuses the pod, with a sentence that names annotation, value and what is allowed.
 * Source: istio.io "resource annotations", Istio mesh/v1alpha1 ProxyConfig. */
#include "inject/inject.h"

struct pod_wish {
    bool gateway; /* inject.istio.io/templates: gateway */
    bool native, hold, rewrite_probes, merge_metrics, dns_capture;
    struct span image, log_level;
    struct span interception; /* REDIRECT, NONE */
    int64_t concurrency, drain_s;
    int64_t status_port; /* 0: no probes through the proxy */
    int64_t ready_delay_s, ready_period_s, ready_failures;
    const struct doc_node *resources;                  /* NULL = none */
    const struct doc_node *user_volumes, *user_mounts; /* lists; NULL = none */
    const struct doc_node **templates;                 /* overlays of the settings, in order */
    size_t template_count;
    /* As in struct inject_settings. */
    struct span include_inbound_ports, exclude_inbound_ports, exclude_outbound_ports,
        include_outbound_ports, /* "" = none are named */
        include_outbound_ranges, exclude_outbound_ranges, exclude_interfaces;
};

/* -ERR_CONFIG: `answer` is a refusal. Else 0, and its notes have grown by what has no effect. */
MUST_USE int pod_wish_read(struct pod_wish *w, const struct inject_subject *subject,
                           const struct inject_settings *settings, struct arena *arena,
                           struct inject_answer *answer);
/* A scalar as annotations have it: also true, false and numbers that were written without quotes. NULL `at`: none. */
struct span pod_wish_text(const struct doc_node *map, const char *key, struct arena *arena);
/* One more note at the end. */
void pod_wish_note(struct inject_answer *answer, struct arena *arena, unsigned code,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
#endif

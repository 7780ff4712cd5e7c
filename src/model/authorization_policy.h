#ifndef MODEL_AUTHORIZATION_POLICY_H
#define MODEL_AUTHORIZATION_POLICY_H
/* security.istio.io AuthorizationPolicy (istio/api security/v1beta1 authorization_policy.proto). Refused, as ignoring them would let
 * requests in: action CUSTOM. Values may be "x", "x*", "*x", and "*" = is there; paths also "{*}" and "{**}" templates. */
#include "model/object.h"
#include "model/spec.h"

enum authorization_policy_action {
    AUTHORIZATION_POLICY_ALLOW,
    AUTHORIZATION_POLICY_DENY,
    AUTHORIZATION_POLICY_AUDIT
};

struct
    authorization_policy_source { /* all that are told must hold; of a list one, of a not-list none */
    struct spec_texts principals, not_principals;
    struct spec_texts request_principals, not_request_principals; /* need JWT: never there yet */
    struct spec_texts namespaces, not_namespaces;
    struct spec_texts service_accounts,
        not_service_accounts;                   /* "sa" of the policy's namespace, or "ns/sa" */
    struct spec_texts ip_blocks, not_ip_blocks; /* valid IPs and CIDRs */
    struct spec_texts remote_ip_blocks, not_remote_ip_blocks;
};

struct authorization_policy_operation {
    struct spec_texts hosts, not_hosts;
    struct spec_texts ports, not_ports; /* decimal, 1..65535 */
    struct spec_texts methods, not_methods;
    struct spec_texts paths, not_paths;
};

struct authorization_policy_condition {
    struct span
        key; /* one that exists: "request.headers[x]", "source.ip", "destination.port" ... */
    struct spec_texts values, not_values;
};

struct authorization_policy_rule {
    const struct authorization_policy_source *from; /* any of them; none = all */
    size_t from_count;
    const struct authorization_policy_operation *to;
    size_t to_count;
    const struct authorization_policy_condition *when; /* all of them */
    size_t when_count;
};

struct authorization_policy_spec {
    enum authorization_policy_action action;
    bool dry_run; /* annotation istio.io/dry-run */
    struct spec_labels selector;
    struct spec_targets targets;                   /* targetRefs and targetRef */
    const struct authorization_policy_rule *rules; /* none: matches nothing (ALLOW: denies all) */
    size_t rule_count;
};

static inline const struct authorization_policy_spec *authorization_policy_of(
    const struct object *o)
{
    ASSERT(o->kind == OBJECT_AUTHORIZATION_POLICY);
    return o->spec;
}
#endif

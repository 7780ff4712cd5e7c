#ifndef POLICY_RBAC_H
#define POLICY_RBAC_H
/* Authorization compiled from envoy.config.rbac.v3.RBAC (as the http and network rbac filters carry it).
 * ALLOW: a request passes when some policy matches; DENY: it is refused when some policy matches; LOG only
 * marks. Anything that can not be evaluated is refused at compile time, so that an unknown condition never
 * widens access. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "policy/explain.h"
#include "policy/traffic.h"

struct pb_rbac_RBAC; /* envoy.config.rbac.v3.RBAC */
struct rbac;

struct rbac_answer {
    bool allowed;
    struct span policy; /* the policy that decided (DENY) or allowed; empty = none matched */
};

/* `opaque`: for the network filter; conditions on HTTP never match there (Istio drops them for ALLOW and
 * treats them as matched for DENY before they get here). Memory is the arena's; texts are borrowed from the wire
 * bytes of `config`, which must live as long. -ERR_CONFIG: "policy 'x': principal: ...". */
MUST_USE int rbac_compile(struct rbac **out, struct arena *arena, const struct pb_rbac_RBAC *config,
                          bool opaque, struct err *err);
bool rbac_is_deny(const struct rbac *r);
/* `scratch` joins header fields that occur more than once. */
struct rbac_answer rbac_check(const struct rbac *r, const struct traffic *tr, struct arena *scratch,
                              struct explain *ex);
#endif

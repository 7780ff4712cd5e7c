/* The step that asks the authorization policies: the RBAC filters of the chain in order, each as its route's
 * override says (typed_per_filter_config).
 * In: request/routing. Out: NEXT, or FAIL with 403. Next: request/target. */
#include "proxy/request/steps.h"

/* As Envoy: "rbac_access_denied_matched_policy[NAME]", blanks made harmless for logs. */
static void say_denied(struct request *rq, struct span policy)
{
    struct span name = policy.len > 0 ? policy : SPAN("none");
    char *text = arena_printf(rq->arena, "rbac_access_denied_matched_policy[%.*s]", SPAN_ARG(name));
    for (char *c = text; *c != '\0'; c++) {
        if (*c == ' ') {
            *c = '_';
        }
    }
    rq->details = span_of(text);
}

struct rules {
    const struct rbac *real, *shadow;
};

static struct rules rules_of(const struct request *rq, const struct conf_rbac *filter)
{
    const struct route_override *o =
        rq->route ? route_override(rq->route, rq->route_cluster, filter->name) : NULL;
    if (o == NULL) {
        return filter->disabled ? (struct rules){0} : (struct rules){filter->rules, filter->shadow};
    }
    return o->disabled ? (struct rules){0} : (struct rules){o->rules, o->shadow};
}

static enum step_answer on_request(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    const struct stats_http *stats = rq->place->stats;
    for (size_t i = 0; i < conf->rbac_count; i++) {
        struct rules rules = rules_of(rq, &conf->rbac[i]);
        if (rules.shadow != NULL) {
            bool allowed = rbac_check(rules.shadow, &rq->traffic, rq->arena, NULL).allowed;
            metric_add(allowed ? stats->rbac_shadow_allowed : stats->rbac_shadow_denied, 1);
        }
        if (rules.real == NULL) {
            continue;
        }
        struct rbac_answer answer = rbac_check(rules.real, &rq->traffic, rq->arena, NULL);
        metric_add(answer.allowed ? stats->rbac_allowed : stats->rbac_denied, 1);
        if (!answer.allowed) {
            say_denied(rq, answer.policy);
            rq->outcome = OUTCOME_DENIED;
            return STEP_FAIL;
        }
    }
    return STEP_NEXT;
}

const struct step step_authorize = {.name = "authorize", .on_request = on_request};

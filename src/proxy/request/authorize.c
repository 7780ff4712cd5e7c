/* The step that asks the authorization policies (RBAC filters of the chain, in order).
 * In: request/tracing. Out: NEXT, or FAIL with 403. Next: request/routing. */
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

static enum step_answer on_request(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    const struct stats_http *stats = rq->place->stats;
    for (size_t i = 0; i < conf->rbac_count; i++) {
        const struct conf_rbac *filter = &conf->rbac[i];
        if (filter->shadow != NULL) {
            bool allowed = rbac_check(filter->shadow, &rq->traffic, rq->arena, NULL).allowed;
            metric_add(allowed ? stats->rbac_shadow_allowed : stats->rbac_shadow_denied, 1);
        }
        if (filter->rules == NULL) {
            continue;
        }
        struct rbac_answer answer = rbac_check(filter->rules, &rq->traffic, rq->arena, NULL);
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

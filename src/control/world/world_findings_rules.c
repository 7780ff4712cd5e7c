/* Findings about DestinationRules: hosts and subsets that nobody is, and rules that contradict. */
#include "base/mem.h"
#include "control/world/world_findings_int.h"
#include "model/destination_rule.h"

#define PATH_MAX_BYTES 256

static bool is_known(const struct world_config *c, const struct object *o, struct span host)
{
    if (host.len == 0 || host.at[0] != '*') {
        return world_resolve(c, host, o->namespace) != NULL;
    }
    for (size_t i = 0; i < c->service_count; i++) {
        if (world_host_covers(host, c->services[i]->host)) {
            return true;
        }
    }
    return false;
}

static bool same_subset(const struct destination_rule_spec *a,
                        const struct destination_rule_spec *b, size_t *place)
{
    for (size_t i = 0; i < a->subset_count; i++) {
        for (size_t k = 0; k < b->subset_count; k++) {
            if (span_eq(a->subsets[i].name, b->subsets[k].name)) {
                *place = i;
                return true;
            }
        }
    }
    return false;
}

/* An older rule of the same namespace and host. */
static void check_rivals(struct world_check *k, const struct world_service *const *owners,
                         size_t at)
{
    const struct world_config *c = k->config;
    const struct object *o = c->objects[at];
    const struct destination_rule_spec *spec = destination_rule_of(o);
    size_t first = c->kind_first[OBJECT_DESTINATION_RULE];
    for (size_t i = first; i < at; i++) {
        const struct object *older = c->objects[i];
        const struct destination_rule_spec *other = destination_rule_of(older);
        bool same = owners[i - first] == owners[at - first] &&
                    (owners[at - first] != NULL || span_eq(spec->host, other->host));
        if (!same || !span_eq(older->namespace, o->namespace) || other->has_workload_selector) {
            continue;
        }
        size_t place;
        char path[PATH_MAX_BYTES] = "spec.trafficPolicy";
        if (same_subset(spec, other, &place)) {
            (void)snprintf(path, sizeof(path), "spec.subsets.%zu", place);
        } else if (!spec->policy.set || !other->policy.set) {
            continue;
        }
        (void)world_findings_tell(k, 2111, o, path,
                                  "DestinationRule \"%.*s\" says it too for \"%.*s\", and counts",
                                  SPAN_ARG(older->name), SPAN_ARG(spec->host));
        return;
    }
}

static void check_subsets(struct world_check *k, const struct object *o,
                          const struct world_service *s)
{
    const struct destination_rule_spec *spec = destination_rule_of(o);
    const struct world_endpoints *e = k->world->endpoints[s->index];
    for (size_t i = 0; i < spec->subset_count && e->count > 0; i++) {
        const struct destination_rule_subset *subset = &spec->subsets[i];
        bool found = false;
        for (size_t n = 0; n < e->count && !found; n++) {
            found = world_labels_match(subset->labels.items, subset->labels.count,
                                       e->items[n].labels, e->items[n].label_count);
        }
        if (!found) {
            char path[PATH_MAX_BYTES];
            (void)snprintf(path, sizeof(path), "spec.subsets.%zu", i);
            struct finding *f = world_findings_tell(
                k, 2105, o, path, "subset \"%.*s\" of \"%.*s\" selects no endpoint",
                SPAN_ARG(subset->name), SPAN_ARG(s->name));
            world_findings_why(
                k, f, "none of the %zu endpoints has the labels %s", e->count,
                world_findings_labels(k, subset->labels.items, subset->labels.count));
        }
    }
}

static void check_rule(struct world_check *k, const struct world_service *const *owners, size_t at)
{
    const struct world_config *c = k->config;
    const struct object *o = c->objects[at];
    const struct destination_rule_spec *spec = destination_rule_of(o);
    const struct world_service *s = owners[at - c->kind_first[OBJECT_DESTINATION_RULE]];
    if (spec->has_workload_selector) {
        (void)world_findings_tell(k, 2118, o, "spec.workloadSelector",
                                  "DestinationRule \"%.*s\" is ignored: it has a workloadSelector",
                                  SPAN_ARG(o->name));
    } else if (!is_known(c, o, spec->host)) {
        struct finding *f =
            world_findings_tell(k, 2104, o, "spec.host",
                                "DestinationRule \"%.*s\" is for \"%.*s\", which no service is",
                                SPAN_ARG(o->name), SPAN_ARG(spec->host));
        struct near n;
        near_init(&n, spec->host);
        for (size_t i = 0; i < c->service_count; i++) {
            near_try(&n, span_find_byte(spec->host, '.') >= 0 ? c->services[i]->host
                                                              : c->services[i]->name);
        }
        world_findings_near(k, f, &n);
    } else {
        check_rivals(k, owners, at);
        if (s != NULL && s->resolution == WORLD_EDS) {
            check_subsets(k, o, s);
        }
    }
}

void world_findings_rules(struct world_check *k)
{
    const struct world_config *c = k->config;
    size_t first = c->kind_first[OBJECT_DESTINATION_RULE];
    size_t end = c->kind_first[OBJECT_DESTINATION_RULE + 1];
    /* of each rule the one service that it is for; NULL: of a wildcard, or none */
    const struct world_service **owners =
        mem_array(end - first + 1, sizeof(const struct world_service *));
    for (size_t i = first; i < end; i++) {
        struct span host = destination_rule_of(c->objects[i])->host;
        const struct world_service *s = world_resolve(c, host, c->objects[i]->namespace);
        owners[i - first] = s != NULL && s->host.at[0] != '*' ? s : NULL;
    }
    for (size_t i = first; i < end; i++) {
        check_rule(k, owners, i);
    }
    mem_free(owners);
}

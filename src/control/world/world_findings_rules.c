/* Findings about DestinationRules: hosts and subsets that nobody is, and rules that contradict. */
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

static bool same_host(const struct world_config *c, const struct object *a, const struct object *b)
{
    struct span x = destination_rule_of(a)->host, y = destination_rule_of(b)->host;
    if (span_eq(x, y)) {
        return true;
    }
    const struct world_service *s = world_resolve(c, x, a->namespace);
    return s != NULL && s->host.at[0] != '*' && world_resolve(c, y, b->namespace) == s;
}

/* An older rule of the same namespace and host. */
static void check_rivals(struct world_check *k, size_t at)
{
    const struct world_config *c = k->config;
    const struct object *o = c->objects[at];
    const struct destination_rule_spec *spec = destination_rule_of(o);
    for (size_t i = c->kind_first[OBJECT_DESTINATION_RULE]; i < at; i++) {
        const struct object *older = c->objects[i];
        const struct destination_rule_spec *other = destination_rule_of(older);
        if (!span_eq(older->namespace, o->namespace) || other->has_workload_selector ||
            !same_host(c, o, older)) {
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

void world_findings_rules(struct world_check *k)
{
    const struct world_config *c = k->config;
    for (size_t i = c->kind_first[OBJECT_DESTINATION_RULE];
         i < c->kind_first[OBJECT_DESTINATION_RULE + 1]; i++) {
        const struct object *o = c->objects[i];
        const struct destination_rule_spec *spec = destination_rule_of(o);
        if (spec->has_workload_selector) {
            (void)world_findings_tell(
                k, 2118, o, "spec.workloadSelector",
                "DestinationRule \"%.*s\" is ignored: it has a workloadSelector",
                SPAN_ARG(o->name));
            continue;
        }
        if (!is_known(c, o, spec->host)) {
            (void)world_findings_tell(
                k, 2104, o, "spec.host",
                "DestinationRule \"%.*s\" is for \"%.*s\", which no service is", SPAN_ARG(o->name),
                SPAN_ARG(spec->host));
            continue;
        }
        check_rivals(k, i);
        const struct world_service *s = world_resolve(c, spec->host, o->namespace);
        if (s != NULL && s->resolution == WORLD_EDS) {
            check_subsets(k, o, s);
        }
    }
}

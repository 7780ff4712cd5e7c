/* DestinationRules become rules of services. Those of one namespace, host and visibility are one (Istio merges them so: subsets add up,
 * the oldest policy counts); a port's settings replace all of the policy's, a subset's only the parts that it tells (istio
 * pilot/pkg/networking/util MergeSubsetTrafficPolicy).
 * In: objects, services. Out: world_service.rules, in order: the most specific host first, then the oldest. */
#include "control/world/lower.h"
#include "model/destination_rule.h"

struct group {
    struct span host, namespace;
    const struct span *export_to;
    size_t export_count;
    struct world_ptrs objects; /* oldest first */
    struct group *next;        /* of the same host */
    const struct destination_rule_policy *policy;
    const struct world_traffic *traffic;
    struct subset {
        const struct destination_rule_subset *spec;
        const struct world_traffic *traffic;
    } *subsets;
    size_t subset_count;
};

/* ---- one policy ---- */

static void lower_balancing(const struct destination_rule_balancing *b, struct world_traffic *t)
{
    static const enum world_lb balancers[] = {
        [DESTINATION_RULE_LB_UNSPECIFIED] = WORLD_LB_LEAST_REQUEST,
        [DESTINATION_RULE_LB_RANDOM] = WORLD_LB_RANDOM,
        [DESTINATION_RULE_LB_PASSTHROUGH] = WORLD_LB_PASSTHROUGH,
        [DESTINATION_RULE_LB_ROUND_ROBIN] = WORLD_LB_ROUND_ROBIN,
        [DESTINATION_RULE_LB_LEAST_REQUEST] = WORLD_LB_LEAST_REQUEST,
        [DESTINATION_RULE_LB_CONSISTENT_HASH] = WORLD_LB_HASH,
    };
    t->lb = balancers[b->lb];
    t->hash_cookie_ttl_s = b->cookie_ttl_ms < 0 ? -1 : b->cookie_ttl_ms / 1000;
    switch (b->hash) {
    case DESTINATION_RULE_HASH_HEADER:
        t->hash_header = b->hash_name;
        break;
    case DESTINATION_RULE_HASH_COOKIE:
        t->hash_cookie = b->hash_name;
        t->hash_cookie_path = b->cookie_path;
        break;
    case DESTINATION_RULE_HASH_QUERY:
        t->hash_query = b->hash_name;
        break;
    case DESTINATION_RULE_HASH_NONE:
    case DESTINATION_RULE_HASH_SOURCE_IP:
        break;
    }
    t->maglev = b->maglev;
    t->hash_size = b->ring_size;
    t->warmup_ms = i64_max(b->warmup_ms, 0);
}

static void lower_pool(const struct destination_rule_pool *p, struct world_traffic *t)
{
    t->max_connections = p->max_connections;
    t->max_pending = p->max_pending;
    t->max_requests = p->max_requests;
    t->max_retries = p->max_retries;
    t->max_requests_per_connection = p->max_requests_per_connection;
    t->connect_timeout_ms = i64_max(p->connect_timeout_ms, 0);
    t->idle_timeout_ms = i64_max(p->tcp_idle_timeout_ms, 0);
    t->http_idle_timeout_ms = i64_max(p->idle_timeout_ms, 0);
    t->max_connection_ms = i64_max(p->max_connection_ms, 0);
    t->max_streams = p->max_concurrent_streams;
    t->keepalive = p->has_keepalive;
    t->keepalive_probes = p->keepalive_probes;
    t->keepalive_time_ms = i64_max(p->keepalive_time_ms, 0);
    t->keepalive_interval_ms = i64_max(p->keepalive_interval_ms, 0);
    t->h2_upgrade = p->h2 == DESTINATION_RULE_H2_UPGRADE;
    t->use_client_protocol = p->use_client_protocol;
}

static int64_t told(int64_t value, int64_t otherwise)
{
    return value < 0 ? otherwise : value;
}

/* Defaults of Istio's OutlierDetection: 5 errors, every 10 s, out for 30 s times the number of ejections, at most 10 %. */
static void lower_outlier(const struct destination_rule_outlier *o, struct world_outlier *to)
{
    *to = (struct world_outlier){
        .enabled = true,
        .consecutive_5xx = (uint32_t)told(o->consecutive_5xx, 5),
        .consecutive_gateway = (uint32_t)told(o->consecutive_gateway, 0),
        .split_local = o->split_local,
        .consecutive_local = o->split_local ? (uint32_t)told(o->consecutive_local, 5) : 0,
        .interval_ms = told(o->interval_ms, 10000),
        .base_ejection_ms = told(o->base_ejection_ms, 30000),
        .max_ejection_percent = (uint32_t)told(o->max_ejection_percent, 10),
        .min_health_percent = (uint32_t)told(o->min_health_percent, 0),
    };
}

static void lower_tls(const struct destination_rule_tls *tls, struct world_traffic *t)
{
    static const enum world_tls modes[] = {
        [DESTINATION_RULE_TLS_DISABLE] = WORLD_TLS_DISABLE,
        [DESTINATION_RULE_TLS_SIMPLE] = WORLD_TLS_SIMPLE,
        [DESTINATION_RULE_TLS_MUTUAL] = WORLD_TLS_MUTUAL,
        [DESTINATION_RULE_TLS_ISTIO_MUTUAL] = WORLD_TLS_ISTIO_MUTUAL,
    };
    t->tls = modes[tls->mode];
    t->tls_sni = tls->sni;
    t->tls_sans = tls->subject_alt_names.items;
    t->tls_san_count = tls->subject_alt_names.count;
    t->tls_ca_file = tls->ca_file;
    t->tls_cert_file = tls->certificate_file;
    t->tls_key_file = tls->key_file;
    t->tls_credential = tls->credential;
    t->tls_skip_verify = tls->skip_verify == SPEC_BOOL_TRUE;
}

static const struct world_traffic *lower_traffic(struct world_config *c,
                                                 const struct destination_rule_traffic *from)
{
    struct world_traffic *t = arena_new(&c->arena, struct world_traffic);
    t->hash_cookie_ttl_s = -1;
    if (from->balancing.set) {
        lower_balancing(&from->balancing, t);
    }
    if (from->pool.set) {
        lower_pool(&from->pool, t);
    }
    if (from->outlier.set) {
        lower_outlier(&from->outlier, &t->outlier);
    }
    if (from->tls.set) {
        lower_tls(&from->tls, t);
    }
    if (from->proxy.set) {
        t->proxy_version = from->proxy.version == DESTINATION_RULE_PROXY_V2 ? 2 : 1;
    }
    return t;
}

/* ---- merging ---- */

static const struct destination_rule_traffic *of_port(const struct destination_rule_policy *policy,
                                                      uint16_t port)
{
    for (size_t i = 0; policy != NULL && i < policy->port_count; i++) {
        if (policy->ports[i].port == port) {
            return &policy->ports[i].traffic;
        }
    }
    return NULL;
}

/* The rule's, with what the subset tells over it; `port` 0: of no port in particular. */
static const struct world_traffic *merge(struct world_config *c,
                                         const struct destination_rule_policy *rule,
                                         const struct destination_rule_policy *subset,
                                         uint16_t port)
{
    struct destination_rule_traffic merged = {.balancing.set = false};
    const struct destination_rule_traffic *base = of_port(rule, port);
    if (rule != NULL && base != NULL) {
        merged = *base;
        merged.proxy = rule->traffic.proxy; /* it is told for the rule as a whole */
    } else if (rule != NULL) {
        merged = rule->traffic;
    }
    if (subset != NULL && subset->set) {
        const struct destination_rule_traffic *over = of_port(subset, port);
        if (over != NULL) { /* a port's settings inherit nothing */
            struct destination_rule_proxy proxy =
                subset->traffic.proxy.set ? subset->traffic.proxy : merged.proxy;
            merged = *over;
            merged.proxy = proxy;
        } else {
            over = &subset->traffic;
            merged.balancing = over->balancing.set ? over->balancing : merged.balancing;
            merged.pool = over->pool.set ? over->pool : merged.pool;
            merged.outlier = over->outlier.set ? over->outlier : merged.outlier;
            merged.tls = over->tls.set ? over->tls : merged.tls;
            merged.proxy = over->proxy.set ? over->proxy : merged.proxy;
        }
    }
    return lower_traffic(c, &merged);
}

static const struct world_traffic *const *by_port(struct world_config *c,
                                                  const struct world_service *s,
                                                  const struct world_traffic *otherwise,
                                                  const struct destination_rule_policy *rule,
                                                  const struct destination_rule_policy *subset)
{
    const struct world_traffic **list =
        arena_array(&c->arena, s->port_count, sizeof(const struct world_traffic *));
    for (size_t i = 0; i < s->port_count; i++) {
        uint16_t port = s->ports[i].number;
        bool own = of_port(rule, port) != NULL || of_port(subset, port) != NULL;
        list[i] = own ? merge(c, rule, subset, port) : otherwise;
    }
    return list;
}

static void lower_rule(struct world_config *c, const struct world_service *s, const struct group *g,
                       struct world_rule *to)
{
    struct world_subset *subsets = arena_array(&c->arena, g->subset_count, sizeof(*subsets));
    for (size_t i = 0; i < g->subset_count; i++) {
        const struct destination_rule_subset *from = g->subsets[i].spec;
        subsets[i] = (struct world_subset){
            .name = from->name,
            .labels = from->labels.items,
            .label_count = from->labels.count,
            .traffic = g->subsets[i].traffic,
            .by_port = by_port(c, s, g->subsets[i].traffic, g->policy, &from->policy)};
    }
    *to = (struct world_rule){.traffic = g->traffic,
                              .by_port = by_port(c, s, g->traffic, g->policy, NULL),
                              .subsets = subsets,
                              .subset_count = g->subset_count,
                              .object = g->objects.items[0],
                              .namespace = g->namespace,
                              .export_to = g->export_to,
                              .export_count = g->export_count};
}

/* ---- groups ---- */

static bool same_texts(const struct span *a, size_t a_count, const struct span *b, size_t b_count)
{
    for (size_t i = 0; a_count == b_count && i < a_count; i++) {
        if (!span_eq(a[i], b[i])) {
            return false;
        }
    }
    return a_count == b_count;
}

static void add_to_group(struct world_config *c, struct map *groups, const struct object *o)
{
    const struct destination_rule_spec *spec = destination_rule_of(o);
    struct group wanted = {.host = lower_fqdn(c, spec->host, o->namespace),
                           .namespace = o->namespace};
    world_export_to(c, &spec->export_to, o->namespace, &wanted.export_to, &wanted.export_count);
    struct group *first = map_get(groups, wanted.host), *last = NULL;
    for (struct group *g = first; g != NULL; g = g->next) {
        last = g;
        if (span_eq(g->namespace, wanted.namespace) &&
            same_texts(g->export_to, g->export_count, wanted.export_to, wanted.export_count)) {
            world_ptrs_add(&g->objects, (void *)(uintptr_t)o);
            return;
        }
    }
    struct group *g = arena_new(&c->arena, struct group);
    *g = wanted;
    world_ptrs_add(&g->objects, (void *)(uintptr_t)o);
    if (last != NULL) {
        last->next = g;
    } else {
        (void)map_put(groups, g->host, g);
    }
}

static bool has_subset(const struct group *g, struct span name)
{
    for (size_t i = 0; i < g->subset_count; i++) {
        if (span_eq(g->subsets[i].spec->name, name)) {
            return true;
        }
    }
    return false;
}

static void finish_group(struct world_config *c, struct group *g)
{
    size_t most = 0;
    for (size_t i = 0; i < g->objects.count; i++) {
        const struct destination_rule_spec *spec = destination_rule_of(g->objects.items[i]);
        most += spec->subset_count;
        if (g->policy == NULL && spec->policy.set) {
            g->policy = &spec->policy;
        }
    }
    g->traffic = merge(c, g->policy, NULL, 0);
    g->subsets = arena_array(&c->arena, most, sizeof(*g->subsets));
    for (size_t i = 0; i < g->objects.count; i++) {
        const struct destination_rule_spec *spec = destination_rule_of(g->objects.items[i]);
        for (size_t k = 0; k < spec->subset_count; k++) {
            const struct destination_rule_subset *subset = &spec->subsets[k];
            if (!has_subset(g, subset->name)) {
                bool own = subset->policy.set;
                g->subsets[g->subset_count++] = (struct subset){
                    subset, own ? merge(c, g->policy, &subset->policy, 0) : g->traffic};
            }
        }
    }
}

/* ---- services ---- */

static bool collect(void *arg, void *value)
{
    struct world_ptrs *list = arg;
    for (struct group *g = value; g != NULL; g = g->next) {
        world_ptrs_add(list, g);
    }
    return false;
}

static void give_rules(struct world_config *c, const struct map *groups, struct world_service *s,
                       struct world_ptrs *list)
{
    list->count = 0;
    (void)collect(list, map_get(groups, s->host));
    (void)world_each_wildcard(groups, s->host, collect, list);
    struct world_rule *rules = arena_array(&c->arena, list->count, sizeof(*rules));
    for (size_t i = 0; i < list->count; i++) {
        lower_rule(c, s, list->items[i], &rules[i]);
    }
    s->rules = rules;
    s->rule_count = list->count;
}

static void make_default(struct world_config *c)
{
    static const struct destination_rule_traffic nothing = {.balancing.set = false};
    struct world_rule *rule = arena_new(&c->arena, struct world_rule);
    size_t most = 0;
    for (size_t i = 0; i < c->service_count; i++) {
        most = size_max(most, c->services[i]->port_count);
    }
    const struct world_traffic **list =
        arena_array(&c->arena, most, sizeof(const struct world_traffic *));
    rule->traffic = lower_traffic(c, &nothing);
    for (size_t i = 0; i < most; i++) {
        list[i] = rule->traffic;
    }
    rule->by_port = list;
    c->default_rule = rule;
}

void lower_destination_rules(struct world_config *c)
{
    struct map groups;
    struct world_ptrs list = {.items = NULL};
    size_t first = c->kind_first[OBJECT_DESTINATION_RULE];
    size_t end = c->kind_first[OBJECT_DESTINATION_RULE + 1];
    map_init(&groups);
    make_default(c);
    for (size_t i = first; i < end; i++) {
        /* one that is for some clients only would change what the others do (world_findings says so) */
        if (!destination_rule_of(c->objects[i])->has_workload_selector) {
            add_to_group(c, &groups, c->objects[i]);
        }
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&groups, slot)) != NULL;) {
        for (struct group *g = slot->value; g != NULL; g = g->next) {
            finish_group(c, g);
        }
    }
    for (size_t i = 0; i < c->service_count && map_count(&groups) > 0; i++) {
        give_rules(c, &groups, c->services[i], &list);
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&groups, slot)) != NULL;) {
        for (struct group *g = slot->value; g != NULL; g = g->next) {
            world_ptrs_dispose(&g->objects);
        }
    }
    world_ptrs_dispose(&list);
    map_dispose(&groups);
}

/* mesh pc PROXY: what a proxy is configured with, from its own admin pages; control only says where they are. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    bool clusters, listeners, routes, endpoints, certs;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "listeners", .type = OPT_BOOL, .offset = AT(listeners), .help = "where it listens"},
    {.name = "routes", .type = OPT_BOOL, .offset = AT(routes), .help = "virtual hosts"},
    {.name = "clusters", .type = OPT_BOOL, .offset = AT(clusters), .help = "destinations"},
    {.name = "endpoints",
     .type = OPT_BOOL,
     .offset = AT(endpoints),
     .help = "endpoints, their health and load"},
    {.name = "certs", .type = OPT_BOOL, .offset = AT(certs), .help = "certificates in use"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh pc",
    .section = "cli",
    .summary =
        "What a proxy is configured with, from the proxy itself; -o json is Envoy's config dump.",
    .examples = "mesh pc reviews-v1\n"
                "mesh pc productpage --endpoints\n"
                "mesh pc reviews-v1 --certs\n",
    .operands = "PROXY",
    .rows = rows,
};

/* ---- sections of the config dump ---- */

/* Calls row() with each resource: what is at `inner` of each entry in the lists of configs[] of that type. */
static void each_of(const struct doc_node *dump, const char *type, const char *lists,
                    const char *inner, void (*row)(void *arg, const struct doc_node *one),
                    void *arg)
{
    const struct doc_node *configs = doc_get(dump, "configs");
    for (size_t i = 0; i < doc_count(configs); i++) {
        const struct doc_node *config = doc_at(configs, i);
        struct span rest = span_of(lists);
        while (rest.at && span_ends(item_text(config, "@type"), span_of(type))) {
            const struct doc_node *list = doc_get_span(config, span_cut(&rest, ','));
            for (size_t j = 0; j < doc_count(list); j++) {
                const struct doc_node *one = doc_path(doc_at(list, j), inner);
                one = one ? one : doc_path(doc_at(list, j), "active_state.listener");
                row(arg, one);
            }
        }
    }
}

struct section {
    struct verb *verb;
    struct table *table;
};

static const char *address_of(struct verb *v, const struct doc_node *one)
{
    const struct doc_node *at = doc_path(one, "address.socket_address");
    return at ? arena_printf(&v->arena, "%s:%s", cell_text(v, at, "address"),
                             cell_text(v, at, "port_value"))
              : cell_text(v, doc_path(one, "address.pipe"), "path");
}

static void listener_row(void *arg, const struct doc_node *one)
{
    struct section *s = arg;
    table_cell(s->table, cell_text(s->verb, one, "name"));
    table_cell(s->table, address_of(s->verb, one));
    table_cellf(s->table, "%zu", doc_count(doc_get(one, "filter_chains")));
    table_cell(s->table, cell_text(s->verb, one, "traffic_direction"));
}

static void cluster_row(void *arg, const struct doc_node *one)
{
    struct section *s = arg;
    const struct doc_node *lb = doc_get(one, "lb_policy");
    bool has_tls = doc_get(one, "transport_socket") || doc_get(one, "transport_socket_matches");
    table_cell(s->table, cell_text(s->verb, one, "name"));
    table_cell(s->table, cell_text(s->verb, one, "type"));
    table_cell(s->table, lb ? cell_text(s->verb, one, "lb_policy") : "ROUND_ROBIN");
    table_cell(s->table, has_tls ? "yes" : "no");
}

static void route_row(void *arg, const struct doc_node *one)
{
    struct section *s = arg;
    const struct doc_node *hosts = doc_get(one, "virtual_hosts");
    for (size_t i = 0; i < (doc_count(hosts) ? doc_count(hosts) : 1); i++) {
        const struct doc_node *host = doc_at(hosts, i);
        const struct doc_node *domain = doc_at(doc_get(host, "domains"), 0);
        table_cell(s->table, cell_text(s->verb, one, "name"));
        table_cell(s->table, doc_is(domain, DOC_TEXT) ? arena_cstr(&s->verb->arena, domain->text)
                                                      : "on demand");
        table_cellf(s->table, "%zu", doc_count(doc_get(host, "routes")));
    }
}

/* ---- pages of their own ---- */

static const char *health_of(struct verb *v, const struct doc_node *host)
{
    const struct doc_node *health = doc_get(host, "health_status");
    if (doc_get(health, "failed_active_health_check")) {
        return "FAILED CHECK";
    }
    return doc_get(health, "failed_outlier_check") ? "EJECTED"
                                                   : cell_text(v, health, "eds_health_status");
}

static const char *number_of(struct verb *v, const struct doc_node *host, const char *name)
{
    const struct doc_node *stats = doc_get(host, "stats");
    for (size_t i = 0; i < doc_count(stats); i++) {
        if (span_is(item_text(doc_at(stats, i), "name"), name)) {
            return cell_text(v, doc_at(stats, i), "value");
        }
    }
    return "-";
}

static void endpoint_rows(struct section *s, const struct doc_node *answer)
{
    const struct doc_node *clusters = doc_get(answer, "cluster_statuses");
    for (size_t i = 0; i < doc_count(clusters); i++) {
        const struct doc_node *hosts = doc_get(doc_at(clusters, i), "host_statuses");
        for (size_t j = 0; j < doc_count(hosts); j++) {
            const struct doc_node *host = doc_at(hosts, j);
            const char *health = health_of(s->verb, host);
            table_cell(s->table, address_of(s->verb, host));
            table_cell(s->table, health);
            table_tone(s->table, span_is(span_of(health), "HEALTHY") ? TONE_PLAIN : TONE_BAD);
            table_cell(s->table, number_of(s->verb, host, "cx_active"));
            table_cell(s->table, number_of(s->verb, host, "rq_total"));
            table_cell(s->table, number_of(s->verb, host, "rq_error"));
            table_cell(s->table, cell_text(s->verb, doc_at(clusters, i), "name"));
        }
    }
}

static void cert_rows(struct section *s, const struct doc_node *answer)
{
    static const char *const kinds[] = {"cert_chain", "ca_cert"};
    const struct doc_node *all = doc_get(answer, "certificates");
    for (size_t i = 0; i < doc_count(all) * ARRAY_LEN(kinds); i++) {
        const char *kind = kinds[i % ARRAY_LEN(kinds)];
        const struct doc_node *list = doc_get(doc_at(all, i / ARRAY_LEN(kinds)), kind);
        for (size_t j = 0; j < doc_count(list); j++) {
            const struct doc_node *one = doc_at(list, j);
            const struct doc_node *name = doc_at(doc_get(one, "subject_alt_names"), 0);
            table_cell(s->table, kind == kinds[0] ? "own" : "root");
            table_cell(s->table, cell_text(s->verb, name, "uri"));
            table_cell(s->table, cell_age(s->verb, one, "expiration_time"));
            table_cell(s->table, cell_text(s->verb, one, "serial_number"));
        }
    }
}

/* ---- one table ---- */

static const struct table_column listener_columns[] = {{"LISTENER", TABLE_LEFT, false, 0},
                                                       {"ADDRESS", TABLE_LEFT, false, 0},
                                                       {"CHAINS", TABLE_RIGHT, false, 1},
                                                       {"DIRECTION", TABLE_LEFT, false, 1}};
static const struct table_column cluster_columns[] = {{"CLUSTER", TABLE_LEFT, false, 0},
                                                      {"TYPE", TABLE_LEFT, false, 1},
                                                      {"BALANCER", TABLE_LEFT, false, 1},
                                                      {"TLS", TABLE_LEFT, false, 0}};
static const struct table_column route_columns[] = {{"TABLE", TABLE_LEFT, false, 0},
                                                    {"HOST", TABLE_LEFT, false, 0},
                                                    {"ROUTES", TABLE_RIGHT, false, 0}};
static const struct table_column endpoint_columns[] = {
    {"ENDPOINT", TABLE_LEFT, false, 0}, {"HEALTH", TABLE_LEFT, false, 0},
    {"OPEN", TABLE_RIGHT, false, 1},    {"REQUESTS", TABLE_RIGHT, false, 2},
    {"ERRORS", TABLE_RIGHT, false, 3},  {"CLUSTER", TABLE_LEFT, false, 0}};
static const struct table_column cert_columns[] = {{"KIND", TABLE_LEFT, false, 1},
                                                   {"IDENTITY", TABLE_LEFT, false, 0},
                                                   {"ENDS", TABLE_RIGHT, false, 0},
                                                   {"SERIAL", TABLE_LEFT, true, 1}};

/* ARRAY_LEN wants the array itself. */
#define SECTION(v, columns) (&(struct section){(v), table_new((v), (columns), ARRAY_LEN(columns))})

static void print_page(struct verb *v, const struct settings *set, const struct doc_node *answer)
{
    struct section *s = set->endpoints ? SECTION(v, endpoint_columns) : SECTION(v, cert_columns);
    if (set->endpoints) {
        endpoint_rows(s, answer);
    } else {
        cert_rows(s, answer);
    }
    table_print(s->table);
}

static void print_dump(struct verb *v, const struct settings *set, const struct doc_node *dump)
{
    bool is_all = !set->clusters && !set->listeners && !set->routes;
    if (is_all || set->listeners) {
        struct section *s = SECTION(v, listener_columns);
        each_of(dump, "ListenersConfigDump", "static_listeners,dynamic_listeners", "listener",
                listener_row, s);
        table_print(s->table);
    }
    if (is_all || set->routes) {
        struct section *s = SECTION(v, route_columns);
        each_of(dump, "RoutesConfigDump", "static_route_configs,dynamic_route_configs",
                "route_config", route_row, s);
        fputs(is_all ? "\n" : "", stdout);
        table_print(s->table);
    }
    if (is_all || set->clusters) {
        struct section *s = SECTION(v, cluster_columns);
        each_of(dump, "ClustersConfigDump", "static_clusters,dynamic_active_clusters", "cluster",
                cluster_row, s);
        fputs(is_all ? "\n" : "", stdout);
        table_print(s->table);
    }
    if (is_all) {
        verb_footer(v, "more: --endpoints, --certs, -o json");
    }
}

static int show(struct verb *v, const struct settings *set, const struct doc_node *proxy)
{
    struct span admin = item_text(proxy, "admin");
    struct doc_node *answer = NULL;
    if (admin.len == 0) {
        return verb_fail(v, EXIT_UNREACHABLE, 1009, NULL,
                         "proxy %s does not say where its admin pages are",
                         cell_text(v, proxy, "name"));
    }
    if (v->cluster) {
        return verb_fail(
            v, EXIT_UNREACHABLE, 1009,
            arena_printf(
                &v->arena,
                "kubectl -n %s port-forward %s 15000     then curl localhost:15000/config_dump",
                cell_text(v, proxy, "namespace"), cell_text(v, proxy, "name")),
            "the admin pages of %s are open inside its pod only", cell_text(v, proxy, "name"));
    }
    struct verb_flags flags = *v->flags;
    struct verb other = *v;
    flags.addr = arena_cstr(&v->arena, admin);
    other.flags = &flags;
    other.loop = NULL;
    other.client = NULL;
    arena_init(&other.arena, 65536);
    bool is_page = set->endpoints || set->certs;
    int status = verb_get(&other,
                          set->endpoints ? "/clusters?format=json"
                          : set->certs   ? "/certs"
                                         : "/config_dump",
                          &answer);
    bool is_table =
        flags.output == OUTPUT_TABLE || flags.output == OUTPUT_WIDE || flags.output == OUTPUT_CSV;
    if (status == EXIT_DONE && !is_table) {
        (void)verb_print_doc(&other, answer);
    } else if (status == EXIT_DONE && is_page) {
        print_page(&other, set, answer);
    } else if (status == EXIT_DONE) {
        print_dump(&other, set, answer);
    }
    verb_close(&other);
    return status;
}

int cmd_pc(int argc, char **argv)
{
    struct settings set = {.clusters = false};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count == 1
                     ? verb_get(&v, "/api/v1/proxies", &answer)
                     : verb_fail(&v, EXIT_USAGE, 1004, "mesh ps", "pc needs the name of a proxy");
        if (status == EXIT_DONE) {
            const struct doc_node *proxy = items_pick(&v, doc_get(answer, "items"), "name",
                                                      v.operands.items[0], "proxy", "mesh ps");
            status = proxy ? show(&v, &set, proxy) : EXIT_MISSING;
        }
    }
    verb_close(&v);
    return status;
}

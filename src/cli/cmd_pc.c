/* mesh pc PROXY: what a proxy is configured with, from its own admin pages; control only says where they are. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    bool clusters, listeners, routes, endpoints, certs;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "clusters", .type = OPT_BOOL, .offset = AT(clusters), .help = "names of clusters"},
    {.name = "listeners", .type = OPT_BOOL, .offset = AT(listeners), .help = "names of listeners"},
    {.name = "routes", .type = OPT_BOOL, .offset = AT(routes), .help = "names of route tables"},
    {.name = "endpoints",
     .type = OPT_BOOL,
     .offset = AT(endpoints),
     .help = "endpoints and their state"},
    {.name = "certs", .type = OPT_BOOL, .offset = AT(certs), .help = "certificates in use"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh pc",
    .section = "cli",
    .summary = "What a proxy is configured with, from the proxy itself.",
    .examples = "mesh pc reviews-v1\n"
                "mesh pc reviews-v1 --endpoints\n"
                "mesh pc reviews-v1 -o json\n",
    .operands = "PROXY",
    .rows = rows,
};

/* A proxy by name, or by a part of its id that no other has. */
static const struct doc_node *find(const struct doc_node *items, const char *name)
{
    const struct doc_node *found = NULL;
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *one = doc_at(items, i);
        const struct doc_node *n = doc_get(one, "name");
        if (doc_is(n, DOC_TEXT) && span_is(n->text, name)) {
            return one;
        }
        if (doc_is(n, DOC_TEXT) && span_starts(n->text, span_of(name))) {
            found = found ? NULL : one;
        }
    }
    return found;
}

/* Names of one section of Envoy's config dump: "name" of whatever lies below, however deep it is wrapped. */
static void print_names(struct verb *v, const char *title, const struct doc_node *config,
                        const char *lists, const char *inner)
{
    struct span rest = span_of(lists);
    while (rest.at) {
        struct span key = span_cut(&rest, ',');
        const struct doc_node *list = doc_get_span(config, key);
        for (size_t i = 0; i < doc_count(list); i++) {
            const struct doc_node *one = doc_at(list, i);
            const struct doc_node *body = doc_path(one, inner);
            const struct doc_node *state = doc_get(one, "active_state");
            body = body ? body : state ? doc_get(state, "listener") : NULL;
            printf("%-10s %s\n", title, cell_text(v, body ? body : one, "name"));
        }
    }
}

static void print_dump(struct verb *v, const struct settings *set, const struct doc_node *dump)
{
    bool is_all = !set->clusters && !set->listeners && !set->routes;
    const struct doc_node *configs = doc_get(dump, "configs");
    for (size_t i = 0; i < doc_count(configs); i++) {
        const struct doc_node *config = doc_at(configs, i);
        const struct doc_node *type = doc_get(config, "@type");
        struct span name = doc_is(type, DOC_TEXT) ? type->text : SPAN_EMPTY;
        if (span_ends(name, SPAN("ListenersConfigDump")) && (is_all || set->listeners)) {
            print_names(v, "listener", config, "static_listeners,dynamic_listeners", "listener");
        } else if (span_ends(name, SPAN("ClustersConfigDump")) && (is_all || set->clusters)) {
            print_names(v, "cluster", config, "static_clusters,dynamic_active_clusters", "cluster");
        } else if (span_ends(name, SPAN("RoutesConfigDump")) && (is_all || set->routes)) {
            print_names(v, "route", config, "static_route_configs,dynamic_route_configs",
                        "route_config");
        }
    }
}

static const char *page_of(const struct settings *set)
{
    return set->endpoints ? "/clusters?format=json" : set->certs ? "/certs" : "/config_dump";
}

static int show(struct verb *v, const struct settings *set, const struct doc_node *proxy)
{
    const char *admin = cell_text(v, proxy, "admin");
    struct doc_node *answer = NULL;
    if (strcmp(admin, "-") == 0) {
        return verb_fail(v, EXIT_UNREACHABLE, 1009, NULL,
                         "proxy %s does not say where its admin pages are",
                         cell_text(v, proxy, "name"));
    }
    struct verb_flags flags = *v->flags;
    flags.addr = admin;
    struct verb other = {.flags = &flags};
    arena_init(&other.arena, 65536);
    int status = verb_get(&other, page_of(set), &answer);
    bool is_raw = set->endpoints || set->certs;
    if (status == EXIT_DONE && is_raw && flags.output == OUTPUT_TABLE) {
        flags.output = OUTPUT_YAML;
    }
    if (status == EXIT_DONE && !verb_print_doc(&other, answer)) {
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
        if (v.operands.count != 1) {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh ps", "pc needs the name of a proxy");
        } else {
            status = verb_get(&v, "/api/v1/proxies", &answer);
        }
        if (status == EXIT_DONE) {
            const struct doc_node *proxy = find(doc_get(answer, "items"), v.operands.items[0]);
            status =
                proxy
                    ? show(&v, &set, proxy)
                    : verb_fail(&v, EXIT_MISSING, 1008, "mesh ps",
                                "no proxy that is connected is called \"%s\", or several begin so",
                                v.operands.items[0]);
        }
    }
    verb_close(&v);
    return status;
}

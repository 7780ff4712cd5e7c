/* mesh routes [HOST]: rules, weights, and what really happens. mesh routes set HOST SUBSET=WEIGHT...: shifts traffic. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    int64_t window_ms;
    bool dry_run;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    VERB_WINDOW_ROW(struct settings),
    {.name = "dry-run",
     .type = OPT_BOOL,
     .offset = AT(dry_run),
     .help = "set: print the object, and change nothing"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh routes",
    .section = "cli",
    .summary = "Where requests go: rules, weights, and what really happens.",
    .examples = "mesh routes reviews\n"
                "mesh routes set reviews v1=90 v3=10\n"
                "mesh routes -o json\n",
    .operands = "[set] [HOST] [SUBSET=WEIGHT...]",
    .rows = rows,
};

static const struct table_column columns[] = {
    {"HOST", TABLE_LEFT, false, 0},    {"FROM", TABLE_LEFT, false, 1},
    {"MATCH", TABLE_LEFT, false, 0},   {"TO", TABLE_LEFT, false, 0},
    {"WEIGHT", TABLE_RIGHT, false, 0}, {"EXTRA", TABLE_LEFT, true, 1},
};

/* ---- show ---- */

static const char *joined(struct verb *v, const struct doc_node *list, const char *none)
{
    const char *text = "";
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *one = doc_at(list, i);
        const char *part =
            doc_is(one, DOC_LIST) ? joined(v, one, "any") : arena_cstr(&v->arena, one->text);
        text = arena_printf(&v->arena, "%s%s%s", text,
                            i ? (doc_is(one, DOC_LIST) ? " or " : ", ") : "", part);
    }
    return *text ? text : none;
}

static const char *extra(struct verb *v, const struct doc_node *route)
{
    const char *text = "";
    if (doc_get(route, "timeoutSeconds")) {
        text = arena_printf(&v->arena, "timeout %ss ", cell_rate(v, route, "timeoutSeconds"));
    }
    if (doc_get(route, "delaySeconds")) {
        text = arena_printf(&v->arena, "%sdelay %ss ", text, cell_rate(v, route, "delaySeconds"));
    }
    if (doc_get(route, "abortStatus")) {
        text = arena_printf(&v->arena, "%sabort %s ", text, cell_text(v, route, "abortStatus"));
    }
    return text;
}

/* Hosts without the cluster's domain; a rule for a gateway alone often has none. */
static const char *hosts_of(struct verb *v, const struct doc_node *vhost)
{
    const struct doc_node *hosts = doc_get(vhost, "hosts");
    const char *text = "";
    for (size_t i = 0; i < doc_count(hosts); i++) {
        text = arena_printf(&v->arena, "%s%s%s", text, i ? ", " : "",
                            cell_host(v, doc_at(hosts, i)->text));
    }
    struct span service = item_text(vhost, "service");
    return *text ? text : service.len > 0 ? cell_host(v, service) : "*";
}

static void add_route(struct verb *v, struct table *t, const struct doc_node *vhost,
                      const struct doc_node *route)
{
    const struct doc_node *backends = doc_get(route, "backends");
    size_t count = doc_count(backends);
    for (size_t i = 0; i < (count ? count : 1); i++) {
        const struct doc_node *to = count ? doc_at(backends, i) : NULL;
        const char *host = cell_host(v, item_text(to, "host"));
        bool is_again = i > 0 && v->flags->output != OUTPUT_CSV; /* a table says it once */
        table_cell(t, is_again ? " " : hosts_of(v, vhost));
        table_cell(t, is_again ? " "
                               : arena_printf(&v->arena, "%s %s", cell_text(v, vhost, "kind"),
                                              cell_text(v, vhost, "name")));
        table_cell(t, is_again ? " " : joined(v, doc_get(route, "matches"), "any"));
        table_cell(t, !to ? cell_text(v, route, "action")
                      : doc_get(to, "subset")
                          ? arena_printf(&v->arena, "%s %s", host, cell_text(v, to, "subset"))
                          : host);
        table_cell(t, cell_percent(v, to, "share"));
        table_cell(t, is_again ? " " : extra(v, route));
    }
}

static void print_measured(struct verb *v, struct doc_node *measured)
{
    static const char *const order[] = {"workload", NULL};
    items_sort(measured, order);
    for (size_t i = 0; i < doc_count(measured); i++) {
        const struct doc_node *one = doc_at(measured, i);
        verb_footer(v, "measured  %-16s %9s  %s rps", cell_text(v, one, "workload"),
                    cell_percent(v, one, "share"), cell_rate(v, one, "rps"));
    }
}

static int show(struct verb *v, const struct settings *set, const char *host)
{
    struct doc_node *answer = NULL;
    const char *query = verb_namespace_query(v);
    const char *path =
        arena_printf(&v->arena, "/api/v1/routes%s%swindow=%lld%s%s", query, *query ? "&" : "?",
                     (long long)(set->window_ms / 1000), host ? "&host=" : "",
                     host ? verb_escape(v, span_of(host)) : "");
    int status = verb_get(v, path, &answer);
    if (status != EXIT_DONE || verb_print_doc(v, answer)) {
        return status;
    }
    struct table *t = table_new(v, columns, ARRAY_LEN(columns));
    const struct doc_node *items = doc_get(answer, "items");
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *routes = doc_get(doc_at(items, i), "routes");
        for (size_t j = 0; j < doc_count(routes); j++) {
            add_route(v, t, doc_at(items, i), doc_at(routes, j));
        }
    }
    if (doc_count(items) == 0 && v->flags->output != OUTPUT_CSV) {
        printf("no rules for %s: requests go to all its endpoints alike\n",
               host ? cell_host(v, item_text(answer, "host")) : "any service");
    } else {
        table_print(t);
    }
    print_measured(v, doc_get(answer, "measured"));
    return EXIT_DONE;
}

/* ---- set ---- */

/* {"destination": {"host": ..., "subset": ...}, "weight": ...} of "v1=90"; NULL: it is not of that form. */
static struct doc_node *share(struct verb *v, const char *host, const char *text)
{
    struct arena *a = &v->arena;
    struct span weight = span_of(text);
    struct span subset = span_cut(&weight, '=');
    uint64_t number;
    if (subset.len == 0 || !weight.at || !span_to_u64(weight, &number) || number > 1000000) {
        return NULL;
    }
    struct doc_node *one = doc_new_map(a);
    struct doc_node *to = doc_map_in(a, one, "destination");
    doc_set(a, to, "host", doc_cstr(a, host));
    doc_set_text(a, to, "subset", subset);
    doc_set(a, one, "weight", doc_int(a, (int64_t)number));
    return one;
}

static struct doc_node *new_service(struct verb *v, const char *host)
{
    struct arena *a = &v->arena;
    struct doc_node *o = doc_new_map(a);
    doc_set(a, o, "apiVersion", doc_cstr(a, "networking.istio.io/v1"));
    doc_set(a, o, "kind", doc_cstr(a, "VirtualService"));
    struct doc_node *meta = doc_map_in(a, o, "metadata");
    doc_set(a, meta, "name", doc_cstr(a, host));
    doc_set(a, meta, "namespace", doc_cstr(a, verb_namespace(v)));
    doc_list_add(a, doc_list_in(a, doc_map_in(a, o, "spec"), "hosts"), doc_cstr(a, host));
    return o;
}

/* The rule without a match: the one that weights are about. Added when there is none. */
static struct doc_node *plain_rule(struct verb *v, struct doc_node *object)
{
    struct arena *a = &v->arena;
    struct doc_node *http = doc_list_in(a, doc_map_in(a, object, "spec"), "http");
    for (size_t i = 0; i < doc_count(http); i++) {
        if (doc_count(doc_get(doc_at(http, i), "match")) == 0) {
            return doc_at(http, i);
        }
    }
    return doc_list_add(a, http, doc_new_map(a));
}

/* The VirtualService of that name, as it is now, or a new one. */
static int find_object(struct verb *v, const char *host, struct doc_node **out)
{
    struct doc_node *answer = NULL;
    const char *path =
        arena_printf(&v->arena, "/api/v1/objects?kind=virtualservice&namespace=%s&name=%s",
                     verb_escape(v, span_of(verb_namespace(v))), verb_escape(v, span_of(host)));
    int status = verb_get(v, path, &answer);
    if (status == EXIT_DONE) {
        const struct doc_node *items = doc_get(answer, "items");
        *out = doc_count(items) > 0 ? doc_at(items, 0) : new_service(v, host);
    }
    return status;
}

static int put(struct verb *v, const struct doc_node *object, bool dry_run)
{
    struct buf text;
    struct doc_node *answer = NULL;
    buf_init(&text, 1u << 20);
    int status = EXIT_INVALID;
    if (dry_run && doc_write_yaml(object, &text) == 0) {
        printf("%.*s", SPAN_ARG(buf_span(&text)));
        status = EXIT_DONE;
    } else if (!dry_run && doc_write_json(object, false, &text) == 0) {
        status = verb_send(v, "POST", "/api/v1/apply", buf_span(&text), &answer);
    }
    buf_dispose(&text);
    return status;
}

static int set_weights(struct verb *v, const struct settings *set)
{
    const char *host = v->operands.items[1];
    struct doc_node *object = NULL;
    struct doc_node *list = doc_new_list(&v->arena);
    for (size_t i = 2; i < v->operands.count; i++) {
        struct doc_node *one = share(v, host, v->operands.items[i]);
        if (!one) {
            return verb_fail(v, EXIT_USAGE, 1004, "mesh routes set reviews v1=90 v3=10",
                             "'%s' is not SUBSET=WEIGHT", v->operands.items[i]);
        }
        doc_list_add(&v->arena, list, one);
    }
    int status = find_object(v, host, &object);
    if (status != EXIT_DONE) {
        return status;
    }
    doc_set(&v->arena, plain_rule(v, object), "route", list);
    status = put(v, object, set->dry_run);
    if (status == EXIT_DONE && !set->dry_run) {
        printf("%s:", host);
        for (size_t i = 2; i < v->operands.count; i++) {
            printf(" %s", v->operands.items[i]);
        }
        printf("\n");
        verb_footer(v, "next: mesh routes %s", host);
    }
    return status;
}

int cmd_routes(int argc, char **argv)
{
    struct settings set = {.window_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        bool is_set = v.operands.count > 0 && strcmp(v.operands.items[0], "set") == 0;
        if (is_set && v.operands.count >= 3) {
            status = set_weights(&v, &set);
        } else if (!is_set && v.operands.count <= 1) {
            status = show(&v, &set, v.operands.count ? v.operands.items[0] : NULL);
        } else {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh routes --help",
                               "routes does not take these words");
        }
    }
    verb_close(&v);
    return status;
}

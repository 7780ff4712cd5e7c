/* mesh describe pod/X | svc/X | NAME: one workload or service, as control and the cluster know it.
 * In: options. Out: documents of control's API and, of a pod without a proxy, the cluster's. Next: describe. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/kube_verb.h"
#include "cli/verb_int.h"
#include "inject/inject.h"
#include "inject/pod_merge.h"
#include "mesh/names.h"

struct settings {
    struct verb_flags common;
};

static const struct opt rows[] = {
    VERB_ROWS(struct settings),
    {.name = NULL},
};
static const struct opt_spec spec = {
    .command = "mesh describe",
    .section = "cli",
    .summary = "One workload or service: its proxy, identity, ports, routes, policies and traffic.",
    .examples = "mesh describe reviews\n"
                "mesh describe pod/reviews-v1-55b668fc65-9twzz\n"
                "mesh describe svc/reviews.default -o json\n",
    .operands = "[pod/|svc/]NAME[.NAMESPACE]",
    .rows = rows,
};

enum wish { WISH_ANY, WISH_POD, WISH_SERVICE };

struct run {
    struct verb *v;
    struct describe d;
    enum wish wish;
    const char *name;
};

/* ---- asking ---- */

/* The items of a list; exit code. */
static int fetch(struct run *r, const char *path, const struct doc_node **to)
{
    struct doc_node *answer;
    int status = verb_get(r->v, path, &answer);
    *to = doc_get(answer, "items");
    return status;
}

static int fetch_kind(struct run *r, const char *kind, const char *ns, const struct doc_node **to)
{
    return fetch(r,
                 arena_printf(&r->v->arena, "/api/v1/objects?kind=%s%s%s", kind,
                              ns ? "&namespace=" : "", ns ? verb_escape(r->v, span_of(ns)) : ""),
                 to);
}

static const char *const kinds[] = {"pods", "workloadentries", "services", "destinationrules",
                                    "peerauthentications"};

static int fetch_objects(struct run *r)
{
    struct describe *d = &r->d;
    const struct doc_node *entries;
    int status = fetch_kind(r, kinds[0], d->ns, &d->pods);
    status = status ? status : fetch_kind(r, kinds[1], d->ns, &entries);
    status = status ? status : fetch_kind(r, kinds[2], d->ns, &d->services);
    status = status ? status : fetch_kind(r, kinds[3], NULL, &d->rules);
    status = status ? status : fetch_kind(r, kinds[4], NULL, &d->peers);
    status = status ? status : fetch(r, "/api/v1/proxies", &d->proxies);
    if (status == EXIT_DONE) {
        struct doc_node *all = doc_new_list(&r->v->arena);
        for (size_t i = 0; i < doc_count(d->pods); i++) {
            doc_list_add(&r->v->arena, all, doc_at(d->pods, i));
        }
        for (size_t i = 0; i < doc_count(entries); i++) {
            doc_list_add(&r->v->arena, all, doc_at(entries, i));
        }
        d->pods = all;
    }
    return status;
}

/* ---- which one ---- */

static const struct doc_node *named(const struct doc_node *list, const char *name)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        if (span_is(item_text(doc_at(list, i), "metadata.name"), name)) {
            return doc_at(list, i);
        }
    }
    return NULL;
}

/* The only one whose name begins so. */
static int pick_prefix(struct run *r)
{
    struct describe *d = &r->d;
    struct arena *a = &r->v->arena;
    const struct doc_node *from = r->wish == WISH_SERVICE ? d->services : d->pods;
    struct doc_node *names = doc_new_list(a);
    for (size_t i = 0; i < doc_count(from); i++) {
        struct doc_node *one = doc_list_add(a, names, doc_new_map(a));
        doc_set_text(a, one, "name", item_text(doc_at(from, i), "metadata.name"));
    }
    const struct doc_node *found =
        items_pick(r->v, names, "name", r->name, r->wish == WISH_SERVICE ? "service" : "pod",
                   "mesh get services,   mesh ps");
    if (!found) {
        return EXIT_MISSING;
    }
    const struct doc_node *one = named(from, arena_cstr(a, item_text(found, "name")));
    d->service = r->wish == WISH_SERVICE ? one : NULL;
    d->pod = r->wish == WISH_SERVICE ? NULL : one;
    return EXIT_DONE;
}

static int pick(struct run *r)
{
    struct describe *d = &r->d;
    if (r->wish != WISH_POD) {
        d->service = named(d->services, r->name);
    }
    if (!d->service && r->wish != WISH_SERVICE) {
        d->pod = named(d->pods, r->name);
    }
    if (d->service || d->pod) {
        return EXIT_DONE;
    }
    for (size_t i = 0; r->wish != WISH_SERVICE && i < doc_count(d->proxies); i++) {
        const struct doc_node *one = doc_at(d->proxies, i);
        if (span_is(item_text(one, "name"), r->name) &&
            span_is(item_text(one, "namespace"), d->ns)) {
            d->proxy = one; /* of a gateway that is no object */
            d->workload = arena_cstr(&r->v->arena, item_text(one, "workload"));
            return EXIT_DONE;
        }
    }
    return pick_prefix(r);
}

static void find_proxy(struct describe *d)
{
    for (size_t i = 0; d->pod && i < doc_count(d->proxies); i++) {
        const struct doc_node *one = doc_at(d->proxies, i);
        if (span_is(item_text(one, "namespace"), d->ns) &&
            span_eq(item_text(one, "name"), item_text(d->pod, "metadata.name"))) {
            d->proxy = one;
        }
    }
}

/* ---- a pod without a proxy ---- */

/* The same code decides as in the webhook; what is decided against the pod as it is, with the label as it is now, tells whether it is older. */
static void explain(struct run *r, const struct doc_node *pod, const struct doc_node *labels)
{
    struct describe *d = &r->d;
    struct inject_settings settings;
    struct inject_answer answer;
    const struct doc_node *proxy = pod_merge_proxy(pod, NULL, NULL);
    const struct inject_subject subject = {
        .pod = pod, .namespace = span_of(d->ns), .namespace_labels = labels};
    inject_settings_init(&settings, &r->v->arena);
    inject_decide(&subject, &settings, &r->v->arena, &answer);
    if (proxy) {
        d->no_proxy = "its proxy is not connected to control (MESH1358)";
        d->no_proxy_fix = arena_printf(&r->v->arena, "kubectl -n %s logs %.*s -c %.*s", d->ns,
                                       SPAN_ARG(item_text(pod, "metadata.name")),
                                       SPAN_ARG(item_text(proxy, "name")));
    } else if (answer.outcome == INJECT_YES) {
        d->no_proxy = arena_printf(&r->v->arena,
                                   "it should have one (%s); the pod is older than that (MESH1352)",
                                   answer.rule);
        d->no_proxy_fix = "mesh check --fix";
    } else {
        d->no_proxy = arena_printf(&r->v->arena, "%s (MESH%04u)", answer.why, answer.code);
        d->no_proxy_fix = answer.fix;
    }
}

static int explain_missing(struct run *r)
{
    struct kube_verb k;
    struct doc_node *pod, *ns = NULL;
    if (!r->v->cluster || !r->d.pod || r->d.proxy) {
        return EXIT_DONE;
    }
    int status = kube_verb_open(&k, r->v);
    const char *name = arena_cstr(&r->v->arena, item_text(r->d.pod, "metadata.name"));
    status = status ? status : kube_verb_get(&k, &kube_verb_pods, r->d.ns, name, &pod);
    status = status ? status : kube_verb_get(&k, &kube_verb_namespaces, NULL, r->d.ns, &ns);
    if (status == EXIT_DONE) {
        const struct doc_node *labels = doc_path(ns, "metadata.labels");
        explain(r, pod, labels ? labels : doc_new_map(&r->v->arena));
    }
    kube_verb_close(&k);
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

/* ---- the rest ---- */

static int fetch_routes(struct run *r)
{
    struct describe *d = &r->d;
    struct arena *a = &r->v->arena;
    struct doc_node *all = doc_new_list(a);
    int status = EXIT_DONE;
    for (size_t i = 0; i < doc_count(d->services) && status == EXIT_DONE; i++) {
        const struct doc_node *service = doc_at(d->services, i);
        const struct doc_node *items = NULL;
        if (service != d->service && !(d->pod && describe_is_selected(service, d->pod))) {
            continue;
        }
        status = fetch(r,
                       arena_printf(a, "/api/v1/routes?namespace=%s&host=%s",
                                    verb_escape(r->v, span_of(d->ns)),
                                    verb_escape(r->v, item_text(service, "metadata.name"))),
                       &items);
        for (size_t j = 0; j < doc_count(items); j++) {
            doc_list_add(a, all, doc_at(items, j));
        }
    }
    d->routes = all;
    return status;
}

/* Who may call it; a workload that control does not know has no policies. */
static void fetch_policies(struct run *r)
{
    struct describe *d = &r->d;
    struct doc_node *answer = NULL;
    const char *path =
        arena_printf(&r->v->arena, "/api/v1/authz/policies?namespace=%s&destination=%s",
                     verb_escape(r->v, span_of(d->ns)), verb_escape(r->v, span_of(d->workload)));
    if (verb_try(r->v, "GET", path, SPAN_EMPTY, &answer) == EXIT_DONE) {
        d->policies = doc_get(answer, "items");
    }
}

static int fetch_edges(struct run *r)
{
    static const char *const order[] = {"source.workload", "destination.workload", NULL};
    struct doc_node *answer;
    int status = verb_get(r->v, "/api/v1/edges?window=60", &answer);
    items_sort(doc_get(answer, "items"), order);
    r->d.edges = doc_get(answer, "items");
    return status;
}

static int gather(struct run *r)
{
    struct describe *d = &r->d;
    int status = fetch_objects(r);
    status = status ? status : pick(r);
    if (status != EXIT_DONE) {
        return status;
    }
    for (size_t i = 0; d->service && i < doc_count(d->pods) && !d->workload; i++) {
        const struct doc_node *pod = doc_at(d->pods, i);
        d->workload = describe_is_selected(d->service, pod) ? describe_workload(r->v, pod) : NULL;
    }
    d->workload = d->workload ? d->workload : d->pod ? describe_workload(r->v, d->pod) : r->name;
    find_proxy(d);
    status = explain_missing(r);
    status = status ? status : fetch_routes(r);
    status = status ? status : fetch_edges(r);
    status = status ? status : fetch(r, "/api/v1/findings", &d->findings);
    if (status == EXIT_DONE && d->proxy) {
        struct doc_node *certs = NULL;
        const char *path = arena_printf(&r->v->arena, "/api/v1/certs?identity=%s",
                                        verb_escape(r->v, item_text(d->proxy, "identity")));
        if (verb_try(r->v, "GET", path, SPAN_EMPTY, &certs) == EXIT_DONE) {
            d->certs = doc_get(certs, "items"); /* else this control has no authority */
        }
    }
    if (status == EXIT_DONE) {
        fetch_policies(r);
    }
    return status;
}

static struct doc_node *answer_of(struct run *r)
{
    struct arena *a = &r->v->arena;
    const struct describe *d = &r->d;
    const struct doc_node *self = d->service ? d->service : d->pod;
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "Description"));
    struct doc_node *subject = doc_map_in(a, doc, "subject");
    doc_set_text(a, subject, "kind", item_text(self, "kind"));
    doc_set(a, subject, "namespace", doc_cstr(a, d->ns));
    doc_set_text(a, subject, "name", item_text(self, "metadata.name"));
    doc_set(a, subject, "workload", doc_cstr(a, d->workload));
    doc_set(a, doc, "facts", d->facts);
    return doc;
}

static void print(struct run *r)
{
    struct span last = SPAN_EMPTY;
    const struct describe *d = &r->d;
    struct span self = item_text(d->service ? d->service : d->pod, "metadata.name");
    self = self.len > 0 ? self : span_of(d->workload);
    printf("%.*s.%s\n", SPAN_ARG(self), d->ns);
    for (size_t i = 0; i < doc_count(d->facts); i++) {
        const struct doc_node *one = doc_at(d->facts, i);
        struct span name = item_text(one, "name");
        printf("  %-10.*s %.*s\n", span_eq(name, last) ? 0 : (int)name.len, name.at,
               SPAN_ARG(item_text(one, "text")));
        last = name;
    }
    const char *next = d->service ? r->name : d->workload;
    verb_footer(r->v, "next: mesh edges %s   mesh tap %s", next, next);
}

/* "svc/reviews.default" */
static int read_target(struct run *r)
{
    static const struct {
        const char *word;
        enum wish wish;
    } words[] = {{"pod", WISH_POD},       {"pods", WISH_POD},          {"po", WISH_POD},
                 {"svc", WISH_SERVICE},   {"service", WISH_SERVICE},   {"services", WISH_SERVICE},
                 {"workload", WISH_POD},  {"workloadentry", WISH_POD}, {"deploy", WISH_POD},
                 {"deployment", WISH_POD}};
    struct span rest = span_of(r->v->operands.items[0]);
    struct arena *a = &r->v->arena;
    if (span_find_byte(rest, '/') >= 0) {
        struct span word = span_cut(&rest, '/');
        size_t i = 0;
        while (i < ARRAY_LEN(words) && !span_eq_nocase(word, span_of(words[i].word))) {
            i++;
        }
        if (i == ARRAY_LEN(words)) {
            return verb_fail(r->v, EXIT_USAGE, 1004, "mesh get KIND/NAME      prints any object",
                             "describe knows pod/ and svc/, not '%.*s/'", SPAN_ARG(word));
        }
        r->wish = words[i].wish;
    }
    struct span name = span_cut(&rest, '.');
    r->name = arena_cstr(a, name);
    r->d.ns = rest.len > 0 ? arena_cstr(a, rest) : verb_namespace(r->v);
    return EXIT_DONE;
}

int cmd_describe(int argc, char **argv)
{
    struct settings set = {.common = {.timeout_ms = 0}};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct run r = {.v = &v, .d = {.verb = &v}};
        if (v.operands.count == 2 && !strchr(v.operands.items[0], '/')) { /* describe pod X */
            v.operands.items[0] =
                arena_printf(&v.arena, "%s/%s", v.operands.items[0], v.operands.items[1]);
            v.operands.count = 1;
        }
        status = v.operands.count == 1
                     ? read_target(&r)
                     : verb_fail(&v, EXIT_USAGE, 1004, "mesh describe svc/reviews",
                                 "describe takes one workload or service");
        status = status ? status : gather(&r);
        if (status == EXIT_DONE) {
            describe_facts(&r.d);
            if (!verb_print_doc(&v, answer_of(&r))) {
                print(&r);
            }
        }
    }
    verb_close(&v);
    return status;
}

/* mesh check: whether cluster, control, injection, certificates, proxies and objects are well; what is not, comes with what to do. Before an
 * installation: whether the cluster takes one.
 * In: options. Next: check_cluster, check_pods, check_mesh. */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/check.h"
#include "cli/commands.h"
#include "cli/install.h"
#include "cli/verb_int.h"
#include "codec/date.h"
#include "mesh/names.h"

struct settings {
    struct verb_flags common;
    bool before, fix, yes;
    int fail_on;
    int64_t certs_within_ms;
};

#define AT(field) offsetof(struct settings, field)
static const char *const levels[] = {"info", "warning", "error", NULL};
static const struct opt rows[] = {
    {.name = "before",
     .type = OPT_BOOL,
     .offset = AT(before),
     .help = "only what installing needs"},
    {.name = "fix",
     .type = OPT_BOOL,
     .offset = AT(fix),
     .help = "restart workloads whose pods should have a proxy; asks first"},
    {.name = "yes", .letter = 'y', .type = OPT_BOOL, .offset = AT(yes), .help = "do not ask"},
    {.name = "fail-on",
     .type = OPT_CHOICE,
     .offset = AT(fail_on),
     .choices = levels,
     .fallback = "error",
     .help = "how bad a finding must be for exit code 1"},
    {.name = "certs-within",
     .type = OPT_DURATION,
     .offset = AT(certs_within_ms),
     .arg = "TIME",
     .fallback = "168h",
     .help = "a root that ends within it is an error"},
    VERB_LOOK_ROWS(struct settings),
    VERB_OUTPUT_ROWS(struct settings),
    VERB_TIMEOUT_ROW(struct settings, "5s", "how long to wait for an answer"),
    VERB_ADDR_ROW(struct settings),
    VERB_CLUSTER_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh check",
    .section = "cli",
    .summary = "Whether the mesh is well; what is not, comes with what to do.",
    .examples = "mesh check\n"
                "mesh check --before\n"
                "mesh check --fix\n",
    .rows = rows,
};

struct run {
    struct verb *v;
    const struct settings *set;
    struct check check;
    struct check_answers answers;
    struct check_pods pods;
    struct check_cluster cluster;
    int64_t started_ms;
};

static int64_t number(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_INT) ? n->integer : 0;
}

static const char *dots(struct verb *v)
{
    return v->is_ascii ? " - " : " \u00b7 ";
}

static int finish(struct run *r, const char *head)
{
    check_print(&r->check, head, r->started_ms);
    return check_exit(&r->check, (enum check_result)(CHECK_NOTE + r->set->fail_on));
}

/* ---- control on this machine ---- */

static int check_machine(struct run *r)
{
    struct verb *v = r->v;
    struct doc_node *status, *proxies = NULL, *certs = NULL, *findings = NULL;
    int64_t began = instant_mono_ns();
    int code = verb_get(v, "/api/v1/status", &status);
    if (code != EXIT_DONE) {
        return code;
    }
    double ms = (double)(instant_mono_ns() - began) / 1000000;
    check_pass(&r->check, CHECK_CONTROL, "control/ready", "answers in %.1f ms", ms);
    code = verb_get(v, "/api/v1/proxies", &proxies);
    code = code ? code : verb_get(v, "/api/v1/findings", &findings);
    if (code == EXIT_DONE && doc_get(status, "ca")) {
        code = verb_get(v, "/api/v1/certs?limit=1000", &certs);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    r->answers = (struct check_answers){status, proxies, certs, findings};
    check_mesh(&r->check, &r->answers, r->set->certs_within_ms, instant_wall_us());
    const char *dot = dots(v);
    return finish(r, arena_printf(&v->arena, "%s%smesh %s%s%lld proxies", v->target, dot,
                                  cell_text(v, status, "version"), dot,
                                  (long long)number(status, "proxies.connected")));
}

/* ---- a cluster ---- */

/* What control says; one that does not answer is a check that failed. */
static void ask_control(struct run *r)
{
    static const char *const paths[] = {"/api/v1/status", "/api/v1/proxies",
                                        "/api/v1/certs?limit=1000", "/api/v1/findings"};
    struct kube_verb *k = r->cluster.kube;
    struct kube_call_spec specs[ARRAY_LEN(paths)];
    struct kube_answer answers[ARRAY_LEN(paths)];
    if (verb_cluster_attach(k, &answers[0]) != 0) {
        check_find(&r->check, CHECK_CONTROL, "control/api", 1346, NULL,
                   "the token of control's API can not be read: %s", answers[0].why);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        specs[i] = verb_cluster_call(r->v, "GET", paths[i]);
        specs[i].no_retry = true;
    }
    kube_ask_all(k->client, &r->v->arena, specs, ARRAY_LEN(paths), answers);
    if (answers[0].code != 0 || answers[1].code != 0) {
        const struct kube_answer *bad = &answers[answers[0].code == 0];
        check_find(&r->check, CHECK_CONTROL, "control/api", 1346, NULL,
                   "control does not answer through the API server: %s", bad->why);
        return;
    }
    check_pass(&r->check, CHECK_CONTROL, "control/api", "%s", "");
    r->answers = (struct check_answers){answers[0].doc, answers[1].doc,
                                        answers[2].code ? NULL : answers[2].doc,
                                        answers[3].code ? NULL : answers[3].doc};
    check_mesh(&r->check, &r->answers, r->set->certs_within_ms, instant_wall_us());
    check_pods_known(&r->check, &r->pods, doc_get(answers[1].doc, "items"));
}

/* What the injector goes by: its ConfigMap, or what is usual. */
static struct inject_settings *read_settings(struct run *r, const struct doc_node *map)
{
    struct inject_settings *settings = arena_new(&r->v->arena, struct inject_settings);
    struct doc_node *doc;
    struct err err;
    inject_settings_init(settings, &r->v->arena);
    const struct doc_node *text = doc_get(doc_get(map, "data"), INJECT_CONFIG_KEY);
    if (doc_is(text, DOC_TEXT) &&
        doc_parse_yaml(&r->v->arena, text->text, INJECT_CONFIG_MAP, &doc, &err) == 0 &&
        inject_settings_read(settings, doc, &r->v->arena, &err) != 0) {
        check_find(&r->check, CHECK_INJECTION, "injection/settings", 1218, NULL, "%s", err.text);
    }
    return settings;
}

/* -n: only pods of that namespace; NULL: all. */
static const char *pods_of(const struct verb *v)
{
    return v->flags->all_namespaces ? NULL : v->flags->namespace;
}

static int look_at_pods(struct run *r)
{
    struct doc_node *map, *pods, *namespaces = NULL;
    struct kube_verb *k = r->cluster.kube;
    int status =
        kube_verb_get(k, &kube_verb_configmaps, MESH_SYSTEM_NAMESPACE, INJECT_CONFIG_MAP, &map);
    status = status == EXIT_MISSING ? EXIT_DONE : status;
    status = status ? status : kube_verb_list(k, &kube_verb_namespaces, NULL, NULL, &namespaces);
    status = status ? status : kube_verb_list(k, &kube_verb_pods, pods_of(r->v), NULL, &pods);
    if (status == EXIT_DONE) {
        r->pods.settings = read_settings(r, map);
        r->pods.namespaces = namespaces;
        r->pods.pods = pods;
        check_pods(&r->check, &r->pods);
    }
    return status;
}

static const char *head_of(struct run *r)
{
    struct verb *v = r->v;
    const struct kube_verb *k = r->cluster.kube;
    const char *dot = dots(v);
    const char *head = arena_printf(&v->arena, "%s%sKubernetes %s", k->context, dot, k->version);
    if (r->cluster.before) {
        return arena_printf(&v->arena, "%s%sbefore an installation", head, dot);
    }
    return arena_printf(&v->arena, "%s%smesh %s%s%zu pods with a proxy, %zu connected", head, dot,
                        r->answers.status ? cell_text(v, r->answers.status, "version") : "-", dot,
                        r->pods.meshed, doc_count(doc_get(r->answers.proxies, "items")));
}

/* ---- --fix ---- */

/* As `kubectl rollout restart` does it. */
static int restart(struct kube_verb *k, const struct check_owner *o)
{
    struct arena *a = &k->verb->arena;
    struct kube_kind kind = {"apps", "v1", "deployments", true};
    struct doc_node *patch = doc_new_map(a);
    char now[DATE_TEXT_BYTES];
    kind.plural = strcmp(o->kind, "StatefulSet") == 0 ? "statefulsets"
                  : strcmp(o->kind, "DaemonSet") == 0 ? "daemonsets"
                                                      : kind.plural;
    size_t len = date_format_rfc3339(instant_wall_us(), 0, now);
    struct doc_node *template = doc_map_in(a, doc_map_in(a, patch, "spec"), "template");
    struct doc_node *notes = doc_map_in(a, doc_map_in(a, template, "metadata"), "annotations");
    doc_set_text(a, notes, "kubectl.kubernetes.io/restartedAt", span_from(now, len));
    return kube_verb_patch(k, &kind, o->ns, o->name, patch, NULL);
}

static int fix(struct run *r)
{
    struct kube_verb *k = r->cluster.kube;
    size_t count = 0;
    int status = EXIT_DONE;
    for (size_t i = 0; i < r->pods.owner_count; i++) {
        count += r->pods.owners[i].can_restart;
    }
    if (count == 0) {
        fputs("nothing to restart\n", stderr);
        return EXIT_DONE;
    }
    if (!r->cluster.is_injecting) {
        return verb_fail(r->v, EXIT_NEGATIVE, 1361, NULL,
                         "the injector does not work: pods of %zu workloads would be refused",
                         count);
    }
    status = install_confirm(k, r->set->yes,
                             arena_printf(&r->v->arena,
                                          "restart %zu workload%s, one pod after the other?", count,
                                          count == 1 ? "" : "s"));
    for (size_t i = 0; i < r->pods.owner_count && status == EXIT_DONE; i++) {
        const struct check_owner *o = &r->pods.owners[i];
        status = o->can_restart ? restart(k, o) : EXIT_DONE;
        if (o->can_restart && status == EXIT_DONE) {
            fprintf(stderr, "restarted %s %s/%s\n", o->kind, o->ns, o->name);
        }
    }
    return status;
}

static int check_kubernetes(struct run *r)
{
    struct kube_verb k;
    int status = kube_verb_open(&k, r->v);
    r->cluster = (struct check_cluster){.kube = &k, .before = r->set->before};
    (void)snprintf(r->v->target, sizeof r->v->target, "context %.140s", k.context);
    status = status ? status : check_cluster(&r->check, &r->cluster);
    if (status == EXIT_DONE && !r->cluster.before) {
        status = look_at_pods(r);
        if (status == EXIT_DONE) {
            ask_control(r);
        }
    }
    if (status == EXIT_DONE) {
        status = finish(r, head_of(r));
        bool is_screen = r->v->flags->output <= OUTPUT_WIDE;
        if (r->cluster.before && status == EXIT_DONE && is_screen) {
            verb_footer(r->v, "next: mesh install --set profile=demo");
        }
        int fixed = r->set->fix && !r->cluster.before ? fix(r) : EXIT_DONE;
        status = fixed ? fixed : status;
    }
    kube_verb_close(&k);
    return status;
}

int cmd_check(int argc, char **argv)
{
    struct settings set = {.before = false};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct run r = {.v = &v, .set = &set, .started_ms = instant_mono_ms()};
        check_init(&r.check, &v);
        status = set.before || set.fix || verb_cluster_is_wanted(&v) ? check_kubernetes(&r)
                                                                     : check_machine(&r);
    }
    verb_close(&v);
    return status;
}

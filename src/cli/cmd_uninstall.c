/* mesh uninstall: takes away what is ours, and leaves what is theirs. In: commands.def. Next: install_remove. */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/commands.h"
#include "cli/install.h"

#define LOOK_MS 250

struct settings {
    struct verb_flags common;
    bool dry_run, yes, purge;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "purge",
     .type = OPT_BOOL,
     .offset = AT(purge),
     .help = "also definitions (CRDs) of ours that hold objects, and so these objects"},
    {.name = "dry-run", .type = OPT_BOOL, .offset = AT(dry_run), .help = "only list what would go"},
    {.name = "yes", .letter = 'y', .type = OPT_BOOL, .offset = AT(yes), .help = "do not ask"},
    VERB_TIMEOUT_ROW(struct settings, "2m", "how long to wait until all is gone"),
    VERB_OUTPUT_ROWS(struct settings),
    VERB_CLUSTER_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec uninstall_spec = {
    .command = "mesh uninstall",
    .section = "cli",
    .summary = "Removes the mesh from a Kubernetes cluster; what others made stays.",
    .examples = "mesh uninstall --dry-run\n"
                "mesh uninstall -y\n"
                "mesh uninstall --purge -y\n",
    .rows = rows,
};

struct run {
    struct verb *v;
    const struct settings *set;
    struct kube_verb k;
    struct install_plan plan;
    struct progress progress;
    const char *kept;
    size_t sidecars; /* pods that keep theirs until they are made anew */
};

static bool is_table(const struct verb *v)
{
    return v->flags->output == OUTPUT_TABLE || v->flags->output == OUTPUT_WIDE;
}

static int count_sidecars(struct run *r)
{
    struct doc_node *pods;
    int status = kube_verb_list(&r->k, &kube_verb_pods, NULL, NULL, &pods);
    for (size_t i = 0; i < doc_count(pods); i++) {
        const struct doc_node *pod = doc_at(pods, i);
        r->sidecars += !install_is_ours(pod) && install_pods_has_proxy(pod);
    }
    return status;
}

static int remove_all(struct run *r)
{
    int status = EXIT_DONE;
    progress_step(&r->progress, "remove");
    for (size_t i = 0; i < r->plan.count; i++) {
        const struct install_item *item = &r->plan.items[i];
        progress_say(&r->progress, "%s %s", item->what, item->name);
        status = kube_verb_delete(&r->k, &item->kind, item->ns, item->name);
        if (status != EXIT_DONE && status != EXIT_MISSING) {
            return status;
        }
    }
    progress_done(&r->progress, "%zu objects", r->plan.count);
    return EXIT_DONE;
}

static int wait_gone(struct run *r)
{
    int64_t deadline = instant_mono_ms() + r->v->flags->timeout_ms;
    progress_step(&r->progress, "gone");
    for (size_t i = 0; i < r->plan.count;) {
        const struct install_item *item = &r->plan.items[i];
        struct doc_node *doc;
        int status = kube_verb_get(&r->k, &item->kind, item->ns, item->name, &doc);
        if (status != EXIT_DONE && status != EXIT_MISSING) {
            return status;
        }
        if (status == EXIT_MISSING) {
            i++;
            continue;
        }
        if (instant_mono_ms() > deadline) {
            progress_fail(&r->progress, "%zu objects left", r->plan.count - i);
            return verb_fail(r->v, EXIT_TIMED_OUT, 1327,
                             "mesh uninstall -y     again, once what holds it is away",
                             "%s %s does not go", item->what, item->name);
        }
        progress_say(&r->progress, "%s %s, %zu left", item->what, item->name, r->plan.count - i);
        kube_verb_pause(&r->k, LOOK_MS);
    }
    progress_done(&r->progress, "0 objects left");
    return EXIT_DONE;
}

static void print_end(struct run *r)
{
    struct arena *a = &r->v->arena;
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "UninstallReport"));
    doc_set(a, doc, "context", doc_cstr(a, r->k.context));
    doc_set(a, doc, "steps", r->progress.steps);
    doc_set(a, doc, "items", install_plan_doc(&r->k, &r->plan));
    doc_set(a, doc, "kept", doc_cstr(a, r->kept));
    doc_set(a, doc, "sidecars", doc_int(a, (int64_t)r->sidecars));
    if (verb_print_doc(r->v, doc)) {
        return;
    }
    if (r->kept[0]) {
        printf("kept, for what they hold: %s; --purge removes them and it\n", r->kept);
    }
    if (r->sidecars > 0) {
        printf(
            "%zu pods still have a sidecar; they lose it when they are made anew: kubectl rollout restart "
            "deployment -n NAMESPACE\n",
            r->sidecars);
    }
}

static int run(struct run *r)
{
    int status = install_plan_remove(&r->k, r->set->purge, &r->plan, &r->kept);
    status = status ? status : count_sidecars(r);
    if (status == EXIT_DONE && is_table(r->v)) {
        verb_footer(r->v, "context %s \u00b7 Kubernetes %s", r->k.context, r->k.version);
    }
    if (status == EXIT_DONE && is_table(r->v) && (r->set->dry_run || !r->set->yes)) {
        install_plan_print(&r->k, &r->plan);
    }
    if (status != EXIT_DONE || r->set->dry_run) {
        return status;
    }
    if (r->plan.count > 0) {
        status =
            install_confirm(&r->k, r->set->yes,
                            arena_printf(&r->v->arena, "remove these %zu objects?", r->plan.count));
        status = status ? status : remove_all(r);
    }
    return status ? status : wait_gone(r);
}

int cmd_uninstall(int argc, char **argv)
{
    struct settings set = {.dry_run = false};
    struct verb v;
    struct run r = {.v = &v, .set = &set, .kept = ""};
    int status;
    if (verb_open(&v, &uninstall_spec, &set, argc, argv, &status) == 0) {
        status = kube_verb_open(&r.k, &v);
        progress_init(&r.progress, &v);
        status = status ? status : run(&r);
        progress_clear(&r.progress);
        if (status == EXIT_DONE) {
            print_end(&r);
        }
        kube_verb_close(&r.k);
    }
    verb_close(&v);
    return status;
}

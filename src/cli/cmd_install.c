/* mesh install, and what mesh upgrade has in common with it: the mesh into a cluster, by server-side apply, in steps that are told as they are done.
 * In: commands.def. Next: install_values, install_render, install_plan, install_wait. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "cli/cmd_install.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/image_load.h"
#include "cli/install.h"
#include "mesh/names.h"

#define PROBE_MS 20000
#define IMAGE_FILE "mesh-image.tar"
#define SKEW_MAX_S 60

struct settings {
    struct verb_flags common;
    struct opt_list set, files;
    bool dry_run, yes, keys, self_image;
};

#define AT(field) offsetof(struct settings, field)
const struct opt cmd_install_rows[] = {
    {.name = "set",
     .type = OPT_LIST,
     .offset = AT(set),
     .arg = "KEY=VALUE",
     .help = "a setting; may be given again; --keys lists them"},
    {.name = "values",
     .letter = 'f',
     .type = OPT_LIST,
     .offset = AT(files),
     .arg = "FILE",
     .help = "settings as YAML; - for stdin; --set wins"},
    {.name = "keys", .type = OPT_BOOL, .offset = AT(keys), .help = "list the settings, and end"},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .offset = AT(dry_run),
     .help = "only say what would change; with -o yaml print the objects, without a cluster"},
    {.name = "self-image",
     .type = OPT_BOOL,
     .offset = AT(self_image),
     .help = "bring this program as an image to the nodes (kind, k3d, minikube, docker, ...)"},
    {.name = "yes", .letter = 'y', .type = OPT_BOOL, .offset = AT(yes), .help = "do not ask"},
    VERB_TIMEOUT_ROW(struct settings, "2m", "how long to wait until all is ready"),
    VERB_OUTPUT_ROWS(struct settings),
    VERB_CLUSTER_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec install_spec = {
    .command = "mesh install",
    .section = "cli",
    .summary = "Installs the mesh into a Kubernetes cluster; again, it brings it up to date.",
    .examples = "mesh install --set profile=demo -y\n"
                "mesh install --set meshConfig.accessLogFile=/dev/stdout --dry-run\n"
                "mesh install --dry-run -o yaml > mesh.yaml\n",
    .rows = cmd_install_rows,
};

/* One run. */
struct run {
    struct verb *v;
    const struct settings *set;
    bool is_upgrade;
    struct kube_verb k;
    struct install_values values;
    struct install_look look;
    struct install_plan plan;
    struct progress progress;
    int64_t deadline_ms;
    const char *restart; /* namespaces whose pods are older */
    size_t warnings;
};

/* ---- settings ---- */

static int print_keys(struct verb *v)
{
    static const struct table_column columns[] = {{.title = "KEY"},
                                                  {.title = "DEFAULT"},
                                                  {.title = "SHORT", .wide_only = true},
                                                  {.title = "MEANING"}};
    struct table *t = table_new(v, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        const struct install_key *key = &install_keys[i];
        bool is_choice = strchr(key->type, '|') != NULL;
        table_cell(t, key->name);
        table_cell(t, key->fallback);
        table_cell(t, key->alias);
        table_cell(t,
                   is_choice ? arena_printf(&v->arena, "%s; %s", key->help, key->type) : key->help);
    }
    table_print(t);
    return EXIT_DONE;
}

static int read_values_file(struct run *r, const char *path)
{
    struct verb *v = r->v;
    struct err err;
    struct doc_node *doc = NULL;
    struct buf text;
    buf_init(&text, INPUT_MAX);
    int code = input_read(path, &text);
    code = code ? err_set(&err, code, "'%s' can not be read: %s", path, err_name(code))
                : doc_parse_yaml(&v->arena, buf_span(&text), path, &doc, &err);
    buf_dispose(&text);
    code = code ? code : install_values_read(&r->values, &v->arena, doc, &err);
    return code ? verb_fail(v, EXIT_INVALID, 1320, "mesh install --keys", "%s", err.text)
                : EXIT_DONE;
}

static int read_told(struct run *r)
{
    struct err err;
    for (size_t i = 0; i < r->set->files.count; i++) {
        int status = read_values_file(r, r->set->files.items[i]);
        if (status != EXIT_DONE) {
            return status;
        }
    }
    for (size_t i = 0; i < r->set->set.count; i++) {
        if (install_values_set(&r->values, &r->v->arena, r->set->set.items[i], &err) != 0) {
            return verb_fail(r->v, EXIT_USAGE, 1320, "mesh install --keys", "--set: %s", err.text);
        }
    }
    return EXIT_DONE;
}

/* What an installation was told, below what is told now. A key of an older or newer version is none of ours. */
static int read_record(struct run *r)
{
    struct doc_node *map;
    struct err err;
    struct install_values told = r->values;
    int status =
        kube_verb_get(&r->k, &kube_verb_configmaps, MESH_SYSTEM_NAMESPACE, INSTALL_RECORD, &map);
    const struct doc_node *data = doc_get(map, "data");
    for (size_t i = 0; i < doc_count(data); i++) {
        const struct doc_entry *e = &data->entries[i];
        const char *text =
            arena_printf(&r->v->arena, "%.*s=%.*s", SPAN_ARG(e->key), SPAN_ARG(e->value->text));
        if (doc_is(e->value, DOC_TEXT) &&
            install_values_set(&r->values, &r->v->arena, text, &err) != 0) {
            fprintf(stderr, "warning[MESH1320]: %s: it was set when this mesh was installed\n",
                    err.text);
        }
    }
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        r->values.at[i] = told.at[i] ? told.at[i] : r->values.at[i];
    }
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

/* ---- objects ---- */

static int render(struct run *r, const struct install_values *told, struct install_objects *out)
{
    struct err err;
    if (install_render(&r->values, told, &r->look.cluster, &r->v->arena, out, &err) != 0) {
        return verb_fail(r->v, EXIT_INVALID, 1321, "mesh install --keys", "%s", err.text);
    }
    return EXIT_DONE;
}

/* --dry-run -o yaml, json: what GitOps keeps; no cluster is asked. */
static int print_objects(struct run *r)
{
    struct install_objects objects;
    struct install_values told = r->values;
    install_values_settle(&r->values);
    int status = render(r, &told, &objects);
    struct buf text;
    buf_init(&text, 16u << 20);
    int code = 0;
    if (status == EXIT_DONE && r->v->flags->output == OUTPUT_YAML) {
        for (size_t i = 0; i < objects.count && code == 0; i++) {
            code = i > 0 ? buf_append_span(&text, SPAN("---\n")) : 0;
            code = code ? code : doc_write_yaml(objects.items[i].doc, &text);
        }
    } else if (status == EXIT_DONE) {
        struct arena *a = &r->v->arena;
        struct doc_node *list = doc_new_map(a);
        doc_set(a, list, "apiVersion", doc_cstr(a, "v1"));
        doc_set(a, list, "kind", doc_cstr(a, "List"));
        struct doc_node *items = doc_list_in(a, list, "items");
        for (size_t i = 0; i < objects.count; i++) {
            doc_list_add(a, items, objects.items[i].doc);
        }
        code = doc_write_json(list, true, &text);
    }
    ASSERT(code == 0);
    fwrite(buf_span(&text).at ? buf_span(&text).at : "", 1, buf_len(&text), stdout);
    buf_dispose(&text);
    return status;
}

/* ---- steps ---- */

static int before(struct run *r)
{
    struct install_look *l = &r->look;
    struct arena *a = &r->v->arena;
    progress_step(&r->progress, "before");
    int status = install_look(&r->k, l);
    if (status != EXIT_DONE) {
        return status;
    }
    verb_footer(r->v, "context %s \u00b7 Kubernetes %s \u00b7 %zu node%s", r->k.context,
                r->k.version, l->nodes, l->nodes == 1 ? "" : "s");
    if (l->denied[0]) {
        progress_fail(&r->progress, "permissions %u/%u", l->allowed, l->asked);
        return verb_fail(r->v, EXIT_FORBIDDEN, 1312,
                         "ask for cluster-admin, or name another user with --context",
                         "this user may not %s", l->denied);
    }
    if (r->k.minor && r->k.minor < INSTALL_MINOR_MIN) {
        return verb_fail(r->v, EXIT_NEGATIVE, 1326, NULL,
                         "Kubernetes %s is too old: 1.%d is the oldest that will do", r->k.version,
                         INSTALL_MINOR_MIN);
    }
    int64_t skew = l->skew_s < 0 ? -l->skew_s : l->skew_s;
    const char *facts =
        arena_printf(a, "permissions %u/%u \u00b7 %s \u00b7 clock skew %s", l->allowed, l->asked,
                     l->other_mesh[0] ? arena_printf(a, "%s is here too (MESH1343)", l->other_mesh)
                                      : "no other mesh",
                     skew < 2 ? "under 2 s" : arena_printf(a, "%lld s", (long long)skew));
    if (l->other_mesh[0] || skew > SKEW_MAX_S) {
        progress_warn(&r->progress, "%s", facts);
        r->warnings++;
    } else {
        progress_done(&r->progress, "%s", facts);
    }
    return EXIT_DONE;
}

static int apply_crds(struct run *r)
{
    size_t ours = 0, kept = 0, changed = 0;
    progress_step(&r->progress, "CRDs");
    for (size_t i = 0; i < r->plan.count; i++) {
        const struct install_item *item = &r->plan.items[i];
        bool is_crd = item->step == INSTALL_STEP_CRDS;
        kept += is_crd && item->change == INSTALL_KEPT;
        ours += is_crd && item->change != INSTALL_KEPT;
        changed += is_crd && (item->change == INSTALL_NEW || item->change == INSTALL_CHANGED);
    }
    int status = install_plan_apply(&r->k, &r->plan, INSTALL_STEP_CRDS);
    status = status ? status : install_wait_crds(&r->k, &r->progress, &r->plan, r->deadline_ms);
    if (status == EXIT_DONE) {
        const char *found =
            kept ? arena_printf(&r->v->arena, "%zu kept (found) \u00b7 ", kept) : "";
        progress_done(&r->progress, "%s%zu of Gateway API, Istio's kinds and ours%s", found, ours,
                      changed ? " applied" : " as they should be");
    }
    return status;
}

static int apply_deployment(struct run *r, enum install_step step, const char *title,
                            const char *name)
{
    const char *facts = "";
    progress_step(&r->progress, title);
    int status = install_plan_apply(&r->k, &r->plan, step);
    status = status ? status
                    : install_wait_deployment(&r->k, &r->progress, MESH_SYSTEM_NAMESPACE, name,
                                              r->deadline_ms, &facts);
    if (status == EXIT_DONE && step == INSTALL_STEP_GATEWAY) {
        bool is_accepted = install_wait_class(&r->k, "mesh", r->deadline_ms);
        facts = arena_printf(&r->v->arena, "%s \u00b7 GatewayClass mesh %s", facts,
                             is_accepted ? "accepted" : "not accepted yet");
    }
    if (status == EXIT_DONE) {
        progress_done(&r->progress, "%s", facts);
    }
    return status;
}

/* Control needs a moment after it is ready to tell the API server whom to trust. */
static int after(struct run *r)
{
    int64_t ms = 0, until = instant_mono_ms() + PROBE_MS;
    const char *why = "";
    int code;
    progress_step(&r->progress, "after");
    while ((code = install_probe_injection(&r->k, "default", &ms, &why)) != 0 &&
           instant_mono_ms() < until) {
        progress_say(&r->progress, "%s", why);
        kube_verb_pause(&r->k, 250);
    }
    if (code == 0) {
        progress_done(&r->progress,
                      "webhook answers the API server in %lld ms (dry-run pod was injected)",
                      (long long)ms);
        return EXIT_DONE;
    }
    progress_fail(&r->progress, "the webhook does not work");
    return verb_fail(r->v, EXIT_NEGATIVE, 1325, "mesh check",
                     "a dry-run pod did not get a sidecar: %s", why);
}

/* Those that run already are their owners' to restart. */
static int tell_pods(struct run *r)
{
    struct install_pods pods;
    int status = install_pods(&r->k, &pods);
    if (status == EXIT_DONE && pods.bare + pods.old > 0) {
        struct arena *a = &r->v->arena;
        const char *bare = arena_printf(a, "%zu should have a sidecar and have none", pods.bare);
        const char *old = arena_printf(a, "%zu have one that trusts an earlier root", pods.old);
        progress_step(&r->progress, "pods");
        progress_warn(&r->progress, "%s%s%s: in %s (MESH1352)", pods.bare ? bare : "",
                      pods.bare && pods.old ? ", " : "", pods.old ? old : "", pods.where);
        r->restart = pods.where;
    }
    return status;
}

/* This program as an image, to the nodes. */
static int bring_image(struct run *r)
{
    struct image_load load;
    struct err err;
    const char *name = install_image(&r->values, &r->v->arena);
    progress_step(&r->progress, "image");
    int status = image_load_write(r->v, NULL, name, IMAGE_FILE);
    if (status != EXIT_DONE) {
        return status;
    }
    image_load_choose(r->v, r->k.context, IMAGE_FILE, name, &load);
    if (!load.tool) {
        progress_warn(&r->progress, "%s is in " IMAGE_FILE ": %s", name, load.command);
        r->warnings++;
        return EXIT_DONE;
    }
    progress_say(&r->progress, "%s", load.command);
    if (image_load_run(r->v, &load, &err) != 0) {
        progress_fail(&r->progress, "%s is in " IMAGE_FILE, name);
        return verb_fail(r->v, EXIT_UNREACHABLE, 1331, load.command, "%s", err.text);
    }
    (void)unlink(IMAGE_FILE); /* it is where it should be */
    progress_done(&r->progress, "%s by %s", name, load.tool);
    return EXIT_DONE;
}

static int prune(struct run *r)
{
    size_t gone = 0;
    for (size_t i = 0; i < r->plan.count; i++) {
        const struct install_item *item = &r->plan.items[i];
        if (item->change == INSTALL_GONE) {
            int status = kube_verb_delete(&r->k, &item->kind, item->ns, item->name);
            if (status != EXIT_DONE && status != EXIT_MISSING) {
                return status;
            }
            gone++;
        }
    }
    if (gone > 0) {
        progress_step(&r->progress, "pruned");
        progress_done(&r->progress, "%zu objects that are no longer part of it", gone);
    }
    return EXIT_DONE;
}

static int apply_all(struct run *r)
{
    int status = r->set->self_image ? bring_image(r) : EXIT_DONE;
    status = status ? status : apply_crds(r);
    status = status ? status : install_plan_apply(&r->k, &r->plan, INSTALL_STEP_ACCESS);
    status = status ? status
                    : apply_deployment(r, INSTALL_STEP_CONTROL, "control", MESH_CONTROL_ACCOUNT);
    if (status == EXIT_DONE && install_values_is(&r->values, INSTALL_GATEWAY)) {
        status = apply_deployment(r, INSTALL_STEP_GATEWAY, "gateway", INSTALL_GATEWAY_NAME);
    }
    status = status ? status : prune(r);
    status = status ? status : after(r);
    return status ? status : tell_pods(r);
}

/* ---- the whole ---- */

static void print_end(struct run *r, size_t changes)
{
    struct arena *a = &r->v->arena;
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, doc, "kind", doc_cstr(a, "InstallReport"));
    doc_set(a, doc, "context", doc_cstr(a, r->k.context));
    doc_set(a, doc, "kubernetes", doc_cstr(a, r->k.version));
    doc_set(a, doc, "changes", doc_int(a, (int64_t)changes));
    doc_set(a, doc, "steps", r->progress.steps);
    doc_set(a, doc, "items", install_plan_doc(&r->k, &r->plan));
    if (verb_print_doc(r->v, doc) || r->set->dry_run) {
        return;
    }
    if (changes == 0) {
        printf("nothing to change\n");
    }
    if (r->restart) {
        struct span rest = span_of(r->restart);
        printf("Next: kubectl rollout restart deployment -n %s\n",
               arena_cstr(a, span_cut(&rest, ',')));
    } else if (!r->is_upgrade) {
        printf("Next: kubectl label namespace default mesh-injection=enabled\n");
    }
}

static int ask(struct run *r, size_t changes)
{
    bool is_table = r->v->flags->output == OUTPUT_TABLE || r->v->flags->output == OUTPUT_WIDE;
    if (is_table && (r->set->dry_run || !r->set->yes)) {
        install_plan_print(&r->k, &r->plan);
    }
    if (r->set->dry_run) {
        if (is_table) {
            printf("%zu new, %zu changed, %zu gone, %zu unchanged, %zu kept\n",
                   r->plan.counts[INSTALL_NEW], r->plan.counts[INSTALL_CHANGED],
                   r->plan.counts[INSTALL_GONE], r->plan.counts[INSTALL_SAME],
                   r->plan.counts[INSTALL_KEPT]);
        }
        return EXIT_DONE;
    }
    return changes == 0
               ? EXIT_DONE
               : install_confirm(&r->k, r->set->yes,
                                 arena_printf(&r->v->arena, "%zu changes: go on?", changes));
}

static int run_on_cluster(struct run *r)
{
    struct install_objects objects;
    int status = before(r);
    if (status == EXIT_DONE && r->is_upgrade) {
        status = r->look.is_installed ? read_record(r)
                                      : verb_fail(r->v, EXIT_MISSING, 1324, "mesh install",
                                                  "no mesh is installed in %s", r->k.context);
    }
    struct install_values told = r->values;
    install_values_settle(&r->values);
    status = status ? status : render(r, &told, &objects);
    status = status ? status : install_plan(&r->k, &objects, r->is_upgrade, &r->plan);
    size_t changes = r->plan.counts[INSTALL_NEW] + r->plan.counts[INSTALL_CHANGED] +
                     r->plan.counts[INSTALL_GONE];
    status = status ? status : ask(r, changes);
    if (status == EXIT_DONE && !r->set->dry_run) {
        r->deadline_ms = instant_mono_ms() + r->v->flags->timeout_ms;
        status = apply_all(r);
    }
    progress_clear(&r->progress);
    if (status == EXIT_DONE) {
        print_end(r, changes);
    }
    return status;
}

int cmd_install_run(const struct opt_spec *spec, bool is_upgrade, int argc, char **argv)
{
    struct settings set = {.dry_run = false};
    struct verb v;
    struct run r = {.v = &v, .set = &set, .is_upgrade = is_upgrade};
    int status;
    if (verb_open(&v, spec, &set, argc, argv, &status) != 0) {
        verb_close(&v);
        return status;
    }
    bool is_text = v.flags->output == OUTPUT_YAML || v.flags->output == OUTPUT_JSON;
    status = set.keys ? EXIT_DONE : read_told(&r);
    if (set.keys) {
        status = print_keys(&v);
    } else if (status == EXIT_DONE && set.dry_run && is_text && !is_upgrade) {
        status = print_objects(&r);
    } else if (status == EXIT_DONE) {
        status = kube_verb_open(&r.k, &v);
        if (status == EXIT_DONE) {
            progress_init(&r.progress, &v);
            status = run_on_cluster(&r);
        }
        kube_verb_close(&r.k);
    }
    verb_close(&v);
    return status;
}

int cmd_install(int argc, char **argv)
{
    return cmd_install_run(&install_spec, false, argc, argv);
}

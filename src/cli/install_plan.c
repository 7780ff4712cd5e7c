/* What applying would change: each object beside what the cluster has, by the server's own dry run. In: cmd_install. Next: install_wait. */
#include <stdio.h>
#include <string.h>

#include "cli/install_int.h"
#include "cli/verb_int.h"

#define FACTS_MAX 3
#define VALUE_BYTES 24
#define BUNDLE "gateway.networking.k8s.io/bundle-version"

static const char *text(struct kube_verb *k, const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? arena_cstr(&k->verb->arena, n->text) : "";
}

/* ---- what differs ---- */

struct differ {
    struct arena *arena;
    const char *facts;
    size_t count;
};

static const char *brief(struct arena *a, const struct doc_node *node)
{
    struct buf out;
    if (node == NULL) {
        return "-";
    }
    if (doc_count(node) > 0) {
        return "...";
    }
    buf_init(&out, 65536);
    const char *to = doc_write_json(node, false, &out) == 0 ? arena_cstr(a, buf_span(&out)) : "...";
    buf_dispose(&out);
    return strlen(to) > VALUE_BYTES ? "..." : to;
}

static void note(struct differ *d, const char *path, const struct doc_node *old,
                 const struct doc_node *new)
{
    d->count++;
    if (d->count <= FACTS_MAX) {
        d->facts = arena_printf(d->arena, "%s%s%s %s -> %s", d->facts, d->count > 1 ? ", " : "",
                                path, brief(d->arena, old), brief(d->arena, new));
    }
}

/* What the server writes by itself. */
static bool is_servers(const char *path)
{
    static const char *const own[] = {"metadata.managedFields", "metadata.resourceVersion",
                                      "metadata.generation", "status"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (strcmp(path, own[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void compare(struct differ *d, const char *path, const struct doc_node *old,
                    const struct doc_node *new);

static void compare_maps(struct differ *d, const char *path, const struct doc_node *old,
                         const struct doc_node *new)
{
    for (size_t i = 0; i < doc_count(new); i++) {
        const struct doc_entry *e = &new->entries[i];
        const char *at =
            arena_printf(d->arena, "%s%s%.*s", path, path[0] ? "." : "", SPAN_ARG(e->key));
        compare(d, at, doc_get_span(old, e->key), e->value);
    }
    for (size_t i = 0; i < doc_count(old); i++) {
        const struct doc_entry *e = &old->entries[i];
        if (!doc_get_span(new, e->key)) {
            compare(d,
                    arena_printf(d->arena, "%s%s%.*s", path, path[0] ? "." : "", SPAN_ARG(e->key)),
                    e->value, NULL);
        }
    }
}

static void compare(struct differ *d, const char *path, const struct doc_node *old,
                    const struct doc_node *new)
{
    if (is_servers(path) || (old && new && doc_eq(old, new))) {
        return;
    }
    if (doc_is(old, DOC_MAP) && doc_is(new, DOC_MAP)) {
        compare_maps(d, path, old, new);
    } else if (doc_is(old, DOC_LIST) && doc_is(new, DOC_LIST) && doc_count(old) == doc_count(new)) {
        for (size_t i = 0; i < doc_count(new); i++) {
            compare(d, arena_printf(d->arena, "%s[%zu]", path, i), doc_at(old, i), doc_at(new, i));
        }
    } else {
        note(d, path, old, new);
    }
}

/* ---- one object ---- */

/* "v1.10.2" as a number that orders; 0: it has none. */
static uint64_t bundle_of(const struct doc_node *crd)
{
    const struct doc_node *version = doc_get(doc_path(crd, "metadata.annotations"), BUNDLE);
    struct span rest = doc_is(version, DOC_TEXT) ? version->text : SPAN_EMPTY;
    uint64_t all = 0;
    rest = span_from_offset(rest, span_starts(rest, SPAN("v")));
    for (size_t i = 0; i < 3; i++) {
        uint64_t part = 0;
        struct span word = rest.at ? span_cut(&rest, '.') : SPAN_EMPTY;
        bool is_number = span_to_u64(word, &part) && part < 1u << 20;
        all = (all << 20) + (is_number ? part : 0);
    }
    return all;
}

/* Definitions and namespaces that others made stay as they are. */
static const char *why_kept(const struct install_item *item, const struct doc_node *live)
{
    bool is_crd = strcmp(item->what, "CustomResourceDefinition") == 0;
    if (!is_crd && strcmp(item->what, "Namespace") != 0) {
        return NULL;
    }
    if (!install_is_ours(live)) {
        return "found";
    }
    return is_crd && bundle_of(live) > bundle_of(item->doc) ? "newer" : NULL;
}

/* Control writes into the webhook what the API server has to trust: it stays there. */
static const struct doc_node *with_trust(struct kube_verb *k, const struct doc_node *doc,
                                         const struct doc_node *live)
{
    struct arena *a = &k->verb->arena;
    const struct doc_node *bundle = doc_path(live, "webhooks.0.clientConfig.caBundle");
    if (!doc_is(bundle, DOC_TEXT)) {
        return doc;
    }
    struct doc_node *copy = doc_dup(a, doc);
    struct doc_node *hooks = doc_get(copy, "webhooks");
    for (size_t i = 0; i < doc_count(hooks); i++) {
        doc_set(a, doc_get(doc_at(hooks, i), "clientConfig"), "caBundle", doc_dup(a, bundle));
    }
    return copy;
}

static int look_at(struct kube_verb *k, struct install_item *item)
{
    struct doc_node *live = NULL, *then = NULL;
    int status = kube_verb_get(k, &item->kind, item->ns, item->name, &live);
    item->facts = "";
    if (status == EXIT_MISSING) {
        item->change = INSTALL_NEW;
        return EXIT_DONE;
    }
    if (status != EXIT_DONE) {
        return status;
    }
    const char *kept = why_kept(item, live);
    if (kept) {
        item->change = INSTALL_KEPT;
        item->facts = kept;
        return EXIT_DONE;
    }
    if (strcmp(item->what, "MutatingWebhookConfiguration") == 0) {
        item->doc = with_trust(k, item->doc, live);
    }
    status = kube_verb_apply(k, item->doc, true, &then);
    if (status == EXIT_DONE) {
        struct differ d = {.arena = &k->verb->arena, .facts = ""};
        compare(&d, "", live, then);
        item->change = d.count > 0 ? INSTALL_CHANGED : INSTALL_SAME;
        item->facts = d.count > FACTS_MAX
                          ? arena_printf(d.arena, "%s and %zu more", d.facts, d.count - FACTS_MAX)
                          : d.facts;
    }
    return status;
}

/* ---- the plan ---- */

void install_plan_add(struct install_plan *plan, struct arena *a, const struct install_item *item)
{
    if (plan->count == plan->room) {
        struct install_item *more = arena_array(a, plan->room * 2 + 32, sizeof *more);
        for (size_t i = 0; i < plan->count; i++) {
            more[i] = plan->items[i];
        }
        plan->items = more;
        plan->room = plan->room * 2 + 32;
    }
    plan->counts[item->change]++;
    plan->items[plan->count++] = *item;
}

int install_plan(struct kube_verb *k, const struct install_objects *objects, bool prune,
                 struct install_plan *out)
{
    struct arena *a = &k->verb->arena;
    int status = EXIT_DONE;
    *out = (struct install_plan){.count = 0};
    for (size_t i = 0; i < objects->count && status == EXIT_DONE; i++) {
        const struct install_object *o = &objects->items[i];
        struct install_item item = {.doc = o->doc,
                                    .what = text(k, o->doc, "kind"),
                                    .name = text(k, o->doc, "metadata.name"),
                                    .step = o->step};
        bool is_known = kube_kind_of(a, o->doc, &item.kind);
        ASSERT(is_known); /* kinds of ours */
        item.ns = item.kind.namespaced ? text(k, o->doc, "metadata.namespace") : NULL;
        status = look_at(k, &item);
        install_plan_add(out, a, &item);
    }
    return status == EXIT_DONE && prune ? install_plan_prune(k, out) : status;
}

int install_plan_apply(struct kube_verb *k, const struct install_plan *plan, enum install_step step)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < plan->count && status == EXIT_DONE; i++) {
        const struct install_item *item = &plan->items[i];
        bool is_due =
            item->step == step && (item->change == INSTALL_NEW || item->change == INSTALL_CHANGED);
        if (is_due) {
            status = kube_verb_apply(k, item->doc, false, NULL);
        }
    }
    return status;
}

static const char *const signs[INSTALL_CHANGES] = {"+", "~", "=", "=", "-"};
static const char *const words[INSTALL_CHANGES] = {"new", "changed", "unchanged", "kept", "gone"};

void install_plan_print(struct kube_verb *k, const struct install_plan *plan)
{
    static const enum table_tone tones[INSTALL_CHANGES] = {TONE_GOOD, TONE_WARN, TONE_DIM, TONE_DIM,
                                                           TONE_BAD};
    for (size_t i = 0; i < plan->count; i++) {
        const struct install_item *item = &plan->items[i];
        if (item->change != INSTALL_SAME) {
            printf("  %s%s%s %s %s%s%s%s%s\n", table_tone_on(k->verb, tones[item->change]),
                   signs[item->change], table_tone_off(k->verb, tones[item->change]), item->what,
                   item->ns ? item->ns : "", item->ns ? "/" : "", item->name,
                   item->facts[0] ? "   " : "", item->facts);
        }
    }
}

struct doc_node *install_plan_doc(struct kube_verb *k, const struct install_plan *plan)
{
    struct arena *a = &k->verb->arena;
    struct doc_node *list = doc_new_list(a);
    for (size_t i = 0; i < plan->count; i++) {
        const struct install_item *item = &plan->items[i];
        struct doc_node *one = doc_list_add(a, list, doc_new_map(a));
        doc_set(a, one, "kind", doc_cstr(a, item->what));
        if (item->ns) {
            doc_set(a, one, "namespace", doc_cstr(a, item->ns));
        }
        doc_set(a, one, "name", doc_cstr(a, item->name));
        doc_set(a, one, "result", doc_cstr(a, words[item->change]));
        if (item->facts[0]) {
            doc_set(a, one, "text", doc_cstr(a, item->facts));
        }
    }
    return list;
}

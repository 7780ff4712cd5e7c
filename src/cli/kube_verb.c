/* Blocking calls of a cluster, and what is said when they fail. In: verbs. Out: kube/kube_client. */
#include "cli/kube_verb.h"

#include <stdio.h>
#include <string.h>

#include "io/deadline.h"
#include "io/loop.h"
#include "kube/kube_apply.h"

#define BODY_MAX (8u << 20)
#define PAGE "500"

const struct kube_kind kube_verb_pods = {"", "v1", "pods", true};
const struct kube_kind kube_verb_services = {"", "v1", "services", true};
const struct kube_kind kube_verb_namespaces = {"", "v1", "namespaces", false};
const struct kube_kind kube_verb_nodes = {"", "v1", "nodes", false};
const struct kube_kind kube_verb_deployments = {"apps", "v1", "deployments", true};
const struct kube_kind kube_verb_secrets = {"", "v1", "secrets", true};
const struct kube_kind kube_verb_configmaps = {"", "v1", "configmaps", true};
const struct kube_kind kube_verb_crds = {"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                         false};
const struct kube_kind kube_verb_webhooks = {"admissionregistration.k8s.io", "v1",
                                             "mutatingwebhookconfigurations", false};
const struct kube_kind kube_verb_slices = {"discovery.k8s.io", "v1", "endpointslices", true};
const struct kube_kind kube_verb_events = {"events.k8s.io", "v1", "events", true};
static const struct kube_kind access_reviews = {"authorization.k8s.io", "v1",
                                                "selfsubjectaccessreviews", false};

/* ---- errors ---- */

int kube_verb_exit_of(int code)
{
    switch (code) {
    case 0:
        return EXIT_DONE;
    case -ENOENT:
        return EXIT_MISSING;
    case -EACCES:
        return EXIT_FORBIDDEN;
    case -ERR_CONFIG:
        return EXIT_INVALID;
    case -EEXIST:
    case -ESTALE:
        return EXIT_NEGATIVE;
    case -ETIMEDOUT:
    case -ERR_TIMEOUT:
        return EXIT_TIMED_OUT;
    default:
        return EXIT_UNREACHABLE;
    }
}

int kube_verb_fail(struct kube_verb *k, int code, const char *what, const char *why)
{
    int exit_code = kube_verb_exit_of(code);
    bool is_refused = exit_code == EXIT_INVALID || exit_code == EXIT_NEGATIVE ||
                      exit_code == EXIT_MISSING || code == -EREMOTEIO || code == -ERR_LIMIT;
    if (exit_code == EXIT_FORBIDDEN) {
        return verb_fail(
            k->verb, exit_code, 1312,
            "kubectl auth can-i --list     shows what this user may; --context takes another",
            "%s: the API server does not permit it: %s", what, why);
    }
    if (is_refused) {
        return verb_fail(k->verb, exit_code, 1313, NULL, "%s: the API server refuses it: %s", what,
                         why);
    }
    return verb_fail(k->verb, exit_code, 1311,
                     "kubectl cluster-info     or name another with --context", "%s: %s", what,
                     why);
}

/* ---- opening ---- */

static const char *text_at(struct kube_verb *k, const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? arena_cstr(&k->verb->arena, n->text) : "";
}

static int ask_version(struct kube_verb *k)
{
    struct kube_answer a;
    struct err err;
    const struct kube_call_spec spec = {.method = "GET", .path = "/version"};
    int code = kube_verb_ask(k, &spec, &a, &err);
    if (code != 0) {
        return kube_verb_fail(
            k, code, arena_printf(&k->verb->arena, "%.*s", SPAN_ARG(k->conf.server)), a.why);
    }
    const char *minor = text_at(k, a.doc, "minor"); /* "34", or "34+" */
    for (const char *at = minor; *at >= '0' && *at <= '9' && k->minor < 10000; at++) {
        k->minor = k->minor * 10 + (unsigned)(*at - '0');
    }
    k->version = arena_printf(&k->verb->arena, "%s.%u", text_at(k, a.doc, "major"), k->minor);
    return EXIT_DONE;
}

int kube_verb_open(struct kube_verb *k, struct verb *v)
{
    struct err err;
    const struct kube_conf_spec where = {.kubeconfig = v->flags->kubeconfig,
                                         .context = v->flags->context};
    *k = (struct kube_verb){.verb = v, .context = "", .version = ""};
    if (kube_conf_load(&k->conf, &where, &err) != 0) {
        return verb_fail(v, EXIT_USAGE, 1310, NULL, "%s", err.text);
    }
    k->has_conf = true;
    k->context = arena_cstr(&v->arena, k->conf.context.len > 0 ? k->conf.context : k->conf.server);
    v->loop = v->loop ? v->loop : loop_new(false);
    const struct kube_client_spec spec = {.conf = &k->conf, .user_agent = "mesh-cli"};
    if (kube_client_new(&k->client, v->loop, &spec, &err) != 0) {
        return verb_fail(v, EXIT_USAGE, 1310, NULL, "%s: %s", k->context, err.text);
    }
    return ask_version(k);
}

void kube_verb_close(struct kube_verb *k)
{
    kube_client_free(k->client);
    k->client = NULL;
    if (k->has_conf) {
        kube_conf_dispose(&k->conf);
        k->has_conf = false;
    }
}

const char *kube_verb_namespace(const struct kube_verb *k)
{
    if (k->verb->flags->namespace) {
        return k->verb->flags->namespace;
    }
    return k->conf.namespace.len > 0 ? arena_cstr(&k->verb->arena, k->conf.namespace) : "default";
}

/* ---- calls ---- */

int kube_verb_ask(struct kube_verb *k, const struct kube_call_spec *spec, struct kube_answer *a,
                  struct err *err)
{
    *a = (struct kube_answer){.why = ""};
    int code = kube_ask(k->client, &k->verb->arena, spec, a, err);
    if (code != 0 && (!a->why || !a->why[0])) {
        a->why = arena_strdup(&k->verb->arena, err->text);
    }
    return code;
}

/* "pods default/web" */
static const char *thing(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                         const char *name)
{
    return arena_printf(&k->verb->arena, "%s %s%s%s", kind->plural, ns ? ns : "", ns ? "/" : "",
                        name ? name : "");
}

static const char *path_of(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                           const char *name, const char *sub)
{
    return kube_path(&k->verb->arena, kind, ns ? span_of(ns) : SPAN_EMPTY,
                     name ? span_of(name) : SPAN_EMPTY, sub);
}

int kube_verb_get(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                  const char *name, struct doc_node **out)
{
    struct kube_answer a;
    struct err err;
    const struct kube_call_spec spec = {.method = "GET", .path = path_of(k, kind, ns, name, NULL)};
    int code = kube_verb_ask(k, &spec, &a, &err);
    *out = code == 0 ? a.doc : NULL;
    return code == 0         ? EXIT_DONE
           : code == -ENOENT ? EXIT_MISSING
                             : kube_verb_fail(k, code, thing(k, kind, ns, name), a.why);
}

/* A list leaves out what its items are. */
static void name_items(struct arena *a, const struct doc_node *page, const struct kube_kind *kind,
                       struct doc_node *to)
{
    const struct doc_node *items = doc_get(page, "items");
    const struct doc_node *list_kind = doc_get(page, "kind");
    struct span name = doc_is(list_kind, DOC_TEXT) ? list_kind->text : SPAN_EMPTY;
    name = span_first(name, name.len - (span_ends(name, SPAN("List")) ? 4 : 0));
    const char *version =
        kind->group[0] ? arena_printf(a, "%s/%s", kind->group, kind->version) : kind->version;
    for (size_t i = 0; i < doc_count(items); i++) {
        struct doc_node *one = doc_at(items, i);
        doc_set(a, one, "apiVersion", doc_cstr(a, version));
        doc_set_text(a, one, "kind", name);
        doc_list_add(a, to, one);
    }
}

int kube_verb_list(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                   const char *selector, struct doc_node **items)
{
    struct arena *arena = &k->verb->arena;
    const char *base = arena_printf(arena, "%s?limit=" PAGE, path_of(k, kind, ns, NULL, NULL));
    const char *next = "";
    *items = doc_new_list(arena);
    if (selector) {
        base = arena_printf(arena, "%s&labelSelector=%s", base,
                            verb_escape(k->verb, span_of(selector)));
    }
    do {
        struct kube_answer a;
        struct err err;
        const char *path = next[0] ? arena_printf(arena, "%s&continue=%s", base, next) : base;
        int code =
            kube_verb_ask(k, &(struct kube_call_spec){.method = "GET", .path = path}, &a, &err);
        if (code != 0 && a.status == 410 && next[0]) { /* the pages grew old: from the beginning */
            *items = doc_new_list(arena);
            next = "";
            continue;
        }
        if (code != 0) {
            return code == -ENOENT ? EXIT_MISSING
                                   : kube_verb_fail(k, code, thing(k, kind, ns, NULL), a.why);
        }
        name_items(arena, a.doc, kind, *items);
        next = verb_escape(k->verb, span_of(text_at(k, a.doc, "metadata.continue")));
    } while (next[0]);
    return EXIT_DONE;
}

/* A call with a document; prints. */
static int submit(struct kube_verb *k, const char *method, const char *path, const char *type,
                  const struct doc_node *body, const char *what, struct doc_node **out)
{
    struct buf text;
    struct kube_answer a;
    struct err err;
    buf_init(&text, BODY_MAX);
    int code = doc_write_json(body, false, &text);
    const struct kube_call_spec spec = {.method = method,
                                        .path = path,
                                        .content_type = type,
                                        .body = buf_span(&text),
                                        .timeout_ms = 30000};
    a = (struct kube_answer){.why = "it is too long"};
    code = code ? code : kube_verb_ask(k, &spec, &a, &err);
    buf_dispose(&text);
    if (out) {
        *out = code == 0 ? a.doc : NULL;
    }
    return code == 0 ? EXIT_DONE : kube_verb_fail(k, code, what, a.why);
}

int kube_verb_apply(struct kube_verb *k, const struct doc_node *object, bool dry_run,
                    struct doc_node **out)
{
    struct arena *arena = &k->verb->arena;
    const char *ns = text_at(k, object, "metadata.namespace");
    const char *name = text_at(k, object, "metadata.name");
    struct kube_kind kind;
    if (!kube_kind_of(arena, object, &kind)) {
        return verb_fail(k->verb, EXIT_INVALID, 1313, NULL, "%s %s: no such kind is known",
                         text_at(k, object, "kind"), name);
    }
    ns = kind.namespaced ? ns : "";
    const char *path =
        arena_printf(arena, "%s?fieldManager=" KUBE_FIELD_MANAGER "&force=true%s",
                     path_of(k, &kind, ns, name, NULL), dry_run ? "&dryRun=All" : "");
    return submit(k, "PATCH", path, KUBE_APPLY, object, thing(k, &kind, ns[0] ? ns : NULL, name),
                  out);
}

int kube_verb_create(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                     const struct doc_node *object, bool dry_run, struct doc_node **out)
{
    const char *path = arena_printf(&k->verb->arena, "%s%s", path_of(k, kind, ns, NULL, NULL),
                                    dry_run ? "?dryRun=All" : "");
    return submit(k, "POST", path, KUBE_JSON, object,
                  thing(k, kind, ns, text_at(k, object, "metadata.name")), out);
}

int kube_verb_delete(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                     const char *name)
{
    struct kube_answer a;
    struct err err;
    const char *path = arena_printf(&k->verb->arena, "%s?propagationPolicy=Background",
                                    path_of(k, kind, ns, name, NULL));
    int code =
        kube_verb_ask(k, &(struct kube_call_spec){.method = "DELETE", .path = path}, &a, &err);
    return code == 0         ? EXIT_DONE
           : code == -ENOENT ? EXIT_MISSING
                             : kube_verb_fail(k, code, thing(k, kind, ns, name), a.why);
}

int kube_verb_patch(struct kube_verb *k, const struct kube_kind *kind, const char *ns,
                    const char *name, const struct doc_node *patch, struct doc_node **out)
{
    const char *path = arena_printf(&k->verb->arena, "%s?fieldManager=" KUBE_FIELD_MANAGER,
                                    path_of(k, kind, ns, name, NULL));
    return submit(k, "PATCH", path, KUBE_MERGE, patch, thing(k, kind, ns, name), out);
}

static void put(struct arena *a, struct doc_node *map, const char *key, const char *value)
{
    if (value) {
        doc_set(a, map, key, doc_cstr(a, value));
    }
}

static struct doc_node *review_of(struct arena *arena, const struct kube_verb_right *right,
                                  const char *name)
{
    struct doc_node *review = doc_new_map(arena);
    put(arena, review, "apiVersion", "authorization.k8s.io/v1");
    put(arena, review, "kind", "SelfSubjectAccessReview");
    struct doc_node *asked =
        doc_map_in(arena, doc_map_in(arena, review, "spec"), "resourceAttributes");
    put(arena, asked, "verb", right->verb);
    put(arena, asked, "group", right->group);
    put(arena, asked, "resource", right->resource);
    put(arena, asked, "namespace", right->ns);
    put(arena, asked, "name", name);
    return review;
}

static bool is_allowed(const struct doc_node *answer)
{
    const struct doc_node *allowed = doc_path(answer, "status.allowed");
    return doc_is(allowed, DOC_BOOL) && allowed->boolean;
}

int kube_verb_may(struct kube_verb *k, const char *verb, const char *group, const char *resource,
                  const char *ns, const char *name, bool *may)
{
    const struct kube_verb_right right = {verb, group, resource, ns};
    struct doc_node *answer = NULL;
    int status = kube_verb_create(k, &access_reviews, NULL,
                                  review_of(&k->verb->arena, &right, name), false, &answer);
    *may = is_allowed(answer);
    return status;
}

int kube_verb_may_all(struct kube_verb *k, const struct kube_verb_right *rights, size_t count,
                      bool *may)
{
    struct arena *arena = &k->verb->arena;
    struct kube_call_spec *specs = arena_array(arena, count, sizeof *specs);
    struct kube_answer *answers = arena_array(arena, count, sizeof *answers);
    struct buf text;
    buf_init(&text, BODY_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&text);
        int code = doc_write_json(review_of(arena, &rights[i], NULL), false, &text);
        ASSERT(code == 0); /* a few words */
        specs[i] = (struct kube_call_spec){.method = "POST",
                                           .path = path_of(k, &access_reviews, NULL, NULL, NULL),
                                           .content_type = KUBE_JSON,
                                           .body = arena_dup(arena, buf_span(&text))};
    }
    buf_dispose(&text);
    kube_ask_all(k->client, arena, specs, count, answers);
    for (size_t i = 0; i < count; i++) {
        if (answers[i].code != 0) {
            return kube_verb_fail(k, answers[i].code, "permissions", answers[i].why);
        }
        may[i] = is_allowed(answers[i].doc);
    }
    return EXIT_DONE;
}

/* ---- time ---- */

struct pause {
    struct deadline deadline;
    struct loop *loop;
};

static void on_due(struct deadline *d)
{
    loop_stop(((struct pause *)d)->loop);
}

void kube_verb_pause(struct kube_verb *k, int64_t ms)
{
    struct pause p = {.loop = k->verb->loop};
    deadline_init(&p.deadline, on_due);
    deadline_arm(&p.deadline, p.loop, ms);
    loop_run(p.loop);
    deadline_disarm(&p.deadline);
}

/* Objects from the Kubernetes API.
 *
 *   follow (one collection) --reflector--> from_kube_prune --> object_read --> sources
 *     version by version while the server says 404                 \--> remark (what is wrong with one object)
 *
 * In: kube/reflector.  Out: sources.  Next: source.c. */
#include "control/sources/from_kube.h"

#include <stdio.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "control/sources/from_kube_prune.h"
#include "io/deadline.h"
#include "model/istio_gateway.h"

enum {
    ABSENT_MS = 10 * 1000, /* as long as the reflector itself waits */
    POD_PAGE = 100,        /* a Pod is 10 kB of JSON, and ten times that as a document */
    FINDINGS_LIMIT = 2000, /* of a whole cluster */
    CREDENTIALS_MAX = 64,  /* Secrets that are followed by name */
    WHY_BYTES = 200,
    SCRATCH_BYTES = 16384,
};

/* One collection, or a part of it. */
struct follow {
    struct list node;
    struct from_kube *owner;
    enum object_kind kind;
    char *selector; /* owned; NULL = all */
    struct reflector *reflector;
    unsigned version; /* of object_kinds[kind].versions */
    char version_text[16];
    struct deadline next_version;
    enum reflector_state state;
    char why[WHY_BYTES];
    bool is_settled; /* it was listed once, or there is none, or it may not be seen */
    /* of Secrets by name */
    bool is_wanted;
    struct map keys; /* struct told_key */
};

struct told_key {
    struct span key; /* behind this struct */
};

/* What was found in one object. */
struct remark {
    struct span key; /* behind this struct */
    enum object_kind kind;
    bool is_bad;
    struct arena arena;
    struct findings findings;
};

struct from_kube {
    struct from_kube_spec spec;
    struct loop *loop;
    struct source_origin *origin; /* sources' */
    struct list follows;
    struct map remarks;
    bool remarks_changed, gateways_changed;
    bool is_synced;
    struct loop_task synced;
    struct arena scratch; /* the object in hand */
};

/* ---- what is wrong with objects ---- */

static void forget_remark(struct from_kube *f, struct span key)
{
    struct remark *r = map_remove(&f->remarks, key);
    if (r != NULL) {
        f->remarks_changed = true;
        arena_dispose(&r->arena);
        mem_free(r);
    }
}

static void note_remark(struct from_kube *f, enum object_kind kind, struct span key,
                        const struct findings *found)
{
    forget_remark(f, key);
    if (found->count == 0 || key.len == 0) {
        return;
    }
    struct remark *r = mem_zalloc(sizeof(*r) + key.len);
    memcpy(r + 1, key.at, key.len);
    r->key = span_from(r + 1, key.len);
    r->kind = kind;
    r->is_bad = found->errors > 0;
    arena_init(&r->arena, 1024);
    findings_init(&r->findings, &r->arena);
    for (const struct finding *one = found->first; one != NULL; one = one->next) {
        findings_copy(&r->findings, one);
    }
    (void)map_put(&f->remarks, r->key, r); /* there is none */
    f->remarks_changed = true;
}

/* Errors first, as the list may be cut. */
static void list_remarks(struct from_kube *f)
{
    if (!f->remarks_changed) {
        return;
    }
    struct findings *all = source_findings_reset(f->origin);
    all->limit = FINDINGS_LIMIT;
    for (int bad = 1; bad >= 0; bad--) {
        for (struct map_slot *slot = NULL; (slot = map_next(&f->remarks, slot)) != NULL;) {
            const struct remark *r = slot->value;
            for (const struct finding *one = r->findings.first;
                 one != NULL && r->is_bad == (bad == 1); one = one->next) {
                findings_copy(all, one);
            }
        }
    }
    f->remarks_changed = false;
}

/* ---- objects ---- */

static struct span text_at(const struct doc_node *doc, const char *path)
{
    const struct doc_node *node = doc_path(doc, path);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static void remember_key(struct follow *w, struct span key)
{
    if (w->selector == NULL || map_get(&w->keys, key) != NULL) {
        return;
    }
    struct told_key *k = mem_zalloc(sizeof(*k) + key.len);
    memcpy(k + 1, key.at, key.len);
    k->key = span_from(k + 1, key.len);
    (void)map_put(&w->keys, k->key, k); /* there was none */
}

static void on_object(void *arg, const struct doc_node *doc)
{
    struct follow *w = arg;
    struct from_kube *f = w->owner;
    struct findings found;
    char text[OBJECT_KEY_BYTES];
    struct span key = object_key(w->kind, text_at(doc, "metadata.namespace"),
                                 text_at(doc, "metadata.name"), text);
    arena_reset(&f->scratch);
    findings_init(&found, &f->scratch);
    struct object *o = object_read(from_kube_prune(&f->scratch, w->kind, doc), &found);
    note_remark(f, w->kind, key, &found);
    f->gateways_changed |= w->kind == OBJECT_ISTIO_GATEWAY;
    if (o == NULL) {
        log_warn("sources", "object of Kubernetes left out key=%.*s", SPAN_ARG(key));
        return;
    }
    remember_key(w, o->key);
    source_put_take(f->origin, o);
}

static void forget_object(struct follow *w, struct span key)
{
    struct from_kube *f = w->owner;
    f->gateways_changed |= w->kind == OBJECT_ISTIO_GATEWAY;
    forget_remark(f, key);
    source_remove(f->origin, key);
    mem_free(map_remove(&w->keys, key));
}

static void on_gone(void *arg, struct span namespace, struct span name)
{
    char text[OBJECT_KEY_BYTES];
    struct follow *w = arg;
    forget_object(w, object_key(w->kind, namespace, name, text));
}

/* ---- collections ---- */

static const struct reflector_spec no_spec;

static void on_state(void *arg, enum reflector_state state, const char *why);
static void on_batch(void *arg);

static unsigned version_count(enum object_kind kind)
{
    unsigned count = 1;
    for (const char *c = object_kinds[kind].versions; *c != '\0'; c++) {
        count += *c == ',';
    }
    return count;
}

static void begin(struct follow *w)
{
    const struct object_kind_row *row = &object_kinds[w->kind];
    struct span rest = span_of(row->versions);
    struct span version = span_cut(&rest, ',');
    for (unsigned i = 0; i < w->version; i++) {
        version = span_cut(&rest, ',');
    }
    (void)span_to_cstr(version, w->version_text, sizeof(w->version_text)); /* all are short */
    struct reflector_spec spec = no_spec;
    spec.client = w->owner->spec.client;
    spec.kind = (struct kube_kind){.group = row->group,
                                   .version = w->version_text,
                                   .plural = row->plural,
                                   .namespaced = row->namespaced};
    spec.field_selector = w->selector;
    spec.page = w->kind == OBJECT_POD ? POD_PAGE : 0;
    spec.relist_ms = w->owner->spec.relist_ms;
    spec.on_object = on_object;
    spec.on_gone = on_gone;
    spec.on_batch = on_batch;
    spec.on_state = on_state;
    spec.arg = w;
    w->reflector = reflector_new(&spec);
}

static void on_next_version(struct deadline *d)
{
    struct follow *w = container_of(d, struct follow, next_version);
    reflector_free(w->reflector);
    w->version = (w->version + 1) % version_count(w->kind);
    begin(w);
}

static struct follow *follow_new(struct from_kube *f, enum object_kind kind, const char *selector)
{
    struct follow *w = mem_new(struct follow);
    w->owner = f;
    w->kind = kind;
    w->selector = selector != NULL ? mem_strdup(selector) : NULL;
    deadline_init(&w->next_version, on_next_version);
    map_init(&w->keys);
    list_init(&w->node);
    list_push_back(&f->follows, &w->node);
    begin(w);
    return w;
}

static void follow_free(struct follow *w)
{
    reflector_free(w->reflector);
    deadline_disarm(&w->next_version);
    for (struct map_slot *slot = NULL; (slot = map_next(&w->keys, slot)) != NULL;) {
        mem_free(slot->value);
    }
    map_dispose(&w->keys);
    list_remove(&w->node);
    mem_free(w->selector);
    mem_free(w);
}

/* ---- Secrets that gateways name, and that are of no type of their own ---- */

static struct follow *follow_of(const struct from_kube *f, const char *selector)
{
    LIST_EACH(node, next, &f->follows) {
        struct follow *w = list_item(node, struct follow, node);
        if (w->selector != NULL && strcmp(w->selector, selector) == 0) {
            return w;
        }
    }
    return NULL;
}

static void want_secret(struct from_kube *f, struct span name, const char *suffix, size_t *count)
{
    char selector[OBJECT_KEY_BYTES];
    int len = snprintf(selector, sizeof(selector), "type=Opaque,metadata.name=%.*s%s",
                       SPAN_ARG(name), suffix);
    if (name.len == 0 || len >= (int)sizeof(selector)) {
        return;
    }
    struct follow *w = follow_of(f, selector);
    if (w == NULL && *count >= CREDENTIALS_MAX) {
        log_warn("sources", "too many secrets of gateways left_out=%.*s", SPAN_ARG(name));
        return;
    }
    w = w != NULL ? w : follow_new(f, OBJECT_SECRET, selector);
    *count += !w->is_wanted;
    w->is_wanted = true;
}

struct wanting {
    struct from_kube *from;
    size_t count;
};

static void want_of_gateway(void *arg, const struct object *o)
{
    struct wanting *wanting = arg;
    if (o->kind != OBJECT_ISTIO_GATEWAY) {
        return;
    }
    const struct istio_gateway_spec *spec = istio_gateway_of(o);
    for (size_t i = 0; i < spec->server_count; i++) {
        const struct istio_gateway_server *s = &spec->servers[i];
        bool asks =
            s->tls == ISTIO_GATEWAY_TLS_MUTUAL || s->tls == ISTIO_GATEWAY_TLS_OPTIONAL_MUTUAL;
        want_secret(wanting->from, s->credential, "", &wanting->count);
        if (asks) {
            want_secret(wanting->from, s->credential, "-cacert", &wanting->count);
        }
    }
}

static void drop_unwanted(struct from_kube *f)
{
    LIST_EACH(node, next, &f->follows) {
        struct follow *w = list_item(node, struct follow, node);
        if (w->is_wanted || w->selector == NULL || strstr(w->selector, "name=") == NULL) {
            continue;
        }
        for (struct map_slot *slot = NULL; (slot = map_next(&w->keys, slot)) != NULL;) {
            struct told_key *k = slot->value;
            forget_remark(f, k->key);
            source_remove(f->origin, k->key);
        }
        follow_free(w);
    }
}

static void look_at_gateways(struct from_kube *f)
{
    struct wanting wanting = {.from = f};
    if (!f->gateways_changed) {
        return;
    }
    f->gateways_changed = false;
    LIST_EACH(node, next, &f->follows) {
        list_item(node, struct follow, node)->is_wanted = false;
    }
    source_each(f->origin, want_of_gateway, &wanting);
    drop_unwanted(f);
}

/* ---- what reflectors tell ---- */

static void check_synced(struct from_kube *f)
{
    if (f->is_synced) {
        return;
    }
    LIST_EACH(node, next, &f->follows) {
        if (!list_item(node, struct follow, node)->is_settled) {
            return;
        }
    }
    f->is_synced = true;
    list_remarks(f);
    sources_settle(f->spec.sources);
    loop_task_add(f->loop, &f->synced);
}

static void on_synced(struct loop_task *task)
{
    struct from_kube *f = container_of(task, struct from_kube, synced);
    log_info("sources", "read all of Kubernetes objects=%zu", sources_count(f->spec.sources));
    if (f->spec.on_synced != NULL) {
        f->spec.on_synced(f->spec.arg);
    }
}

static void on_batch(void *arg)
{
    const struct follow *w = arg;
    struct from_kube *f = w->owner;
    look_at_gateways(f);
    if (f->is_synced) {
        list_remarks(f);
        sources_settle(f->spec.sources);
    }
}

static void on_state(void *arg, enum reflector_state state, const char *why)
{
    struct follow *w = arg;
    struct from_kube *f = w->owner;
    bool is_last = w->version + 1 == version_count(w->kind);
    w->state = state;
    (void)snprintf(w->why, sizeof(w->why), "%s", why);
    if (state == REFLECTOR_ABSENT && version_count(w->kind) > 1) {
        deadline_arm(&w->next_version, f->loop, is_last ? ABSENT_MS : 0);
    } else {
        deadline_disarm(&w->next_version);
    }
    w->is_settled |= state == REFLECTOR_SYNCED || state == REFLECTOR_DENIED ||
                     (state == REFLECTOR_ABSENT && is_last);
    look_at_gateways(f); /* may follow more, which are waited for too, and end this one */
    check_synced(f);
}

/* ---- life ---- */

struct from_kube *from_kube_new(const struct from_kube_spec *spec)
{
    struct from_kube *f = mem_new(struct from_kube);
    f->spec = *spec;
    f->loop = kube_client_loop(spec->client);
    f->origin = source_open(spec->sources, SOURCE_KUBE, SPAN("Kubernetes"));
    list_init(&f->follows);
    map_init(&f->remarks);
    arena_init(&f->scratch, SCRATCH_BYTES);
    loop_task_init(&f->synced, on_synced);
    for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        (void)follow_new(f, kind, kind == OBJECT_SECRET ? "type=kubernetes.io/tls" : NULL);
    }
    return f;
}

void from_kube_free(struct from_kube *f)
{
    if (f == NULL) {
        return;
    }
    while (!list_is_empty(&f->follows)) {
        follow_free(list_item(f->follows.next, struct follow, node));
    }
    loop_task_cancel(&f->synced);
    while (map_count(&f->remarks) > 0) {
        forget_remark(f, ((struct remark *)map_next(&f->remarks, NULL)->value)->key);
    }
    map_dispose(&f->remarks);
    arena_dispose(&f->scratch);
    mem_free(f);
}

bool from_kube_is_synced(const struct from_kube *f)
{
    return f->is_synced;
}

void from_kube_each_state(const struct from_kube *f,
                          void (*on_each)(void *arg, const struct from_kube_state *s), void *arg)
{
    LIST_EACH(node, next, &f->follows) {
        const struct follow *w = list_item(node, struct follow, node);
        struct from_kube_state s = {.kind = w->kind,
                                    .version = w->version_text,
                                    .selector = w->selector,
                                    .state = w->state,
                                    .why = w->why,
                                    .count = reflector_count(w->reflector)};
        for (struct map_slot *slot = NULL; (slot = map_next(&f->remarks, slot)) != NULL;) {
            const struct remark *r = slot->value;
            s.bad += r->kind == w->kind && r->is_bad;
        }
        on_each(arg, &s);
    }
}

const char *from_kube_state_name(enum reflector_state state)
{
    static const char *const names[] = {
        [REFLECTOR_LISTING] = "listing", [REFLECTOR_SYNCED] = "synced",
        [REFLECTOR_BEHIND] = "behind",   [REFLECTOR_ABSENT] = "absent",
        [REFLECTOR_DENIED] = "denied",
    };
    return names[state];
}

/* Electing one among equals.
 * In: the Lease as the API server has it.  Out: on_leading.  Next: control's leader (status, gateways, root ConfigMaps).
 *
 *   each RETRY: read it (who leads knows its version, and need not)
 *     not there, free, ours, or unchanged for as long as it says -> write it for that version -> leading until ASKED + RENEW
 *     another's                                                   -> wait
 *
 * Clocks of others are never believed: a lease has ended when we saw no change of it for its duration, by our own monotonic clock. Who
 * leads counts from before it asked, others from when they saw it written, and RENEW is shorter than the duration: so the one has given
 * up before another takes over, however long messages take.
 * Sources: client-go tools/leaderelection (which counts in the same way); Kubernetes API, Lease v1 coordination.k8s.io. */
#include "kube/lease.h"

#include "base/hash.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/date.h"
#include "io/deadline.h"
#include "kube/kube_path.h"

enum {
    DURATION_MS = 15 * 1000,
    RENEW_OF_15 = 10, /* fifteenths of the duration, as client-go's 15 s, 10 s, 2 s */
    RETRY_OF_15 = 2,
    THEIR_DURATION_MAX_S = 3600, /* of another's lease: nobody waits longer */
    BODY_BYTES_MAX = 8192,
};

struct lease {
    struct kube_client *client; /* borrowed */
    struct loop *loop;
    struct arena own;
    struct rng rng;
    struct span namespace, name, holder;
    const char *path, *collection;
    int64_t duration_ms, renew_ms, retry_ms;
    void (*on_leading)(void *arg, bool leading);
    void *arg;

    struct kube_call *call;
    int64_t asked_ms; /* when it was made */
    bool writing, creating;
    unsigned failures;     /* in a row */
    struct deadline next;  /* the next try */
    struct deadline lapse; /* of our own leading */
    int64_t lead_until_ms;
    bool leading;

    /* as last seen */
    char *version;     /* owned; NULL = to be read before it is written */
    char *seen_holder; /* owned; NULL = nobody was ever seen */
    char *seen_acquired;
    uint64_t seen_mark; /* of all that a renewal changes */
    int64_t seen_at_ms; /* when it was first seen so */
    int64_t seen_duration_ms;
    int64_t seen_transitions;
    bool freed;
};

static void set_text(char **text, struct span value)
{
    mem_free(*text);
    *text = value.at != NULL ? mem_strndup(value.at, value.len) : NULL;
}

static bool is_ours(const struct lease *l)
{
    return l->seen_holder != NULL && span_is(l->holder, l->seen_holder);
}

bool lease_is_leading(const struct lease *l)
{
    return l->leading && instant_mono_ms() < l->lead_until_ms;
}

struct span lease_holder(const struct lease *l)
{
    return span_of(l->seen_holder);
}

static void set_leading(struct lease *l, bool leading)
{
    if (l->leading == leading || l->freed) {
        return;
    }
    l->leading = leading;
    log_info("kube", "%s lease=%s/%s holder=%s", leading ? "leading" : "no longer leading",
             l->namespace.at, l->name.at, l->seen_holder != NULL ? l->seen_holder : "");
    if (!leading) {
        deadline_disarm(&l->lapse);
    }
    if (l->on_leading != NULL) {
        l->on_leading(l->arg, leading);
    }
}

/* --- what the server has --- */

static struct span text_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static int64_t int_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_INT) ? node->integer : 0;
}

static uint64_t mark_of(const struct doc_node *spec)
{
    static const char *const texts[] = {"holderIdentity", "acquireTime", "renewTime"};
    uint64_t mark = (uint64_t)int_of(spec, "leaseDurationSeconds") << 32 ^
                    (uint64_t)int_of(spec, "leaseTransitions");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct hash_key key = {.k0 = mark, .k1 = i};
        mark = hash_span(&key, text_of(spec, texts[i]));
    }
    return mark;
}

static void see(struct lease *l, const struct doc_node *doc)
{
    const struct doc_node *spec = doc_get(doc, "spec");
    struct span version = text_of(doc_get(doc, "metadata"), "resourceVersion");
    set_text(&l->version, version.len > 0 ? version : SPAN_EMPTY);
    uint64_t mark = mark_of(spec);
    if (l->seen_holder != NULL && mark == l->seen_mark) {
        return;
    }
    int64_t duration_s = int_of(spec, "leaseDurationSeconds");
    l->seen_mark = mark;
    l->seen_at_ms = instant_mono_ms();
    l->seen_duration_ms =
        duration_s > 0 ? i64_min(duration_s, THEIR_DURATION_MAX_S) * 1000 : l->duration_ms;
    l->seen_transitions = int_of(spec, "leaseTransitions");
    struct span holder = text_of(spec, "holderIdentity");
    set_text(&l->seen_holder, holder.len > 0 ? holder : SPAN(""));
    set_text(&l->seen_acquired, text_of(spec, "acquireTime"));
}

/* Somebody else has it, as far as we know. */
static bool is_taken(const struct lease *l)
{
    return l->seen_holder != NULL && l->seen_holder[0] != '\0' && !is_ours(l) &&
           instant_mono_ms() < l->seen_at_ms + l->seen_duration_ms;
}

/* --- asking --- */

static void on_read(void *arg, const struct kube_answer *a);
static void on_written(void *arg, const struct kube_answer *a);
static void on_released(void *arg, const struct kube_answer *a);

static void ask(struct lease *l, const char *method, struct span body, kube_on_answer on_answer)
{
    bool is_post = method[1] == 'O';
    const struct kube_call_spec spec = {
        .method = method,
        .path = is_post ? l->collection : l->path,
        .content_type = is_post ? KUBE_JSON : KUBE_MERGE,
        .body = body,
        .timeout_ms = l->renew_ms / 2,
        .no_retry = true,
        .on_answer = on_answer,
        .arg = l,
    };
    l->writing = body.len > 0;
    l->asked_ms = instant_mono_ms();
    l->call = kube_call(l->client, &spec);
}

/* A merge patch for the version that was seen: any write between the two makes it a conflict, and what others added to the object
 * stays. `holder` empty: to release it. */
static struct doc_node *body_of(struct lease *l, struct arena *arena, struct span holder)
{
    char now[DATE_TEXT_BYTES];
    (void)date_format_rfc3339(instant_wall_us(), 6, now);
    bool is_new = !is_ours(l);
    struct doc_node *doc = doc_new_map(arena);
    if (l->version != NULL) {
        struct span version = span_of(l->version);
        doc_set_text(arena, doc_map_in(arena, doc, "metadata"), "resourceVersion", version);
    } else {
        doc_set_text(arena, doc, "apiVersion", SPAN("coordination.k8s.io/v1"));
        doc_set_text(arena, doc, "kind", SPAN("Lease"));
        struct doc_node *metadata = doc_map_in(arena, doc, "metadata");
        doc_set_text(arena, metadata, "namespace", l->namespace);
        doc_set_text(arena, metadata, "name", l->name);
    }
    struct doc_node *spec = doc_map_in(arena, doc, "spec");
    int64_t duration_s = holder.len == 0 ? 1 : (l->duration_ms + 999) / 1000;
    int64_t transitions = l->seen_transitions + (is_new && l->version != NULL);
    bool keeps_time = !is_new && l->seen_acquired != NULL;
    doc_set_text(arena, spec, "holderIdentity", holder);
    doc_set(arena, spec, "leaseDurationSeconds", doc_int(arena, duration_s));
    doc_set(arena, spec, "leaseTransitions", doc_int(arena, transitions));
    doc_set_text(arena, spec, "acquireTime", span_of(keeps_time ? l->seen_acquired : now));
    doc_set_text(arena, spec, "renewTime", span_of(now));
    return doc;
}

static void write_lease(struct lease *l, struct span holder)
{
    struct arena arena;
    struct buf body;
    arena_init(&arena, 4096);
    buf_init(&body, BODY_BYTES_MAX);
    int failed = doc_write_json(body_of(l, &arena, holder), false, &body);
    ASSERT(failed == 0); /* names of Kubernetes are short */
    l->creating = l->version == NULL;
    ask(l, l->creating ? "POST" : "PATCH", buf_span(&body),
        holder.len > 0 ? on_written : on_released);
    set_text(&l->version, SPAN_EMPTY); /* until the answer says how it is now */
    buf_dispose(&body);
    arena_dispose(&arena);
}

static void wait_then(struct lease *l)
{
    int64_t half_ms = l->retry_ms / 2;
    deadline_arm(&l->next, l->loop,
                 half_ms + half_ms / 2 + (int64_t)rng_below(&l->rng, (uint64_t)half_ms + 1));
}

static void read_lease(struct lease *l)
{
    ask(l, "GET", SPAN_EMPTY, on_read);
}

static void on_next(struct deadline *d)
{
    struct lease *l = container_of(d, struct lease, next);
    if (l->version != NULL && is_ours(l)) {
        write_lease(l, l->holder);
    } else {
        read_lease(l);
    }
}

static void on_lapse(struct deadline *d)
{
    struct lease *l = container_of(d, struct lease, lapse);
    set_leading(l, false);
}

/* --- answers --- */

static void destroy(void *obj)
{
    struct lease *l = obj;
    mem_free(l->version);
    mem_free(l->seen_holder);
    mem_free(l->seen_acquired);
    arena_dispose(&l->own);
    mem_free(l);
}

/* The owner has left. */
static void leave(struct lease *l, bool is_answered)
{
    if (is_answered && l->version != NULL && is_ours(l)) {
        write_lease(l, SPAN_EMPTY);
    } else {
        loop_bury(l->loop, destroy, l);
    }
}

static void on_released(void *arg, const struct kube_answer *a)
{
    struct lease *l = arg;
    log_debug("kube", "lease released code=%d why=\"%s\"", a->code, a->why);
    loop_bury(l->loop, destroy, l);
}

static void complain(struct lease *l, const char *what, const struct kube_answer *a)
{
    bool is_news = a->code != -ESTALE && (l->leading || l->failures++ == 0);
    log_line(is_news ? LOG_WARN : LOG_DEBUG, "kube", "lease %s not %s why=\"%s\"", l->name.at, what,
             a->why);
}

static void on_read(void *arg, const struct kube_answer *a)
{
    struct lease *l = arg;
    l->call = NULL;
    if (a->code == 0 && a->doc != NULL) {
        see(l, a->doc);
    }
    if (l->freed) {
        leave(l, a->code == 0);
        return;
    }
    if (a->code != 0 && a->code != -ENOENT) {
        complain(l, "read", a);
        wait_then(l);
        return;
    }
    if (a->code != 0) {
        set_text(&l->version, SPAN_EMPTY);
    }
    l->failures = 0;
    if (is_taken(l)) { /* also one that was deleted while its holder may think it leads */
        wait_then(l);
        set_leading(l, false);
        return;
    }
    write_lease(l, l->holder);
}

static void on_written(void *arg, const struct kube_answer *a)
{
    struct lease *l = arg;
    l->call = NULL;
    if (a->code == 0 && a->doc != NULL) {
        see(l, a->doc);
    }
    if (l->freed) {
        leave(l, a->code == 0);
        return;
    }
    wait_then(l);
    if (a->code != 0) {
        complain(l, "written", a);
        if (l->leading && !l->creating && (a->code == -ESTALE || a->code == -ENOENT)) {
            deadline_disarm(&l->next);
            read_lease(l); /* somebody wrote it: who? */
        }
        return;
    }
    l->failures = 0;
    int64_t until_ms = l->asked_ms + l->renew_ms;
    int64_t left_ms = until_ms - instant_mono_ms();
    if (!is_ours(l) || left_ms <= 0) {
        return;
    }
    l->lead_until_ms = until_ms;
    deadline_arm(&l->lapse, l->loop, left_ms);
    set_leading(l, true);
}

/* --- life --- */

struct lease *lease_new(const struct lease_spec *spec)
{
    static const struct kube_kind kind = {
        .group = "coordination.k8s.io", .version = "v1", .plural = "leases", .namespaced = true};
    struct lease *l = mem_new(struct lease);
    l->client = spec->client;
    l->loop = kube_client_loop(spec->client);
    arena_init(&l->own, 1024);
    rng_init(&l->rng);
    l->namespace = arena_dup(&l->own, spec->namespace);
    l->name = arena_dup(&l->own, spec->name);
    l->holder = arena_dup(&l->own, spec->holder);
    ASSERT(l->holder.len > 0);
    l->path = kube_path(&l->own, &kind, l->namespace, l->name, NULL);
    l->collection = kube_path(&l->own, &kind, l->namespace, SPAN_EMPTY, NULL);
    l->duration_ms = spec->duration_ms > 0 ? spec->duration_ms : DURATION_MS;
    l->renew_ms = l->duration_ms * RENEW_OF_15 / 15;
    l->retry_ms = l->duration_ms * RETRY_OF_15 / 15;
    l->on_leading = spec->on_leading;
    l->arg = spec->arg;
    deadline_init(&l->next, on_next);
    deadline_init(&l->lapse, on_lapse);
    deadline_arm(&l->next, l->loop, 0);
    return l;
}

void lease_free(struct lease *l)
{
    if (l == NULL || l->freed) {
        return;
    }
    l->freed = true;
    l->leading = false;
    deadline_disarm(&l->next);
    deadline_disarm(&l->lapse);
    if (l->call == NULL) {
        leave(l, true);
    } else if (!l->writing && !is_ours(l)) {
        kube_call_cancel(l->call);
        l->call = NULL;
        loop_bury(l->loop, destroy, l);
    } /* else the answer tells what to release */
}

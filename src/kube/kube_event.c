/* Events, and which of them were said just now.
 * In: what a person should know about an object.  Out: POST of an Event (kube_call).
 * Source: Kubernetes API, Event v1 events.k8s.io: which fields must be there, and their lengths. */
#include "kube/kube_event.h"

#include "base/hash.h"
#include "base/instant.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/date.h"
#include "codec/hex.h"
#include "kube/kube_path.h"

enum {
    QUIET_MS = 5 * 60 * 1000,
    SAID_MAX = 4096,
    OUTSTANDING_MAX = 16,
    NOTE_BYTES_MAX = 1024, /* the server's limit */
    REASON_BYTES_MAX = 128,
    NAME_BYTES_MAX = 253 - 17, /* and ".", and 16 digits */
    BODY_BYTES_MAX = 64 * 1024,
};

/* One that was said. */
struct said {
    struct list node; /* oldest first */
    uint64_t mark[2]; /* hash of all that makes it the same */
    int64_t at_ms;
};

/* One that is under way. */
struct posting {
    struct list node;
    struct kube_events *events; /* NULL once they are freed */
};

struct kube_events {
    struct kube_client *client; /* borrowed */
    struct span instance;
    struct arena own;
    struct map said; /* by mark */
    struct list age;
    struct list postings;
    unsigned posting_count;
    struct rng rng;
};

static void forget(struct kube_events *e, struct said *s)
{
    map_remove(&e->said, span_from(s->mark, sizeof(s->mark)));
    list_remove(&s->node);
    mem_free(s);
}

/* True when it is to be said, which is then noted. */
static bool is_new(struct kube_events *e, const struct kube_event *event)
{
    const struct span parts[] = {event->namespace, event->kind,   event->api_version, event->name,
                                 event->uid,       event->reason, event->note};
    uint64_t mark[2] = {0, event->warning};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct hash_key key = {.k0 = mark[0] ^ hash_process_key()->k0, .k1 = mark[1]};
        mark[0] = hash_span(&key, parts[i]);
        mark[1] = mark[1] * UINT64_C(0x9e3779b97f4a7c15) + parts[i].len;
    }
    int64_t now_ms = instant_mono_ms();
    while (!list_is_empty(&e->age)) {
        struct said *oldest = list_item(e->age.next, struct said, node);
        if (now_ms - oldest->at_ms < QUIET_MS && map_count(&e->said) < SAID_MAX) {
            break;
        }
        forget(e, oldest);
    }
    if (map_get(&e->said, span_from(mark, sizeof(mark))) != NULL) {
        return false;
    }
    struct said *s = mem_new(struct said);
    memcpy(s->mark, mark, sizeof(mark));
    s->at_ms = now_ms;
    list_push_back(&e->age, &s->node);
    map_put(&e->said, span_from(s->mark, sizeof(s->mark)), s);
    return true;
}

/* A beginning that does not end within a character. */
static struct span cut(struct span text, size_t max)
{
    if (text.len > max) {
        text.len = max;
        while (text.len > 0 && ((unsigned char)text.at[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    return text;
}

/* Names of some kinds (RBAC) hold what those of Events may not (RFC 1123 subdomains). */
static struct span name_base(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!is_good) {
            return SPAN("mesh");
        }
    }
    name = span_first(name, NAME_BYTES_MAX);
    while (name.len > 0 && (name.at[name.len - 1] == '.' || name.at[name.len - 1] == '-')) {
        name.len--;
    }
    return name.len > 0 ? name : SPAN("mesh");
}

static void set_if(struct arena *arena, struct doc_node *map, const char *key, struct span value)
{
    if (value.len > 0) {
        doc_set_text(arena, map, key, value);
    }
}

static struct doc_node *event_doc(struct kube_events *e, struct arena *arena,
                                  const struct kube_event *event, struct span ns)
{
    char id[17] = "", now[DATE_TEXT_BYTES];
    hex_put_u64(rng_u64(&e->rng), 16, id);
    (void)date_format_rfc3339(instant_wall_us(), 6, now);
    struct span base = name_base(event->name);
    struct doc_node *doc = doc_new_map(arena);
    doc_set_text(arena, doc, "apiVersion", SPAN("events.k8s.io/v1"));
    doc_set_text(arena, doc, "kind", SPAN("Event"));
    struct doc_node *metadata = doc_map_in(arena, doc, "metadata");
    doc_set_text(arena, metadata, "namespace", ns);
    doc_set_text(arena, metadata, "name",
                 span_of(arena_printf(arena, "%.*s.%s", SPAN_ARG(base), id)));
    doc_set_text(arena, doc, "eventTime", span_of(now));
    doc_set_text(arena, doc, "reportingController", SPAN("mesh.io/control"));
    doc_set_text(arena, doc, "reportingInstance", e->instance);
    doc_set_text(arena, doc, "type", event->warning ? SPAN("Warning") : SPAN("Normal"));
    doc_set_text(arena, doc, "reason", cut(event->reason, REASON_BYTES_MAX));
    doc_set_text(arena, doc, "action", SPAN("Observe"));
    doc_set_text(arena, doc, "note", cut(event->note, NOTE_BYTES_MAX));
    struct doc_node *regarding = doc_map_in(arena, doc, "regarding");
    set_if(arena, regarding, "apiVersion", event->api_version);
    set_if(arena, regarding, "kind", event->kind);
    set_if(arena, regarding, "namespace", event->namespace);
    set_if(arena, regarding, "name", event->name);
    set_if(arena, regarding, "uid", event->uid);
    return doc;
}

static void on_answer(void *arg, const struct kube_answer *a)
{
    struct posting *p = arg;
    if (a->code != 0) {
        log_debug("kube", "event not written why=\"%s\"", a->why);
    }
    if (p->events != NULL) {
        list_remove(&p->node);
        p->events->posting_count--;
    }
    mem_free(p);
}

void kube_event_write(struct kube_events *e, const struct kube_event *event)
{
    static const struct kube_kind kind = {
        .group = "events.k8s.io", .version = "v1", .plural = "events", .namespaced = true};
    if (e->posting_count >= OUTSTANDING_MAX || !is_new(e, event)) {
        return;
    }
    /* Those of objects without a namespace lie in "default", as Kubernetes' own do. */
    struct span ns = event->namespace.len > 0 ? event->namespace : SPAN("default");
    struct arena arena;
    struct buf body;
    arena_init(&arena, 4096);
    buf_init(&body, BODY_BYTES_MAX);
    if (doc_write_json(event_doc(e, &arena, event, ns), false, &body) == 0) {
        struct posting *p = mem_new(struct posting);
        p->events = e;
        list_push_back(&e->postings, &p->node);
        e->posting_count++;
        const struct kube_call_spec spec = {.method = "POST",
                                            .path = kube_path(&arena, &kind, ns, SPAN_EMPTY, NULL),
                                            .body = buf_span(&body),
                                            .on_answer = on_answer,
                                            .arg = p};
        (void)kube_call(e->client, &spec);
    }
    buf_dispose(&body);
    arena_dispose(&arena);
}

struct kube_events *kube_events_new(struct kube_client *c, struct span instance)
{
    struct kube_events *e = mem_new(struct kube_events);
    e->client = c;
    arena_init(&e->own, 256);
    e->instance = arena_dup(&e->own, span_first(instance, 128));
    map_init(&e->said);
    list_init(&e->age);
    list_init(&e->postings);
    rng_init(&e->rng);
    return e;
}

void kube_events_free(struct kube_events *e)
{
    if (e == NULL) {
        return;
    }
    LIST_EACH(node, next, &e->postings) {
        list_item(node, struct posting, node)->events = NULL;
    }
    while (!list_is_empty(&e->age)) {
        forget(e, list_item(e->age.next, struct said, node));
    }
    map_dispose(&e->said);
    arena_dispose(&e->own);
    mem_free(e);
}

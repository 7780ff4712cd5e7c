/* Asking other services on behalf of a request.
 * In: a request of bookinfo.c. Out: calls of peer.c. Next: the answers, put together by bookinfo.c. */
#include "sample/visit.h"

#include "base/mem.h"

#define BODY_MAX (1u << 20)

/* What Bookinfo's services hand on (Istio's documentation of tracing names the headers). */
static bool is_handed_on(struct span name)
{
    static const char *const names[] = {
        "x-request-id",
        "traceparent",
        "tracestate",
        "b3",
        "x-ot-span-context",
        "sw8",
        "end-user",
        "user-agent",
        "cookie",
        "x-cloud-trace-context",
        "jwt",
        "baggage",
        "x-trace-id",
        "authorization",
        "grpc-trace-bin",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_is(name, names[i])) {
            return true;
        }
    }
    return span_starts(name, SPAN("x-b3-")) || span_starts(name, SPAN("x-datadog-"));
}

static void hand_on(struct visit *v, const struct head *head, struct span end_user)
{
    bool named = head_get(head, SPAN("end-user")).at != NULL;
    v->fields = arena_array(&v->arena, head->count + 1, sizeof(*v->fields));
    for (size_t i = 0; i < head->count; i++) {
        if (is_handed_on(head->fields[i].name)) {
            struct header *h = &v->fields[v->field_count++];
            h->name = arena_dup(&v->arena, head->fields[i].name);
            h->value = arena_dup(&v->arena, head->fields[i].value);
        }
    }
    if (end_user.len > 0 && !named) {
        struct header *h = &v->fields[v->field_count++];
        h->name = SPAN("end-user");
        h->value = arena_dup(&v->arena, end_user);
    }
}

static void visit_end(struct visit *v)
{
    if (v->stream != NULL && !v->dropped) {
        reply_later(v->stream, NULL);
        v->done(v->arg, v);
    }
    if (!v->dropped) {
        list_remove(&v->node);
    }
    arena_dispose(&v->arena);
    mem_free(v);
}

static void ask(struct visit_part *part);

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct visit_part *part = arg;
    struct visit *v = part->visit;

    part->status = answer->err != NULL ? 500 : answer->head->status;
    if (part->status == 200) {
        struct span body = arena_dup(&v->arena, answer->body);
        if (doc_parse_json(&v->arena, body, "answer", &part->doc, NULL) < 0) {
            part->status = 500;
        }
    }
    if (part->doc == NULL && part->ask.tries > 1 && v->stream != NULL && !v->dropped) {
        part->ask.tries--;
        ask(part);
        return;
    }
    v->missing--;
    if (v->missing == 0) {
        visit_end(v);
    }
}

static void ask(struct visit_part *part)
{
    const struct http_call call = {
        .method = SPAN("GET"),
        .path = span_of(part->ask.path),
        .fields = part->visit->fields,
        .field_count = part->visit->field_count,
        .timeout_ms = part->ask.timeout_ms,
        .body_max = BODY_MAX,
        .on_answer = on_answer,
        .arg = part,
    };
    peer_call(part->ask.peer, &call);
}

static void on_gone(struct reply_wait *w)
{
    container_of(w, struct visit, wait)->stream = NULL;
}

void visit_start(struct list *visits, const struct http_request *rq, struct span end_user,
                 const struct visit_ask *asks, size_t ask_count,
                 void (*done)(void *arg, struct visit *v), void *arg)
{
    struct visit *v = mem_new(struct visit);

    ASSERT(ask_count > 0 && ask_count <= VISIT_PARTS_MAX);
    arena_init(&v->arena, 4096);
    v->stream = rq->stream;
    v->wait.on_close = on_gone;
    v->done = done;
    v->arg = arg;
    list_push_back(visits, &v->node);
    reply_later(rq->stream, &v->wait);
    hand_on(v, rq->head, end_user);
    for (size_t i = 0; i < ask_count; i++) {
        struct visit_part *part = &v->parts[i];
        part->visit = v;
        part->ask = asks[i];
        if (asks[i].peer != NULL) {
            part->ask.path = arena_strdup(&v->arena, asks[i].path);
            v->missing++;
            ask(part);
        }
    }
    ASSERT(v->missing > 0);
}

void visit_drop_all(struct list *visits)
{
    struct list *node;
    while ((node = list_pop_front(visits)) != NULL) {
        list_item(node, struct visit, node)->dropped = true;
    }
}

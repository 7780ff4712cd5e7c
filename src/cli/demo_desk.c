/* Orders to a running demo.
 * In: `mesh demo break|heal`, over demo.sock. Out: faults of applications, processes that are held. */
#include "cli/demo_desk.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/demo.h"
#include "codec/url.h"
#include "http/http_server.h"

#define BODY_MAX (1u << 20)

struct demo_desk {
    struct demo *demo;
    struct http_server *server;
    struct http_client *apps[DEMO_WORKLOADS]; /* of demo_workloads; NULL until needed */
};

static void reply(struct http_stream *s, unsigned status, const struct doc_node *doc)
{
    struct buf text;
    buf_init(&text, BODY_MAX);
    if (doc_write_json(doc, false, &text) == 0) {
        (void)http_stream_reply(s, status, SPAN("application/json"), buf_span(&text)); /* or gone */
    }
    buf_dispose(&text);
}

static void refuse(struct http_stream *s, unsigned status, const char *why)
{
    struct arena *a = http_stream_arena(s);
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "kind", doc_cstr(a, "Error"));
    doc_set(a, doc, "what", doc_cstr(a, why));
    reply(s, status, doc);
}

/* ---- faults of applications: the caller is told when they have answered */

/* Outlives its stream when the caller leaves first. */
struct order {
    struct http_stream *stream; /* NULL: nobody waits any more */
    struct demo_desk *desk;
    unsigned missing;
    unsigned refused; /* the last status that was no success */
    bool heals;
    const char *names[DEMO_WORKLOADS];
    size_t count;
};

static void ignore_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg);
    UNUSED(head);
    UNUSED(end);
}

static void ignore_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static void on_caller_gone(void *arg, enum http_reset why)
{
    UNUSED(why);
    if (arg != NULL) {
        ((struct order *)arg)->stream = NULL;
    }
}

static const struct http_stream_events waiting = {
    .on_head = ignore_head, .on_data = ignore_data, .on_close = on_caller_gone};

static void order_end(struct order *o)
{
    if (o->stream != NULL) {
        struct arena *a = http_stream_arena(o->stream);
        struct doc_node *doc = doc_new_map(a);
        struct doc_node *broken = doc_list_in(a, doc, "broken");
        for (size_t i = 0; i < o->count && !o->heals; i++) {
            doc_list_add(a, broken, doc_cstr(a, o->names[i]));
        }
        http_stream_set_events(o->stream, &waiting, NULL);
        if (o->refused > 0 && !o->heals) {
            refuse(o->stream, 400,
                   "a way to break is status=400..599, delay=0s..10m, and share=1..100 percent");
        } else {
            reply(o->stream, 200, doc);
        }
    }
    mem_free(o);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct order *o = arg;
    /* An application that does not answer is broken already, and healed when it is started again. */
    if (answer->err == NULL && answer->head->status >= 400) {
        o->refused = answer->head->status;
    }
    if (--o->missing == 0) {
        order_end(o);
    }
}

static struct order *order_new(struct demo_desk *desk, struct http_stream *stream, bool heals)
{
    struct order *o = mem_new(struct order);
    o->desk = desk;
    o->stream = stream;
    o->heals = heals;
    o->missing = 1; /* ours, until all are sent */
    http_stream_set_events(stream, &waiting, o);
    return o;
}

static void order_add(struct order *o, size_t i, struct span words)
{
    static const struct header write = {.name = SPAN_INIT("x-mesh-write"), .value = SPAN_INIT("1")};
    struct demo *d = o->desk->demo;
    struct http_client **app = &o->desk->apps[i];
    struct arena arena;

    o->names[o->count++] = demo_workloads[i].name;
    arena_init(&arena, 512);
    const struct http_client_spec spec = {
        .origin = span_of(demo_plan_app_origin(d, &demo_workloads[i], &arena))};
    if (*app != NULL || http_client_new(app, d->loop, &spec, NULL) == 0) {
        const struct http_call call = {
            .method = SPAN("POST"),
            .path = span_of(arena_printf(&arena, "/fault?%.*s", SPAN_ARG(words))),
            .fields = &write,
            .field_count = 1,
            .on_answer = on_answer,
            .arg = o,
        };
        o->missing++;
        http_client_call(*app, &call);
    }
    arena_dispose(&arena);
}

static void order_sent(struct order *o)
{
    if (--o->missing == 0) {
        order_end(o);
    }
}

/* ---- what people order */

/* A value of a query as it was meant, in the arena; empty when it can not be read. */
static struct span decoded(struct arena *a, struct span text)
{
    struct buf out;
    buf_init(&out, 1024);
    struct span value = SPAN_EMPTY;
    if (text.at != NULL && url_decode(text, true, &out) == 0) {
        value = arena_dup(a, buf_span(&out));
    }
    buf_dispose(&out);
    return value;
}

/* "status=503,share=50" as a query; what could not stand in one is left for the application to refuse. */
static struct span query_of(struct arena *a, struct span words)
{
    char *to = arena_bytes(a, words.len + 1);
    for (size_t i = 0; i < words.len; i++) {
        unsigned char c = (unsigned char)words.at[i];
        to[i] = c == ',' ? '&' : c > ' ' && c < 0x7f && c != '#' ? (char)c : '_';
    }
    return span_from(to, words.len);
}

static bool end_member(struct demo *d, struct span name)
{
    struct demo_member *m = demo_crew_find(d->crew, name);
    if (m != NULL) {
        demo_member_hold(m, true);
        demo_member_kill(m);
    }
    return m != NULL;
}

static void on_break(void *arg, const struct http_request *rq)
{
    struct demo_desk *desk = arg;
    struct arena *a = http_stream_arena(rq->stream);
    struct span what = decoded(a, url_query_get(rq->query, SPAN("what")));
    struct span how = decoded(a, url_query_get(rq->query, SPAN("how")));
    struct span words = query_of(a, how.len > 0 ? how : SPAN("status=503"));
    struct order *o = order_new(desk, rq->stream, false);

    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        if (span_is(what, demo_workloads[i].app) || span_is(what, demo_workloads[i].name)) {
            order_add(o, i, words);
        }
    }
    if (o->count == 0 && end_member(desk->demo, what)) {
        o->names[o->count++] = demo_member_name(demo_crew_find(desk->demo->crew, what));
    }
    if (o->count == 0) {
        refuse(rq->stream, 404, "there is nothing of that name");
        http_stream_set_events(rq->stream, &waiting, NULL);
        o->stream = NULL;
    }
    order_sent(o);
}

static void on_heal(void *arg, const struct http_request *rq)
{
    struct demo_desk *desk = arg;
    const struct demo_crew *crew = desk->demo->crew;
    struct order *o = order_new(desk, rq->stream, true);

    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        order_add(o, i, SPAN_EMPTY);
    }
    for (struct demo_member *m = demo_crew_next(crew, NULL); m != NULL;
         m = demo_crew_next(crew, m)) {
        demo_member_hold(m, false);
    }
    order_sent(o);
}

static void on_status(void *arg, const struct http_request *rq)
{
    const struct demo_desk *desk = arg;
    reply(rq->stream, 200, demo_to_doc(desk->demo, http_stream_arena(rq->stream)));
}

int demo_desk_open(struct demo_desk **out, struct demo *d, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    char path[PATHS_BYTES], text[PATHS_BYTES + 8];
    struct demo_desk *desk = mem_new(struct demo_desk);

    desk->demo = d;
    (void)snprintf(text, sizeof(text), "unix:%s", demo_place_path(&d->place, "demo.sock", path));
    int code = addr_parse(span_of(text), &where.addr, err);
    code = code < 0 ? code : http_server_new(&desk->server, d->loop, &where, NULL, err);
    if (code < 0) {
        mem_free(desk);
        return code;
    }
    http_server_route(desk->server, "GET", "/status", false, on_status, desk);
    http_server_route(desk->server, "POST", "/break", false, on_break, desk);
    http_server_route(desk->server, "POST", "/heal", false, on_heal, desk);
    *out = desk;
    return 0;
}

void demo_desk_close(struct demo_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        http_client_free(desk->apps[i]);
    }
    http_server_free(desk->server);
    mem_free(desk);
}

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

/* Told to nobody: who ordered it sees the effect. */
static void on_order(void *arg, const struct http_answer *answer)
{
    UNUSED(arg);
    UNUSED(answer);
}

static void send_fault(struct demo_desk *desk, size_t i, struct span words)
{
    static const struct header write = {.name = SPAN_INIT("x-mesh-write"), .value = SPAN_INIT("1")};
    struct demo *d = desk->demo;
    struct arena arena;

    arena_init(&arena, 512);
    const struct http_client_spec spec = {
        .origin = span_of(demo_plan_app_origin(d, &demo_workloads[i], &arena))};
    if (desk->apps[i] != NULL || http_client_new(&desk->apps[i], d->loop, &spec, NULL) == 0) {
        const struct http_call call = {
            .method = SPAN("POST"),
            .path = span_of(arena_printf(&arena, "/fault?%.*s", SPAN_ARG(words))),
            .fields = &write,
            .field_count = 1,
            .on_answer = on_order,
        };
        http_client_call(desk->apps[i], &call);
    }
    arena_dispose(&arena);
}

static void on_break(void *arg, const struct http_request *rq)
{
    struct demo_desk *desk = arg;
    struct demo *d = desk->demo;
    struct arena *a = http_stream_arena(rq->stream);
    struct span what = url_query_get(rq->query, SPAN("what"));
    struct span how = url_query_get(rq->query, SPAN("how"));
    struct doc_node *doc = doc_new_map(a);
    struct doc_node *broken = doc_list_in(a, doc, "broken");
    struct buf words;

    buf_init(&words, 1024);
    if (url_decode(how.len > 0 ? how : SPAN("status=503"), true, &words) < 0) {
        buf_dispose(&words);
        refuse(rq->stream, 400, "the way to break it can not be read");
        return;
    }
    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        const struct demo_workload *w = &demo_workloads[i];
        if (span_is(what, w->app) || span_is(what, w->name)) {
            send_fault(desk, i, buf_span(&words));
            doc_list_add(a, broken, doc_cstr(a, w->name));
        }
    }
    struct demo_member *m = doc_count(broken) == 0 ? demo_crew_find(d->crew, what) : NULL;
    if (m != NULL) {
        demo_member_hold(m, true);
        demo_member_kill(m);
        doc_list_add(a, broken, doc_cstr(a, demo_member_name(m)));
    }
    buf_dispose(&words);
    if (doc_count(broken) == 0) {
        refuse(rq->stream, 404, "there is nothing of that name");
        return;
    }
    reply(rq->stream, 200, doc);
}

static void on_heal(void *arg, const struct http_request *rq)
{
    struct demo_desk *desk = arg;
    struct arena *a = http_stream_arena(rq->stream);

    for (size_t i = 0; i < DEMO_WORKLOADS; i++) {
        send_fault(desk, i, SPAN_EMPTY);
    }
    const struct demo_crew *crew = desk->demo->crew;
    for (struct demo_member *m = demo_crew_next(crew, NULL); m != NULL;
         m = demo_crew_next(crew, m)) {
        demo_member_hold(m, false);
    }
    reply(rq->stream, 200, doc_new_map(a));
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

/* A service that does nothing but ask others.
 * In: complete requests from http_server. Next: visit.c. Out: JSON. */
#include "sample/caller.h"

#include "base/mem.h"
#include "sample/reply.h"

#define ASK_MS 5000

struct caller {
    struct caller_spec spec;
    struct list visits;
};

static void tell(const struct caller *c, struct http_stream *s, const struct visit_part *parts,
                 size_t count)
{
    struct arena *a = http_stream_arena(s);
    struct doc_node *doc = doc_new_map(a);
    bool well = true;

    doc_set(a, doc, "name", doc_cstr(a, c->spec.name));
    struct doc_node *calls = doc_list_in(a, doc, "calls");
    for (size_t i = 0; i < count; i++) {
        struct doc_node *one = doc_list_add(a, calls, doc_new_map(a));
        doc_set(a, one, "name", doc_cstr(a, c->spec.names[i]));
        doc_set(a, one, "status", doc_int(a, parts[i].status));
        well = well && parts[i].status == 200;
    }
    reply_json(s, well ? 200 : 502, doc, false);
}

static void on_visited(void *arg, struct visit *v)
{
    const struct caller *c = arg;
    tell(c, v->stream, v->parts, c->spec.count);
}

static void on_any(void *arg, const struct http_request *rq)
{
    struct caller *c = arg;
    struct visit_ask asks[CALLER_CALLS_MAX];
    const char *path = arena_cstr(http_stream_arena(rq->stream), rq->path);

    if (c->spec.count == 0) {
        tell(c, rq->stream, NULL, 0);
        return;
    }
    for (size_t i = 0; i < c->spec.count; i++) {
        asks[i] = (struct visit_ask){
            .peer = c->spec.peers[i], .path = path, .timeout_ms = ASK_MS, .tries = 1};
    }
    visit_start(&c->visits, rq, SPAN_EMPTY, asks, c->spec.count, on_visited, c);
}

static void on_health(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    reply_text(rq->stream, 200, SPAN("ok\n"));
}

struct caller *caller_new(struct http_server *server, const struct caller_spec *spec)
{
    struct caller *c = mem_new(struct caller);
    c->spec = *spec;
    list_init(&c->visits);
    caller_serve_health(server);
    http_server_route(server, "GET,HEAD", "/*", false, on_any, c);
    return c;
}

void caller_serve_health(struct http_server *server)
{
    http_server_route(server, "GET,HEAD", "/health", false, on_health, NULL);
}

void caller_free(struct caller *c)
{
    if (c != NULL) {
        visit_drop_all(&c->visits);
        mem_free(c);
    }
}

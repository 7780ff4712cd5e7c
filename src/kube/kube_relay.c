/* A request passed on through the API server.
 * In: a server's stream. Out: kube_exchange; the answer goes back as it comes. */
#include "kube/kube_relay.h"

#include "base/mem.h"
#include "kube/kube_client_int.h"

#define QUEUE_MAX (256u << 10) /* then the API server waits for the client */

struct kube_relay {
    struct kube_client *client;
    struct kube_exchange x;
    struct http_stream *down; /* NULL: gone */
    struct arena arena;
    struct kube_relay_spec spec;
    size_t held; /* not given back yet */
    unsigned status;
    bool has_ended; /* our answer is whole */
};

static void relay_free(void *obj)
{
    struct kube_relay *r = obj;
    arena_dispose(&r->arena);
    mem_free(r);
}

static void done(struct kube_relay *r, const char *why)
{
    if (r->spec.on_done != NULL) {
        r->spec.on_done(r->spec.arg, r->status, why);
        r->spec.on_done = NULL;
    }
}

static void leave(struct kube_relay *r)
{
    kube_exchange_stop(&r->x);
    r->down = NULL;
    loop_bury(r->client->loop, relay_free, r);
}

/* ---- the client ---- */

static void on_down_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg); /* the head was there before */
    UNUSED(head);
    UNUSED(end);
}

static void on_down_data(void *arg, struct span data, bool end)
{
    struct kube_relay *r = arg;
    UNUSED(end); /* the body was whole before */
    http_stream_consume(r->down, data.len);
}

static void on_down_drained(void *arg)
{
    struct kube_relay *r = arg;
    size_t held = r->held;
    r->held = 0;
    kube_exchange_consume(&r->x, held);
}

static void on_down_close(void *arg, enum http_reset why)
{
    struct kube_relay *r = arg;
    done(r, http_reset_name(why));
    leave(r);
}

static const struct http_stream_events down_events = {.on_head = on_down_head,
                                                      .on_data = on_down_data,
                                                      .on_drained = on_down_drained,
                                                      .on_close = on_down_close};

/* ---- the answer ---- */

/* "http://other/prefix/x" and "/prefix/x" become "/x". */
static void mend_location(struct kube_relay *r, struct head *head)
{
    struct span to = head_get(head, SPAN("location"));
    ssize_t scheme = span_find(to, SPAN("://"));
    if (scheme > 0) {
        struct span rest = span_from_offset(to, (size_t)scheme + 3);
        ssize_t slash = span_find_byte(rest, '/');
        rest = slash >= 0 ? span_from_offset(rest, (size_t)slash) : SPAN_EMPTY;
        to = span_starts(rest, r->spec.strip) ? rest : to;
    }
    if (r->spec.strip.len > 0 && span_starts(to, r->spec.strip)) {
        struct span rest = span_from_offset(to, r->spec.strip.len);
        const char *path =
            span_starts(rest, SPAN("/")) ? "" : "/"; /* the prefix alone is its root */
        int code = head_set(head, SPAN("location"),
                            span_of(arena_printf(&r->arena, "%s%.*s", path, SPAN_ARG(rest))));
        ASSERT(code == 0); /* it has that field */
    }
}

static void on_head(void *arg, const struct head *head)
{
    struct kube_relay *r = arg;
    struct head answer = *head;
    r->status = head->status;
    if (head_get(head, SPAN("location")).at != NULL) {
        mend_location(r, &answer);
    }
    r->has_ended = r->x.complete;
    (void)http_stream_head(r->down, &answer, r->x.complete); /* on_close follows a failure */
}

static void on_data(void *arg, struct span data)
{
    struct kube_relay *r = arg;
    r->has_ended = r->x.complete;
    (void)http_stream_data(r->down, data, r->x.complete); /* likewise */
    if (http_stream_queued(r->down) > QUEUE_MAX) {
        r->held += data.len;
    } else {
        kube_exchange_consume(&r->x, data.len);
    }
}

static void on_end(void *arg, const struct err *err)
{
    struct kube_relay *r = arg;
    if (err != NULL && r->status == 0) {
        done(r, err->text);
        (void)http_stream_reply(r->down, 502, SPAN("text/plain"),
                                span_of(arena_printf(&r->arena, "%s\n", err->text)));
    } else if (err != NULL) {
        struct http_stream *down = r->down;
        done(r, err->text);
        leave(r);
        http_stream_reset(down, HTTP_RESET_LOCAL); /* what is missing must not look whole */
    } else if (!r->has_ended) { /* trailers ended it, or an empty end of the body */
        r->has_ended = true;
        (void)http_stream_data(r->down, SPAN_EMPTY, true);
    }
}

static const struct kube_exchange_events exchange_events = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end};

/* ---- the request ---- */

static bool is_ours(struct span name)
{
    return span_is(name, "authorization") || span_starts(name, SPAN("impersonate-"));
}

static void take_fields(struct kube_relay *r, const struct head *head)
{
    struct header *fields = arena_array(&r->arena, head->count + 1, sizeof(*fields));
    for (size_t i = 0; i < head->count; i++) {
        if (!is_ours(head->fields[i].name)) {
            fields[r->x.field_count++] =
                (struct header){.name = arena_dup(&r->arena, head->fields[i].name),
                                .value = arena_dup(&r->arena, head->fields[i].value)};
        }
    }
    r->x.fields = fields;
}

void kube_relay(struct kube_client *c, const struct http_request *rq,
                const struct kube_relay_spec *spec)
{
    struct kube_relay *r = mem_new(struct kube_relay);
    r->client = c;
    r->down = rq->stream;
    r->spec = *spec;
    arena_init(&r->arena, 4096);
    r->spec.strip = arena_dup(&r->arena, spec->strip);
    r->x = (struct kube_exchange){
        .client = c,
        .events = &exchange_events,
        .arg = r,
        .method = arena_cstr(&r->arena, rq->head->method),
        .path = arena_strdup(&r->arena, spec->path),
        .body = arena_dup(&r->arena, rq->body),
        .holds = true,
    };
    take_fields(r, rq->head);
    http_stream_set_events(rq->stream, &down_events, r);
    kube_exchange_start(&r->x);
}

#ifndef UNIT_KUBE_FAKE_API_H
#define UNIT_KUBE_FAKE_API_H
/* A kube_client of paper, for tests of what stands on it: calls and streams are kept until the test answers them. To be included by one
 * test file, which then has these functions instead of the true ones. Time is the fake clock's. */
#include <stdio.h>

#include "base/instant.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "kube/kube_client.h"
#include "unit/cm.h"

struct kube_client {
    struct loop *loop;
    struct list calls;   /* struct kube_call, oldest first */
    struct list streams; /* struct kube_stream */
    unsigned call_count; /* ever */
    unsigned stream_count;
    void (*on_call)(struct kube_call *call); /* may be NULL */
    void (*on_cancel)(const struct kube_call *call);
    void (*on_stream)(struct kube_stream *s);
};

struct kube_call {
    struct list node;
    struct kube_client *client;
    char *method, *path, *content_type, *body;
    int64_t timeout_ms;
    kube_on_answer on_answer;
    void *arg;
    struct deadline later; /* for servers that take their time */
};

struct kube_stream {
    struct list node;
    struct kube_client *client;
    char *path;
    struct kube_stream_spec spec;
    bool closed;
    struct deadline later;
    uint64_t at; /* for the test */
};

struct loop *kube_client_loop(const struct kube_client *c)
{
    return c->loop;
}

static void fake_api_start(struct kube_client *c)
{
    *c = (struct kube_client){.loop = NULL};
    instant_fake_start(INT64_C(1000000000000), INT64_C(1700000000000000));
    c->loop = loop_new(true);
    list_init(&c->calls);
    list_init(&c->streams);
}

static void fake_call_free(void *obj)
{
    struct kube_call *call = obj;
    deadline_disarm(&call->later);
    mem_free(call->method);
    mem_free(call->path);
    mem_free(call->content_type);
    mem_free(call->body);
    mem_free(call);
}

static void fake_stream_free(void *obj)
{
    struct kube_stream *s = obj;
    deadline_disarm(&s->later);
    mem_free(s->path);
    mem_free(s);
}

/* Nothing may be outstanding. */
static void fake_api_end(struct kube_client *c)
{
    assert_true(list_is_empty(&c->calls));
    assert_true(list_is_empty(&c->streams));
    while (loop_turn(c->loop, false)) {
    }
    loop_free(c->loop);
    instant_fake_stop();
}

/* All that is due now. */
static void fake_api_settle(struct kube_client *c)
{
    while (loop_turn(c->loop, false)) {
    }
}

static inline void fake_api_pass(struct kube_client *c, int64_t ms)
{
    fake_api_settle(c);
    while (ms > 0) {
        int64_t due_ms = loop_next_due_ms(c->loop);
        int64_t step_ms = due_ms < 0 || due_ms > ms ? ms : i64_max(due_ms, 1);
        instant_fake_advance(step_ms * 1000000);
        ms -= step_ms;
        fake_api_settle(c);
    }
}

struct kube_call *kube_call(struct kube_client *c, const struct kube_call_spec *spec)
{
    struct kube_call *call = mem_new(struct kube_call);
    call->client = c;
    deadline_init(&call->later, NULL); /* whoever arms it says what it does */
    call->method = mem_strdup(spec->method);
    call->path = mem_strdup(spec->path);
    call->content_type = mem_strdup(spec->content_type ? spec->content_type : "");
    call->body = mem_strndup(spec->body.len ? spec->body.at : "", spec->body.len);
    call->timeout_ms = spec->timeout_ms;
    call->on_answer = spec->on_answer;
    call->arg = spec->arg;
    list_push_back(&c->calls, &call->node);
    c->call_count++;
    if (c->on_call != NULL) {
        c->on_call(call);
    }
    return call;
}

void kube_call_cancel(struct kube_call *call)
{
    if (call->client->on_cancel != NULL) {
        call->client->on_cancel(call);
    }
    list_remove(&call->node);
    deadline_disarm(&call->later);
    loop_bury(call->client->loop, fake_call_free, call);
}

static int fake_code_of(unsigned status, struct span reason)
{
    switch (status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
        return span_is(reason, "AlreadyExists") ? -EEXIST : -ESTALE;
    case 429:
        return -ERR_LIMIT;
    case 400:
    case 422:
        return -ERR_CONFIG;
    default:
        return status / 100 == 2 ? 0 : -EREMOTEIO;
    }
}

/* status 0: nobody answered. A body that is JSON comes parsed; `body` of a failure may be only its reason. */
static void fake_answer_after(struct kube_call *call, unsigned status, const char *body,
                              int64_t retry_after_s)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct kube_answer a = {.status = status, .body = span_of(body), .why = ""};
    a.retry_after_s = retry_after_s;
    struct err err;
    if (body[0] == '{' && doc_parse_json(&arena, a.body, "answer", &a.doc, &err) != 0) {
        fail_msg("%s", err.text);
    }
    a.reason = body[0] == '{' ? SPAN_EMPTY : a.body;
    a.code = status == 0 ? -ECONNREFUSED : fake_code_of(status, a.reason);
    if (a.code != 0) {
        a.why = body[0] == '{' || body[0] == '\0' ? "the server said no" : body;
    }
    list_remove(&call->node);
    deadline_disarm(&call->later);
    call->on_answer(call->arg, &a);
    loop_bury(call->client->loop, fake_call_free, call);
    arena_dispose(&arena);
}

static inline void fake_answer(struct kube_call *call, unsigned status, const char *body)
{
    fake_answer_after(call, status, body, -1);
}

/* The only call that is outstanding. */
static inline struct kube_call *fake_call(struct kube_client *c)
{
    fake_api_settle(c);
    if (list_is_empty(&c->calls) || c->calls.next != c->calls.prev) {
        fail_msg("%s outstanding, want one call", list_is_empty(&c->calls) ? "none" : "several");
    }
    return list_item(c->calls.next, struct kube_call, node);
}

struct kube_stream *kube_stream_open(struct kube_client *c, const struct kube_stream_spec *spec)
{
    struct kube_stream *s = mem_new(struct kube_stream);
    s->client = c;
    deadline_init(&s->later, NULL);
    s->path = mem_strdup(spec->path);
    s->spec = *spec;
    s->spec.path = s->path;
    list_push_back(&c->streams, &s->node);
    c->stream_count++;
    if (c->on_stream != NULL) {
        c->on_stream(s);
    }
    return s;
}

void kube_stream_close(struct kube_stream *s)
{
    if (s == NULL) {
        return;
    }
    assert_false(s->closed);
    s->closed = true;
    list_remove(&s->node);
    deadline_disarm(&s->later);
    loop_bury(s->client->loop, fake_stream_free, s);
}

static inline struct kube_stream *fake_stream(struct kube_client *c)
{
    fake_api_settle(c);
    if (list_is_empty(&c->streams) || c->streams.next != c->streams.prev) {
        fail_msg("%s open, want one stream", list_is_empty(&c->streams) ? "none" : "several");
    }
    return list_item(c->streams.next, struct kube_stream, node);
}

static inline void fake_line(struct kube_stream *s, const char *line)
{
    char *copy = mem_strdup(line); /* gone right after: who keeps it is found out */
    s->spec.on_line(s->spec.arg, span_of(copy));
    mem_free(copy);
}

/* status 200 and code 0: in order. */
static inline void fake_end(struct kube_stream *s, unsigned status, int code, const char *why)
{
    struct kube_answer a = {
        .status = status, .code = code, .why = why, .reason = SPAN(""), .retry_after_s = -1};
    kube_stream_close(s);
    s->spec.on_end(s->spec.arg, &a);
}
#endif

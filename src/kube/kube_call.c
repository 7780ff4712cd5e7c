/* One call, one answer: tried again while that is safe and there is time.
 * In: kube_call. Out: kube_exchange. Next: on_answer. */
#include "base/buf.h"
#include "base/mem.h"
#include "kube/kube_client_int.h"

#define CALL_MS_DEFAULT 10000
#define BODY_MAX_DEFAULT (64UL << 20)
#define PAUSE_MS_FIRST 100
#define PAUSE_MS_MOST 5000

/* BEGIN --> TRY <--> PAUSE --> answered */
struct kube_call {
    struct list node;
    struct kube_client *client;
    struct kube_exchange x;
    struct kube_call_spec spec; /* texts in `arena` */
    struct arena arena;
    struct arena told;  /* of the answer; dies with the call */
    struct arena *into; /* where the answer lives: `told`, or borrowed from kube_ask */
    struct buf body;
    struct loop_task begin;
    struct deadline due;   /* over all tries, since credentials were there */
    struct deadline pause; /* before the next try */
    int64_t due_ms;
    unsigned tries;
    bool renewed; /* once after a 401 */
};

static void call_free(void *obj)
{
    struct kube_call *k = obj;
    arena_dispose(&k->arena);
    arena_dispose(&k->told);
    buf_dispose(&k->body);
    mem_free(k);
}

static void call_quit(struct kube_call *k)
{
    list_remove(&k->node);
    kube_exchange_stop(&k->x);
    loop_task_cancel(&k->begin);
    deadline_disarm(&k->due);
    deadline_disarm(&k->pause);
    loop_bury(k->client->loop, call_free, k);
}

/* `a` may hold the head of an exchange that is over, whose on_close is running. */
static void call_answer(struct kube_call *k, const struct kube_answer *a)
{
    call_quit(k);
    if (k->spec.on_answer != NULL) {
        k->spec.on_answer(k->spec.arg, a);
    }
}

static void call_fail(struct kube_call *k, const struct err *err)
{
    struct kube_answer a;
    kube_answer_fail(&a, k->into, err);
    call_answer(k, &a);
}

/* ---- again? ---- */

/* RFC 9110 section 9.2.2, and a PATCH that says how it shall be, not what to change. */
static bool is_idempotent(const struct kube_call *k)
{
    const char *method = k->spec.method;
    const char *type = k->spec.content_type;
    return strcmp(method, "GET") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "DELETE") == 0 || strcmp(method, "HEAD") == 0 ||
           (strcmp(method, "PATCH") == 0 && type != NULL &&
            (strcmp(type, KUBE_APPLY) == 0 || strcmp(type, KUBE_MERGE) == 0));
}

/* 429 was not carried out; nor was what names a time to come again (client-go obeys the same). */
static bool is_worth_it(const struct kube_call *k, const struct kube_answer *a)
{
    if (k->spec.no_retry) {
        return false;
    }
    if (a->status == 0) {
        bool was_sent = k->x.may_have_run;
        bool is_away = a->code == -ECONNRESET || a->code == -ETIMEDOUT || a->code == -ERR_EOF ||
                       a->code == -ECONNREFUSED || a->code == -ERR_RESET || a->code == -EPIPE ||
                       a->code == -EHOSTUNREACH || a->code == -ENETUNREACH;
        /* A server that never answered is more likely not there than away for a moment. */
        return is_away && (was_sent ? is_idempotent(k) : k->client->was_reached);
    }
    bool is_busy = a->status == 503 || a->status == 504 || a->status == 502;
    return a->status == 429 || (a->status == 503 && a->retry_after_s >= 0) ||
           (is_busy && is_idempotent(k)) ||
           (a->status == 500 && a->retry_after_s >= 0 && is_idempotent(k));
}

/* How long to wait before the next try; -1 = none. */
static int64_t pause_before_next(struct kube_call *k, const struct kube_answer *a)
{
    if (!is_worth_it(k, a)) {
        return -1;
    }
    unsigned doubled = k->tries < 8 ? k->tries : 8;
    int64_t pause = i64_min((int64_t)PAUSE_MS_FIRST << (doubled - 1), PAUSE_MS_MOST);
    pause = pause / 2 + (int64_t)rng_below(&k->client->rng, (uint64_t)pause); /* jitter */
    if (a->retry_after_s > 0) {
        pause += a->retry_after_s * 1000;
    }
    bool fits = loop_now_ms(k->client->loop) + pause < k->due_ms;
    return fits ? pause : -1;
}

/* ---- one try ---- */

static void on_ready(void *arg)
{
    struct kube_call *k = arg;
    if (!deadline_is_armed(&k->due)) { /* a person may have been asked for a password before this */
        k->due_ms = loop_now_ms(k->client->loop) + k->spec.timeout_ms;
        deadline_arm(&k->due, k->client->loop, k->spec.timeout_ms);
    }
}

static void on_head(void *arg, const struct head *head)
{
    UNUSED(arg);
    UNUSED(head);
}

static void on_data(void *arg, struct span data)
{
    struct kube_call *k = arg;
    if (buf_append_span(&k->body, data) != 0) {
        struct err err;
        (void)err_set(&err, -ERR_LIMIT, "the answer is larger than %zu bytes", k->spec.body_max);
        call_fail(k, &err);
    }
}

static void begin_try(struct kube_call *k)
{
    k->tries++;
    buf_reset(&k->body);
    arena_reset(&k->told);
    kube_exchange_start(&k->x);
}

static void on_end(void *arg, const struct err *err)
{
    struct kube_call *k = arg;
    struct kube_client *c = k->client;
    struct kube_answer a;
    struct arena *into = k->into;
    if (err != NULL) {
        kube_answer_fail(&a, into, err);
    } else {
        struct span body = buf_span(&k->body);
        body = into == &k->told ? body : arena_dup(into, body);
        kube_answer_read(&a, into, c, k->x.head, body);
    }
    if (a.status == 401 && !k->renewed &&
        kube_credentials_renew(&c->credentials, k->x.generation)) {
        k->renewed = true;
        begin_try(k);
        return;
    }
    int64_t pause = a.code != 0 ? pause_before_next(k, &a) : -1;
    if (pause >= 0) {
        deadline_arm(&k->pause, c->loop, pause);
        return;
    }
    call_answer(k, &a);
}

static const struct kube_exchange_events events = {
    .on_ready = on_ready, .on_head = on_head, .on_data = on_data, .on_end = on_end};

static void on_begin(struct loop_task *task)
{
    begin_try(container_of(task, struct kube_call, begin));
}

static void on_pause(struct deadline *d)
{
    begin_try(container_of(d, struct kube_call, pause));
}

static void on_due(struct deadline *d)
{
    struct kube_call *k = container_of(d, struct kube_call, due);
    struct err err;
    (void)err_set(&err, -ETIMEDOUT, "'%.*s' gave no answer within %lld ms",
                  SPAN_ARG(k->client->origin), (long long)k->spec.timeout_ms);
    call_fail(k, &err);
}

/* ---- the call ---- */

static void copy_spec(struct kube_call *k, const struct kube_call_spec *spec)
{
    struct arena *a = &k->arena;
    k->spec = *spec;
    k->spec.method = arena_strdup(a, spec->method);
    k->spec.path = arena_strdup(a, spec->path);
    k->spec.content_type = spec->content_type != NULL ? arena_strdup(a, spec->content_type) : NULL;
    k->spec.body = arena_dup(a, spec->body);
    k->spec.fields = kube_exchange_fields(a, spec->fields, spec->field_count);
    k->spec.timeout_ms = spec->timeout_ms > 0 ? spec->timeout_ms : CALL_MS_DEFAULT;
    k->spec.body_max = spec->body_max > 0 ? spec->body_max : BODY_MAX_DEFAULT;
}

struct kube_call *kube_call_into(struct kube_client *c, const struct kube_call_spec *spec,
                                 struct arena *into)
{
    struct kube_call *k = mem_new(struct kube_call);
    k->client = c;
    arena_init(&k->arena, 1024);
    arena_init(&k->told, 4096);
    k->into = into != NULL ? into : &k->told;
    copy_spec(k, spec);
    buf_init(&k->body, k->spec.body_max);
    deadline_init(&k->due, on_due);
    deadline_init(&k->pause, on_pause);
    loop_task_init(&k->begin, on_begin);
    k->x = (struct kube_exchange){
        .client = c,
        .events = &events,
        .arg = k,
        .method = k->spec.method,
        .path = k->spec.path,
        .content_type = k->spec.content_type,
        .body = k->spec.body,
        .fields = k->spec.fields,
        .field_count = k->spec.field_count,
    };
    list_push_back(&c->calls, &k->node);
    loop_task_add(c->loop, &k->begin);
    return k;
}

struct kube_call *kube_call(struct kube_client *c, const struct kube_call_spec *spec)
{
    return kube_call_into(c, spec, NULL);
}

void kube_call_cancel(struct kube_call *call)
{
    call_quit(call);
}

void kube_call_end_all(struct kube_client *c)
{
    struct err err;
    (void)err_set(&err, -ECANCELED, "the client was closed");
    while (!list_is_empty(&c->calls)) {
        call_fail(list_item(c->calls.next, struct kube_call, node), &err);
    }
}

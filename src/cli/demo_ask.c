/* Asking in order, on a loop that goes on turning. */
#include "cli/demo_ask.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "io/deadline.h"

#define BODY_MAX (8u << 20)
#define ASK_MS 5000
#define LOOK_MS 10
#define CLIENTS_MAX 16

/* A client for each origin that was asked, kept alive. */
struct kept {
    char *origin; /* owned; with the host that is asked for behind it */
    struct http_client *client;
    unsigned conns;
};

struct demo_asker {
    struct loop *loop;
    struct arena arena; /* of the last answer */
    struct deadline wake;
    bool interrupted;
    struct kept kept[CLIENTS_MAX];
    size_t next; /* to be replaced */
};

static void on_wake(struct deadline *d)
{
    UNUSED(d); /* the turn that it caused is all */
}

struct demo_asker *demo_asker_new(struct loop *loop)
{
    struct demo_asker *a = mem_new(struct demo_asker);
    a->loop = loop;
    arena_init(&a->arena, 16384);
    deadline_init(&a->wake, on_wake);
    return a;
}

static void forget(struct kept *k)
{
    http_client_free(k->client);
    mem_free(k->origin);
    *k = (struct kept){.origin = NULL};
}

void demo_asker_free(struct demo_asker *a)
{
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        forget(&a->kept[i]);
    }
    deadline_disarm(&a->wake);
    arena_dispose(&a->arena);
    mem_free(a);
}

void demo_asker_interrupt(struct demo_asker *a)
{
    a->interrupted = true;
}

bool demo_asker_is_interrupted(const struct demo_asker *a)
{
    return a->interrupted;
}

static int client_for(struct demo_asker *a, const struct demo_question *q, unsigned conns,
                      struct http_client **out, struct err *err)
{
    char key[512];
    (void)snprintf(key, sizeof(key), "%s %s", q->origin, q->host != NULL ? q->host : "");
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (a->kept[i].origin != NULL && strcmp(a->kept[i].origin, key) == 0 &&
            a->kept[i].conns == conns) {
            *out = a->kept[i].client;
            return 0;
        }
    }
    struct http_client *client = NULL;
    const struct http_client_spec spec = {
        .origin = span_of(q->origin),
        .authority = span_of(q->host),
        .resolver = q->resolver,
        .conns = conns,
    };
    int code = http_client_new(&client, a->loop, &spec, err);
    if (code == 0) {
        struct kept *k = &a->kept[a->next++ % CLIENTS_MAX];
        forget(k);
        *k = (struct kept){.origin = mem_strdup(key), .client = client, .conns = conns};
        *out = client;
    }
    return code;
}

static void call(struct http_client *client, const struct demo_question *q,
                 void (*on_answer)(void *arg, const struct http_answer *answer), void *arg)
{
    const struct header field = {.name = span_of(q->name), .value = span_of(q->value)};
    const struct http_call c = {
        .method = span_of(q->method != NULL ? q->method : "GET"),
        .path = span_of(q->path),
        .fields = &field,
        .field_count = q->name != NULL ? 1 : 0,
        .body = q->body,
        .timeout_ms = q->timeout_ms > 0 ? q->timeout_ms : ASK_MS,
        .body_max = BODY_MAX,
        .on_answer = on_answer,
        .arg = arg,
    };
    http_client_call(client, &c);
}

/* ---- one question */

/* Outlives an interrupted demo_ask: the client still owes its answer. */
struct asking {
    struct demo_asker *asker;
    struct demo_answer *answer; /* NULL: nobody waits any more */
    bool done;
    int code;
    struct err *err;
};

static void on_answer(void *arg, const struct http_answer *got)
{
    struct asking *k = arg;
    k->done = true;
    if (k->answer == NULL) {
        mem_free(k);
        return;
    }
    if (got->err != NULL) {
        k->code = err_set(k->err, got->err->code, "%s", got->err->text);
        return;
    }
    struct arena *arena = &k->asker->arena;
    struct demo_answer *answer = k->answer;
    struct span cookie = head_get(got->head, SPAN("set-cookie"));
    answer->status = got->head->status;
    answer->body = arena_dup(arena, got->body);
    answer->reason = arena_dup(arena, head_get(got->head, SPAN("x-mesh-reason")));
    answer->cookie = arena_dup(arena, span_cut(&cookie, ';'));
    if (doc_parse_json(arena, answer->body, "answer", &answer->doc, NULL) < 0) {
        answer->doc = NULL;
    }
}

int demo_ask(struct demo_asker *a, const struct demo_question *q, struct demo_answer *answer,
             struct err *err)
{
    struct http_client *client = NULL;

    *answer = (struct demo_answer){.status = 0};
    arena_reset(&a->arena);
    int code = a->interrupted ? -EINTR : client_for(a, q, 1, &client, err);
    if (code < 0) {
        return code;
    }
    struct asking *k = mem_new(struct asking);
    k->asker = a;
    k->answer = answer;
    k->err = err;
    int64_t begin = instant_mono_ns();
    call(client, q, on_answer, k);
    while (!k->done && !a->interrupted) {
        (void)loop_turn(a->loop, true);
    }
    answer->took_us = (instant_mono_ns() - begin) / 1000;
    if (!k->done) {
        k->answer = NULL;
        return -EINTR;
    }
    code = k->code;
    mem_free(k);
    return code;
}

/* ---- many */

struct shooting {
    struct http_client *client; /* NULL: nobody waits any more */
    const struct demo_volley *volley;
    unsigned asked, out;
};

static void on_shot(void *arg, const struct http_answer *got)
{
    struct shooting *s = arg;
    s->out--;
    if (s->client == NULL) {
        if (s->out == 0) {
            mem_free(s);
        }
        return;
    }
    s->volley->each(s->volley->arg, got);
    if (s->asked < s->volley->count) {
        s->asked++;
        s->out++;
        call(s->client, &s->volley->question, on_shot, s);
    }
}

int demo_ask_volley(struct demo_asker *a, const struct demo_volley *v, struct err *err)
{
    struct http_client *client = NULL;
    int code = a->interrupted ? -EINTR : client_for(a, &v->question, v->conns, &client, err);
    if (code < 0) {
        return code;
    }
    struct shooting *s = mem_new(struct shooting);
    s->client = client;
    s->volley = v;
    for (unsigned i = 0; i < v->conns && s->asked < v->count; i++) {
        s->asked++;
        s->out++;
        call(client, &v->question, on_shot, s);
    }
    while (s->out > 0 && !a->interrupted) {
        (void)loop_turn(a->loop, true);
    }
    if (s->out > 0) {
        s->client = NULL;
        return -EINTR;
    }
    mem_free(s);
    return 0;
}

int demo_ask_wait(struct demo_asker *a, int64_t ms, bool (*holds)(void *arg), void *arg)
{
    int64_t end = instant_mono_ms() + ms;
    int code = 0;

    while (!a->interrupted && !(holds != NULL && holds(arg))) {
        int64_t left = end - instant_mono_ms();
        if (left <= 0) {
            code = holds != NULL ? -ERR_TIMEOUT : 0;
            break;
        }
        deadline_arm(&a->wake, a->loop, holds != NULL ? i64_min(left, LOOK_MS) : left);
        (void)loop_turn(a->loop, true);
    }
    deadline_disarm(&a->wake);
    return a->interrupted ? -EINTR : code;
}

/* Asking and waiting for the answer: for the CLI, and for starts.
 * In: kube_ask. Out: kube_call, on a loop that runs until then. */
#include "kube/kube_client_int.h"

struct asking {
    struct arena *arena;
    struct loop *loop;
    struct kube_answer *answer;
    bool has_come;
};

/* The head is of the exchange; its fields go along. */
static const struct head *keep_head(struct arena *arena, const struct head *head)
{
    struct head *kept = arena_new(arena, struct head);
    head_init(kept, arena);
    kept->status = head->status;
    kept->http2 = head->http2;
    kept->content_length = head->content_length;
    for (size_t i = 0; i < head->count; i++) {
        int code = head_add(kept, arena_dup(arena, head->fields[i].name),
                            arena_dup(arena, head->fields[i].value));
        ASSERT(code == 0); /* as many as there were */
    }
    return kept;
}

static void on_answer(void *arg, const struct kube_answer *a)
{
    struct asking *q = arg;
    *q->answer = *a;
    q->answer->head = a->head != NULL ? keep_head(q->arena, a->head) : NULL;
    q->has_come = true;
    loop_stop(q->loop);
}

int kube_ask(struct kube_client *c, struct arena *arena, const struct kube_call_spec *spec,
             struct kube_answer *a, struct err *err)
{
    struct asking q = {.arena = arena, .loop = c->loop, .answer = a};
    struct kube_call_spec asked = *spec;
    asked.on_answer = on_answer;
    asked.arg = &q;
    struct kube_call *call = kube_call_into(c, &asked, arena);
    loop_run(c->loop);
    if (!q.has_come) { /* somebody else stopped the loop: a signal */
        kube_call_cancel(call);
        *a = (struct kube_answer){.code = -ECANCELED, .why = "interrupted", .retry_after_s = -1};
    }
    return a->code == 0 ? 0 : err_set(err, a->code, "%s %s: %s", spec->method, spec->path, a->why);
}

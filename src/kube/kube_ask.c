/* Asking and waiting for the answer: for the CLI, and for starts.
 * In: kube_ask, kube_ask_all. Out: kube_call, on a loop that runs until then. */
#include "kube/kube_client_int.h"

struct asking {
    struct arena *arena;
    struct loop *loop;
    struct kube_answer *answer;
    struct kube_call *call;
    size_t *missing; /* of all that are asked together */
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
    if (--*q->missing == 0) {
        loop_stop(q->loop);
    }
}

void kube_ask_all(struct kube_client *c, struct arena *arena, const struct kube_call_spec *specs,
                  size_t count, struct kube_answer *answers)
{
    size_t missing = count;
    struct asking *all = arena_array(arena, count, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        struct kube_call_spec asked = specs[i];
        all[i] = (struct asking){
            .arena = arena, .loop = c->loop, .answer = &answers[i], .missing = &missing};
        asked.on_answer = on_answer;
        asked.arg = &all[i];
        all[i].call = kube_call_into(c, &asked, arena);
    }
    if (count > 0) {
        loop_run(c->loop);
    }
    for (size_t i = 0; i < count; i++) {
        if (!all[i].has_come) { /* somebody else stopped the loop: a signal */
            kube_call_cancel(all[i].call);
            answers[i] =
                (struct kube_answer){.code = -ECANCELED, .why = "interrupted", .retry_after_s = -1};
        }
    }
}

int kube_ask(struct kube_client *c, struct arena *arena, const struct kube_call_spec *spec,
             struct kube_answer *a, struct err *err)
{
    kube_ask_all(c, arena, spec, 1, a);
    return a->code == 0 ? 0 : err_set(err, a->code, "%s %s: %s", spec->method, spec->path, a->why);
}

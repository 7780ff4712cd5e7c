/* ServiceAccount tokens, reviewed: see ca_review.h.
 * In: csr_service, by mail. Next: kube/token_review. Out: the desk, by mail. */
#include "ca/ca_review.h"

#include <errno.h>

#include "base/mem.h"

/* A desk on another thread closes while the CA's thread waits for that thread (worker_stop), so `is_closed` needs no lock: whoever reads it later has
 * waited. */
struct ca_window {
    struct list node; /* in the CA's windows; the CA's thread */
    struct ca *ca;
    struct mail opened;
    struct mailbox *box; /* the desk's, until it closes */
    bool is_closed;
};

struct ca_review {
    struct mail mail; /* there and back */
    struct ca_window *window;
    struct arena arena;
    struct span token;
    /* the desk's thread */
    void (*on_answer)(void *arg, const struct token_review_answer *a); /* NULL: forgotten */
    void *arg;
    /* the CA's thread, while it is there */
    struct list node; /* in the CA's reviews */
    struct token_review *pending;
    struct token_review_answer answer; /* in the arena */
};

static void review_free(struct ca_review *r)
{
    arena_dispose(&r->arena);
    mem_free(r);
}

static void wipe_token(struct ca_review *r)
{
    mem_wipe((char *)(uintptr_t)r->token.at, r->token.len);
    r->token = SPAN_EMPTY;
}

/* ---- back on the desk's thread ---- */

static void on_back(struct mail *mail, void *owner)
{
    UNUSED(owner);
    struct ca_review *r = container_of(mail, struct ca_review, mail);
    if (r->on_answer != NULL) {
        r->on_answer(r->arg, &r->answer);
    }
    review_free(r);
}

/* ---- on the CA's thread ---- */

static void send_back(struct ca_review *r, const struct token_review_answer *a)
{
    if (list_is_linked(&r->node)) {
        list_remove(&r->node);
        r->window->ca->review_count--;
    }
    r->pending = NULL;
    wipe_token(r);
    if (r->window->is_closed) {
        review_free(r);
        return;
    }
    r->answer = (struct token_review_answer){
        .code = a->code,
        .why = a->why ? arena_strdup(&r->arena, a->why) : "",
        .namespace = arena_dup(&r->arena, a->namespace),
        .service_account = arena_dup(&r->arena, a->service_account),
        .pod = arena_dup(&r->arena, a->pod),
        .node = arena_dup(&r->arena, a->node),
    };
    r->mail.on_arrive = on_back;
    mailbox_post_take(r->window->box, &r->mail);
}

static void on_reviewed(void *arg, const struct token_review_answer *a)
{
    send_back(arg, a);
}

static void on_asked(struct mail *mail, void *owner)
{
    struct ca *ca = owner;
    struct ca_review *r = container_of(mail, struct ca_review, mail);
    struct token_review_answer refused = {.code = 0};
    if (ca->reviews == NULL) {
        refused.code = -ENOTSUP;
        refused.why = "this authority does not take ServiceAccount tokens";
    } else if (ca->review_count == CA_REVIEWS_MAX) {
        refused.code = -ERR_LIMIT;
        refused.why = "too many tokens are being looked at; try again";
    }
    if (refused.code != 0 || r->window->is_closed) {
        send_back(r, &refused);
        return;
    }
    list_push_back(&ca->reviews_now, &r->node);
    ca->review_count++;
    r->pending = token_review_ask(ca->reviews, r->token, on_reviewed, r);
}

void ca_reviews_end(struct ca *ca, const char *why)
{
    const struct token_review_answer answer = {.code = -ERR_UNAVAILABLE, .why = why};
    while (!list_is_empty(&ca->reviews_now)) {
        struct ca_review *r = list_item(ca->reviews_now.next, struct ca_review, node);
        token_review_cancel(r->pending);
        send_back(r, &answer);
    }
}

void ca_set_reviews(struct ca *ca, struct token_reviews *reviews)
{
    ca_reviews_end(ca, "the way to the API server has changed; try again");
    ca->reviews = reviews;
}

static void on_opened(struct mail *mail, void *owner)
{
    struct ca *ca = owner;
    list_push_back(&ca->windows, &container_of(mail, struct ca_window, opened)->node);
}

void ca_windows_free(struct ca *ca)
{
    LIST_EACH(node, next, &ca->windows) {
        struct ca_window *w = list_item(node, struct ca_window, node);
        ASSERT(w->is_closed);
        list_remove(&w->node);
        mem_free(w);
    }
}

/* ---- on the desk's thread ---- */

struct ca_window *ca_window_open(struct ca_desk *desk)
{
    struct ca_window *w = mem_new(struct ca_window);
    w->ca = desk->ca;
    w->box = mailbox_new(desk->loop, desk);
    w->opened.on_arrive = on_opened;
    mailbox_post_take(desk->ca->mailbox, &w->opened);
    return w;
}

void ca_window_close(struct ca_window *w)
{
    w->is_closed = true;
    mailbox_free(w->box); /* what is in it was forgotten */
}

struct ca_review *ca_review_ask(struct ca_desk *desk, struct span token,
                                void (*on_answer)(void *arg, const struct token_review_answer *a),
                                void *arg)
{
    struct ca_review *r = mem_new(struct ca_review);
    r->window = desk->window;
    arena_init(&r->arena, 2048);
    r->token = arena_dup(&r->arena, token);
    r->on_answer = on_answer;
    r->arg = arg;
    list_init(&r->node);
    r->mail.on_arrive = on_asked;
    mailbox_post_take(desk->ca->mailbox, &r->mail);
    return r;
}

void ca_review_forget(struct ca_review *r)
{
    if (r != NULL) {
        r->on_answer = NULL;
    }
}

/* Asking the API server whose a token is.
 * In: a bearer token.  Out: namespace and service account, or why not.  Next: ca/authenticate.
 *
 *   ask --> remembered? ------------------------------> told at the end of the turn
 *       \-> just asked for? -> waits with the others --> told by its answer
 *        \-> a new asking: outstanding, or (64 are) in the queue
 */
#include "kube/token_review.h"

#include "base/instant.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "kube/kube_path.h"
#include "tls/digest.h"

enum {
    TOKEN_BYTES_MAX = 16 * 1024, /* one of a cluster is 1 to 2 kB */
    REMEMBERED_MAX = 10000,
    REMEMBER_S = 60,
    OUTSTANDING_MAX = 64,
    WAITING_MAX = 10000, /* askers, in all */
    BODY_BYTES_MAX = TOKEN_BYTES_MAX * 2 + 4096,
    NAME_BYTES_MAX = 253, /* each of those that are remembered */
};

static const char username_prefix[] = "system:serviceaccount:";

/* Somebody's wish to know. */
struct token_review {
    struct list node; /* of its asking's or of token_reviews' ready */
    struct token_reviews *reviews;
    struct asking *asking; /* NULL = it waits in `ready` */
    void (*on_answer)(void *arg, const struct token_review_answer *a);
    void *arg;
    int refused;         /* answer it with this, */
    const char *why;     /* static; else with what is remembered of: */
    struct known *known; /* counted; NULL = of nothing */
};

/* Who a token is. */
struct known {
    struct list node; /* recently used last; unlinked once it is forgotten */
    uint8_t sha256[DIGEST_BYTES];
    unsigned users;   /* reviews that will be answered with it, and the memory itself */
    int64_t until_ms; /* monotonic */
    int64_t expiry_s; /* wall; -1 = not known */
    struct span namespace, service_account, pod, node_name; /* in text */
    char text[];
};

/* One token at the API server. */
struct asking {
    struct list node; /* of `queue` or `outstanding` */
    struct token_reviews *reviews;
    uint8_t sha256[DIGEST_BYTES];
    struct list askers;     /* struct token_review */
    struct kube_call *call; /* NULL in the queue */
    char *token;            /* owned, secret */
    size_t token_len;
};

struct token_reviews {
    struct kube_client *client; /* borrowed */
    struct loop *loop;
    struct arena own;
    const char **audiences; /* NULL-terminated */
    const char *path;
    struct map known;      /* by sha256 */
    struct list known_age; /* recently used last */
    struct map askings;    /* by sha256 */
    struct list queue, outstanding;
    unsigned outstanding_count;
    struct list ready; /* struct token_review that can be answered */
    struct loop_task answer;
    unsigned asker_count;
    bool freed;
};

/* --- reading tokens --- */

int64_t token_review_expiry(struct span token)
{
    struct span rest = token;
    (void)span_cut(&rest, '.');
    if (rest.at == NULL || token.len > TOKEN_BYTES_MAX) {
        return -1;
    }
    struct span claims = span_cut(&rest, '.');
    struct arena arena;
    arena_init(&arena, 4096);
    char *text = arena_bytes(&arena, base64_decoded_max(claims.len));
    ssize_t len = base64_decode(BASE64_URL, claims, text);
    struct doc_node *doc = NULL;
    struct err err;
    if (rest.at == NULL || len < 0 ||
        doc_parse_json(&arena, span_from(text, (size_t)len), NULL, &doc, &err) != 0) {
        doc = NULL;
    }
    const struct doc_node *exp = doc_get(doc, "exp"); /* a number, which may have a fraction */
    int64_t expiry_s = -1;
    if (doc_is(exp, DOC_INT) && exp->integer >= 0) {
        expiry_s = exp->integer;
    } else if (doc_is(exp, DOC_DOUBLE) && exp->number >= 0 && exp->number < 1e15) {
        expiry_s = (int64_t)exp->number;
    }
    arena_dispose(&arena);
    return expiry_s;
}

/* --- what is remembered --- */

static struct span key_of(const uint8_t sha256[DIGEST_BYTES])
{
    return span_from(sha256, DIGEST_BYTES);
}

static void known_put(struct known *k)
{
    if (k != NULL && --k->users == 0) {
        mem_free(k);
    }
}

static void forget(struct token_reviews *t, struct known *k)
{
    map_remove(&t->known, key_of(k->sha256));
    list_remove(&k->node);
    known_put(k);
}

static struct known *recall(struct token_reviews *t, const uint8_t sha256[DIGEST_BYTES])
{
    struct known *k = map_get(&t->known, key_of(sha256));
    if (k == NULL) {
        return NULL;
    }
    bool is_over =
        instant_mono_ms() >= k->until_ms || (k->expiry_s >= 0 && instant_wall_s() >= k->expiry_s);
    if (is_over) {
        forget(t, k);
        return NULL;
    }
    list_remove(&k->node);
    list_push_back(&t->known_age, &k->node);
    return k;
}

static void copy_text(char **to, struct span from, struct span *kept)
{
    memcpy(*to, from.at, from.len);
    *kept = span_from(*to, from.len);
    *to += from.len;
}

static void remember(struct asking *q, const struct token_review_answer *a)
{
    struct token_reviews *t = q->reviews;
    if (map_count(&t->known) >= REMEMBERED_MAX) {
        forget(t, list_item(t->known_age.next, struct known, node));
    }
    struct known *k = mem_alloc(sizeof(*k) + a->namespace.len + a->service_account.len +
                                a->pod.len + a->node.len);
    *k = (struct known){.users = 1,
                        .until_ms = instant_mono_ms() + REMEMBER_S * 1000,
                        .expiry_s = token_review_expiry(span_from(q->token, q->token_len))};
    memcpy(k->sha256, q->sha256, sizeof(k->sha256));
    char *to = k->text;
    const struct span none = SPAN("");
    copy_text(&to, a->namespace, &k->namespace);
    copy_text(&to, a->service_account, &k->service_account);
    copy_text(&to, a->pod.len > 0 ? a->pod : none, &k->pod);
    copy_text(&to, a->node.len > 0 ? a->node : none, &k->node_name);
    list_push_back(&t->known_age, &k->node);
    map_put(&t->known, key_of(k->sha256), k);
}

/* --- what the server says --- */

static struct span text_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *node = doc_get(map, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

/* Extra fields are lists of texts. */
static struct span extra_of(const struct doc_node *user, const char *key)
{
    const struct doc_node *first = doc_at(doc_get(doc_get(user, "extra"), key), 0);
    return doc_is(first, DOC_TEXT) && first->text.len <= NAME_BYTES_MAX ? first->text : SPAN_EMPTY;
}

/* A server that knows no audiences leaves them out: then the token is proven for itself, not for us. */
static bool is_for_us(const struct token_reviews *t, const struct doc_node *status)
{
    const struct doc_node *audiences = doc_get(status, "audiences");
    for (size_t i = 0; i < doc_count(audiences); i++) {
        const struct doc_node *audience = doc_at(audiences, i);
        for (const char *const *ours = t->audiences; *ours != NULL; ours++) {
            if (doc_is(audience, DOC_TEXT) && span_is(audience->text, *ours)) {
                return true;
            }
        }
    }
    return false;
}

static int refuse(struct token_review_answer *a, const char *why)
{
    *a = (struct token_review_answer){.code = -EACCES, .why = why};
    return a->code;
}

static int read_review(const struct token_reviews *t, struct arena *arena,
                       const struct doc_node *doc, struct token_review_answer *a)
{
    const struct doc_node *status = doc_get(doc, "status");
    const struct doc_node *authenticated = doc_get(status, "authenticated");
    const struct doc_node *user = doc_get(status, "user");
    struct span error = text_of(status, "error");
    if (!doc_is(authenticated, DOC_BOOL) || !authenticated->boolean) {
        return refuse(a, error.len > 0
                             ? arena_printf(arena, "the API server does not accept the token: %.*s",
                                            SPAN_ARG(span_first(error, 300)))
                             : "the API server does not accept the token");
    }
    if (!is_for_us(t, status)) {
        return refuse(
            a, arena_printf(arena, "the token is not for the audience '%s'", t->audiences[0]));
    }
    struct span rest = text_of(user, "username"), prefix = span_of(username_prefix);
    struct span username = rest;
    if (!span_starts(rest, prefix)) {
        return refuse(a, arena_printf(arena, "the token is of '%.*s', which is no service account",
                                      SPAN_ARG(span_first(username, 200))));
    }
    rest = span_from_offset(rest, prefix.len);
    struct span ns = span_cut(&rest, ':');
    if (ns.len == 0 || rest.at == NULL || rest.len == 0 || ns.len > NAME_BYTES_MAX ||
        rest.len > NAME_BYTES_MAX || span_find_byte(rest, ':') >= 0) {
        return refuse(a, arena_printf(arena, "'%.*s' is no name of a service account",
                                      SPAN_ARG(span_first(username, 200))));
    }
    *a = (struct token_review_answer){
        .why = "",
        .namespace = ns,
        .service_account = rest,
        .pod = extra_of(user, "authentication.kubernetes.io/pod-name"),
        .node = extra_of(user, "authentication.kubernetes.io/node-name"),
    };
    return 0;
}

/* --- answering --- */

static void review_free(void *obj)
{
    struct token_review *r = obj;
    known_put(r->known);
    mem_free(r);
}

/* It leaves its list, and is gone at the end of the turn. */
static void review_drop(struct token_review *r)
{
    list_remove(&r->node);
    r->reviews->asker_count--;
    loop_bury(r->reviews->loop, review_free, r);
}

static void drop_all(struct list *askers)
{
    LIST_EACH(node, next, askers) {
        review_drop(list_item(node, struct token_review, node));
    }
}

static void answer_all(struct token_reviews *t, struct list *askers,
                       const struct token_review_answer *a)
{
    struct list *node;
    while (!t->freed && (node = askers->next) != askers) {
        struct token_review *r = list_item(node, struct token_review, node);
        review_drop(r);
        r->on_answer(r->arg, a);
    }
    drop_all(askers); /* when the owner has left */
}

static void on_ready(struct loop_task *task)
{
    struct token_reviews *t = container_of(task, struct token_reviews, answer);
    struct list *node;
    while (!t->freed && (node = t->ready.next) != &t->ready) {
        struct token_review *r = list_item(node, struct token_review, node);
        const struct known *k = r->known;
        struct token_review_answer a = {.code = r->refused, .why = r->why};
        if (k != NULL) {
            a = (struct token_review_answer){.why = "",
                                             .namespace = k->namespace,
                                             .service_account = k->service_account,
                                             .pod = k->pod,
                                             .node = k->node_name};
        }
        review_drop(r);
        r->on_answer(r->arg, &a);
    }
}

static void answer_soon(struct token_review *r, int refused, const char *why)
{
    r->refused = refused;
    r->why = why;
    list_push_back(&r->reviews->ready, &r->node);
    loop_task_add(r->reviews->loop, &r->reviews->answer);
}

/* --- asking --- */

static void asking_free(void *obj)
{
    struct asking *q = obj;
    mem_free_secret(q->token, q->token_len);
    mem_free(q);
}

/* Out of everything; askers that are left go nowhere. */
static void asking_drop(struct asking *q)
{
    struct token_reviews *t = q->reviews;
    map_remove(&t->askings, key_of(q->sha256));
    list_remove(&q->node);
    loop_bury(t->loop, asking_free, q);
}

static void start_queued(struct token_reviews *t);

static void on_answer(void *arg, const struct kube_answer *a)
{
    struct asking *q = arg;
    struct token_reviews *t = q->reviews;
    struct arena arena;
    struct token_review_answer told;
    arena_init(&arena, 1024);
    q->call = NULL;
    if (a->code != 0 || a->doc == NULL) {
        const char *why = a->code != 0 ? a->why : "its answer is none";
        told = (struct token_review_answer){
            .code = a->code == 0 || a->code == -EACCES ? -EREMOTEIO : a->code,
            .why =
                arena_printf(&arena, "the API server could not be asked about the token: %s", why)};
    } else if (read_review(t, &arena, a->doc, &told) == 0) {
        remember(q, &told);
    }
    t->outstanding_count--;
    asking_drop(q);
    answer_all(t, &q->askers, &told);
    arena_dispose(&arena);
    if (!t->freed) {
        start_queued(t);
    }
}

static void write_body(const struct asking *q, struct buf *body)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct doc_node *audiences = doc_new_list(&arena);
    for (const char *const *audience = q->reviews->audiences; *audience != NULL; audience++) {
        doc_list_add(&arena, audiences, doc_cstr(&arena, *audience));
    }
    struct doc_node *doc = doc_new_map(&arena);
    doc_set_text(&arena, doc, "apiVersion", SPAN("authentication.k8s.io/v1"));
    doc_set_text(&arena, doc, "kind", SPAN("TokenReview"));
    struct doc_node *spec = doc_map_in(&arena, doc, "spec");
    doc_set(&arena, spec, "audiences", audiences);
    doc_set_text(&arena, spec, "token", span_from(q->token, q->token_len));
    int failed = doc_write_json(doc, false, body);
    ASSERT(failed == 0); /* of bounded parts; token_is_proper */
    arena_dispose(&arena);
}

static void start(struct asking *q)
{
    struct token_reviews *t = q->reviews;
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    write_body(q, &body);
    const struct kube_call_spec spec = {.method = "POST",
                                        .path = t->path,
                                        .body = buf_span(&body),
                                        .on_answer = on_answer,
                                        .arg = q};
    q->call = kube_call(t->client, &spec);
    buf_dispose(&body);
    list_remove(&q->node);
    list_push_back(&t->outstanding, &q->node);
    t->outstanding_count++;
}

static void start_queued(struct token_reviews *t)
{
    while (t->outstanding_count < OUTSTANDING_MAX && !list_is_empty(&t->queue)) {
        start(list_item(t->queue.next, struct asking, node));
    }
}

static struct asking *asking_new(struct token_reviews *t, struct span token,
                                 const uint8_t sha256[DIGEST_BYTES])
{
    struct asking *q = mem_new(struct asking);
    q->reviews = t;
    memcpy(q->sha256, sha256, sizeof(q->sha256));
    list_init(&q->askers);
    q->token = mem_strndup(token.at, token.len);
    q->token_len = token.len;
    map_put(&t->askings, key_of(q->sha256), q);
    list_push_back(&t->queue, &q->node);
    return q;
}

/* Printable, so that it is the same in JSON; a bearer token has no blanks (RFC 6750 section 2.1). */
static bool token_is_proper(struct span token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.at[i] <= ' ' || token.at[i] > '~') {
            return false;
        }
    }
    return token.len > 0 && token.len <= TOKEN_BYTES_MAX;
}

struct token_review *token_review_ask(struct token_reviews *t, struct span token,
                                      void (*on_answer_fn)(void *arg,
                                                           const struct token_review_answer *a),
                                      void *arg)
{
    struct token_review *r = mem_new(struct token_review);
    r->reviews = t;
    r->on_answer = on_answer_fn;
    r->arg = arg;
    t->asker_count++;
    if (!token_is_proper(token)) {
        answer_soon(r, -EACCES, "the text is no token of a service account");
        return r;
    }
    uint8_t sha256[DIGEST_BYTES];
    digest_sha256(token, sha256);
    r->known = recall(t, sha256);
    if (r->known != NULL) {
        r->known->users++;
        answer_soon(r, 0, "");
        return r;
    }
    if (t->asker_count > WAITING_MAX) {
        answer_soon(r, -ERR_LIMIT, "too many tokens are being asked about; try again");
        return r;
    }
    struct asking *q = map_get(&t->askings, key_of(sha256));
    q = q != NULL ? q : asking_new(t, token, sha256);
    r->asking = q;
    list_push_back(&q->askers, &r->node);
    start_queued(t);
    return r;
}

void token_review_cancel(struct token_review *r)
{
    struct asking *q = r->asking;
    review_drop(r);
    if (q != NULL && q->call == NULL && list_is_empty(&q->askers)) {
        asking_drop(q); /* nobody wishes to know any more */
    }
}

/* --- life --- */

struct token_reviews *token_reviews_new(struct kube_client *client, const char *const *audiences)
{
    static const struct kube_kind kind = {
        .group = "authentication.k8s.io", .version = "v1", .plural = "tokenreviews"};
    struct token_reviews *t = mem_new(struct token_reviews);
    t->client = client;
    t->loop = kube_client_loop(client);
    arena_init(&t->own, 512);
    size_t count = 0;
    while (audiences[count] != NULL) {
        count++;
    }
    ASSERT(count > 0);
    t->audiences = arena_array(&t->own, count + 1, sizeof(t->audiences[0]));
    for (size_t i = 0; i < count; i++) {
        t->audiences[i] = arena_strdup(&t->own, audiences[i]);
    }
    t->path = kube_path(&t->own, &kind, SPAN_EMPTY, SPAN_EMPTY, NULL);
    map_init(&t->known);
    map_init(&t->askings);
    list_init(&t->known_age);
    list_init(&t->queue);
    list_init(&t->outstanding);
    list_init(&t->ready);
    loop_task_init(&t->answer, on_ready);
    return t;
}

static void reviews_free(void *obj)
{
    struct token_reviews *t = obj;
    map_dispose(&t->known);
    map_dispose(&t->askings);
    arena_dispose(&t->own);
    mem_free(t);
}

void token_reviews_free(struct token_reviews *t)
{
    if (t == NULL || t->freed) {
        return;
    }
    t->freed = true;
    loop_task_cancel(&t->answer);
    drop_all(&t->ready);
    for (struct map_slot *s = NULL; (s = map_next(&t->askings, s));) {
        struct asking *q = s->value;
        drop_all(&q->askers);
        if (q->call != NULL) {
            kube_call_cancel(q->call);
        }
        asking_drop(q);
    }
    while (!list_is_empty(&t->known_age)) {
        forget(t, list_item(t->known_age.next, struct known, node));
    }
    loop_bury(t->loop, reviews_free, t);
}

/* Following a collection of the API server.
 * In: pages of lists and lines of watches (kube_client).  Out: objects, in the order of their versions, to the owner.  Next:
 * control/sources/from_kube.
 *
 *            due                last page                    410, 4xx, a line that is none, relist_ms
 *   WAITING -----> listing page --------> told whole, swept ----------> WAITING to list
 *      ^  |           |  ^ more pages          |
 *      |  | due       |  +--+                  v       ERROR, cut, 5xx: from the last version
 *      |  +-----------|----------------> watching ---------------------> WAITING to watch
 *      +--------------+ failed: the page again, or (nothing of the list was told) the watch goes on where it was
 *
 * Pages are told as they come, so that a list of thousands is never held whole. All pages of a list are one picture (the server's
 * promise of `continue`), of the version of the first; the watch begins there. Once a page told something, an older
 * place in the watch is forgotten: from there it would tell older states after newer ones. */
#include "kube/reflector.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/url.h"
#include "io/deadline.h"
#include "kube/reflector_int.h"

enum {
    PAGE = 500, /* as kubectl and client-go */
    RELIST_MS = 5 * 60 * 1000,
    RELIST_AGAIN_MS = 30 * 1000, /* when the periodic list failed and the watch goes on */
    BACKOFF_FIRST_MS = 250,
    BACKOFF_MAX_MS = 30 * 1000,
    RETRY_AFTER_MAX_MS = 5 * 60 * 1000,
    ABSENT_MS = 10 * 1000,
    DENIED_MS = 30 * 1000,
    PAGE_TIMEOUT_MS = 30 * 1000,
    WATCH_S = 5 * 60,           /* and up to twice as long: the server ends it then, in order */
    WATCH_IDLE_MS = 150 * 1000, /* servers send a bookmark a minute */
    WATCH_SHORT_MS = 5 * 1000,  /* one that ends sooner and brought nothing is a failure */
    LIST_AFTER = 3, /* watches refused with 5xx: the version may be of a future that was undone */
    PATH_BYTES_MAX = 64 * 1024,
    WHY_BYTES = 400,
};

struct reflector {
    struct kube_client *client; /* borrowed */
    struct loop *loop;
    struct arena own;     /* texts that live as long as this */
    struct arena scratch; /* of the line or page in hand */
    struct rng rng;
    const char *path;   /* of the collection */
    const char *select; /* selectors as they stand in a query, each with its & */
    const char *plural;
    struct reflector_spec spec; /* only numbers, callbacks and arg */

    enum reflector_state state;
    struct kube_call *call;     /* a list is outstanding */
    struct kube_stream *stream; /* a watch is */
    struct deadline next;       /* else: when to go on, */
    bool must_list;             /* with a list, or from `version` */
    struct deadline relist;
    struct loop_task batch;

    struct reflector_book book;
    char *version;      /* owned; where the watch goes on; NULL = nowhere */
    char *list_version; /* owned; of the first page of the list in hand */
    char *token;        /* owned; of the next page; NULL = the first */
    bool list_told;     /* something of the list in hand was told */
    unsigned page;      /* 0 = all at once */
    unsigned expired;   /* lists in a row whose token was refused */

    bool watch_up;    /* its head came */
    bool watch_heard; /* an event came */
    bool watch_denied;
    int64_t watch_at_ms;
    unsigned page_failures; /* in a row */
    unsigned refusals;      /* of watches, in a row */
    unsigned shorts;        /* watches in a row that brought nothing */
    bool telling;           /* a list: to be listed afresh is then to go on */
    bool freed;
};

static void forget(char **text)
{
    mem_free(*text);
    *text = NULL;
}

static void keep(char **text, struct span value)
{
    mem_free(*text);
    *text = mem_strndup(value.at, value.len);
}

/* --- what the owner hears --- */

static void set_state(struct reflector *r, enum reflector_state state, const char *why)
{
    static const char *const names[] = {"listing", "synced", "behind", "absent", "denied"};
    if (state == r->state && (state != REFLECTOR_LISTING || r->page_failures != 1)) {
        log_debug("kube", "still %s %s why=\"%s\"", names[state], r->plural, why);
        return;
    }
    bool is_well = state == REFLECTOR_SYNCED || state == REFLECTOR_ABSENT;
    log_line(is_well ? LOG_DEBUG : LOG_WARN, "kube", "%s %s was=%s why=\"%s\"", names[state],
             r->plural, names[r->state], why);
    if (state == r->state) {
        return;
    }
    r->state = state;
    if (r->spec.on_state != NULL) {
        r->spec.on_state(r->spec.arg, state, why);
    }
}

static void tell_batch(struct reflector *r)
{
    loop_task_cancel(&r->batch);
    if (!r->freed && r->spec.on_batch != NULL) {
        r->spec.on_batch(r->spec.arg);
    }
}

static void on_batch_task(struct loop_task *task)
{
    tell_batch(container_of(task, struct reflector, batch));
}

/* --- when to go on --- */

static int64_t backoff_ms(struct reflector *r, unsigned n, const struct kube_answer *a)
{
    int64_t wait_ms = 0;
    if (n > 0) {
        int64_t most_ms =
            n > 16 ? BACKOFF_MAX_MS : i64_min(BACKOFF_MAX_MS, (int64_t)BACKOFF_FIRST_MS << (n - 1));
        wait_ms = most_ms / 2 + (int64_t)rng_below(&r->rng, (uint64_t)most_ms / 2 + 1);
    } else if (a != NULL && a->code != 0) { /* a server that went away was left by all at once */
        wait_ms = (int64_t)rng_below(&r->rng, BACKOFF_FIRST_MS);
    }
    if (a != NULL && a->retry_after_s > 0) {
        int64_t told_ms = i64_min(a->retry_after_s, RETRY_AFTER_MAX_MS / 1000) * 1000;
        wait_ms = i64_max(wait_ms, told_ms + (int64_t)rng_below(&r->rng, BACKOFF_FIRST_MS));
    }
    return wait_ms;
}

static int64_t watch_backoff_ms(struct reflector *r, const struct kube_answer *a)
{
    return backoff_ms(r, r->refusals > r->shorts ? r->refusals : r->shorts, a);
}

/* About so long: a tenth more or less. */
static int64_t about(struct reflector *r, int64_t ms)
{
    return ms - ms / 10 + (int64_t)rng_below(&r->rng, (uint64_t)ms / 5 + 1);
}

static void wait_then(struct reflector *r, bool list, int64_t wait_ms)
{
    r->must_list = list;
    if (!r->freed) {
        deadline_arm(&r->next, r->loop, wait_ms);
    }
}

/* --- listing --- */

static void on_page(void *arg, const struct kube_answer *a);
static void watch_open(struct reflector *r);

static void list_page(struct reflector *r)
{
    struct buf path;
    buf_init(&path, PATH_BYTES_MAX);
    int failed = buf_printf(&path, "%s?limit=%u%s", r->path, r->page, r->select);
    if (r->token != NULL) {
        failed = failed ? failed : buf_printf(&path, "&continue=");
        failed = failed ? failed : url_encode(span_of(r->token), "", &path);
    } else {
        reflector_book_begin(&r->book);
        r->list_told = false;
    }
    const char *text = buf_cstr(&path);
    ASSERT(failed == 0 && text != NULL); /* selectors and tokens are bounded */
    const struct kube_call_spec spec = {.method = "GET",
                                        .path = text,
                                        .timeout_ms = PAGE_TIMEOUT_MS,
                                        .no_retry = true,
                                        .on_answer = on_page,
                                        .arg = r};
    r->call = kube_call(r->client, &spec);
    buf_dispose(&path);
}

/* Items of a list have neither, unless they are of a custom kind (apimachinery meta/v1 TypeMeta). */
static void fill_type(struct reflector *r, struct doc_node *item, struct span api_version,
                      struct span kind)
{
    if (doc_get(item, "apiVersion") == NULL) {
        doc_set_text(&r->scratch, item, "apiVersion", api_version);
    }
    if (doc_get(item, "kind") == NULL) {
        doc_set_text(&r->scratch, item, "kind", kind);
    }
}

static void tell_items(struct reflector *r, const struct doc_node *list)
{
    struct span kind = reflector_text(list, "kind"),
                api_version = reflector_text(list, "apiVersion");
    if (span_ends(kind, SPAN("List"))) {
        kind.len -= 4;
    }
    const struct doc_node *items = doc_get(list, "items");
    r->telling = true;
    for (size_t i = 0; i < doc_count(items) && !r->freed; i++) {
        struct doc_node *item = doc_at(items, i);
        struct reflector_meta meta;
        struct err err;
        if (reflector_meta_read(item, &meta, &err) != 0) {
            log_debug("kube", "list %s why=\"%s\"", r->plural, err.text);
        } else if (reflector_book_note(&r->book, &meta)) {
            r->list_told = true;
            fill_type(r, item, api_version, kind);
            r->spec.on_object(r->spec.arg, item);
        }
    }
    r->telling = false;
    arena_reset(&r->scratch);
}

static void tell_vanished(struct reflector *r)
{
    r->telling = true;
    reflector_book_sweep(&r->book, r->spec.on_gone, r->spec.arg, &r->freed);
    r->telling = false;
}

static void list_told_whole(struct reflector *r)
{
    tell_vanished(r);
    mem_free(r->version);
    r->version = r->list_version;
    r->list_version = NULL;
    r->expired = 0;
    r->page = r->page > 0 ? r->page : r->spec.page;
    if (r->freed) {
        return;
    }
    if (r->spec.relist_ms > 0) {
        deadline_arm(&r->relist, r->loop, about(r, r->spec.relist_ms));
    }
    if (!r->watch_denied) {
        set_state(r, REFLECTOR_SYNCED, "");
    }
    tell_batch(r);
    if (!r->freed && r->call == NULL) { /* else the owner wished for another list */
        watch_open(r);
    }
}

static void absent(struct reflector *r, const char *why)
{
    reflector_book_begin(&r->book);
    tell_vanished(r);
    forget(&r->version);
    forget(&r->token);
    wait_then(r, true, about(r, ABSENT_MS));
    if (!r->freed) {
        set_state(r, REFLECTOR_ABSENT, why);
    }
    tell_batch(r);
}

static void denied(struct reflector *r, const char *why)
{
    forget(&r->token);
    wait_then(r, true, about(r, DENIED_MS));
    set_state(r, REFLECTOR_DENIED, why);
}

/* Not reached: what was told stays. */
static void behind(struct reflector *r, const char *why)
{
    set_state(r, r->state == REFLECTOR_LISTING ? REFLECTOR_LISTING : REFLECTOR_BEHIND, why);
}

static void list_failed(struct reflector *r, const struct kube_answer *a, const char *why)
{
    if (a->status == 404) {
        absent(r, why);
        return;
    }
    if (a->status == 403) {
        denied(r, why);
        return;
    }
    if (a->status == 410 && r->token != NULL) { /* pages took longer than the server remembers */
        forget(&r->token);
        r->page = ++r->expired > 1 ? 0 : r->page;
        wait_then(r, true, backoff_ms(r, r->expired - 1, NULL));
        return;
    }
    r->page_failures++;
    if (a->status == 0 && a->code == -ERR_LIMIT && r->page != 1) { /* too large a page */
        r->page = r->page == 0 ? PAGE : r->page / 4 + (r->page < 4);
        forget(&r->token);
    } else if (a->status / 100 == 4 && a->status != 429) {
        forget(&r->token);
    }
    if (r->version != NULL) { /* the watch goes on where it was, and tells whether we are behind */
        forget(&r->token);
        int64_t again_ms = RELIST_AGAIN_MS * (int64_t)r->page_failures;
        deadline_arm(&r->relist, r->loop, about(r, i64_min(again_ms, RELIST_MS)));
        wait_then(r, false, watch_backoff_ms(r, NULL));
        return;
    }
    wait_then(r, true, backoff_ms(r, r->page_failures, a));
    behind(r, why);
}

static void on_page(void *arg, const struct kube_answer *a)
{
    struct reflector *r = arg;
    r->call = NULL;
    if (a->code != 0) {
        list_failed(r, a, a->why);
        return;
    }
    const struct doc_node *metadata = doc_get(a->doc, "metadata");
    struct span version = reflector_text(metadata, "resourceVersion");
    struct span token = reflector_text(metadata, "continue");
    if (version.len == 0 || token.len > PATH_BYTES_MAX / 8) {
        list_failed(r, a, "the server's answer is no list of Kubernetes");
        return;
    }
    r->page_failures = 0;
    if (r->token == NULL) {
        keep(&r->list_version, version);
    }
    tell_items(r, a->doc);
    if (r->list_told) {
        forget(&r->version);
    }
    if (r->freed) {
        return;
    }
    if (token.len > 0) {
        keep(&r->token, token);
        list_page(r);
        return;
    }
    forget(&r->token);
    list_told_whole(r);
}

/* --- watching --- */

static void watch_drop(struct reflector *r)
{
    kube_stream_close(r->stream);
    r->stream = NULL;
}

/* It ended; was it any good? */
static void watch_judge(struct reflector *r)
{
    bool brought =
        r->watch_heard || (r->watch_up && loop_now_ms(r->loop) - r->watch_at_ms >= WATCH_SHORT_MS);
    r->shorts = brought ? 0 : r->shorts + r->watch_up;
}

static void watch_is_up(struct reflector *r)
{
    if (r->watch_up) {
        return;
    }
    r->watch_up = true;
    r->watch_denied = false;
    r->refusals = 0;
    set_state(r, REFLECTOR_SYNCED, "");
}

static void on_begin(void *arg)
{
    watch_is_up(arg);
}

/* The version can not be gone on from. */
static void list_afresh(struct reflector *r, const struct kube_answer *a)
{
    forget(&r->version);
    forget(&r->token);
    wait_then(r, true, watch_backoff_ms(r, a));
}

static void take_error(struct reflector *r, const struct reflector_event *e)
{
    const struct kube_answer a = {.code = -EREMOTEIO, .retry_after_s = e->retry_after_s};
    log_debug("kube", "watch %s code=%lld why=\"%.*s\"", r->plural, (long long)e->status,
              SPAN_ARG(e->why));
    watch_drop(r);
    watch_judge(r);
    r->shorts += e->status != 410 && r->shorts == 0; /* the server complains: not at once */
    if (e->status == 410 || r->shorts > LIST_AFTER) {
        list_afresh(r, NULL);
    } else {
        wait_then(r, false, watch_backoff_ms(r, &a));
    }
}

static void take_event(struct reflector *r, const struct reflector_event *e)
{
    r->watch_heard = true;
    keep(&r->version, e->meta.version);
    switch (e->type) {
    case REFLECTOR_ADDED:
    case REFLECTOR_MODIFIED:
        if (reflector_book_note(&r->book, &e->meta)) {
            loop_task_add(r->loop, &r->batch);
            r->spec.on_object(r->spec.arg, e->object);
        }
        break;
    case REFLECTOR_DELETED:
        if (reflector_book_drop(&r->book, &e->meta)) {
            loop_task_add(r->loop, &r->batch);
            r->spec.on_gone(r->spec.arg, e->meta.namespace, e->meta.name);
        }
        break;
    case REFLECTOR_BOOKMARK:
    case REFLECTOR_ERROR:
    case REFLECTOR_OTHER:
        break;
    }
}

static void on_line(void *arg, struct span line)
{
    struct reflector *r = arg;
    struct reflector_event e;
    struct err err;
    watch_is_up(r);
    if (r->stream == NULL || span_trim(line).len == 0) { /* the owner ended it */
        return;
    }
    if (reflector_event_read(&r->scratch, line, &e, &err) != 0) {
        log_warn("kube", "watch %s why=\"%s\"", r->plural, err.text);
        watch_drop(r);
        r->shorts++; /* whatever it brought before */
        list_afresh(r, NULL);
    } else if (e.type == REFLECTOR_ERROR) {
        take_error(r, &e);
    } else if (e.type != REFLECTOR_OTHER) {
        take_event(r, &e);
    }
    arena_reset(&r->scratch);
}

/* The server refused to watch. */
static void watch_refused(struct reflector *r, const struct kube_answer *a)
{
    log_debug("kube", "watch %s status=%u why=\"%s\"", r->plural, a->status, a->why);
    r->refusals++;
    if (a->status == 403) {
        r->watch_denied = true;
        forget(&r->version);
        denied(r, a->why);
    } else if ((a->status / 100 == 4 && a->status != 429) ||
               (a->status >= 500 && r->refusals >= LIST_AFTER)) {
        list_afresh(r, a);
    } else {
        wait_then(r, false, watch_backoff_ms(r, a));
        behind(r, a->why);
    }
}

static void on_end(void *arg, const struct kube_answer *a)
{
    struct reflector *r = arg;
    r->stream = NULL; /* gone by itself */
    watch_judge(r);
    if (r->watch_up || a->code == 0) {
        r->shorts += !r->watch_up; /* an answer without a head that began it: do not spin */
        wait_then(r, false, watch_backoff_ms(r, a));
    } else {
        watch_refused(r, a);
    }
}

static void watch_open(struct reflector *r)
{
    struct buf path;
    buf_init(&path, PATH_BYTES_MAX);
    unsigned life_s = WATCH_S + (unsigned)rng_below(&r->rng, WATCH_S + 1);
    int failed = buf_printf(
        &path,
        "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u%s&resourceVersion=", r->path,
        life_s, r->select);
    failed = failed ? failed : url_encode(span_of(r->version), "", &path);
    const char *text = buf_cstr(&path);
    ASSERT(failed == 0 && text != NULL); /* selectors and versions are bounded */
    const struct kube_stream_spec spec = {.path = text,
                                          .idle_ms = WATCH_IDLE_MS,
                                          .on_begin = on_begin,
                                          .on_line = on_line,
                                          .on_end = on_end,
                                          .arg = r};
    r->watch_up = r->watch_heard = false;
    r->watch_at_ms = loop_now_ms(r->loop);
    r->stream = kube_stream_open(r->client, &spec);
    buf_dispose(&path);
}

/* --- life --- */

static void on_next(struct deadline *d)
{
    struct reflector *r = container_of(d, struct reflector, next);
    if (r->must_list || r->version == NULL) {
        list_page(r);
    } else {
        watch_open(r);
    }
}

void reflector_relist(struct reflector *r)
{
    if (r->call != NULL || r->telling || r->freed) {
        return;
    }
    watch_drop(r);
    deadline_disarm(&r->next);
    forget(&r->token);
    list_page(r);
}

static void on_relist(struct deadline *d)
{
    struct reflector *r = container_of(d, struct reflector, relist);
    if (r->stream != NULL) {
        reflector_relist(r);
    } else {
        r->must_list = true; /* when the wait in hand is over */
    }
}

static const char *selectors(struct arena *arena, const struct reflector_spec *spec)
{
    struct buf text;
    buf_init(&text, PATH_BYTES_MAX / 4);
    const char *names[] = {"labelSelector", "fieldSelector"};
    const char *values[] = {spec->label_selector, spec->field_selector};
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (values[i] != NULL) {
            failed = failed ? failed : buf_printf(&text, "&%s=", names[i]);
            failed = failed ? failed : url_encode(span_of(values[i]), "", &text);
        }
    }
    ASSERT(failed == 0); /* ours, and short */
    const char *made = arena_cstr(arena, buf_span(&text));
    buf_dispose(&text);
    return made;
}

struct reflector *reflector_new(const struct reflector_spec *spec)
{
    struct reflector *r = mem_new(struct reflector);
    r->client = spec->client;
    r->loop = kube_client_loop(spec->client);
    arena_init(&r->own, 512);
    arena_init(&r->scratch, 16384);
    rng_init(&r->rng);
    r->path = kube_path(&r->own, &spec->kind, spec->namespace, SPAN_EMPTY, NULL);
    r->select = selectors(&r->own, spec);
    r->plural = arena_strdup(&r->own, spec->kind.plural);
    r->spec = (struct reflector_spec){
        .page = spec->page > 0 ? spec->page : PAGE,
        .relist_ms = spec->relist_ms != 0 ? spec->relist_ms : RELIST_MS,
        .on_object = spec->on_object,
        .on_gone = spec->on_gone,
        .on_batch = spec->on_batch,
        .on_state = spec->on_state,
        .arg = spec->arg,
    };
    r->page = r->spec.page;
    reflector_book_init(&r->book);
    deadline_init(&r->next, on_next);
    deadline_init(&r->relist, on_relist);
    loop_task_init(&r->batch, on_batch_task);
    wait_then(r, true, 0);
    return r;
}

static void destroy(void *obj)
{
    struct reflector *r = obj;
    reflector_book_dispose(&r->book);
    mem_free(r->version);
    mem_free(r->list_version);
    mem_free(r->token);
    arena_dispose(&r->scratch);
    arena_dispose(&r->own);
    mem_free(r);
}

void reflector_free(struct reflector *r)
{
    if (r == NULL || r->freed) {
        return;
    }
    r->freed = true;
    if (r->call != NULL) {
        kube_call_cancel(r->call);
    }
    watch_drop(r);
    deadline_disarm(&r->next);
    deadline_disarm(&r->relist);
    loop_task_cancel(&r->batch);
    loop_bury(r->loop, destroy, r);
}

enum reflector_state reflector_state(const struct reflector *r)
{
    return r->state;
}

size_t reflector_count(const struct reflector *r)
{
    return map_count(&r->book.known);
}

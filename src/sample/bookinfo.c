/* The handlers of the book shop's services.
 * In: complete requests from http_server. Next: visit.c for those that ask others. Out: JSON and pages. */
#include "sample/bookinfo.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/url.h"
#include "io/deadline.h"
#include "sample/bookinfo_page.h"
#include "sample/reply.h"
#include "sample/visit.h"

#define PAGE_MAX (1u << 20)
#define USER_MAX 64
#define PRODUCT_MAX 1000000
#define ASK_MS 3000          /* productpage waits so long for each of its services */
#define REVIEW_TRIES 2       /* and asks reviews once more */
#define BLACK_STARS_MS 10000 /* reviews v2 waits long for ratings, v3 does not */
#define RED_STARS_MS 2500

struct bookinfo {
    struct loop *loop; /* borrowed */
    struct bookinfo_spec spec;
    struct rng rng;
    struct list visits; /* of struct visit */
    int64_t stars[2];   /* ratings: as posted last */
    int64_t stars_of;   /* of which product; -1 = none was posted */
};

/* A path's handler, kept by the server. */
struct handled {
    struct bookinfo *b;
    http_handler run;
};

/* A request that the fault holds back; lives in the stream's arena. */
struct held {
    struct reply_wait wait;
    struct deadline due;
    struct handled *handled;
    struct http_request rq;
};

static const char book_title[] = "The Comedy of Errors";
static const char book_text[] =
    "Two pairs of twins, parted as infants in a shipwreck, meet again in Ephesus without knowing "
    "it, and a whole town loses its way among them. The shortest of Shakespeare&#39;s plays.";

int bookinfo_kind_of(const char *name)
{
    for (int i = 0; i < BOOKINFO_KINDS; i++) {
        if (strcmp(name, bookinfo_kind_name((enum bookinfo_kind)i)) == 0) {
            return i;
        }
    }
    return -1;
}

const char *bookinfo_kind_name(enum bookinfo_kind kind)
{
    static const char *const names[BOOKINFO_KINDS] = {"productpage", "details", "reviews",
                                                      "ratings"};
    return names[kind];
}

static void reply_error(struct http_stream *s, unsigned status, const char *text)
{
    struct arena *a = http_stream_arena(s);
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "error", doc_cstr(a, text));
    reply_json(s, status, doc, false);
}

/* ---- the fault */

static void held_on_close(struct reply_wait *w)
{
    deadline_disarm(&container_of(w, struct held, wait)->due);
}

static void run_struck(const struct handled *h, const struct http_request *rq)
{
    unsigned status = h->b->spec.fault.status;
    if (status != 0) {
        reply_error(rq->stream, status, "fault injected by POST /fault");
    } else {
        h->run(h->b, rq);
    }
}

static void held_on_due(struct deadline *d)
{
    struct held *held = container_of(d, struct held, due);
    reply_later(held->rq.stream, NULL);
    run_struck(held->handled, &held->rq);
}

static void on_request(void *arg, const struct http_request *rq)
{
    struct handled *h = arg;
    struct bookinfo *b = h->b;

    if (!fault_strikes(&b->spec.fault, &b->rng)) {
        h->run(b, rq);
        return;
    }
    if (b->spec.fault.delay_ms == 0) {
        run_struck(h, rq);
        return;
    }
    struct arena *a = http_stream_arena(rq->stream);
    struct held *held = arena_new(a, struct held);
    held->handled = h;
    held->rq = *rq;
    held->rq.path = arena_dup(a, rq->path);
    held->rq.query = arena_dup(a, rq->query);
    held->rq.body = arena_dup(a, rq->body);
    held->wait.on_close = held_on_close;
    deadline_init(&held->due, held_on_due);
    reply_later(rq->stream, &held->wait);
    deadline_arm(&held->due, b->loop, b->spec.fault.delay_ms);
}

static void tell_fault(struct bookinfo *b, struct http_stream *s)
{
    reply_json(s, 200, fault_to_doc(&b->spec.fault, http_stream_arena(s)), false);
}

static void on_fault(void *arg, const struct http_request *rq)
{
    struct bookinfo *b = arg;
    struct err err;

    if (rq->head->method_id != METHOD_GET && rq->head->method_id != METHOD_HEAD) {
        if (!span_is(head_get(rq->head, SPAN("x-mesh-write")), "1")) {
            reply_error(rq->stream, 403, "a change needs the header 'x-mesh-write: 1'");
            return;
        }
        struct span words = rq->head->method_id == METHOD_DELETE ? SPAN_EMPTY : rq->query;
        if (fault_parse(words, '&', &b->spec.fault, &err) < 0) {
            reply_error(rq->stream, 400, err.text);
            return;
        }
    }
    tell_fault(b, rq->stream);
}

static void on_health(void *arg, const struct http_request *rq)
{
    static const char *const names[BOOKINFO_KINDS] = {"Product page", "Details", "Reviews",
                                                      "Ratings"};
    const struct bookinfo *b = arg;
    struct arena *a = http_stream_arena(rq->stream);
    const char *text = arena_printf(a, "%s is healthy", names[b->spec.kind]);

    if (b->spec.kind == BOOKINFO_PRODUCTPAGE) {
        reply_text(rq->stream, 200, span_of(text));
        return;
    }
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "status", doc_cstr(a, text));
    reply_json(rq->stream, 200, doc, false);
}

/* The product's number after "/details/" and the like; otherwise the request has been answered. */
static bool product_in(const struct http_request *rq, size_t prefix, int64_t *product)
{
    uint64_t n;
    if (!span_to_u64(span_from_offset(rq->path, prefix), &n) || n > PRODUCT_MAX) {
        reply_error(rq->stream, 400, "please provide numeric product ID");
        return false;
    }
    *product = (int64_t)n;
    return true;
}

/* ---- details */

static void on_details(void *arg, const struct http_request *rq)
{
    struct arena *a = http_stream_arena(rq->stream);
    struct doc_node *doc = doc_new_map(a);
    int64_t product;

    UNUSED(arg);
    if (!product_in(rq, sizeof("/details/") - 1, &product)) {
        return;
    }
    doc_set(a, doc, "id", doc_int(a, product));
    doc_set(a, doc, "author", doc_cstr(a, "William Shakespeare"));
    doc_set(a, doc, "year", doc_int(a, 1595));
    doc_set(a, doc, "type", doc_cstr(a, "paperback"));
    doc_set(a, doc, "pages", doc_int(a, 200));
    doc_set(a, doc, "publisher", doc_cstr(a, "PublisherA"));
    doc_set(a, doc, "language", doc_cstr(a, "English"));
    doc_set(a, doc, "ISBN-10", doc_cstr(a, "1234567890"));
    doc_set(a, doc, "ISBN-13", doc_cstr(a, "123-1234567890"));
    reply_json(rq->stream, 200, doc, false);
}

/* ---- ratings */

static void tell_ratings(const struct bookinfo *b, struct http_stream *s, int64_t product)
{
    static const int64_t usual[2] = {5, 4};
    const int64_t *stars = b->stars_of == product ? b->stars : usual;
    struct arena *a = http_stream_arena(s);
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "id", doc_int(a, product));
    struct doc_node *ratings = doc_map_in(a, doc, "ratings");
    doc_set(a, ratings, "Reviewer1", doc_int(a, stars[0]));
    doc_set(a, ratings, "Reviewer2", doc_int(a, stars[1]));
    reply_json(s, 200, doc, false);
}

static void on_ratings(void *arg, const struct http_request *rq)
{
    struct bookinfo *b = arg;
    int64_t product;

    if (!product_in(rq, sizeof("/ratings/") - 1, &product)) {
        return;
    }
    if (rq->head->method_id == METHOD_POST) {
        struct doc_node *doc = NULL;
        int64_t stars[2] = {0, 0};
        if (doc_parse_json(http_stream_arena(rq->stream), rq->body, "body", &doc, NULL) < 0 ||
            !doc_is(doc, DOC_MAP) || doc_read_int(doc, "Reviewer1", 0, 5, &stars[0], NULL) < 0 ||
            doc_read_int(doc, "Reviewer2", 0, 5, &stars[1], NULL) < 0) {
            reply_error(rq->stream, 400, "please provide valid ratings JSON");
            return;
        }
        b->stars_of = product;
        memcpy(b->stars, stars, sizeof(stars));
    }
    tell_ratings(b, rq->stream, product);
}

/* ---- reviews */

static void add_review(const struct bookinfo *b, struct arena *a, struct doc_node *list,
                       const struct doc_node *ratings, const char *reviewer, const char *text)
{
    struct doc_node *review = doc_list_add(a, list, doc_new_map(a));
    doc_set(a, review, "reviewer", doc_cstr(a, reviewer));
    doc_set(a, review, "text", doc_cstr(a, text));
    if (!b->spec.stars) {
        return;
    }
    struct doc_node *rating = doc_map_in(a, review, "rating");
    const struct doc_node *stars = doc_get(ratings, reviewer);
    if (doc_is(stars, DOC_INT)) {
        doc_set(a, rating, "stars", doc_int(a, stars->integer));
        doc_set(a, rating, "color", doc_cstr(a, b->spec.color));
    } else {
        doc_set(a, rating, "error", doc_cstr(a, "Ratings service is currently unavailable"));
    }
}

static void tell_reviews(const struct bookinfo *b, struct http_stream *s, int64_t product,
                         const struct doc_node *ratings)
{
    struct arena *a = http_stream_arena(s);
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "id", doc_cstr(a, arena_printf(a, "%lld", (long long)product)));
    doc_set(a, doc, "podname", doc_cstr(a, b->spec.pod));
    doc_set(a, doc, "clustername", doc_cstr(a, b->spec.cluster));
    struct doc_node *list = doc_list_in(a, doc, "reviews");
    add_review(b, a, list, ratings, "Reviewer1",
               "I laughed through every mistaken embrace and every wrongly sent gold chain.");
    add_review(b, a, list, ratings, "Reviewer2",
               "Great fun on a stage, though the later comedies know more about the heart.");
    reply_json(s, 200, doc, false);
}

static void reviews_done(void *arg, struct visit *v)
{
    const struct doc_node *id = doc_get(v->parts[0].doc, "id");
    tell_reviews(arg, v->stream, doc_is(id, DOC_INT) ? id->integer : 0,
                 doc_get(v->parts[0].doc, "ratings"));
}

static void on_reviews(void *arg, const struct http_request *rq)
{
    struct bookinfo *b = arg;
    int64_t product;

    if (!product_in(rq, sizeof("/reviews/") - 1, &product)) {
        return;
    }
    if (!b->spec.stars) {
        tell_reviews(b, rq->stream, product, NULL);
        return;
    }
    const struct visit_ask ask = {
        .peer = b->spec.ratings,
        .path = arena_printf(http_stream_arena(rq->stream), "/ratings/%lld", (long long)product),
        .timeout_ms = strcmp(b->spec.color, "black") == 0 ? BLACK_STARS_MS : RED_STARS_MS,
        .tries = 1,
    };
    visit_start(&b->visits, rq, SPAN_EMPTY, &ask, 1, reviews_done, b);
}

/* ---- productpage: who is signed in */

/* Letters, digits and what names have besides: the name becomes a header field. */
static bool is_user_name(struct span name)
{
    for (size_t i = 0; name.at != NULL && i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr("-_.@+", c) == NULL)) {
            return false;
        }
    }
    return name.len > 0 && name.len <= USER_MAX;
}

/* The session is the cookie `session`, base64url of {"user":"NAME"}: nothing is kept here, nothing is proved. */
static struct span user_of(const struct http_request *rq)
{
    struct arena *a = http_stream_arena(rq->stream);
    struct span rest = head_get(rq->head, SPAN("cookie"));
    while (rest.at != NULL) {
        struct span value = span_trim(span_cut(&rest, ';'));
        if (!span_is(span_cut(&value, '='), "session")) {
            continue;
        }
        struct doc_node *doc = NULL;
        char *json = arena_bytes(a, base64_decoded_max(value.len));
        ssize_t n = base64_decode(BASE64_URL, value, json);
        if (n > 0 && doc_parse_json(a, span_from(json, (size_t)n), "session", &doc, NULL) == 0) {
            const struct doc_node *user = doc_get(doc, "user");
            if (doc_is(user, DOC_TEXT) && is_user_name(user->text)) {
                return user->text;
            }
        }
    }
    return SPAN_EMPTY;
}

/* Back to the page that the form was on; only its path, so that it stays in this shop. */
static void redirect_back(const struct http_request *rq, const char *cookie)
{
    struct head head;
    struct url url;
    struct span back = SPAN("/productpage");

    if (url_parse(head_get(rq->head, SPAN("referer")), &url) == 0 && url.path.len > 0 &&
        !span_starts(url.path, SPAN("//"))) {
        back = url.path;
    }
    head_init(&head, http_stream_arena(rq->stream));
    head.status = 302;
    head.content_length = 0;
    if (head_add(&head, SPAN("location"), back) == 0 &&
        head_add(&head, SPAN("set-cookie"), span_of(cookie)) == 0) {
        (void)http_stream_head(rq->stream, &head, true); /* on_close tells who is gone */
    }
}

static void on_login(void *arg, const struct http_request *rq)
{
    struct arena *a = http_stream_arena(rq->stream);
    struct span given = url_query_get(rq->body, SPAN("username"));
    struct buf user;

    UNUSED(arg);
    buf_init(&user, 4 * USER_MAX);
    if (given.at == NULL || url_decode(given, true, &user) < 0 || !is_user_name(buf_span(&user))) {
        reply_error(rq->stream, 400, "the form has no field 'username' with a plain name");
    } else {
        const char *json = arena_printf(a, "{\"user\":\"%.*s\"}", SPAN_ARG(buf_span(&user)));
        char *text = arena_bytes(a, base64_encoded_len(BASE64_URL, strlen(json)));
        size_t n = base64_encode(BASE64_URL, span_of(json), text);
        redirect_back(rq, arena_printf(a, "session=%.*s; HttpOnly; Path=/", (int)n, text));
    }
    buf_dispose(&user);
}

static void on_logout(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    redirect_back(rq, "session=; Max-Age=0; HttpOnly; Path=/");
}

/* What a visit needs to answer; as long as the stream, without which nobody is called back. */
struct shopper {
    struct span user; /* empty = nobody is signed in */
    const char *word; /* "details", "reviews", "ratings" */
};

static struct shopper *shopper_of(const struct http_request *rq, const char *word)
{
    struct shopper *shopper = arena_new(http_stream_arena(rq->stream), struct shopper);
    shopper->user = user_of(rq);
    shopper->word = word;
    return shopper;
}

/* ---- productpage: pages */

static void reply_page(struct http_stream *s, int code, struct buf *page)
{
    if (code == 0) {
        reply_html(s, 200, buf_span(page));
    } else {
        reply_text(s, 500, SPAN("the page is too large\n"));
    }
    buf_dispose(page);
}

static void on_index(void *arg, const struct http_request *rq)
{
    struct buf page;
    UNUSED(arg);
    buf_init(&page, PAGE_MAX);
    int code = bookinfo_page_index(&page);
    reply_page(rq->stream, code, &page);
}

static void productpage_done(void *arg, struct visit *v)
{
    const struct shopper *shopper = arg;
    const struct bookinfo_page page = {
        .title = book_title,
        .description = book_text,
        .user = shopper->user,
        .details = v->parts[0].doc,
        .reviews = v->parts[1].doc,
    };
    struct buf text;
    buf_init(&text, PAGE_MAX);
    int code = bookinfo_page_product(&page, &text);
    reply_page(v->stream, code, &text);
}

static void on_productpage(void *arg, const struct http_request *rq)
{
    struct bookinfo *b = arg;
    struct shopper *shopper = shopper_of(rq, "");
    const struct visit_ask asks[] = {
        {.peer = b->spec.details, .path = "/details/0", .timeout_ms = ASK_MS, .tries = 1},
        {.peer = b->spec.reviews,
         .path = "/reviews/0",
         .timeout_ms = ASK_MS,
         .tries = REVIEW_TRIES},
    };
    visit_start(&b->visits, rq, shopper->user, asks, ARRAY_LEN(asks), productpage_done, shopper);
}

/* ---- productpage: the API */

static void api_done(void *arg, struct visit *v)
{
    const struct shopper *shopper = arg;
    const struct visit_part *part = &v->parts[0];
    if (part->doc != NULL) {
        reply_json(v->stream, 200, part->doc, false);
        return;
    }
    const char *text = arena_printf(
        &v->arena, "Sorry, product %s are currently unavailable for this book.", shopper->word);
    reply_error(v->stream, part->status >= 400 ? part->status : 500, text);
}

static void on_products(void *arg, const struct http_request *rq)
{
    struct arena *a = http_stream_arena(rq->stream);
    struct doc_node *list = doc_new_list(a);
    struct doc_node *book = doc_list_add(a, list, doc_new_map(a));
    UNUSED(arg);
    doc_set(a, book, "id", doc_int(a, 0));
    doc_set(a, book, "title", doc_cstr(a, book_title));
    doc_set(a, book, "descriptionHtml", doc_cstr(a, book_text));
    reply_json(rq->stream, 200, list, false);
}

/* /api/v1/products/N, /N/reviews, /N/ratings */
static void on_product(void *arg, const struct http_request *rq)
{
    struct bookinfo *b = arg;
    const struct {
        const char *word;
        struct peer *peer;
        unsigned tries;
    } rows[] = {{"details", b->spec.details, 1},
                {"reviews", b->spec.reviews, REVIEW_TRIES},
                {"ratings", b->spec.ratings, 1}};
    struct span rest = span_from_offset(rq->path, sizeof("/api/v1/products/") - 1);
    struct span number = span_cut(&rest, '/');
    uint64_t product;

    if (!span_to_u64(number, &product) || product > PRODUCT_MAX) {
        reply_error(rq->stream, 400, "please provide numeric product ID");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i == 0 ? rest.at == NULL : span_is(rest, rows[i].word)) {
            const struct visit_ask ask = {
                .peer = rows[i].peer,
                .path = arena_printf(http_stream_arena(rq->stream), "/%s/%llu", rows[i].word,
                                     (unsigned long long)product),
                .timeout_ms = ASK_MS,
                .tries = rows[i].tries,
            };
            struct shopper *shopper = shopper_of(rq, rows[i].word);
            visit_start(&b->visits, rq, shopper->user, &ask, 1, api_done, shopper);
            return;
        }
    }
    reply_error(rq->stream, 404, "a product has /reviews and /ratings");
}

/* ---- the service */

static void add_route(struct bookinfo *b, struct http_server *server, const char *methods,
                      const char *path, http_handler run)
{
    struct handled *h = http_server_keep(server, sizeof(*h));
    h->b = b;
    h->run = run;
    http_server_route(server, methods, path, false, on_request, h);
}

void bookinfo_serve_health(struct bookinfo *b, struct http_server *server)
{
    http_server_route(server, "GET,HEAD", "/health", false, on_health, b);
    http_server_route(server, "GET,HEAD,POST,DELETE", "/fault", false, on_fault, b);
}

struct bookinfo *bookinfo_new(struct loop *loop, struct http_server *server,
                              const struct bookinfo_spec *spec)
{
    static const char read_only[] = "GET,HEAD";
    struct bookinfo *b = mem_new(struct bookinfo);

    b->loop = loop;
    b->spec = *spec;
    b->stars_of = -1;
    rng_init(&b->rng);
    list_init(&b->visits);
    bookinfo_serve_health(b, server);
    switch (spec->kind) {
    case BOOKINFO_PRODUCTPAGE:
        add_route(b, server, read_only, "/", on_index);
        add_route(b, server, read_only, "/index.html", on_index);
        add_route(b, server, read_only, "/productpage", on_productpage);
        add_route(b, server, "POST", "/login", on_login);
        add_route(b, server, read_only, "/logout", on_logout);
        add_route(b, server, read_only, "/api/v1/products", on_products);
        add_route(b, server, read_only, "/api/v1/products/*", on_product);
        break;
    case BOOKINFO_DETAILS:
        add_route(b, server, read_only, "/details/*", on_details);
        break;
    case BOOKINFO_REVIEWS:
        add_route(b, server, read_only, "/reviews/*", on_reviews);
        break;
    case BOOKINFO_RATINGS:
        add_route(b, server, "GET,HEAD,POST", "/ratings/*", on_ratings);
        break;
    }
    return b;
}

void bookinfo_free(struct bookinfo *b)
{
    if (b != NULL) {
        visit_drop_all(&b->visits);
        mem_free(b);
    }
}

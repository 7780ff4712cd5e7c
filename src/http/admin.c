/* Pages for people and scripts, and the index of them.
 * In: requests of a http_server. Out: whole answers. */
#include "http/admin.h"

#include "base/mem.h"
#include "codec/url.h"

#define ANSWER_MAX (64u << 20) /* a large config dump has some MiB */
#define TEXT SPAN("text/plain; charset=utf-8")

struct page {
    struct admin *admin;
    const char *path;
    const char *help;
    admin_page page;
    void *arg;
};

struct admin {
    struct http_server *server; /* borrowed */
    const char *title;
    struct page **pages; /* owned array; each lives as long as the server */
    size_t count;
};

static void on_page(void *arg, const struct http_request *rq)
{
    const struct page *p = arg;
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    struct admin_answer answer = {.status = 200, .content_type = TEXT, .body = &body};
    p->page(p->arg, rq, &answer);
    http_stream_reply(rq->stream, answer.status, answer.content_type, buf_span(&body));
    buf_dispose(&body);
}

static void on_index(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    UNUSED(rq);
    const struct admin *a = arg;
    int code = buf_printf(answer->body, "%s\n\n", a->title);
    for (size_t i = 0; i < a->count && code == 0; i++) {
        code = buf_printf(answer->body, "  %-32s %s\n", a->pages[i]->path, a->pages[i]->help);
    }
    if (code != 0) {
        answer->status = 500;
    }
}

static struct page *page_new(struct admin *a, const char *path, const char *help)
{
    struct page *p = http_server_keep(a->server, sizeof(*p));
    *p = (struct page){.admin = a, .path = path, .help = help};
    a->pages = mem_realloc(a->pages, (a->count + 1) * sizeof(struct page *));
    a->pages[a->count++] = p;
    return p;
}

struct admin *admin_new(struct http_server *s, const char *title)
{
    struct admin *a = mem_new(struct admin);
    a->server = s;
    a->title = title;
    admin_add(a, "GET", "/", "this list", on_index, a);
    admin_add(a, "GET", "/help", "this list", on_index, a);
    return a;
}

void admin_add(struct admin *a, const char *methods, const char *path, const char *help,
               admin_page page, void *arg)
{
    struct page *p = page_new(a, path, help);
    p->page = page;
    p->arg = arg;
    http_server_route(a->server, methods, path, false, on_page, p);
}

void admin_add_handler(struct admin *a, const char *methods, const char *path, const char *help,
                       http_handler handler, void *arg)
{
    (void)page_new(a, path, help); /* for the index only */
    http_server_route(a->server, methods, path, false, handler, arg);
}

struct span admin_query(const struct http_request *rq, struct span name)
{
    return url_query_get(rq->query, name);
}

void admin_free(struct admin *a)
{
    if (a) {
        mem_free(a->pages);
        mem_free(a);
    }
}

#ifndef HTTP_ADMIN_H
#define HTTP_ADMIN_H
/* Pages for people and scripts on a http_server: text or JSON made whole, and an index of all of them. */
#include "base/buf.h"
#include "base/compiler.h"
#include "http/http_server.h"

struct admin;

/* What a page answers; `body` is empty at first. */
struct admin_answer {
    unsigned status;          /* 200 unless changed */
    struct span content_type; /* "text/plain; charset=utf-8" unless changed; static */
    struct buf *body;
};
typedef void (*admin_page)(void *arg, const struct http_request *rq, struct admin_answer *answer);

/* Serves "/" and "/help" with the index of pages. Texts are static. */
struct admin *admin_new(struct http_server *s, const char *title);
/* `methods` as http_server_route ("GET"; HEAD comes with it). */
void admin_add(struct admin *a, const char *methods, const char *path, const char *help,
               admin_page page, void *arg);
/* As admin_add for a page that answers later: the handler owns the stream (http_handler). */
void admin_add_handler(struct admin *a, const char *methods, const char *path, const char *help,
                       http_handler handler, void *arg);
/* A name in the query ("format" of "?format=json"), undecoded; NULL `at` when absent. */
struct span admin_query(const struct http_request *rq, struct span name);
void admin_free(struct admin *a);
#endif

/* Named servers and readiness checks of one process, to which roles attach themselves. */
#include "http/host.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"

#define READY_TEXT_MAX 65536

struct host_server {
    struct list node;
    const char *name;
    struct http_server *server;
};

struct host_check {
    struct list node;
    const char *name;
    const char *why;
    bool holds;
};

struct host {
    struct loop *loop; /* borrowed */
    struct list servers;
    struct list checks;
    bool draining;
};

struct host *host_new(struct loop *loop)
{
    struct host *h = mem_new(struct host);
    h->loop = loop;
    list_init(&h->servers);
    list_init(&h->checks);
    return h;
}

int host_listen(struct host *h, const char *name, const struct listener_spec *where,
                struct tls_ctx *tls, struct err *err)
{
    struct http_server *server;
    ASSERT(host_server(h, name) == NULL);
    int code = http_server_new(&server, h->loop, where, tls, err);
    if (code != 0) {
        return err_prefix(err, "%s", name);
    }
    struct host_server *entry = mem_new(struct host_server);
    entry->name = name;
    entry->server = server;
    list_push_back(&h->servers, &entry->node);
    return 0;
}

struct http_server *host_server(struct host *h, const char *name)
{
    LIST_EACH(node, next, &h->servers) {
        struct host_server *entry = list_item(node, struct host_server, node);
        if (strcmp(entry->name, name) == 0) {
            return entry->server;
        }
    }
    return NULL;
}

struct loop *host_loop(struct host *h)
{
    return h->loop;
}

struct host_check *host_check_add(struct host *h, const char *name)
{
    struct host_check *check = mem_new(struct host_check);
    check->name = name;
    check->why = "starting";
    list_push_back(&h->checks, &check->node);
    return check;
}

void host_check_set(struct host_check *check, bool holds, const char *why)
{
    check->holds = holds;
    check->why = why;
}

void host_check_free(struct host_check *check)
{
    if (check) {
        list_remove(&check->node);
        mem_free(check);
    }
}

bool host_is_ready(const struct host *h)
{
    if (h->draining) {
        return false;
    }
    LIST_EACH(node, next, &h->checks) {
        if (!list_item(node, const struct host_check, node)->holds) {
            return false;
        }
    }
    return true;
}

static void on_ready(void *arg, const struct http_request *rq)
{
    const struct host *h = arg;
    struct buf text;
    buf_init(&text, READY_TEXT_MAX);
    int code = h->draining ? buf_printf(&text, "draining\n") : 0;
    LIST_EACH(node, next, &h->checks) {
        const struct host_check *check = list_item(node, const struct host_check, node);
        if (code == 0) {
            code = buf_printf(&text, "%s: %s%s%s\n", check->name, check->holds ? "ok" : "not ready",
                              check->why ? ", " : "", check->why ? check->why : "");
        }
    }
    if (code == 0 && buf_len(&text) == 0) {
        code = buf_printf(&text, "ok\n");
    }
    http_stream_reply(rq->stream, host_is_ready(h) && code == 0 ? 200 : 503,
                      SPAN("text/plain; charset=utf-8"), buf_span(&text));
    buf_dispose(&text);
}

void host_serve_ready(struct host *h, struct http_server *s, const char *path)
{
    http_server_route(s, "GET", path, false, on_ready, h);
}

void host_drain(struct host *h)
{
    h->draining = true;
    LIST_EACH(node, next, &h->servers) {
        http_server_drain(list_item(node, struct host_server, node)->server);
    }
}

bool host_is_idle(const struct host *h)
{
    LIST_EACH(node, next, &h->servers) {
        if (!http_server_is_idle(list_item(node, const struct host_server, node)->server)) {
            return false;
        }
    }
    return true;
}

void host_free(struct host *h)
{
    struct list *node;
    if (!h) {
        return;
    }
    while ((node = list_pop_front(&h->servers)) != NULL) {
        struct host_server *entry = list_item(node, struct host_server, node);
        http_server_free(entry->server);
        mem_free(entry);
    }
    while (!list_is_empty(&h->checks)) {
        host_check_free(list_item(h->checks.next, struct host_check, node));
    }
    mem_free(h);
}

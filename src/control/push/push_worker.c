/* A stream worker: a thread with servers, clients and the world of the moment. What the main thread tells it comes by mail.
 * In: push. Out: push_client. */
#include "base/log.h"
#include "base/mem.h"
#include "control/push/push_int.h"
#include "control/push/telemetry.h"
#include "tls/tls_ctx.h"

#define SCRATCH_BYTES 65536
/* A push to many clients leaves room for others between so many of them. */
#define CLIENTS_A_TASK 8

/* ---- mail from the main thread ---- */

struct world_mail {
    struct mail mail;
    struct push_worker *to;
    struct world *world; /* one reference */
    int64_t built_us;
    bool config;
    size_t count, workload_count;
    struct ip *workloads; /* owned */
    unsigned services[];
};

struct tap_mail {
    struct mail mail;
    struct push_worker *to;
    char **targets; /* owned */
    size_t count;
};

static void on_world(struct mail *mail, void *owner)
{
    UNUSED(owner);
    struct world_mail *m = (struct world_mail *)mail;
    struct push_worker *w = m->to;
    world_unref(w->world);
    w->world = m->world;
    w->world_us = m->built_us;
    push_cache_reset(&w->cache);
    LIST_EACH(node, next, &w->clients) {
        if (m->config || m->workload_count > 0) {
            push_client_check(list_item(node, struct push_client, node));
        }
    }
    LIST_EACH(node, next, &w->clients) {
        struct push_client *c = list_item(node, struct push_client, node);
        if (m->config) {
            push_client_due_all(c);
        }
        for (size_t i = 0; !m->config && i < m->count; i++) {
            push_client_due_service(c, m->services[i]);
        }
        for (size_t i = 0; !m->config && i < m->workload_count; i++) {
            push_client_due_workload(c, &m->workloads[i]);
        }
    }
    mem_free(m->workloads);
    mem_free(m);
}

void push_worker_world(struct push_worker *w, struct world *world, int64_t built_us,
                       const struct world_change *change)
{
    size_t count = change->config ? 0 : change->service_count;
    struct world_mail *m = mem_zalloc(sizeof *m + count * sizeof m->services[0]);
    m->mail.on_arrive = on_world;
    m->to = w;
    m->world = world_ref(world);
    m->built_us = built_us;
    m->config = change->config;
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        m->services[i] = change->services[i]->index;
    }
    if (!change->config && change->workload_count > 0) {
        m->workload_count = change->workload_count;
        m->workloads = mem_dup(change->workloads, change->workload_count * sizeof(struct ip));
    }
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

static void forget_taps(struct push_worker *w)
{
    for (size_t i = 0; i < w->tap_count; i++) {
        mem_free(w->taps[i]);
    }
    mem_free(w->taps);
    w->taps = NULL;
    w->tap_count = 0;
}

static void on_taps(struct mail *mail, void *owner)
{
    UNUSED(owner);
    struct tap_mail *m = (struct tap_mail *)mail;
    struct push_worker *w = m->to;
    forget_taps(w);
    w->taps = m->targets;
    w->tap_count = m->count;
    LIST_EACH(node, next, &w->clients) {
        push_client_due_tap(list_item(node, struct push_client, node));
    }
    mem_free(m);
}

void push_worker_tap(struct push_worker *w, const struct span *targets, size_t count)
{
    struct tap_mail *m = mem_new(struct tap_mail);
    m->mail.on_arrive = on_taps;
    m->to = w;
    m->count = count;
    m->targets = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        m->targets[i] = mem_strndup(targets[i].at, targets[i].len);
    }
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

struct hints_mail {
    struct mail mail;
    struct push_worker *to;
    uint64_t stream;
    size_t len;
    char lines[];
};

static void on_hints(struct mail *mail, void *owner)
{
    UNUSED(owner);
    struct hints_mail *m = (struct hints_mail *)mail;
    LIST_EACH(node, next, &m->to->clients) {
        struct push_client *c = list_item(node, struct push_client, node);
        if (c->id == m->stream) {
            push_client_hints(c, span_from(m->lines, m->len));
            break;
        }
    }
    mem_free(m);
}

void push_worker_hints(struct push_worker *w, uint64_t stream, struct span lines)
{
    struct hints_mail *m = mem_zalloc(sizeof *m + lines.len);
    m->mail.on_arrive = on_hints;
    m->to = w;
    m->stream = stream;
    m->len = lines.len;
    if (lines.len > 0) {
        memcpy(m->lines, lines.at, lines.len);
    }
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

/* ---- work ---- */

static void work(struct loop_task *task)
{
    struct push_worker *w = container_of(task, struct push_worker, work);
    for (int i = 0; i < CLIENTS_A_TASK && !list_is_empty(&w->queue); i++) {
        struct push_client *c = list_item(list_pop_front(&w->queue), struct push_client, queued);
        push_client_work(c);
    }
    if (!list_is_empty(&w->queue)) {
        loop_task_add(w->loop, &w->work);
    }
}

/* ---- reports ---- */

static void on_report_arrives(struct mail *mail, void *owner)
{
    UNUSED(owner);
    push_take_report((struct push_report *)mail);
}

static void post_report(struct push_worker *w, struct span message, struct span identity,
                        bool is_tap)
{
    struct push_report *r = mem_zalloc(sizeof *r + identity.len + message.len);
    r->mail.on_arrive = on_report_arrives;
    r->push = w->push;
    r->is_tap = is_tap;
    r->identity_len = identity.len;
    r->message_len = message.len;
    if (identity.len > 0) {
        memcpy(r->bytes, identity.at, identity.len);
    }
    if (message.len > 0) {
        memcpy(r->bytes + identity.len, message.at, message.len);
    }
    mailbox_post_take(push_mailbox(w->push), &r->mail);
}

static void on_metrics(void *arg, struct span message, struct span identity)
{
    post_report(arg, message, identity, false);
}

static void on_log(void *arg, struct span message, struct span identity)
{
    post_report(arg, message, identity, true);
}

/* ---- life ---- */

struct starting {
    struct push_worker *worker;
    unsigned index;
};

static int listen_on(struct push_worker *w, const char *name, const struct addr *addr,
                     struct tls_ctx *tls, struct err *err)
{
    const struct listener_spec where = {.addr = *addr, .reuse_port = true};
    int code = host_listen(w->host, name, &where, tls, err);
    if (code == 0) {
        static const struct telemetry_events ev = {.on_metrics = on_metrics, .on_log = on_log};
        xds_server_attach(w->xds, host_server(w->host, name));
        telemetry_attach(host_server(w->host, name), &ev, w);
    }
    return code;
}

static int open_servers(struct push_worker *w, const struct push_spec *spec, struct err *err)
{
    int code = 0;
    if (spec->tls_addr.kind != ADDR_NONE) {
        struct tls_ctx *ctx = NULL;
        code = spec->events.make_tls(spec->arg, &ctx, err);
        code = code ? code : listen_on(w, "xds-tls", &spec->tls_addr, ctx, err);
        tls_ctx_put(ctx);
    }
    if (code == 0 && spec->plain_addr.kind != ADDR_NONE) {
        code = listen_on(w, "xds-plain", &spec->plain_addr, NULL, err);
    }
    if (code == 0 && spec->events.on_host) {
        code = spec->events.on_host(spec->arg, w->host, &w->attached, err);
    }
    return code;
}

static void dispose(struct push_worker *w)
{
    xds_server_free(w->xds); /* without on_close */
    LIST_EACH(node, next, &w->clients) {
        push_client_free(list_item(node, struct push_client, node));
    }
    if (w->attached && w->spec->events.on_host_end) {
        w->spec->events.on_host_end(w->spec->arg, w->attached);
    }
    host_free(w->host);
    loop_task_cancel(&w->work);
    push_cache_dispose(&w->cache);
    arena_dispose(&w->scratch);
    forget_taps(w);
    world_unref(w->world);
}

static int on_start(struct worker *thread, void *arg, struct err *err)
{
    struct starting *s = arg;
    struct push_worker *w = s->worker;
    w->worker = thread;
    w->loop = worker_loop(thread);
    w->host = host_new(w->loop);
    w->xds = xds_server_new(w->loop, &push_client_events, w);
    w->world = world_ref(w->spec->world);
    w->next_stream = ((uint64_t)s->index << PUSH_STREAM_BITS) + 1;
    push_cache_init(&w->cache);
    arena_init(&w->scratch, SCRATCH_BYTES);
    list_init(&w->clients);
    list_init(&w->queue);
    loop_task_init(&w->work, work);
    int code = open_servers(w, w->spec, err);
    if (code != 0) {
        dispose(w);
    }
    return code;
}

static void on_stop(struct worker *thread, void *arg)
{
    UNUSED(thread);
    struct starting *s = arg;
    dispose(s->worker);
    mem_free(s);
}

int push_worker_start(struct push_worker **out, struct push *p, unsigned index,
                      const struct push_spec *spec, struct err *err)
{
    static const struct worker_ops ops = {.on_start = on_start, .on_stop = on_stop};
    struct push_worker *w = mem_new(struct push_worker);
    struct starting *s = mem_new(struct starting);
    *s = (struct starting){.worker = w, .index = index};
    w->push = p;
    w->spec = spec;
    int code = worker_start(&w->worker, index, &ops, s, err);
    if (code != 0) {
        mem_free(s);
        mem_free(w);
        return code;
    }
    *out = w;
    return 0;
}

const struct addr *push_worker_addr(struct push_worker *w, const char *server)
{
    struct http_server *s = host_server(w->host, server);
    return s ? http_server_addr(s) : NULL;
}

void push_worker_stop(struct push_worker *w)
{
    worker_stop(w->worker);
    mem_free(w);
}

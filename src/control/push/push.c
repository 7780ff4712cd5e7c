/* Worlds to proxies: the main thread's side.
 * In: control. Out: push_worker, by mail; news and reports come back by mail. */
#include "control/push/push.h"

#include "base/instant.h"
#include "base/mem.h"
#include "control/push/push_int.h"
#include "control/push/push_metrics.h"
#include "io/listener.h"

/* Of one proxy, together: what no message should be larger than. */
#define HINT_BYTES_MAX 131072

struct push {
    struct push_spec spec; /* addresses resolved; `world` only for the start */
    struct push_worker *workers[PUSH_WORKERS_MAX];
    unsigned count;
    struct proxies proxies;
    struct push_metrics metrics;
    bool is_ending;
};

struct mailbox *push_mailbox(struct push *p)
{
    return p->spec.mailbox;
}

/* ---- news ---- */

static void take_type(struct push *p, struct push_news *n)
{
    struct proxy_entry *e = proxies_find(&p->proxies, n->stream);
    if (!e) {
        return;
    }
    struct proxy_type_state *t = &e->types[n->type];
    int64_t now_us = instant_wall_us();
    push_metrics_count(&p->metrics, n, now_us);
    switch (n->step) {
    case PUSH_SENT:
        t->names = n->names;
        t->sent = n->version;
        t->sent_us = now_us;
        break;
    case PUSH_HAD:
        t->names = n->names;
        t->sent = t->acked = n->version;
        break;
    case PUSH_TAKEN:
        t->acked = t->sent;
        t->acked_us = now_us;
        mem_free(t->refused);
        t->refused = NULL;
        break;
    case PUSH_REFUSED:
        mem_free(t->refused);
        t->refused = n->why;
        n->why = NULL;
        break;
    }
}

/* ---- what workloads use ---- */

static void add_line(void *arg, struct span name)
{
    struct buf *lines = arg;
    if (buf_len(lines) > 0 && buf_append_byte(lines, '\n') != 0) {
        return; /* over the limit: the rest is learned */
    }
    if (buf_append_span(lines, name) != 0) {
        return;
    }
}

static void tell_hints(struct push *p, const struct proxy_entry *e)
{
    struct buf lines;
    if (!e->who.on_demand || p->is_ending) {
        return;
    }
    buf_init(&lines, HINT_BYTES_MAX);
    if (p->spec.destinations) {
        destinations_each(p->spec.destinations, span_of(e->workload), add_line, &lines);
    }
    push_worker_hints(p->workers[e->stream >> PUSH_STREAM_BITS], e->stream, buf_span(&lines));
    buf_dispose(&lines);
}

void push_take_use(struct push_use *u)
{
    struct destinations *d = u->push->spec.destinations;
    struct span workload = span_from(u->bytes, u->workload_len);
    struct span name = span_from(u->bytes + u->workload_len, u->name_len);
    if (d && u->kind == PUSH_USE_BEGINS) {
        destinations_hold(d, workload, name);
    } else if (d) {
        destinations_release(d, workload, name, u->kind == PUSH_USE_GIVEN_UP);
    }
    mem_free(u);
}

static void on_news(struct mail *mail, void *owner)
{
    UNUSED(owner);
    struct push_news *n = (struct push_news *)mail;
    struct push *p = n->push;
    if (n->kind == PUSH_OPENED) {
        tell_hints(p, n->entry);
        proxies_add_take(&p->proxies, n->entry);
    } else if (n->kind == PUSH_CLOSED) {
        proxies_remove(&p->proxies, n->stream);
    } else {
        take_type(p, n);
    }
    mem_free(n->why);
    mem_free(n);
}

void push_post_news_take(struct push *p, struct push_news *news)
{
    news->mail.on_arrive = on_news;
    mailbox_post_take(p->spec.mailbox, &news->mail);
}

void push_take_report(struct push_report *r)
{
    struct push *p = r->push;
    struct span identity = span_from(r->bytes, r->identity_len);
    struct span message = span_from(r->bytes + r->identity_len, r->message_len);
    void (*take)(void *, struct span, struct span) =
        r->is_tap ? p->spec.events.on_tap : p->spec.events.on_report;
    if (take && !p->is_ending) {
        take(p->spec.arg, message, identity);
    }
    mem_free(r);
}

/* ---- towards the workers ---- */

void push_world(struct push *p, struct world *w, const struct world_change *change)
{
    int64_t now_us = instant_wall_us();
    push_metrics_trigger(&p->metrics, change);
    for (unsigned i = 0; i < p->count; i++) {
        push_worker_world(p->workers[i], w, now_us, change);
    }
}

void push_set_tap(struct push *p, const struct span *targets, size_t count)
{
    for (unsigned i = 0; i < p->count; i++) {
        push_worker_tap(p->workers[i], targets, count);
    }
}

const struct proxies *push_proxies(const struct push *p)
{
    return &p->proxies;
}

const struct addr *push_tls_addr(const struct push *p)
{
    return &p->spec.tls_addr;
}

const struct addr *push_plain_addr(const struct push *p)
{
    return &p->spec.plain_addr;
}

/* ---- life ---- */

/* The others share the port that the first one got. */
static void keep_addr(struct push *p, const char *server, struct addr *to)
{
    const struct addr *addr = push_worker_addr(p->workers[0], server);
    if (addr) {
        *to = *addr;
    }
}

static void on_nobody(void *arg, struct io *io)
{
    UNUSED(arg);
    io_close(io); /* came a moment too early */
}

/* Workers share their port (SO_REUSEPORT), and so they would with another process. */
static int check_free(const struct push_spec *spec, const struct addr *addr, struct err *err)
{
    struct listener *alone = NULL;
    if (addr->kind != ADDR_IP || addr->port == 0) {
        return 0;
    }
    int code = listener_open(&alone, spec->loop, &(struct listener_spec){.addr = *addr}, on_nobody,
                             NULL, err);
    listener_close(alone);
    return code;
}

int push_new(struct push **out, const struct push_spec *spec, struct err *err)
{
    int free_code = check_free(spec, &spec->tls_addr, err);
    free_code = free_code ? free_code : check_free(spec, &spec->plain_addr, err);
    if (free_code != 0) {
        return free_code;
    }
    struct push *p = mem_new(struct push);
    p->spec = *spec;
    proxies_init(&p->proxies);
    push_metrics_init(&p->metrics, spec->metrics);
    for (unsigned i = 0; i < spec->workers; i++) {
        int code = push_worker_start(&p->workers[i], p, i, &p->spec, err);
        if (code != 0) {
            push_free(p);
            return code;
        }
        p->count++;
        keep_addr(p, "xds-tls", &p->spec.tls_addr);
        keep_addr(p, "xds-plain", &p->spec.plain_addr);
    }
    p->spec.world = NULL;
    *out = p;
    return 0;
}

void push_free(struct push *p)
{
    if (!p) {
        return;
    }
    p->is_ending = true;
    for (unsigned i = 0; i < p->count; i++) {
        push_worker_stop(p->workers[i]);
    }
    mailbox_deliver(p->spec.mailbox); /* news that is still on its way names us */
    proxies_dispose(&p->proxies);
    mem_free(p);
}

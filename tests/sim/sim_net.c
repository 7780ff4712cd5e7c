/* See sim_net.h. Defines io/dial and io/listener anew, so that their object files are not linked. */
#include "sim/sim_net.h"

#include "base/mem.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "io/listener.h"

#define GOT_MAX (64u << 20)

struct sim_net {
    struct loop *loop;
    struct list listeners;
    struct list origins;
    struct list clients;  /* struct sim_peer */
    const char *redirect; /* what connections to where nobody listens are redirected to */
};

static struct sim_net *the_net; /* dial_start and listener_open are not told which */

struct listener {
    struct list node;
    struct loop *loop;
    struct addr addr;
    listener_on_accept on_accept;
    void *arg;
    bool paused;
};

struct dial {
    struct sim_origin *origin;
    struct loop *loop;
    struct addr to, from;
    struct deadline due;
    int code;
    dial_on_done on_done;
    void *arg;
};

static struct addr address(const char *text)
{
    struct addr a;
    struct err err;
    ASSERT(addr_parse(span_of(text), &a, &err) == 0);
    return a;
}

/* ---- peers ---- */

static struct sim_peer *peer_new(struct sim_net *net, struct io *io, struct list *where)
{
    struct sim_peer *p = mem_new(struct sim_peer);
    p->net = net;
    p->io = io;
    buf_init(&p->got, GOT_MAX);
    list_init(&p->node);
    list_push_back(where, &p->node);
    return p;
}

static void peer_free(struct sim_peer *p)
{
    ASSERT(p->io == NULL);
    list_remove(&p->node);
    buf_dispose(&p->got);
    mem_free(p);
}

void sim_peer_close(struct sim_peer *p)
{
    io_close(p->io);
    p->io = NULL;
}

void sim_peer_abort(struct sim_peer *p)
{
    io_abort(p->io);
    p->io = NULL;
}

void sim_peer_shut(struct sim_peer *p)
{
    int code = io_shut(p->io);
    ASSERT(code == 0);
}

void sim_peer_write(struct sim_peer *p, struct span bytes)
{
    ssize_t n = io_write(p->io, bytes.at, bytes.len);
    ASSERT(n == (ssize_t)bytes.len || n == -ERR_RESET); /* the proxy may have closed it meanwhile */
}

static bool peer_read(struct sim_peer *p)
{
    bool any = false;
    while (p->io != NULL && !p->slow && !p->ended) {
        char *to = buf_reserve(&p->got, 65536);
        ASSERT(to != NULL);
        ssize_t n = io_read(p->io, to, 65536);
        if (n == -EAGAIN) {
            break;
        }
        any = true;
        if (n > 0) {
            buf_commit(&p->got, (size_t)n);
        } else {
            p->ended = true;
            p->code = (int)n;
        }
    }
    return any;
}

/* ---- origins that reply by themselves ---- */

static bool has_field(struct span head, struct span field)
{
    return span_find(head, field) >= 0;
}

/* The length of the HTTP/1 request at the front of `s`, or 0 while it is not complete. */
static size_t request_length(struct span s)
{
    ssize_t end = span_find(s, SPAN("\r\n\r\n"));
    if (end < 0) {
        return 0;
    }
    size_t len = (size_t)end + 4;
    struct span head = span_first(s, len);
    ssize_t length_at = span_find(head, SPAN("\r\ncontent-length: "));
    if (length_at >= 0) {
        uint64_t body = 0;
        struct span value = span_from_offset(head, (size_t)length_at + 18);
        ASSERT(span_to_u64(span_first(value, (size_t)span_find_byte(value, '\r')), &body));
        return s.len >= len + body ? len + body : 0;
    }
    if (has_field(head, SPAN("transfer-encoding: chunked"))) {
        ssize_t last = span_find(span_from_offset(s, len - 2), SPAN("\r\n0\r\n"));
        ssize_t over =
            last < 0 ? -1
                     : span_find(span_from_offset(s, len - 2 + (size_t)last + 3), SPAN("\r\n\r\n"));
        return over < 0 ? 0 : len - 2 + (size_t)last + 3 + (size_t)over + 4;
    }
    return len;
}

static bool origin_reply(struct sim_peer *p)
{
    bool any = false;
    while (p->io != NULL && p->origin->reply != NULL) {
        size_t len = request_length(span_from_offset(buf_span(&p->got), p->answered));
        if (len == 0) {
            break;
        }
        p->answered += len;
        p->origin->requests++;
        sim_peer_write(p, span_of(p->origin->reply));
        any = true;
    }
    return any;
}

bool sim_net_move(struct sim_net *net)
{
    bool any = false;
    LIST_EACH(c, next_client, &net->clients) {
        any = peer_read(list_item(c, struct sim_peer, node)) || any;
    }
    LIST_EACH(o, next_origin, &net->origins) {
        LIST_EACH(s, next_peer, &list_item(o, struct sim_origin, node)->peers) {
            struct sim_peer *p = list_item(s, struct sim_peer, node);
            any = peer_read(p) || any;
            any = origin_reply(p) || any;
        }
    }
    return any;
}

struct sim_peer *sim_net_newest(const struct sim_origin *o)
{
    return list_is_empty(&o->peers) ? NULL : list_item(o->peers.prev, struct sim_peer, node);
}

static struct sim_origin *origin_at(struct sim_net *net, const struct addr *addr)
{
    LIST_EACH(node, next, &net->origins) {
        struct sim_origin *o = list_item(node, struct sim_origin, node);
        if (addr_eq(&o->addr, addr)) {
            return o;
        }
    }
    struct sim_origin *o = mem_new(struct sim_origin);
    o->addr = *addr;
    list_init(&o->peers);
    list_push_back(&net->origins, &o->node);
    return o;
}

struct sim_origin *sim_net_origin(struct sim_net *net, const char *text)
{
    struct addr addr = address(text);
    return origin_at(net, &addr);
}

/* ---- io/dial ---- */

static struct io *join(struct dial *d)
{
    struct sim_origin *o = d->origin;
    struct io *near;
    struct io *far;
    io_mem_pair(d->loop, o->room > 0 ? o->room : SIM_ROOM, &near, &far);
    near->peer = d->to;
    near->local = d->from.kind != ADDR_NONE ? d->from : address("10.0.0.100:40000");
    far->peer = near->local;
    far->local = near->peer;
    struct sim_peer *p = peer_new(the_net, far, &o->peers);
    p->origin = o;
    p->remote = near->local;
    o->accepted++;
    if (o->on_accept != NULL) {
        o->on_accept(p);
    }
    return near;
}

static void on_dial_due(struct deadline *due)
{
    struct dial *d = container_of(due, struct dial, due);
    struct io *io = d->code == 0 ? join(d) : NULL;
    loop_bury(d->loop, mem_free, d);
    d->on_done(d->arg, io, d->code);
}

struct dial *dial_start(struct loop *loop, const struct dial_spec *spec, dial_on_done on_done,
                        void *arg)
{
    struct dial *d = mem_new(struct dial);
    d->loop = loop;
    d->to = spec->to;
    d->from = spec->from;
    d->on_done = on_done;
    d->arg = arg;
    deadline_init(&d->due, on_dial_due);
    int64_t timeout_ms = spec->timeout_ms > 0 ? spec->timeout_ms : 10000;
    struct sim_origin *o = origin_at(the_net, &spec->to);
    if (o->fault == SIM_REFUSE) {
        d->code = -ECONNREFUSED;
    } else if (o->fault == SIM_BLACK_HOLE || o->delay_ms >= timeout_ms) {
        d->code = -ERR_TIMEOUT;
    }
    d->origin = o;
    o->dials++;
    deadline_arm(&d->due, loop, d->code == -ERR_TIMEOUT ? timeout_ms : o->delay_ms);
    return d;
}

void dial_cancel(struct dial *d)
{
    deadline_disarm(&d->due);
    loop_bury(d->loop, mem_free, d);
}

/* ---- io/listener ---- */

static struct listener *listener_at(const struct sim_net *net, const struct addr *addr)
{
    for (struct list *node = net->listeners.next; node != &net->listeners; node = node->next) {
        struct listener *l = list_item(node, struct listener, node);
        if (addr_eq(&l->addr, addr)) {
            return l;
        }
    }
    return NULL;
}

int listener_open(struct listener **out, struct loop *loop, const struct listener_spec *spec,
                  listener_on_accept on_accept, void *arg, struct err *err)
{
    if (listener_at(the_net, &spec->addr) != NULL) {
        return err_set(err, -EADDRINUSE, "the address is in use");
    }
    struct listener *l = mem_new(struct listener);
    l->loop = loop;
    l->addr = spec->addr;
    l->on_accept = on_accept;
    l->arg = arg;
    list_push_back(&the_net->listeners, &l->node);
    *out = l;
    return 0;
}

const struct addr *listener_addr(const struct listener *l)
{
    return &l->addr;
}

void listener_pause(struct listener *l)
{
    l->paused = true;
}

void listener_resume(struct listener *l)
{
    l->paused = false;
}

void listener_close(struct listener *l)
{
    if (l != NULL) {
        list_remove(&l->node);
        loop_bury(l->loop, mem_free, l);
    }
}

void sim_net_redirect(struct sim_net *net, const char *to)
{
    net->redirect = to;
}

bool sim_net_is_listening(const struct sim_net *net, const char *addr)
{
    struct addr at = address(addr);
    return listener_at(net, &at) != NULL;
}

struct sim_peer *sim_net_connect(struct sim_net *net, const char *to, const char *from, size_t room)
{
    struct addr at = address(to);
    struct listener *l = listener_at(net, &at);
    if (l == NULL && net->redirect != NULL) {
        const struct addr catcher = address(net->redirect);
        l = listener_at(net, &catcher);
    }
    if (l == NULL || l->paused) {
        return NULL;
    }
    struct io *near;
    struct io *far;
    io_mem_pair(net->loop, room > 0 ? room : SIM_ROOM, &near, &far);
    near->local = at;
    near->peer = address(from);
    far->peer = near->local;
    far->local = near->peer;
    struct sim_peer *p = peer_new(net, far, &net->clients);
    l->on_accept(l->arg, near);
    return p;
}

/* ---- life ---- */

struct sim_net *sim_net_new(struct loop *loop)
{
    ASSERT(the_net == NULL);
    struct sim_net *net = mem_new(struct sim_net);
    net->loop = loop;
    list_init(&net->listeners);
    list_init(&net->origins);
    list_init(&net->clients);
    the_net = net;
    return net;
}

static void free_peers(struct list *peers)
{
    LIST_EACH(node, next, peers) {
        peer_free(list_item(node, struct sim_peer, node));
    }
}

static void close_peers(struct list *peers)
{
    LIST_EACH(node, next, peers) {
        sim_peer_close(list_item(node, struct sim_peer, node));
    }
}

void sim_net_close(struct sim_net *net)
{
    close_peers(&net->clients);
    LIST_EACH(node, next, &net->origins) {
        close_peers(&list_item(node, struct sim_origin, node)->peers);
    }
}

void sim_net_free(struct sim_net *net)
{
    ASSERT(list_is_empty(&net->listeners));
    free_peers(&net->clients);
    LIST_EACH(node, next, &net->origins) {
        struct sim_origin *o = list_item(node, struct sim_origin, node);
        free_peers(&o->peers);
        list_remove(&o->node);
        mem_free(o);
    }
    mem_free(net);
    the_net = NULL;
}

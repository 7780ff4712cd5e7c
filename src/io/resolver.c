/* Names to addresses: c-ares driven by the loop's descriptors and deadlines, without threads.
 *
 *   lookup: ASKING ---- c-ares answered, or too late ----> ANSWERED ---- told at the turn's end ----> freed
 *              \---- cancelled, or too late: c-ares still holds it ----> ORPHAN ---- c-ares done --/
 *
 * In: a name from upstream/cluster.c.  Out: on_answer.  Next: dial.c. */
#include "io/resolver.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/deadline.h"

enum {
    TIMEOUT_MS = 5000,
    TRY_MS = 1500, /* until the next server, or the same one again, is asked */
    TRIES = 3,
    NAME_BYTES = 256, /* RFC 1035 section 2.3.4: 253 and a dot */
    CONF_BYTES = 16384,
};

struct resolver {
    struct loop *loop; /* borrowed */
    ares_channel_t *channel;
    struct list socks;    /* of struct sock */
    struct list lookups;  /* of struct resolver_lookup, orphans too */
    struct deadline tick; /* when c-ares wants to look at its time-outs */
    int64_t timeout_ms;
};

/* A socket of c-ares. */
struct sock {
    struct list node;
    struct loop_fd fd;
    struct resolver *resolver;
};

struct resolver_lookup {
    struct list node;
    struct resolver *resolver;
    struct loop_task answer_task;
    struct deadline timeout;
    struct resolver_answer answer;
    bool is_with_ares; /* which will call back, come what may */
    bool is_over;      /* cancelled or answered */
    void (*on_answer)(void *arg, const struct resolver_answer *answer);
    void *arg;
};

static void set_tick(struct resolver *r)
{
    struct timeval left;
    if (ares_timeout(r->channel, NULL, &left) == NULL) {
        deadline_disarm(&r->tick);
        return;
    }
    deadline_arm(&r->tick, r->loop, (int64_t)left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
}

static void process(struct resolver *r, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(r->channel, readable, writable);
    set_tick(r);
}

static void on_tick(struct deadline *d)
{
    process(container_of(d, struct resolver, tick), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_sock(struct loop_fd *fd, unsigned events)
{
    struct sock *s = container_of(fd, struct sock, fd);
    process(s->resolver, (events & IO_READ) != 0 ? fd->fd : ARES_SOCKET_BAD,
            (events & IO_WRITE) != 0 ? fd->fd : ARES_SOCKET_BAD);
}

static struct sock *find_sock(struct resolver *r, int fd)
{
    LIST_EACH(node, next, &r->socks) {
        struct sock *s = list_item(node, struct sock, node);
        if (s->fd.fd == fd) {
            return s;
        }
    }
    return NULL;
}

/* c-ares says what it waits for; neither means that it is about to close the socket. */
static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct sock *s = find_sock(r, fd);
    if (!readable && !writable) {
        if (s != NULL) {
            list_remove(&s->node);
            loop_fd_dispose(&s->fd);
            loop_bury(r->loop, mem_free, s);
        }
        return;
    }
    if (s == NULL) {
        s = mem_new(struct sock);
        s->resolver = r;
        loop_fd_init(&s->fd, r->loop, fd, on_sock);
        list_push_back(&r->socks, &s->node);
    }
    loop_fd_watch(&s->fd, (readable ? IO_READ : 0U) | (writable ? IO_WRITE : 0U));
}

static void bury_lookup(struct resolver_lookup *l)
{
    list_remove(&l->node);
    deadline_disarm(&l->timeout);
    loop_task_cancel(&l->answer_task);
    loop_bury(l->resolver->loop, mem_free, l);
}

static void on_answer_task(struct loop_task *task)
{
    struct resolver_lookup *l = container_of(task, struct resolver_lookup, answer_task);
    l->is_over = true;
    if (!l->is_with_ares) {
        bury_lookup(l);
    }
    l->on_answer(l->arg, &l->answer); /* the memory lives until the turn's end */
}

static void answer_later(struct resolver_lookup *l, int code)
{
    l->answer.code = code;
    deadline_disarm(&l->timeout);
    loop_task_add(l->resolver->loop, &l->answer_task);
}

static void on_timeout(struct deadline *d)
{
    struct resolver_lookup *l = container_of(d, struct resolver_lookup, timeout);
    answer_later(l, -ERR_TIMEOUT);
}

static int code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return -ENOENT;
    case ARES_ETIMEOUT:
        return -ERR_TIMEOUT;
    default:
        return -ERR_UNAVAILABLE;
    }
}

static struct ip ip_of(const struct sockaddr *from)
{
    if (from->sa_family == AF_INET) {
        return ip_from_bytes(&((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    }
    if (from->sa_family == AF_INET6) {
        return ip_from_bytes(&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    }
    return (struct ip){.family = 0};
}

static void copy_addrs(struct resolver_answer *a, const struct ares_addrinfo *from)
{
    a->ttl_s = UINT32_MAX;
    for (const struct ares_addrinfo_node *node = from->nodes; node != NULL; node = node->ai_next) {
        struct ip ip = ip_of(node->ai_addr);
        if (ip.family == 0 || a->count == RESOLVER_ADDRS_MAX) {
            continue;
        }
        a->ips[a->count++] = ip;
        if (node->ai_ttl >= 0 && (uint32_t)node->ai_ttl < a->ttl_s) {
            a->ttl_s = (uint32_t)node->ai_ttl;
        }
    }
    if (a->count == 0) {
        a->code = -ENOENT;
        a->ttl_s = 0;
    }
}

/* May be called by c-ares before ares_getaddrinfo has returned, and when the channel is destroyed. */
static void on_ares(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct resolver_lookup *l = arg;
    UNUSED(timeouts);
    l->is_with_ares = false;
    if (l->is_over) {
        bury_lookup(l);
    } else if (!list_is_linked(&l->answer_task.node)) { /* else it was too late in this very turn */
        int code = code_of(status);
        if (code == 0) {
            copy_addrs(&l->answer, result);
            code = l->answer.code;
        }
        answer_later(l, code);
    }
    ares_freeaddrinfo(result);
}

/* Whether resolv.conf names search domains. Without this c-ares takes the domain of the host's name. */
static bool has_search(const char *path)
{
    char text[CONF_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof(text));
    (void)close(fd); /* only read from */
    struct span rest = n > 0 ? span_from(text, (size_t)n) : SPAN_EMPTY;
    while (rest.at != NULL) {
        struct span line = span_trim(span_cut(&rest, '\n'));
        if (span_starts(line, SPAN("search ")) || span_starts(line, SPAN("search\t")) ||
            span_starts(line, SPAN("domain ")) || span_starts(line, SPAN("domain\t"))) {
            return true;
        }
    }
    return false;
}

static int make_channel(struct resolver *r, const struct resolver_spec *spec)
{
    char lookups[] = "fb"; /* the hosts file, then DNS */
    const char *conf = spec->resolv_conf != NULL ? spec->resolv_conf : "/etc/resolv.conf";
    struct ares_options options = {
        .flags = ARES_FLAG_EDNS | (has_search(conf) ? 0 : ARES_FLAG_NOSEARCH),
        .timeout = TRY_MS,
        .tries = TRIES,
        .lookups = lookups,
        .sock_state_cb = on_sock_state,
        .sock_state_cb_data = r,
        .resolvconf_path = (char *)(uintptr_t)conf,
        .hosts_path = (char *)(uintptr_t)spec->hosts_file, /* c-ares copies it */
        .qcache_max_ttl = 0,                               /* who asks has a schedule of his own */
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_QUERY_CACHE | ARES_OPT_RESOLVCONF;
    if (spec->hosts_file != NULL) {
        mask |= ARES_OPT_HOSTS_FILE;
    }
    int status = ares_init_options(&r->channel, &options, mask);
    if (status == ARES_SUCCESS && spec->servers != NULL) {
        status = ares_set_servers_ports_csv(r->channel, spec->servers);
        if (status != ARES_SUCCESS) {
            ares_destroy(r->channel);
        }
    }
    return status;
}

int resolver_new(struct resolver **out, struct loop *loop, const struct resolver_spec *spec,
                 struct err *err)
{
    struct resolver *r = mem_new(struct resolver);
    r->loop = loop;
    r->timeout_ms = spec->timeout_ms > 0 ? spec->timeout_ms : TIMEOUT_MS;
    list_init(&r->socks);
    list_init(&r->lookups);
    deadline_init(&r->tick, on_tick);
    int status = make_channel(r, spec);
    if (status != ARES_SUCCESS) {
        mem_free(r);
        return err_set(err, -ERR_CONFIG, "can not resolve names with servers '%s': %s",
                       spec->servers != NULL ? spec->servers : "of the system",
                       ares_strerror(status));
    }
    *out = r;
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) {
        return;
    }
    LIST_EACH(node, next, &r->lookups) {
        struct resolver_lookup *l = list_item(node, struct resolver_lookup, node);
        resolver_cancel(l);
    }
    ares_destroy(r->channel); /* calls back for those it holds, and says which sockets it closes */
    ASSERT(list_is_empty(&r->lookups) && list_is_empty(&r->socks));
    deadline_disarm(&r->tick);
    loop_bury(r->loop, mem_free, r);
}

struct resolver_lookup *resolver_start(
    struct resolver *r, struct span name, enum resolver_family family,
    void (*on_answer)(void *arg, const struct resolver_answer *answer), void *arg)
{
    struct resolver_lookup *l = mem_new(struct resolver_lookup);
    l->resolver = r;
    l->on_answer = on_answer;
    l->arg = arg;
    loop_task_init(&l->answer_task, on_answer_task);
    deadline_init(&l->timeout, on_timeout);
    list_push_back(&r->lookups, &l->node);
    char text[NAME_BYTES];
    if (name.len == 0 || name.len >= sizeof(text) || memchr(name.at, '\0', name.len) != NULL) {
        answer_later(l, -ENOENT);
        return l;
    }
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, /* sorting would open sockets; who connects has an opinion */
        .ai_family = family == RESOLVER_V4   ? AF_INET
                     : family == RESOLVER_V6 ? AF_INET6
                                             : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    deadline_arm(&l->timeout, r->loop, r->timeout_ms);
    l->is_with_ares = true;
    ares_getaddrinfo(r->channel, span_to_cstr(name, text, sizeof(text)), NULL, &hints, on_ares, l);
    set_tick(r);
    return l;
}

void resolver_cancel(struct resolver_lookup *lookup)
{
    lookup->is_over = true;
    deadline_disarm(&lookup->timeout);
    loop_task_cancel(&lookup->answer_task);
    if (!lookup->is_with_ares) {
        bury_lookup(lookup);
    }
}

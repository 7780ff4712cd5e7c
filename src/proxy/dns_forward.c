/* Questions passed on to other resolvers: see dns_forward.h. */
#include "proxy/dns_forward.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "io/udp.h"

#define HEAD_BYTES 12
#define PORT 53
#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_BYTES_MAX 65536

struct dns_forward {
    struct loop *loop;
    struct addr servers[DNS_FORWARD_SERVERS_MAX];
    size_t server_count;
    struct list questions;
    size_t count;
};

struct dns_question_out {
    struct dns_forward *owner;
    struct list node;
    char *query; /* owned; with `id` in place of the client's */
    size_t len, question_end;
    char client_id[2];
    bool tcp;
    size_t server; /* in hand */
    struct udp *udp;
    struct dial *dial;
    struct io *io;
    struct buf got;
    struct deadline due;
    void (*on_answer)(void *arg, struct span answer);
    void *arg;
};

/* ---- an end ---- */

static void drop_try(struct dns_question_out *q)
{
    udp_close(q->udp);
    q->udp = NULL;
    if (q->dial != NULL) {
        dial_cancel(q->dial);
        q->dial = NULL;
    }
    io_close(q->io);
    q->io = NULL;
    buf_reset(&q->got);
}

static void free_question(struct dns_question_out *q)
{
    drop_try(q);
    deadline_disarm(&q->due);
    list_remove(&q->node);
    q->owner->count--;
    buf_dispose(&q->got);
    mem_free(q->query);
    mem_free(q);
}

static void finish(struct dns_question_out *q, struct span answer)
{
    void (*on_answer)(void *arg, struct span answer) = q->on_answer;
    void *arg = q->arg;
    struct buf copy;
    buf_init(&copy, DNS_FORWARD_BYTES);
    if (answer.len > sizeof(q->client_id) &&
        (buf_append(&copy, q->client_id, sizeof(q->client_id)) != 0 ||
         buf_append_span(&copy, span_from_offset(answer, sizeof(q->client_id))) != 0)) {
        buf_reset(&copy); /* longer than any message */
    }
    free_question(q);
    on_answer(arg, buf_span(&copy));
    buf_dispose(&copy);
}

void dns_forward_cancel(struct dns_question_out *q)
{
    free_question(q);
}

/* ---- is it the answer? ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* RFC 5452 section 4: id and question must be ours. (Address and port are, since the socket is connected.) */
static bool is_answer(const struct dns_question_out *q, struct span m)
{
    if (m.len < q->question_end || memcmp(m.at, q->query, 2) != 0 ||
        ((uint8_t)m.at[2] & 0x80) == 0) {
        return false;
    }
    for (size_t i = HEAD_BYTES; i < q->question_end; i++) {
        if (lower(m.at[i]) != lower(q->query[i])) {
            return false;
        }
    }
    return true;
}

/* ---- one try ---- */

static void try_next(struct dns_question_out *q);

static void on_packet(void *arg, const struct addr *from, struct span bytes)
{
    struct dns_question_out *q = arg;
    UNUSED(from);
    if (is_answer(q, bytes)) {
        finish(q, bytes);
    }
}

static bool send_udp(struct dns_question_out *q, const struct addr *to)
{
    const struct udp_spec spec = {.remote = *to, .on_packet = on_packet, .arg = q};
    struct err err;
    return udp_open(&q->udp, q->owner->loop, &spec, &err) == 0 &&
           udp_send(q->udp, NULL, span_from(q->query, q->len)) == 0;
}

static void take_tcp(struct dns_question_out *q)
{
    struct span got = buf_span(&q->got);
    if (got.at == NULL || got.len < 2) {
        return;
    }
    size_t len = (size_t)(uint8_t)got.at[0] << 8 | (uint8_t)got.at[1];
    if (got.len < len + 2) {
        return;
    }
    struct span answer = span_first(span_from_offset(got, 2), len);
    if (is_answer(q, answer)) {
        finish(q, answer);
    } else {
        try_next(q);
    }
}

static void on_tcp_event(void *arg, unsigned events)
{
    struct dns_question_out *q = arg;
    UNUSED(events);
    char *to = loop_read_buffer(q->owner->loop, 0);
    ssize_t n = io_read(q->io, to, LOOP_READ_BYTES);
    if (n == -EAGAIN) {
        return;
    }
    if (n <= 0 || buf_append(&q->got, to, (size_t)n) != 0) {
        try_next(q);
        return;
    }
    take_tcp(q);
}

static void on_dialled(void *arg, struct io *io, int code)
{
    struct dns_question_out *q = arg;
    UNUSED(code);
    q->dial = NULL;
    q->io = io;
    if (io == NULL) {
        try_next(q);
        return;
    }
    io_set_owner(io, on_tcp_event, q);
    char head[2] = {(char)(q->len >> 8), (char)q->len};
    struct iovec parts[2] = {{head, sizeof(head)}, {q->query, q->len}};
    if (io_writev(io, parts, 2) != (ssize_t)(q->len + sizeof(head))) { /* a new socket has room */
        try_next(q);
        return;
    }
    io_watch(io, IO_READ);
}

static bool begin_try(struct dns_question_out *q)
{
    const struct addr *to = &q->owner->servers[q->server];
    deadline_arm(&q->due, q->owner->loop, DNS_FORWARD_TRY_MS);
    if (!q->tcp) {
        return send_udp(q, to);
    }
    const struct dial_spec spec = {.to = *to, .timeout_ms = DNS_FORWARD_TRY_MS};
    q->dial = dial_start(q->owner->loop, &spec, on_dialled, q);
    return true;
}

static void try_next(struct dns_question_out *q)
{
    do {
        drop_try(q);
        if (++q->server >= q->owner->server_count) {
            finish(q, SPAN_EMPTY);
            return;
        }
    } while (!begin_try(q));
}

static void on_due(struct deadline *d)
{
    try_next(container_of(d, struct dns_question_out, due));
}

struct dns_question_out *dns_forward_ask(struct dns_forward *f, struct span query,
                                         size_t question_end, bool tcp,
                                         void (*on_answer)(void *arg, struct span answer),
                                         void *arg)
{
    ASSERT(question_end >= HEAD_BYTES && question_end <= query.len);
    if (f->server_count == 0 || f->count >= DNS_FORWARD_MAX) {
        return NULL;
    }
    struct dns_question_out *q = mem_new(struct dns_question_out);
    q->owner = f;
    q->query = mem_dup(query.at, query.len);
    q->len = query.len;
    q->question_end = question_end;
    memcpy(q->client_id, query.at, sizeof(q->client_id));
    rng_fill_secret(q->query, 2);
    q->tcp = tcp;
    q->on_answer = on_answer;
    q->arg = arg;
    buf_init(&q->got, DNS_FORWARD_BYTES + 2 + LOOP_READ_BYTES);
    deadline_init(&q->due, on_due);
    list_push_back(&f->questions, &q->node);
    f->count++;
    if (!begin_try(q)) {
        deadline_arm(&q->due, f->loop, 0); /* the answer never comes in this call */
    }
    return q;
}

/* ---- servers ---- */

static bool add_server(struct dns_forward *f, const struct addr *a, const struct addr *self)
{
    if (addr_eq(a, self)) {
        return true;
    }
    if (f->server_count == DNS_FORWARD_SERVERS_MAX) {
        return false;
    }
    f->servers[f->server_count++] = *a;
    return true;
}

/* "10.0.0.10" or with a port. */
static int read_server(struct span text, struct addr *out)
{
    *out = (struct addr){.kind = ADDR_IP, .port = PORT};
    if (ip_parse(text, &out->ip) == 0) {
        return 0;
    }
    int code = addr_parse(text, out, NULL);
    return code == 0 && out->kind == ADDR_IP ? 0 : -ERR_CONFIG;
}

static int read_list(struct dns_forward *f, const struct dns_forward_spec *spec, struct err *err)
{
    struct span rest = span_of(spec->servers);
    while (rest.at != NULL && rest.len > 0) {
        struct span one = span_trim(span_cut(&rest, ','));
        struct addr a;
        if (read_server(one, &a) != 0) {
            return err_set(err, -ERR_CONFIG,
                           "'%.*s' is no address of a DNS server; use IP or IP:PORT",
                           SPAN_ARG(one));
        }
        if (!add_server(f, &a, &spec->self)) {
            return err_set(err, -ERR_CONFIG, "more than %d DNS servers", DNS_FORWARD_SERVERS_MAX);
        }
    }
    return 0;
}

/* resolv.conf(5): "nameserver ADDRESS" lines; others do not matter to who passes questions on. */
static void read_line(struct dns_forward *f, struct span line, const struct addr *self)
{
    const struct span word = SPAN("nameserver");
    struct addr a;
    char after = line.len > word.len ? line.at[word.len] : 'x';
    if (!span_starts(line, word) || (after != ' ' && after != '\t')) {
        return;
    }
    struct span value = span_trim(span_from_offset(line, word.len));
    if (read_server(value, &a) == 0) {
        (void)add_server(f, &a, self); /* as libc, the first few count */
    }
}

static void read_resolv_conf(struct dns_forward *f, const struct dns_forward_spec *spec)
{
    int fd = open(spec->resolv_conf != NULL ? spec->resolv_conf : RESOLV_CONF,
                  O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return;
    }
    char *text = mem_alloc(RESOLV_CONF_BYTES_MAX);
    ssize_t n = read(fd, text, RESOLV_CONF_BYTES_MAX);
    (void)close(fd); /* only read from */
    struct span rest = n > 0 ? span_from(text, (size_t)n) : SPAN_EMPTY;
    while (rest.len > 0) {
        read_line(f, span_cut(&rest, '\n'), &spec->self);
    }
    mem_free(text);
}

/* ---- life ---- */

int dns_forward_new(struct dns_forward **out, struct loop *loop,
                    const struct dns_forward_spec *spec, struct err *err)
{
    struct dns_forward *f = mem_new(struct dns_forward);
    f->loop = loop;
    list_init(&f->questions);
    int code = 0;
    if (spec->servers != NULL && spec->servers[0] != '\0') {
        code = read_list(f, spec, err);
    } else {
        read_resolv_conf(f, spec);
    }
    if (code != 0) {
        mem_free(f);
        return code;
    }
    *out = f;
    return 0;
}

size_t dns_forward_server_count(const struct dns_forward *f)
{
    return f->server_count;
}

void dns_forward_free(struct dns_forward *f)
{
    if (f == NULL) {
        return;
    }
    LIST_EACH(node, next, &f->questions) {
        free_question(list_item(node, struct dns_question_out, node));
    }
    mem_free(f);
}

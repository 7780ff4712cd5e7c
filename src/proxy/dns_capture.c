/* The proxy's DNS server: see dns_capture.h. */
#include "proxy/dns_capture.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "codec/dns_msg.h"
#include "io/deadline.h"
#include "io/listener.h"
#include "io/udp.h"
#include "proxy/dns_forward.h"

#define HEAD_BYTES 12
#define CLASS_INTERNET 1
#define TYPE_AND_CLASS_BYTES 4

enum how { BY_MESH, FORWARDED, FAILED, REFUSED, HOW_COUNT }; /* label "answer" */

struct dns_capture {
    struct loop *loop;
    struct dns_capture_spec spec;
    struct udp *udp, *udp6; /* udp6 and listener6: on ::1, or NULL */
    struct listener *listener, *listener6;
    struct dns_forward *forward;
    struct list queries, conns;
    size_t query_count, conn_count;
    uint32_t turn; /* who of several addresses is first */
    struct metric_series *counts[HOW_COUNT];
};

struct conn { /* a TCP client; one question at a time (RFC 7766: answers in order are fine) */
    struct dns_capture *owner;
    struct list node;
    struct io *io;
    struct buf in, out;
    struct query *query; /* in hand */
    bool is_running;
    struct deadline idle;
};

struct query {
    struct dns_capture *owner;
    struct list node;
    struct arena arena;
    struct span bytes; /* the message as it came */
    size_t question_end;
    struct dns_msg msg;
    struct addr from;  /* UDP */
    struct conn *conn; /* TCP, or NULL */
    struct span meanings[DNS_NAMES_MEANINGS_MAX];
    size_t meaning_count, at;
    struct discovery_wait wait;
    bool is_waiting;
    struct dns_question_out *out;
};

static void conn_run(struct conn *c);
static void conn_close(struct conn *c);

/* ---- ends of a query ---- */

static void query_free(struct query *q)
{
    if (q->is_waiting) {
        list_remove(&q->wait.node);
    }
    if (q->out != NULL) {
        dns_forward_cancel(q->out);
    }
    if (q->conn != NULL) {
        q->conn->query = NULL;
    }
    list_remove(&q->node);
    q->owner->query_count--;
    arena_dispose(&q->arena);
    mem_free(q);
}

static void send_udp(struct dns_capture *d, const struct addr *to, struct span bytes)
{
    bool is_six = d->udp6 != NULL && to->ip.family == 6;
    (void)udp_send(is_six ? d->udp6 : d->udp, to, bytes); /* what is lost is asked again */
}

static void send_tcp(struct conn *c, struct span answer)
{
    char head[2] = {(char)(answer.len >> 8), (char)answer.len};
    if (buf_append(&c->out, head, sizeof(head)) != 0 || buf_append_span(&c->out, answer) != 0) {
        conn_close(c);
        return;
    }
    deadline_arm(&c->idle, c->owner->loop, DNS_CAPTURE_IDLE_MS);
    conn_run(c);
}

/* Sends the answer and ends the query. */
static void answer(struct query *q, struct span bytes, enum how how)
{
    struct dns_capture *d = q->owner;
    struct conn *c = q->conn;
    metric_add(d->counts[how], 1);
    if (c == NULL) {
        send_udp(d, &q->from, bytes);
        query_free(q);
        return;
    }
    c->query = NULL;
    q->conn = NULL;
    send_tcp(c, bytes); /* which copies it, before the next question */
    query_free(q);
}

static size_t room_of(const struct query *q)
{
    if (q->conn != NULL) {
        return DNS_MESSAGE_BYTES;
    }
    size_t want = q->msg.udp_bytes > 0 ? q->msg.udp_bytes : DNS_UDP_BYTES;
    return size_min(want, DNS_CAPTURE_UDP_BYTES);
}

/* An answer of ours begins: head, and the question with the letters as they were written (some clients put
 * randomness there). */
static char *begin_answer(struct query *q, struct dns_msg_writer *w, enum dns_rcode rcode)
{
    size_t room = size_max(room_of(q), q->question_end + 16);
    char *to = arena_bytes(&q->arena, room);
    const struct dns_head head = {
        .id = q->msg.head.id,
        .opcode = q->msg.head.opcode,
        .rcode = (uint8_t)rcode,
        .is_response = true,
        .is_authoritative = rcode == DNS_NO_ERROR,
        .wants_recursion = q->msg.head.wants_recursion,
        .offers_recursion = true,
    };
    if (dns_msg_start(w, to, room, &head, &q->msg.question) != 0) {
        return NULL;
    }
    memcpy(to + HEAD_BYTES, q->bytes.at + HEAD_BYTES, q->question_end - HEAD_BYTES);
    return to;
}

static void answer_code(struct query *q, enum dns_rcode rcode, enum how how)
{
    struct dns_msg_writer w;
    char *to = begin_answer(q, &w, rcode);
    if (to == NULL) {
        query_free(q);
        return;
    }
    size_t len = dns_msg_finish(&w, q->msg.udp_bytes > 0 ? DNS_CAPTURE_UDP_BYTES : 0);
    answer(q, span_from(to, len), how);
}

/* ---- answers of the mesh ---- */

static void answer_known(struct query *q, const struct dns_name *known)
{
    struct dns_msg_writer w;
    char *to = begin_answer(q, &w, DNS_NO_ERROR);
    uint8_t family = q->msg.question.type == DNS_AAAA ? 6 : 4;
    uint32_t first = q->owner->turn++;
    int code = to != NULL ? 0 : -ERR_LIMIT;
    for (size_t i = 0; i < known->count && code == 0; i++) {
        const struct ip *ip = &known->ips[(first + i) % known->count];
        const struct dns_record r = {
            .section = DNS_ANSWER,
            .name = q->msg.question.name,
            .type = q->msg.question.type,
            .class = CLASS_INTERNET,
            .ttl_s = DNS_CAPTURE_TTL_S,
            .ip = *ip,
        };
        code = ip->family == family ? dns_msg_add(&w, &r) : 0;
    }
    if (code != 0) {
        answer_code(q, DNS_SERVER_FAILURE, FAILED);
        return;
    }
    size_t len = dns_msg_finish(&w, q->msg.udp_bytes > 0 ? DNS_CAPTURE_UDP_BYTES : 0);
    answer(q, span_from(to, len), BY_MESH);
}

/* ---- passed on ---- */

static void on_forwarded(void *arg, struct span bytes)
{
    struct query *q = arg;
    q->out = NULL;
    if (bytes.len == 0) {
        answer_code(q, DNS_SERVER_FAILURE, FAILED);
    } else {
        answer(q, bytes, FORWARDED);
    }
}

static void pass_on(struct query *q)
{
    q->out = dns_forward_ask(q->owner->forward, q->bytes, q->question_end, q->conn != NULL,
                             on_forwarded, q);
    if (q->out == NULL) {
        bool nobody = dns_forward_server_count(q->owner->forward) == 0;
        answer_code(q, nobody ? DNS_NAME_ERROR : DNS_SERVER_FAILURE, nobody ? FORWARDED : REFUSED);
    }
}

/* ---- what does it mean? ---- */

static void try_meanings(struct query *q)
{
    struct dns_capture *d = q->owner;
    if (q->at < q->meaning_count) {
        struct span name = q->meanings[q->at];
        const struct dns_name *known = dns_names_get(d->spec.names, name);
        if (known != NULL) {
            discovery_touch(d->spec.discovery, DISCOVERY_NAME_TABLE, name);
            answer_known(q, known);
            return;
        }
        q->at++;
        q->is_waiting = true; /* until the answer, which may come in this call and end the query */
        discovery_ask(d->spec.discovery, DISCOVERY_NAME_TABLE, name, &q->wait);
        return;
    }
    pass_on(q);
}

static void on_discovered(struct discovery_wait *w, struct span name, enum ask_answer how)
{
    struct query *q = container_of(w, struct query, wait);
    UNUSED(name);
    q->is_waiting = false;
    if (how == ASK_FOUND) {
        q->at--; /* the one that was asked for */
    }
    try_meanings(q);
}

/* ---- a message has come ---- */

/* Where the question part ends; 0 when it is not plain labels. */
static size_t question_end(struct span m)
{
    size_t at = HEAD_BYTES;
    while (at < m.len && m.at[at] != 0) {
        uint8_t len = (uint8_t)m.at[at];
        if (len > 63) {
            return 0;
        }
        at += 1 + (size_t)len;
    }
    at += 1 + TYPE_AND_CLASS_BYTES;
    return at <= m.len ? at : 0;
}

/* Only a head can be sent back. */
static void refuse_broken(struct dns_capture *d, struct span m, const struct addr *from)
{
    char head[HEAD_BYTES] = {0};
    metric_add(d->counts[REFUSED], 1);
    if (m.len < HEAD_BYTES || from == NULL || ((uint8_t)m.at[2] & 0x80) != 0) {
        return; /* an answer is never answered */
    }
    memcpy(head, m.at, 2);
    head[2] = (char)0x80;
    head[3] = DNS_FORMAT_ERROR;
    send_udp(d, from, span_from(head, sizeof(head)));
}

static bool is_for_mesh(const struct dns_msg *m)
{
    return m->question.class == CLASS_INTERNET &&
           (m->question.type == DNS_A || m->question.type == DNS_AAAA);
}

static void decide(struct query *q)
{
    if (q->msg.head.opcode != 0) {
        answer_code(q, DNS_NOT_IMPLEMENTED, REFUSED);
    } else if (is_for_mesh(&q->msg)) {
        q->meaning_count =
            dns_names_meanings(q->owner->spec.names, q->msg.question.name, &q->arena, q->meanings);
        try_meanings(q);
    } else {
        pass_on(q);
    }
}

/* False: it was no question, or there are too many. */
static bool take_message(struct dns_capture *d, struct span m, const struct addr *from,
                         struct conn *c)
{
    if (d->query_count >= DNS_CAPTURE_QUERIES_MAX) {
        metric_add(d->counts[REFUSED], 1);
        return false;
    }
    struct query *q = mem_new(struct query);
    arena_init(&q->arena, 1024);
    q->owner = d;
    q->bytes = arena_dup(&q->arena, m);
    q->question_end = question_end(q->bytes);
    q->wait.on_answer = on_discovered;
    list_init(&q->wait.node);
    list_push_back(&d->queries, &q->node);
    d->query_count++;
    if (q->question_end == 0 || dns_msg_parse(&q->msg, q->bytes, &q->arena) != 0 ||
        q->msg.head.is_response) {
        query_free(q);
        refuse_broken(d, m, from);
        return false;
    }
    if (from != NULL) {
        q->from = *from;
    }
    q->conn = c;
    if (c != NULL) {
        c->query = q;
    }
    decide(q);
    return true;
}

static void on_packet(void *arg, const struct addr *from, struct span bytes)
{
    (void)take_message(arg, bytes, from, NULL); /* clients ask again */
}

/* ---- TCP ---- */

static void conn_free(void *obj)
{
    struct conn *c = obj;
    buf_dispose(&c->in);
    buf_dispose(&c->out);
    mem_free(c);
}

static void conn_close(struct conn *c)
{
    if (c->io == NULL) {
        return;
    }
    if (c->query != NULL) {
        c->query->conn = NULL;
        struct query *q = c->query;
        c->query = NULL;
        query_free(q);
    }
    io_close(c->io);
    c->io = NULL;
    deadline_disarm(&c->idle);
    list_remove(&c->node);
    c->owner->conn_count--;
    loop_bury(c->owner->loop, conn_free, c);
}

static bool flush(struct conn *c)
{
    while (buf_len(&c->out) > 0) {
        struct span left = buf_span(&c->out);
        ssize_t n = io_write(c->io, left.at, left.len);
        if (n == -EAGAIN) {
            break;
        }
        if (n < 0) {
            return false;
        }
        buf_consume(&c->out, (size_t)n);
    }
    return true;
}

/* A whole question that has come, if the last one is answered and sent. */
static bool take_next(struct conn *c)
{
    struct span in = buf_span(&c->in);
    size_t len =
        in.at == NULL || in.len < 2 ? 0 : (size_t)(uint8_t)in.at[0] << 8 | (uint8_t)in.at[1];
    if (c->query != NULL || buf_len(&c->out) > 0 || in.len < 2 || in.len < len + 2) {
        return false;
    }
    bool taken =
        take_message(c->owner, span_first(span_from_offset(in, 2), len), NULL, c); /* copied */
    if (c->io != NULL) {
        buf_consume(&c->in, len + 2);
    }
    if (!taken) {
        conn_close(c);
    }
    return c->io != NULL;
}

/* One question after the other; an answer that comes at once calls this again. */
static void conn_run(struct conn *c)
{
    if (c->is_running) {
        return;
    }
    c->is_running = true;
    bool alive = true;
    do {
        alive = flush(c);
    } while (alive && take_next(c));
    c->is_running = false;
    if (!alive) {
        conn_close(c);
    }
    if (c->io != NULL) {
        bool busy = c->query != NULL;
        io_watch(c->io, (buf_len(&c->out) > 0 ? IO_WRITE : 0u) | (busy ? 0u : IO_READ));
    }
}

static void on_conn_event(void *arg, unsigned events)
{
    struct conn *c = arg;
    if (events & IO_READ) {
        char *to = loop_read_buffer(c->owner->loop, 0);
        ssize_t n = io_read(c->io, to, LOOP_READ_BYTES);
        if (n != -EAGAIN && (n <= 0 || buf_append(&c->in, to, (size_t)n) != 0)) {
            conn_close(c);
            return;
        }
    }
    conn_run(c);
}

static void on_idle(struct deadline *d)
{
    conn_close(container_of(d, struct conn, idle));
}

static void on_accept(void *arg, struct io *io)
{
    struct dns_capture *d = arg;
    if (d->conn_count >= DNS_CAPTURE_CONNS_MAX) {
        io_close(io);
        return;
    }
    struct conn *c = mem_new(struct conn);
    c->owner = d;
    c->io = io;
    buf_init(&c->in, DNS_MESSAGE_BYTES + 2 + LOOP_READ_BYTES);
    buf_init(&c->out, 2 * (DNS_MESSAGE_BYTES + 2));
    deadline_init(&c->idle, on_idle);
    deadline_arm(&c->idle, d->loop, DNS_CAPTURE_IDLE_MS);
    list_push_back(&d->conns, &c->node);
    d->conn_count++;
    io_set_owner(io, on_conn_event, c);
    io_watch(io, IO_READ);
}

/* ---- life ---- */

static void bind_metrics(struct dns_capture *d, struct metric_registry *registry)
{
    static const char *const labels[] = {"answer", NULL};
    static const char *const answers[HOW_COUNT] = {"mesh", "forwarded", "failed", "refused"};
    static const struct metric_family_spec spec = {
        .name = "mesh_dns_queries_total",
        .help = "questions to the proxy's DNS, by who answered",
        .kind = METRIC_COUNTER,
        .labels = labels,
    };
    struct metric_family *f = metric_family_add(registry, &spec);
    struct metric_shard *shard = metric_shard_new(registry);
    for (size_t i = 0; i < HOW_COUNT; i++) {
        const struct span label = span_of(answers[i]);
        d->counts[i] = metric_series_get(shard, f, &label);
    }
}

static int open_pair(struct dns_capture *d, const struct addr *at, struct udp **udp,
                     struct listener **listener, struct err *err)
{
    const struct udp_spec datagrams = {.local = *at, .on_packet = on_packet, .arg = d};
    int code = udp_open(udp, d->loop, &datagrams, err);
    if (code != 0) {
        return code;
    }
    const struct listener_spec tcp = {.addr = *udp_addr(*udp)};
    return listener_open(listener, d->loop, &tcp, on_accept, d, err);
}

static int open_sockets(struct dns_capture *d, struct err *err)
{
    static const struct ip four = {.family = 4, .bytes = {127, 0, 0, 1}};
    static const struct ip six = {.family = 6, .bytes = {[15] = 1}};
    int code = open_pair(d, &d->spec.addr, &d->udp, &d->listener, err);
    if (code != 0 || !ip_eq(&udp_addr(d->udp)->ip, &four)) {
        return code;
    }
    const struct addr twin = {.kind = ADDR_IP, .ip = six, .port = udp_addr(d->udp)->port};
    code = open_pair(d, &twin, &d->udp6, &d->listener6, err);
    return code == -EAFNOSUPPORT || code == -EADDRNOTAVAIL ? 0 : code; /* no IPv6 here */
}

int dns_capture_new(struct dns_capture **out, struct loop *loop,
                    const struct dns_capture_spec *spec, struct err *err)
{
    struct dns_capture *d = mem_new(struct dns_capture);
    d->loop = loop;
    d->spec = *spec;
    list_init(&d->queries);
    list_init(&d->conns);
    bind_metrics(d, spec->registry);
    int code = open_sockets(d, err);
    if (code == 0) {
        const struct dns_forward_spec forward = {
            .servers = spec->upstream, .resolv_conf = spec->resolv_conf, .self = *udp_addr(d->udp)};
        code = dns_forward_new(&d->forward, loop, &forward, err);
    }
    if (code != 0) {
        dns_capture_free(d);
        return code;
    }
    *out = d;
    return 0;
}

void dns_capture_free(struct dns_capture *d)
{
    if (d == NULL) {
        return;
    }
    LIST_EACH(node, next, &d->conns) {
        conn_close(list_item(node, struct conn, node));
    }
    LIST_EACH(left, next_left, &d->queries) {
        query_free(list_item(left, struct query, node));
    }
    dns_forward_free(d->forward);
    listener_close(d->listener);
    listener_close(d->listener6);
    udp_close(d->udp);
    udp_close(d->udp6);
    mem_free(d);
}

const struct addr *dns_capture_addr(const struct dns_capture *d)
{
    return udp_addr(d->udp);
}

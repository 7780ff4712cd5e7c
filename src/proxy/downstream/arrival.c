/* From accept to a session: see arrival.h. */
#include "proxy/downstream/arrival.h"

#include "base/log.h"
#include "base/mem.h"
#include "codec/proxy_protocol.h"
#include "io/sockopt.h"
#include "proxy/downstream/chain.h"
#include "proxy/downstream/entry.h"
#include "proxy/downstream/session_http.h"
#include "proxy/downstream/session_tcp.h"
#include "proxy/downstream/sniff.h"
#include "tls/io_tls.h"

#define PEEK_MS 60000 /* a client that says nothing on an HTTP chain: as http_limits.head_ms */

static void arrival_free(void *obj)
{
    struct arrival *a = obj;
    buf_dispose(&a->got);
    mem_free(a->hello);
    mem_free((void *)(uintptr_t)a->sni.at);
    mem_free((void *)(uintptr_t)a->chain_name.at);
    mem_free(a);
}

static void leave(struct arrival *a)
{
    list_remove(&a->node);
    ask_cancel(&a->ask);
    deadline_disarm(&a->limit);
    loop_bury(a->entry->ds->loop, arrival_free, a);
}

void arrival_close(struct arrival *a)
{
    io_close(a->io);
    a->io = NULL;
    metric_add(a->entry->stats.downstream_cx_destroy, 1);
    shared_leave(a->entry->ds->upstream.shared, a->ticket);
    leave(a);
}

/* ---- the session ---- */

static void become_session(struct arrival *a, enum http_proto proto)
{
    struct session_start start = {
        .entry = a->entry,
        .chain_index = a->chain_index,
        .io = a->io,
        .first_bytes = buf_span(&a->got),
        .original_dst = a->original_dst,
        .redirected = a->redirected,
        .sni = a->sni,
        .ticket = a->ticket,
        .proto = proto,
        .direct_ip = a->direct_ip,
        .direct_port = a->direct_port,
    };
    a->io = NULL;
    if (entry_chain_at(a->entry, a->chain_index)->conf->http != NULL) {
        session_http_start_take(&start);
    } else {
        session_tcp_start_take(&start);
    }
    leave(a);
}

/* More bytes into `got`: > 0, -EAGAIN, or over (0 and other negatives). */
static ssize_t read_more(struct arrival *a)
{
    char *shared = loop_read_buffer(a->entry->ds->loop, 0);
    size_t room = size_min(LOOP_READ_BYTES, SNIFF_BYTES_MAX + LOOP_READ_BYTES - buf_len(&a->got));
    ssize_t n = io_read(a->io, shared, room);
    if (n > 0 && buf_append(&a->got, shared, (size_t)n) != 0) {
        return -ERR_LIMIT;
    }
    return n;
}

static void peek(struct arrival *a, bool over)
{
    const struct sniff_want want = {.http = true};
    enum sniff_kind kind = sniff(buf_span(&a->got), want, NULL);
    if (kind == SNIFF_MORE && !over) {
        return;
    }
    become_session(a, kind == SNIFF_HTTP2 ? HTTP_PROTO_2 : HTTP_PROTO_1);
}

/* TLS is done, or there is none: which HTTP? */
static void choose_proto(struct arrival *a)
{
    const struct conf_http *http = entry_chain_at(a->entry, a->chain_index)->conf->http;
    if (http == NULL || http->codec != CONF_CODEC_AUTO) {
        become_session(a, http && http->codec == CONF_CODEC_HTTP2 ? HTTP_PROTO_2 : HTTP_PROTO_1);
        return;
    }
    struct span alpn = io_is_tls(a->io) ? io_tls_peer(a->io)->alpn : SPAN_EMPTY;
    if (span_is(alpn, "h2") || span_is(alpn, "istio-h2")) {
        become_session(a, HTTP_PROTO_2);
    } else if (span_is(alpn, "http/1.1") || span_is(alpn, "istio-http/1.1")) {
        become_session(a, HTTP_PROTO_1);
    } else {
        a->state = ARRIVAL_PEEKING;
        deadline_arm(&a->limit, a->entry->ds->loop, PEEK_MS);
        io_watch(a->io, IO_READ);
        peek(a, false);
    }
}

/* ---- TLS ---- */

static void on_handshake(void *arg, struct io *io, int code, const char *why)
{
    struct arrival *a = arg;
    struct stats_listener *stats = &a->entry->stats;
    if (code == 0) {
        metric_add(stats->ssl_handshake, 1);
        choose_proto(a);
        return;
    }
    metric_add(code == -ERR_DENIED ? stats->ssl_fail_verify_san : stats->ssl_connection_error, 1);
    char peer[ADDR_TEXT_BYTES];
    log_debug("tls", "handshake refused peer=%s why=\"%s\"", addr_format(&io->peer, peer), why);
    arrival_close(a);
}

static void on_event(void *arg, unsigned events);

static void start_tls(struct arrival *a, struct entry_chain *chain)
{
    if (chain->tls.ctx == NULL) { /* its certificate is not there: fail closed */
        metric_add(a->entry->stats.ssl_connection_error, 1);
        arrival_close(a);
        return;
    }
    a->state = ARRIVAL_HANDSHAKING;
    struct io_tls_spec spec = {
        .lower = a->io,
        .ctx = chain->tls.ctx,
        .first_bytes = buf_span(&a->got),
        .handshake_ms = chain->conf->tls_handshake_ms,
        .on_done = on_handshake,
        .arg = a,
    };
    deadline_disarm(&a->limit);
    a->io = io_tls_start_take(a->entry->ds->loop, &spec);
    io_set_owner(a->io, on_event, a);
    buf_release(&a->got);
}

/* ---- the chain ---- */

static void fill_facts(const struct arrival *a, enum sniff_kind kind, struct chain_facts *f,
                       struct span *found)
{
    *f = (struct chain_facts){
        .destination_ip = a->original_dst.ip,
        .destination_port = a->original_dst.port,
        .source_ip = a->io->peer.ip,
        .source_port = a->io->peer.port,
        .tls = kind == SNIFF_TLS,
    };
    if (kind == SNIFF_TLS) {
        f->server_name = a->hello->sni;
        f->alpn = a->hello->alpn;
        f->alpn_count = a->hello->alpn_count;
    } else if (kind == SNIFF_HTTP1 || kind == SNIFF_HTTP2) {
        *found = kind == SNIFF_HTTP1 ? SPAN("http/1.1") : SPAN("h2c");
        f->alpn = found;
        f->alpn_count = 1;
    }
}

static void choose_chain(struct arrival *a, enum sniff_kind kind)
{
    struct entry *e = a->entry;
    struct chain_facts facts;
    struct span found;
    fill_facts(a, kind, &facts, &found);
    a->chain_index = e->conf != NULL ? chain_find(e->conf, &facts) : CHAIN_NONE;
    struct entry_chain *chain = entry_chain_at(e, a->chain_index);
    if (chain == NULL) {
        metric_add(e->stats.no_filter_chain_match, 1);
        arrival_close(a);
        return;
    }
    if (facts.server_name.len > 0) {
        a->sni = span_from(mem_strndup(facts.server_name.at, facts.server_name.len),
                           facts.server_name.len);
    }
    struct span name = chain->conf->name;
    a->chain_name = name.len > 0 ? span_from(mem_strndup(name.at, name.len), name.len) : SPAN_EMPTY;
    a->tls = chain->conf->tls != NULL;
    mem_free(a->hello);
    a->hello = NULL;
    deadline_disarm(&a->limit);
    io_watch(a->io, 0);
    if (chain->conf->tls != NULL) {
        start_tls(a, chain);
    } else {
        choose_proto(a);
    }
}

/* ---- sniffing ---- */

static bool is_off(const struct conf_ports *ports, size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        if (port >= ports[i].start && port < ports[i].end) {
            return true;
        }
    }
    return false;
}

/* ListenerFilter.filter_disabled: on these ports the server speaks first, and waiting would only delay it. */
static struct sniff_want want_of(const struct arrival *a)
{
    const struct conf_listener *l = a->entry->conf;
    uint16_t port = a->original_dst.port;
    return (struct sniff_want){
        .tls = l->tls_inspector && !is_off(l->tls_inspector_off, l->tls_inspector_off_count, port),
        .http =
            l->http_inspector && !is_off(l->http_inspector_off, l->http_inspector_off_count, port),
    };
}

static void try_sniff(struct arrival *a, bool over)
{
    const struct conf_listener *conf = a->entry->conf;
    if (conf == NULL) {
        arrival_close(a);
        return;
    }
    enum sniff_kind kind = sniff(buf_span(&a->got), want_of(a), a->hello);
    if (kind == SNIFF_MORE && !over) {
        return;
    }
    choose_chain(a, kind == SNIFF_MORE ? SNIFF_OPAQUE : kind);
}

static void told_late(struct arrival *a);
static void try_told(struct arrival *a);

static void on_limit(struct deadline *d)
{
    struct arrival *a = container_of(d, struct arrival, limit);
    metric_add(a->entry->stats.downstream_pre_cx_timeout, 1);
    if (a->state == ARRIVAL_TELLING) {
        told_late(a);
    } else if (a->state == ARRIVAL_SNIFFING && a->entry->conf &&
               a->entry->conf->continue_on_sniff_timeout) {
        try_sniff(a, true);
    } else {
        arrival_close(a);
    }
}

static void on_event(void *arg, unsigned events)
{
    struct arrival *a = arg;
    if ((events & IO_READ) == 0 || a->state == ARRIVAL_HANDSHAKING || a->state == ARRIVAL_ASKING) {
        return;
    }
    ssize_t n = read_more(a);
    if (n == -EAGAIN) {
        return;
    }
    if (n <= 0 && (n < 0 || buf_len(&a->got) == 0)) {
        arrival_close(a);
        return;
    }
    /* A client that has ended its side after some bytes (nc -N) still gets its answer. */
    if (a->state == ARRIVAL_TELLING && n > 0) {
        try_told(a);
    } else if (a->state == ARRIVAL_TELLING) {
        arrival_close(a);
    } else if (a->state == ARRIVAL_SNIFFING) {
        try_sniff(a, n == 0);
    } else {
        peek(a, n == 0);
    }
}

/* ---- the configuration changes ---- */

void arrival_rebind(struct arrival *a, int chain_index)
{
    const struct entry_chain *chain = entry_chain_at(a->entry, chain_index);
    bool same = chain != NULL && (chain->conf->tls != NULL) == a->tls;
    if (arrival_has_chain(a) ? !same : a->entry->conf == NULL) {
        arrival_close(a);
    } else {
        a->chain_index = chain_index;
    }
}

/* ---- start ---- */

static void begin(struct arrival *a)
{
    const struct conf_listener *conf = a->entry->conf;
    struct sniff_want want = want_of(a);
    a->entry->uses++;
    a->state = ARRIVAL_SNIFFING;
    if (!want.tls && !want.http) {
        choose_chain(a, SNIFF_OPAQUE);
        return;
    }
    a->hello = mem_new(struct hello);
    if (conf->sniff_ms > 0 && !deadline_is_armed(&a->limit)) { /* one time for all of it */
        deadline_arm(&a->limit, a->entry->ds->loop, conf->sniff_ms);
    }
    io_watch(a->io, IO_READ);
    if (buf_len(&a->got) > 0) {
        try_sniff(a, false);
    }
}

/* ---- a destination that no listener is for ---- */

static bool is_in_mesh(const struct conf_listener *l, const struct addr *dst)
{
    for (size_t i = 0; i < l->mesh_range_count; i++) {
        if (cidr_contains(&l->mesh_ranges[i], &dst->ip)) {
            return true;
        }
    }
    return false;
}

/* Nobody but the mesh has this address: to let it pass would send it to nowhere, or to the wrong one. */
static void refuse(struct arrival *a)
{
    struct entry *e = a->entry;
    uint32_t dropped;
    if (log_limit_allows(&e->ds->refused, loop_now_ms(e->ds->loop), &dropped)) {
        char to[ADDR_TEXT_BYTES];
        log_warn(
            "discovery",
            "MESH4050 connection closed: the control plane does not answer, and the address is the "
            "mesh's destination=%s more=%u",
            addr_format(&a->original_dst, to), dropped);
    }
    metric_add(e->stats.downstream_cx_unknown_mesh, 1);
    arrival_close(a);
}

/* With use_original_dst another listener may be the one that is meant (Listener.use_original_dst). */
static void enter(struct arrival *a, enum ask_answer answer)
{
    struct entry *e = a->entry;
    if (e->conf == NULL) {
        arrival_close(a);
        return;
    }
    struct entry *meant = entry_find(e->ds, &a->original_dst);
    if (meant == NULL && answer == ASK_AWAY && is_in_mesh(e->conf, &a->original_dst)) {
        refuse(a);
        return;
    }
    if (meant != NULL && meant != e) {
        list_remove(&a->node);
        list_push_back(&meant->arrivals, &a->node);
        a->entry = meant;
    }
    begin(a);
}

static void on_answer(struct ask_wait *w, enum ask_answer answer)
{
    enter(container_of(w, struct arrival, ask), answer);
}

/* A connection that came to the listener itself was not redirected: there is no other destination. */
static bool is_own(const struct conf_listener *l, const struct addr *dst)
{
    return l->addr.kind == ADDR_IP && l->addr.port == dst->port &&
           (ip_is_unspecified(&l->addr.ip) || ip_eq(&l->addr.ip, &dst->ip));
}

static void look_for_other(struct arrival *a)
{
    struct entry *e = a->entry;
    enum ask_answer answer = ASK_FOUND;
    if (e->ds->asks != NULL && e->conf->direction != CONF_INBOUND &&
        entry_find(e->ds, &a->original_dst) == NULL && !is_own(e->conf, &a->original_dst)) {
        char name[ADDR_TEXT_BYTES];
        struct span text = span_of(addr_format(&a->original_dst, name));
        a->state = ARRIVAL_ASKING;
        if (ask_wait(e->ds->asks, CONF_LISTENER, text, &a->ask, &answer)) {
            metric_add(e->stats.downstream_cx_asked, 1);
            return;
        }
    }
    enter(a, answer);
}

static void go_on(struct arrival *a)
{
    if (a->entry->conf->use_original_dst) {
        look_for_other(a);
    } else {
        begin(a);
    }
}

/* ---- the PROXY protocol ---- */

static void refuse_told(struct arrival *a, const char *why)
{
    struct entry *e = a->entry;
    uint32_t dropped;
    metric_add(e->stats.downstream_cx_proxy_proto_error, 1);
    if (log_limit_allows(&e->ds->refused, loop_now_ms(e->ds->loop), &dropped)) {
        char peer[ADDR_TEXT_BYTES];
        log_warn("listener",
                 "MESH4090 connection closed: %s; the listener wants the PROXY protocol "
                 "listener=%.*s peer=%s more=%u",
                 why, SPAN_ARG(e->name), addr_format(&a->io->peer, peer), dropped);
    }
    arrival_close(a);
}

static struct addr addr_of(const struct proxy_protocol_end *end)
{
    return (struct addr){.kind = ADDR_IP, .ip = end->ip, .port = end->port};
}

/* As in Envoy the told destination is the local address: chains and ORIGINAL_DST clusters go by it. */
static void believe(struct arrival *a, const struct proxy_protocol *p)
{
    if (p->has_ends) {
        a->io->peer = addr_of(&p->source);
        struct addr local = addr_of(&p->destination);
        if (!addr_eq(&local, &a->io->local)) {
            a->io->local = local;
            a->original_dst = local;
            a->redirected = true;
        }
    }
}

static void told_late(struct arrival *a)
{
    if (a->entry->conf != NULL && a->entry->conf->proxy_protocol.optional &&
        a->entry->conf->continue_on_sniff_timeout && buf_len(&a->got) == 0) {
        metric_add(a->entry->stats.proxy_proto_not_found_allowed, 1);
        go_on(a); /* a client that waits for the server's word */
        return;
    }
    arrival_close(a);
}

static void try_told(struct arrival *a)
{
    const struct conf_listener *conf = a->entry->conf;
    struct stats_listener *stats = &a->entry->stats;
    struct proxy_protocol told;
    ssize_t used = proxy_protocol_parse(buf_span(&a->got), &told);
    bool v1 = told.version == 1;
    if (used == PROXY_PROTOCOL_MORE) {
        return;
    }
    if (used == PROXY_PROTOCOL_NONE) {
        if (!conf->proxy_protocol.optional) {
            metric_add(stats->proxy_proto_not_found_disallowed, 1);
            refuse_told(a, "no PROXY header came");
            return;
        }
        metric_add(stats->proxy_proto_not_found_allowed, 1);
    } else if (used == PROXY_PROTOCOL_BAD) {
        metric_add(v1 ? stats->proxy_proto_versions_v1_error : stats->proxy_proto_versions_v2_error,
                   1);
        refuse_told(a, "its PROXY header is not valid");
        return;
    } else if (v1 ? conf->proxy_protocol.refuse_v1 : conf->proxy_protocol.refuse_v2) {
        metric_add(v1 ? stats->proxy_proto_versions_v1_disallowed
                      : stats->proxy_proto_versions_v2_disallowed,
                   1);
        refuse_told(a, "this version of the PROXY protocol is not allowed");
        return;
    } else {
        metric_add(v1 ? stats->proxy_proto_versions_v1_found : stats->proxy_proto_versions_v2_found,
                   1);
        buf_consume(&a->got, (size_t)used);
        believe(a, &told);
    }
    io_watch(a->io, 0);
    go_on(a);
}

/* Before all else: nothing of the stream is the client's until its header is read. */
static void start_told(struct arrival *a)
{
    a->state = ARRIVAL_TELLING;
    if (a->entry->conf->sniff_ms > 0) {
        deadline_arm(&a->limit, a->entry->ds->loop, a->entry->conf->sniff_ms);
    }
    io_watch(a->io, IO_READ);
}

/* ---- start ---- */

void arrival_start_take(struct entry *e, struct io *io)
{
    arrival_counted_take(e, io, 0);
}

void arrival_counted_take(struct entry *e, struct io *io, uint64_t ticket)
{
    struct arrival *a = mem_new(struct arrival);
    a->entry = e;
    a->io = io;
    a->ticket = ticket;
    a->original_dst = io->local;
    a->state = ARRIVAL_ASKING;
    buf_init(&a->got, SNIFF_BYTES_MAX + 2 * LOOP_READ_BYTES);
    deadline_init(&a->limit, on_limit);
    ask_wait_init(&a->ask, on_answer);
    list_push_back(&e->arrivals, &a->node);
    io_set_owner(io, on_event, a);
    /* TPROXY keeps the destination as it was; a tunnel's is what was asked for. */
    a->redirected = e->conf->transparent || e->conf->internal;
    int fd = e->conf->use_original_dst || e->conf->original_dst_filter ? io_fd(io) : -1;
    struct addr original;
    if (fd >= 0 && sockopt_original_dst(fd, &original) == 0) {
        a->original_dst = original;
        a->redirected = true;
    }
    a->direct_ip = io->peer.ip;
    a->direct_port = io->peer.port;
    if (e->conf->proxy_protocol.on) {
        start_told(a);
    } else {
        go_on(a);
    }
}

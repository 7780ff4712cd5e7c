/* TLS as a struct io above another.
 * In: io/io_tcp (or another lower stream), events from its readiness.  Out: the owner's on_done, then
 * plain bytes.  Next: http/h1_conn, http/h2_conn, io/relay.
 *
 *   lower --one io_read--> level-1 buffer --bio_recv--> mbedTLS --> the owner's buffer
 *                            | what is left over at the end of a call: `saved`
 *   owner's iovec --> mbedTLS --bio_send--> level-1 buffer --one io_write--> lower
 *                                             | what lower refuses: `out`                           */
#include "tls/io_tls.h"

#include "base/mem.h"
#include "tls/io_tls_int.h"

enum { RECORD_BYTES = 16383 }; /* perf.md section 1.4: one more makes two records */

static struct io_tls *of(const struct io *io)
{
    return container_of((uintptr_t)io, struct io_tls, io);
}

static uint64_t counter(const unsigned char ctr[8])
{
    uint64_t n = 0;
    for (size_t i = 0; i < 8; i++) {
        n = n << 8 | ctr[i];
    }
    return n;
}

static uint64_t records_in(const struct io_tls *t)
{
    return counter(t->ssl.MBEDTLS_PRIVATE(in_ctr));
}

static uint64_t records_out(const struct io_tls *t)
{
    return counter(t->ssl.MBEDTLS_PRIVATE(cur_out_ctr));
}

/* RFC 8446 section 5.5: 2^24.5 full records under one AES-GCM key, which is 2^1.5 times our limit. */
static bool is_over(const struct io_tls *t, uint64_t records)
{
    return records >= t->ctx->record_limit * 2828 / 1000;
}

static void set_read_code(struct io_tls *t, int code)
{
    if (t->read_code > 0) {
        t->read_code = code;
    }
}

/* Decrypts until `to` is full or the ciphertext of this call is used up. */
static size_t decrypt(struct io_tls *t, char *to, size_t room)
{
    size_t done = 0;
    while (done < room) {
        int rc = mbedtls_ssl_read(&t->ssl, (unsigned char *)to + done, room - done);
        if (rc > 0) {
            done += (size_t)rc;
        } else if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            set_read_code(t, 0);
            break;
        } else if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
            if (t->turn.starved) {
                break;
            }
        } else if (rc != 0) { /* 0: empty records */
            set_read_code(t, io_tls_failure(t, rc));
            break;
        }
    }
    return done;
}

static ssize_t tls_read(struct io *io, char *to, size_t room)
{
    struct io_tls *t = of(io);
    if (t->state != TLS_OPEN) {
        return t->state == TLS_HANDSHAKE ? -EAGAIN : -ERR_TLS;
    }
    size_t done = 0;
    if (t->read_code > 0) {
        io_tls_begin_input(t);
        done = decrypt(t, to, room);
        io_tls_end_input(t);
        if (UNLIKELY(is_over(t, records_in(t)))) {
            io_tls_set_why(t, "too many records under one key");
            set_read_code(t, -ERR_LIMIT);
        }
        if (UNLIKELY(t->read_code <= 0)) {
            (void)io_tls_flush(t); /* an alert; the read says what happened */
            io_tls_watch_lower(t);
        }
    }
    if (done > 0) {
        return (ssize_t)done;
    }
    if (t->read_code > 0) {
        return -EAGAIN;
    }
    t->end_told = true;
    return t->read_code;
}

static bool tls_pending(const struct io *io)
{
    const struct io_tls *t = of(io);
    if (t->state != TLS_OPEN) {
        return false;
    }
    if (t->read_code <= 0) {
        return !t->end_told;
    }
    return buf_len(&t->saved) > 0 || mbedtls_ssl_get_bytes_avail(&t->ssl) > 0;
}

/* Where writev stands in the owner's iovec. */
struct iov_place {
    const struct iovec *v;
    int n;
    size_t offset; /* in v[0] */
};

/* Up to `most` bytes as one piece: in place if they lie together, else copied to `stage`. */
static struct span next_piece(struct iov_place *p, size_t most, char *stage)
{
    while (p->n > 0 && p->v->iov_len == p->offset) {
        p->v++;
        p->n--;
        p->offset = 0;
    }
    if (p->n == 0) {
        return SPAN_EMPTY;
    }
    size_t there = p->v->iov_len - p->offset;
    if (there >= most || p->n == 1) {
        return span_from((const char *)p->v->iov_base + p->offset, size_min(there, most));
    }
    size_t len = 0;
    size_t offset = p->offset;
    for (int i = 0; i < p->n && len < most; i++) {
        size_t part = size_min(p->v[i].iov_len - offset, most - len);
        if (part > 0) {
            memcpy(stage + len, (const char *)p->v[i].iov_base + offset, part);
        }
        len += part;
        offset = 0;
    }
    return span_from(stage, len);
}

static void advance(struct iov_place *p, size_t len)
{
    while (len > 0) {
        size_t part = size_min(len, p->v->iov_len - p->offset);
        p->offset += part;
        len -= part;
        if (p->offset == p->v->iov_len) {
            p->v++;
            p->n--;
            p->offset = 0;
        }
    }
}

/* Encrypts as many records as the gather buffer holds; bytes taken. */
static size_t encrypt(struct io_tls *t, const struct iovec *v, int n)
{
    char stage[RECORD_BYTES];
    struct iov_place place = {v, n, 0};
    size_t done = 0;
    int expansion = mbedtls_ssl_get_record_expansion(&t->ssl);
    size_t overhead = expansion > 0 ? (size_t)expansion : 256;
    t->turn.gather = loop_read_buffer(t->io.loop, 1);
    t->turn.gather_len = 0;
    while (IO_TLS_GATHER_BYTES - t->turn.gather_len > overhead) {
        size_t most = size_min(RECORD_BYTES, IO_TLS_GATHER_BYTES - t->turn.gather_len - overhead);
        struct span piece = next_piece(&place, most, stage);
        if (piece.len == 0) {
            break;
        }
        int rc = mbedtls_ssl_write(&t->ssl, (const unsigned char *)piece.at, piece.len);
        if (rc <= 0) {
            t->write_code = io_tls_failure(t, rc);
            break;
        }
        advance(&place, (size_t)rc);
        done += (size_t)rc;
    }
    t->turn.gather = NULL;
    return done;
}

/* One send; the rest waits in `out`. */
static int send_gathered(struct io_tls *t)
{
    size_t len = t->turn.gather_len;
    const char *from = loop_read_buffer(t->io.loop, 1);
    ssize_t n = len > 0 ? io_write(t->io.lower, from, len) : 0;
    if (n == -EAGAIN) {
        n = 0;
    }
    if (n < 0) {
        return (int)n;
    }
    return (size_t)n < len ? buf_append(&t->out, from + n, len - (size_t)n) : 0;
}

static int end_writing(struct io_tls *t)
{
    if (!t->close_sent) {
        t->close_sent = true;
        t->turn.gather = NULL;
        int rc = mbedtls_ssl_close_notify(&t->ssl);
        if (rc != 0) {
            t->write_code = io_tls_failure(t, rc);
            return t->write_code;
        }
    }
    return io_tls_flush(t);
}

static ssize_t tls_writev(struct io *io, const struct iovec *v, int n)
{
    struct io_tls *t = of(io);
    if (t->state != TLS_OPEN) {
        return t->state == TLS_HANDSHAKE ? -EAGAIN : -ERR_TLS;
    }
    if (t->write_code != 0) {
        return t->write_code;
    }
    if (t->close_sent) {
        return -EPIPE;
    }
    int code = io_tls_flush(t);
    if (code == 0 && UNLIKELY(is_over(t, records_out(t)))) {
        (void)end_writing(t); /* a clean end; -ERR_LIMIT is what counts */
        io_tls_set_why(t, "too many records under one key");
        code = -ERR_LIMIT;
    }
    if (code != 0) {
        t->write_code = code == -EAGAIN ? 0 : code;
        return code;
    }
    size_t done = encrypt(t, v, n);
    code = send_gathered(t);
    if (code != 0) {
        t->write_code = code;
    }
    if (UNLIKELY(t->write_code != 0)) {
        return t->write_code;
    }
    if (buf_len(&t->out) > 0) {
        io_tls_watch_lower(t);
    }
    return (ssize_t)done;
}

static int tls_shut(struct io *io)
{
    struct io_tls *t = of(io);
    if (t->state == TLS_HANDSHAKE) {
        return -EAGAIN;
    }
    if (t->lower_shut) {
        return 0;
    }
    int code = t->write_code != -ERR_LIMIT ? t->write_code : 0; /* a worn key still ends cleanly */
    if (code == 0 && t->state == TLS_OPEN) {
        code = end_writing(t);
        io_tls_watch_lower(t);
    }
    if (code == 0) {
        code = io_shut(t->io.lower);
        t->lower_shut = code == 0;
    }
    return code;
}

static void tls_watch(struct io *io, unsigned events)
{
    UNUSED(events); /* already in io->watched */
    io_tls_watch_lower(of(io));
}

static int tls_fd(const struct io *io)
{
    UNUSED(io);
    return -1;
}

static void tls_free(void *obj)
{
    struct io_tls *t = obj;
    mbedtls_ssl_free(&t->ssl);
    buf_dispose(&t->saved);
    buf_dispose(&t->out);
    arena_dispose(&t->arena);
    tls_ctx_put(t->ctx);
    mem_free(t->why);
    mem_free(t);
}

static void tls_close(struct io *io)
{
    struct io_tls *t = of(io);
    io_tls_end_handshake(t);
    io_close(io->lower);
    io->lower = NULL;
    loop_bury(io->loop, tls_free, t);
}

const struct io_ops io_tls_ops = {
    .name = "tls",
    .read = tls_read,
    .writev = tls_writev,
    .shut = tls_shut,
    .watch = tls_watch,
    .pending = tls_pending,
    .fd = tls_fd,
    .close = tls_close,
};

/* What waits in `out` comes first; until it is gone the owner is not told that it can write. */
static void on_lower(void *arg, unsigned events)
{
    struct io_tls *t = arg;
    if (t->state == TLS_HANDSHAKE) {
        io_tls_run_handshake(t);
        return;
    }
    if ((events & IO_WRITE) != 0 && buf_len(&t->out) > 0) {
        int code = io_tls_flush(t);
        if (code == -EAGAIN) {
            events &= ~(unsigned)IO_WRITE;
        } else if (code != 0) {
            t->write_code = code;
            buf_release(&t->out); /* nobody will take it */
        }
        io_tls_watch_lower(t);
    }
    io_tell(&t->io, events);
}

struct io *io_tls_start_take(struct loop *loop, const struct io_tls_spec *spec)
{
    ASSERT(!io_is_tls(spec->lower)); /* both would use the loop's level-1 buffer */
    struct io_tls *t = mem_new(struct io_tls);
    io_init(&t->io, &io_tls_ops, loop);
    t->io.lower = spec->lower;
    t->io.peer = spec->lower->peer;
    t->io.local = spec->lower->local;
    t->ctx = spec->ctx;
    tls_ctx_get(t->ctx);
    t->read_code = 1;
    arena_init(&t->arena, 256);
    buf_init(&t->saved, LOOP_READ_BYTES);
    buf_init(&t->out, IO_TLS_OUT_BYTES_MAX);
    int code = buf_append_span(&t->saved, spec->first_bytes);
    ASSERT(code == 0);

    io_tls_begin_handshake(t, spec);
    io_set_owner(t->io.lower, on_lower, t);
    io_watch(t->io.lower, IO_READ);
    return &t->io;
}

const struct tls_peer *io_tls_peer(const struct io *io)
{
    return &of(io)->peer;
}

bool io_tls_is_worn(const struct io *io)
{
    const struct io_tls *t = of(io);
    return records_in(t) >= t->ctx->record_limit || records_out(t) >= t->ctx->record_limit;
}

const char *io_tls_why(const struct io *io)
{
    const struct io_tls *t = of(io);
    return t->why != NULL ? t->why : "";
}

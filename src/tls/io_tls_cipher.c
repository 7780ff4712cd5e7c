/* Ciphertext between mbedTLS and the lower stream: one large read, fed from memory; what one call does not
 * use up or get rid of waits in the stream. */
#include "tls/io_tls_int.h"

static void fill(struct io_tls *t)
{
    char *room = loop_read_buffer(t->io.loop, 1);
    ssize_t n = io_read(t->io.lower, room, LOOP_READ_BYTES);
    t->turn.was_filled = true;
    if (n > 0) {
        t->turn.in = span_from(room, (size_t)n);
    } else if (n != -EAGAIN) {
        t->lower_code = n == 0 ? -ERR_EOF : (int)n;
    }
}

int io_tls_bio_recv(void *arg, unsigned char *to, size_t len)
{
    struct io_tls *t = arg;
    if (t->turn.in.len == 0 && !t->turn.was_filled && t->lower_code == 0) {
        fill(t);
    }
    if (t->turn.in.len == 0) {
        t->turn.starved = true;
        return t->lower_code != 0 ? IO_TLS_BIO_FAILED : MBEDTLS_ERR_SSL_WANT_READ;
    }
    size_t n = size_min(len, t->turn.in.len);
    memcpy(to, t->turn.in.at, n);
    t->turn.in = span_from_offset(t->turn.in, n);
    return (int)n;
}

/* Takes all: mbedTLS never has to wait, since the caller looks at the room before it writes. */
int io_tls_bio_send(void *arg, const unsigned char *from, size_t len)
{
    struct io_tls *t = arg;
    if (t->turn.gather != NULL && len <= IO_TLS_GATHER_BYTES - t->turn.gather_len) {
        memcpy(t->turn.gather + t->turn.gather_len, from, len);
        t->turn.gather_len += len;
        return (int)len;
    }
    if (buf_append(&t->out, from, len) != 0) {
        t->lower_code = -ERR_LIMIT;
        return IO_TLS_BIO_FAILED;
    }
    return (int)len;
}

void io_tls_begin_input(struct io_tls *t)
{
    t->turn = (struct tls_turn){.in = buf_span(&t->saved)};
}

void io_tls_end_input(struct io_tls *t)
{
    size_t left = t->turn.in.len;
    if (t->turn.was_filled && left > 0) {
        buf_reset(&t->saved);
        int code = buf_append_span(&t->saved, t->turn.in);
        ASSERT(code == 0); /* its limit is the size of the shared buffer */
    } else if (left == 0) {
        buf_release(&t->saved);
    } else {
        buf_consume(&t->saved, buf_len(&t->saved) - left);
    }
    t->turn.in = SPAN_EMPTY;
}

int io_tls_flush(struct io_tls *t)
{
    while (buf_len(&t->out) > 0) {
        struct span rest = buf_span(&t->out);
        ssize_t n = io_write(t->io.lower, rest.at, rest.len);
        if (n < 0) {
            return (int)n;
        }
        buf_consume(&t->out, (size_t)n);
    }
    buf_release(&t->out);
    return 0;
}

void io_tls_watch_lower(struct io_tls *t)
{
    unsigned events = buf_len(&t->out) > 0 ? IO_WRITE : 0;
    if (t->state == TLS_HANDSHAKE) {
        events |= IO_READ;
    } else if (t->state == TLS_OPEN) {
        events |= t->io.watched & IO_WRITE;
        events |= t->read_code > 0 ? t->io.watched & IO_READ : 0;
    } else {
        events = 0;
    }
    if (t->io.lower->watched != events) {
        io_watch(t->io.lower, events);
    }
}

#ifndef IO_IO_H
#define IO_IO_H
/* Byte streams stack: TLS does not know that it sits on a socket, so tests put memory below it.
 *
 *    owner (http conn, relay ...)   sets on_event, says with io_watch what it wants to be told
 *      | read, writev, shut, close
 *    io_tls  ---lower---> io_tcp | io_unix | io_mem
 *
 * All calls are on the loop's thread. Reads go into the thread's shared buffer (loop_read_buffer), so
 * an idle stream holds no memory for it. */
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/list.h"
#include "io/addr.h"
#include "io/loop.h"

struct io;

struct io_ops {
    const char *name;
    /* > 0 bytes, 0 = end of stream, -EAGAIN, or a negative code (-ERR_RESET, -ERR_TLS, ...). */
    ssize_t (*read)(struct io *io, char *to, size_t room);
    /* Bytes taken (may be fewer than given), -EAGAIN, or a negative code. */
    ssize_t (*writev)(struct io *io, const struct iovec *v, int n);
    /* Ends our direction: FIN, or close_notify then FIN. 0, -EAGAIN (call again when writable), or a
     * negative code. */
    int (*shut)(struct io *io);
    /* What the layers below must wait for on the owner's behalf, given what the owner watches. */
    void (*watch)(struct io *io, unsigned events);
    /* Bytes ready that no descriptor will announce (decrypted, or in memory). */
    bool (*pending)(const struct io *io);
    /* The kernel has told of something in this turn that the owner has not been told yet. Only at the bottom;
     * NULL = never. */
    bool (*due)(const struct io *io);
    /* The raw descriptor for splice; -1 above a transformation. */
    int (*fd)(const struct io *io);
    /* Closes `lower` too; memory is given back at the turn's end. No event comes after it. */
    void (*close)(struct io *io);
    /* Makes the close to come a reset. Only at the bottom; NULL above. */
    void (*reset)(struct io *io);
};

typedef void (*io_on_event)(void *arg, unsigned events);

struct io {
    const struct io_ops *ops;
    struct loop *loop;      /* borrowed */
    struct io *lower;       /* owned, or NULL */
    io_on_event on_event;   /* of the owner */
    void *arg;              /* of the owner */
    unsigned watched;       /* what the owner wants to be told */
    bool closed;            /* by io_close; the memory lives until the turn's end */
    struct loop_task ready; /* tells of pending bytes once a turn while there are any */
    struct addr peer;       /* the other end's address; kind ADDR_NONE if unknown */
    struct addr local;
};

/* For those who implement a stream. */
void io_init(struct io *io, const struct io_ops *ops, struct loop *loop);
/* Tells the owner, if it watches any of `events`; tells it again next turn while bytes are pending. An
 * owner may close the stream in that call, so the teller looks at `closed` before it goes on. */
void io_tell(struct io *io, unsigned events);

/* A new owner; watched events are kept. Events are also told on errors: the next read or write says. */
void io_set_owner(struct io *io, io_on_event on_event, void *arg);
/* IO_READ | IO_WRITE, or 0. Reading on is told again while bytes are left (level-triggered). */
void io_watch(struct io *io, unsigned events);

static inline ssize_t io_read(struct io *io, char *to, size_t room)
{
    return io->ops->read(io, to, room);
}

static inline ssize_t io_writev(struct io *io, const struct iovec *v, int n)
{
    return io->ops->writev(io, v, n);
}

ssize_t io_write(struct io *io, const void *from, size_t len);

static inline int io_shut(struct io *io)
{
    return io->ops->shut(io);
}

static inline int io_fd(const struct io *io)
{
    return io->ops->fd(io);
}

/* Has something come for it that will be told later in this turn? Costs no system call. */
bool io_is_due(const struct io *io);
/* NULL is fine. */
void io_close(struct io *io);
/* As io_close, but a TCP stream is reset instead of ended (SO_LINGER 0): the peer must see that what it
 * got is not complete. */
void io_abort(struct io *io);
/* The stream at the bottom of the stack. */
struct io *io_bottom(struct io *io);

/* Ends. They take the descriptor, which must be connected and non-blocking. */
struct io *io_tcp_take(struct loop *loop, int fd);
struct io *io_unix_take(struct loop *loop, int fd);
/* Two ends joined by memory, each direction holding at most `room` bytes. For simulations one can make
 * an end fail: io_mem_break(io, code) makes the next read and write on it answer `code`. */
void io_mem_pair(struct loop *loop, size_t room, struct io **a, struct io **b);
void io_mem_break(struct io *io, int code);
#endif

/* Opaque bytes both ways between two streams.
 *
 *    flow[0]: a -> b     flow[1]: b -> a          each flow by itself:
 *
 *    OPEN ---- `from` ended ----> ENDING ---- all bytes out, `to` shut ----> ENDED
 *      reads, writes at once;       waits for `to` to be writable
 *      blocked while `to` does not take all: then nothing is read
 *
 * Bytes pass through the loop's shared buffer; memory is taken only for what a blocked `to` left over. A
 * flow that moves much goes through a pipe in the kernel instead, until it gets slow.
 * In: two streams from proxy/downstream/session_tcp.c.  Out: relay_done.  Next: report. */
#include "io/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/deadline.h"

enum {
    BULK_READ_BYTES = 16 * 1024, /* smaller reads are not bulk: they end splicing */
    BULK_BYTES = 256 * 1024,     /* moved in bulk reads before a pipe pays */
    PIPE_BYTES = 256 * 1024,     /* one splice at a time */
    PIPE_IDLE_MS = 1000,         /* then the pipe goes back */
};

enum flow_state { FLOW_OPEN, FLOW_ENDING, FLOW_ENDED };

struct flow {
    struct relay *relay;
    struct io *from;
    enum flow_state state;
    bool no_splice; /* refused by the kernel for these two */
    char *waiting;  /* owned; NULL unless blocked: what `to` did not take */
    size_t waiting_at;
    size_t waiting_end;
    int pipe_in; /* -1 unless splicing */
    int pipe_out;
    size_t in_pipe;
    size_t bulk_bytes; /* moved since the last read that was not bulk */
    uint64_t bytes;
};

struct relay {
    struct loop *loop; /* borrowed */
    struct flow flow[2];
    struct deadline tick; /* for idle_ms, and for pipes without use */
    int64_t idle_ms;
    int64_t moved_ns; /* when bytes moved last */
    struct loop_task begin;
    int begin_code; /* of the first write, told when the owner has its relay */
    bool is_done;
    void (*on_done)(void *arg, const struct relay_done *done);
    void *arg;
};

static struct flow *back(struct flow *f)
{
    return f == &f->relay->flow[0] ? &f->relay->flow[1] : &f->relay->flow[0];
}

static struct io *to_of(struct flow *f)
{
    return back(f)->from;
}

static bool is_blocked(const struct flow *f)
{
    return f->waiting != NULL || f->in_pipe > 0;
}

static void watch(struct flow *f)
{
    struct flow *in = back(f);
    unsigned events = f->state == FLOW_OPEN && !is_blocked(f) ? IO_READ : 0;
    if (is_blocked(in) || in->state == FLOW_ENDING) {
        events |= IO_WRITE;
    }
    io_watch(f->from, events);
}

static void watch_both(struct relay *r)
{
    watch(&r->flow[0]);
    watch(&r->flow[1]);
}

static void drop_pipe(struct flow *f)
{
    if (f->pipe_in >= 0) {
        (void)close(f->pipe_in); /* nothing is left to do about a failure */
        (void)close(f->pipe_out);
        f->pipe_in = f->pipe_out = -1;
    }
    f->in_pipe = 0;
    f->bulk_bytes = 0;
}

/* Ends the relay. `failed` is the flow whose `from` is the side that failed, or NULL. A side that did not get
 * all that the other sent is reset: it must not take what it got for the whole. */
static void finish(struct relay *r, int code, const struct flow *failed)
{
    struct relay_done done = {code, failed == &r->flow[1], r->flow[0].bytes, r->flow[1].bytes};
    r->is_done = true;
    deadline_disarm(&r->tick);
    loop_task_cancel(&r->begin);
    for (int i = 0; i < 2; i++) {
        struct flow *f = &r->flow[i];
        bool is_cut = is_blocked(&r->flow[1 - i]) || (failed != NULL && failed != f);
        if (is_cut) {
            io_abort(f->from);
        } else {
            io_close(f->from);
        }
    }
    for (int i = 0; i < 2; i++) {
        drop_pipe(&r->flow[i]);
        mem_free(r->flow[i].waiting);
        r->flow[i].waiting = NULL;
    }
    loop_bury(r->loop, mem_free, r);
    if (r->on_done != NULL) {
        r->on_done(r->arg, &done);
    }
}

static void note_moved(struct flow *f, size_t n)
{
    f->bytes += n;
    f->relay->moved_ns = loop_now_ns(f->relay->loop);
}

/* `from` has ended and all its bytes are out: says so to `to`. */
static void end_flow(struct flow *f)
{
    struct relay *r = f->relay;
    int code = io_shut(to_of(f));
    if (code == -EAGAIN) {
        return; /* FLOW_ENDING waits for `to` */
    }
    if (code < 0) {
        finish(r, code, back(f));
        return;
    }
    f->state = FLOW_ENDED;
    if (back(f)->state == FLOW_ENDED) {
        finish(r, 0, NULL);
    }
}

/* Writes what fits, keeps the rest. */
static void write_or_keep(struct flow *f, const char *bytes, size_t len)
{
    ssize_t n = io_write(to_of(f), bytes, len);
    if (n < 0 && n != -EAGAIN) {
        finish(f->relay, (int)n, back(f));
        return;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    note_moved(f, taken);
    if (taken < len) {
        f->waiting = mem_dup(bytes + taken, len - taken);
        f->waiting_at = 0;
        f->waiting_end = len - taken;
        watch_both(f->relay);
    }
}

static void write_waiting(struct flow *f)
{
    ssize_t n = io_write(to_of(f), f->waiting + f->waiting_at, f->waiting_end - f->waiting_at);
    if (n < 0) {
        if (n != -EAGAIN) {
            finish(f->relay, (int)n, back(f));
        }
        return;
    }
    note_moved(f, (size_t)n);
    f->waiting_at += (size_t)n;
    if (f->waiting_at == f->waiting_end) {
        mem_free(f->waiting);
        f->waiting = NULL;
    }
}

static int code_of(int error)
{
    return error == ECONNRESET || error == EPIPE ? -ERR_RESET : -error;
}

/* A broken connection is an error code here too: SIGPIPE is ignored in the whole process (signals.h). */
static void write_pipe(struct flow *f)
{
    while (f->in_pipe > 0) {
        ssize_t n = splice(f->pipe_out, NULL, io_fd(to_of(f)), NULL, f->in_pipe,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n > 0) {
            f->in_pipe -= (size_t)n;
            note_moved(f, (size_t)n);
        } else if (n == 0 || errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            finish(f->relay, code_of(errno), back(f));
            return;
        }
    }
}

static void on_end(struct flow *f)
{
    f->state = FLOW_ENDING;
    drop_pipe(f);
    end_flow(f);
    if (!f->relay->is_done) {
        watch_both(f->relay);
    }
}

static void read_and_splice(struct flow *f)
{
    ssize_t n = splice(io_fd(f->from), NULL, f->pipe_in, NULL, PIPE_BYTES,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n == 0) {
        on_end(f);
        return;
    }
    if (n < 0) {
        if (errno == EINVAL) {
            f->no_splice = true;
            drop_pipe(f);
        } else if (errno != EAGAIN && errno != EINTR) {
            finish(f->relay, code_of(errno), f);
        }
        return;
    }
    f->in_pipe = (size_t)n;
    write_pipe(f);
    if (f->relay->is_done) {
        return;
    }
    if (f->in_pipe > 0) {
        watch_both(f->relay);
    } else if (n < BULK_READ_BYTES) {
        drop_pipe(f);
    }
}

/* After a read of `n` bytes: a flow of large reads gets a pipe. */
static void note_bulk(struct flow *f, size_t n)
{
    f->bulk_bytes = n < BULK_READ_BYTES ? 0 : f->bulk_bytes + n;
    if (f->bulk_bytes < BULK_BYTES || f->no_splice || is_blocked(f)) {
        return;
    }
    int ends[2];
    f->no_splice = io_fd(f->from) < 0 || io_fd(to_of(f)) < 0;
    if (f->no_splice || pipe2(ends, O_NONBLOCK | O_CLOEXEC) == -1) {
        f->bulk_bytes = 0; /* no descriptors: copying goes on, and asks again later */
        return;
    }
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES); /* refused past the user's share: 64 KiB then */
    f->pipe_out = ends[0];
    f->pipe_in = ends[1];
    if (!deadline_is_armed(&f->relay->tick) || f->relay->idle_ms > PIPE_IDLE_MS) {
        deadline_arm(&f->relay->tick, f->relay->loop, PIPE_IDLE_MS);
    }
}

/* One read, written at once. The loop tells again while there is more. */
static void read_and_write(struct flow *f)
{
    struct relay *r = f->relay;
    if (f->pipe_in >= 0) {
        read_and_splice(f);
        return;
    }
    char *buffer = loop_read_buffer(r->loop, 0);
    ssize_t n = io_read(f->from, buffer, LOOP_READ_BYTES);
    if (n > 0) {
        write_or_keep(f, buffer, (size_t)n);
        if (!r->is_done) {
            note_bulk(f, (size_t)n);
        }
    } else if (n == 0) {
        on_end(f);
    } else if (n != -EAGAIN) {
        finish(r, (int)n, f);
    }
}

/* `to` takes bytes again. */
static void go_on(struct flow *f)
{
    struct relay *r = f->relay;
    if (f->waiting != NULL) {
        write_waiting(f);
    } else if (f->in_pipe > 0) {
        write_pipe(f);
    }
    if (r->is_done || is_blocked(f)) {
        return;
    }
    if (f->state == FLOW_ENDING) {
        end_flow(f);
    }
    if (!r->is_done) {
        watch_both(r);
    }
}

static void on_event(void *arg, unsigned events)
{
    struct flow *f = arg;
    struct flow *in = back(f);
    if ((events & IO_WRITE) != 0 && (is_blocked(in) || in->state == FLOW_ENDING)) {
        go_on(in);
    }
    if ((events & IO_READ) != 0 && !f->relay->is_done && f->state == FLOW_OPEN && !is_blocked(f)) {
        read_and_write(f);
    }
}

static void on_tick(struct deadline *d)
{
    struct relay *r = container_of(d, struct relay, tick);
    int64_t still_ms = (loop_now_ns(r->loop) - r->moved_ns) / 1000000;
    if (r->idle_ms > 0 && still_ms >= r->idle_ms) {
        finish(r, -ERR_TIMEOUT, NULL);
        return;
    }
    bool has_pipe = false;
    for (int i = 0; i < 2; i++) {
        struct flow *f = &r->flow[i];
        if (f->pipe_in >= 0 && f->in_pipe == 0 && still_ms >= PIPE_IDLE_MS) {
            drop_pipe(f);
        }
        has_pipe = has_pipe || f->pipe_in >= 0;
    }
    int64_t next_ms = r->idle_ms > 0 ? r->idle_ms - still_ms : 0;
    if (has_pipe) {
        next_ms = next_ms > 0 ? i64_min(next_ms, PIPE_IDLE_MS) : PIPE_IDLE_MS;
    }
    if (next_ms > 0) {
        deadline_arm(&r->tick, r->loop, next_ms);
    }
}

static void on_begin(struct loop_task *task)
{
    struct relay *r = container_of(task, struct relay, begin);
    finish(r, r->begin_code, &r->flow[1]);
}

/* The first bytes go straight from the caller's memory; 0 or what failed. */
static int write_first(struct flow *f, struct span first)
{
    ssize_t n = first.len == 0 ? 0 : io_write(to_of(f), first.at, first.len);
    if (n < 0 && n != -EAGAIN) {
        return (int)n;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    f->bytes = taken;
    if (taken < first.len) {
        f->waiting = mem_dup(first.at + taken, first.len - taken);
        f->waiting_end = first.len - taken;
    }
    return 0;
}

struct relay *relay_start_take(struct loop *loop, const struct relay_spec *spec)
{
    struct relay *r = mem_new(struct relay);
    r->loop = loop;
    r->idle_ms = spec->idle_ms;
    r->moved_ns = loop_now_ns(loop);
    r->on_done = spec->on_done;
    r->arg = spec->arg;
    deadline_init(&r->tick, on_tick);
    loop_task_init(&r->begin, on_begin);
    for (int i = 0; i < 2; i++) {
        struct flow *f = &r->flow[i];
        f->relay = r;
        f->from = i == 0 ? spec->a : spec->b;
        f->pipe_in = f->pipe_out = -1;
        io_set_owner(f->from, on_event, f);
    }
    r->begin_code = write_first(&r->flow[0], spec->from_a);
    if (r->begin_code != 0) {
        io_watch(spec->a, 0);
        io_watch(spec->b, 0);
        loop_task_add(loop, &r->begin);
        return r;
    }
    watch_both(r);
    if (r->idle_ms > 0) {
        deadline_arm(&r->tick, loop, r->idle_ms);
    }
    return r;
}

void relay_count(const struct relay *r, uint64_t *bytes_a_to_b, uint64_t *bytes_b_to_a)
{
    *bytes_a_to_b = r->flow[0].bytes;
    *bytes_b_to_a = r->flow[1].bytes;
}

void relay_close(struct relay *r)
{
    finish(r, -ECANCELED, NULL);
}

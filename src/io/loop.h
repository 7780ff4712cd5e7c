#ifndef IO_LOOP_H
#define IO_LOOP_H
/* One event loop, one thread. A turn is: events (mail is one of them, see mailbox.h), then due
 * deadlines, then streams whose bytes no descriptor announces (decrypted, or in memory), then the tasks
 * asked for during all that, then the graveyard. libev (epoll, level-triggered) is used in this folder
 * and nowhere else.
 *
 * Nothing is freed inside a callback that it made: unlink it, mark it closed, and loop_bury it. */
#include "base/compiler.h"
#include "base/list.h"

#define LOOP_READ_BYTES 65536 /* perf.md: 64 KiB reads halve the cost of large bodies */
#define LOOP_SEAL_BYTES 1024  /* what TLS records add to as many bytes: at most 5 times 29 */

enum { IO_READ = 1, IO_WRITE = 2 };

struct loop;

/* `sim`: no descriptors and no sleeping: only tasks, deadlines on the fake clock, and io_mem. */
struct loop *loop_new(bool sim);
void loop_free(struct loop *loop);
bool loop_is_sim(const struct loop *loop);
/* Runs turns until loop_stop; a simulation ends also when nothing is left to run now. */
void loop_run(struct loop *loop);
/* The turn in hand ends as ever; before loop_run it lets that return at once. */
void loop_stop(struct loop *loop);
/* One turn. With `wait` it sleeps until something happens or a deadline is due. Returns whether
 * anything ran: a simulation calls it until it returns false, then advances the clock. */
bool loop_turn(struct loop *loop, bool wait);
/* Time at the beginning of this turn (monotonic); costs nothing. */
int64_t loop_now_ms(const struct loop *loop);
int64_t loop_now_ns(const struct loop *loop);
/* Milliseconds until the next deadline, or -1 if none is armed: for simulations. */
int64_t loop_next_due_ms(const struct loop *loop);

/* A descriptor watched by the owner that embeds this. */
struct loop_fd {
    /* private */
    struct loop *loop;
    void (*on_event)(struct loop_fd *w, unsigned events);
    int fd;
    unsigned events;
    uint64_t ev[8]; /* room for libev's watcher */
};
/* Does not own `fd`. Watches nothing yet. */
void loop_fd_init(struct loop_fd *w, struct loop *loop, int fd,
                  void (*on_event)(struct loop_fd *w, unsigned events));
/* IO_READ | IO_WRITE, or 0. No system call before the end of the turn, none when nothing changed. */
void loop_fd_watch(struct loop_fd *w, unsigned events);
/* An event has come and on_event will be called in this turn. */
bool loop_fd_is_due(const struct loop_fd *w);
void loop_fd_dispose(struct loop_fd *w);

/* A call to make once at the end of this turn (asking twice is asking once): flushes, batched frames.
 * A task that asks again while tasks run has its call in this turn for a few rounds, then in the next. */
struct loop_task {
    struct list node;
    void (*run)(struct loop_task *task);
};
void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));
void loop_task_add(struct loop *loop, struct loop_task *task);
/* As loop_task_add, in the phase before the tasks and once a turn: the streams of io.h. One that is
 * added in that phase runs in the next turn, which then does not sleep. */
void loop_ready_add(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

/* Calls free_fn(obj) at the end of the turn. */
void loop_bury(struct loop *loop, void (*free_fn)(void *obj), void *obj);

/* The thread's shared read buffer, LOOP_READ_BYTES long: valid until the callback in hand returns.
 * `level` 0 is for the outermost reader, 1 for a transformation below it (TLS ciphertext, both ways; has
 * LOOP_SEAL_BYTES more, so that what one read brought goes out in one send). */
char *loop_read_buffer(struct loop *loop, int level);
#endif

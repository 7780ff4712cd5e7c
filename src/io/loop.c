/* The event loop: libev for descriptors, one libev timer for the whole timing wheel, and the phases of a
 * turn.
 * In: readiness of descriptors.  Out: calls of the owners.  Next: io_tcp.c, listener.c, dial.c. */
#include "io/loop.h"

#include <ev.h>

#include "base/instant.h"
#include "base/mem.h"
#include "io/deadline_int.h"
#include "io/loop_int.h"

enum {
    TASK_ROUNDS = 4,   /* of tasks asking for tasks, before events have their turn again */
    GRAVES_KEPT = 256, /* room kept after a turn that buried more */
    READ_BUFFERS = 2,
};

struct grave {
    void (*free_fn)(void *obj);
    void *obj;
};

struct loop {
    struct ev_loop *ev; /* owned; NULL in a simulation */
    struct ev_timer timer;
    int64_t timer_due_ms; /* while the timer is active */
    int64_t now_ns;
    bool stopped;
    bool in_turn;
    bool ran; /* something ran in this turn */
    struct list ready;
    struct list tasks;
    struct grave *graves; /* owned */
    size_t grave_count;
    size_t grave_room;
    char *read_buffers[READ_BUFFERS]; /* owned; NULL until used */
    struct deadline_wheel wheel;
};

_Static_assert(sizeof(((struct loop_fd *)0)->ev) >= sizeof(struct ev_io),
               "loop_fd.ev is too small");
_Static_assert((int)IO_READ == (int)EV_READ && (int)IO_WRITE == (int)EV_WRITE,
               "events pass as they are");

/* libev calls this right after epoll_wait, before any callback. */
static void on_awake(struct ev_loop *ev)
{
    struct loop *loop = ev_userdata(ev);
    loop->now_ns = instant_mono_ns();
}

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    UNUSED(ev); /* it only ended the sleep: the turn runs what is due */
    UNUSED(timer);
    UNUSED(events);
}

struct loop *loop_new(bool sim)
{
    struct loop *loop = mem_new(struct loop);
    list_init(&loop->ready);
    list_init(&loop->tasks);
    loop->now_ns = instant_mono_ns();
    deadline_wheel_init(&loop->wheel, loop_now_ms(loop));
    if (!sim) {
        /* Named outright: what libev would choose by itself, or be told by LIBEV_FLAGS, is slower or
         * (io_uring) stalls. */
        loop->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
        ASSERT(loop->ev != NULL);
        ev_set_userdata(loop->ev, loop);
        ev_set_loop_release_cb(loop->ev, NULL, on_awake);
        ev_timer_init(&loop->timer, on_timer, 0., 0.);
        ev_ref(loop->ev); /* sleep also when nothing is watched */
    }
    return loop;
}

static void run_graves(struct loop *loop)
{
    for (size_t i = 0; i < loop->grave_count; i++) { /* a burial may bury more */
        struct grave grave = loop->graves[i];
        grave.free_fn(grave.obj);
    }
    loop->grave_count = 0;
    if (loop->grave_room > GRAVES_KEPT) {
        mem_free(loop->graves);
        loop->graves = NULL;
        loop->grave_room = 0;
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (list_pop_front(&loop->ready) != NULL || list_pop_front(&loop->tasks) != NULL) {
    }
    deadline_wheel_dispose(&loop->wheel);
    run_graves(loop);
    mem_free(loop->graves);
    for (unsigned i = 0; i < READ_BUFFERS; i++) {
        mem_free(loop->read_buffers[i]);
    }
    if (loop->ev != NULL) {
        ev_timer_stop(loop->ev, &loop->timer);
        ev_loop_destroy(loop->ev);
    }
    mem_free(loop);
}

bool loop_is_sim(const struct loop *loop)
{
    return loop->ev == NULL;
}

struct ev_loop *loop_ev(struct loop *loop)
{
    return loop->ev;
}

struct deadline_wheel *loop_wheel(struct loop *loop)
{
    return &loop->wheel;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        if (!loop_turn(loop, true) && loop_is_sim(loop)) {
            break;
        }
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* The timer is moved only when it would be late: too early costs one empty turn, and moving it at each
 * change of the wheel would cost more. */
static void set_timer(struct loop *loop)
{
    int64_t wake_ms = loop->wheel.wake_ms;
    if (wake_ms == INT64_MAX) {
        ev_timer_stop(loop->ev, &loop->timer);
        return;
    }
    if (ev_is_active(&loop->timer)) {
        if (loop->timer_due_ms <= wake_ms) {
            return;
        }
        ev_timer_stop(loop->ev, &loop->timer);
    }
    loop->timer_due_ms = wake_ms;
    int64_t after_ns = i64_max(wake_ms * 1000000 - loop->now_ns, 0);
    ev_timer_set(&loop->timer, (double)after_ns / 1e9, 0.);
    ev_timer_start(loop->ev, &loop->timer);
}

/* Each task once; what is added meanwhile stays for the next call. */
static void run_batch(struct loop *loop, struct list *from)
{
    struct list batch;
    list_init(&batch);
    list_splice(&batch, from);
    struct list *node;
    while ((node = list_pop_front(&batch)) != NULL) {
        struct loop_task *task = list_item(node, struct loop_task, node);
        loop->ran = true;
        task->run(task);
    }
}

bool loop_turn(struct loop *loop, bool wait)
{
    loop->ran = false;
    loop->in_turn = true;
    if (loop->ev != NULL) {
        set_timer(loop);
        bool idle =
            list_is_empty(&loop->ready) && list_is_empty(&loop->tasks) && loop->grave_count == 0;
        ev_run(loop->ev, wait && idle ? EVRUN_ONCE : EVRUN_NOWAIT);
    } else {
        loop->now_ns = instant_mono_ns();
    }
    if (deadline_wheel_run(&loop->wheel, loop_now_ms(loop))) {
        loop->ran = true;
    }
    run_batch(loop, &loop->ready);
    for (int round = 0; round < TASK_ROUNDS && !list_is_empty(&loop->tasks); round++) {
        run_batch(loop, &loop->tasks);
    }
    if (loop->grave_count > 0) {
        run_graves(loop);
    }
    loop->in_turn = false;
    return loop->ran;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ns / 1000000;
}

int64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

int64_t loop_next_due_ms(const struct loop *loop)
{
    int64_t due_ms = deadline_wheel_next_due(&loop->wheel);
    return due_ms < 0 ? -1 : i64_max(due_ms - instant_mono_ms(), 0);
}

int64_t loop_fresh_ns(struct loop *loop)
{
    if (UNLIKELY(!loop->in_turn)) {
        loop->now_ns = instant_mono_ns();
    }
    return loop->now_ns;
}

static struct ev_io *fd_watcher(struct loop_fd *w)
{
    return (struct ev_io *)(void *)w->ev;
}

static void on_fd(struct ev_loop *ev, struct ev_io *watcher, int events)
{
    struct loop *loop = ev_userdata(ev);
    struct loop_fd *w = container_of(watcher, struct loop_fd, ev);
    if (UNLIKELY(events & EV_ERROR)) {
        w->events = 0; /* libev gave the descriptor up; the owner's next call on it says why */
    }
    loop->ran = true;
    w->on_event(w, (unsigned)events & (IO_READ | IO_WRITE));
}

void loop_fd_init(struct loop_fd *w, struct loop *loop, int fd,
                  void (*on_event)(struct loop_fd *w, unsigned events))
{
    ASSERT(loop->ev != NULL && fd >= 0);
    w->loop = loop;
    w->on_event = on_event;
    w->fd = fd;
    w->events = 0;
    ev_io_init(fd_watcher(w), on_fd, fd, 0);
}

void loop_fd_watch(struct loop_fd *w, unsigned events)
{
    if (w->events == events) {
        return;
    }
    /* libev tells the kernel only before it sleeps, and only what is then different. */
    ev_io_stop(w->loop->ev, fd_watcher(w));
    w->events = events;
    if (events != 0) {
        ev_io_modify(fd_watcher(w), (int)events);
        ev_io_start(w->loop->ev, fd_watcher(w));
    }
}

bool loop_fd_is_due(const struct loop_fd *w)
{
    const struct ev_io *watcher = (const struct ev_io *)(const void *)w->ev;
    return ev_is_pending(watcher);
}

void loop_fd_dispose(struct loop_fd *w)
{
    loop_fd_watch(w, 0);
    ev_io_stop(w->loop->ev, fd_watcher(w)); /* drops an event that is under way */
}

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
    list_init(&task->node);
    task->run = run;
}

void loop_task_add(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->node)) {
        list_push_back(&loop->tasks, &task->node);
    }
}

void loop_ready_add(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->node)) {
        list_push_back(&loop->ready, &task->node);
    }
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->node);
}

void loop_bury(struct loop *loop, void (*free_fn)(void *obj), void *obj)
{
    if (loop->grave_count == loop->grave_room) {
        loop->grave_room = loop->grave_room == 0 ? 16 : loop->grave_room * 2;
        loop->graves = mem_realloc(loop->graves, loop->grave_room * sizeof(loop->graves[0]));
    }
    loop->graves[loop->grave_count++] = (struct grave){free_fn, obj};
}

char *loop_read_buffer(struct loop *loop, int level)
{
    ASSERT(level >= 0 && level < READ_BUFFERS);
    if (UNLIKELY(loop->read_buffers[level] == NULL)) {
        loop->read_buffers[level] = mem_alloc(LOOP_READ_BYTES + LOOP_SEAL_BYTES);
    }
    return loop->read_buffers[level];
}

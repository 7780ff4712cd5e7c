#include "io/loop.c"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/deadline.h"
#include "unit/io/io_help.h"

static char trail[64]; /* what ran, in order */

static void mark(char c)
{
    size_t len = strlen(trail);
    if (len + 1 < sizeof(trail)) {
        trail[len] = c;
        trail[len + 1] = '\0';
    }
}

static struct loop *the_loop;
static int again; /* times a task asks for itself again */

static void run_task(struct loop_task *task)
{
    mark('t');
    if (again-- > 0) {
        loop_task_add(the_loop, task);
    }
}

static void run_ready(struct loop_task *task)
{
    mark('r');
    if (again-- > 0) {
        loop_ready_add(the_loop, task);
    }
}

static void on_due_mark(struct deadline *d)
{
    UNUSED(d);
    mark('d');
}

static void bury_mark(void *obj)
{
    mark(*(char *)obj);
    if (*(char *)obj == 'g') {
        static char inner[] = "h";
        loop_bury(the_loop, bury_mark, inner);
    }
}

static void test_phases_in_order(void **state)
{
    UNUSED(state);
    for (int sim = 0; sim < 2; sim++) {
        struct loop *loop = the_loop = loop_new(sim != 0);
        struct loop_task task;
        struct loop_task ready;
        struct deadline deadline;
        char grave[] = "g";
        loop_task_init(&task, run_task);
        loop_task_init(&ready, run_ready);
        deadline_init(&deadline, on_due_mark);
        assert_false(loop_turn(loop, false));
        trail[0] = '\0';
        again = 0;
        loop_bury(loop, bury_mark, grave);
        loop_task_add(loop, &task);
        loop_task_add(loop, &task);
        loop_ready_add(loop, &ready);
        deadline_arm(&deadline, loop, 0);
        assert_true(loop_turn(loop, true)); /* does not sleep: there is work */
        assert_string_equal(trail, "drtgh");
        assert_false(loop_turn(loop, false));
        loop_free(loop);
    }
}

static void test_tasks_that_ask_again(void **state)
{
    UNUSED(state);
    struct loop *loop = the_loop = loop_new(true);
    struct loop_task task;
    loop_task_init(&task, run_task);
    trail[0] = '\0';
    again = 5;
    loop_task_add(loop, &task);
    assert_true(loop_turn(loop, false));
    assert_string_equal(trail, "tttt"); /* bounded: events have their turn */
    assert_true(loop_turn(loop, false));
    assert_string_equal(trail, "tttttt");
    assert_false(loop_turn(loop, false));
    /* the ready phase has one round a turn */
    loop_task_init(&task, run_ready);
    trail[0] = '\0';
    again = 1;
    loop_ready_add(loop, &task);
    assert_true(loop_turn(loop, false));
    assert_string_equal(trail, "r");
    assert_true(loop_turn(loop, false));
    assert_string_equal(trail, "rr");
    loop_ready_add(loop, &task);
    loop_task_cancel(&task);
    loop_task_cancel(&task);
    assert_false(loop_turn(loop, false));
    loop_free(loop);
}

struct watcher {
    struct loop_fd fd;
    int calls;
    unsigned seen;
};

static void on_watched(struct loop_fd *fd, unsigned events)
{
    struct watcher *w = container_of(fd, struct watcher, fd);
    w->calls++;
    w->seen |= events;
}

static void test_descriptors(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    struct watcher in = {.calls = 0};
    struct watcher out = {.calls = 0};
    loop_fd_init(&in.fd, loop, ends[0], on_watched);
    loop_fd_init(&out.fd, loop, ends[1], on_watched);
    loop_fd_watch(&in.fd, IO_READ);
    (void)loop_turn(loop, false);
    assert_int_equal(in.calls, 0);
    loop_fd_watch(&out.fd, IO_WRITE);
    TURN_UNTIL(loop, out.calls == 2); /* level-triggered */
    assert_int_equal(out.seen, IO_WRITE);
    loop_fd_watch(&out.fd, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    TURN_UNTIL(loop, in.calls == 1);
    /* off and on within one turn changes nothing */
    for (int i = 0; i < 3; i++) {
        loop_fd_watch(&in.fd, 0);
        loop_fd_watch(&in.fd, IO_READ);
    }
    TURN_UNTIL(loop, in.calls == 2);
    assert_int_equal(in.seen, IO_READ);
    assert_int_equal(out.calls, 2);
    /* the same number for another file, within one turn */
    loop_fd_dispose(&in.fd);
    int number = ends[0];
    close(ends[0]);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pair[0], number);
    struct watcher other = {.calls = 0};
    loop_fd_init(&other.fd, loop, pair[0], on_watched);
    loop_fd_watch(&other.fd, IO_READ);
    (void)loop_turn(loop, false);
    assert_int_equal(other.calls, 0);
    assert_int_equal(write(pair[1], "y", 1), 1);
    TURN_UNTIL(loop, other.calls == 1);
    loop_fd_dispose(&other.fd);
    loop_fd_dispose(&out.fd);
    close(pair[0]);
    close(pair[1]);
    close(ends[1]);
    loop_free(loop);
}

/* In the place of libc's: counts what libev asks of the kernel. */
static int epoll_ctls;
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    epoll_ctls++;
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void on_watched_toggles(struct loop_fd *fd, unsigned events)
{
    char byte;
    on_watched(fd, events);
    if ((events & IO_READ) != 0) {
        assert_int_equal(read(fd->fd, &byte, 1), 1);
    }
    loop_fd_watch(fd, 0);
    loop_fd_watch(fd, IO_READ | IO_WRITE);
    loop_fd_watch(fd, IO_READ);
}

/* perf.md: no epoll_ctl per request, whatever is switched off and on again while it is served. */
static void test_watching_anew_costs_no_system_call(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct watcher w = {.calls = 0};
    loop_fd_init(&w.fd, loop, pair[0], on_watched_toggles);
    loop_fd_watch(&w.fd, IO_READ);
    (void)loop_turn(loop, false);
    int before = epoll_ctls;
    assert_true(before > 0);
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(write(pair[1], "x", 1), 1);
        TURN_UNTIL(loop, w.calls == i);
    }
    assert_int_equal(epoll_ctls, before);
    loop_fd_watch(&w.fd, IO_READ | IO_WRITE);
    (void)loop_turn(loop, false);
    assert_int_equal(epoll_ctls, before + 1);
    loop_fd_dispose(&w.fd);
    close(pair[0]);
    close(pair[1]);
    loop_free(loop);
}

static void stop_task(struct loop_task *task)
{
    UNUSED(task);
    loop_stop(the_loop);
}

static void on_due_stop(struct deadline *d)
{
    UNUSED(d);
    loop_stop(the_loop);
}

static void test_run_until_stopped(void **state)
{
    UNUSED(state);
    struct loop *loop = the_loop = loop_new(false);
    struct loop_task task;
    loop_task_init(&task, stop_task);
    loop_task_add(loop, &task);
    loop_run(loop);
    /* also when told before */
    loop_stop(loop);
    loop_run(loop);
    /* and sleeps meanwhile */
    struct deadline deadline;
    deadline_init(&deadline, on_due_stop);
    deadline_arm(&deadline, loop, 20);
    int64_t start_ns = instant_mono_ns();
    loop_run(loop);
    assert_true(instant_mono_ns() - start_ns >= 19000000);
    loop_free(loop);
    /* a simulation ends when there is nothing left to do now */
    instant_fake_start(0, 0);
    loop = the_loop = loop_new(true);
    deadline_arm(&deadline, loop, 20);
    loop_run(loop);
    assert_true(deadline_is_armed(&deadline));
    instant_fake_advance(20000000);
    loop_run(loop);
    assert_false(deadline_is_armed(&deadline));
    loop_free(loop);
    instant_fake_stop();
}

static void test_many_graves(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(true);
    size_t before = mem_live_bytes();
    for (int i = 0; i < 10000; i++) {
        loop_bury(loop, mem_free, mem_alloc(10));
    }
    (void)loop_turn(loop, false);
    assert_true(mem_live_bytes() <= before);
    loop_bury(loop, mem_free, mem_alloc(10)); /* freed with the loop */
    char *buffer = loop_read_buffer(loop, 0);
    assert_ptr_equal(buffer, loop_read_buffer(loop, 0));
    assert_ptr_not_equal(buffer, loop_read_buffer(loop, 1));
    memset(buffer, 1, LOOP_READ_BYTES);
    loop_free(loop);
}

static void test_gives_all_back(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    size_t bytes = mem_live_bytes();
    for (int i = 0; i < 10; i++) {
        struct loop *loop = loop_new(false);
        struct deadline deadline;
        struct loop_task task;
        deadline_init(&deadline, on_due_mark);
        loop_task_init(&task, run_task);
        deadline_arm(&deadline, loop, 1000);
        loop_task_add(loop, &task);
        loop_free(loop);
        /* what was armed may be disposed of after its loop */
        assert_false(deadline_is_armed(&deadline));
        loop_task_cancel(&task);
    }
    assert_int_equal(open_fds(), fds);
    assert_int_equal(mem_live_bytes(), bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_in_order),
        cmocka_unit_test(test_tasks_that_ask_again),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_watching_anew_costs_no_system_call),
        cmocka_unit_test(test_run_until_stopped),
        cmocka_unit_test(test_many_graves),
        cmocka_unit_test(test_gives_all_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

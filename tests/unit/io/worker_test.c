#include "io/worker.c"

#include <string.h>
#include <unistd.h>

#include "io/deadline.h"
#include "unit/io/io_help.h"

struct job {
    bool fails;
    char thread_name[16];
    bool blocks_term;
    pthread_t thread;
    int stopped;
    int mails;
    sem_t answered;
    struct deadline deadline;
    size_t stack_bytes;
};

static void on_due(struct deadline *d)
{
    (void)sem_post(&container_of(d, struct job, deadline)->answered);
}

static int on_start(struct worker *w, void *arg, struct err *err)
{
    struct job *job = arg;
    sigset_t blocked;
    pthread_attr_t attr;
    if (job->fails) {
        return err_set(err, -ERR_CONFIG, "worker %u does not want to", worker_index(w));
    }
    job->thread = pthread_self();
    pthread_getname_np(pthread_self(), job->thread_name, sizeof(job->thread_name));
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    job->blocks_term = sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGSEGV);
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstacksize(&attr, &job->stack_bytes);
    pthread_attr_destroy(&attr);
    deadline_init(&job->deadline, on_due);
    deadline_arm(&job->deadline, worker_loop(w), 1);
    return 0;
}

static void on_stop(struct worker *w, void *arg)
{
    struct job *job = arg;
    UNUSED(w);
    job->stopped++;
}

static const struct worker_ops ops = {on_start, on_stop};

struct hello {
    struct mail mail;
    bool on_thread;
};

static void on_hello(struct mail *mail, void *owner)
{
    struct job *job = owner;
    struct hello *hello = container_of(mail, struct hello, mail);
    hello->on_thread = pthread_equal(pthread_self(), job->thread);
    job->mails++;
    sem_post(&job->answered);
}

static void test_life(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    for (unsigned i = 0; i < 3; i++) {
        struct job job = {.fails = false};
        struct worker *w = NULL;
        struct err err;
        sigset_t before;
        sigset_t after;
        sem_init(&job.answered, 0, 0);
        pthread_sigmask(SIG_SETMASK, NULL, &before);
        assert_int_equal(worker_start(&w, i, &ops, &job, &err), 0);
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
        assert_int_equal(worker_index(w), i);
        char name[16];
        (void)snprintf(name, sizeof(name), "worker-%u", i);
        assert_string_equal(job.thread_name, name);
        assert_true(job.blocks_term);
        assert_true(job.stack_bytes >= STACK_BYTES); /* sanitizers add theirs */
        sem_wait(&job.answered);                     /* its deadline ran */
        struct hello hello = {.mail = {.on_arrive = on_hello}};
        mailbox_post_take(worker_mailbox(w), &hello.mail);
        sem_wait(&job.answered);
        assert_true(hello.on_thread);
        assert_int_equal(job.stopped, 0);
        /* mail posted before the stop is delivered */
        struct hello last = {.mail = {.on_arrive = on_hello}};
        mailbox_post_take(worker_mailbox(w), &last.mail);
        worker_stop(w);
        assert_int_equal(job.stopped, 1);
        assert_int_equal(job.mails, 2);
        sem_destroy(&job.answered);
    }
    worker_stop(NULL);
    assert_int_equal(open_fds(), fds);
}

static void test_start_that_fails(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct job job = {.fails = true};
    struct worker *w = NULL;
    struct err err;
    assert_int_equal(worker_start(&w, 7, &ops, &job, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "worker 7 does not want to");
    assert_null(w);
    assert_int_equal(job.stopped, 0);
    assert_int_equal(worker_start(&w, 7, &ops, &job, NULL), -ERR_CONFIG);
    assert_int_equal(open_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_start_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

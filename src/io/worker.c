/* A thread with a loop and a mailbox.
 * In: worker_start on the main thread.  Out: ops->on_start and on_stop, on the new one.  Next:
 * proxy/proxy_worker.c. */
#include "io/worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"

/* musl gives 128 KiB, glibc 8 MiB. Only what is touched costs memory; TLS handshakes are the deepest
 * calls and stay under 64 KiB. */
enum { STACK_BYTES = 512 * 1024 };

struct worker {
    pthread_t thread;
    unsigned index;
    const struct worker_ops *ops; /* borrowed, static */
    void *arg;                    /* borrowed */
    struct loop *loop;            /* owned by the thread, as is the mailbox */
    struct mailbox *mailbox;
    sem_t started;
    int start_code;
    struct err start_err;
    struct mail stop; /* posted by worker_stop */
};

static void on_stop_mail(struct mail *mail, void *owner)
{
    UNUSED(owner);
    loop_stop(container_of(mail, struct worker, stop)->loop);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    char name[16];
    (void)snprintf(name, sizeof(name), "worker-%u", w->index);
    (void)pthread_setname_np(pthread_self(), name); /* only for people to see */
    w->loop = loop_new(false);
    w->mailbox = mailbox_new(w->loop, w->arg);
    w->start_code = w->ops->on_start(w, w->arg, &w->start_err);
    bool runs = w->start_code == 0;
    (void)sem_post(&w->started);
    if (runs) {
        loop_run(w->loop);
        mailbox_deliver(w->mailbox); /* what came after the stop still finds its owner whole */
        w->ops->on_stop(w, w->arg);
    }
    mailbox_free(w->mailbox);
    loop_free(w->loop);
    return NULL;
}

/* Signals are the main thread's: the new one inherits a mask that blocks them all, but for those that
 * report its own faults. */
static int create_thread(struct worker *w)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        (void)sigdelset(&all, faults[i]);
    }
    pthread_attr_t attr;
    int code = pthread_attr_init(&attr);
    if (code != 0) {
        return -code;
    }
    code = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (code == 0) {
        code = pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    if (code == 0) {
        code = pthread_create(&w->thread, &attr, worker_main, w);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* was valid a moment ago */
    }
    (void)pthread_attr_destroy(&attr);
    return -code;
}

static void free_worker(struct worker *w)
{
    (void)sem_destroy(&w->started);
    mem_free(w);
}

int worker_start(struct worker **out, unsigned index, const struct worker_ops *ops, void *arg,
                 struct err *err)
{
    struct worker *w = mem_new(struct worker);
    w->index = index;
    w->ops = ops;
    w->arg = arg;
    w->stop.on_arrive = on_stop_mail;
    (void)sem_init(&w->started, 0, 0); /* fails on misuse only */
    int code = create_thread(w);
    if (code != 0) {
        free_worker(w);
        return err_set(err, code, "no thread for worker %u: %s", index, err_name(code));
    }
    while (sem_wait(&w->started) == -1 && errno == EINTR) {
    }
    if (w->start_code != 0) {
        code = w->start_code;
        (void)pthread_join(w->thread, NULL);
        if (err != NULL) {
            *err = w->start_err;
        }
        free_worker(w);
        return code;
    }
    *out = w;
    return 0;
}

struct loop *worker_loop(struct worker *w)
{
    return w->loop;
}

struct mailbox *worker_mailbox(struct worker *w)
{
    return w->mailbox;
}

unsigned worker_index(const struct worker *w)
{
    return w->index;
}

void worker_stop(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    mailbox_post_take(w->mailbox, &w->stop);
    (void)pthread_join(w->thread, NULL); /* fails on misuse only */
    free_worker(w);
}

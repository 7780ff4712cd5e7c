/* Mail between threads. The lock is held for a few instructions at either end; the eventfd is written
 * only by who finds the box empty, so a burst costs one wake-up.
 * In: a snapshot, a certificate, a question from another thread.  Out: its on_arrive, on the loop's
 * thread.  Next: proxy/config/view.c. */
#include "io/mailbox.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

struct mailbox {
    pthread_mutex_t lock; /* of first and last */
    struct mail *first;   /* owned; oldest */
    struct mail **last;
    struct loop *loop; /* borrowed */
    void *owner;
    struct loop_fd fd;     /* the eventfd; not in a simulation ... */
    struct loop_task task; /* ... which has one thread and uses this */
    bool is_sim;
};

static struct mail *take_all(struct mailbox *box)
{
    (void)pthread_mutex_lock(&box->lock); /* fails on misuse only */
    struct mail *mail = box->first;
    box->first = NULL;
    box->last = &box->first;
    (void)pthread_mutex_unlock(&box->lock);
    return mail;
}

void mailbox_deliver(struct mailbox *box)
{
    void *owner = box->owner;
    struct mail *next;
    for (struct mail *mail = take_all(box); mail != NULL; mail = next) {
        next = mail->next; /* on_arrive may free it */
        mail->on_arrive(mail, owner);
    }
}

static void on_wake(struct loop_fd *fd, unsigned events)
{
    UNUSED(events);
    uint64_t count;
    /* Before the mail is taken: who posts after that finds the box empty and wakes us again. */
    (void)read(fd->fd, &count, sizeof(count));
    mailbox_deliver(container_of(fd, struct mailbox, fd));
}

static void on_task(struct loop_task *task)
{
    mailbox_deliver(container_of(task, struct mailbox, task));
}

struct mailbox *mailbox_new(struct loop *loop, void *owner)
{
    struct mailbox *box = mem_new(struct mailbox);
    (void)pthread_mutex_init(&box->lock, NULL); /* never fails on Linux */
    box->last = &box->first;
    box->loop = loop;
    box->owner = owner;
    box->is_sim = loop_is_sim(loop);
    if (box->is_sim) {
        loop_task_init(&box->task, on_task);
    } else {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        ASSERT(fd >= 0);
        loop_fd_init(&box->fd, loop, fd, on_wake);
        loop_fd_watch(&box->fd, IO_READ);
    }
    return box;
}

void mailbox_free(struct mailbox *box)
{
    if (box == NULL) {
        return;
    }
    if (box->is_sim) {
        loop_task_cancel(&box->task);
    } else {
        loop_fd_dispose(&box->fd);
    }
    while (box->first != NULL) { /* nobody else may post any more, but a mail that arrives may */
        mailbox_deliver(box);
    }
    if (!box->is_sim) {
        (void)close(box->fd.fd);
    }
    (void)pthread_mutex_destroy(&box->lock);
    loop_bury(box->loop, mem_free, box);
}

void mailbox_post_take(struct mailbox *box, struct mail *mail)
{
    mail->next = NULL;
    (void)pthread_mutex_lock(&box->lock);
    bool was_empty = box->first == NULL;
    *box->last = mail;
    box->last = &mail->next;
    if (box->is_sim) {
        loop_task_add(box->loop, &box->task);
    } else if (was_empty) {
        /* Under the lock: the mail in hand may be what makes the receiver free the box. */
        const uint64_t one = 1;
        ssize_t n = write(box->fd.fd, &one, sizeof(one));
        ASSERT(n == (ssize_t)sizeof(one)); /* can not block before 2^64 - 1 */
    }
    (void)pthread_mutex_unlock(&box->lock);
}

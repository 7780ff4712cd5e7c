#ifndef IO_MAILBOX_H
#define IO_MAILBOX_H
/* Mail between threads: the only lock of the program. A mail is a message that its sender allocated;
 * the receiver's loop calls on_arrive, which owns it from then on. Mail from one sender arrives in
 * order. */
#include "base/compiler.h"
#include "io/loop.h"

struct mail {
    struct mail *next; /* private */
    void (*on_arrive)(struct mail *mail, void *owner);
};

struct mailbox;
/* On the loop's thread. `owner` is handed to each on_arrive. */
struct mailbox *mailbox_new(struct loop *loop, void *owner);
/* On the loop's thread: delivers what is there, without waiting for the loop's turn. */
void mailbox_deliver(struct mailbox *box);
/* Undelivered mail is delivered first. */
void mailbox_free(struct mailbox *box);
/* Any thread. Takes the mail. */
void mailbox_post_take(struct mailbox *box, struct mail *mail);
#endif

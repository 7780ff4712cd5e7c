#include "io/mailbox.c"

#include "unit/io/io_help.h"

enum { SENDERS = 4, MAILS = 5000 };

struct note {
    struct mail mail;
    int sender;
    int number;
};

struct reader {
    int next[SENDERS]; /* number expected from each */
    int count;
    struct mailbox *box;
    int answers; /* mails to post from within on_arrive */
};

static void on_arrive(struct mail *mail, void *owner)
{
    struct note *note = container_of(mail, struct note, mail);
    struct reader *reader = owner;
    assert_int_equal(reader->next[note->sender], note->number);
    reader->next[note->sender]++;
    reader->count++;
    mem_free(note);
}

static struct note *note_new(int sender, int number)
{
    struct note *note = mem_new(struct note);
    note->mail.on_arrive = on_arrive;
    note->sender = sender;
    note->number = number;
    return note;
}

struct sender {
    pthread_t thread;
    struct mailbox *box;
    int index;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < MAILS; i++) {
        mailbox_post_take(s->box, &note_new(s->index, i)->mail);
    }
    return NULL;
}

static void test_many_senders_in_order(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct reader reader = {.count = 0};
    struct mailbox *box = mailbox_new(loop, &reader);
    struct sender senders[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = box, .index = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (reader.count < SENDERS * MAILS) {
        (void)loop_turn(loop, true);
    }
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    }
    mailbox_free(box);
    loop_free(loop);
}

static void on_arrive_answer(struct mail *mail, void *owner)
{
    struct note *note = container_of(mail, struct note, mail);
    struct reader *reader = owner;
    reader->count++;
    if (reader->answers-- > 0) {
        struct note *next = note_new(0, 0);
        next->mail.on_arrive = on_arrive_answer;
        mailbox_post_take(reader->box, &next->mail);
    }
    mem_free(note);
}

static void test_posting_while_mail_arrives(void **state)
{
    UNUSED(state);
    for (int sim = 0; sim < 2; sim++) {
        struct loop *loop = loop_new(sim != 0);
        struct reader reader = {.answers = 9};
        reader.box = mailbox_new(loop, &reader);
        struct note *note = note_new(0, 0);
        note->mail.on_arrive = on_arrive_answer;
        mailbox_post_take(reader.box, &note->mail);
        assert_int_equal(reader.count, 0); /* never within the call */
        TURN_UNTIL(loop, reader.count == 10);
        mailbox_free(reader.box);
        loop_free(loop);
    }
}

static void test_free_delivers_what_is_left(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    size_t bytes = mem_live_bytes();
    for (int sim = 0; sim < 2; sim++) {
        struct loop *loop = loop_new(sim != 0);
        struct reader reader = {.count = 0};
        struct mailbox *box = mailbox_new(loop, &reader);
        for (int i = 0; i < 10; i++) {
            mailbox_post_take(box, &note_new(1, i)->mail);
        }
        mailbox_free(box);
        assert_int_equal(reader.count, 10);
        loop_free(loop);
    }
    mailbox_free(NULL);
    assert_int_equal(open_fds(), fds);
    assert_int_equal(mem_live_bytes(), bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_senders_in_order),
        cmocka_unit_test(test_posting_while_mail_arrives),
        cmocka_unit_test(test_free_delivers_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

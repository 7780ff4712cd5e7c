/* Signals as events: libev's handler only writes to an eventfd; the calls come from the loop. */
#include "io/signals.h"

#include <ev.h>
#include <signal.h>

#include "base/mem.h"
#include "io/loop_int.h"

struct signals {
    struct loop *loop; /* borrowed */
    void (*on_signal)(void *arg, int signo);
    void *arg;
    bool is_freed;
    size_t count;
    struct ev_signal watchers[];
};

static void on_watcher(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
    struct signals *s = watcher->data;
    UNUSED(ev);
    UNUSED(events);
    if (!s->is_freed) {
        s->on_signal(s->arg, watcher->signum);
    }
}

struct signals *signals_new(struct loop *loop, const int *set,
                            void (*on_signal)(void *arg, int signo), void *arg)
{
    size_t count = 0;
    while (set[count] != 0) {
        count++;
    }
    ASSERT(!loop_is_sim(loop));
    (void)signal(SIGPIPE, SIG_IGN); /* fails on an unknown number only */
    struct signals *s = mem_zalloc(sizeof(*s) + count * sizeof(s->watchers[0]));
    s->loop = loop;
    s->on_signal = on_signal;
    s->arg = arg;
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        ev_signal_init(&s->watchers[i], on_watcher, set[i]);
        s->watchers[i].data = s;
        ev_signal_start(loop_ev(loop), &s->watchers[i]);
    }
    return s;
}

void signals_free(struct signals *s)
{
    if (s == NULL) {
        return;
    }
    s->is_freed = true;
    for (size_t i = 0; i < s->count; i++) {
        ev_signal_stop(loop_ev(s->loop), &s->watchers[i]);
    }
    loop_bury(s->loop, mem_free, s);
}

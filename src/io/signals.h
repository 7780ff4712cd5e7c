#ifndef IO_SIGNALS_H
#define IO_SIGNALS_H
/* Signals as events of the main loop. SIGPIPE is ignored for the whole process. */
#include "base/compiler.h"
#include "io/loop.h"

struct signals;
/* `set` ends with 0: {SIGTERM, SIGINT, SIGHUP, 0}. */
struct signals *signals_new(struct loop *loop, const int *set,
                            void (*on_signal)(void *arg, int signo), void *arg);
void signals_free(struct signals *s);
#endif

#ifndef IO_LOOP_INT_H
#define IO_LOOP_INT_H
/* What the other files of this folder use of the loop. */
#include "io/loop.h"

struct deadline_wheel;
struct ev_loop;
struct deadline_wheel *loop_wheel(struct loop *loop);
/* As loop_now_ns, but right also between turns (at start-up), where the last turn may be long ago. */
int64_t loop_fresh_ns(struct loop *loop);
/* libev's loop; NULL in a simulation. */
struct ev_loop *loop_ev(struct loop *loop);
#endif

#ifndef TESTS_IO_HELP_H
#define TESTS_IO_HELP_H
/* What the tests of io/ share: turning a loop until something holds, counting open descriptors. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "io/loop.h"

/* Turns `loop` until `cond` holds; fails after 10 s. */
#define TURN_UNTIL(loop, cond)                           \
    do {                                                 \
        int64_t help_end_ms = instant_mono_ms() + 10000; \
        while (!(cond)) {                                \
            (void)loop_turn((loop), false);              \
            if (instant_mono_ms() > help_end_ms) {       \
                fail_msg("still not: %s", #cond);        \
            }                                            \
        }                                                \
    } while (0)

/* Turns a simulation until nothing is left to do now. */
static inline void turn_out(struct loop *loop)
{
    for (int i = 0; loop_turn(loop, false); i++) {
        assert_true(i < 100000);
    }
}

static inline int open_fds(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}
#endif

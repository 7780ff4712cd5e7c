/* Where a broken invariant ends the process: one line that says which, then a core. */
#include "base/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *file, int line, const char *expression)
{
    char text[512];
    int len =
        snprintf(text, sizeof(text), "mesh: %s:%d: assertion failed: %s\n", file, line, expression);
    if (len > 0) {
        /* Nothing better can be done when stderr is gone. */
        ssize_t done = write(STDERR_FILENO, text, size_min((size_t)len, sizeof(text) - 1));
        UNUSED(done);
    }
    abort();
}

/* Lines of an explanation, indented by depth. */
#include "policy/explain.h"

#include <stdio.h>

#define EXPLAIN_LINE_BYTES 1024

void explain_write(struct explain *ex, const char *fmt, ...)
{
    char line[EXPLAIN_LINE_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    if (buf_printf(&ex->text, "%*s%s\n", (int)(ex->depth * 2), "", line) != 0) {
        return; /* full: the line is dropped, what was said before stands */
    }
}

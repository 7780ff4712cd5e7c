/* Files that people name, read whole. */
#include "cli/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int input_read(const char *path, struct buf *to)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char part[16384];
    size_t len;
    int code = f ? 0 : -errno;
    while (code == 0 && (len = fread(part, 1, sizeof part, f)) > 0) {
        code = buf_append(to, part, len);
    }
    if (code == 0 && ferror(f)) {
        code = -EIO;
    }
    if (f && f != stdin) {
        fclose(f);
    }
    return code;
}

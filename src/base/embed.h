#ifndef BASE_EMBED_H
#define BASE_EMBED_H
/* Files that are part of the binary. The build turns a folder (EMBED in the Makefile) into a table, sorted by name and
 * ended by a nameless entry: src/cli/help becomes `extern const struct embed help_files[]` in "cli/help_files.h". */
#include <stddef.h>
#include <string.h>

struct embed {
    const char *name; /* path within the folder */
    const unsigned char *bytes;
    size_t length;
};

/* The file of that name, or NULL. */
static inline const struct embed *embed_find(const struct embed *table, const char *name)
{
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}
#endif

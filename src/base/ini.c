/* INI files. inih reads through our reader, which counts lines, so that the handler knows where each
 * pair stands without inih having to be built for that. */
#include "base/ini.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#define INI_FILE_BYTES_MAX (1 << 20)

struct reading {
    FILE *file;
    const char *path;
    ini_on_pair on_pair;
    void *arg;
    struct err *err;
    int line;
    int failed;
    long bytes;
};

static char *read_line(char *to, int room, void *stream)
{
    struct reading *r = stream;
    if (r->failed != 0 || fgets(to, room, r->file) == NULL) {
        return NULL;
    }
    size_t len = strlen(to);
    r->line++;
    r->bytes += (long)len;
    if (r->bytes > INI_FILE_BYTES_MAX) {
        r->failed =
            err_set(r->err, -ERR_CONFIG, "%s: larger than %d bytes", r->path, INI_FILE_BYTES_MAX);
        return NULL;
    }
    if (len == (size_t)room - 1 && to[len - 1] != '\n') {
        r->failed = err_set(r->err, -ERR_CONFIG, "%s:%d: line is longer than %d bytes", r->path,
                            r->line, room - 2);
        return NULL;
    }
    /* inih would take it for more of the value above, which nobody expects of a flat file. */
    if ((to[0] == ' ' || to[0] == '\t') && to[strspn(to, " \t\r\n")] != '\0') {
        r->failed =
            err_set(r->err, -ERR_CONFIG, "%s:%d: line begins with a blank", r->path, r->line);
        return NULL;
    }
    return to;
}

static int on_value(void *user, const char *section, const char *key, const char *value)
{
    struct reading *r = user;
    if (r->failed == 0 && value != NULL) {
        r->failed = r->on_pair(r->arg, section, key, value, r->line, r->err);
    }
    return r->failed == 0;
}

int ini_load(const char *path, ini_on_pair on_pair, void *arg, struct err *err)
{
    struct reading r = {.path = path, .on_pair = on_pair, .arg = arg, .err = err};
    r.file = fopen(path, "re");
    if (r.file == NULL) {
        int code = -errno;
        return err_set(err, code, "%s: %s", path, err_name(code));
    }
    int bad_line = ini_parse_stream(read_line, &r, on_value, &r);
    bool unreadable = ferror(r.file) != 0;
    (void)fclose(r.file); /* only read from */
    if (r.failed != 0) {
        return r.failed;
    }
    if (unreadable) {
        return err_set(err, -EIO, "%s: %s", path, err_name(-EIO));
    }
    if (bad_line != 0) {
        return err_set(err, -ERR_CONFIG, "%s:%d: want '[section]', 'key = value' or '; comment'",
                       path, bad_line);
    }
    return 0;
}

/* base/ini: pairs with their lines, and messages that say where. */
#include "base/ini.c"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "unit/cm.h"

static char path[] = "/tmp/mesh_ini_XXXXXX";

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int on_pair(void *arg, const char *section, const char *key, const char *value, int line,
                   struct err *err)
{
    if (strcmp(key, "stop") == 0) {
        return err_set(err, -ERR_CONFIG, "stopped in line %d", line);
    }
    return buf_printf(arg, "%d[%s]%s=%s;", line, section, key, value);
}

static void reads(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* NULL: an error with this text */
        const char *error;
    } rows[] = {
        {"", "", NULL},
        {"[a]\nx = 1\ny: two words ; note\n\n[b]\n# n\nz=\n", "2[a]x=1;3[a]y=two words;7[b]z=;",
         NULL},
        {"x=1", "1[]x=1;", NULL},
        {"[a]\nx=1\nbroken\ny=2\n", NULL, ":3: want '[section]', 'key = value' or '; comment'"},
        {"[a\n", NULL, ":1: want '[section]', 'key = value' or '; comment'"},
        {"[a]\nstop=1\nx=2\n", NULL, "stopped in line 2"},
        {"[a]\nx=1\n  y=2\n", NULL, ":3: line begins with a blank"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {.code = 0};
        struct buf got;
        buf_init(&got, 1000);
        write_file(rows[i].text, strlen(rows[i].text));
        int failed = ini_load(path, on_pair, &got, &err);
        if (rows[i].want != NULL) {
            assert_int_equal(failed, 0);
            assert_span(buf_span(&got), rows[i].want);
        } else {
            assert_int_equal(failed, -ERR_CONFIG);
            assert_non_null(strstr(err.text, rows[i].error));
        }
        buf_dispose(&got);
    }
}

static void refuses_what_is_too_large(void **state)
{
    UNUSED(state);
    struct err err;
    struct buf got;
    static char text[INI_FILE_BYTES_MAX + 2];
    buf_init(&got, 10);
    memset(text, 'x', sizeof(text));
    write_file(text, 100000);
    assert_int_equal(ini_load(path, on_pair, &got, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, ":1: line is longer than"));
    memset(text, '\n', sizeof(text));
    write_file(text, sizeof(text));
    assert_int_equal(ini_load(path, on_pair, &got, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "larger than"));
    assert_int_equal(ini_load("/nonexistent/x.ini", on_pair, &got, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/x.ini: no such file or directory");
    buf_dispose(&got);
}

static int make_file(void **state)
{
    UNUSED(state);
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    UNUSED(state);
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses_what_is_too_large),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}

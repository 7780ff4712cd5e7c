/* io/file: whole files, secrets, and what is there after a write that was cut short. */
#include "io/file.c"

#include <stdlib.h>

#include "unit/cm.h"

static char folder[] = "/tmp/mesh-file-XXXXXX";
static struct err err;

static const char *in(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void check(const char *path, const char *want)
{
    struct buf text;
    buf_init(&text, 100000);
    assert_int_equal(file_read(path, &text, &err), 0);
    assert_span(buf_span(&text), want);
    buf_dispose(&text);
}

static void test_write_and_read(void **state)
{
    (void)state;
    umask(0);
    assert_int_equal(file_write(in("a"), SPAN("one"), 0600, &err), 0);
    check(in("a"), "one");
    assert_int_equal(mode_of(in("a")), 0600);
    /* What a killed writer left does not matter, nor whose mode it had. */
    assert_int_equal(file_write(in("a.new"), SPAN("half"), 0644, &err), 0);
    assert_int_equal(file_write(in("a"), SPAN("two"), 0640, &err), 0);
    check(in("a"), "two");
    assert_int_equal(mode_of(in("a")), 0640);
    assert_false(file_exists(in("a.new")));
    assert_true(file_exists(in("a")));
    assert_int_equal(file_write(in("a"), SPAN_EMPTY, 0600, &err), 0);
    check(in("a"), "");
}

static void test_large(void **state)
{
    (void)state;
    static char big[50000];
    struct buf text;
    memset(big, 'x', sizeof(big));
    assert_int_equal(file_write(in("big"), span_from(big, sizeof(big)), 0600, &err), 0);
    buf_init(&text, sizeof(big));
    assert_int_equal(file_read(in("big"), &text, &err), 0);
    assert_int_equal(buf_len(&text), sizeof(big));
    buf_dispose(&text);
    buf_init(&text, sizeof(big) - 1);
    assert_int_equal(file_read(in("big"), &text, &err), -ERR_LIMIT);
    buf_dispose(&text);
}

static void test_secrets(void **state)
{
    (void)state;
    static const struct {
        unsigned mode;
        bool good;
    } cases[] = {{0600, true},  {0400, true},  {0700, true},  {0640, false},
                 {0604, false}, {0620, false}, {0602, false}, {0610, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text;
        buf_init(&text, 100);
        assert_int_equal(file_write(in("key"), SPAN("secret"), cases[i].mode, &err), 0);
        assert_int_equal(file_read_secret(in("key"), &text, &err), cases[i].good ? 0 : -ERR_DENIED);
        assert_int_equal(buf_len(&text), cases[i].good ? 6 : 0);
        if (!cases[i].good) {
            assert_non_null(strstr(err.text, "chmod 600"));
        }
        buf_dispose(&text);
    }
    if (geteuid() == 0) {
        struct buf text;
        buf_init(&text, 100);
        assert_int_equal(file_write(in("key"), SPAN("secret"), 0600, &err), 0);
        assert_int_equal(chown(in("key"), 12345, (gid_t)-1), 0);
        assert_int_equal(file_read_secret(in("key"), &text, &err), -ERR_DENIED);
        assert_non_null(strstr(err.text, "12345"));
        buf_dispose(&text);
    }
}

static void test_failures(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 100);
    assert_int_equal(file_read(in("none"), &text, &err), -ENOENT);
    assert_non_null(strstr(err.text, "none' can not be opened"));
    assert_int_equal(file_read(folder, &text, &err), -EISDIR);
    assert_int_equal(file_write(in("none/a"), SPAN("x"), 0600, &err), -ENOENT);
    assert_int_equal(file_write(in("a"), SPAN("x"), 0600, &err), 0);
    assert_int_equal(file_make_folder(in("a"), &err), -ENOTDIR);
    buf_dispose(&text);
}

static void test_folders(void **state)
{
    (void)state;
    assert_int_equal(file_make_folder(in("b/c/d"), &err), 0);
    assert_int_equal(file_make_folder(in("b/c/d"), &err), 0);
    assert_int_equal(mode_of(in("b/c")), 0700);
    assert_int_equal(file_write(in("b/c/d/e"), SPAN("x"), 0600, &err), 0);
    check(in("b/c/d/e"), "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_large),
        cmocka_unit_test(test_secrets),        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

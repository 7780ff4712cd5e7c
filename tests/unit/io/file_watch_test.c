#include "io/file_watch.c"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/io/io_help.h"

static char root[] = "/tmp/file_watch_XXXXXX";

struct seen {
    int changes;
};

static void on_change(void *arg)
{
    struct seen *seen = arg;
    seen->changes++;
}

static const char *at(const char *name, char *to)
{
    (void)snprintf(to, 256, "%s/%s", root, name);
    return to;
}

static void put(const char *name, const char *text)
{
    char path[256];
    int fd = open(at(name, path), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void move(const char *from, const char *to)
{
    char a[256];
    char b[256];
    assert_int_equal(rename(at(from, a), at(to, b)), 0);
}

static void link_to(const char *target, const char *name)
{
    char path[256];
    assert_int_equal(symlink(target, at(name, path)), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    assert_int_equal(mkdir(at(name, path), 0700), 0);
}

static struct file_watch *watch(struct loop *loop, const char *name, int64_t settle_ms,
                                struct seen *seen)
{
    char path[256];
    struct file_watch *w = NULL;
    struct err err;
    if (file_watch_new(&w, loop, at(name, path), settle_ms, on_change, seen, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return w;
}

/* What did not happen by then does not happen. */
static void wait_ms(struct loop *loop, int64_t ms)
{
    int64_t end = instant_mono_ms() + ms;
    TURN_UNTIL(loop, instant_mono_ms() > end);
}

static void test_a_file(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct seen seen = {0};
    put("cert", "1");
    struct file_watch *w = watch(loop, "cert", 5, &seen);
    put("cert", "2"); /* written in place */
    TURN_UNTIL(loop, seen.changes == 1);
    put("new", "3");
    wait_ms(loop, 20);
    assert_int_equal(seen.changes, 1); /* another file */
    move("new", "cert");               /* replaced */
    TURN_UNTIL(loop, seen.changes == 2);
    char path[256];
    assert_int_equal(unlink(at("cert", path)), 0);
    TURN_UNTIL(loop, seen.changes == 3);
    put("cert", "4");
    TURN_UNTIL(loop, seen.changes == 4);
    file_watch_free(w);
    put("cert", "5");
    wait_ms(loop, 20);
    assert_int_equal(seen.changes, 4);
    file_watch_free(NULL);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static void test_a_burst_is_told_once(void **state)
{
    UNUSED(state);
    instant_fake_start(1000000000, 0); /* inotify does not wait, and the settling is up to us */
    struct loop *loop = loop_new(false);
    struct seen seen = {0};
    put("burst", "");
    struct file_watch *w = watch(loop, "burst", 50, &seen);
    for (int i = 0; i < 20; i++) {
        put("burst", "x");
        (void)loop_turn(loop, false);
        instant_fake_advance(2000000);
    }
    assert_int_equal(seen.changes, 0);
    instant_fake_advance(10000000);
    (void)loop_turn(loop, false);
    assert_int_equal(seen.changes, 1); /* 50 ms after the first: not put off by the others */
    instant_fake_advance(1000000000);
    (void)loop_turn(loop, false);
    assert_int_equal(seen.changes, 1);
    file_watch_free(w);
    loop_free(loop);
    instant_fake_stop();
}

/* tls.crt -> ..data/tls.crt, ..data -> ..1: the kubelet makes ..2 and renames a link over ..data. */
static void test_a_kubernetes_volume(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct seen seen = {0};
    make_folder("volume");
    make_folder("volume/..1");
    put("volume/..1/tls.crt", "one");
    link_to("..1", "volume/..data");
    link_to("..data/tls.crt", "volume/tls.crt");
    struct file_watch *w = watch(loop, "volume/tls.crt", 5, &seen);
    make_folder("volume/..2");
    put("volume/..2/tls.crt", "two");
    link_to("..2", "volume/..data_tmp");
    wait_ms(loop, 20);
    int before = seen.changes;
    move("volume/..data_tmp", "volume/..data");
    TURN_UNTIL(loop, seen.changes == before + 1);
    file_watch_free(w);
    loop_free(loop);
}

static void test_a_folder_that_goes_and_comes(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct seen seen = {0};
    make_folder("folder");
    struct file_watch *w = watch(loop, "folder", 5, &seen);
    put("folder/any", "1");
    TURN_UNTIL(loop, seen.changes == 1);
    move("folder", "elsewhere");
    TURN_UNTIL(loop, seen.changes == 2);
    put("elsewhere/any", "not ours any more");
    make_folder("folder");
    TURN_UNTIL(loop, seen.changes == 3);
    put("folder/any", "2");
    TURN_UNTIL(loop, seen.changes == 4);
    file_watch_free(w);
    loop_free(loop);
}

static void test_what_is_not_there(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct file_watch *w = NULL;
    struct err err;
    char path[256];
    assert_int_equal(file_watch_new(&w, loop, at("missing", path), 5, on_change, NULL, &err),
                     -ENOENT);
    assert_non_null(strstr(err.text, path));
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static void test_paths(void **state)
{
    UNUSED(state);
    static const struct {
        const char *path;
        bool is_folder;
        const char *folder;
        const char *name;
    } cases[] = {
        {"/a/b", false, "/a", "b"}, {"/b", false, "/", "b"},  {"b", false, ".", "b"},
        {"a/b", false, "a", "b"},   {"/a", true, "/a", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct file_watch w = {.watch = -1};
        split_path(&w, cases[i].path, cases[i].is_folder);
        assert_string_equal(w.folder, cases[i].folder);
        if (cases[i].name == NULL) {
            assert_null(w.name);
        } else {
            assert_string_equal(w.name, cases[i].name);
        }
        mem_free(w.folder);
        mem_free(w.name);
    }
}

static int make_root(void **state)
{
    UNUSED(state);
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    UNUSED(state);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file),
        cmocka_unit_test(test_a_burst_is_told_once),
        cmocka_unit_test(test_a_kubernetes_volume),
        cmocka_unit_test(test_a_folder_that_goes_and_comes),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}

/* Folder, networks and ports of a demo. */
#include "cli/demo_place.c"

#include <dirent.h>

#include "unit/cm.h"

struct nest {
    struct loop *loop;
    char run[64]; /* in place of XDG_RUNTIME_DIR */
};

static int setup(void **state)
{
    static struct nest nest;
    (void)snprintf(nest.run, sizeof(nest.run), "/tmp/demo_place_test.XXXXXX");
    assert_non_null(mkdtemp(nest.run));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", nest.run, 1), 0);
    nest.loop = loop_new(false);
    *state = &nest;
    return 0;
}

static int teardown(void **state)
{
    struct nest *nest = *state;
    loop_free(nest->loop);
    remove_tree(nest->run);
    return 0;
}

static size_t entries_of(const char *folder)
{
    size_t count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count - 2;
}

static void test_two_demos(void **state)
{
    struct nest *nest = *state;
    struct demo_place a, b;
    struct err err = {.code = 0};
    struct stat st;

    assert_int_equal(demo_place_take(&a, nest->loop, -1, &err), 0);
    assert_int_equal(demo_place_take(&b, nest->loop, -1, &err), 0);
    assert_string_not_equal(a.folder, b.folder);
    assert_true(span_ends(span_of(b.folder), SPAN("/mesh-demo-2")));
    assert_int_not_equal(a.network, b.network);
    assert_true(demo_place_is_live(a.folder) && demo_place_is_live(b.folder));
    assert_int_equal(stat(a.folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    demo_place_leave(&a);
    assert_int_equal(entries_of(nest->run), 1);
    demo_place_leave(&b);
    demo_place_leave(&b);
    assert_int_equal(entries_of(nest->run), 0);
}

/* A demo that was killed leaves its folder; the next one takes it over. */
static void test_left_behind(void **state)
{
    struct nest *nest = *state;
    struct demo_place p;
    struct err err = {.code = 0};
    char folder[PATHS_BYTES], path[PATHS_BYTES + 16];

    (void)demo_place_folder(0, folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/config", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/config/old.yaml", folder);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    (void)snprintf(path, sizeof(path), "%s/lock", folder);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    assert_false(demo_place_is_live(folder));
    assert_int_equal(demo_place_take(&p, nest->loop, -1, &err), 0);
    assert_string_equal(p.folder, folder);
    assert_int_equal(entries_of(folder), 1);
    demo_place_leave(&p);
    assert_int_equal(entries_of(nest->run), 0);
}

/* What is open to others, or no folder, is somebody's trap: it is left alone. */
static void test_not_ours(void **state)
{
    struct nest *nest = *state;
    struct demo_place p;
    struct err err = {.code = 0};
    char open_one[PATHS_BYTES], link[PATHS_BYTES];

    (void)demo_place_folder(0, open_one);
    (void)demo_place_folder(1, link);
    assert_int_equal(mkdir(open_one, 0700), 0);
    assert_int_equal(chmod(open_one, 0777), 0);
    assert_int_equal(symlink(open_one, link), 0);
    assert_int_equal(demo_place_take(&p, nest->loop, -1, &err), 0);
    assert_true(span_ends(span_of(p.folder), SPAN("/mesh-demo-3")));
    demo_place_leave(&p);
    assert_int_equal(entries_of(nest->run), 2);
}

static void test_busy_port(void **state)
{
    struct nest *nest = *state;
    struct demo_place a, b;
    struct listener *busy;
    struct err err = {.code = 0};

    assert_int_equal(demo_place_take(&a, nest->loop, -1, &err), 0);
    demo_place_leave(&a);
    assert_int_equal(open_port(nest->loop, "127.0.0.1", a.shop_port, &busy), 0);
    assert_int_equal(demo_place_take(&b, nest->loop, -1, &err), 0);
    assert_true(b.shop_port > a.shop_port);
    demo_place_leave(&b);
    listener_close(busy);
}

static void test_adapt(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"a: b\n", "a: b\n"},
        {"address: 127.66.0.11\n", "address: 127.66.6.11\n"},
        {"[127.66.0.1, 127.66.0.2, 127.66.1.2]", "[127.66.6.1, 127.66.6.2, 127.66.1.2]"},
        {"[{type: IPAddress, value: 127.0.0.1}]", "[{type: IPAddress, value: 10.66.6.2}]"},
        {"      port: 8080\n", "      port: 8099\n"},
        {"port: 9080, name: 127.66.0", "port: 9080, name: 127.66.0"},
    };
    const struct demo_place p = {.net = "127.66.6.", .shop_ip = "10.66.6.2", .shop_port = 8099};
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(demo_place_adapt(&p, span_of(cases[i].text), &out), 0);
        assert_span(buf_span(&out), cases[i].want);
        buf_dispose(&out);
    }
}

static void test_write(void **state)
{
    struct nest *nest = *state;
    struct demo_place p;
    struct err err = {.code = 0};
    char path[PATHS_BYTES], text[16];

    assert_int_equal(demo_place_take(&p, nest->loop, -1, &err), 0);
    assert_int_equal(demo_place_write(&p, "file", SPAN("one"), &err), 0);
    assert_int_equal(demo_place_write(&p, "file", SPAN("two"), &err), 0);
    FILE *f = fopen(demo_place_path(&p, "file", path), "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    assert_string_equal(text, "two");
    (void)fclose(f);
    assert_int_equal(demo_place_write(&p, "none/file", SPAN("x"), &err), -ENOENT);
    demo_place_leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_demos, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_port, setup, teardown),
        cmocka_unit_test(test_adapt),
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

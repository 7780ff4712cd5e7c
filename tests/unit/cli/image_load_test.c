/* How an image gets to nodes: by the context's name and what is in PATH. */
#include "cli/image_load.c"

#include <stdio.h>
#include <sys/stat.h>

#include "unit/cm.h"

static void test_choose(void **state)
{
    UNUSED(state);
    static const struct {
        const char *context, *tool, *command;
    } cases[] = {
        {"kind-demo", "kind", "kind load image-archive m.tar --name demo"},
        {"docker-desktop", "docker", "docker load -i m.tar"},
        {"minikube", NULL, "skopeo copy"}, /* not in PATH */
        {"production", NULL, "skopeo copy"},
    };
    char folder[] = "/tmp/mesh-image-XXXXXX", kind[64], docker[64];
    struct verb v = {.flags = NULL};
    arena_init(&v.arena, 1024);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(kind, sizeof kind, "%s/kind", folder);
    (void)snprintf(docker, sizeof docker, "%s/docker", folder);
    FILE *f = fopen(kind, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(chmod(kind, 0755), 0);
    assert_int_equal(symlink("kind", docker), 0);
    assert_int_equal(setenv("PATH", arena_printf(&v.arena, "/nowhere:%s", folder), 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct image_load load;
        image_load_choose(&v, cases[i].context, "m.tar", "mesh:v1", &load);
        if (cases[i].tool) {
            assert_string_equal(load.tool, cases[i].tool);
            assert_string_equal(load.command, cases[i].command);
            assert_int_equal(load.argv[0][0], '/');
        } else {
            assert_null(load.tool);
            assert_int_equal(strncmp(load.command, cases[i].command, strlen(cases[i].command)), 0);
        }
    }
    unlink(kind);
    unlink(docker);
    rmdir(folder);
    arena_dispose(&v.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_choose)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

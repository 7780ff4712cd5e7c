#include "io/worker_cpu.c"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit/io/io_help.h"

static char root[] = "/tmp/worker_cpu_XXXXXX";

static void write_file(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s/%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(full, 0700); /* may be there */
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static int make_tree(void **state)
{
    UNUSED(state);
    assert_non_null(mkdtemp(root));
    write_file("v2/cpu.max", "max 100000\n");
    write_file("v2/pod/cpu.max", "250000 100000\n");
    write_file("v2/pod/inner/cpu.max", "max 100000\n");
    write_file("v2/small/cpu.max", "5000 100000\n");
    write_file("v2/odd/cpu.max", "banana\n");
    write_file("v2/zero/cpu.max", "100000 0\n");
    write_file("v1/cpu,cpuacct/pod/cpu.cfs_quota_us", "400000\n");
    write_file("v1/cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
    write_file("v1/cpu,cpuacct/free/cpu.cfs_quota_us", "-1\n");
    write_file("v1/cpu,cpuacct/free/cpu.cfs_period_us", "100000\n");
    write_file("v1b/cpu/cpu.cfs_quota_us", "150000\n");
    write_file("v1b/cpu/cpu.cfs_period_us", "100000\n");
    return 0;
}

static int remove_tree(void **state)
{
    UNUSED(state);
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

static void test_quotas(void **state)
{
    UNUSED(state);
    static const struct {
        const char *sys;
        const char *table;
        unsigned want;
    } cases[] = {
        {"v2", "0::/\n", UINT32_MAX},
        {"v2", "0::/pod\n", 3},
        {"v2", "0::/pod/inner\n", 3}, /* bounded by the outer group */
        {"v2", "0::/pod/missing/deeper\n", 3},
        {"v2", "0::/small\n", 1},
        {"v2", "0::/odd\n", UINT32_MAX},
        {"v2", "0::/zero\n", UINT32_MAX},
        {"v2", "0::/../../x\n", UINT32_MAX},
        {"v2", "", UINT32_MAX},
        {"v2", "junk\n::\n:::\n", UINT32_MAX},
        {"v1", "9:memory:/pod\n4:cpu,cpuacct:/pod\n0::/\n", 4},
        {"v1", "4:cpu,cpuacct:/free\n", UINT32_MAX},
        {"v1", "4:cpuset:/pod\n", UINT32_MAX},
        {"v1b", "4:cpu,cpuacct:/docker/0123\n", 2}, /* the path is the host's; the mount is ours */
        {"none", "0::/pod\n4:cpu:/pod\n", UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char sys[128];
        (void)snprintf(sys, sizeof(sys), "%s/%s", root, cases[i].sys);
        assert_int_equal(cgroup_quota(sys, span_of(cases[i].table)), cases[i].want);
    }
}

static void test_this_machine(void **state)
{
    UNUSED(state);
    cpu_set_t before;
    cpu_set_t one;
    unsigned all = worker_cpu_quota();
    assert_true(all >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    assert_true(all <= (unsigned)CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(worker_cpu_quota(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}

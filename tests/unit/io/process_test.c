#include "io/process.c"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "unit/io/io_help.h"

struct watched {
    int exits;
    int status;
    bool frees;
    struct process *process;
};

static void on_exit_of(void *arg, struct process *p, int status)
{
    struct watched *w = arg;
    w->exits++;
    w->status = status;
    if (w->frees) {
        process_free(p);
        w->process = NULL;
    }
}

static const struct process_spec plain = {.out_fd = -1, .err_fd = -1, .net_ns_fd = -1};

/* Runs it to its end and returns the status; its output is in `out`. */
static int run(const struct process_spec *base, const char *const *argv, char *out, size_t room)
{
    struct loop *loop = loop_new(false);
    struct watched w = {.frees = true};
    struct process_spec spec = *base;
    struct err err;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spec.argv = argv;
    spec.out_fd = ends[1];
    if (process_start(&w.process, loop, &spec, on_exit_of, &w, &err) != 0) {
        fail_msg("%s", err.text);
    }
    close(ends[1]);
    assert_true(process_pid(w.process) > 0);
    TURN_UNTIL(loop, w.exits == 1);
    ssize_t n;
    size_t len = 0;
    while ((n = read(ends[0], out + len, room - 1 - len)) > 0) {
        len += (size_t)n;
    }
    out[len] = '\0';
    close(ends[0]);
    loop_free(loop);
    assert_null(w.process);
    return w.status;
}

static void test_output_environment_status(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    char out[256];
    struct process_spec spec = plain;
    spec.env = (const char *const[]){"MESH_TEST_ADDED=yes", "PATH=/bin", "HOMER=1", NULL};
    assert_int_equal(setenv("HOME", "/unchanged", 1), 0);
    int status = run(&spec,
                     (const char *const[]){
                         "/bin/sh", "-c", "echo $MESH_TEST_ADDED $PATH $HOME $HOMER; exit 7", NULL},
                     out, sizeof(out));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(out, "yes /bin /unchanged 1\n");
    assert_int_equal(open_fds(), fds);
}

/* What we read is the child's only when it shall be. */
static void test_input(void **state)
{
    UNUSED(state);
    static const char *const argv[] = {"/bin/sh", "-c", "read x; echo \"<$x>\"", NULL};
    char out[64];
    int ends[2];
    int ours = dup(STDIN_FILENO);
    struct process_spec spec = plain;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "word\n", 5), 5);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    run(&spec, argv, out, sizeof(out));
    assert_string_equal(out, "<>\n");
    spec.keep_in = true;
    run(&spec, argv, out, sizeof(out));
    assert_string_equal(out, "<word>\n");
    assert_int_equal(dup2(ours, STDIN_FILENO), STDIN_FILENO);
    close(ours);
}

static void test_own_group(void **state)
{
    UNUSED(state);
    char out[64];
    struct process_spec spec = plain;
    const char *const argv[] = {"/bin/sh", "-c", "cut -d ' ' -f 5 /proc/$$/stat", NULL};
    (void)run(&spec, argv, out, sizeof(out));
    assert_int_equal(strtol(out, NULL, 10), getpgrp());
    spec.own_group = true;
    (void)run(&spec, argv, out, sizeof(out));
    assert_true(strtol(out, NULL, 10) > 0);
    assert_int_not_equal(strtol(out, NULL, 10), getpgrp());
}

/* Only 0, 1 and 2 (and what ls opens) reach the child, and its signals are as in a fresh process. */
static void test_nothing_leaks_into_the_child(void **state)
{
    UNUSED(state);
    char out[1024];
    sigset_t term;
    sigset_t before;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    int status =
        run(&plain, (const char *const[]){"/bin/ls", "/proc/self/fd", NULL}, out, sizeof(out));
    assert_int_equal(status, 0);
    assert_string_equal(out, "0\n1\n2\n3\n");
    status =
        run(&plain,
            (const char *const[]){"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL},
            out, sizeof(out));
    assert_int_equal(status, 0);
    unsigned long long blocked = 1;
    unsigned long long ignored = 1;
    assert_int_equal(sscanf(out, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & (1ULL << (SIGPIPE - 1)), 0); /* others: of who started us */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
}

static void test_failures_to_start(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    int with_loop = open_fds();
    struct process *p = NULL;
    struct watched w = {.exits = 0};
    struct err err;
    struct process_spec spec = plain;
    spec.argv = (const char *const[]){"/no/such/program", NULL};
    assert_int_equal(process_start(&p, loop, &spec, on_exit_of, &w, &err), -ENOENT);
    assert_non_null(strstr(err.text, "'/no/such/program': could not execute it"));
    spec.argv = (const char *const[]){"/etc/passwd", NULL};
    assert_int_equal(process_start(&p, loop, &spec, on_exit_of, &w, &err), -EACCES);
    spec.argv = (const char *const[]){"/bin/true", NULL};
    spec.out_fd = 1000;
    assert_int_equal(process_start(&p, loop, &spec, on_exit_of, &w, &err), -EBADF);
    spec.out_fd = -1;
    spec.net_ns_fd = 0; /* no namespace */
    assert_true(process_start(&p, loop, &spec, on_exit_of, &w, &err) < 0);
    assert_non_null(strstr(err.text, "network namespace"));
    assert_null(p);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* all reaped */
    assert_int_equal(open_fds(), with_loop);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static void test_signal_and_free(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct watched w = {.frees = false};
    struct process_spec spec = plain;
    struct err err;
    spec.argv = (const char *const[]){"/bin/sleep", "1000", NULL};
    assert_int_equal(process_start(&w.process, loop, &spec, on_exit_of, &w, &err), 0);
    assert_int_equal(process_signal(w.process, SIGTERM), 0);
    TURN_UNTIL(loop, w.exits == 1);
    assert_true(WIFSIGNALED(w.status));
    assert_int_equal(WTERMSIG(w.status), SIGTERM);
    assert_int_equal(process_signal(w.process, SIGTERM), -ESRCH);
    process_free(w.process);
    /* freed while it runs: ended, and nothing is told */
    assert_int_equal(process_start(&w.process, loop, &spec, on_exit_of, &w, &err), 0);
    int pid = process_pid(w.process);
    process_free(w.process);
    assert_int_equal(kill(pid, 0), -1);
    (void)loop_turn(loop, false);
    assert_int_equal(w.exits, 1);
    process_free(NULL);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

/* Where the kernel has no pidfd. */
static void test_polling(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct watched w = {.frees = true};
    struct process_spec spec = plain;
    struct err err;
    spec.argv = (const char *const[]){"/bin/true", NULL};
    assert_int_equal(process_start(&w.process, loop, &spec, on_exit_of, &w, &err), 0);
    loop_fd_dispose(&w.process->fd);
    close(w.process->pidfd);
    w.process->pidfd = -1;
    deadline_arm(&w.process->poll, loop, 1);
    TURN_UNTIL(loop, w.exits == 1);
    assert_int_equal(w.status, 0);
    loop_free(loop);
}

/* A child of ours that starts a child of its own and is killed: the grandchild goes, too. */
static void test_children_die_with_their_parent(void **state)
{
    UNUSED(state);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct loop *loop = loop_new(false);
        struct watched w = {.frees = false};
        struct process_spec spec = plain;
        struct err err;
        spec.argv = (const char *const[]){"/bin/sleep", "1000", NULL};
        spec.out_fd = ends[1]; /* open for as long as it lives */
        _exit(process_start(&w.process, loop, &spec, on_exit_of, &w, &err) == 0 &&
                      write(ends[1], "x", 1) == 1 && raise(SIGKILL) == 0
                  ? 0
                  : 1);
    }
    close(ends[1]);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* no writer is left */
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_true(WIFSIGNALED(status));
}

static void test_own_binary(void **state)
{
    UNUSED(state);
    char out[256];
    struct stat self;
    struct stat named;
    assert_int_equal(stat(process_self(), &self), 0);
    assert_int_equal(stat("/proc/self/exe", &named), 0);
    assert_int_equal(self.st_ino, named.st_ino);
    int status = run(&plain, (const char *const[]){NULL, "inner", NULL}, out, sizeof(out));
    assert_int_equal(status, 0);
    assert_string_equal(out, "mesh inner\n");
}

/* Without the right to a mount namespace it says which step failed. */
static void test_resolv_conf(void **state)
{
    UNUSED(state);
    static const char *const argv[] = {"/bin/cat", "/etc/resolv.conf", NULL};
    char file[] = "/tmp/process_test.XXXXXX";
    char out[256];
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "nameserver 192.0.2.1\n", 21), 21);
    (void)close(fd);
    struct process_spec spec = plain;
    struct process *p = NULL;
    struct err err;
    struct loop *loop = loop_new(false);
    spec.argv = argv;
    spec.resolv_conf = "/nowhere/at/all";
    assert_true(process_start(&p, loop, &spec, NULL, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "could not give it a resolv.conf"));
    loop_free(loop);
    spec.resolv_conf = file;
    if (geteuid() == 0 && access("/etc/resolv.conf", F_OK) == 0) {
        assert_int_equal(run(&spec, argv, out, sizeof(out)), 0);
        assert_string_equal(out, "nameserver 192.0.2.1\n");
        assert_int_equal(run(&plain, argv, out, sizeof(out)), 0);
        assert_string_not_equal(out, "nameserver 192.0.2.1\n"); /* nobody else sees it */
    }
    (void)unlink(file);
}

static void test_namespace_and_user(void **state)
{
    UNUSED(state);
    char out[256];
    char path[64];
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t holder = fork();
    if (holder == 0) {
        char made = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &made, 1);
        pause();
        _exit(0);
    }
    char made = 'n';
    assert_int_equal(read(ready[0], &made, 1), 1);
    close(ready[0]);
    close(ready[1]);
    if (made == 'n') {
        assert_int_equal(kill(holder, SIGKILL), 0);
        assert_int_equal(waitpid(holder, NULL, 0), holder);
        skip(); /* needs CAP_SYS_ADMIN */
    }
    char ours[64] = "";
    char theirs[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", holder);
    assert_true(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) > 0);
    assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
    assert_string_not_equal(ours, theirs);
    struct process_spec spec = plain;
    spec.net_ns_fd = open(path, O_RDONLY | O_CLOEXEC);
    spec.uid = spec.gid = 1337;
    int status = run(
        &spec,
        (const char *const[]){"/bin/sh", "-c", "readlink /proc/self/ns/net; id -u; id -G", NULL},
        out, sizeof(out));
    assert_int_equal(status, 0);
    char want[128];
    (void)snprintf(want, sizeof(want), "%s\n1337\n1337\n", theirs);
    assert_string_equal(out, want);
    close(spec.net_ns_fd);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

int main(int argc, char **argv)
{
    if (argc == 2) { /* started by test_own_binary */
        (void)printf("%s %s\n", argv[0], argv[1]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_environment_status),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_own_group),
        cmocka_unit_test(test_nothing_leaks_into_the_child),
        cmocka_unit_test(test_failures_to_start),
        cmocka_unit_test(test_signal_and_free),
        cmocka_unit_test(test_polling),
        cmocka_unit_test(test_children_die_with_their_parent),
        cmocka_unit_test(test_own_binary),
        cmocka_unit_test(test_resolv_conf),
        cmocka_unit_test(test_namespace_and_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

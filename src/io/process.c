/* Child processes: fork and exec with everything set up in between, told back through a pipe that a
 * successful exec closes; the end is an event of a pidfd.
 * In: argv from run/run.c, cli/cmd_demo.c.  Out: on_exit. */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/deadline.h"

enum {
    POLL_MS = 50,      /* where the kernel has no pidfd (before 5.3) */
    CLOEXEC_RANGE = 4, /* CLOSE_RANGE_CLOEXEC, which not every libc names */
};

struct process {
    struct loop *loop; /* borrowed */
    pid_t pid;
    bool has_ended;
    int pidfd; /* -1 = polled */
    struct loop_fd fd;
    struct deadline poll;
    process_on_exit on_exit;
    void *arg;
};

/* What the child tells of its failure: the step, and errno. */
struct failure {
    int step;
    int error;
};

enum step { STEP_DIE_WITH_PARENT, STEP_NET_NS, STEP_RESOLV_CONF, STEP_FILES, STEP_USER, STEP_EXEC };

static const char *const step_names[] = {
    [STEP_DIE_WITH_PARENT] = "tie its life to ours",
    [STEP_NET_NS] = "enter its network namespace",
    [STEP_RESOLV_CONF] = "give it a resolv.conf",
    [STEP_FILES] = "set up its files",
    [STEP_USER] = "become its user",
    [STEP_EXEC] = "execute it",
};

/* All that the child needs, prepared before the fork: after it only plain system calls are safe. */
struct child {
    const char *path;
    char **argv;
    char **env;
    const struct process_spec *spec;
    pid_t parent;
    int report; /* write end of the pipe */
};

static bool is_replaced(const char *entry, const char *const *additions)
{
    size_t key = strcspn(entry, "=") + 1;
    for (size_t i = 0; additions != NULL && additions[i] != NULL; i++) {
        if (strncmp(entry, additions[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* Ours without what `additions` replaces, then those; borrowed texts in an array to free. */
static char **make_env(const char *const *additions)
{
    size_t count = 0;
    size_t more = 0;
    while (environ[count] != NULL) {
        count++;
    }
    while (additions != NULL && additions[more] != NULL) {
        more++;
    }
    char **env = mem_array(count + more + 1, sizeof(*env));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_replaced(environ[i], additions)) {
            env[n++] = environ[i];
        }
    }
    for (size_t i = 0; i < more; i++) {
        env[n++] = (char *)(uintptr_t)additions[i]; /* execve does not write through it */
    }
    env[n] = NULL;
    return env;
}

static char **make_argv(const char *const *argv)
{
    size_t count = 1;
    while (argv[count] != NULL) {
        count++;
    }
    char **copy = mem_array(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i] = (char *)(uintptr_t)(argv[i] != NULL ? argv[i] : "mesh");
    }
    copy[count] = NULL;
    return copy;
}

/* Handlers write to the parent's eventfd: gone before signals are let in. What the parent ignores stays
 * ignored (nohup), but for SIGPIPE, which is a choice of ours. */
static void reset_signals(void)
{
    struct sigaction action;
    for (int signo = 1; signo < NSIG; signo++) {
        if (sigaction(signo, NULL, &action) == 0 &&
            (action.sa_handler != SIG_IGN || signo == SIGPIPE)) {
            (void)signal(signo, SIG_DFL); /* SIGKILL and SIGSTOP refuse, rightly */
        }
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool set_files(const struct process_spec *spec)
{
    /* First away from 0, 1 and 2, where the ones in use could be overwritten. */
    int out = spec->out_fd >= 0 ? fcntl(spec->out_fd, F_DUPFD_CLOEXEC, 3) : STDOUT_FILENO;
    int err = spec->err_fd >= 0 ? fcntl(spec->err_fd, F_DUPFD_CLOEXEC, 3) : STDERR_FILENO;
    int in = spec->keep_in ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    return out >= 0 && err >= 0 && (in < 0 || dup2(in, STDIN_FILENO) >= 0) &&
           dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0;
}

/* Ours are all close-on-exec; what we inherited without that goes no further either. */
static void close_inherited(void)
{
    (void)syscall(SYS_close_range, 3U, ~0U, CLOEXEC_RANGE); /* not before Linux 5.11 */
}

/* Nothing of this is seen elsewhere: the mount namespace is the child's own, and hands nothing back. */
static bool set_resolv_conf(const char *path)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
}

static bool set_user(const struct process_spec *spec)
{
    if (spec->gid != 0 && (setgroups(0, NULL) == -1 || setgid(spec->gid) == -1)) {
        return false;
    }
    return spec->uid == 0 || setuid(spec->uid) == 0;
}

/* In the child; comes back only with the step that failed. */
static enum step child_steps(const struct child *c)
{
    const struct process_spec *spec = c->spec;
    reset_signals();
    if (spec->own_group) {
        (void)setpgid(0, 0); /* only refused to session leaders, which have a group of their own */
    }
    if (spec->net_ns_fd >= 0 && setns(spec->net_ns_fd, CLONE_NEWNET) == -1) {
        return STEP_NET_NS;
    }
    if (spec->resolv_conf != NULL && !set_resolv_conf(spec->resolv_conf)) {
        return STEP_RESOLV_CONF;
    }
    if (!set_files(spec)) {
        return STEP_FILES;
    }
    close_inherited();
    if (!set_user(spec)) {
        return STEP_USER;
    }
    /* After the change of user, which clears it. If the parent died before, nobody would tell. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) {
        return STEP_DIE_WITH_PARENT;
    }
    if (getppid() != c->parent) {
        errno = ESRCH;
        return STEP_DIE_WITH_PARENT;
    }
    (void)execve(c->path, c->argv, c->env);
    return STEP_EXEC;
}

static void child_main(const struct child *c) __attribute__((noreturn));
static void child_main(const struct child *c)
{
    struct failure failure = {.step = (int)child_steps(c)};
    failure.error = errno;
    ssize_t n = write(c->report, &failure, sizeof(failure));
    _exit(n == (ssize_t)sizeof(failure) ? 127 : 126);
}

/* Forks with all signals blocked, so that the child gets none before its handlers are gone. */
static pid_t fork_child(const struct child *c)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        child_main(c);
    }
    int error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
}

static int reap(pid_t pid, int flags, int *status)
{
    pid_t got;
    do {
        got = waitpid(pid, status, flags);
    } while (got == -1 && errno == EINTR);
    return got;
}

/* The child's pid once it executes, or the failure. */
static pid_t run_child(struct child *c, struct err *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) == -1) {
        return err_set(err, -errno, "can not start '%s': no pipe: %s", c->path, err_name(-errno));
    }
    c->report = report[1];
    c->parent = getpid();
    pid_t pid = fork_child(c);
    (void)close(report[1]); /* the child has its own */
    struct failure failure = {.error = 0};
    ssize_t n = 0;
    while (pid > 0 && (n = read(report[0], &failure, sizeof(failure))) == -1 && errno == EINTR) {
    }
    (void)close(report[0]); /* only read from */
    if (pid < 0) {
        return err_set(err, pid, "can not start '%s': no process: %s", c->path, err_name(pid));
    }
    if (n != (ssize_t)sizeof(failure)) {
        return pid; /* closed by exec */
    }
    int status;
    (void)reap(pid, 0, &status); /* it has said why */
    return err_set(err, -failure.error, "can not start '%s': could not %s: %s", c->path,
                   step_names[failure.step], err_name(-failure.error));
}

/* Whether it has ended, and then tells so. */
static bool check_ended(struct process *p)
{
    int status = 0;
    if (reap(p->pid, WNOHANG, &status) == 0) {
        return false;
    }
    p->has_ended = true;
    if (p->pidfd >= 0) {
        loop_fd_watch(&p->fd, 0);
    }
    p->on_exit(p->arg, p, status);
    return true;
}

static void on_pidfd(struct loop_fd *fd, unsigned events)
{
    UNUSED(events);
    (void)check_ended(container_of(fd, struct process, fd));
}

static void on_poll(struct deadline *d)
{
    struct process *p = container_of(d, struct process, poll);
    struct loop *loop = p->loop;
    if (!check_ended(p)) {
        deadline_arm(d, loop, POLL_MS);
    }
}

int process_start(struct process **out, struct loop *loop, const struct process_spec *spec,
                  process_on_exit on_exit, void *arg, struct err *err)
{
    struct child child = {.path = spec->argv[0] != NULL ? spec->argv[0] : process_self(),
                          .argv = make_argv(spec->argv),
                          .env = make_env(spec->env),
                          .spec = spec};
    pid_t pid = run_child(&child, err);
    mem_free(child.argv);
    mem_free(child.env);
    if (pid < 0) {
        return pid;
    }
    struct process *p = mem_new(struct process);
    p->loop = loop;
    p->pid = pid;
    p->on_exit = on_exit;
    p->arg = arg;
    deadline_init(&p->poll, on_poll);
    p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
    if (p->pidfd >= 0) {
        loop_fd_init(&p->fd, loop, p->pidfd, on_pidfd);
        loop_fd_watch(&p->fd, IO_READ);
    } else {
        deadline_arm(&p->poll, loop, POLL_MS);
    }
    *out = p;
    return 0;
}

int process_pid(const struct process *p)
{
    return p->pid;
}

int process_signal(struct process *p, int signo)
{
    if (p->has_ended) {
        return -ESRCH; /* the number may be another's by now */
    }
    return kill(p->pid, signo) == -1 ? -errno : 0;
}

void process_free(struct process *p)
{
    if (p == NULL) {
        return;
    }
    if (!p->has_ended) {
        int status;
        (void)kill(p->pid, SIGKILL); /* ours and not reaped: it is there */
        (void)reap(p->pid, 0, &status);
        p->has_ended = true;
    }
    deadline_disarm(&p->poll);
    if (p->pidfd >= 0) {
        loop_fd_dispose(&p->fd);
        (void)close(p->pidfd); /* nothing is left to do about a failure */
    }
    loop_bury(p->loop, mem_free, p);
}

const char *process_self(void)
{
    return "/proc/self/exe";
}

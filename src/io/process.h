#ifndef IO_PROCESS_H
#define IO_PROCESS_H
/* Child processes, for `run` and `demo`: started without a shell, ended by signal, reaped as events.
 * Children die with us (PR_SET_PDEATHSIG: with the thread that started them, so the main thread does). */
#include "base/compiler.h"
#include "base/err.h"
#include "io/loop.h"

struct process;
struct process_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is the path, or NULL = our own binary */
    const char *const *env;  /* NULL-terminated additions "K=V", or NULL */
    int out_fd, err_fd;      /* given to the child as 1 and 2; -1 = ours */
    int net_ns_fd;           /* network namespace to enter; -1 = ours */
    uint32_t uid, gid;       /* 0 = ours */
    bool own_group;          /* Ctrl-C at the terminal is for us alone */
    bool keep_in;            /* it reads where we would; else /dev/null */
    const char *
        resolv_conf; /* file that it sees as /etc/resolv.conf, in a mount namespace of its own; NULL = ours */
};
/* `status` as waitpid gives it. */
typedef void (*process_on_exit)(void *arg, struct process *p, int status);

MUST_USE int process_start(struct process **out, struct loop *loop, const struct process_spec *spec,
                           process_on_exit on_exit, void *arg, struct err *err);
int process_pid(const struct process *p);
MUST_USE int process_signal(struct process *p, int signo);
/* Ends it with SIGKILL if it still runs; no on_exit. */
void process_free(struct process *p);
/* A path that opens our own executable, wherever it lies, even if its file was replaced; static text. */
const char *process_self(void);
#endif

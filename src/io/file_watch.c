/* Changes of files, by inotify on their folder. */
#include "io/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/span.h"
#include "io/deadline.h"

enum {
    RETRY_MS = 1000, /* while the folder itself is gone */
    EVENT_BYTES = 4096,
    CHANGES = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB,
    FOLDER_GONE = IN_DELETE_SELF | IN_MOVE_SELF,
};

struct file_watch {
    struct loop *loop; /* borrowed */
    struct loop_fd fd; /* inotify */
    int watch;         /* -1 while the folder is gone */
    char *folder;      /* owned */
    char *name;        /* owned; the file's name in it, or NULL when the folder itself is watched */
    int64_t settle_ms;
    struct deadline settled;
    struct deadline retry;
    void (*on_change)(void *arg);
    void *arg;
};

static void on_settled(struct deadline *d)
{
    struct file_watch *w = container_of(d, struct file_watch, settled);
    w->on_change(w->arg);
}

/* The first change starts the time; those that come within it are told with it. */
static void note_change(struct file_watch *w)
{
    if (!deadline_is_armed(&w->settled)) {
        deadline_arm(&w->settled, w->loop, w->settle_ms);
    }
}

static int add_watch(struct file_watch *w)
{
    w->watch = inotify_add_watch(w->fd.fd, w->folder, CHANGES | FOLDER_GONE | IN_ONLYDIR);
    return w->watch == -1 ? -errno : 0;
}

static void on_retry(struct deadline *d)
{
    struct file_watch *w = container_of(d, struct file_watch, retry);
    if (add_watch(w) == 0) {
        note_change(w); /* whatever is in the new folder was not seen to come */
    } else {
        deadline_arm(&w->retry, w->loop, RETRY_MS);
    }
}

/* Kubernetes swaps a whole volume by renaming a link named "..data", to which the file's own link leads. */
static bool concerns(const struct file_watch *w, const struct inotify_event *event)
{
    if (w->name == NULL || event->len == 0) {
        return true;
    }
    return strcmp(event->name, w->name) == 0 || strncmp(event->name, "..", 2) == 0;
}

static void on_event(struct file_watch *w, const struct inotify_event *event)
{
    if ((event->mask & (FOLDER_GONE | IN_IGNORED)) != 0 && event->wd == w->watch) {
        (void)inotify_rm_watch(w->fd.fd, w->watch); /* moved away: it would tell of a stranger */
        w->watch = -1;
        note_change(w);
        deadline_arm(&w->retry, w->loop, RETRY_MS);
    } else if ((event->mask & IN_Q_OVERFLOW) != 0 ||
               ((event->mask & CHANGES) != 0 && concerns(w, event))) {
        note_change(w);
    }
}

static void on_readable(struct loop_fd *fd, unsigned events)
{
    struct file_watch *w = container_of(fd, struct file_watch, fd);
    _Alignas(struct inotify_event) char bytes[EVENT_BYTES];
    UNUSED(events);
    ssize_t n = read(fd->fd, bytes, sizeof(bytes)); /* whole events only; the rest is told again */
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(bytes + at);
        at += (ssize_t)(sizeof(*event) + event->len);
        on_event(w, event);
    }
}

static void split_path(struct file_watch *w, const char *path, bool is_folder)
{
    const char *slash = strrchr(path, '/');
    if (is_folder) {
        w->folder = mem_strdup(path);
    } else if (slash == NULL) {
        w->folder = mem_strdup(".");
        w->name = mem_strdup(path);
    } else {
        w->folder = slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
        w->name = mem_strdup(slash + 1);
    }
}

int file_watch_new(struct file_watch **out, struct loop *loop, const char *path, int64_t settle_ms,
                   void (*on_change)(void *arg), void *arg, struct err *err)
{
    struct stat status;
    if (stat(path, &status) == -1) {
        return err_set(err, -errno, "can not watch '%s': %s", path, err_name(-errno));
    }
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd == -1) {
        return err_set(err, -errno, "can not watch '%s': no inotify: %s", path, err_name(-errno));
    }
    struct file_watch *w = mem_new(struct file_watch);
    w->loop = loop;
    w->settle_ms = settle_ms;
    w->on_change = on_change;
    w->arg = arg;
    deadline_init(&w->settled, on_settled);
    deadline_init(&w->retry, on_retry);
    split_path(w, path, S_ISDIR(status.st_mode));
    loop_fd_init(&w->fd, loop, fd, on_readable);
    int code = add_watch(w);
    if (code != 0) {
        file_watch_free(w);
        return err_set(err, code, "can not watch '%s': %s", path, err_name(code));
    }
    loop_fd_watch(&w->fd, IO_READ);
    *out = w;
    return 0;
}

static void free_watch(void *obj)
{
    struct file_watch *w = obj;
    mem_free(w->folder);
    mem_free(w->name);
    mem_free(w);
}

void file_watch_free(struct file_watch *w)
{
    if (w == NULL) {
        return;
    }
    deadline_disarm(&w->settled);
    deadline_disarm(&w->retry);
    loop_fd_dispose(&w->fd);
    (void)close(w->fd.fd); /* nothing is left to do about a failure */
    loop_bury(w->loop, free_watch, w);
}

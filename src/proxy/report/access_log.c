/* The access log files of a worker: see access_log.h.
 * In: request/finish, downstream/session_tcp. Out: files, by one write for many lines. */
#include "proxy/report/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/deadline.h"

#define FLUSH_BYTES 16384
#define FLUSH_MS 1000
#define BUFFER_MAX (FLUSH_BYTES + 65536) /* a line is far shorter */

struct access_log {
    struct list node;
    struct access_logs *logs;
    struct access_format *format; /* NULL: could not be made; kept so that it is said once */
    struct span path, key;        /* in `arena` */
    bool filtered;                /* response_flag_filter: only entries with one of these flags */
    uint32_t only_flags;
    int fd;
    struct buf lines;
    struct deadline flush;
    struct arena arena;
};

struct access_logs {
    struct loop *loop;
    struct list all;
};

static void flush(struct access_log *l)
{
    struct span s = buf_span(&l->lines);
    while (s.len > 0 && l->fd >= 0) {
        ssize_t n = write(l->fd, s.at, s.len);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break; /* a full pipe or disk: these lines are lost, traffic goes on */
        }
        s = span_from_offset(s, (size_t)n);
    }
    buf_reset(&l->lines);
    deadline_disarm(&l->flush);
}

static void on_flush(struct deadline *d)
{
    flush(container_of(d, struct access_log, flush));
}

static int open_path(struct span path, struct arena *a)
{
    if (span_is(path, "/dev/stdout")) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    if (span_is(path, "/dev/stderr")) {
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return open(arena_cstr(a, path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

struct access_logs *access_logs_new(struct loop *loop)
{
    struct access_logs *logs = mem_new(struct access_logs);
    logs->loop = loop;
    list_init(&logs->all);
    return logs;
}

static void log_free(struct access_log *l)
{
    flush(l);
    if (l->fd >= 0) {
        close(l->fd);
    }
    list_remove(&l->node);
    buf_dispose(&l->lines);
    arena_dispose(&l->arena);
    mem_free(l);
}

void access_logs_free(struct access_logs *logs)
{
    if (logs == NULL) {
        return;
    }
    LIST_EACH(node, next, &logs->all) {
        log_free(list_item(node, struct access_log, node));
    }
    mem_free(logs);
}

/* All that tells logs apart. */
static struct span key_of(struct arena *a, const struct conf_access_log *conf)
{
    struct buf key;
    buf_init(&key, 1 << 20);
    int code = buf_printf(&key, "%.*s|%d%d%d|%.*s", SPAN_ARG(conf->path), conf->json,
                          conf->omit_empty, conf->any_flag, SPAN_ARG(conf->format));
    for (size_t i = 0; i < conf->only_flag_count && code == 0; i++) {
        code = buf_printf(&key, "|%.*s", SPAN_ARG(conf->only_flags[i]));
    }
    for (size_t i = 0; i < conf->json_count && code == 0; i++) {
        code = buf_printf(&key, "|%.*s=%.*s", SPAN_ARG(conf->json_fields[i].name),
                          SPAN_ARG(conf->json_fields[i].value));
    }
    UNUSED(code); /* configurations are smaller than that */
    struct span text = arena_dup(a, buf_span(&key));
    buf_dispose(&key);
    return text;
}

static struct access_log *log_new(struct access_logs *logs, const struct conf_access_log *conf)
{
    struct access_log *l = mem_new(struct access_log);
    l->logs = logs;
    arena_init(&l->arena, 2048);
    l->key = key_of(&l->arena, conf);
    l->path = arena_dup(&l->arena, conf->path);
    buf_init(&l->lines, BUFFER_MAX);
    deadline_init(&l->flush, on_flush);
    list_push_back(&logs->all, &l->node);
    struct err err;
    if (access_format_compile(&l->format, &l->arena, conf, &err) != 0) {
        l->format = NULL;
        log_warn("access_log", "left out path=%.*s reason=\"%s\"", SPAN_ARG(conf->path), err.text);
    }
    l->filtered = conf->any_flag || conf->only_flag_count > 0;
    l->only_flags = conf->any_flag ? UINT32_MAX : 0;
    for (size_t i = 0; i < conf->only_flag_count; i++) {
        l->only_flags |= outcome_flags_parse(conf->only_flags[i]);
    }
    l->fd = open_path(conf->path, &l->arena);
    if (l->fd == -1) {
        log_warn("access_log", "can not be opened path=%.*s reason=\"%s\"", SPAN_ARG(conf->path),
                 err_name(-errno));
        l->format = NULL;
    }
    return l;
}

struct access_log *access_logs_get(struct access_logs *logs, const struct conf_access_log *conf)
{
    struct arena scratch;
    arena_init(&scratch, 2048);
    struct span key = key_of(&scratch, conf);
    struct access_log *found = NULL;
    LIST_EACH(node, next, &logs->all) {
        struct access_log *l = list_item(node, struct access_log, node);
        if (span_eq(l->key, key)) {
            found = l;
        }
    }
    arena_dispose(&scratch);
    if (found == NULL) {
        found = log_new(logs, conf);
    }
    return found->format != NULL ? found : NULL;
}

void access_log_write(struct access_log *l, const struct access_entry *e)
{
    if (l->filtered && (e->flags & l->only_flags) == 0) {
        return;
    }
    access_format_write(l->format, e, &l->lines);
    if (buf_len(&l->lines) >= FLUSH_BYTES) {
        flush(l);
    } else if (!deadline_is_armed(&l->flush)) {
        deadline_arm(&l->flush, l->logs->loop, FLUSH_MS);
    }
}

void access_logs_reopen(struct access_logs *logs)
{
    LIST_EACH(node, next, &logs->all) {
        struct access_log *l = list_item(node, struct access_log, node);
        int fd = open_path(l->path, &l->arena);
        if (fd != -1) {
            flush(l);
            close(l->fd);
            l->fd = fd;
        }
    }
}

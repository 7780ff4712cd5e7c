/* Objects from a folder. Whatever changes in it, the whole of it is looked at again: what is there is compared by inode, size and times, and only
 * files that differ are read. What was good is remembered in the store, so that a restart beside a bad file changes nothing.
 * In: io/file_watch.  Out: sources.  Next: source.c. */
#include "control/sources/from_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/file_watch.h"

enum {
    SETTLE_MS = 20, /* editors and scripts write several files at once */
    /* A file that was written to so short ago may be half written: it is looked at again before it is believed, but
     * not forever, if somebody writes to it all the time. */
    QUIET_MS = 30,
    POSTPONED_MAX = 30,
};

#define SPACE SPAN("files") /* of the store: the texts of files that were good, by path */

struct from_files {
    struct loop *loop;       /* borrowed */
    struct sources *sources; /* borrowed */
    struct store_port *port; /* owned; NULL without a store */
    char *root;              /* owned; without slash at its end */
    struct map files;        /* by path; struct file, owned */
    struct map folders;      /* by path; struct folder, owned */
    struct deadline again;
    unsigned stamp; /* of this look */
    bool is_first;
    bool is_over; /* too many files: said */
};

struct file {
    struct from_files *owner;
    struct span path; /* behind this struct, with a NUL */
    struct source_origin *origin;
    struct stat status; /* as it was read */
    unsigned stamp;     /* seen at this look */
    unsigned postponed;
    bool is_read;
    bool was_good;             /* in this process, or by the store's memory */
    bool is_recalled;          /* what is in force is what the store remembered */
    struct store_call *recall; /* under way; NULL = none */
};

struct folder {
    struct from_files *owner;
    struct span path; /* behind this struct, with a NUL */
    struct file_watch *watch;
    unsigned stamp;
};

static void look(struct from_files *f);

static void on_change(void *arg)
{
    look(arg);
}

static void on_again(struct deadline *d)
{
    look(container_of(d, struct from_files, again));
}

/* ---- one file ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* By the clock that stamps files, whatever a test's clock says. */
static bool is_fresh(const struct stat *status)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* always there */
    int64_t ms = (now.tv_sec - status->st_mtim.tv_sec) * INT64_C(1000) +
                 (now.tv_nsec - status->st_mtim.tv_nsec) / 1000000;
    return ms >= 0 && ms < QUIET_MS;
}

struct reading {
    struct object **objects;
    size_t count, room;
};

static void on_object(void *arg, struct object *o)
{
    struct reading *r = arg;
    if (r->count == r->room) {
        r->room = r->room == 0 ? 16 : r->room * 2;
        r->objects = mem_realloc(r->objects, r->room * sizeof(struct object *));
    }
    r->objects[r->count++] = o;
}

static void note_recalled(struct file *file)
{
    struct finding *found = finding_add(source_findings(file->origin), 5007, NULL,
                                        "'%s' was bad when control started", file->path.at);
    found->file = file->path;
    found->why = SPAN("what it said when it was last good is in force");
    found->fix = SPAN("mend its errors");
}

static void drop_reading(struct reading *r, bool with_objects)
{
    for (size_t i = 0; with_objects && i < r->count; i++) {
        object_unref(r->objects[i]);
    }
    mem_free(r->objects);
}

static void on_recalled(void *arg, const struct store_answer *a)
{
    struct file *file = arg;
    file->recall = NULL;
    if (file->was_good || a->code != 0 || a->count == 0) {
        return; /* mended meanwhile, or never good */
    }
    struct arena arena;
    struct findings findings;
    struct reading r = {0};
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    (void)object_read_text(a->blobs[0].value, file->path.at, &findings, on_object,
                           &r); /* counts what `r` has */
    bool good = findings.errors == 0;
    if (good) {
        file->was_good = true;
        file->is_recalled = true;
        source_replace_take(file->origin, r.objects, r.count);
        note_recalled(file);
        log_info("sources",
                 "file is bad, what it said when it was good is in force file=\"%s\" objects=%zu",
                 file->path.at, r.count);
    }
    drop_reading(&r, !good);
    arena_dispose(&arena);
    if (good) {
        sources_settle(file->owner->sources);
    }
}

static void note_bad(struct file *file, const struct findings *findings)
{
    const struct finding *first = findings->first;
    while (first->next != NULL && first->severity != CODE_ERROR) {
        first = first->next;
    }
    log_warn(
        "sources",
        "file not taken, what it said before stays file=\"%s\" line=%u errors=%zu what=\"%.*s\"",
        file->path.at, first->line, findings->errors, SPAN_ARG(first->what));
    if (file->is_recalled) {
        note_recalled(file);
    } else if (!file->was_good && file->owner->port != NULL && file->recall == NULL) {
        file->recall = store_blob_get(file->owner->port, SPACE, file->path, on_recalled, file);
    }
}

/* All of it or nothing: an error anywhere leaves what the file said before. */
static void take_text(struct file *file, struct span text)
{
    struct reading r = {0};
    struct findings *findings = source_findings_reset(file->origin);
    (void)object_read_text(text, file->path.at, findings, on_object, &r); /* counts what `r` has */
    bool good = findings->errors == 0;
    if (good) {
        file->was_good = true;
        file->is_recalled = false;
        source_replace_take(file->origin, r.objects, r.count);
        if (file->owner->port != NULL) {
            (void)store_blob_put(file->owner->port, SPACE, file->path, text, NULL,
                                 NULL); /* only for a restart */
        }
        log_debug("sources", "file read file=\"%s\" objects=%zu", file->path.at, r.count);
    } else {
        note_bad(file, findings);
    }
    drop_reading(&r, !good);
}

static void refuse_file(struct file *file, unsigned code, const char *why)
{
    struct findings *findings = source_findings_reset(file->origin);
    struct finding *found = finding_add(
        findings, code, NULL, "'%s' can not be read; what it said before stays", file->path.at);
    found->file = file->path;
    found->why = span_of(arena_printf(findings->arena, "%s", why));
    log_warn("sources", "file not read file=\"%s\" why=\"%s\"", file->path.at, why);
}

/* Reads to the end, or one byte more than is allowed. */
static int read_all(int fd, struct buf *text)
{
    for (;;) {
        char *to = buf_reserve(text, 65536);
        if (to == NULL) {
            return -ERR_LIMIT;
        }
        ssize_t n = read(fd, to, 65536);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? 0 : -errno;
        }
        buf_commit(text, (size_t)n);
    }
}

static void read_file(struct file *file)
{
    struct buf text;
    buf_init(&text, FROM_FILES_BYTES_MAX + 65536);
    int fd = open(file->path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int code = fd == -1 ? -errno : read_all(fd, &text);
    if (code == 0 && buf_len(&text) > FROM_FILES_BYTES_MAX) {
        code = -ERR_LIMIT;
    }
    if (fd != -1) {
        (void)close(fd); /* was only read */
    }
    if (code == -ERR_LIMIT) {
        refuse_file(file, 5006, "it has more than 16 MiB");
    } else if (code != 0) {
        refuse_file(file, 5006, err_name(code));
    } else {
        take_text(file, buf_span(&text));
    }
    buf_dispose(&text);
}

static struct file *file_of(struct from_files *f, const char *path)
{
    struct span text = span_of(path);
    struct file *file = map_get(&f->files, text);
    if (file == NULL && map_count(&f->files) >= FROM_FILES_MAX) {
        if (!f->is_over) {
            log_warn("sources", "files left out, there are more than %d folder=\"%s\"",
                     FROM_FILES_MAX, f->root);
        }
        f->is_over = true;
        return NULL;
    }
    if (file == NULL) {
        file = mem_zalloc(sizeof(*file) + text.len + 1);
        file->owner = f;
        memcpy(file + 1, path, text.len);
        file->path = span_from(file + 1, text.len);
        file->origin = source_open(f->sources, SOURCE_FILE, text);
        (void)map_put(&f->files, file->path, file); /* there was none */
    }
    return file;
}

static void look_at_file(struct from_files *f, const char *path, const struct stat *status)
{
    struct file *file = file_of(f, path);
    if (file == NULL) {
        return;
    }
    file->stamp = f->stamp;
    if (file->is_read && is_same_file(&file->status, status)) {
        return;
    }
    bool fresh = is_fresh(status);
    if (fresh) { /* it may change once more within the resolution of its times */
        deadline_arm(&f->again, f->loop, QUIET_MS);
    }
    if (fresh && !f->is_first && file->postponed < POSTPONED_MAX) {
        file->postponed++;
        return;
    }
    file->postponed = 0;
    file->status = *status;
    file->is_read = !fresh; /* else it is read again, when it is quiet */
    read_file(file);
}

/* ---- folders ---- */

static void watch_folder(struct from_files *f, const char *path)
{
    struct span text = span_of(path);
    struct folder *folder = map_get(&f->folders, text);
    if (folder == NULL) {
        struct err err;
        folder = mem_zalloc(sizeof(*folder) + text.len + 1);
        memcpy(folder + 1, path, text.len);
        folder->path = span_from(folder + 1, text.len);
        folder->owner = f;
        (void)map_put(&f->folders, folder->path, folder); /* there was none */
        if (file_watch_new(&folder->watch, f->loop, path, SETTLE_MS, on_change, f, &err) != 0) {
            log_warn("sources", "folder not watched, its changes are not seen why=\"%s\"",
                     err.text);
        }
    }
    folder->stamp = f->stamp;
}

static bool is_ours(const char *name)
{
    struct span s = span_of(name);
    return span_ends(s, SPAN(".yaml")) || span_ends(s, SPAN(".yml")) || span_ends(s, SPAN(".json"));
}

/* What can not be looked into is not gone: its files count as seen. */
static void keep_below(struct from_files *f, const char *path)
{
    struct span folder = span_of(path);
    for (struct map_slot *slot = NULL; (slot = map_next(&f->files, slot)) != NULL;) {
        struct file *file = slot->value;
        if (span_starts(file->path, folder) && file->path.at[folder.len] == '/') {
            file->stamp = f->stamp;
        }
    }
}

static void keep_unless_gone(struct from_files *f, const char *path, int why)
{
    struct file *file = map_get(&f->files, span_of(path));
    if (why != ENOENT) {
        if (file != NULL) {
            file->stamp = f->stamp;
        }
        keep_below(f, path);
    }
}

static void look_into(struct from_files *f, const char *path, unsigned depth)
{
    watch_folder(f, path); /* first: what comes while it is read is told */
    DIR *dir = opendir(path);
    if (dir == NULL) {
        if (errno != ENOENT || depth == 0) {
            log_warn("sources",
                     "folder not read, what it said before stays folder=\"%s\" why=\"%s\"", path,
                     err_name(-errno));
            keep_below(f, path);
        }
        return;
    }
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat status;
        if (e->d_name[0] == '.') {
            continue;
        }
        char *below = mem_alloc(strlen(path) + strlen(e->d_name) + 2);
        (void)snprintf(below, strlen(path) + strlen(e->d_name) + 2, "%s/%s", path, e->d_name);
        if (stat(below, &status) == -1) {
            keep_unless_gone(f, below, errno);
        } else if (S_ISDIR(status.st_mode) && depth < FROM_FILES_DEPTH) {
            look_into(f, below, depth + 1);
        } else if (S_ISREG(status.st_mode) && is_ours(e->d_name)) {
            look_at_file(f, below, &status);
        }
        mem_free(below);
    }
    (void)closedir(dir); /* was only read */
}

static void free_folder(struct folder *folder)
{
    file_watch_free(folder->watch);
    mem_free(folder);
}

static void drop_unseen(struct from_files *f)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&f->files, slot)) != NULL;) {
        struct file *file = slot->value;
        if (file->stamp != f->stamp) {
            (void)map_remove(&f->files, file->path);
            source_close(file->origin);
            store_call_forget(file->recall);
            if (f->port != NULL) {
                (void)store_blob_remove(f->port, SPACE, file->path, NULL,
                                        NULL); /* only for a restart */
            }
            mem_free(file);
        }
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&f->folders, slot)) != NULL;) {
        struct folder *folder = slot->value;
        if (folder->stamp != f->stamp) {
            (void)map_remove(&f->folders, folder->path);
            free_folder(folder);
        }
    }
}

static void look(struct from_files *f)
{
    f->stamp++;
    look_into(f, f->root, 0);
    drop_unseen(f);
    if (!f->is_first) {
        sources_settle(f->sources);
    }
    f->is_first = false;
}

int from_files_new(struct from_files **out, struct loop *loop, struct sources *sources,
                   struct store *store, const char *folder, struct err *err)
{
    struct stat status;
    if (stat(folder, &status) == -1) {
        return err_set(err, -errno, "can not read the folder '%s': %s", folder, err_name(-errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        return err_set(err, -ERR_CONFIG, "'%s' is no folder", folder);
    }
    if (access(folder, R_OK | X_OK) == -1) {
        return err_set(err, -errno, "can not read the folder '%s': %s", folder, err_name(-errno));
    }
    struct from_files *f = mem_new(struct from_files);
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') {
        len--;
    }
    f->loop = loop;
    f->sources = sources;
    f->port = store != NULL ? store_port_new(store, loop) : NULL;
    f->root = mem_strndup(folder, len);
    f->is_first = true;
    map_init(&f->files);
    map_init(&f->folders);
    deadline_init(&f->again, on_again);
    look(f);
    *out = f;
    return 0;
}

void from_files_free(struct from_files *f)
{
    if (f == NULL) {
        return;
    }
    deadline_disarm(&f->again);
    store_port_free(f->port); /* no answer comes from here on */
    for (struct map_slot *slot = NULL; (slot = map_next(&f->folders, slot)) != NULL;) {
        free_folder(slot->value);
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&f->files, slot)) != NULL;) {
        mem_free(slot->value);
    }
    map_dispose(&f->folders);
    map_dispose(&f->files);
    mem_free(f->root);
    mem_free(f);
}

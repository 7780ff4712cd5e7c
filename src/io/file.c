/* Small files. */
#include "io/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { PATH_BYTES = 4096, READ_BYTES = 4096 };

static int fail(struct err *err, const char *path, int code, const char *what)
{
    return err_set(err, code, "'%s' %s: %s", path, what, err_name(code));
}

static int read_all(int fd, const char *path, struct buf *to, struct err *err)
{
    char part[READ_BYTES];
    int code = 0;
    for (;;) {
        ssize_t n = read(fd, part, sizeof(part));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            code = n == 0 ? 0 : fail(err, path, -errno, "can not be read");
            break;
        }
        if (buf_append(to, part, (size_t)n) != 0) {
            code = err_set(err, -ERR_LIMIT, "'%s' is longer than expected", path);
            break;
        }
    }
    mem_wipe(part, sizeof(part)); /* it may have been a key */
    return code;
}

static int check_secret(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fail(err, path, -errno, "can not be looked at");
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        return err_set(err, -ERR_DENIED, "'%s' belongs to user %u; it must be ours (%u) or root's",
                       path, (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if ((st.st_mode & 077) != 0) {
        return err_set(err, -ERR_DENIED,
                       "'%s' is a secret that others than its owner can reach (mode %04o); chmod "
                       "600 it, and replace it if somebody may have read it",
                       path, (unsigned)(st.st_mode & 07777));
    }
    return 0;
}

static int open_and_read(const char *path, bool secret, struct buf *to, struct err *err)
{
    /* Not to hang on a named pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return fail(err, path, -errno, "can not be opened");
    }
    int code = secret ? check_secret(fd, path, err) : 0;
    code = code ? code : read_all(fd, path, to, err);
    close(fd);
    return code;
}

int file_read(const char *path, struct buf *to, struct err *err)
{
    return open_and_read(path, false, to, err);
}

int file_read_secret(const char *path, struct buf *to, struct err *err)
{
    return open_and_read(path, true, to, err);
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        bytes = span_from_offset(bytes, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* So that the rename itself outlives a crash. */
static int sync_folder_of(const char *path)
{
    char folder[PATH_BYTES];
    struct span text = span_of(path);
    ssize_t slash = span_rfind_byte(text, '/');
    text = slash > 0 ? span_first(text, (size_t)slash) : slash == 0 ? SPAN("/") : SPAN(".");
    int fd = open(span_to_cstr(text, folder, sizeof(folder)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        return -errno;
    }
    /* Some file systems have no such thing (EINVAL). */
    int code = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
    close(fd);
    return code;
}

static int fill_and_rename(const char *path, const char *fresh, struct span bytes, unsigned mode)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd == -1) {
        return -errno;
    }
    int code = fchmod(fd, (mode_t)mode) == 0 ? write_all(fd, bytes) : -errno; /* whatever umask */
    if (close(fd) != 0 && code == 0) {
        code = -errno;
    }
    if (code == 0 && rename(fresh, path) != 0) {
        code = -errno;
    }
    if (code != 0) {
        (void)unlink(fresh); /* what counts is why */
    }
    return code;
}

int file_write(const char *path, struct span bytes, unsigned mode, struct err *err)
{
    char fresh[PATH_BYTES];
    int len = snprintf(fresh, sizeof(fresh), "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof(fresh)) {
        return fail(err, path, -ENAMETOOLONG, "can not be written");
    }
    if (unlink(fresh) != 0 && errno != ENOENT) { /* of a writer that was killed */
        return fail(err, fresh, -errno, "can not be removed");
    }
    int code = fill_and_rename(path, fresh, bytes, mode);
    code = code ? code : sync_folder_of(path);
    return code ? fail(err, path, code, "can not be written") : 0;
}

int file_make_folder(const char *path, struct err *err)
{
    char part[PATH_BYTES];
    size_t len = strlen(path);
    if (len >= sizeof(part)) {
        return fail(err, path, -ENAMETOOLONG, "can not be made");
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        (void)span_to_cstr(span_from(path, i), part, sizeof(part));
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail(err, path, -errno, "can not be made");
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return fail(err, path, -ENOTDIR, "is no folder");
    }
    return 0;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

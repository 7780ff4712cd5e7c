/* Failures as values: the sentence, its prefixes, and the names of codes. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err != NULL) {
        err->code = code;
        va_list args;
        va_start(args, fmt);
        int len = vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
        ASSERT(len >= 0);
    }
    return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return 0;
    }
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    size_t at = size_min((size_t)len, sizeof(text) - 1);
    len = snprintf(text + at, sizeof(text) - at, ": %s", err->text);
    ASSERT(len >= 0);
    memcpy(err->text, text, sizeof(text));
    return err->code;
}

static const struct {
    int code;
    const char *name;
} names[] = {
    {0, "no error"},
    {ERR_PROTO, "protocol broken"},
    {ERR_LIMIT, "limit reached"},
    {ERR_DENIED, "denied"},
    {ERR_CONFIG, "configuration is wrong"},
    {ERR_TLS, "tls failure"},
    {ERR_EOF, "stream ended early"},
    {ERR_RESET, "reset by peer"},
    {ERR_TIMEOUT, "timed out"},
    {ERR_UNAVAILABLE, "unavailable"},
    {EPERM, "operation not permitted"},
    {ENOENT, "no such file or directory"},
    {EINTR, "interrupted"},
    {EIO, "input or output error"},
    {E2BIG, "argument list too long"},
    {EBADF, "bad file descriptor"},
    {ECHILD, "no child process"},
    {EAGAIN, "would block"},
    {ENOMEM, "out of memory"},
    {EACCES, "permission denied"},
    {EBUSY, "busy"},
    {EEXIST, "exists already"},
    {ENODEV, "no such device"},
    {ENOTDIR, "not a directory"},
    {EISDIR, "is a directory"},
    {EINVAL, "invalid argument"},
    {ENFILE, "too many open files in the system"},
    {EMFILE, "too many open files"},
    {EFBIG, "file too large"},
    {ENOSPC, "no space left on device"},
    {EROFS, "read-only file system"},
    {EPIPE, "broken pipe"},
    {ENAMETOOLONG, "name too long"},
    {ENOSYS, "not supported by this kernel"},
    {ENOTEMPTY, "directory not empty"},
    {ELOOP, "too many symbolic links"},
    {EPROTO, "protocol error"},
    {EBADMSG, "bad message"},
    {EOVERFLOW, "value too large"},
    {ENOTSOCK, "not a socket"},
    {EMSGSIZE, "message too long"},
    {ENOPROTOOPT, "protocol option not available"},
    {EPROTONOSUPPORT, "protocol not supported"},
    {EOPNOTSUPP, "operation not supported"},
    {EAFNOSUPPORT, "address family not supported"},
    {EADDRINUSE, "address in use"},
    {EADDRNOTAVAIL, "address not available"},
    {ENETDOWN, "network down"},
    {ENETUNREACH, "network unreachable"},
    {ECONNABORTED, "connection aborted"},
    {ECONNRESET, "connection reset"},
    {ENOBUFS, "no buffer space"},
    {EISCONN, "connected already"},
    {ENOTCONN, "not connected"},
    {ETIMEDOUT, "connection timed out"},
    {ECONNREFUSED, "connection refused"},
    {EHOSTUNREACH, "host unreachable"},
    {EALREADY, "in progress already"},
    {EINPROGRESS, "in progress"},
    {ECANCELED, "cancelled"},
};

const char *err_name(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].code == -code) {
            return names[i].name;
        }
    }
    return "unknown error";
}

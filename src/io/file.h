#ifndef IO_FILE_H
#define IO_FILE_H
/* Small files, read whole and replaced whole: keys, certificates, what a process wants to remember. These calls block, so they are for starts and
 * for the rare write of a main thread. Messages begin with the path. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* Appends the file's bytes. -errno; -ERR_LIMIT when `to` is full. */
MUST_USE int file_read(const char *path, struct buf *to, struct err *err);
/* The same for a secret: -ERR_DENIED when it belongs to neither us nor root, or anybody but its owner may read or write it. */
MUST_USE int file_read_secret(const char *path, struct buf *to, struct err *err);
/* Puts these bytes there in one step: written beside it, synced, renamed, the folder synced. After a crash it is the old file or the new one. */
MUST_USE int file_write(const char *path, struct span bytes, unsigned mode, struct err *err);
/* Makes the folder (0700) and those above it that are missing. */
MUST_USE int file_make_folder(const char *path, struct err *err);
/* There is something of that name that can be opened for reading, or at least is not missing. */
bool file_exists(const char *path);
#endif

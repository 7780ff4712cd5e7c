#ifndef IO_FILE_WATCH_H
#define IO_FILE_WATCH_H
/* Tells when a file's content or the entries of a folder may have changed, by inotify on the folder, so
 * that replaced files and the symlink swaps of Kubernetes volumes are seen. Changes that come together
 * within `settle_ms` are told once. */
#include "base/compiler.h"
#include "base/err.h"
#include "io/loop.h"

struct file_watch;
MUST_USE int file_watch_new(struct file_watch **out, struct loop *loop, const char *path,
                            int64_t settle_ms, void (*on_change)(void *arg), void *arg,
                            struct err *err);
void file_watch_free(struct file_watch *w);
#endif

#ifndef PROXY_REPORT_ACCESS_LOG_H
#define PROXY_REPORT_ACCESS_LOG_H
/* The access logs of a worker: a line (report/access_format) goes into the buffer of its file and leaves with one
 * write when 16 KiB have gathered or 1 s has passed, as in Envoy. */
#include "base/compiler.h"
#include "io/loop.h"
#include "proxy/config/snapshot.h"
#include "proxy/report/access_format.h"

/* The files of one worker. */
struct access_logs;
struct access_logs *access_logs_new(struct loop *loop);
/* Flushes and closes. */
void access_logs_free(struct access_logs *logs);
/* Finds or makes the log with this path and format; NULL if it can not be opened or the format is wrong (said
 * once). It stays open for the worker's life: there are few, and a snapshot that comes back finds it again. */
struct access_log;
struct access_log *access_logs_get(struct access_logs *logs, const struct conf_access_log *conf);
void access_log_write(struct access_log *log, const struct access_entry *e);
/* SIGUSR1: open the files anew. */
void access_logs_reopen(struct access_logs *logs);
#endif

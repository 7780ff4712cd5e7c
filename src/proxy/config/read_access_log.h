#ifndef PROXY_CONFIG_READ_ACCESS_LOG_H
#define PROXY_CONFIG_READ_ACCESS_LOG_H
/* envoy.config.accesslog.v3.AccessLog -> conf_access_log: to a file, standard output or standard error, as
 * text or JSON. Of the filters only response_flag_filter is known (Istio logs unroutable connections
 * with it). */
#include "proxy/config/read.h"

struct pb_accesslog_AccessLog;

MUST_USE int read_access_log(struct read *rd, const struct conf_access_log **out, size_t *count,
                             struct pb_accesslog_AccessLog *const *list, size_t list_count,
                             struct err *err);
#endif

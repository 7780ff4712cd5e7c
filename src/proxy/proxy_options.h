#ifndef PROXY_PROXY_OPTIONS_H
#define PROXY_PROXY_OPTIONS_H
/* What `mesh proxy` is told on the command line, by the environment and in its INI file. */
#include "base/opt.h"

#define PROXY_WORKERS_MAX 256

struct proxy_options {
    const char *config_file, *config_text, *log_level, *service_node, *service_cluster,
        *admin_address_path, *state_dir;
    int log_format, mode;
    int64_t concurrency, drain_s;
};

extern const struct opt_spec proxy_options;
#endif

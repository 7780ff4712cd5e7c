#ifndef PROXY_CONFIG_READ_LISTENER_H
#define PROXY_CONFIG_READ_LISTENER_H
/* envoy.config.listener.v3.Listener -> conf_listener. */
#include "proxy/config/read.h"

struct pb_listener_Listener;

MUST_USE int read_listener(struct read *rd, struct conf_listener *out,
                           const struct pb_listener_Listener *config, struct err *err);
#endif

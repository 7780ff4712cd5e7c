#ifndef PROXY_CONFIG_KNOWN_FILTERS_H
#define PROXY_CONFIG_KNOWN_FILTERS_H
/* Extensions that control planes send and that need no doing here: this proxy does their work itself, or
 * with an empty configuration they do nothing. One table, each row with its reason. */
#include "base/compiler.h"
#include "base/span.h"

struct pb_protobuf_Any;

enum known_place { KNOWN_HTTP, KNOWN_NETWORK, KNOWN_UPSTREAM, KNOWN_LISTENER };

/* By the type of its configuration, else by the filter's name. */
bool known_filters_builtin(enum known_place place, struct span type, struct span name,
                           const struct pb_protobuf_Any *config);
#endif

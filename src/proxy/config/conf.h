#ifndef PROXY_CONFIG_CONF_H
#define PROXY_CONFIG_CONF_H
/* Life of the per-resource objects: made with one reference, freed with the last. Main thread. */
#include "proxy/config/snapshot.h"

NONNULL_RETURN void *conf_new(enum conf_kind kind);
void conf_get(struct conf *c);
/* NULL is fine. Keys are overwritten. */
void conf_put(struct conf *c);
/* "listener", "cluster" ... */
const char *conf_kind_name(enum conf_kind kind);
#endif

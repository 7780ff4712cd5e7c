#ifndef PROXY_CONFIG_RESOURCE_H
#define PROXY_CONFIG_RESOURCE_H
/* One xDS resource: bytes -> conf object. The five types and what differs between them. */
#include "base/err.h"
#include "codec/pb.h"
#include "proxy/config/slots.h"
#include "proxy/config/snapshot.h"

/* CONF_KIND_COUNT when the type is not one of ours. With or without "type.googleapis.com/". */
enum conf_kind resource_kind(struct span type_url);
const char *resource_type_url(enum conf_kind kind);
/* The name inside (field 1 in all five types), without decoding; empty when there is none. */
struct span resource_name(struct span bytes);
/* NULL with `err` ("cluster 'x': connect_timeout ..."). `bytes` are copied; `temp` is scratch. */
struct conf *resource_read(enum conf_kind kind, struct span bytes, struct span version,
                           struct slots *slots, struct arena *temp, struct err *err);
#endif

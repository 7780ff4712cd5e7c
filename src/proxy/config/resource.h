#ifndef PROXY_CONFIG_RESOURCE_H
#define PROXY_CONFIG_RESOURCE_H
/* One xDS resource: bytes -> conf object. The six types and what differs between them. */
#include "base/err.h"
#include "codec/pb.h"
#include "proxy/config/slots.h"
#include "proxy/config/snapshot.h"

/* CONF_KIND_COUNT when the type is not one of ours. With or without "type.googleapis.com/". */
enum conf_kind resource_kind(struct span type_url);
const char *resource_type_url(enum conf_kind kind);
/* The name inside (field 1 in all types), without decoding; empty when there is none. */
struct span resource_name(struct span bytes);
struct resource_spec {
    enum conf_kind kind;
    struct span
        name; /* a virtual host is not named by what is in it; others may leave this empty */
    struct span bytes, version; /* copied */
    struct slots *slots;
    bool by_name; /* clusters come by name: who leads to one mentions it */
};
/* NULL with `err` ("cluster 'x': connect_timeout ..."). `temp` is scratch. */
struct conf *resource_read(const struct resource_spec *spec, struct arena *temp, struct err *err);
#endif

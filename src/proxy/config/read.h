#ifndef PROXY_CONFIG_READ_H
#define PROXY_CONFIG_READ_H
/* What the readers (read_*.c) share: each turns one decoded message into part of a conf object. Texts are
 * borrowed from the wire bytes, which live in the object's arena; decoded messages live in `temp` only
 * while one resource is read. Errors say where: "listener 'x': filter chain 2: filter 'y': ...". */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/pb.h"
#include "proto/core.pb.h"
#include "proto/protobuf.pb.h"
#include "proxy/config/slots.h"
#include "proxy/config/snapshot.h"

struct read_mention { /* a resource that this one needs */
    enum conf_kind kind;
    struct span name;
    struct span path; /* of the file that it comes from; empty = from the control plane */
};

struct read {
    struct arena *arena; /* of the object */
    struct arena *temp;
    struct slots *slots;
    bool by_name;                  /* clusters are asked for by name */
    struct read_mention *mentions; /* in arena; doubles as it grows */
    size_t mention_count, mention_room;
    struct span *skipped; /* in arena */
    size_t skipped_count, skipped_room;
    bool auto_sni, auto_san; /* of a cluster's HTTP options, for its TLS contexts */
};

/* Decodes and refuses fields that are not known. NULL with err filled. */
const void *read_any(struct read *rd, const struct pb_desc *desc, struct span bytes,
                     struct err *err);
/* The name of the type in an Any; of the wrapped one for a TypedStruct. Empty for NULL. */
struct span read_type(struct read *rd, const struct pb_protobuf_Any *any);
bool read_is_type(struct span type, const char *name);
/* `source` says where it comes from; NULL = the control plane. */
void read_mention(struct read *rd, enum conf_kind kind, struct span name,
                  const struct pb_core_ConfigSource *source);
/* The slot of a cluster that traffic is led to. */
uint32_t read_cluster_slot(struct read *rd, struct span name);
/* Something optional, or without effect here, was left out. */
void read_skip(struct read *rd, struct span what);
struct span read_lower(struct read *rd, struct span text);
/* Copies the spans (not their bytes) into the arena. */
const struct span *read_spans(struct read *rd, const struct span *list, size_t count);
MUST_USE int read_ports(uint32_t port, const char *field, struct err *err);
/* IP:port or a pipe. A name that is no IP address: -ERR_CONFIG unless `host` is given, which gets it. */
MUST_USE int read_address(struct addr *out, struct span *host, uint16_t *port,
                          const struct pb_core_Address *config, struct err *err);
/* Inline text or the content of a file. */
MUST_USE int read_source(struct read *rd, struct span *out, const struct pb_core_DataSource *config,
                         struct err *err);
/* Member of a Struct; NULL when absent. */
const struct pb_protobuf_Value *read_member(const struct pb_protobuf_Struct *s, const char *key);
struct span read_text(const struct pb_protobuf_Value *v); /* empty unless it is text */
const struct pb_protobuf_Struct *read_metadata(const struct pb_core_Metadata *m,
                                               const char *filter);
/* Members that are text (numbers and booleans are written out), as name and value. */
MUST_USE int read_labels(struct read *rd, const struct pb_protobuf_Struct *s,
                         const struct header **out, size_t *count, struct err *err);
#endif

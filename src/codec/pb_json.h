#ifndef CODEC_PB_JSON_H
#define CODEC_PB_JSON_H
/* The JSON form of protocol buffers (https://protobuf.dev/programming-guides/json/), for configuration
 * files in YAML or JSON and for dumps. Reading goes over a document tree, so that messages can name file
 * and line; writing streams text.
 *
 * Two things go beyond the standard, both to keep what we do not know:
 * - an Any whose "@type" no table has becomes an xds.type.v3.TypedStruct of that type (its JSON as a
 *   Struct), which is the standard's own way to carry it; who needs the type refuses it by name;
 * - an Any that can not be shown is written as {"@type": ..., "value": "<base64 of its bytes>"}. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "codec/doc.h"
#include "codec/pb.h"

/* The message that `node` describes, in `arena`, pointing into the texts of the tree. Names may be
 * snake_case or lowerCamelCase; enums names (in any case) or numbers; 64-bit numbers text or numbers. `types` resolves
 * Any. NULL on failure, err says: "envoy.yaml:14: 'lb_polcy' is not a field of
 * envoy.config.cluster.v3.Cluster; did you mean 'lb_policy'?" (-ERR_CONFIG; -ERR_LIMIT when it is deeper
 * than PB_DEPTH_MAX). */
MUST_USE void *pb_json_read(const struct pb_types *types, const struct pb_desc *desc,
                            struct arena *arena, const struct doc_node *node, struct err *err);

/* How pb_json_write writes; or-ed. */
#define PB_JSON_CAMEL 1    /* lowerCamelCase names; else as in the .proto, as Envoy's admin does */
#define PB_JSON_PRETTY 2   /* one member a line, indented by one blank a level */
#define PB_JSON_REDACT 4   /* fields marked sensitive read "[redacted]", and so does all inside */
#define PB_JSON_DEFAULTS 8 /* also plain scalars and lists that are zero or empty */

/* Appends the JSON text of `msg`. Unknown fields have no name and are left out. 0, or -ERR_LIMIT when
 * `out` is full or the message deeper than PB_DEPTH_MAX (what is in an Any counted); `out` then holds a
 * part. */
MUST_USE int pb_json_write(const struct pb_types *types, const struct pb_desc *desc,
                           const void *msg, unsigned how, struct buf *out);
#endif

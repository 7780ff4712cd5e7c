#ifndef CONTROL_TRANSLATE_MESSAGE_H
#define CONTROL_TRANSLATE_MESSAGE_H
/* Small parts of Envoy's messages, built in an arena. Texts are borrowed: they live in the world, in the node or in the
 * same arena, as long as the message that holds them. */
#include "base/arena.h"
#include "base/compiler.h"
#include "codec/ip.h"
#include "codec/pb.h"
#include "proto/core.pb.h"
#include "proto/matcher.pb.h"
#include "proto/protobuf.pb.h"
#include "proto/tls.pb.h"
#include "proto/type.pb.h"

/* Texts in a row: MESSAGE_JOIN(arena, SPAN("spiffe://"), domain). */
#define MESSAGE_JOIN(arena, ...)                              \
    message_join((arena), (const struct span[]){__VA_ARGS__}, \
                 sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))
struct span message_join(struct arena *arena, const struct span *parts, size_t count);
struct span message_number(struct arena *arena, uint64_t value);
struct span message_ip(struct arena *arena, const struct ip *ip);

/* Packs: MESSAGE_ANY(arena, PB_CLUSTER_CLUSTER_URL, &pb_cluster_Cluster_desc, c). */
NONNULL_RETURN struct pb_protobuf_Any *message_any(struct arena *arena, struct span type_url,
                                                   const struct pb_desc *desc, const void *msg);
#define MESSAGE_ANY(arena, url, desc, msg) message_any((arena), SPAN(url), (desc), (msg))
/* Of a type without settings, which needs no contract here. */
NONNULL_RETURN struct pb_protobuf_Any *message_any_empty(struct arena *arena, struct span type_url);

NONNULL_RETURN struct pb_protobuf_BoolValue *message_bool(struct arena *arena, bool value);
NONNULL_RETURN struct pb_protobuf_UInt32Value *message_u32(struct arena *arena, uint32_t value);
NONNULL_RETURN struct pb_protobuf_Duration *message_ms(struct arena *arena, int64_t ms);
/* `percent` of 100, in millionths as Istio writes it. */
NONNULL_RETURN struct pb_type_FractionalPercent *message_percent(struct arena *arena,
                                                                 double percent);
NONNULL_RETURN struct pb_core_RuntimeFractionalPercent *message_fraction(struct arena *arena,
                                                                         double percent);

NONNULL_RETURN struct pb_core_Address *message_address(struct arena *arena, struct span host,
                                                       uint16_t port);
NONNULL_RETURN struct pb_core_Address *message_pipe(struct arena *arena, struct span path);
NONNULL_RETURN struct pb_core_CidrRange *message_cidr(struct arena *arena, const struct cidr *c);
NONNULL_RETURN struct pb_core_DataSource *message_file(struct arena *arena, struct span path);
/* Another resource of the stream that brings this one. */
NONNULL_RETURN struct pb_core_ConfigSource *message_ads(struct arena *arena);

NONNULL_RETURN struct pb_protobuf_Value *message_text(struct arena *arena, struct span text);
void message_put(struct arena *arena, struct pb_protobuf_Struct *s, struct span key,
                 struct pb_protobuf_Value *value);
void message_put_text(struct arena *arena, struct pb_protobuf_Struct *s, struct span key,
                      struct span text);
/* filter_metadata of that filter, made when absent; so is `*m`. */
NONNULL_RETURN struct pb_protobuf_Struct *message_metadata(struct arena *arena,
                                                           struct pb_core_Metadata **m,
                                                           struct span filter);

NONNULL_RETURN struct pb_matcher_StringMatcher *message_exact(struct arena *arena,
                                                              struct span text);
NONNULL_RETURN struct pb_matcher_StringMatcher *message_prefix(struct arena *arena,
                                                               struct span text);
NONNULL_RETURN struct pb_matcher_StringMatcher *message_suffix(struct arena *arena,
                                                               struct span text);
NONNULL_RETURN struct pb_matcher_RegexMatcher *message_regex(struct arena *arena,
                                                             struct span pattern);
NONNULL_RETURN struct pb_matcher_StringMatcher *message_regex_text(struct arena *arena,
                                                                   struct span pattern);
/* As it must stand in a regular expression to mean itself. */
struct span message_quote(struct arena *arena, struct span text);
#endif

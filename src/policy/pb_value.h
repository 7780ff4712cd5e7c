#ifndef POLICY_PB_VALUE_H
#define POLICY_PB_VALUE_H
/* Scalars of configuration messages with their defaults and bounds: durations as milliseconds, wrappers,
 * fractions. */
#include "base/compiler.h"
#include "base/err.h"
#include "codec/ip.h"
#include "proto/core.pb.h"
#include "proto/protobuf.pb.h"
#include "proto/type.pb.h"

/* A google.protobuf.Duration; `fallback` when NULL. Part of a millisecond counts as a whole one, so that a
 * tiny limit does not become none. -ERR_CONFIG when negative or over a hundred years: "'timeout' is ...". */
MUST_USE int pb_value_ms(const struct pb_protobuf_Duration *d, int64_t fallback, const char *field,
                         int64_t *ms, struct err *err);

static inline bool pb_value_bool(const struct pb_protobuf_BoolValue *v, bool fallback)
{
    return v ? v->value : fallback;
}

static inline uint32_t pb_value_u32(const struct pb_protobuf_UInt32Value *v, uint32_t fallback)
{
    return v ? v->value : fallback;
}

/* envoy.type.v3.FractionalPercent as parts of a million, at most a million. -ERR_CONFIG on an unknown
 * denominator. */
MUST_USE int pb_value_fraction(const struct pb_type_FractionalPercent *f,
                               uint32_t *parts_per_million, struct err *err);
/* The denominator of one: 100, 10,000 or 1,000,000; 0 when unknown. */
uint32_t pb_value_denominator(const struct pb_type_FractionalPercent *f);
/* envoy.config.core.v3.CidrRange; a missing prefix_len is 0, as in Envoy. */
MUST_USE int pb_value_cidr(const struct pb_core_CidrRange *range, struct cidr *out,
                           struct err *err);
#endif

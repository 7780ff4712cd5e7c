#ifndef POLICY_KNOWN_H
#define POLICY_KNOWN_H
/* Nothing configured is ignored in silence: a field that our contracts leave out, or one newer than they
 * are, is refused by name or number wherever it stands in a message, unless it is in the table of those
 * that change nothing here. */
#include "base/compiler.h"
#include "base/err.h"
#include "codec/pb.h"

/* The whole message tree (not into Any values, which are checked when they are decoded). -ERR_CONFIG:
 * "field 21 (matcher) of envoy.config.route.v3.VirtualHost is not supported". */
MUST_USE int known_check(const struct pb_desc *desc, const void *msg, struct err *err);
#endif

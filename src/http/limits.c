/* The table of limits, as values. */
#include "http/limits.h"

const struct http_limits limits_default = {
#define LIMIT(field, value, unit, envoy, reply, stat, what) .field = (value),
#include "http/limits.def"
};

#define UNIT_BYTES LIMIT_BYTES
#define UNIT_COUNT LIMIT_COUNTED
#define UNIT_MS LIMIT_MS
#define UNIT_RATE LIMIT_RATE
#define ROW(field, value, unit, envoy, reply, stat, what) \
    [LIMIT_##field] = {#field, (value), UNIT_##unit, envoy, reply, LIMIT_STAT_##stat, what},
const struct limit_row limits_rows[LIMIT_COUNT] = {
#define LIMIT ROW
#define LIMIT_CONF ROW
#include "http/limits.def"
};

const char *const limits_stats[LIMIT_STAT_COUNT] = {
#define LIMIT_STAT(name, help) [LIMIT_STAT_##name] = #name,
#include "http/limits.def"
};

#ifndef CODEC_DATE_H
#define CODEC_DATE_H
/* Points in time as text: RFC 3339, HTTP's IMF-fixdate (RFC 9110 section 5.6.7), and the format of Envoy's
 * %START_TIME()%. Times are microseconds since 1970, UTC; the calendar is base/instant's. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

#define DATE_TEXT_BYTES 40

/* "2026-11-23T10:46:17.123Z", or with an offset; any count of fractional digits (those beyond six are
 * dropped); leap second 60 counts as 59. -ERR_PROTO. */
MUST_USE int date_parse_rfc3339(struct span text, int64_t *us);
/* With 0, 3 or 6 fractional digits; terminated, in `to` (DATE_TEXT_BYTES); returns the length. Envoy's
 * default START_TIME has 3. */
size_t date_format_rfc3339(int64_t us, unsigned digits, char *to);
/* "Mon, 23 Nov 2026 10:46:17 GMT"; terminated, in `to` (DATE_TEXT_BYTES); returns the length. */
size_t date_format_http(int64_t us, char *to);
/* IMF-fixdate only. -ERR_PROTO. */
MUST_USE int date_parse_http(struct span text, int64_t *us);
/* The strftime subset of Envoy's START_TIME: %Y %m %d %H %M %S %y %e %j %a %b %F %T %Z %z %s, %f and %1f
 * to %9f (fraction), %E3S and %E6S (seconds with fraction), %%. -ERR_CONFIG on another, -ERR_LIMIT. */
MUST_USE int date_format(int64_t us, struct span format, struct buf *out);
#endif

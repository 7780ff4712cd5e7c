#ifndef POLICY_HEADER_MATCH_H
#define POLICY_HEADER_MATCH_H
/* Tests on a request's fields, compiled from envoy.config.route.v3.HeaderMatcher.
 *
 * As Envoy: ":method", ":path", ":scheme", ":authority" and "host" name what they name in HTTP/2; a field
 * that occurs several times is tested as its values joined with ','; a field that is absent fails every
 * test on its value, inverted or not, unless treat_missing_header_as_empty. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "policy/explain.h"
#include "policy/string_match.h"
#include "policy/traffic.h"

struct pb_route_HeaderMatcher;

enum header_match_kind {
    HEADER_MATCH_PRESENT,
    HEADER_MATCH_ANY_TEXT, /* exact_match "" holds for every value */
    HEADER_MATCH_TEXT,
    HEADER_MATCH_RANGE, /* [start, end) */
};

struct header_match {
    struct span name; /* lower case; ":authority" for host */
    enum header_match_kind kind;
    bool present; /* HEADER_MATCH_PRESENT: wanted or not */
    bool invert;
    bool missing_is_empty;
    struct string_match text;
    int64_t start, end;
};

MUST_USE int header_match_compile(struct header_match *out, struct arena *arena,
                                  const struct pb_route_HeaderMatcher *config, struct err *err);
bool header_match_holds(const struct header_match *m, const struct traffic *tr,
                        struct arena *scratch);
/* One line that says what was wanted and what is there. */
void header_match_explain(const struct header_match *m, const struct traffic *tr,
                          struct arena *scratch, struct explain *ex);

/* Lower-cased copy. */
struct span header_match_lower(struct arena *arena, struct span text);
#endif

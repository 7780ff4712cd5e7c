#ifndef POLICY_COOKIE_MATCH_H
#define POLICY_COOKIE_MATCH_H
/* Tests on cookies, compiled from envoy.config.route.v3.CookieMatcher. An absent cookie matches nothing, so
 * an inverted test holds for it. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "policy/string_match.h"
#include "policy/traffic.h"

struct pb_route_CookieMatcher;

struct cookie_match {
    struct span name;
    bool invert;
    struct string_match text;
};

MUST_USE int cookie_match_compile(struct cookie_match *out, struct arena *arena,
                                  const struct pb_route_CookieMatcher *config, struct err *err);
/* The value of the first cookie of that name, without quotes. False = there is none. */
bool cookie_match_find(const struct header *fields, size_t count, struct span name,
                       struct span *value);
bool cookie_match_holds(const struct cookie_match *m, const struct traffic *tr);
#endif

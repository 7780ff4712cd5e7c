#ifndef POLICY_QUERY_MATCH_H
#define POLICY_QUERY_MATCH_H
/* Tests on query parameters, compiled from envoy.config.route.v3.QueryParameterMatcher. Names and values are
 * not percent-decoded; the first parameter of a name counts. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "policy/string_match.h"

struct pb_route_QueryParameterMatcher;

struct query_match {
    struct span name;
    bool has_text; /* else presence alone */
    bool present;  /* wanted or not, without text */
    struct string_match text;
};

MUST_USE int query_match_compile(struct query_match *out, struct arena *arena,
                                 const struct pb_route_QueryParameterMatcher *config,
                                 struct err *err);
/* `query`: what follows '?'. */
bool query_match_holds(const struct query_match *m, struct span query);

/* The path without query and fragment, and the query: what Envoy's path tests see. */
struct span query_match_path(struct span path_and_query);
struct span query_match_query(struct span path_and_query);
#endif

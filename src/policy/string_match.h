#ifndef POLICY_STRING_MATCH_H
#define POLICY_STRING_MATCH_H
/* A test on one text, compiled from envoy.type.matcher.v3.StringMatcher: exact, prefix, suffix, contains
 * with ignore_case (ASCII), or safe_regex, which must match all of the text and does not heed
 * ignore_case. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "codec/regex.h"

struct pb_matcher_StringMatcher;
struct pb_matcher_RegexMatcher;

enum string_match_kind {
    STRING_EXACT,
    STRING_PREFIX,
    STRING_SUFFIX,
    STRING_CONTAINS,
    STRING_REGEX,
};

struct string_match {
    enum string_match_kind kind;
    bool nocase;
    struct span text; /* the pattern's source for STRING_REGEX */
    const struct regex *regex;
};

/* Text is borrowed from `config`. -ERR_CONFIG when none is set or a regex is bad. */
MUST_USE int string_match_compile(struct string_match *out, struct arena *arena,
                                  const struct pb_matcher_StringMatcher *config, struct err *err);
MUST_USE int string_match_compile_regex(struct string_match *out, struct arena *arena,
                                        const struct pb_matcher_RegexMatcher *config,
                                        struct err *err);
bool string_match_holds(const struct string_match *m, struct span text);
/* "exact", "prefix" ... for explanations. */
const char *string_match_name(const struct string_match *m);
#endif

#ifndef CODEC_REGEX_H
#define CODEC_REGEX_H
/* Regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax), in time linear in the text
 * whatever the pattern. A pattern is compiled once, when a snapshot is built; the result is immutable,
 * shared by threads, and matching allocates nothing (but see regex_find). It takes up to 40 KiB of stack.
 *
 * Text is UTF-8; `.` and negated classes match whole characters and never an invalid byte, as in RE2.
 * Left out, and refused by name: \p{..} classes, \C, and what RE2 lacks itself (back references, look-around).
 * Case folding is ASCII's.
 *
 * pattern -> parse tree -> program (bytes, splits; at most REGEX_PROGRAM_MAX instructions)
 *                            |-> table of a DFA, if small: whole matches, one look-up a byte
 *                            '-> simulation of all threads at once (Thompson, Pike): the rest, and groups
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* Istio sets Envoy's max_program_size to 1024. The unit is alike: a byte range, a split, a group's end. */
#define REGEX_PROGRAM_MAX 1024
#define REGEX_GROUPS_MAX 10 /* \0 to \9: what a substitution can name */
#define REGEX_PATTERN_BYTES_MAX 8192

enum { REGEX_NOCASE = 1u << 0 };

struct regex;
/* The memory is the arena's: nothing to free. -ERR_CONFIG: "regex 'a(': missing )"; -ERR_LIMIT when the
 * program would be too large. */
MUST_USE int regex_compile(const struct regex **out, struct span pattern, unsigned flags,
                           struct arena *arena, struct err *err);
/* The pattern matches all of `text` (RE2::FullMatch, what Envoy's safe_regex means). Any thread. */
bool regex_full(const struct regex *re, struct span text);
/* The pattern matches somewhere in `text` (RE2::PartialMatch). Any thread. */
bool regex_search(const struct regex *re, struct span text);
/* Leftmost-first match in text[from..]; groups[0] is all of it, groups[i] the i-th parenthesis (NULL
 * `at` when it took no part). Fills at most `count` groups. Patterns with more than 2048 places to remember
 * (instructions times two a group) borrow heap for the call. Any thread. */
bool regex_find(const struct regex *re, struct span text, size_t from, struct span *groups,
                size_t count);
/* Parentheses of the pattern. */
size_t regex_group_count(const struct regex *re);
/* Checks a substitution as RE2::CheckRewriteString: \0..\9 name existing groups, \\ is a backslash. */
MUST_USE int regex_check_substitution(const struct regex *re, struct span substitution,
                                      struct err *err);
/* Appends `text` to `out` with all matches replaced (RE2::GlobalReplace, Envoy's regex_rewrite).
 * -ERR_LIMIT when `out` is full. The substitution must have been checked. */
MUST_USE int regex_replace(const struct regex *re, struct span text, struct span substitution,
                           struct buf *out);
#endif

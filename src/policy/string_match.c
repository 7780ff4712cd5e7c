/* Tests on one text. */
#include "policy/string_match.h"

#include "proto/matcher.pb.h"

int string_match_compile_regex(struct string_match *out, struct arena *arena,
                               const struct pb_matcher_RegexMatcher *config, struct err *err)
{
    if (config->regex.len == 0) {
        return err_set(err, -ERR_CONFIG, "regex is empty");
    }
    *out = (struct string_match){.kind = STRING_REGEX, .text = config->regex};
    return regex_compile(&out->regex, config->regex, 0, arena, err);
}

int string_match_compile(struct string_match *out, struct arena *arena,
                         const struct pb_matcher_StringMatcher *config, struct err *err)
{
    *out = (struct string_match){.nocase = config->ignore_case};
    switch (config->match_pattern_case) {
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_EXACT:
        out->kind = STRING_EXACT;
        out->text = config->exact;
        return 0;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_PREFIX:
        out->kind = STRING_PREFIX;
        out->text = config->prefix;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_SUFFIX:
        out->kind = STRING_SUFFIX;
        out->text = config->suffix;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_CONTAINS:
        out->kind = STRING_CONTAINS;
        out->text = config->contains;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_SAFE_REGEX:
        return string_match_compile_regex(out, arena, config->safe_regex, err);
    default:
        return err_set(
            err, -ERR_CONFIG,
            "match_pattern is not set; use exact, prefix, suffix, contains or safe_regex");
    }
    if (out->text.len == 0) { /* StringMatcher: min_len 1 */
        return err_set(err, -ERR_CONFIG, "'%s' is empty", string_match_name(out));
    }
    return 0;
}

static bool holds_nocase(const struct string_match *m, struct span text)
{
    switch (m->kind) {
    case STRING_EXACT:
        return span_eq_nocase(text, m->text);
    case STRING_PREFIX:
        return span_starts_nocase(text, m->text);
    case STRING_SUFFIX:
        return span_ends_nocase(text, m->text);
    case STRING_CONTAINS:
        for (; text.len >= m->text.len; text = span_from_offset(text, 1)) {
            if (span_starts_nocase(text, m->text)) {
                return true;
            }
        }
        return false;
    case STRING_REGEX:
        break;
    }
    return regex_full(m->regex, text);
}

bool string_match_holds(const struct string_match *m, struct span text)
{
    if (m->nocase) {
        return holds_nocase(m, text);
    }
    switch (m->kind) {
    case STRING_EXACT:
        return span_eq(text, m->text);
    case STRING_PREFIX:
        return span_starts(text, m->text);
    case STRING_SUFFIX:
        return span_ends(text, m->text);
    case STRING_CONTAINS:
        return span_find(text, m->text) >= 0;
    case STRING_REGEX:
        break;
    }
    return regex_full(m->regex, text);
}

const char *string_match_name(const struct string_match *m)
{
    switch (m->kind) {
    case STRING_EXACT:
        return "exact";
    case STRING_PREFIX:
        return "prefix";
    case STRING_SUFFIX:
        return "suffix";
    case STRING_CONTAINS:
        return "contains";
    case STRING_REGEX:
        break;
    }
    return "regex";
}

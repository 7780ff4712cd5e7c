/* Tests on fields. */
#include "policy/header_match.h"

#include "proto/route.pb.h"
#include "proto/type.pb.h"

struct span header_match_lower(struct arena *arena, struct span text)
{
    char *to = arena_bytes(arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    to[text.len] = '\0';
    return (struct span){to, text.len};
}

static int compile_value(struct header_match *out, struct arena *arena,
                         const struct pb_route_HeaderMatcher *config, struct err *err)
{
    out->kind = HEADER_MATCH_TEXT;
    switch (config->header_match_specifier_case) {
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_EXACT_MATCH:
        out->text = (struct string_match){.kind = STRING_EXACT, .text = config->exact_match};
        if (config->exact_match.len == 0) {
            out->kind = HEADER_MATCH_ANY_TEXT;
        }
        return 0;
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_PREFIX_MATCH:
        out->text = (struct string_match){.kind = STRING_PREFIX, .text = config->prefix_match};
        return 0;
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_SUFFIX_MATCH:
        out->text = (struct string_match){.kind = STRING_SUFFIX, .text = config->suffix_match};
        return 0;
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_CONTAINS_MATCH:
        out->text = (struct string_match){.kind = STRING_CONTAINS, .text = config->contains_match};
        return 0;
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_SAFE_REGEX_MATCH:
        return string_match_compile_regex(&out->text, arena, config->safe_regex_match, err);
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_STRING_MATCH:
        return string_match_compile(&out->text, arena, config->string_match, err);
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_RANGE_MATCH:
        out->kind = HEADER_MATCH_RANGE;
        out->start = config->range_match->start;
        out->end = config->range_match->end;
        return 0;
    case PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_PRESENT_MATCH:
        out->kind = HEADER_MATCH_PRESENT;
        out->present = config->present_match;
        return 0;
    default: /* HeaderMatcher: presence when nothing is said */
        out->kind = HEADER_MATCH_PRESENT;
        out->present = true;
        return 0;
    }
}

int header_match_compile(struct header_match *out, struct arena *arena,
                         const struct pb_route_HeaderMatcher *config, struct err *err)
{
    *out = (struct header_match){
        .invert = config->invert_match,
        .missing_is_empty = config->treat_missing_header_as_empty,
    };
    if (config->name.len == 0) {
        return err_set(err, -ERR_CONFIG, "header: name is empty");
    }
    out->name = header_match_lower(arena, config->name);
    if (span_is(out->name, "host")) {
        out->name = SPAN(":authority");
    }
    int rc = compile_value(out, arena, config, err);
    if (rc != 0) {
        return err_prefix(err, "header '%.*s'", SPAN_ARG(config->name));
    }
    return 0;
}

/* NULL `at`: there is no such field. */
static struct span joined_fields(const struct traffic *tr, struct span name, struct arena *scratch)
{
    size_t count = 0;
    size_t len = 0;
    const struct header *first = NULL;
    for (size_t i = 0; i < tr->field_count; i++) {
        if (span_eq(tr->fields[i].name, name)) {
            first = first ? first : &tr->fields[i];
            count++;
            len += tr->fields[i].value.len + 1;
        }
    }
    if (count <= 1) {
        struct span none = SPAN_EMPTY;
        struct span value = first ? first->value : none;
        return first && !value.at ? SPAN("") : value;
    }
    char *to = arena_bytes(scratch, len);
    size_t at = 0;
    for (size_t i = 0; i < tr->field_count; i++) {
        struct span value = tr->fields[i].value;
        if (span_eq(tr->fields[i].name, name)) {
            if (at > 0) {
                to[at++] = ',';
            }
            if (value.len > 0) {
                memcpy(to + at, value.at, value.len);
            }
            at += value.len;
        }
    }
    return (struct span){to, at};
}

static struct span field_value(const struct header_match *m, const struct traffic *tr,
                               struct arena *scratch)
{
    if (m->name.at[0] != ':') {
        return joined_fields(tr, m->name, scratch);
    }
    struct span value = SPAN_EMPTY;
    if (span_is(m->name, ":method")) {
        value = tr->method;
    } else if (span_is(m->name, ":path")) {
        value = tr->path;
    } else if (span_is(m->name, ":authority")) {
        value = tr->authority;
    } else if (span_is(m->name, ":scheme")) {
        value = tr->scheme;
    }
    return value.len > 0 ? value : SPAN_EMPTY;
}

static bool in_range(const struct header_match *m, struct span value)
{
    int64_t number = 0;
    return span_to_i64(span_trim(value), &number) && number >= m->start && number < m->end;
}

bool header_match_holds(const struct header_match *m, const struct traffic *tr,
                        struct arena *scratch)
{
    struct span value = field_value(m, tr, scratch);
    if (!value.at && !m->missing_is_empty) {
        return m->kind == HEADER_MATCH_PRESENT && m->present == m->invert;
    }
    bool holds = true;
    switch (m->kind) {
    case HEADER_MATCH_PRESENT:
        holds = m->present;
        break;
    case HEADER_MATCH_ANY_TEXT:
        break;
    case HEADER_MATCH_TEXT:
        holds = string_match_holds(&m->text, value);
        break;
    case HEADER_MATCH_RANGE:
        holds = in_range(m, value);
        break;
    }
    return holds != m->invert;
}

void header_match_explain(const struct header_match *m, const struct traffic *tr,
                          struct arena *scratch, struct explain *ex)
{
    if (!ex) {
        return;
    }
    struct span value = field_value(m, tr, scratch);
    const char *no = m->invert ? "not " : "";
    const char *is = value.at ? "is" : "is absent";
    if (m->kind == HEADER_MATCH_RANGE) {
        explain_line(ex, "header '%.*s' %s '%.*s', want %s%lld to %lld", SPAN_ARG(m->name), is,
                     SPAN_ARG(value), no, (long long)m->start, (long long)m->end - 1);
    } else if (m->kind == HEADER_MATCH_TEXT) {
        explain_line(ex, "header '%.*s' %s '%.*s', want %s%s '%.*s'", SPAN_ARG(m->name), is,
                     SPAN_ARG(value), no, string_match_name(&m->text), SPAN_ARG(m->text.text));
    } else {
        bool want = m->kind == HEADER_MATCH_ANY_TEXT || m->present;
        explain_line(ex, "header '%.*s' %s '%.*s', want it %s", SPAN_ARG(m->name), is,
                     SPAN_ARG(value), want != m->invert ? "present" : "absent");
    }
}

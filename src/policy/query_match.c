/* Tests on query parameters. */
#include "policy/query_match.h"

#include "codec/url.h"
#include "proto/route.pb.h"

struct span query_match_path(struct span path_and_query)
{
    ssize_t query = span_find_byte(path_and_query, '?');
    struct span path = query < 0 ? path_and_query : span_first(path_and_query, (size_t)query);
    ssize_t fragment = span_find_byte(path, '#');
    return fragment < 0 ? path : span_first(path, (size_t)fragment);
}

struct span query_match_query(struct span path_and_query)
{
    ssize_t at = span_find_byte(path_and_query, '?');
    return at < 0 ? SPAN_EMPTY : span_from_offset(path_and_query, (size_t)at + 1);
}

int query_match_compile(struct query_match *out, struct arena *arena,
                        const struct pb_route_QueryParameterMatcher *config, struct err *err)
{
    *out = (struct query_match){.name = config->name, .present = true};
    if (config->name.len == 0) {
        return err_set(err, -ERR_CONFIG, "query_parameters: name is empty");
    }
    switch (config->query_parameter_match_specifier_case) {
    case PB_ROUTE_QUERY_PARAMETER_MATCHER_QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH:
        out->has_text = true;
        if (string_match_compile(&out->text, arena, config->string_match, err) != 0) {
            return err_prefix(err, "query parameter '%.*s'", SPAN_ARG(config->name));
        }
        return 0;
    case PB_ROUTE_QUERY_PARAMETER_MATCHER_QUERY_PARAMETER_MATCH_SPECIFIER_PRESENT_MATCH:
        out->present = config->present_match;
        return 0;
    default:
        return 0;
    }
}

bool query_match_holds(const struct query_match *m, struct span query)
{
    struct span name;
    struct span value;
    while (url_query_next(&query, &name, &value)) {
        if (span_eq(name, m->name)) {
            return m->has_text ? string_match_holds(&m->text, value) : m->present;
        }
    }
    return !m->has_text && !m->present;
}

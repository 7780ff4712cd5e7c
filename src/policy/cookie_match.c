/* Tests on cookies. */
#include "policy/cookie_match.h"

#include "proto/route.pb.h"

int cookie_match_compile(struct cookie_match *out, struct arena *arena,
                         const struct pb_route_CookieMatcher *config, struct err *err)
{
    *out = (struct cookie_match){.name = config->name, .invert = config->invert_match};
    if (config->name.len == 0 || !config->string_match) {
        return err_set(err, -ERR_CONFIG, "cookies: name and string_match are required");
    }
    if (string_match_compile(&out->text, arena, config->string_match, err) != 0) {
        return err_prefix(err, "cookie '%.*s'", SPAN_ARG(config->name));
    }
    return 0;
}

/* The first cookie of that name in one field: `a=1; b="2"` (RFC 6265 section 4.2). */
static bool cookie_in(struct span field, struct span name, struct span *value)
{
    struct span rest = field;
    while (rest.at) {
        struct span pair = span_trim(span_cut(&rest, ';'));
        ssize_t eq = span_find_byte(pair, '=');
        if (eq < 0 || !span_eq(span_first(pair, (size_t)eq), name)) {
            continue;
        }
        struct span v = span_from_offset(pair, (size_t)eq + 1);
        if (v.len >= 2 && v.at[0] == '"' && v.at[v.len - 1] == '"') {
            v = (struct span){v.at + 1, v.len - 2};
        }
        *value = v;
        return true;
    }
    return false;
}

bool cookie_match_find(const struct header *fields, size_t count, struct span name,
                       struct span *value)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(fields[i].name, "cookie") && cookie_in(fields[i].value, name, value)) {
            return true;
        }
    }
    return false;
}

bool cookie_match_holds(const struct cookie_match *m, const struct traffic *tr)
{
    struct span value;
    if (cookie_match_find(tr->fields, tr->field_count, m->name, &value)) {
        return string_match_holds(&m->text, value) != m->invert;
    }
    return m->invert; /* an absent cookie matches nothing, and so everything inverted */
}

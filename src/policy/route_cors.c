/* Who may call across origins, as a route has it.
 * Source: envoy.extensions.filters.http.cors.v3.CorsPolicy; the Fetch standard, section 3.3. */
#include "policy/known.h"
#include "policy/pb_value.h"
#include "policy/route_int.h"
#include "proto/cors.pb.h"

#define ALWAYS 1000000

static int fraction(const struct pb_core_RuntimeFractionalPercent *f, uint32_t absent,
                    uint32_t *parts_per_million, struct err *err)
{
    *parts_per_million = absent;
    return f && f->default_value ? pb_value_fraction(f->default_value, parts_per_million, err) : 0;
}

int route_cors_compile(const struct route_cors **out, struct arena *arena, struct span bytes,
                       struct err *err)
{
    const struct pb_cors_CorsPolicy *config =
        pb_decode(&pb_cors_CorsPolicy_desc, arena, bytes, err);
    if (!config || known_check(&pb_cors_CorsPolicy_desc, config, err) != 0) {
        return -ERR_CONFIG;
    }
    size_t count = config->allow_origin_string_match.count;
    struct string_match *origins = arena_array(arena, count + 1, sizeof(*origins));
    for (size_t i = 0; i < count; i++) {
        int rc =
            string_match_compile(&origins[i], arena, config->allow_origin_string_match.at[i], err);
        if (rc != 0) {
            return err_prefix(err, "allow_origin_string_match");
        }
    }
    struct route_cors *c = arena_new(arena, struct route_cors);
    *c = (struct route_cors){
        .origins = origins,
        .origin_count = count,
        .methods = config->allow_methods,
        .headers = config->allow_headers,
        .expose = config->expose_headers,
        .max_age = config->max_age,
        .credentials = pb_value_bool(config->allow_credentials, false),
        .private_network = pb_value_bool(config->allow_private_network_access, false),
        .forward_unmatched = pb_value_bool(config->forward_not_matching_preflights, true),
    };
    *out = c;
    return fraction(config->filter_enabled, ALWAYS, &c->enabled_ppm, err);
}

/* As Envoy: what takes the text "*" takes all. */
bool route_cors_allows(const struct route_cors *c, struct span origin)
{
    for (size_t i = 0; i < c->origin_count; i++) {
        const struct string_match *m = &c->origins[i];
        if (string_match_holds(m, SPAN("*")) || string_match_holds(m, origin)) {
            return true;
        }
    }
    return false;
}

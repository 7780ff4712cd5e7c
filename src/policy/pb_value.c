/* Scalars of configuration messages. */
#include "policy/pb_value.h"

#define SECONDS_MAX \
    3153600000 /* a hundred years: far from overflow in milliseconds and microseconds */

int pb_value_ms(const struct pb_protobuf_Duration *d, int64_t fallback, const char *field,
                int64_t *ms, struct err *err)
{
    if (!d) {
        *ms = fallback;
        return 0;
    }
    if (d->seconds < 0 || d->nanos < 0 || d->seconds > SECONDS_MAX || d->nanos > 999999999) {
        return err_set(err, -ERR_CONFIG, "'%s' is %lld s and %d ns; use 0 s to 100 years", field,
                       (long long)d->seconds, (int)d->nanos);
    }
    *ms = d->seconds * 1000 + (d->nanos + 999999) / 1000000;
    return 0;
}

uint32_t pb_value_denominator(const struct pb_type_FractionalPercent *f)
{
    switch (f->denominator) {
    case PB_TYPE_FRACTIONAL_PERCENT_DENOMINATOR_TYPE_HUNDRED:
        return 100;
    case PB_TYPE_FRACTIONAL_PERCENT_DENOMINATOR_TYPE_TEN_THOUSAND:
        return 10000;
    case PB_TYPE_FRACTIONAL_PERCENT_DENOMINATOR_TYPE_MILLION:
        return 1000000;
    default:
        return 0;
    }
}

int pb_value_fraction(const struct pb_type_FractionalPercent *f, uint32_t *parts_per_million,
                      struct err *err)
{
    uint32_t denominator = pb_value_denominator(f);
    if (denominator == 0) {
        return err_set(err, -ERR_CONFIG, "denominator %d is not known", (int)f->denominator);
    }
    uint64_t parts = (uint64_t)f->numerator * (1000000 / denominator);
    *parts_per_million = parts > 1000000 ? 1000000 : (uint32_t)parts;
    return 0;
}

int pb_value_cidr(const struct pb_core_CidrRange *range, struct cidr *out, struct err *err)
{
    struct ip ip;
    if (ip_parse(range->address_prefix, &ip) != 0) {
        return err_set(err, -ERR_CONFIG, "address_prefix '%.*s' is not an IP address",
                       SPAN_ARG(range->address_prefix));
    }
    uint32_t bits = pb_value_u32(range->prefix_len, 0);
    if (cidr_make(&ip, bits, out) != 0) {
        return err_set(err, -ERR_CONFIG, "prefix_len %u is too long for '%.*s'", bits,
                       SPAN_ARG(range->address_prefix));
    }
    return 0;
}

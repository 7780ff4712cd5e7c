/* What is given.
 * In: a proven identity and a request. Out: a certificate to be. */
#include "ca/grant.h"

#include "base/instant.h"
#include "base/rng.h"
#include "codec/hex.h"

int grant_read_wish(const struct span *uris, size_t count, struct span trust_domain,
                    struct span reserved, struct identity *wanted, struct err *err)
{
    *wanted = (struct identity){.ns = SPAN_EMPTY};
    if (count == 0) {
        return 0;
    }
    if (count > 1) {
        return err_set(err, -ERR_DENIED,
                       "MESH3004 the request asks for %zu URI names; a SPIFFE certificate has one",
                       count);
    }
    struct span uri = span_first(uris[0], 256);
    if (identity_parse(uris[0], wanted) != 0 || wanted->ns.len == 0) {
        return err_set(
            err, -ERR_DENIED,
            "MESH3004 the request asks for '%.*s'; want spiffe://%.*s/ns/NAMESPACE/sa/ACCOUNT",
            SPAN_ARG(uri), SPAN_ARG(trust_domain));
    }
    if (!span_eq(wanted->trust_domain, trust_domain)) {
        return err_set(err, -ERR_DENIED,
                       "MESH3004 the request asks for '%.*s', of another trust domain than '%.*s'",
                       SPAN_ARG(uri), SPAN_ARG(trust_domain));
    }
    struct identity nobodys; /* schemes may be written in capitals, so texts are not compared */
    if (identity_parse(reserved, &nobodys) == 0 && identity_eq(wanted, &nobodys)) {
        return err_set(err, -ERR_DENIED,
                       "MESH3004 '%.*s' is the control plane's own name and given to nobody",
                       SPAN_ARG(uri));
    }
    return 0;
}

/* RFC 5280 section 4.1.2.2: positive, unique. Text as it will be read back from the certificate, whose number has no leading zero bytes. */
static void draw_serial(struct grant *out)
{
    do {
        rng_fill_secret(out->serial, sizeof(out->serial));
        out->serial[0] &= 0x7f;
    } while (out->serial[0] == 0);
    out->serial_hex[hex_encode(span_from(out->serial, sizeof(out->serial)), out->serial_hex)] =
        '\0';
}

static int write_name(const struct grant_rules *rules, struct span ns, struct span sa,
                      struct grant *out, struct err *err)
{
    struct buf name;
    buf_init(&name, IDENTITY_BYTES_MAX);
    int code = identity_format(rules->trust_domain, ns, sa, &name);
    struct identity id, nobodys;
    if (code != 0 || identity_parse(buf_span(&name), &id) != 0 || id.ns.len == 0) {
        code = err_set(err, -ERR_DENIED, "MESH3004 '%.*s/%.*s' can not be a SPIFFE ID",
                       SPAN_ARG(span_first(ns, 128)), SPAN_ARG(span_first(sa, 128)));
    } else if (identity_parse(rules->reserved, &nobodys) == 0 && identity_eq(&id, &nobodys)) {
        code = err_set(err, -ERR_DENIED,
                       "MESH3004 '%.*s' is the control plane's own name and given to nobody",
                       SPAN_ARG(rules->reserved));
    } else {
        (void)span_to_cstr(buf_span(&name), out->spiffe_id, sizeof(out->spiffe_id));
    }
    buf_dispose(&name);
    return code;
}

int grant_make(const struct grant_rules *rules, struct span ns, struct span sa,
               const struct identity *wanted, int64_t validity_s, struct grant *out,
               struct err *err)
{
    bool any_account = span_is(sa, "*");
    if (any_account && wanted->ns.len == 0) {
        return err_set(err, -ERR_DENIED,
                       "MESH3004 the join token is for any service account of '%.*s', so the "
                       "request must say which, as its URI name",
                       SPAN_ARG(span_first(ns, 128)));
    }
    if (wanted->ns.len > 0 &&
        (!span_eq(wanted->ns, ns) || (!any_account && !span_eq(wanted->sa, sa)))) {
        return err_set(
            err, -ERR_DENIED,
            "MESH3004 the request asks for '%.*s/%.*s', the proof is of '%.*s/%.*s'; a certificate "
            "is given for what was proven only",
            SPAN_ARG(span_first(wanted->ns, 64)), SPAN_ARG(span_first(wanted->sa, 64)),
            SPAN_ARG(span_first(ns, 64)), SPAN_ARG(span_first(sa, 64)));
    }
    int code = write_name(rules, ns, any_account ? wanted->sa : sa, out, err);
    int64_t life_s = validity_s > 0 ? i64_min(validity_s, rules->life_max_s) : rules->life_s;
    out->not_before_s = instant_wall_s() - GRANT_BACKDATE_S;
    out->not_after_s = instant_wall_s() + i64_max(life_s, GRANT_LIFE_MIN_S);
    draw_serial(out);
    return code;
}

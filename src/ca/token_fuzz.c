/* Join tokens and signing wishes: texts that strangers send. The first line is a token, the others are URI names of a request. */
#include "ca/grant.h"
#include "ca/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct span trust_domain = SPAN_INIT("cluster.local");
    static const struct span reserved =
        SPAN_INIT("spiffe://cluster.local/ns/mesh-system/sa/mesh-control");
    struct span rest = span_from(data, size), uris[2];
    struct span first = span_cut(&rest, '\n');
    struct token t;
    if (token_parse(first, &t)) {
        ASSERT(strlen(t.id) >= 6 && strlen(t.id) <= 16 && span_starts(first, SPAN("mesh1.")));
    }
    size_t count = 0;
    while (rest.at != NULL && count < 2) {
        uris[count++] = span_cut(&rest, '\n');
    }
    struct identity wanted;
    struct err err;
    if (grant_read_wish(uris, count, trust_domain, reserved, &wanted, &err) != 0) {
        ASSERT(err.code == -ERR_DENIED);
        return 0;
    }
    ASSERT(count == 0 || (count == 1 && wanted.ns.len > 0 && wanted.sa.len > 0));
    const struct grant_rules rules = {
        .trust_domain = trust_domain, .reserved = reserved, .life_s = 60, .life_max_s = 60};
    struct grant g;
    int code = grant_make(&rules, wanted.ns, wanted.sa, &wanted, 0, &g, &err);
    ASSERT(code == 0 || count == 0);
    ASSERT(code != 0 || span_eq_nocase(span_of(g.spiffe_id), uris[0]));
    return 0;
}

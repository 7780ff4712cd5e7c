/* SPIFFE IDs: parts lie inside the input, and an ID in Istio's form is written as it was. */
#include "mesh/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    struct identity id;
    struct identity again;
    if (identity_parse(text, &id) == 0 && id.ns.len > 0) {
        struct buf out;
        buf_init(&out, IDENTITY_BYTES_MAX);
        int failed = identity_format(id.trust_domain, id.ns, id.sa, &out);
        failed = failed ? failed : identity_parse(buf_span(&out), &again);
        ASSERT(failed == 0 && identity_eq(&id, &again) && span_eq_nocase(buf_span(&out), text));
        buf_dispose(&out);
    }
    return 0;
}

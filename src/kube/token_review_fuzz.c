/* Bearer tokens, as strangers send them. */
#include "kube/token_review.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ASSERT(token_review_expiry(span_from(data, size)) >= -1);
    return 0;
}

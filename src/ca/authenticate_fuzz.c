/* What strangers send as their proof. */
#include "ca/authenticate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tls_peer nobody = {.verified = false};
    const struct authenticate_call call = {.authorization = span_from(data, size),
                                           .peer = &nobody,
                                           .trust_domain = SPAN("cluster.local"),
                                           .now_s = 1800000000};
    struct authenticate_proof proof;
    struct err err;
    int code = authenticate_read(&call, &proof, &err);
    if (code != 0) {
        ASSERT(code == -ERR_DENIED && strncmp(err.text, "MESH30", 6) == 0);
        return 0;
    }
    if (proof.kind == AUTHENTICATE_TOKEN) {
        ASSERT(strlen(proof.token.id) >= 6);
        return 0;
    }
    ASSERT(proof.kind == AUTHENTICATE_ACCOUNT && proof.jwt.len <= AUTHENTICATE_JWT_BYTES_MAX);
    ASSERT(span_find(span_from(data, size), proof.jwt) > 0);
    for (size_t i = 0; i < proof.jwt.len; i++) {
        char c = proof.jwt.at[i];
        ASSERT(c > ' ' && c < 0x7f && c != '"' && c != '\\'); /* it goes into JSON and a header */
    }
    return 0;
}

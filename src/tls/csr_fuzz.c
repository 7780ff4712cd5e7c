/* Signing requests, given as DER or, when it begins so, as PEM. */
#include "tls/csr_int.h"

#include "codec/pem.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(struct span pem)
{
    struct err err;
    struct csr *csr;
    int code = csr_parse(&csr, pem, &err);
    ASSERT(code == -ERR_PROTO || code == 0);
    if (code == 0) {
        size_t count;
        const struct span *uris = csr_uris(csr, &count);
        ASSERT(mbedtls_pk_get_bitlen(csr_key(csr)) >= 256 && count <= CSR_URIS_MAX);
        for (size_t i = 0; i < count; i++) {
            ASSERT(span_starts(uris[i], uris[i]));
        }
        csr_free(csr);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct span input = span_from(data, size);
    int failed = tls_init(&err);
    ASSERT(failed == 0);
    if (span_starts(input, SPAN("-----"))) {
        read_one(input);
        return 0;
    }
    struct buf pem;
    buf_init(&pem, 2 * size + 1024);
    if (pem_write(SPAN("CERTIFICATE REQUEST"), input, &pem) == 0) {
        read_one(buf_span(&pem));
    }
    buf_dispose(&pem);
    return 0;
}

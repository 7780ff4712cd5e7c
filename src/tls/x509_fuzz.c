/* Certificates, given as DER or, when it begins so, as PEM. */
#include "tls/x509.h"

#include "base/buf.h"
#include "codec/pem.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct span pem)
{
    struct arena arena;
    struct err err;
    struct x509_facts *facts;
    size_t count;
    arena_init(&arena, 4096);
    if (x509_read(&arena, pem, &facts, &count, &err) == 0) {
        ASSERT(count > 0);
        for (size_t i = 0; i < count; i++) {
            ASSERT(facts[i].spiffe_id.len == 0 || facts[i].uri_count == 1);
        }
    }
    arena_dispose(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct span input = span_from(data, size);
    int failed = tls_init(&err);
    ASSERT(failed == 0);
    if (span_starts(input, SPAN("-----"))) {
        read_all(input);
        return 0;
    }
    struct buf pem;
    buf_init(&pem, 2 * size + 1024);
    if (pem_write(SPAN("CERTIFICATE"), input, &pem) == 0) {
        read_all(buf_span(&pem));
    }
    buf_dispose(&pem);
    return 0;
}

/* Base64: encoding is undone by decoding, and what decodes is the one encoding of its bytes. */
#include "base/mem.h"
#include "codec/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum base64_alphabet alphabet, struct span text)
{
    char *encoded = mem_alloc(base64_encoded_len(alphabet, text.len));
    size_t len = base64_encode(alphabet, text, encoded);
    ASSERT(len == base64_encoded_len(alphabet, text.len));
    char *decoded = mem_alloc(base64_decoded_max(len));
    ssize_t back = base64_decode(alphabet, span_from(encoded, len), decoded);
    ASSERT(back >= 0 && span_eq(span_from(decoded, (size_t)back), text));
    mem_free(encoded);
    mem_free(decoded);

    char *bytes = mem_alloc(base64_decoded_max(text.len));
    ssize_t got = base64_decode(alphabet, text, bytes);
    if (got >= 0) {
        char *same = mem_alloc(base64_encoded_len(alphabet, (size_t)got));
        size_t same_len = base64_encode(alphabet, span_from(bytes, (size_t)got), same);
        ASSERT(span_eq(span_from(same, same_len), span_first(text, same_len)));
        mem_free(same);
    }
    mem_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(BASE64_STANDARD, span_from(data, size));
    check(BASE64_URL, span_from(data, size));
    return 0;
}

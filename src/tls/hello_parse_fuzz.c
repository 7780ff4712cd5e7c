/* ClientHellos: names lie inside the result, what is good is not bad before it is whole, and stays good with
 * more behind it. */
#include "tls/hello_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct span s, const struct hello *hello)
{
    return s.len == 0 || (s.at >= hello->text && s.at + s.len <= hello->text + sizeof(hello->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hello hello; /* two of them are large for a stack */
    static struct hello part;
    struct span bytes = span_from(data, size);
    int result = hello_parse(bytes, &hello);
    ASSERT(result == 0 || result == HELLO_BAD || result == HELLO_MORE || result == HELLO_NOT_TLS);
    if (result == 0) {
        ASSERT(lies_in(hello.sni, &hello) && hello.alpn_count <= HELLO_ALPN_MAX);
        for (size_t i = 0; i < hello.alpn_count; i++) {
            ASSERT(hello.alpn[i].len > 0 && lies_in(hello.alpn[i], &hello));
        }
        size_t cut = size > 0 ? data[size - 1] * size / 256 : 0;
        int early = hello_parse(span_first(bytes, cut), &part);
        ASSERT(early == HELLO_MORE || (early == 0 && span_eq(part.sni, hello.sni)));
    }
    return 0;
}

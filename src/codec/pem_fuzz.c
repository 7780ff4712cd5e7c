/* PEM: each block that is read is written and read again as the same. */
#include "codec/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct pem_block block;
    arena_init(&arena, 4096);
    for (struct span rest = span_from(data, size); pem_next(&rest, &arena, &block, &err) == 1;) {
        struct pem_block again;
        struct buf out;
        buf_init(&out, size * 2 + 256);
        int failed = pem_write(block.label, block.der, &out);
        struct span written = buf_span(&out);
        int found = failed == 0 ? pem_next(&written, &arena, &again, &err) : failed;
        ASSERT(found == 1 && span_eq(again.label, block.label) && span_eq(again.der, block.der));
        buf_dispose(&out);
    }
    arena_dispose(&arena);
    return 0;
}

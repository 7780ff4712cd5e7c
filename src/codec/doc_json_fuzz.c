/* JSON: what was read is written, compact and pretty, and read again as the same. */
#include "base/arena.h"
#include "codec/doc.h"

#define OUT_BYTES (8UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct doc_node *doc;
    arena_init(&arena, 4096);
    if (doc_parse_json(&arena, span_from(data, size), "fuzz", &doc, &err) == 0) {
        for (int pretty = 0; pretty < 2; pretty++) {
            struct doc_node *again;
            struct buf out;
            buf_init(&out, OUT_BYTES);
            int failed = doc_write_json(doc, pretty != 0, &out);
            failed = failed ? failed : doc_parse_json(&arena, buf_span(&out), "out", &again, &err);
            ASSERT(failed == 0 && doc_eq(doc, again));
            buf_dispose(&out);
        }
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&arena);
    return 0;
}

/* YAML: what was read is written as YAML and as JSON, and both are read again as the same. */
#include "base/arena.h"
#include "codec/doc.h"

#define OUT_BYTES (4UL << 20) /* aliases may make the output larger than any input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *arena, const struct doc_node *doc)
{
    struct err err = {.code = 0};
    struct doc_node *again;
    struct buf out;
    buf_init(&out, OUT_BYTES);
    if (doc_write_yaml(doc, &out) == 0) {
        int failed = doc_parse_yaml(arena, buf_span(&out), "out", &again, &err);
        ASSERT(failed == 0 && doc_eq(doc, again));
    }
    buf_reset(&out);
    if (doc_write_json(doc, false, &out) == 0) {
        int failed = doc_parse_json(arena, buf_span(&out), "out", &again, &err);
        ASSERT(failed == 0 && doc_eq(doc, again));
    }
    buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct doc_node *all;
    arena_init(&arena, 4096);
    if (doc_parse_yaml_all(&arena, span_from(data, size), "fuzz", &all, &err) == 0) {
        for (size_t i = 0; i < doc_count(all); i++) {
            check(&arena, doc_at(all, i));
        }
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&arena);
    return 0;
}

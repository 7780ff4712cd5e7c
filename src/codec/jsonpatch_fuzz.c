/* A text of two JSON documents, one a line: the second as a patch of the first, and what makes the first into the second. */
#include "codec/jsonpatch.h"

#define OUT_BYTES (4UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *arena, const struct doc_node *from, const struct doc_node *to)
{
    struct err err = {.code = 0};
    struct doc_node *out = NULL;
    struct buf text;
    if (jsonpatch_apply(arena, from, to, &out, &err) == 0) {
        buf_init(&text, OUT_BYTES);
        int failed = doc_write_json(out, false, &text);
        ASSERT(failed == 0 || failed == -ERR_LIMIT);
        buf_dispose(&text);
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    const struct doc_node *patch = jsonpatch_make(arena, from, to);
    if (doc_count(patch) <= JSONPATCH_OPS_MAX) {
        int failed = jsonpatch_apply(arena, from, patch, &out, &err);
        ASSERT(failed == 0 && doc_eq(out, to));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {.code = 0};
    struct span second = span_from(data, size);
    struct span first = span_cut(&second, '\n');
    struct doc_node *from, *to;
    arena_init(&arena, 4096);
    if (doc_parse_json(&arena, first, "from", &from, &err) == 0 &&
        doc_parse_json(&arena, second, "to", &to, &err) == 0) {
        check(&arena, from, to);
    }
    arena_dispose(&arena);
    return 0;
}

/* Any document: what is left of it is a document too, which is left alone the second time, and read as its kind or told what is wrong. The first
 * byte says which kind the server took it for. */
#include "control/sources/from_kube_prune.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct doc_node *doc;
    struct err err;
    struct findings findings;
    if (size == 0) {
        return 0;
    }
    enum object_kind kind = data[0] % OBJECT_KIND_COUNT;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    if (doc_parse_json(&arena, span_from(data + 1, size - 1), "fuzz", &doc, &err) == 0) {
        struct doc_node *pruned = from_kube_prune(&arena, kind, doc);
        ASSERT(pruned->file == NULL && pruned->line == 0);
        ASSERT(doc_eq(pruned, from_kube_prune(&arena, kind, pruned)));
        size_t errors = findings.errors;
        struct object *o = object_read(pruned, &findings);
        ASSERT(o != NULL || findings.count > 0);
        ASSERT(o == NULL || findings.errors == errors);
        object_unref(o);
    }
    arena_dispose(&arena);
    return 0;
}

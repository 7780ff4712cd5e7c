/* The labels file of a pod. */
#include "proxy/pod/pod_labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err;
    struct span rest = span_from(data, size), key, value;
    size_t bytes = 0;
    int code;
    arena_init(&arena, 1024);
    while ((code = pod_labels_next(&rest, &arena, &key, &value, &err)) == 1) {
        ASSERT(key.len > 0);
        bytes += key.len + value.len + 3; /* ="" */
        ASSERT(bytes <= size);
    }
    ASSERT(code == 0 || code == -ERR_CONFIG);
    arena_dispose(&arena);
    return 0;
}

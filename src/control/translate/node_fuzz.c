/* The Node of a stream from wire bytes: whatever is taken has a place and a name. */
#include "control/translate/translate.h"
#include "proto/core.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct node n;
    struct err err = {.code = 0};
    arena_init(&arena, 4096);
    const struct pb_core_Node *message =
        pb_decode(&pb_core_Node_desc, &arena, span_from(data, size), &err);
    if (message && node_read(&n, message, &err) == 0) {
        ASSERT(n.address_count > 0 && n.addresses[0].family != 0);
        ASSERT(n.namespace.len > 0 && n.service_account.len > 0);
        node_dispose(&n);
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&arena);
    return 0;
}

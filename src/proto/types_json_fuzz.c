/* Fuzzes the JSON form: the first line names the type, the rest is YAML. What is accepted must have a wire form
 * that is accepted too. */
#include "codec/pb_json.h"
#include "proto/types.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span rest = span_from(data, size);
    const struct pb_desc *desc = pb_find(&proto_types, span_cut(&rest, '\n'));
    if (!desc) {
        desc = proto_types.by_name[(size_t)(data[0] << 8 | data[1]) % proto_types.count];
    }
    struct arena a;
    struct doc_node *doc = NULL;
    struct err err;
    arena_init(&a, 65536);
    if (doc_parse_yaml(&a, rest, "fuzz", &doc, &err) == 0) {
        const void *msg = pb_json_read(&proto_types, desc, &a, doc, &err);
        ASSERT(msg || err.code < 0);
        if (msg) {
            struct span wire = pb_encode_in(desc, msg, &a);
            ASSERT(wire.at);
            const void *again = pb_decode(desc, &a, wire, &err);
            ASSERT(again || err.code == -ERR_LIMIT);
            ASSERT(!again || pb_equal(desc, msg, again));
        }
    }
    arena_dispose(&a);
    return 0;
}

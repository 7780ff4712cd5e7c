/* Fuzzes the decoder with every message we know: the first line names it, the rest is its wire form. What is
 * accepted must survive being encoded, and be fit to be shown as JSON and read again. */
#include "codec/pb_json.h"
#include "proto/types.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct pb_desc *desc, const void *msg, struct arena *a)
{
    struct buf text;
    buf_init(&text, 1 << 22);
    struct doc_node *doc = NULL;
    unsigned how = PB_JSON_REDACT | PB_JSON_PRETTY;
    if (pb_json_write(&proto_types, desc, msg, 0, &text) == 0) {
        int rc = doc_parse_json(a, buf_span(&text), "fuzz", &doc, NULL);
        if (rc == 0) {
            void *again = pb_json_read(&proto_types, desc, a, doc, NULL);
            ASSERT(!again || pb_size(desc, again) >= 0);
        }
    }
    buf_reset(&text);
    int rc = pb_json_write(&proto_types, desc, msg, how, &text);
    ASSERT(rc == 0 || rc == -ERR_LIMIT);
    buf_dispose(&text);
}

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
    arena_init(&a, 65536);
    const void *msg = pb_decode(desc, &a, rest, NULL);
    if (msg) {
        struct span first = pb_encode_in(desc, msg, &a);
        ASSERT(first.at);
        struct err err;
        const void *again = pb_decode(desc, &a, first, &err);
        /* the entry of a map whose value is empty grows by its header, and may so reach a limit */
        ASSERT(again || err.code == -ERR_LIMIT);
        ASSERT(!again || pb_equal(desc, msg, again));
        show(desc, msg, &a);
    }
    arena_dispose(&a);
    return 0;
}

/* gRPC's message framing in pieces of any size, and its texts. */
#include <stdlib.h>

#include "http/grpc_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) \
    if (!(cond)) {  \
        abort();    \
    }

static size_t run(struct span in, size_t piece, enum grpc_frame *last)
{
    struct grpc_frames f;
    size_t sum = 0;
    grpc_frames_init(&f);
    *last = GRPC_FRAME_MORE;
    while (in.len > 0 && *last == GRPC_FRAME_MORE) {
        struct span part = span_first(in, piece);
        struct span message;
        in = span_from_offset(in, part.len);
        while ((*last = grpc_frames_next(&f, &part, &message)) == GRPC_FRAME_MESSAGE) {
            sum = sum * 31 + message.len + (message.len > 0 ? (unsigned char)message.at[0] : 0);
        }
        CHECK(*last != GRPC_FRAME_MORE || part.len == 0);
    }
    grpc_frames_dispose(&f);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_from(data, size);
    enum grpc_frame whole;
    enum grpc_frame parts;
    size_t sum = run(in, SIZE_MAX, &whole);
    CHECK(run(in, 1, &parts) == sum && whole == parts);
    CHECK(run(in, 7, &parts) == sum && whole == parts);

    struct arena a;
    int64_t ms = 1;
    arena_init(&a, 1024);
    CHECK(!grpc_timeout_parse(in, &ms) || ms >= 1);
    struct span encoded = grpc_message_encode(&a, in);
    CHECK(span_eq(grpc_message_decode(&a, encoded), in));
    (void)grpc_message_decode(&a, in);
    (void)grpc_is_content_type(in);
    arena_dispose(&a);
    return 0;
}

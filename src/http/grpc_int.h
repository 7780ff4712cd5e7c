#ifndef HTTP_GRPC_INT_H
#define HTTP_GRPC_INT_H
/* What grpc.c and grpc_text.c share. */
#include "base/buf.h"
#include "http/grpc.h"

/* Memory from `arena`; broken escapes stay as they are. */
struct span grpc_message_decode(struct arena *arena, struct span text);

/* Length-prefixed messages out of a stream of bytes. A message that lies whole in the input is not copied;
 * of others memory grows with the bytes that came, not with the length that was announced. */
struct grpc_frames {
    struct buf part;
    size_t limit; /* of one message */
    bool told;    /* `part` is the message told last */
};
enum grpc_frame {
    GRPC_FRAME_MORE, /* all of the input is used */
    GRPC_FRAME_MESSAGE,
    GRPC_FRAME_COMPRESSED, /* without grpc-encoding: not allowed */
    GRPC_FRAME_TOO_LARGE,
    GRPC_FRAME_BAD,
};
void grpc_frames_init(struct grpc_frames *f);
void grpc_frames_dispose(struct grpc_frames *f);
/* `message` is valid until the next call; takes what it used off the front of `in`. */
enum grpc_frame grpc_frames_next(struct grpc_frames *f, struct span *in, struct span *message);
/* Not within a message. */
bool grpc_frames_is_empty(const struct grpc_frames *f);
#endif

#ifndef BASE_NETLINK_H
#define BASE_NETLINK_H
/* Messages to the kernel: netlink(7), attributes as in linux/netlink.h. Built in order, and sent as one batch that is
 * answered once. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define NETLINK_MESSAGE_BYTES 4096

/* One message under construction. */
struct netlink {
    /* private */
    char bytes[NETLINK_MESSAGE_BYTES];
    size_t len;
    bool is_over;
};

/* Begins with the family's own header. NLM_F_REQUEST is added to `flags`. */
void netlink_begin(struct netlink *m, uint16_t type, uint16_t flags, const void *head,
                   size_t head_len);
/* Further bytes outside of attributes; padded. */
void netlink_add(struct netlink *m, const void *bytes, size_t len);
void netlink_put(struct netlink *m, uint16_t type, const void *value, size_t len);
void netlink_put_u32(struct netlink *m, uint16_t type, uint32_t value);    /* in the host's order */
void netlink_put_text(struct netlink *m, uint16_t type, const char *text); /* terminated */
/* An attribute of attributes; the answer is for netlink_nest_end. */
size_t netlink_nest(struct netlink *m, uint16_t type);
void netlink_nest_end(struct netlink *m, size_t at);
/* Appends it to the batch. Sequence numbers count messages from 1, so that an error of the kernel names one. -ERR_LIMIT:
 * the message or the batch is too long. */
MUST_USE int netlink_end(struct netlink *m, uint32_t *sequence, struct buf *batch);

/* Sends a batch, of which at least one message asks for an acknowledgement (NLM_F_ACK), and waits at most 5 s for the first
 * answer: 0, or the kernel's -errno and the sequence number that it names (0: none). `protocol` as NETLINK_ROUTE. */
MUST_USE int netlink_send(int protocol, struct span batch, uint32_t *sequence);
#endif

/* Netlink messages and their way to the kernel. */
#include "base/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_BYTES 32768
#define SOCKET_BYTES (1 << 21) /* a whole batch goes in one send */
#define WAIT_S 5

void netlink_add(struct netlink *m, const void *bytes, size_t len)
{
    size_t padded = NLMSG_ALIGN(len);
    if (m->len + padded > sizeof(m->bytes)) {
        m->is_over = true;
        return;
    }
    memset(m->bytes + m->len, 0, padded);
    if (len > 0) {
        memcpy(m->bytes + m->len, bytes, len);
    }
    m->len += padded;
}

void netlink_begin(struct netlink *m, uint16_t type, uint16_t flags, const void *head,
                   size_t head_len)
{
    struct nlmsghdr first = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
    m->len = 0;
    m->is_over = false;
    netlink_add(m, &first, sizeof(first));
    netlink_add(m, head, head_len);
}

void netlink_put(struct netlink *m, uint16_t type, const void *value, size_t len)
{
    struct nlattr head = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};
    netlink_add(m, &head, sizeof(head));
    netlink_add(m, value, len);
}

void netlink_put_u32(struct netlink *m, uint16_t type, uint32_t value)
{
    netlink_put(m, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink *m, uint16_t type, const char *text)
{
    netlink_put(m, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink *m, uint16_t type)
{
    struct nlattr head = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
    size_t at = m->len;
    netlink_add(m, &head, sizeof(head));
    return at;
}

void netlink_nest_end(struct netlink *m, size_t at)
{
    uint16_t len = (uint16_t)(m->len - at);
    if (!m->is_over) {
        memcpy(m->bytes + at, &len, sizeof(len));
    }
}

int netlink_end(struct netlink *m, uint32_t *sequence, struct buf *batch)
{
    struct nlmsghdr head;
    if (m->is_over) {
        return -ERR_LIMIT;
    }
    memcpy(&head, m->bytes, sizeof(head));
    head.nlmsg_len = (uint32_t)m->len;
    head.nlmsg_seq = ++*sequence;
    memcpy(m->bytes, &head, sizeof(head));
    return buf_append(batch, m->bytes, m->len);
}

/* ---- the kernel ---- */

/* Beyond the limit that everybody has; a kernel that refuses that in a user namespace leaves us the limit. */
static int set_room(int fd)
{
    int bytes = SOCKET_BYTES;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) == 0
               ? 0
               : setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_socket(int protocol)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    struct timeval wait = {.tv_sec = WAIT_S};
    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) != 0 || set_room(fd) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0) {
        int code = -errno;
        if (fd >= 0) {
            (void)close(fd); /* the failure before counts */
        }
        return code;
    }
    return fd;
}

/* The first answer tells: an error of any message comes before the acknowledgement that was asked for. */
static int receive(int fd, uint32_t *sequence)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
    ssize_t len = recv(fd, answer, sizeof(answer), 0);
    if (len < 0) {
        return -errno;
    }
    for (struct nlmsghdr *h = (struct nlmsghdr *)answer; NLMSG_OK(h, (size_t)len);
         h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
            const struct nlmsgerr *said = NLMSG_DATA(h);
            *sequence = said->msg.nlmsg_seq;
            return said->error;
        }
    }
    return -ERR_PROTO;
}

int netlink_send(int protocol, struct span batch, uint32_t *sequence)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    *sequence = 0;
    int fd = open_socket(protocol);
    if (fd < 0) {
        return fd;
    }
    ssize_t sent = sendto(fd, batch.at, batch.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    int code = sent < 0 ? -errno : sent == (ssize_t)batch.len ? 0 : -EMSGSIZE;
    code = code ? code : receive(fd, sequence);
    (void)close(fd); /* nothing is left to do about a failure */
    return code;
}

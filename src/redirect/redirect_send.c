/* A batch to the kernel, and what it says to that. In: redirect_netlink. Next: nobody; the rules hold. */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redirect/redirect.h"

#define ANSWER_BYTES 32768
#define SOCKET_BYTES (1 << 21) /* a whole batch goes in one send */

static int explain(int code, uint32_t sequence, struct err *err)
{
    switch (code) {
    case -EPERM:
    case -EACCES:
        return err_set(
            err, -EPERM,
            "MESH1050 the kernel refuses: redirection needs the capability NET_ADMIN in this network "
            "namespace");
    case -EOPNOTSUPP:
    case -EPROTONOSUPPORT:
        return err_set(
            err, -EOPNOTSUPP,
            "MESH1051 this kernel has no nftables NAT for the inet family (needs 5.2 or newer with "
            "nf_tables, nft_redir and nft_nat)");
    default:
        return err_set(err, code, "MESH1052 the kernel refuses message %u of the batch: %s",
                       sequence, err_name(code));
    }
}

/* Beyond the limit that everybody has; a kernel that refuses that in a user namespace leaves us the limit. */
static int set_room(int fd)
{
    int bytes = SOCKET_BYTES;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0
               ? 0
               : setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static int open_socket(struct err *err)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    struct timeval wait = {.tv_sec = 5};
    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) != 0 || set_room(fd) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0) {
        int code = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return explain(code, 0, err);
    }
    return fd;
}

static int send_all(int fd, struct span bytes, struct err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent = sendto(fd, bytes.at, bytes.len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return sent == (ssize_t)bytes.len ? 0 : explain(sent < 0 ? -errno : -EMSGSIZE, 0, err);
}

/* The first answer tells: an error of any message comes before the acknowledgement that was asked for. */
static int receive(int fd, char *to, struct err *err)
{
    ssize_t len = recv(fd, to, ANSWER_BYTES, 0);
    if (len < 0) {
        return explain(-errno, 0, err);
    }
    for (struct nlmsghdr *h = (struct nlmsghdr *)to; NLMSG_OK(h, (size_t)len);
         h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
            const struct nlmsgerr *answer = NLMSG_DATA(h);
            return answer->error ? explain(answer->error, answer->msg.nlmsg_seq, err) : 0;
        }
    }
    return err_set(err, -ERR_PROTO, "the kernel's answer is not understood");
}

int redirect_send(struct span batch, struct err *err)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
    int fd = open_socket(err);
    if (fd < 0) {
        return fd;
    }
    int code = send_all(fd, batch, err);
    code = code ? code : receive(fd, answer, err);
    close(fd);
    return code;
}

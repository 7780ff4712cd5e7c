/* A batch to the kernel, and what it says to that. In: redirect_netlink. Next: nobody; the rules hold. */
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/netlink.h"
#include "redirect/redirect.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */

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

/* What a proxy passes on over IPv6 comes from ::6, which no host has by itself as it has all of 127.0.0.0/8. */
static int add_source(struct err *err)
{
    static const uint8_t source[16] = {[15] = 6};
    struct ifaddrmsg head = {.ifa_family = AF_INET6,
                             .ifa_prefixlen = 128,
                             .ifa_scope = RT_SCOPE_HOST,
                             .ifa_index = LOOPBACK_INDEX};
    struct netlink m;
    struct buf batch;
    uint32_t sequence = 0;
    netlink_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof head);
    netlink_put(&m, IFA_LOCAL, source, sizeof source);
    netlink_put(&m, IFA_ADDRESS, source, sizeof source);
    netlink_put_u32(&m, IFA_FLAGS, IFA_F_NODAD);
    buf_init(&batch, NETLINK_MESSAGE_BYTES);
    int code = netlink_end(&m, &sequence, &batch);
    code = code ? code : netlink_send(NETLINK_ROUTE, buf_span(&batch), &sequence);
    buf_dispose(&batch);
    /* Without IPv6 nobody needs it: the family is not there, or switched off. */
    bool is_fine = code == 0 || code == -EOPNOTSUPP || code == -EAFNOSUPPORT || code == -EACCES ||
                   code == -EEXIST;
    return is_fine ? 0 : explain(code, sequence, err);
}

int redirect_send(struct span batch, bool gone, struct err *err)
{
    uint32_t sequence;
    int code = netlink_send(NETLINK_NETFILTER, batch, &sequence);
    if (code != 0) {
        return explain(code, sequence, err);
    }
    return gone ? 0 : add_source(err);
}

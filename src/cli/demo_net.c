/* Namespaces, bridge and cables.
 * Sources: rtnetlink(7), network_namespaces(7), linux/if_link.h, linux/veth.h. */
#include "cli/demo_net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/netlink.h"

#define NUMBERS 200
#define NETWORK 0x0a420000u /* 10.66.0.0 */
#define PREFIX 24
#define OUR_HOST 254
#define BRIDGE_INDEX 100

struct demo_net {
    int home, bridge; /* namespaces: where we were, and the bridge's */
    int number;
    int hosts[DEMO_NET_HOSTS]; /* namespaces; 0: none yet */
};

/* ---- one request to the kernel, in the namespace that the thread is in ---- */

static int send_message(struct netlink *m)
{
    struct buf batch;
    uint32_t sequence = 0;
    buf_init(&batch, NETLINK_MESSAGE_BYTES);
    int code = netlink_end(m, &sequence, &batch);
    code = code < 0 ? code : netlink_send(NETLINK_ROUTE, buf_span(&batch), &sequence);
    buf_dispose(&batch);
    return code;
}

static int set_up(int index)
{
    const struct ifinfomsg link = {
        .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct netlink m;
    netlink_begin(&m, RTM_NEWLINK, NLM_F_ACK, &link, sizeof(link));
    return send_message(&m);
}

static int add_bridge(void)
{
    const struct ifinfomsg link = {.ifi_family = AF_UNSPEC,
                                   .ifi_index = BRIDGE_INDEX,
                                   .ifi_flags = IFF_UP,
                                   .ifi_change = IFF_UP};
    struct netlink m;
    netlink_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &link, sizeof(link));
    netlink_put_text(&m, IFLA_IFNAME, "bridge");
    size_t info = netlink_nest(&m, IFLA_LINKINFO);
    netlink_put_text(&m, IFLA_INFO_KIND, "bridge");
    netlink_nest_end(&m, info);
    return send_message(&m);
}

/* From the bridge's namespace to `far`. */
static int add_cable(const char *name, int far, const char *far_name)
{
    const struct ifinfomsg near_end = {
        .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    const struct ifinfomsg far_end = {.ifi_family = AF_UNSPEC};
    struct netlink m;
    netlink_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &near_end,
                  sizeof(near_end));
    netlink_put_text(&m, IFLA_IFNAME, name);
    netlink_put_u32(&m, IFLA_MASTER, BRIDGE_INDEX);
    size_t info = netlink_nest(&m, IFLA_LINKINFO);
    netlink_put_text(&m, IFLA_INFO_KIND, "veth");
    size_t more = netlink_nest(&m, IFLA_INFO_DATA);
    size_t peer = netlink_nest(&m, VETH_INFO_PEER);
    netlink_add(&m, &far_end, sizeof(far_end));
    netlink_put_text(&m, IFLA_IFNAME, far_name);
    netlink_put_u32(&m, IFLA_NET_NS_FD, (uint32_t)far);
    netlink_nest_end(&m, peer);
    netlink_nest_end(&m, more);
    netlink_nest_end(&m, info);
    return send_message(&m);
}

static int add_address(int index, uint32_t ip)
{
    const struct ifaddrmsg head = {
        .ifa_family = AF_INET, .ifa_prefixlen = PREFIX, .ifa_index = (unsigned)index};
    uint32_t be = htonl(ip);
    struct netlink m;
    netlink_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &head, sizeof(head));
    netlink_put(&m, IFA_LOCAL, &be, sizeof(be));
    netlink_put(&m, IFA_ADDRESS, &be, sizeof(be));
    return send_message(&m);
}

/* Virtual addresses need a route, though nobody is there: redirection comes after routing. */
static int add_default_route(int index)
{
    const struct rtmsg head = {.rtm_family = AF_INET,
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = RT_SCOPE_LINK,
                               .rtm_type = RTN_UNICAST};
    struct netlink m;
    netlink_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, &head, sizeof(head));
    netlink_put_u32(&m, RTA_OIF, (uint32_t)index);
    return send_message(&m);
}

/* ---- namespaces ---- */

int demo_net_enter(struct demo_net *n, int fd)
{
    return setns(fd >= 0 ? fd : n->home, CLONE_NEWNET) == -1 ? -errno : 0;
}

static int open_own(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd == -1 ? -errno : fd;
}

/* A descriptor of a new one, with lo up. */
static int make_namespace(struct demo_net *n)
{
    if (unshare(CLONE_NEWNET) == -1) {
        return -errno;
    }
    int fd = open_own();
    int code = fd < 0 ? fd : set_up((int)if_nametoindex("lo"));
    int back = demo_net_enter(n, -1);
    code = code < 0 ? code : back;
    if (code < 0 && fd >= 0) {
        (void)close(fd); /* the failure before counts */
    }
    return code < 0 ? code : fd;
}

static uint32_t address(const struct demo_net *n, int host)
{
    return NETWORK + ((uint32_t)n->number << 8) + (uint32_t)host;
}

/* Whether we have an address in the network already. */
static bool is_taken(const struct demo_net *n)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) == -1) {
        return false; /* then the address itself is refused */
    }
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)i->ifa_addr;
            found = found || ntohl(in->sin_addr.s_addr) >> 8 == address(n, 0) >> 8;
        }
    }
    freeifaddrs(all);
    return found;
}

/* Our cable, in the first network that is free. -EEXIST: none is. */
static int connect_home(struct demo_net *n)
{
    char name[IFNAMSIZ];
    for (n->number = 0; n->number < NUMBERS; n->number++) {
        if (is_taken(n)) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "mesh-demo-%d", n->number);
        int code = demo_net_enter(n, n->bridge);
        code = code < 0 ? code : add_cable("home", n->home, name);
        int back = demo_net_enter(n, -1);
        code = code < 0 ? code : back;
        if (code == -EEXIST) {
            continue;
        }
        int index = code < 0 ? 0 : (int)if_nametoindex(name);
        code = code < 0 ? code : add_address(index, address(n, OUR_HOST));
        return code < 0 ? code : set_up(index);
    }
    return -EEXIST;
}

int demo_net_new(struct demo_net **out, struct err *err)
{
    struct demo_net *n = mem_new(struct demo_net);
    n->bridge = -1;
    n->home = open_own();
    int code = n->home < 0 ? n->home : (n->bridge = make_namespace(n));
    code = code < 0 ? code : demo_net_enter(n, n->bridge);
    if (code == 0) {
        code = add_bridge();
        int back = demo_net_enter(n, -1);
        code = code < 0 ? code : back;
        code = code < 0 ? code : connect_home(n);
    }
    if (code < 0) {
        demo_net_free(n);
        return code == -EPERM
                   ? err_set(err, code,
                             "MESH1100 network namespaces need root, or the capabilities SYS_ADMIN "
                             "and NET_ADMIN; `mesh demo` without --netns needs nothing")
                   : err_set(err, code, "MESH1101 the network can not be made: %s", err_name(code));
    }
    *out = n;
    return 0;
}

void demo_net_free(struct demo_net *n)
{
    if (n == NULL) {
        return;
    }
    for (int i = 0; i < DEMO_NET_HOSTS; i++) {
        if (n->hosts[i] > 0) {
            (void)close(n->hosts[i]); /* and with the last process in it, it vanishes */
        }
    }
    if (n->bridge >= 0) {
        (void)close(n->bridge);
    }
    if (n->home >= 0) {
        (void)close(n->home);
    }
    mem_free(n);
}

int demo_net_number(const struct demo_net *n)
{
    return n->number;
}

static int furnish(struct demo_net *n, int fd, int host)
{
    char name[IFNAMSIZ];
    (void)snprintf(name, sizeof(name), "to-%d", host);
    int code = demo_net_enter(n, n->bridge);
    code = code < 0 ? code : add_cable(name, fd, "eth0");
    code = code < 0 ? code : demo_net_enter(n, fd);
    int index = code < 0 ? 0 : (int)if_nametoindex("eth0");
    code = code < 0 ? code : add_address(index, address(n, host));
    code = code < 0 ? code : set_up(index);
    code = code < 0 ? code : add_default_route(index);
    int back = demo_net_enter(n, -1);
    return code < 0 ? code : back;
}

int demo_net_at(struct demo_net *n, int host, struct err *err)
{
    ASSERT(host > 0 && host < DEMO_NET_HOSTS);
    if (n->hosts[host] > 0) {
        return n->hosts[host];
    }
    int fd = make_namespace(n);
    int code = fd < 0 ? fd : furnish(n, fd, host);
    if (code < 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return err_set(err, code, "MESH1101 the network of host %d can not be made: %s", host,
                       err_name(code));
    }
    n->hosts[host] = fd;
    return fd;
}

"""The lab's network: nodes' addresses, and for each pod a namespace with a routed veth.

A pod has its address as a /32 and sends everything to 169.254.1.1, whose link address is known beforehand; the lab
has a /32 route to the pod. There is no bridge, so connection tracking of the lab sees both directions of everything."""
import ipaddress
import os
import socket

import kernel
import netlink

NEXT_HOP, NEXT_HOP_MAC, POD_MAC = "169.254.1.1", "ee:ee:ee:ee:ee:ee", "02:00:00:00:00:01"
SERVICE_LINK = 900  # where packets to Services leave for, unless they are translated or refused before
SERVICE_MACS = "02:00:00:00:01:01", "02:00:00:00:01:02"
FIRST_POD_LINK = 1000
KINDS = {kernel.CLONE_NEWNET: "net", kernel.CLONE_NEWUTS: "uts", kernel.CLONE_NEWIPC: "ipc"}
SANDBOX = kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC


def write_sysctl(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as file:
        file.write(str(value))


class Sandbox:
    """The namespaces that a pod's containers share, held by descriptors: they are gone with the last of these and the
    last process. Without `fds` it is the lab's own (hostNetwork)."""

    def __init__(self, ip, fds=None, link=None):
        self.ip, self.fds, self.link = ip, fds or {}, link

    def enter(self):
        """For the child that is to become a container."""
        for flag, fd in self.fds.items():
            kernel.setns(fd, flag)


class Addresses:
    """Free addresses of one node's range, the longest unused first; .1 is the node's own."""

    def __init__(self, cidr):
        hosts = [str(a) for a in ipaddress.ip_network(cidr).hosts()]
        self.node, self.free = hosts[0], hosts[1:]

    def take(self):
        if not self.free:
            raise OSError("the node has no free pod address")
        return self.free.pop(0)

    def give(self, ip):
        self.free.append(ip)


class Network:
    """In the lab's namespace, to which the calling process belongs."""

    def __init__(self, home, service_cidr, lb_cidr):
        self.home = home
        self.netlink = netlink.Netlink()
        self.next_link = FIRST_POD_LINK
        self.routed = [service_cidr, lb_cidr]

    def start(self, node_ips):
        for name in ("all", "default"):
            write_sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
        write_sysctl("net.ipv4.ip_forward", 1)
        write_sysctl("net.ipv4.icmp_ratelimit", 0)  # a refused connection is told so every time
        for ip in node_ips:
            self.netlink.run(netlink.address(1, ip + "/32"))
        self.stop()
        # A local process can only be translated after its packet found a route; this one leads nowhere.
        self.netlink.run(netlink.link_up(1),
                         netlink.veth(SERVICE_LINK, "svc0", SERVICE_MACS[0], SERVICE_LINK + 1, "svc1", SERVICE_MACS[1]),
                         netlink.link_up(SERVICE_LINK), netlink.link_up(SERVICE_LINK + 1),
                         *(netlink.route(SERVICE_LINK, cidr, source=node_ips[0]) for cidr in self.routed))

    def stop(self):
        """Also what a predecessor left."""
        for index, name in socket.if_nameindex():
            if name == "svc0" or (name.startswith("pod") and index >= FIRST_POD_LINK):
                self.netlink.run(netlink.link_delete(index))

    def open_sandbox(self, ip, node_ip, hostname, sysctls):
        """A new sandbox with the address, its loopback up. OSError says what failed."""
        index, self.next_link = self.next_link, self.next_link + 1
        fds = {}
        try:
            kernel.unshare(SANDBOX)
            try:
                for flag, name in KINDS.items():
                    fds[flag] = os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
                socket.sethostname(hostname)
                for name, value in sysctls.items():
                    write_sysctl(name, value)
                inside = netlink.Netlink()
            finally:
                self.home.back(SANDBOX)
            try:
                pair = netlink.veth(index, f"pod{index}", NEXT_HOP_MAC, 2, "eth0", POD_MAC, fds[kernel.CLONE_NEWNET])
                self.netlink.run(pair, netlink.link_up(index), netlink.route(index, ip, source=node_ip),
                                 netlink.neighbour(index, ip, POD_MAC))
                inside.run(netlink.link_up(1), netlink.link_up(2), netlink.address(2, ip + "/32"),
                           netlink.route(2, NEXT_HOP), netlink.route(2, "0.0.0.0/0", via=NEXT_HOP),
                           netlink.neighbour(2, NEXT_HOP, NEXT_HOP_MAC))
            finally:
                inside.close()
        except OSError:
            for fd in fds.values():
                os.close(fd)
            raise
        return Sandbox(ip, fds, index)

    def close_sandbox(self, sandbox):
        """Its processes are gone already."""
        if sandbox.link is not None:
            try:
                self.netlink.run(netlink.link_delete(sandbox.link))
            except OSError:
                pass  # the kernel took the link with the namespace
        for fd in sandbox.fds.values():
            os.close(fd)
        sandbox.fds = {}

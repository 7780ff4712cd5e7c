"""Links, addresses, routes and neighbours over a netlink socket: no program is started for a pod.

A socket belongs to the network namespace in which it was made. Source: linux/rtnetlink.h, if_link.h, neighbour.h."""
import os
import socket
import struct

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH = 16, 17, 20, 24, 28
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_CREATE = 1, 4, 0x100, 0x400
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
NDA_DST, NDA_LLADDR, NUD_PERMANENT = 1, 2, 0x80
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST, RTNH_F_ONLINK = 254, 3, 1, 4
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253


def attribute(kind, value):
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def prefix(text):
    """"10.0.0.0/8" as (bytes, 8); an address alone is a /32."""
    address, _, length = text.partition("/")
    return socket.inet_aton(address), int(length or 32)


def link_up(index):
    return RTM_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, IFF_UP, IFF_UP)


def link_delete(index):
    return RTM_DELLINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0)


def veth(index, name, mac, peer_index, peer_name, peer_mac, peer_ns=None):
    """A pair, both ends down; the peer is born in the namespace of the descriptor peer_ns."""
    def end(number, label, mac_text):
        head = struct.pack("=BxHiII", 0, 0, number, 0, 0)
        return head + attribute(IFLA_IFNAME, label) + attribute(IFLA_ADDRESS, mac_bytes(mac_text))

    peer = end(peer_index, peer_name, peer_mac)
    if peer_ns is not None:
        peer += attribute(IFLA_NET_NS_FD, peer_ns)
    kind = attribute(IFLA_INFO_KIND, "veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer))
    return RTM_NEWLINK, NLM_F_CREATE, end(index, name, mac) + attribute(IFLA_LINKINFO, kind)


def address(index, text):
    value, length = prefix(text)
    body = struct.pack("=BBBBI", socket.AF_INET, length, 0, SCOPE_UNIVERSE, index)
    return RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body + attribute(IFA_LOCAL, value) + attribute(IFA_ADDRESS, value)


def route(index, to, via=None, source=None):
    """A route through the link; `via` need not be on a known net (onlink)."""
    value, length = prefix(to)
    scope, flags = (SCOPE_UNIVERSE, RTNH_F_ONLINK) if via else (SCOPE_LINK, 0)
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST,
                       flags)
    body += attribute(RTA_OIF, index) + (attribute(RTA_DST, value) if length else b"")
    if via:
        body += attribute(RTA_GATEWAY, socket.inet_aton(via))
    if source:
        body += attribute(RTA_PREFSRC, socket.inet_aton(source))
    return RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body


def neighbour(index, ip, mac):
    body = struct.pack("=BxxxiHBB", socket.AF_INET, index, NUD_PERMANENT, 0, 0)
    body += attribute(NDA_DST, socket.inet_aton(ip)) + attribute(NDA_LLADDR, mac_bytes(mac))
    return RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body


class Netlink:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self.number = 0

    def close(self):
        self.socket.close()

    def run(self, *commands):
        """All commands in one message; the kernel has answered each when send returns. OSError names the first that
        failed."""
        first = self.number + 1
        packet = b""
        for kind, flags, body in commands:
            self.number += 1
            flags |= NLM_F_REQUEST | NLM_F_ACK
            packet += struct.pack("=IHHII", len(body) + 16, kind, flags, self.number, 0) + body
        self.socket.send(packet)
        left, failed = len(commands), None
        while left:
            data = self.socket.recv(65536)
            while len(data) >= 16:
                size, _, _, number, _ = struct.unpack_from("=IHHII", data)
                code = -struct.unpack_from("=i", data, 16)[0]
                if code and failed is None:
                    failed = OSError(code, f"netlink command {number - first} ({commands[number - first][0]}): "
                                           f"{os.strerror(code)}")
                left -= 1
                data = data[(size + 3) & ~3:]
        if failed:
            raise failed

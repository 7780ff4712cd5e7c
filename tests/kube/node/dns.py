"""The cluster's DNS: names of Services, of headless endpoints and of pods, out of the node program's stores.

A, SRV, PTR and CNAME; AAAA of a name that is there is empty; everything else does not exist and is told so at once.
Source: Kubernetes DNS-based service discovery 1.1.0; RFC 1035, 6891."""
import asyncio
import collections
import ipaddress
import struct
import time

A, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 5, 6, 12, 16, 28, 33, 41, 255
NXDOMAIN, NOTIMP, FORMERR = 3, 4, 1
TTL_S = 5
DOMAIN = "cluster.local"
UDP_PLAIN_MAX, UDP_MAX = 512, 1232


def encode_name(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def decode_name(packet, offset):
    """A name without pointers, as questions have them: (lower case, offset behind it)."""
    labels = []
    while length := packet[offset]:
        if length > 63:
            raise ValueError("a pointer in a question")
        labels.append(packet[offset + 1:offset + 1 + length].decode("ascii", "replace"))
        offset += length + 1
    return ".".join(labels), offset + 1


class Names:
    """What the names stand for; built anew after a change, when first asked, but for a tenth of the time only."""

    def __init__(self, host):
        self.host, self.stale, self.build_after = host, True, 0

    def build(self):
        begun = time.monotonic()
        self.records = collections.defaultdict(list)  # name: [(type, value)]
        slices = collections.defaultdict(list)
        for (namespace, _), piece in self.host.slices.objects.items():
            owner = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            slices[namespace, owner].append(piece)
        for (namespace, name), service in self.host.services.objects.items():
            self.add_service(f"{name}.{namespace}.svc.{DOMAIN}", service["spec"], slices[namespace, name])
        # Names above others exist, though they have no records.
        for name in list(self.records):
            while name := name.partition(".")[2]:
                if name in self.records or name == DOMAIN:
                    break
                self.records[name] = []
        self.stale = False
        self.build_after = 10 * time.monotonic() - 9 * begun

    def add_service(self, name, spec, slices):
        if spec.get("type") == "ExternalName":
            self.records[name].append((CNAME, spec["externalName"].rstrip(".")))
            return
        ip = spec.get("clusterIP")
        self.records[name] += []
        if ip in (None, ""):
            return
        if ip == "None":
            for piece in slices:
                self.add_endpoints(name, piece)
        elif ":" not in ip:
            self.records[name].append((A, ip))
            self.records[self.reverse(ip)].append((PTR, name))
            for port in spec.get("ports") or []:
                self.add_port(name, port.get("name"), port.get("protocol", "TCP"), port["port"], name)

    def add_endpoints(self, name, piece):
        """A headless Service: a name for each ready endpoint, of its hostname or of its address."""
        if piece.get("addressType") != "IPv4":
            return
        for endpoint in piece.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for ip in endpoint["addresses"]:
                own = f"{endpoint.get('hostname') or ip.replace('.', '-')}.{name}"
                self.add_once(name, A, ip)
                self.add_once(own, A, ip)
                self.add_once(self.reverse(ip), PTR, own)
                for port in piece.get("ports") or []:
                    self.add_port(name, port.get("name"), port.get("protocol", "TCP"), port.get("port"), own)

    def add_once(self, name, kind, value):
        if (kind, value) not in self.records[name]:
            self.records[name].append((kind, value))

    def add_port(self, name, port_name, protocol, number, target):
        if port_name and number:
            self.add_once(f"_{port_name}._{protocol.lower()}.{name}", SRV, (number, target))

    @staticmethod
    def reverse(ip):
        return ".".join(reversed(ip.split("."))) + ".in-addr.arpa"

    def pod_name(self, name):
        """10-244-1-2.NAMESPACE.pod.cluster.local, of any address in a namespace that has pods or Services."""
        first, _, rest = name.partition(".")
        namespace, _, rest = rest.partition(".")
        if rest != "pod." + DOMAIN:
            return None
        try:
            return str(ipaddress.IPv4Address(first.replace("-", ".")))
        except ValueError:
            return None

    def find(self, name):
        """Records of the name, or None if there is no such name."""
        if self.stale and time.monotonic() >= self.build_after:
            self.build()
        if name in self.records:
            return self.records[name]
        ip = self.pod_name(name)
        return [(A, ip)] if ip else None


class Dns(asyncio.DatagramProtocol):
    def __init__(self, host):
        self.names = Names(host)
        self.transport = None

    def changed(self):
        self.names.stale = True

    async def start(self, ip):
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, (ip, 53))
        await asyncio.start_server(self.serve_tcp, ip, 53)

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        answer = self.answer(data, False)
        if answer:
            self.transport.sendto(answer, addr)

    async def serve_tcp(self, reader, writer):
        try:
            while True:
                size = struct.unpack(">H", await reader.readexactly(2))[0]
                answer = self.answer(await reader.readexactly(size), True)
                if answer is None:
                    return
                writer.write(struct.pack(">H", len(answer)) + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def answer(self, packet, whole):
        """The answer to one question; None for what is none."""
        if len(packet) < 12 or packet[2] & 0x80:
            return None
        number, flags, questions, _, _, extra = struct.unpack(">HHHHHH", packet[:12])
        try:
            name, end = decode_name(packet, 12)
            kind, _ = struct.unpack(">HH", packet[end:end + 4])
        except (ValueError, IndexError, struct.error):
            return struct.pack(">HHHHHH", number, 0x8400 | FORMERR, 0, 0, 0, 0)
        question = packet[12:end + 4]
        if flags >> 11 & 15 or questions != 1:
            return struct.pack(">HHHHHH", number, 0x8400 | flags & 0x0100 | NOTIMP, 1, 0, 0, 0) + question
        # The size of an OPT without a name right behind the question, as all resolvers send it.
        rest = packet[end + 4:]
        edns = extra == 1 and len(rest) >= 11 and rest[0] == 0 and struct.unpack(">H", rest[1:3])[0] == OPT
        room = max(UDP_PLAIN_MAX, min(UDP_MAX, struct.unpack(">H", rest[3:5])[0])) if edns else UDP_PLAIN_MAX
        code, answers, more = self.resolve(name.lower(), kind)
        authority = [] if answers else [self.origin()]
        option = [b"\0" + struct.pack(">HHIH", OPT, UDP_MAX, 0, 0)] if edns else []
        flags = 0x8480 | flags & 0x0100 | code

        def packed(flags, answers, authority, more):
            head = struct.pack(">HHHHHH", number, flags, 1, len(answers), len(authority), len(more) + len(option))
            return head + question + b"".join(answers + authority + more + option)

        result = packed(flags, answers, authority, more)
        if not whole and len(result) > room:
            result = packed(flags, answers, authority, [])
        if not whole and len(result) > room:
            result = packed(flags | 0x0200, [], [], [])
        return result if len(result) < 65536 else packed(flags, answers[:1000], [], [])

    @staticmethod
    def record(name, kind, value):
        return encode_name(name) + struct.pack(">HHIH", kind, 1, TTL_S, len(value)) + value

    def origin(self):
        value = encode_name("ns.dns." + DOMAIN) + encode_name("hostmaster." + DOMAIN)
        return self.record(DOMAIN, SOA, value + struct.pack(">IIIII", 1, 7200, 1800, 86400, TTL_S))

    def pack(self, name, kind, value):
        if kind == A:
            return self.record(name, A, ipaddress.IPv4Address(value).packed)
        if kind == SRV:
            return self.record(name, SRV, struct.pack(">HHH", 0, 100, value[0]) + encode_name(value[1]))
        return self.record(name, kind, encode_name(value))

    def resolve(self, name, kind):
        """(code, answers, additional records)"""
        answers, more = [], []
        for _ in range(8):  # CNAMEs that follow each other
            records = self.names.find(name)
            if records is None:
                return (0 if answers else NXDOMAIN), answers, more
            alias = next((v for k, v in records if k == CNAME), None)
            if alias is None or kind == CNAME:
                break
            answers.append(self.pack(name, CNAME, alias))
            name = alias.lower()
        for found, value in records:
            if kind in (found, ANY):
                answers.append(self.pack(name, found, value))
                if found == SRV:
                    more += [self.pack(value[1], A, ip) for k, ip in self.names.find(value[1]) or [] if k == A]
        return 0, answers, more

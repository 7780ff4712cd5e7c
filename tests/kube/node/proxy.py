"""Services: one nft table, written anew in one transaction when Services or EndpointSlices change; addresses of load
balancers. What kube-proxy does, for the one kernel on which all nodes are."""
import asyncio
import collections
import ipaddress
import time

from api import MERGE, TROUBLE

TABLE = "mesh-lab-services"
DEBOUNCE_S, RETRY_S = 0.05, 1


def endpoints_of(slices, port_name):
    """"ip . port" of ready endpoints; of those that end but still serve, if none is ready (as kube-proxy)."""
    ready, serving = set(), set()
    for piece in slices:
        ports = [p.get("port") for p in piece.get("ports") or [] if (p.get("name") or "") == port_name]
        port = ports[0] if ports else None
        if port is None or piece.get("addressType") != "IPv4":
            continue
        for endpoint in piece.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            if conditions.get("ready") is not False:
                ready.update(f"{a} . {port}" for a in endpoint["addresses"])
            elif conditions.get("serving") and conditions.get("terminating"):
                serving.update(f"{a} . {port}" for a in endpoint["addresses"])
    return sorted(ready or serving)


class Rules:
    """The table's text."""

    def __init__(self, reserved, node_ip):
        self.reserved, self.node_ip = reserved, node_ip
        self.chains, self.addresses, self.node_ports, self.refused, self.hairpin = [], {}, {}, [], set()

    def balance(self, protocol, endpoints):
        """A chain that sends to one of the endpoints at random; its name."""
        name = f"to-{len(self.chains)}"
        choices = ", ".join(f"{i} : {e}" for i, e in enumerate(endpoints))
        self.chains.append(f" chain {name} {{\n  meta l4proto {protocol} dnat ip addr . port to "
                           f"numgen random mod {len(endpoints)} map {{ {choices} }}\n }}\n")
        self.hairpin.update(e.split(" ")[0] for e in endpoints)
        return name

    def add(self, service, slices):
        spec = service["spec"]
        ingress = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        ips = [spec.get("clusterIP"), *(spec.get("externalIPs") or []), *(i.get("ip") for i in ingress)]
        ips = [ip for ip in ips if ip and ip != "None" and ":" not in ip]
        for port in spec.get("ports") or []:
            protocol = port.get("protocol", "TCP").lower()
            if protocol not in ("tcp", "udp") or not ips:
                continue
            endpoints = endpoints_of(slices, port.get("name") or "")
            chain = self.balance(protocol, endpoints) if endpoints else None
            places = [f"{ip} . {protocol} . {port['port']}" for ip in ips]
            if chain:
                self.addresses.update((place, chain) for place in places)
            else:
                self.refused += places
            if port.get("nodePort") and chain:
                self.node_ports[f"{protocol} . {port['nodePort']}"] = chain

    def add_host_port(self, pod_ip, host_ip, port):
        protocol = port.get("protocol", "TCP").lower()
        if protocol in ("tcp", "udp"):
            chain = self.balance(protocol, [f"{pod_ip} . {port['containerPort']}"])
            self.addresses.setdefault(f"{host_ip} . {protocol} . {port['hostPort']}", chain)

    def text(self):
        def elements(items):
            return f"  elements = {{ {', '.join(items)} }}\n" if items else ""

        addresses = elements([f"{k} : goto {c}" for k, c in self.addresses.items()])
        node_ports = elements([f"{k} : goto {c}" for k, c in self.node_ports.items()])
        hairpin = elements([f"{ip} . {ip}" for ip in sorted(self.hairpin)])
        refused = elements(self.refused)
        reserved = ", ".join(self.reserved)
        choose = ("  ip daddr . meta l4proto . th dport vmap @addresses\n"
                  "  fib daddr type local meta l4proto . th dport vmap @node-ports\n")
        # Whoever reaches an address of a Service untranslated is told at once.
        refuse = ("  ip daddr . meta l4proto . th dport @refused reject\n"
                  f"  ip daddr {{ {reserved} }} reject\n")
        return (
            f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
            f" map addresses {{\n  type ipv4_addr . inet_proto . inet_service : verdict\n{addresses} }}\n"
            f" map node-ports {{\n  type inet_proto . inet_service : verdict\n{node_ports} }}\n"
            f" set hairpin {{\n  type ipv4_addr . ipv4_addr\n{hairpin} }}\n"
            f" set refused {{\n  type ipv4_addr . inet_proto . inet_service\n{refused} }}\n"
            + "".join(self.chains) +
            f" chain prerouting {{\n  type nat hook prerouting priority dstnat\n{choose} }}\n"
            f" chain output {{\n  type nat hook output priority -100\n{choose} }}\n"
            " chain postrouting {\n  type nat hook postrouting priority srcnat\n"
            f"  ct status dnat ip saddr . ip daddr @hairpin snat to {self.node_ip}\n }}\n"
            f" chain forward-refuse {{\n  type filter hook forward priority filter\n{refuse} }}\n"
            f" chain output-refuse {{\n  type filter hook output priority filter\n{refuse} }}\n}}\n")


class Proxy:
    """Follows host.services and host.slices; .changed() after either was changed."""

    def __init__(self, host, service_cidr, lb_cidr):
        self.host, self.reserved = host, [service_cidr, lb_cidr]
        self.free = [str(a) for a in ipaddress.ip_network(lb_cidr).hosts()]
        self.taken = {}  # (namespace, name): address
        self.dirty, self.written = asyncio.Event(), None

    def changed(self):
        self.dirty.set()

    def text(self):
        slices = collections.defaultdict(list)
        for (namespace, _), piece in sorted(self.host.slices.objects.items()):
            owner = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            slices[namespace, owner].append(piece)
        rules = Rules(self.reserved, self.host.nodes[0].ip)
        for key, service in sorted(self.host.services.objects.items()):
            if service["spec"].get("type") != "ExternalName":
                rules.add(service, slices[key])
        for pod in self.host.pods.values():
            for container in pod.obj["spec"]["containers"] + (pod.obj["spec"].get("initContainers") or []):
                for port in container.get("ports") or []:
                    if port.get("hostPort") and pod.sandbox and pod.sandbox.fds:
                        rules.add_host_port(pod.ip, pod.node.ip, port)
        return rules.text()

    async def run(self):
        """A big table takes a while (0.9 s for 1,000 Services of 10 endpoints), so under churn it is written for a third
        of the time only."""
        took_s = 0
        while True:
            await self.dirty.wait()
            await asyncio.sleep(max(DEBOUNCE_S, 2 * took_s))
            self.dirty.clear()
            begun = time.monotonic()
            text = self.text()
            if text != self.written:
                good = await self.write(text)
                self.written = text if good else None
                if not good:
                    self.later()
            took_s = time.monotonic() - begun
            await self.give_addresses()

    def later(self):
        asyncio.get_running_loop().call_later(RETRY_S, self.changed)

    async def write(self, text):
        nft = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=-1, stdout=-1, stderr=-1)
        _, error = await nft.communicate(text.encode())
        if nft.returncode:
            self.host.say(f"nft refuses the table of services: {error.decode()[:600]}")
        return nft.returncode == 0

    async def remove(self):
        await self.write(f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\n")

    async def give_addresses(self):
        """Each Service of type LoadBalancer has an address of its own, which stays."""
        wanted = {k: s for k, s in self.host.services.objects.items() if s["spec"].get("type") == "LoadBalancer"
                  and s["spec"].get("loadBalancerClass") is None and not s["metadata"].get("deletionTimestamp")}
        for key in [k for k in self.taken if k not in wanted]:
            self.free.append(self.taken.pop(key))
        shown = {}
        for key, service in sorted(wanted.items()):
            ingress = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
            shown[key] = ingress[0].get("ip")
            if key not in self.taken and shown[key] in self.free:  # of an earlier run
                self.free.remove(shown[key])
                self.taken[key] = shown[key]
        for (namespace, name), service in sorted(wanted.items()):
            key = namespace, name
            asked = service["spec"].get("loadBalancerIP")
            if key not in self.taken:
                if not self.free:
                    self.host.say(f"no load balancer address is left for {namespace}/{name}")
                    continue
                self.taken[key] = self.free.pop(self.free.index(asked) if asked in self.free else 0)
            if shown[key] != self.taken[key]:
                status = {"status": {"loadBalancer": {"ingress": [{"ip": self.taken[key], "ipMode": "VIP"}]}}}
                try:
                    await self.host.api.patch(f"/api/v1/namespaces/{namespace}/services/{name}/status", status, MERGE)
                except TROUBLE as error:
                    self.host.say(f"address of {namespace}/{name}: {error}")
                    self.later()

"""mesh init in network namespaces of the test's own: what the kernel holds afterwards, and where connections go."""
import re
import select
import shutil
import socket
import struct
import subprocess

import pytest
from harness.netns import NetNs, as_user, join, why_not

pytestmark = [pytest.mark.mesh_only, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="there is no program 'nft'")

OUTBOUND, INBOUND, PROXY = 15001, 15006, 1337
POD, OUTSIDE = {4: "10.77.0.1", 6: "fd77::1"}, {4: "10.77.0.2", 6: "fd77::2"}
ELSEWHERE = {4: "192.0.2.7", 6: "2001:db8::7"}  # somewhere that nobody is
FAMILIES = pytest.mark.parametrize("v", [4, 6], ids=["ipv4", "ipv6"])


class Pod:
    """A pod's namespace with a cable to the world, and listeners where a proxy has them."""

    def __init__(self, lab, mesh_bin):
        self.mesh_bin = mesh_bin
        self.ns, self.world = NetNs(), NetNs()
        lab.at_end(self.close)
        join(self.ns, self.world, POD[4] + "/24", OUTSIDE[4] + "/24", POD[6] + "/64", OUTSIDE[6] + "/64")
        self.ns.run("ip", "route", "add", "default", "via", OUTSIDE[4])
        self.ns.run("ip", "-6", "route", "add", "default", "via", OUTSIDE[6])
        self.listeners = {}
        for port in (OUTBOUND, INBOUND):
            self.listen(port)

    def close(self):
        for s in self.listeners.values():
            s.close()
        self.ns.close()
        self.world.close()

    def listen(self, port, where=None):
        with where or self.ns:
            s = socket.socket(socket.AF_INET6)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.bind(("::", port))
            s.listen()
            s.settimeout(5)
        self.listeners[(where is not None, port)] = s
        return s

    def init(self, *words, check=True, prefix=()):
        return self.ns.run(*prefix, self.mesh_bin, "init", *words, check=check)

    def table(self):
        return self.ns.run("nft", "list", "table", "inet", "mesh").stdout

    def reaches(self, address, port, uid=None, gid=None, source=None, inside=True):
        """The port whose listener gets a connection, and the original destination that is seen there."""
        v6 = ":" in address
        with self.ns if inside else self.world, as_user(uid, gid):
            c = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
        c.settimeout(5)
        with c:
            if source:
                c.bind((source, 0))
            c.connect((address, port))
            ready = select.select(list(self.listeners.values()), [], [], 5)[0]
            for (outside, at), s in self.listeners.items():
                if s in ready:
                    with s.accept()[0] as got:
                        return "world" if outside else at, original_dst(got, v6)
        raise AssertionError("nobody was reached")


def original_dst(s, v6):
    try:
        if v6:
            raw = s.getsockopt(socket.IPPROTO_IPV6, 80, 28)
            return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack_from("!H", raw, 2)[0]
        raw = s.getsockopt(socket.IPPROTO_IP, 80, 16)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), struct.unpack_from("!H", raw, 2)[0]
    except FileNotFoundError:
        return None  # never translated


@pytest.fixture
def pod(lab, mesh_bin):
    return Pod(lab, mesh_bin)


def rules(text):
    """Lines of rules by chain, however nft lays them out."""
    found, chain = {}, None
    for line in map(str.strip, text.splitlines()):
        if match := re.match(r"chain (\w+) {", line):
            chain = found.setdefault(match.group(1), [])
        elif chain is not None and line not in ("", "}"):
            chain.append(line.replace("priority dstnat;", "priority -100;"))
    return found


LONG = ["--dns-port", "15053", "--proxy-uid", "1337,2000", "--exclude-inbound-ports", "22,9443",
        "--exclude-outbound-ports", "3306", "--exclude-outbound-cidrs", "10.96.0.1/32,172.16.0.0/12,fd00:1::/32",
        "--exclude-interfaces", "eth7,docker0"]


# ---- what the kernel holds


@needs_nft
@pytest.mark.parametrize("words", [[], LONG, ["--include-inbound-ports", "9080", "--include-outbound-cidrs",
                                             "10.0.0.0/8,fd00::/8",
                                             "--include-outbound-ports", "5432"], ["--inbound-port", "0"], ["--outbound-port", "0"],
                                   ["--ipv4-only"]], ids=["plain", "long", "include", "outbound", "inbound", "ipv4"])
def test_the_kernel_holds_what_dry_run_says(pod, words):
    said = pod.init("--dry-run", *words).stdout
    assert pod.ns.run("nft", "list", "tables").stdout == ""
    pod.init(*words)
    assert rules(pod.table()) == rules(said)
    pod.ns.run("nft", "-c", "-f", "-", input=said)  # and nft can read it


@needs_nft
def test_twice_is_once_and_cleanup_removes_all(pod):
    pod.init(*LONG)
    once = pod.table()
    pod.init(*LONG)
    assert pod.table() == once
    pod.init()
    assert rules(pod.table()) == rules(pod.init("--dry-run").stdout)
    for _ in range(2):
        pod.init("--cleanup")
        assert pod.ns.run("nft", "list", "tables").stdout == ""


@needs_nft
def test_lists_as_long_as_they_may_be(pod):
    cidrs = ",".join(f"10.{i}.0.0/16" for i in range(256))
    six = ",".join(f"fd00:{i:x}::/32" for i in range(256))
    numbers = ",".join(str(10000 + i) for i in range(256))
    pod.init("--exclude-outbound-cidrs", cidrs, "--include-outbound-cidrs", six, "--proxy-uid", numbers, "--proxy-gid",
             numbers, "--exclude-inbound-ports", numbers, "--exclude-outbound-ports", numbers)
    assert sum(map(len, rules(pod.table()).values())) > 256 * 7
    refused = pod.init("--exclude-outbound-cidrs", cidrs + ",192.0.2.0/24", check=False)
    assert refused.returncode == 2 and "at most 256" in refused.stderr


@needs_nft
def test_a_foreign_table_stays(pod):
    foreign = """table inet filter { chain input { type filter hook input priority 0; policy accept; tcp dport 23 drop; }; }
table ip nat { chain prerouting { type nat hook prerouting priority -100; tcp dport 4444 redirect to :5555; }; }
"""
    pod.ns.run("nft", "-f", "-", input=foreign)
    before = pod.ns.run("nft", "list", "ruleset").stdout
    pod.init()
    assert before in pod.ns.run("nft", "list", "ruleset").stdout
    assert pod.reaches(ELSEWHERE[4], 80) == (OUTBOUND, (ELSEWHERE[4], 80))
    pod.init("--cleanup")
    assert pod.ns.run("nft", "list", "ruleset").stdout == before


@pytest.mark.parametrize("iptables", ["iptables-nft", "iptables-legacy"])
def test_beside_rules_of_iptables(pod, iptables):
    if shutil.which(iptables) is None:
        pytest.skip(f"there is no program '{iptables}'")
    if pod.ns.run(iptables, "-t", "nat", "-S", check=False).returncode != 0:
        pytest.skip(f"this kernel has no {iptables}")
    pod.ns.run(iptables, "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.99", "-j", "RETURN")
    pod.ns.run(iptables, "-t", "nat", "-A", "POSTROUTING", "-s", "10.99.0.0/16", "-j", "MASQUERADE")
    before = pod.ns.run(iptables + "-save", "-t", "nat").stdout
    pod.init()
    assert pod.reaches(ELSEWHERE[4], 80) == (OUTBOUND, (ELSEWHERE[4], 80))
    assert pod.reaches(POD[4], 8080, inside=False) == (INBOUND, (POD[4], 8080))
    pod.init("--cleanup")

    def plain(text):
        return [line for line in text.splitlines() if line[:1] in "-*"]
    assert plain(pod.ns.run(iptables + "-save", "-t", "nat").stdout) == plain(before)


# ---- where connections go


@FAMILIES
def test_both_directions(pod, v):
    pod.listen(9080)
    pod.listen(9080, pod.world)
    assert pod.reaches(OUTSIDE[v], 9080)[0] == "world"
    assert pod.reaches(POD[v], 9080, inside=False)[0] == 9080
    pod.init()
    assert pod.reaches(OUTSIDE[v], 9080) == (OUTBOUND, (OUTSIDE[v], 9080))
    assert pod.reaches(ELSEWHERE[v], 443) == (OUTBOUND, (ELSEWHERE[v], 443))
    assert pod.reaches(POD[v], 9080, inside=False) == (INBOUND, (POD[v], 9080))
    assert pod.reaches(POD[v], 1, inside=False) == (INBOUND, (POD[v], 1))
    pod.init("--cleanup")
    assert pod.reaches(OUTSIDE[v], 9080)[0] == "world"


@FAMILIES
def test_the_proxy_itself_is_exempt(pod, v):
    pod.listen(9080, pod.world)
    pod.init()
    assert pod.reaches(OUTSIDE[v], 9080, uid=PROXY)[0] == "world"
    assert pod.reaches(OUTSIDE[v], 9080, gid=PROXY)[0] == "world"
    assert pod.reaches(OUTSIDE[v], 9080, uid=PROXY + 1)[0] == OUTBOUND
    pod.init("--proxy-uid", "2000,2001", "--proxy-gid", "3000")
    assert pod.reaches(OUTSIDE[v], 9080, uid=2001)[0] == "world"
    assert pod.reaches(OUTSIDE[v], 9080, gid=3000)[0] == "world"
    assert pod.reaches(OUTSIDE[v], 9080, uid=PROXY)[0] == OUTBOUND


@FAMILIES
def test_exclusions(pod, v):
    for port in (3306, 9080):
        pod.listen(port)
        pod.listen(port, pod.world)
    pod.init("--exclude-outbound-ports", "3306", "--exclude-inbound-ports", "3306")
    assert pod.reaches(OUTSIDE[v], 3306)[0] == "world"
    assert pod.reaches(OUTSIDE[v], 9080)[0] == OUTBOUND
    assert pod.reaches(POD[v], 3306, inside=False)[0] == 3306
    assert pod.reaches(POD[v], 9080, inside=False)[0] == INBOUND
    pod.init("--exclude-outbound-cidrs", "10.77.0.0/30,fd77::/126", "--exclude-interfaces", "eth0")
    assert pod.reaches(OUTSIDE[v], 9080)[0] == "world"
    assert pod.reaches(ELSEWHERE[v], 9080)[0] == OUTBOUND
    assert pod.reaches(POD[v], 9080, inside=False)[0] == 9080
    pod.init("--include-outbound-cidrs", "192.0.2.0/24,2001:db8::/32", "--include-inbound-ports", "9080")
    assert pod.reaches(OUTSIDE[v], 9080)[0] == "world"
    assert pod.reaches(ELSEWHERE[v], 9080)[0] == OUTBOUND
    assert pod.reaches(POD[v], 9080, inside=False)[0] == INBOUND
    assert pod.reaches(POD[v], 3306, inside=False)[0] == 3306
    pod.init("--include-outbound-ports", "3306")
    assert pod.reaches(OUTSIDE[v], 3306)[0] == OUTBOUND
    assert pod.reaches(OUTSIDE[v], 9080)[0] == "world"


def test_ipv6_may_be_left_alone(pod):
    pod.listen(9080)
    pod.listen(9080, pod.world)
    pod.init("--ipv4-only")
    assert pod.reaches(OUTSIDE[4], 9080)[0] == OUTBOUND and pod.reaches(OUTSIDE[6], 9080)[0] == "world"
    assert pod.reaches(POD[4], 9080, inside=False)[0] == INBOUND and pod.reaches(POD[6], 9080, inside=False)[0] == 9080


@FAMILIES
def test_own_ports_of_the_proxy_are_left_alone(pod, v):
    for port in (15020, 15021, 15090, 15008):
        pod.listen(port)
    pod.init()
    for port in (15020, 15021, 15090, 15008):
        assert pod.reaches(POD[v], port, inside=False)[0] == port


@FAMILIES
def test_loopback_is_left_alone(pod, v):
    pod.listen(9080)
    pod.init("--dns-port", "15053")
    assert pod.reaches({4: "127.0.0.1", 6: "::1"}[v], 9080)[0] == 9080
    assert pod.reaches(POD[v], 9080)[0] == 9080  # the application, to its own pod, by address


@FAMILIES
def test_the_proxy_calls_its_own_pod_through_the_front_door(pod, v):
    """A pod that calls its own service: the proxy sends to the pod's address, and policy holds there too."""
    pod.listen(9080)
    pod.init()
    assert pod.reaches(POD[v], 9080, uid=PROXY) == (INBOUND, (POD[v], 9080))
    assert pod.reaches({4: "127.0.0.1", 6: "::1"}[v], 9080, uid=PROXY)[0] == 9080  # to the application


@FAMILIES
def test_what_the_proxy_passes_on_reaches_the_application(pod, v):
    """The inbound side sends on from 127.0.0.6 or ::6, else it would come back to itself."""
    pod.listen(9080)
    source = {4: "127.0.0.6", 6: "::6"}[v]
    pod.init()
    pod.init()
    assert pod.reaches(POD[v], 9080, uid=PROXY)[0] == INBOUND
    assert pod.reaches(POD[v], 9080, uid=PROXY, source=source)[0] == 9080


@FAMILIES
def test_dns_goes_to_the_proxy(pod, v):
    with pod.ns:
        server, client = (socket.socket(socket.AF_INET6 if v == 6 else socket.AF_INET, socket.SOCK_DGRAM) for _ in "sc")
        server.bind(({4: "127.0.0.1", 6: "::1"}[v], 15053))
    server.settimeout(5)
    client.settimeout(5)
    pod.listen(15053)
    pod.init("--dns-port", "15053")
    with server, client:
        nameservers = {4: [ELSEWHERE[4], "127.0.0.53"], 6: [ELSEWHERE[6]]}[v]
        for nameserver in nameservers:
            client.sendto(b"who is reviews", (nameserver, 53))
            question, asker = server.recvfrom(100)
            server.sendto(b"240.240.0.1", asker)
            answer, by = client.recvfrom(100)
            assert (question, answer, by[0], by[1]) == (b"who is reviews", b"240.240.0.1", nameserver, 53)
        assert pod.reaches(ELSEWHERE[v], 53)[0] == 15053


# ---- who may


@pytest.mark.parametrize("prefix", [["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
                                    ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]],
                         ids=["nobody", "without-the-capability"])
def test_without_the_capability_it_says_so(pod, prefix, mesh_bin, lab):
    program = lab.folder / "mesh"
    subprocess.run(["cp", mesh_bin, program], check=True)
    for folder in (lab.folder, *list(lab.folder.parents)[:2]):
        folder.chmod(0o755)
    pod.mesh_bin = program
    refused = pod.init(check=False, prefix=prefix)
    assert refused.returncode == 5
    assert "NET_ADMIN" in refused.stderr and "MESH1050" in refused.stderr and refused.stderr.count("\n") == 1
    assert pod.init("--dry-run", prefix=prefix).returncode == 0


def test_bad_options_change_nothing(pod):
    for words in (["--exclude-outbound-cidrs", "10.0.0.0/40"], ["--proxy-uid", "me"], ["--outbound-port", "99999"]):
        refused = pod.init(*words, check=False)
        assert refused.returncode == 2 and words[0] in refused.stderr
    assert pod.reaches(POD[4], INBOUND, inside=False)[1] is None

"""Addresses against IANA's special-purpose registries, and a whole hostile crawl watched at every connect."""

import gzip
import ipaddress
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.load import load
from corpus.crawling.addresses import refusal
from corpus.crawling.source import Crawl, Host
from tests.corpus.crawling.support import answer, by_url, crawl, details, html, raw_server, what, where

# https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry, whole, with the columns
# "Globally Reachable" of True where a host of the web could stand; then multicast, reserved and deprecated blocks.
REGISTRY = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
255.255.255.255/32 224.0.0.0/4
::1/128 ::/128 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128 2001:1::2/128
2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16
2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 ::/96 4000::/2 8000::/1
""".split()
METADATA = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "fe80::a9fe:a9fe%eth0"]
PUBLIC = ["93.184.216.34", "1.1.1.1", "8.8.8.8", "223.5.5.5", "2606:2800:220:1::1", "2a00:1450::1", "2400:3200::1"]


@pytest.mark.parametrize("block", REGISTRY)
def test_no_address_of_a_special_block_is_connected_to(block):
    network = ipaddress.ip_network(block)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert refusal(str(address)) is not None


def test_metadata_is_refused_and_the_public_is_not():
    assert None not in [refusal(address) for address in METADATA]
    assert [refusal(address) for address in PUBLIC] == [None] * len(PUBLIC)


def test_ipv4_hidden_in_ipv6_is_seen():
    for inner in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        number = int(ipaddress.IPv4Address(inner))
        for prefix in ("::ffff:0:0", "::", "64:ff9b::", "2002::"):
            shift = 80 if prefix == "2002::" else 0
            assert refusal(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + (number << shift))))
    assert refusal("64:ff9b::a00:1") == "private behind NAT64"
    assert refusal("64:ff9b::5db8:d822") is None  # 93.184.216.34, as an IPv6-only network reaches it


@given(st.ip_addresses())
def test_what_python_calls_private_is_refused(address):
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_link_local:
        nat64 = address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")
        assert nat64 or refusal(str(address)) is not None


PUBLIC_V4 = "93.184.216.34"
# Where a name of the hostile web leads: each look-up takes the next answer, the last one stays.
NAMES = {
    "help.sample": [[PUBLIC_V4]],
    "rebind.sample": [[PUBLIC_V4], ["127.0.0.1"]],
    "inside.sample": [["10.0.0.1", "192.168.1.1"]],
    "mapped.sample": [["::ffff:127.0.0.1"]],
    "both.sample": [["127.0.0.1", PUBLIC_V4]],
}
TRAPS = (
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/x",
    "http://127.0.0.1:22/",
    "http://10.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://localhost/",
    "http://user:secret@127.0.0.1/",
    "http://inside.sample/",
    "http://mapped.sample/robots.txt",
    "ftp://127.0.0.1/robots.txt",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
)


@pytest.fixture
def connects(monkeypatch):
    """Every address that a socket was told to connect to; public ones are answered by the test's own server."""
    seen, served = [], []
    connect, resolve = socket.socket.connect, socket.getaddrinfo
    left = {name: list(answers) for name, answers in NAMES.items()}

    def watched(self, address):
        seen.append(address[:2])
        host, _, port = served[0].rpartition(":")
        return connect(self, (host, int(port)) if address[0] in (PUBLIC_V4, host) else address)

    def names(host, port, *args, **kwargs):
        if host not in left:
            return resolve(host, port, *args, **kwargs)
        answers = left[host].pop(0) if len(left[host]) > 1 else left[host][0]
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, 1, 6, "", (a, port)) for a in answers]

    monkeypatch.setattr(socket.socket, "connect", watched, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return seen, served


@pytest.mark.parametrize("trap", TRAPS)
def test_no_redirect_of_robots_or_of_a_page_leads_inside(tmp_path, connects, trap):
    seen, served = connects
    away = answer(b"", f"Location: {trap}", status="302 Found")
    inside = ["127.0.0.1", "127.0.0.1:22", "10.0.0.1", "[::1]", "localhost", "169.254.169.254"]
    source = what(seeds=["http://help.sample/"], hosts=["help.sample", "inside.sample", *inside], retries=0)
    with raw_server({"/": html("/away", trap), "/away": away}) as server:
        served.append(server.address)
        index = crawl(source, where(server, hosts=()), tmp_path / "page")
        assert by_url(index)["http://help.sample/away"] == "redirect"
        assert set(seen) == {(PUBLIC_V4, 80)}
        server.answers |= {("help.sample", "/robots.txt"): away}
        other = what(seeds=["http://help.sample/", "http://both.sample/"], retries=0)
        index = crawl(other, where(server, hosts=()), tmp_path / "robots")
    assert set(seen) == {(PUBLIC_V4, 80)}
    found = by_url(index)
    refused = [url for url, outcome in found.items() if outcome == "refused_address"]
    assert bool(refused) == trap.startswith("http://") and all("site.hosts" in details(index)[url] for url in refused)
    assert not any("secret" in url for url in found)
    captured = [url for url, place in zip(found, index["warc"].to_pylist(), strict=True) if place]
    assert {url.split("/")[2] for url in captured} <= {"help.sample", "both.sample"}


def test_a_name_that_resolves_anew_does_not_slip_through(tmp_path, connects):
    seen, served = connects
    closing = answer(b"", "Connection: close", status="404 No")  # so that the name is looked up again
    with raw_server({"/robots.txt": closing, "/": html("/a"), "/a": html()}) as server:
        served.append(server.address)
        source = what(seeds=["http://rebind.sample/", "http://help.sample/"], retries=0)
        found = by_url(crawl(source, where(server, hosts=()), tmp_path))
    assert found["http://rebind.sample/robots.txt"] == "robots_file"
    assert found["http://rebind.sample/"] == "refused_address"
    assert found["http://help.sample/a"] == "fetched"
    assert set(seen) == {(PUBLIC_V4, 80)}


def test_only_a_host_that_the_site_names_may_be_the_machines_own(tmp_path):
    with raw_server({"/": html("http://127.0.0.1/"), "/a": html()}) as server:
        port = server.address.rpartition(":")[2]
        mine = f"127.0.0.1:{port}"
        source = what(seeds=["http://help.sample/", f"http://{mine}/"], hosts=["help.sample", mine], retries=0)
        index = crawl(source, where(server), tmp_path / "unnamed")
        found = by_url(index)
        assert (found["http://help.sample/"], found[f"http://{mine}/robots.txt"]) == ("fetched", "refused_address")
        told = details(index)[f"http://{mine}/robots.txt"]
        (allows,) = re.findall(r"127.0.0.1 is loopback: (site\.hosts\.own=\S+ \S+ \S+ \S+) allows it", told)
        assert load([allows]).site.hosts["own"] == Host(name=mine, address=mine)
        found = by_url(crawl(source, where(server, ("help.sample", mine)), tmp_path / "named"))
        assert found[f"http://{mine}/"] == "fetched"


def test_strangers_are_told_whom_to_write_to(tmp_path, connects):
    seen, served = connects
    with raw_server({"/": html()}) as server:
        served.append(server.address)
        source = what(seeds=["http://help.sample/", "http://near.sample/"], retries=0)
        politeness, addresses = where(server, ("near.sample",), contact="")
        assert Crawl(source, politeness, addresses).strangers() == ["help.sample"]
        index = crawl(source, (politeness, addresses), tmp_path / "silent")
        assert by_url(index)["http://help.sample/robots.txt"] == "refused_address"
        assert "set site.politeness.contact" in details(index)["http://help.sample/robots.txt"]
        assert by_url(index)["http://near.sample/"] == "fetched" and (PUBLIC_V4, 80) not in seen
        named = where(server, ("near.sample",), contact="https://siku.sample/bot")
        index = crawl(source, named, tmp_path / "named")
    assert by_url(index)["http://help.sample/"] == "fetched"
    sent = b"".join(gzip.decompress(path.read_bytes()) for path in (tmp_path / "named").glob("*.warc.gz"))
    assert sent.count(b"\r\nUser-Agent: SikuBot/0.1 (+https://siku.sample/bot)\r\n") == 4
    assert sent.count(b"http-header-user-agent: SikuBot/0.1 (+https://siku.sample/bot)") == 2


@pytest.mark.parametrize("contact", ["me", "ftp://x/", "a@b)", "a b@c", "https://x/\r\nY: z", "中@x"])
def test_a_contact_is_an_address_or_a_page(contact):
    with pytest.raises(ValueError, match="contact"):
        where("127.0.0.1:1", contact=contact)

"""Which addresses a crawl may connect to: those of the public internet, and nothing behind the crawler's own doors."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LOOPBACK = "loopback"
# IANA's IPv4 and IPv6 Special-Purpose Address Registries, multicast, reserved and deprecated blocks, written out:
# what Python's `is_global` says changes between patch releases. The first that holds an address names it.
_V4 = tuple(
    (ip_network(block), name)
    for block, name in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", LOOPBACK),
        ("168.63.129.16/32", "cloud metadata"),  # Azure's wire server: public by number, reached from within
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT relays"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6 = tuple(
    (ip_network(block), name)
    for block, name in (
        ("::1/128", LOOPBACK),
        ("::/128", "unspecified"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("2001::/23", "protocol assignments"),  # Teredo among them
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_GLOBAL = ip_network("2000::/3")  # all of IPv6 that is assigned as global unicast


def refusal(address: str) -> str | None:
    """What makes an address one that a crawl may not connect to, in a word or two; None for a public one.

    `address` is what name resolution gave, a scope (`%eth0`) allowed. Raises ValueError for anything else.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        inner = refusal(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
        return inner and f"{inner} behind NAT64"
    for block, name in _V4 if isinstance(ip, IPv4Address) else _V6:
        if ip in block:
            return name
    return None if isinstance(ip, IPv4Address) or ip in _GLOBAL else "reserved"

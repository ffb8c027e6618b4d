"""The one place where a crawl opens a connection: the name is resolved, every address checked, then connected to."""

import functools
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from corpus.crawling.addresses import LOOPBACK, refusal
from corpus.crawling.source import placed

# A resolver's answer: address family and socket address.
_Candidate = tuple[int, tuple[Any, ...]]


class FetchError(Exception):
    """A request that got no answer that can be kept: its outcome, the detail in words, the status if one was read."""

    def __init__(self, outcome: str, detail: str, status: int | None = None) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome, self.detail, self.status = outcome, detail, status


class Deadline:
    """The end of a request, whatever it is doing: resolving, connecting, or reading a byte at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, more than none. Raises FetchError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise FetchError("timeout", f"not done in {self._seconds:g} s")
        return left


def address_of(scheme: str, netloc: str, addresses: Mapping[str, str]) -> tuple[str, int, bool]:
    """Name or address and port that a host is asked at, and whether `addresses` says so.

    `addresses` maps a host, with or without its port, to address:port in place of name resolution.
    """
    parts = urlsplit(f"//{netloc}")
    given = placed(netloc, addresses)
    if given is not None:
        host, _, port = given.rpartition(":")
        return host.strip("[]"), int(port), True
    return parts.hostname or "", parts.port or (443 if scheme == "https" else 80), False


def connect(
    scheme: str, netloc: str, addresses: Mapping[str, str], deadline: Deadline, *, strangers: bool = True
) -> tuple[socket.socket, str]:
    """A connection to a host, over TLS for https, and the address at its other end.

    What is connected to is the very address that was checked, so a name that resolves anew cannot slip through.
    Only a host that `addresses` names may be one of the crawler's own network; without `strangers` it must be on
    loopback. Raises FetchError.
    """
    name, port, trusted = address_of(scheme, netloc, addresses)
    refused: list[str] = []
    candidates: list[_Candidate] = []
    for candidate in _resolve(name, port, deadline):
        numeric = candidate[1][0]
        block = None if trusted else refusal(numeric)
        if block is not None:
            own = f"site.hosts.own={{name: '{netloc}', address: '{_joined(numeric, port)}'}}"
            refused.append(f"{numeric} is {block}: {own} allows it")
        elif not strangers and refusal(numeric) != LOOPBACK:
            refused.append(f"{numeric} is not on loopback: set site.politeness.contact to ask {netloc}")
        else:
            candidates.append(candidate)
    if not candidates:
        raise FetchError("refused_address", "; ".join(refused))
    plain, address = _open(netloc, candidates, deadline)
    if scheme == "http":
        return plain, address
    return _secured(plain, urlsplit(f"//{netloc}").hostname or "", deadline), address


def _joined(numeric: str, port: int) -> str:
    return f"[{numeric}]:{port}" if ":" in numeric else f"{numeric}:{port}"


def _resolve(name: str, port: int, deadline: Deadline) -> list[_Candidate]:
    """Socket addresses of a name. The resolver knows no deadline, so it works in a thread that may be left behind."""
    answer: queue.SimpleQueue[list[_Candidate] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            answer.put([(family, address) for family, _, _, _, address in found])
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that IDNA knows
            answer.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        result = answer.get(timeout=deadline.left())
    except queue.Empty:
        raise FetchError("timeout", f"{name} was not resolved in time") from None
    if isinstance(result, OSError):
        raise FetchError("unreachable_host", f"{name} is not resolved: {result}") from result
    return list(dict.fromkeys(result))


def _open(netloc: str, candidates: list[_Candidate], deadline: Deadline) -> tuple[socket.socket, str]:
    """The first connection that succeeds; each try gets its share of the time left."""
    failures: list[str] = []
    for number, (family, address) in enumerate(candidates):
        share = deadline.left() / (len(candidates) - number)
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(share)
            plain.connect(address)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            plain.close()
            failures.append(f"{address[0]}:{address[1]}: {error}")
        else:
            return plain, str(address[0])
    deadline.left()
    raise FetchError("unreachable_host", f"{netloc} at {', '.join(failures)}")


def _secured(plain: socket.socket, name: str, deadline: Deadline) -> socket.socket:
    try:
        plain.settimeout(deadline.left())
        return _tls().wrap_socket(plain, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise FetchError("bad_certificate", f"{name}: {error.verify_message}") from error
    except TimeoutError:
        plain.close()
        raise FetchError("timeout", f"{name}: no TLS handshake in time") from None
    except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot carry
        plain.close()
        raise FetchError("unreachable_host", f"{name}: TLS: {error}") from error


@functools.cache
def _tls() -> ssl.SSLContext:
    """Certificates are checked against the system's store; loading it takes tens of milliseconds."""
    return ssl.create_default_context()

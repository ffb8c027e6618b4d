"""Heads as servers write them, and requests that no server answers in time."""

import socket
import threading

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawling.connect import Deadline, FetchError, connect
from corpus.crawling.exchange import mended

names = st.text("abcXYZ-09_", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f\x85\xa0"), max_size=20)


def fields(head):
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(head)
    event = reader.next_event()
    return [(name.decode(), value.decode("latin-1")) for name, value in event.headers.raw_items()]


@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from(["\r\n", "\n"]))
def test_a_well_formed_head_stays_as_it_is(pairs, end):
    pairs = [(name, value) for name, value in pairs if name.lower() not in ("content-length", "transfer-encoding")]
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in pairs), "", ""]
    head = mended(end.join(lines).encode("latin-1"))
    assert fields(head) == pairs
    assert mended(head) == head


@given(st.binary(max_size=200), st.integers(0, 12))
def test_whatever_stands_between_good_lines_costs_only_itself(noise, at):
    noise = noise.replace(b"\r", b"").replace(b"\n", b"").lstrip(b" \t")
    if b":" in noise:
        noise = b"bad name " + noise
    lines = [b"A%d: %d" % (n, n) for n in range(12)]
    lines[at:at] = [noise, b" goes on"]
    head = mended(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]))
    assert fields(head) == [(f"A{n}", str(n)) for n in range(12)]


def test_a_resolver_that_does_not_answer_is_left_behind(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait(60) and [])
    with pytest.raises(FetchError, match=r"timeout: slow\.sample was not resolved in time"):
        connect("http", "slow.sample", {}, Deadline(0.05))
    over.set()


def test_names_that_nobody_knows_are_unreachable(monkeypatch):
    def unknown(name, *args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError, match=r"unreachable_host: nowhere\.sample is not resolved"):
        connect("http", "nowhere.sample", {}, Deadline(5))
    monkeypatch.undo()
    with pytest.raises(FetchError, match="unreachable_host"):
        connect("http", "x" * 70 + ".sample", {}, Deadline(5))  # no label of a name is that long


def test_a_handshake_has_the_same_deadline():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(FetchError, match=r"timeout: help\.sample: no TLS handshake in time"):
            connect("https", "help.sample", {"help.sample": address}, Deadline(0.3))


def test_a_server_that_speaks_no_tls_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_in_plain():
            with server.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")

        threading.Thread(target=answer_in_plain, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(FetchError, match=r"unreachable_host: help\.sample: TLS: .*WRONG_VERSION_NUMBER"):
            connect("https", "help.sample", {"help.sample": address}, Deadline(30))

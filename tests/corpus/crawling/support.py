"""What the crawl tests share: a configuration, a page, a whole crawl, and servers that answer as told, or worse."""

import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from inspect import signature

from corpus.crawling.frontier import Frontier
from corpus.crawling.host import crawl_host
from corpus.crawling.snapshot import sealed
from corpus.crawling.source import Crawl, CrawlSource, Politeness

HTML = "Content-Type: text/html"


def page(*links, text="正文 text"):
    return f"<html><body><p>{text}</p>{''.join(f'<a href={link!r}>x</a>' for link in links)}</body></html>".encode()


def what(**kwargs):
    return CrawlSource(**{"seeds": ["http://help.sample/"], "timeout_s": 5.0, **kwargs})


def where(served, hosts=("help.sample",), **kwargs):
    """Politeness and addresses: all of `hosts` are found where `served` listens."""
    address = served if isinstance(served, str) else served.address
    given = {"delay_s": 0, "retry_wait_s": 0.01, "contact": "ops@help.sample", **kwargs}
    return Politeness(**given), dict.fromkeys(hosts, address)


def crawl(source, reach, folder, previous=None):
    """A whole crawl in one process, round by round; the stage runs the same rounds with a host an item."""
    job = Crawl(source, *reach, previous)
    frontier, results = Frontier(source), {}
    due = frontier.hosts()
    while due:
        found = []
        for host in due:
            results[host] = crawl_host(host, frontier.targets(host), job, folder)
            found.extend(results[host].links)
        due = frontier.add(found)
    return sealed(results[host].index for host in sorted(results))


def by_url(index):
    return dict(zip(index["url"].to_pylist(), index["outcome"].to_pylist(), strict=True))


def details(index):
    return dict(zip(index["url"].to_pylist(), index["detail"].to_pylist(), strict=True))


def answer(body=b"", *headers, status="200 OK"):
    """A well-formed response."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def html(*links, **kwargs):
    return answer(page(*links, **kwargs), HTML)


class RawServer:
    """Answers requests by path, over plain sockets: bytes are sent and the connection kept, a function is called
    with the socket (and the request's headers), and
    the connection then closed. Everything that was asked is in `asked`, as (host, path).
    """

    def __init__(self, answers, tls=None):
        self._tls = tls
        self.answers, self.asked, self.stopped = answers, [], threading.Event()
        self.spans = []  # (host, path, when it was asked, when the answer began)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def counts(self):
        return Counter(path for _, path in self.asked)

    def _accept(self):
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:  # nobody trusts it
                return
        with connection, connection.makefile("rb") as reader:
            try:
                while request := self._request(reader):
                    path, headers = request
                    host = headers.get("host", "")
                    self.asked.append((host, path))
                    began = time.monotonic()
                    given = self.answers.get((host, path), self.answers.get(path, answer(status="404 No")))
                    if callable(given):
                        given(connection, headers) if "request" in signature(given).parameters else given(connection)
                        return
                    self.spans.append((host, path, began, time.monotonic()))
                    connection.sendall(given)
            except OSError:
                return

    @staticmethod
    def _request(reader):
        line, headers = reader.readline().decode("latin-1").split(), {}
        while (header := reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return (line[1], headers) if len(line) == 3 else None

    def drip(self, head=b"", piece=b"x", every_s=0.01):
        """An answer that never ends: a piece at a time, until nobody listens."""

        def send(connection):
            connection.sendall(head)
            while not self.stopped.wait(every_s):
                connection.sendall(piece)

        return send

    def silence(self, connection):
        """No answer at all."""
        connection.settimeout(60)
        connection.recv(1)


def raw(data):
    """Bytes sent as they are, and the connection closed."""
    return lambda connection: connection.sendall(data)


@contextmanager
def raw_server(answers, tls=None):
    server = RawServer(answers, tls)
    try:
        yield server
    finally:
        server.stop()

"""The sample site behind a loopback port, with the faults of a real one: `python -m corpus.sample.server`."""

import argparse
import gzip
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from corpus.sample.build import index_page

ARCHIVE = Path(__file__).with_name("site.tar.xz")
HOST = "help.sample"

FAULTS = (
    "/old-index.html",  # 301 to /index.html
    "/moved/0.html",  # a chain of redirects longer than a crawler follows
    "/missing.html",  # 404
    "/flaky.html",  # 500 once, then a page
    "/private/notes.html",  # disallowed by robots.txt
    "/manual.pdf",  # not HTML
    "http://elsewhere.sample/",  # off the site
)
_CHAIN = 12


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """As `Politeness.hosts` takes it."""
        return f"{self.host}:{self.port}"


def load(archive: Path = ARCHIVE) -> dict[str, bytes]:
    """Site path (no leading slash) -> file, from a tarball."""
    with tarfile.open(archive, "r:*") as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {name: file.read() for name, file in files if file is not None}


@contextmanager
def serve(archive: Path = ARCHIVE, host: str = "127.0.0.1", port: int = 0, name: str = HOST) -> Iterator[Served]:
    """Serve the archive as http://`name`/ while the context lasts; port 0 takes a free one."""
    with serve_pages(load(archive), host, port, name) as served:
        yield served


@contextmanager
def serve_pages(
    pages: Mapping[str, bytes], host: str = "127.0.0.1", port: int = 0, name: str = HOST
) -> Iterator[Served]:
    """The same for pages in memory."""
    with _Server((host, port), pages, name) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Served(host, server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # idle keep-alive connections would hold it open
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], pages: Mapping[str, bytes], name: str) -> None:
        self.pages, self.name = pages, name
        self.faults = index_page("en", "Faults", [(path, path) for path in FAULTS])
        self.flaky = threading.Semaphore(1)
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sample", ""
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    def do_GET(self) -> None:
        """Answer a page, or one of the planted faults."""
        path = self.path.partition("?")[0]
        host = self.headers.get("Host", "")
        if host.partition(":")[0] not in (self.server.name, "127.0.0.1", "localhost"):
            return self._send(421, b"<p>another host</p>")
        if path.startswith("/moved/") and path[7:-5].isdigit():
            step = int(path[7:-5]) + 1
            target = f"/moved/{step}.html" if step < _CHAIN else "/index.html"
            return self._send(302, b"", ("Location", target))
        if path == "/old-index.html":
            return self._send(301, b"<p>moved</p>", ("Location", "/index.html"))
        if path == "/flaky.html" and self.server.flaky.acquire(blocking=False):
            return self._send(500, b"<p>try again</p>")
        if path == "/manual.pdf":
            return self._send(200, b"%PDF-1.4\n" + bytes(4096), ("Content-Type", "application/pdf"))
        if path in ("/faults.html", "/flaky.html"):
            return self._send(200, self.server.faults)
        return self._page(path.lstrip("/") or "index.html")

    def _page(self, path: str) -> None:
        body = self.server.pages.get(path)
        if body is None:
            return self._send(404, b"<html><title>404</title><p>not found</p></html>")
        if path == "robots.txt":
            return self._send(200, body, ("Content-Type", "text/plain"))
        if "/swriter/" in path and "gzip" in self.headers.get("Accept-Encoding", ""):
            return self._send(200, gzip.compress(body, 6, mtime=0), ("Content-Encoding", "gzip"))
        if "/sbasic/" in path:
            return self._send(200, body, ("Transfer-Encoding", "chunked"))
        return self._send(200, body)

    def _send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        given = dict(headers)
        fields = {"Content-Type": "text/html", **given}
        if given.get("Transfer-Encoding") == "chunked":
            half = len(body) // 2
            pieces = [piece for piece in (body[:half], body[half:]) if piece]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            fields["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {status} {self.responses[status][0]}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        # One write: headers and body apart would wait for each other's acknowledgement.
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: the crawl keeps its own books."""


def main() -> None:
    """Serve until interrupted; prints the address first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with serve(port=parser.parse_args().port) as served:
        sys.stdout.write(f"{served.address}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

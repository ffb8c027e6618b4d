"""What the crawl tests share: a configuration, a page, and a server that answers as told."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from corpus.crawling.source import CrawlSource, Politeness


def page(*links, text="正文 text"):
    return f"<html><body><p>{text}</p>{''.join(f'<a href={link!r}>x</a>' for link in links)}</body></html>".encode()


def what(**kwargs):
    return CrawlSource(**{"seeds": ["http://help.sample/"], "timeout_s": 5.0, **kwargs})


def where(served, **kwargs):
    hosts = {"help.sample": served if isinstance(served, str) else served.address}
    return Politeness(**{"delay_s": 0, "retry_wait_s": 0.01, "hosts": hosts, **kwargs})


def by_url(index):
    return dict(zip(index["url"].to_pylist(), index["outcome"].to_pylist(), strict=True))


class _Odd(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path, (404, [], b""))
        status, headers, body = answer(self) if callable(answer) else answer
        raw = [f"HTTP/1.1 {status} X", *headers]
        if not any(h.lower().startswith("content-length") for h in headers):
            raw.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*raw, "", ""]).encode() + body)
        self.close_connection = "Connection: close" in headers

    def log_message(self, *args):
        pass


@contextmanager
def odd_server(answers):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    server.daemon_threads, server.block_on_close = True, False
    server.answers, server.asked = answers, []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server, f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


HTML = ["Content-Type: text/html"]

"""`python -m tests.corpus.fuzz --seconds 60`: inputs broken at random, given to all that reads what others wrote.

Every input must end, within `--limit` CPU seconds, in a result or in the error that its reader names. A failing input
is printed as Python, to become a test. A run is repeatable: `--seed`.
"""

import argparse
import gzip
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from conf.schema import AnyStage
from corpus.charset import DecodingError, decode
from corpus.configuration import FileRef
from corpus.crawling.directives import of_header, of_page
from corpus.crawling.links import page_links
from corpus.crawling.robots import Robots
from corpus.crawling.sitemap import sitemap_links
from corpus.extract.documents import Extract, extract_page
from corpus.sources.http import CodingError, TooLargeError, decoded_body, split_message
from corpus.sources.latex import GrowthError, paper
from corpus.sources.source import Source, pieces, read
from corpus.sources.wikitext import plain

Target = Callable[[bytes], object]
_PAGE = """<!DOCTYPE html><html lang="zh"><head><meta charset="gbk"><base href="/x/"><title>T</title></head><body>
<nav class="menu"><ul><li><a href="/a">甲</a></ul></nav><article id="c" class="post comment-x"><h1>标题</h1>
<p>第一行
第二行，enough words to be a paragraph of its own, and more.<br>x<table><tr><td>1</td></tr></table><pre>code</pre>
<ruby>汉<rt>h</rt></ruby><h2>Comments (2)</h2><div class="comments"><p>text of a reader</p></div>
<script>if (a<b) {}</script><!-- c --></article></body></html>"""
_ROBOTS = """User-agent: *
Disallow: /a*$
Crawl-delay: 1.5

User-agent: siku
Disallow:
Sitemap: http://h.sample/s.xml
"""
_SITEMAP = """<?xml version='1.0'?><urlset><url><loc>http://h.sample/&amp;a</loc></url>
<sitemap><loc><![CDATA[/b]]></loc></sitemap></urlset>"""
_HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    b"X-Robots-Tag: noindex\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
_HEAD = b"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://h.sample/\r\nContent-Length: "
_WARC = _HEAD + str(len(_HTTP)).encode() + b"\r\n\r\n" + _HTTP + b"\r\n\r\n"
_WIKI = """{{t|a={{b}}}} ''x'' [[a|b]] [[File:x.jpg|thumb|c]] <ref name=a>r</ref> -{zh-hans:软;zh-hant:軟}-
== h ==
{|
| a || b
|}
* l"""
_TEX = r"""\documentclass{a}\newcommand{\x}[2][d]{#1 #2}\def\y#1{\x{#1}}\begin{document}\x{a}{b} \y{c} % c
\input{m}$\frac{1}{2}$\end{document}"""
_DUMP = f"""<mediawiki><siteinfo><base>http://w.sample/</base></siteinfo><page><title>t</title><ns>0</ns>
<revision><text>{_WIKI.replace("<", "&lt;")}</text></revision></page></mediawiki>"""
_NDJSON = b'{"id": "a", "title": "t"}\n{"id": "c", "link_id": "t3_a", "body": "b"}\n' * 3
_SPLICES = [b"<", b">", b"</", b"\x00", b"\xff\xfe", b"\r\n\r\n", b"&#x", b"{{", b"}}", b"\\", b"%", b"<p>" * 50]
_SPLICES += [b"<div class=x>", b"9" * 40, b"\xe4\xb8"]


def _http(data: bytes) -> object:
    try:
        message = split_message(data)
        return None if message is None else decoded_body(*message, 1 << 20)
    except (CodingError, TooLargeError):
        return None


def _text(data: bytes) -> str:
    try:
        return decode(data, None, 1.0).text
    except DecodingError:
        return data.decode("latin-1")


def _robots(data: bytes) -> object:
    robots = Robots.of(200, data, "siku")
    return robots.allows("http://h.sample/a"), robots.sitemaps, robots.delay_s


def _paper(data: bytes) -> object:
    try:
        return paper({"m.tex": _text(data)})
    except GrowthError:
        return None


def _file(kind: str, name: str) -> Target:
    """A source of this kind on one file of this name."""
    folder = Path(tempfile.mkdtemp(prefix="siku-fuzz-"))
    source: Source = TypeAdapter(AnyStage).validate_python({"kind": kind, "path": FileRef(folder)})

    def work(data: bytes) -> object:
        (folder / name).write_bytes(data)
        return [capture for piece in pieces(source) for capture in read(source, piece)]

    return work


def targets() -> dict[str, tuple[Target, bytes]]:
    """What reads, and an input to break."""
    url, page = "http://h.sample/a", _PAGE.encode()
    return {
        "html": (lambda data: extract_page(_text(data), Extract()), page),
        "html resiliparse": (lambda data: extract_page(_text(data), Extract(extractor={"by": "resiliparse"})), page),
        "charset": (_text, _PAGE.encode("gb18030")),
        "charset utf-16": (_text, _PAGE.encode("utf-16-le")),
        "links": (lambda data: (page_links(_text(data), url), of_page(_text(data), "siku")), page),
        "directives": (lambda data: of_header(data.decode("latin-1"), "siku"), b"noindex, other: nofollow, siku: all"),
        "robots": (_robots, _ROBOTS.encode()),
        "sitemap": (lambda data: sitemap_links(_text(data), url), _SITEMAP.encode()),
        "http": (_http, _HTTP),
        "warc": (_file("warc", "a.warc"), _WARC * 2),
        "warc gz": (_file("warc", "a.warc.gz"), gzip.compress(_WARC, mtime=0) * 2),
        "news": (_file("news", "a.warc"), _WARC.replace(b"h.sample/", b"h.sample/2026/03/04/")),
        "wikitext": (lambda data: plain(_text(data), "zh-hans"), _WIKI.encode()),
        "mediawiki": (_file("mediawiki", "a.xml"), _DUMP.encode()),
        "latex": (_paper, _TEX.encode()),
        "arxiv": (_file("arxiv", "2001.00001.gz"), gzip.compress(_TEX.encode(), mtime=0)),
        "reddit": (_file("reddit", "a.ndjson"), _NDJSON),
        "jsonl": (_file("jsonl", "a.jsonl"), b'{"text": "\xe4\xb8\xad", "url": "http://h.sample/"}\n[1]\n' * 3),
        "code": (_file("code", "a.js"), b"// SPDX-License-Identifier: MIT\nlet a = 1;\n" * 4),
    }  # fmt: skip


def broken(seed: bytes, draw: random.Random) -> bytes:
    """An input with a few changes: bytes flipped, pieces cut, doubled, moved or spliced in."""
    data = bytearray(seed)
    for _ in range(draw.randint(1, 8)):
        at, size = draw.randrange(len(data) + 1), draw.choice((1, 2, 8, 64))
        how = draw.randrange(6)
        if how == 0 and data:
            data[at % len(data)] = draw.randrange(256)
        elif how == 1:
            del data[at : at + size]
        elif how == 2:
            data[at:at] = data[at : at + size] * draw.choice((1, 3, 100))
        elif how == 3:
            data[at:at] = draw.choice(_SPLICES)
        elif how == 4:
            data[at:at] = seed[draw.randrange(len(seed)) :][:size]
        elif draw.random() < 0.2:
            del data[at:]
    return bytes(data)


def failure(target: Target, data: bytes, limit: float) -> str | None:
    """What is wrong with how an input ends; None if nothing is."""
    start = time.process_time()
    try:
        target(data)
    except Exception:  # noqa: BLE001 - any is what is looked for
        return traceback.format_exc()
    taken = time.process_time() - start
    return f"{taken:.1f} CPU seconds" if taken > limit else None


def main() -> int:
    """Entry point: 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--limit", type=float, default=2, help="CPU seconds an input may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one target")
    options = parser.parse_args()
    chosen = {name: each for name, each in targets().items() if options.only in (None, name)}
    failed = 0
    for name, (target, seed) in chosen.items():
        draw, count, end = random.Random(options.seed), 0, time.monotonic() + options.seconds / len(chosen)
        while time.monotonic() < end:
            data, count = broken(seed, draw), count + 1
            if (told := failure(target, data, options.limit)) is not None:
                failed += 1
                print(f"{name}: {data!r}\n{told}")
                break
        print(f"{name:20}{count:8} inputs")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

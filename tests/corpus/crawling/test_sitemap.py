import gzip
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawling.links import MAX_URL
from corpus.crawling.sitemap import MAX_URLS, sitemap_links
from corpus.sources.source import pieces, read
from tests.corpus.crawling.support import answer, by_url, crawl, details, html, raw_server, what, where

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
SCHEMA = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*urls):
    body = "".join(f"<url>\n <loc> {url} </loc><lastmod>2026-01-01</lastmod></url>" for url in urls)
    return f"{HEAD}<urlset {SCHEMA}>{body}</urlset>".encode()


def listing(*urls):
    body = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"{HEAD}<sitemapindex {SCHEMA}>{body}</sitemapindex>".encode()


@pytest.mark.parametrize(
    ("text", "is_index", "urls"),
    [
        (urlset("http://h.sample/a?x=1&amp;y=2", "http://h.sample/中").decode(), False, ["a?x=1&y=2", "中"]),
        (listing("http://h.sample/1.xml").decode(), True, ["1.xml"]),
        (f"{HEAD}<urlset><url><loc><![CDATA[http://h.sample/a?b&c]]></loc></url>", False, ["a?b&c"]),
        (f"{HEAD}<urlset><url><image:loc>http://h.sample/i.png</image:loc><LOC>http://h.sample/b", False, ["b"]),
        ("http://h.sample/a\r\n\nhttp://h.sample/b\nno url\n http://h.sample/a", False, ["a", "b"]),
        ("<html>not one</html>", False, []),
        ("", False, []),
    ],
)
def test_formats(text, is_index, urls):
    found_index, found = sitemap_links(text, "http://h.sample/sitemap.xml")
    assert (found_index, found.urls) == (is_index, tuple(f"http://h.sample/{url}" for url in urls))


def test_entities_expand_to_nothing_and_limits_are_said():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><urlset><loc>http://h.sample/&b;</loc></urlset>'
    assert sitemap_links(bomb, "http://h.sample/")[1].urls == ("http://h.sample/&b",)
    many = urlset(*(f"http://h.sample/{n}" for n in range(MAX_URLS + 7)), "http://h.sample/" + "x" * MAX_URL).decode()
    _, found = sitemap_links(many, "http://h.sample/")
    assert (len(found.urls), found.too_many, found.too_long) == (MAX_URLS, 7, 1)


@given(st.text(max_size=200))
def test_no_sitemap_fails(text):
    sitemap_links(text, "http://h.sample/")
    sitemap_links(f"<urlset><loc>{text}</loc>", "http://h.sample/")


@pytest.mark.parametrize("piece", ["<loc>", "<loc ", "<loc> ", "<urlset ", "<loc><![CDATA[", "http://\n", "<loc>&#9"])
def test_the_time_is_linear(piece):
    def seconds(count):
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            sitemap_links("<urlset>" + piece * count, "http://h.sample/")
            best = min(best, time.process_time() - start)
        return best

    assert seconds(160_000) < 64 * max(seconds(10_000), 0.001)


def test_sitemaps_of_robots_are_read_index_and_gzip(tmp_path):
    site = "http://help.sample"
    robots = (
        f"Sitemap: {site}/index.xml\nSitemap: /relative.txt\nSitemap: http://cdn.sample/s.xml\nSitemap: ftp://x/s\n"
    )
    robots += f"User-agent: *\nDisallow: /private\nSitemap: {site}/private.xml\nSitemap: {site}/broken.xml.gz\n"
    answers = {
        "/robots.txt": answer(robots.encode()),
        "/index.xml": answer(
            listing(f"{site}/a.xml.gz", f"{site}/b.xml", f"{site}/index.xml"), "Content-Type: text/xml"
        ),
        "/a.xml.gz": answer(gzip.compress(urlset(f"{site}/a", f"{site}/private/x")), "Content-Type: application/gzip"),
        "/b.xml": answer(gzip.compress(urlset(f"{site}/b", "http://else.sample/")), "Content-Encoding: gzip"),
        "/broken.xml.gz": answer(gzip.compress(urlset(f"{site}/c"))[:-9]),
        **{path: html("/linked" if path == "/a" else "/") for path in ("/", "/a", "/b", "/linked")},
    }
    with raw_server(answers) as served:
        index = crawl(what(), where(served), tmp_path / "on")
        asked = list(served.asked)
        for path in (tmp_path / "on").glob("*.arrow"):
            path.unlink()
        assert crawl(what(), where(served), tmp_path / "on").equals(index)
        assert served.asked == asked
        off = by_url(crawl(what(sitemaps=False), where(served), tmp_path / "off"))
        seed = by_url(crawl(what(max_depth=0), where(served), tmp_path / "seed"))
    found = {url.removeprefix(site): outcome for url, outcome in by_url(index).items()}
    assert found == {
        "/robots.txt": "robots_file",
        "/index.xml": "sitemap_index",
        **dict.fromkeys(["/a.xml.gz", "/b.xml"], "sitemap"),
        "/broken.xml.gz": "bad_coding",
        **dict.fromkeys(["/private.xml", "/private/x"], "robots_disallowed"),
        **dict.fromkeys(
            ["/relative.txt", "http://cdn.sample/s.xml", "ftp://x/s", "http://else.sample/"], "out_of_scope"
        ),
        **dict.fromkeys(["/", "/a", "/b", "/linked"], "fetched"),
    }
    assert max(served.counts()[path] for path in ("/a.xml.gz", "/index.xml")) == 1
    assert off == {f"{site}/": "fetched", f"{site}/robots.txt": "robots_file"} == seed
    captures = [c.url.removeprefix(site) for i in pieces(what(), tmp_path / "on") for c in read(what(), i)]
    assert Counter(captures) == Counter(["/", "/a", "/b", "/linked"])
    assert details(index)[f"{site}/broken.xml.gz"] == "compressed body ends early"


def test_sitemaps_that_never_end_are_given_up(tmp_path):
    endless = "".join(f"Sitemap: http://help.sample/{n}.xml\n" for n in range(40))
    answers = {"/robots.txt": answer(endless.encode()), "/": html()}
    with raw_server(answers) as served:
        answers |= {f"/{n}.xml": served.silence for n in range(40)}
        index = crawl(what(timeout_s=0.1, retries=0, max_lost=3), where(served), tmp_path)
    assert Counter(by_url(index).values()) == {"fetched": 1, "robots_file": 1, "timeout": 3}

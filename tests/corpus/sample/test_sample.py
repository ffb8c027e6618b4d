import http.client
import re

import pytest

from corpus.crawling.links import page_links
from corpus.crawling.snapshot import outcomes
from corpus.sample.build import LANGUAGES, with_indexes, write_archive
from corpus.sample.server import ARCHIVE, HOST, load, serve, serve_pages
from tests.corpus.crawling.support import crawl, what, where


@pytest.fixture(scope="module")
def site():
    return load()


def test_the_archive_is_small_and_paired(site):
    assert ARCHIVE.stat().st_size < 3_000_000
    trees = [{path.partition("/text/")[2] for path in site if path.startswith(f"{lang}/text/")} for lang in LANGUAGES]
    assert trees[0] == trees[1] and len(trees[0]) >= 1200


def test_both_languages_have_real_text_and_some_pages_are_untranslated(site):
    chinese = re.compile("[\u4e00-\u9fff]")
    counts = {"zh": 0, "untranslated": 0, "en": 0}
    for path, data in site.items():
        if "/text/" not in path:
            continue
        body = re.sub(
            r"<[^>]*>|\s+", "", data.decode().partition('id="DisplayArea"')[2].partition('id="SearchFrame"')[0]
        )
        if path.startswith("en-US"):
            counts["en"] += len(body) > 300
        elif 3 * len(chinese.findall(body)) > 0.3 * len(body.encode()):
            counts["zh"] += len(body.encode()) > 300
        else:
            counts["untranslated"] += 1
    assert counts["zh"] >= 650 and counts["en"] >= 650
    assert 0.15 < counts["untranslated"] / 1668 < 0.3


def test_every_page_is_linked(site):
    seen, queue = {"index.html"}, ["index.html"]
    while queue:
        path = queue.pop()
        for url in page_links(site[path].decode(), f"http://{HOST}/{path}").urls:
            target = url.removeprefix(f"http://{HOST}/")
            if target in site and target not in seen:
                seen.add(target)
                queue.append(target)
    assert set(site) - seen == {"robots.txt"}


def test_building_gives_the_same_bytes(site, tmp_path):
    some = {path: data for path, data in sorted(site.items())[:40] if "/text/" in path}
    for name in ("a.tar.xz", "b.tar.xz"):
        write_archive(with_indexes(dict(reversed(some.items())) if name[0] == "b" else some), tmp_path / name)
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()
    assert load(tmp_path / "a.tar.xz") == with_indexes(some)


def test_the_server_plants_faults_and_stops(tmp_path):
    with serve_pages({"index.html": b"<p>x</p>"}) as served:
        connection = http.client.HTTPConnection(served.host, served.port)

        def status(path, **headers):
            connection.request("GET", path, headers={"Host": HOST, **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert [status(path) for path in ("/", "/index.html?q=1", "/missing.html", "/old-index.html")] == [
            200,
            200,
            404,
            301,
        ]
        assert [status("/flaky.html"), status("/flaky.html")] == [500, 200]
        assert status("/", Host="elsewhere.sample") == 421
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(served.host, served.port).request("GET", "/")


def test_a_part_of_the_sample_is_crawled_as_configured(tmp_path):
    with serve() as served:
        source = what(seeds=[f"http://{HOST}/"], paths=["/zh-CN/", "/en-US/", "/faults.html"], max_pages=60)
        index = crawl(source, where(served, (HOST,)), tmp_path)
    found = outcomes(index)
    assert found["fetched"] >= 55 and found["page_limit"] > 1000

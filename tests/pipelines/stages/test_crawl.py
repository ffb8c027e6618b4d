"""The crawl stage: politeness whatever the worker count, and a re-crawl that asks for what has changed."""

import shutil
import threading
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from conf.load import load
from corpus.crawling.frontier import Frontier
from corpus.crawling.hosts import crawl_hosts
from corpus.crawling.journal import Journal
from corpus.crawling.source import Crawl
from pipelines.graph.run import Request, run_plans
from pipelines.graph.stage_log import StageLog
from tests.corpus.crawling.support import HTML, answer, html, page, raw_server, what, where

HOSTS = [f"h{n}.sample" for n in range(6)]
DELAY_S = 0.05


def configuration(store, served, *overrides):
    hosts = [f"site.hosts.{host.partition('.')[0]}={{name: {host}, address: '{served.address}'}}" for host in HOSTS]
    seeds = ", ".join(f"http://{host}/" for host in HOSTS[:4])
    source = ["source=crawl", f"recipe.source.seeds=[{seeds}]", f"recipe.source.hosts=[{', '.join(HOSTS)}]"]
    where = [f"site.store={store}", f"site.politeness.delay_s={DELAY_S}", "run.until=source"]
    return load([*source, *hosts, *where, *overrides])


def crawled(config):
    (session,) = run_plans([Request(config)], StageLog(lambda line: None))
    (snapshot,) = [each.artifact for each in session.outcomes.values() if each.stage.kind == "snapshot"]
    return snapshot


@pytest.fixture
def served():
    others = [f"http://{host}/4" for host in HOSTS]
    answers = {"/": html("/1", "/2", "/secret", *others), "/robots.txt": answer(b"User-agent: *\nDisallow: /secret")}
    answers |= {f"/{n}": answer(page(text=f"页 {n}"), HTML, f'ETag: "{n}"') for n in range(1, 5)}
    with raw_server(answers) as running:
        yield running


@pytest.mark.parametrize("workers", [1, 4])
def test_a_host_is_asked_one_thing_at_a_time_with_its_delay(tmp_path, served, workers):
    snapshot = crawled(configuration(tmp_path, served, f"site.workers={workers}", "site.politeness.hosts_at_once=2"))
    assert snapshot.figures["outcomes"] == {"fetched": 4 * 4 + 2, "robots_disallowed": 4, "robots_file": 6}
    spans = defaultdict(list)
    for host, path, began, ended in served.spans:
        assert path != "/secret"
        spans[host].append((began, ended))
    assert spans.keys() == set(HOSTS)
    for host in HOSTS:
        gaps = [later[0] - sooner[1] for sooner, later in pairwise(sorted(spans[host]))]
        assert min(gaps) >= DELAY_S, (host, gaps)
    assert Counter(served.asked).most_common(1)[0][1] == 1


def test_a_new_snapshot_asks_for_what_has_changed(tmp_path, served):
    unchanged = []

    def etagged(connection, request):
        same = request.get("if-none-match") == '"1"'
        connection.sendall(b"HTTP/1.1 304 Same\r\n\r\n" if same else answer(page(text="页 1"), HTML, 'ETag: "1"'))
        unchanged.append(same)

    served.answers["/1"] = etagged
    first = crawled(configuration(tmp_path, served))
    crawl = first.directory
    again = crawled(configuration(tmp_path, served, "run.snapshot=new"))
    assert unchanged == [False] * 4 + [True] * 4
    assert again.directory != crawl and again.figures["snapshot_digest"] == first.figures["snapshot_digest"]
    shutil.rmtree(crawl)
    newest = crawled(configuration(tmp_path, served, "run.snapshot=new"))
    assert newest.directory not in (crawl, again.directory)  # not the number that is free again, nor one that is there


def test_an_error_of_one_host_stops_the_others_and_is_told(tmp_path, monkeypatch):
    seen, add = threading.Event(), Journal.add

    def broken(self, *args):
        if "h1.sample" not in str(self.path("")):
            return add(self, *args)
        seen.wait(30)
        raise OSError(28, "No space left on device")

    def endless(connection):
        seen.set()
        connection.sendall(html(*(f"/{n}" for n in range(1000))))

    monkeypatch.setattr(Journal, "add", broken)
    with raw_server({("h0.sample", "/"): endless}) as server:
        crawl = Crawl(what(seeds=["http://h0.sample/", "http://h1.sample/"]), *where(server, HOSTS, delay_s=0.05))
        targets = {host: Frontier(crawl.what).targets(host) for host in HOSTS[:2]}
        with pytest.raises(OSError, match="No space left"):
            crawl_hosts(targets, lambda host: crawl, tmp_path)
    assert 1 <= sum(server.counts().values()) < 100

"""The crawl stage on webs that behave badly, killed and gone on: each URL has the one outcome that a plain reference
gives it, and index, figures, WARC records and what servers were asked reconcile."""

import hashlib
import os
import signal
from collections import Counter

import hypothesis.strategies as st
import pytest
from fastwarc.warc import ArchiveIterator
from hypothesis import example, given

from corpus.crawling.snapshot import NO_PAGES, CrawlError
from corpus.crawling.source import Host
from corpus.sources.source import pieces, read
from pipelines.stages.crawl import PROGRAM, SEGMENTS
from tests.corpus.crawling.support import HTML, answer, page, raw, raw_server, what, where
from tests.pipelines.stages.small import examples, made

HOSTS = [f"h{n}.sample" for n in range(4)]
ODD = "http://[::1/odd"
ELSEWHERE = [f"http://other.sample/{n}" for n in range(4200)]  # an index of more than one batch
PDF, BROTLI = "Content-Type: application/pdf", "Content-Encoding: br"
# What a URL does, beside leading elsewhere: its outcome, whether it is kept, whether its links are followed.
DEEDS = {
    "page": ("fetched", True, True),
    "nofollow": ("fetched", True, False),
    "noindex": ("noindex", False, True),
    "moved": ("redirect", True, True),
    "gone": ("http_404", True, False),
    "broken": ("http_error", True, False),
    "pdf": ("not_html", False, False),
    "brotli": ("bad_coding", False, False),
    "lost": ("connection_lost", False, False),
    "chatter": ("bad_response", False, False),
    "huge": ("too_large", False, False),
}
ROBOTS = {
    "some": answer(b"User-agent: *\nDisallow: /private", "Content-Type: text/plain"),
    "none": answer(status="404 No"),
    "down": answer(status="503 Busy"),
}
MOMENTS = [f"crawl:record:{n}" for n in (1, 2, 5, 9)]
MOMENTS += ["crawl:segment:1", "crawl:rows:2", "crawl.round-0000:commit", "crawl.round-0000:committed:2"]
MOMENTS += ["crawl.round-0001:begin", "crawl.seal:write", "crawl.seal:committed", "crawl:seal", "crawl:sealed"]


class Web:
    """Hosts with robots.txt, and what their URLs do: (deed, numbers of the URLs it leads to)."""

    def __init__(self, deeds, robots):
        private = lambda n: "/private" if n % 5 == 4 else ""  # noqa: E731
        self.urls = [f"http://{HOSTS[n % 4]}{private(n)}/{n}" for n in range(len(deeds))]
        self.robots = {f"http://{host}/robots.txt": kind for host, kind in zip(HOSTS, robots, strict=True)}
        self.does, self.links = {}, {}
        for url, (deed, to) in zip(self.urls, [("page", [1, 2, 3, 4, 9, 11]), *deeds[1:]], strict=True):
            self.does[url], self.links[url] = deed, [self.urls[each % len(self.urls)] for each in to]
        self.links[self.urls[0]] += [ODD, *ELSEWHERE]

    def body(self, url):
        meta = {"noindex": "noindex", "nofollow": "nofollow"}.get(self.does[url], "")
        return page(*self.links[url], text=f"页 {url}").replace(
            b"<body>", f'<meta name="robots" content="{meta}">'.encode()
        )

    def answer(self, url):
        deed, links = self.does[url], self.links[url]
        if deed == "moved":
            return answer(b"gone", f"Location: {(links or [self.urls[0]])[0]}", status="302 Found")
        status = {"gone": "404 No", "broken": "500 Oops"}.get(deed, "200 OK")
        given = {
            "pdf": answer(b"%PDF", PDF),
            "brotli": answer(b"x", HTML, BROTLI),
            "lost": raw(b""),
            "chatter": raw(b"what?\r\n\r\n"),
            "huge": answer(b"x" * (1 << 20), HTML),
        }
        return given.get(deed) or answer(self.body(url), HTML, status=status)

    def answers(self):
        every = {url: self.answer(url) for url in self.urls} | {url: ROBOTS[kind] for url, kind in self.robots.items()}
        return {tuple(url.removeprefix("http://").replace("/", " /", 1).split()): each for url, each in every.items()}

    def outcomes(self, seeds):
        """Each URL that a crawl from `seeds` meets, and its outcome."""
        found, due = {}, list(seeds)
        while due:
            url = due.pop()
            if url in found:
                continue
            if url not in self.does:
                found[url] = "malformed_url" if url == ODD else "out_of_scope"
                continue
            robots = url[: url.index("/", 7)] + "/robots.txt"
            found[robots] = "robots_file"
            if self.robots[robots] == "down":
                found[url] = "robots_unreachable"
            elif self.robots[robots] == "some" and "/private/" in url:
                found[url] = "robots_disallowed"
            else:
                found[url], _, follows = DEEDS[self.does[url]]
                to = self.links[url] or [self.urls[0]]
                due += (to[:1] if self.does[url] == "moved" else self.links[url]) if follows else []
        return found

    def kept(self, outcomes):
        """URL -> status, SHA-256 of the payload and content type, of pages that are kept."""
        status = {"moved": 302, "gone": 404, "broken": 500}
        asked = {
            url: self.does[url] for url, outcome in outcomes.items() if url in self.does and "robots" not in outcome
        }
        return {
            url: (status.get(deed, 200), hashlib.sha256(b"gone" if deed == "moved" else self.body(url)).digest())
            for url, deed in asked.items()
            if DEEDS[deed][1]
        }


def attempted(fault, crawl):
    """A crawl in a process of its own, which ends at a fault point or at the end."""
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        os.environ["SIKU_FAULT"] = fault
        try:
            crawl()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


webs = st.builds(
    Web,
    st.lists(
        st.tuples(st.sampled_from(sorted(DEEDS)), st.lists(st.integers(0, 60), max_size=4)), min_size=10, max_size=24
    ),
    st.lists(st.sampled_from(["some", "some", "none", "down"]), min_size=4, max_size=4),
)
EVERY = Web(
    [(deed, range(26) if deed == "page" else [n + 1]) for n, deed in enumerate([*DEEDS, "page", "page", *DEEDS])],
    ["some", "none", "down", "none"],
)


@examples(5)
@example(EVERY, ["crawl:record:9", "crawl.round-0000:committed", "crawl.seal:committed"], 1)
@example(Web([("page", []), ("page", [])], ["down"] * 4), [], 4)
@given(webs, st.lists(st.sampled_from(MOMENTS), max_size=2), st.sampled_from([1, 4]))
def test_every_url_has_its_outcome_and_the_records_reconcile(store, web, faults, at_once):
    root, seeds = store(), [web.urls[0], web.urls[1]]
    with raw_server(web.answers()) as served:
        politeness, addresses = where(served, HOSTS, segment_pages=3, hosts_at_once=at_once)
        hosts = {host: Host(name=host, address=address) for host, address in addresses.items()}
        source = what(
            seeds=seeds, hosts=HOSTS, retries=0, max_lost=100, max_bytes=1 << 19, max_redirects=50, timeout_s=60
        )

        def crawl():
            return made(root, PROGRAM, source, {}, hosts=hosts, politeness=politeness)

        if "fetched" not in web.outcomes(seeds).values():
            with pytest.raises(CrawlError, match="no page was fetched"):
                crawl()
            return
        ends = [attempted(fault, crawl) for fault in faults]
        assert set(ends) <= {-signal.SIGKILL, 0}
        crawled = crawl().artifact
        asked = Counter(served.asked)
        assert crawl().artifact == crawled and Counter(served.asked) == asked
    index = crawled.table("index-00000").to_pylist()
    outcomes = {row["url"]: row["outcome"] for row in index}
    assert outcomes == web.outcomes(seeds) and len(index) == len(outcomes)
    assert len(index) > 4096 or outcomes[web.urls[0]] != "fetched"  # which leads to most of them
    assert [row["url"] for row in index] == sorted(outcomes)
    assert crawled.figures["outcomes"] == Counter(outcomes.values())
    # Kept answers: the index, the WARC read by another reader, the captures of the next stage.
    kept = {row["url"]: row for row in index if row["warc"]}
    pages = {url: (row["status"], row["payload_digest"]) for url, row in kept.items() if row["outcome"] not in NO_PAGES}
    assert pages == web.kept(outcomes) and crawled.figures["captures"] == len(kept)
    records = Counter()
    folder = crawled.directory / SEGMENTS
    for segment in sorted(folder.glob("*.warc.gz")):
        for record in ArchiveIterator(str(segment)):
            if record.headers["WARC-Type"] == "response":
                url = record.headers["WARC-Target-URI"]
                records[url] += 1
                assert (kept[url]["warc"], kept[url]["offset"]) == (segment.name, record.stream_pos), url
                digest = hashlib.sha256(record.reader.read()).digest()
                assert digest == kept[url]["payload_digest"] or url.endswith("/robots.txt")
    assert records == Counter(kept.keys())
    captures = Counter(capture.url for piece in pieces(source, folder) for capture in read(source, piece))
    assert captures == Counter(pages.keys())
    assert {name for name in crawled.files if name.endswith(".gz")} == {path.name for path in folder.glob("*.warc.gz")}
    # A kill costs at most the answer that was under way, for each host that was asked.
    again = sum(count - 1 for (host, path), count in asked.items())
    lost = sum(outcome == "connection_lost" for outcome in outcomes.values())
    assert again <= len(faults) * len(HOSTS) + lost


def test_the_reference_sees_every_outcome():
    seen = {DEEDS[deed][0] for deed in EVERY.does.values()}
    found = EVERY.outcomes(EVERY.urls[:2]).values()
    never = {"robots_disallowed", "robots_unreachable", "malformed_url", "out_of_scope"}
    assert seen | never | {"robots_file"} == {*found}

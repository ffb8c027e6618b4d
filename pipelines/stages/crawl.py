"""Crawl stage: rounds over hosts, each host one item that owns robots.txt, delay and fetch loop; ends in a sealed
snapshot of WARC segments."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

from corpus.crawling.frontier import Frontier, Link, Target
from corpus.crawling.host import crawl_host
from corpus.crawling.segments import file_stem
from corpus.crawling.snapshot import SNAPSHOT, outcomes, sealed, snapshot_digest
from corpus.crawling.source import Crawl, Politeness
from corpus.document import canonical_url
from corpus.shard import open_shard
from corpus.verdict import Tally
from pipelines.engine.progress import QUIET_S
from pipelines.engine.runner import SMALL_INPUT
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Sealed, Work
from pipelines.engine.store import Attempt
from pipelines.stages.hosts import Host

SEGMENTS = "warc"


def served(context: Context, servers: ExitStack) -> Context:
    """Start the bundled servers that the crawl's hosts name; they end with `servers`."""
    from corpus.sample.server import serve

    hosts: dict[str, Host] = {}
    wanted = {canonical_url(seed).split("/")[2] for seed in context.what.seeds} | set(context.what.hosts)
    for name, host in context.where["hosts"].items():
        if host.serve is not None and name in wanted:
            address, _, port = host.address.rpartition(":")
            server = servers.enter_context(serve(host.serve.resolve(), address, int(port)))
            host = replace(host, address=f"{address}:{server.port}")
        hosts[name] = host
    return replace(context, where={**context.where, "hosts": hosts})


def _crawl(context: Context, host: str) -> Crawl:
    """The crawl as one host is due it."""
    hosts: Mapping[str, Host] = context.where["hosts"]
    politeness: Politeness = context.where["politeness"]
    own = hosts.get(host)
    if own is not None and own.delay_s is not None:
        politeness = replace(politeness, delay_s=own.delay_s)
    return Crawl(context.what, politeness, {name: each.address for name, each in hosts.items()})


class _Told:
    """Says now and then how many pages of a host are fetched: a host is one item, however long it takes."""

    def __init__(self, host: str) -> None:
        self._host, self._pages, self._bytes = host, 0, 0
        self._started = self._last = time.monotonic()

    def __call__(self, pages: int, size: int) -> None:
        self._pages, self._bytes, now = self._pages + pages, self._bytes + size, time.monotonic()
        if now - self._last >= QUIET_S:
            rate = self._pages / (now - self._started)
            sys.stderr.write(f"  {self._host}: {self._pages} pages, {self._bytes / 1e6:.1f} MB, {rate:.1f} pages/s\n")
            self._last = now


def crawl_item(work: Work, attempt: Attempt) -> None:
    """Fetch what one round knows of one host."""
    context, host = work.context, work.arguments["host"]
    targets = {url: Target(*way) for url, way in work.arguments["targets"].items()}
    folder = context.directory / SEGMENTS
    found = crawl_host(host, targets, _crawl(context, host), folder, _Told(host))
    attempt.shard(f"{work.arguments['phase']}-{work.name}", [found.index], SNAPSHOT)
    attempt.figure("links", [[link.url, link.target.depth, link.target.redirects] for link in found.links])


def rounds(job: Job) -> Iterator[Phase]:
    """A host is visited again when other hosts led to more of it; what it has is not fetched twice."""
    (context,) = job
    frontier = Frontier(context.what)
    due, latest = frontier.hosts(), {}
    number = 0
    while due:
        name = f"round-{number:04d}"
        items = []
        for host in due:
            targets = {url: (way.depth, way.redirects) for url, way in frontier.targets(host).items()}
            # Hosts wait for the network, not for each other: several are never few enough for one process.
            items.append(Item(file_stem(host), SMALL_INPUT, {"phase": name, "host": host, "targets": targets}))
            latest[file_stem(host)] = name
        yield Phase(name, items, crawl_item, scratch=True)
        commits = context.commits(name).values()
        links = [Link(url, Target(depth, hops)) for commit in commits for url, depth, hops in commit.figures["links"]]
        due, number = frontier.add(links), number + 1
    yield Phase("seal", [Item("snapshot", 0, {"latest": latest})], seal_snapshot)


def seal_snapshot(work: Work, attempt: Attempt) -> None:
    """The index of all hosts, and every WARC segment beside it."""
    context = work.context
    names = [(f"{phase}-{stem}", phase, stem) for stem, phase in sorted(work.arguments["latest"].items())]
    index = sealed(open_shard(context.file(*name)) for name in names)
    attempt.shard("index-00000", [index], SNAPSHOT)
    segments = [each.key for each in context.files.list(f"{SEGMENTS}/") if each.key.endswith(".warc.gz")]
    for key in segments:
        path = context.files.local(key)
        attempt.add(path.name, path, 0)
    figures = {
        "snapshot_digest": snapshot_digest(index).hex(),
        "outcomes": outcomes(index),
        "segments": len(segments),
        "captures": sum(1 for name in index["warc"].to_pylist() if name is not None),
    }
    for name, value in figures.items():
        attempt.figure(name, value)


def _seal(context: Context) -> Sealed:
    return Sealed(Tally(), context.commits("seal")["snapshot"].figures)


PROGRAM = Program("crawl", 1, ("Protego", "Resiliparse"), (), _seal, rounds=rounds)

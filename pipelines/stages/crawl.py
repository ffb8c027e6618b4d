"""Crawl stage: rounds over hosts, an item for some of them; a host has one owner, which keeps its robots.txt and its
delay. Ends in a sealed snapshot of WARC segments."""

import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from corpus.crawling.frontier import Frontier, Link, Target
from corpus.crawling.snapshot import SNAPSHOT, outcomes, sealed, snapshot_digest
from corpus.crawling.source import Crawl, Host, Politeness
from corpus.document import canonical_url
from corpus.shard import open_shard
from corpus.verdict import Tally
from pipelines.engine.progress import QUIET_S
from pipelines.engine.runner import SMALL_INPUT
from pipelines.engine.stage import Context, Item, Job, Phase, Program, Totals, Work
from pipelines.engine.store import Attempt

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
    addresses = {name: each.address for name, each in hosts.items()}
    return Crawl(context.what, politeness, addresses, context.where.get("previous"))


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
    """Fetch what one round knows of some hosts."""
    from corpus.crawling.hosts import crawl_hosts  # loads the network's libraries: a plan does without
    from corpus.crawling.segments import file_stem

    context, phase = work.context, work.arguments["phase"]
    hosts = {
        host: {url: Target(*way) for url, way in targets.items()} for host, targets in work.arguments["hosts"].items()
    }
    results = crawl_hosts(hosts, partial(_crawl, context), context.directory / SEGMENTS, _Told)
    for found in results:
        attempt.shard(f"{phase}-{file_stem(found.host)}", [found.index], SNAPSHOT)
    links = [link for found in results for link in found.links]
    attempt.figure("links", [[link.url, link.target.depth, link.target.redirects] for link in links])


def rounds(job: Job) -> Iterator[Phase]:
    """A host is visited again when other hosts led to more of it; what it has is not fetched twice."""
    from corpus.crawling.segments import file_stem

    (context,) = job
    frontier = Frontier(context.what)
    due, number = frontier.hosts(), 0
    latest: dict[str, tuple[str, str]] = {}  # host -> where its rows are: the phase and item that asked it last
    while due:
        phase = f"round-{number:04d}"
        items = []
        groups = math.ceil(len(due) / context.where["politeness"].hosts_at_once)
        for group in range(groups):
            name = f"hosts-{group:05d}"
            hosts = {
                host: {url: (way.depth, way.redirects) for url, way in frontier.targets(host).items()}
                for host in due[group::groups]
            }
            # Hosts wait for the network: several groups are never few enough for one process.
            items.append(Item(name, SMALL_INPUT, {"phase": phase, "hosts": hosts}))
            latest |= {file_stem(host): (phase, name) for host in hosts}
        yield Phase(phase, items, crawl_item, scratch=True)
        commits = context.commits(phase).values()
        links = [Link(url, Target(depth, hops)) for commit in commits for url, depth, hops in commit.figures["links"]]
        due, number = frontier.add(links), number + 1
    yield Phase("seal", [Item("snapshot", 0, {"latest": latest})], seal_snapshot)


def seal_snapshot(work: Work, attempt: Attempt) -> None:
    """The index of all hosts, and every WARC segment beside it."""
    context = work.context
    latest = sorted(work.arguments["latest"].items())
    names = [(f"{phase}-{stem}", phase, item) for stem, (phase, item) in latest]
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


def _totals(context: Context) -> Totals:
    return Totals(Tally(), context.commits("seal")["snapshot"].figures)


PROGRAM = Program("crawl", 1, ("Protego", "Resiliparse"), (), _totals, rounds=rounds)

"""A whole crawl in one process, round by round; a pipeline runs the same rounds with a host an item."""

from pathlib import Path

import pyarrow as pa

from corpus.crawling.frontier import Frontier, Link
from corpus.crawling.host import HostCrawl, Progress, crawl_host
from corpus.crawling.snapshot import sealed
from corpus.crawling.source import CrawlSource, Politeness


def crawl(what: CrawlSource, where: Politeness, folder: Path, progress: Progress | None = None) -> pa.Table:
    """Crawl into `folder` and return the sealed index (SNAPSHOT). Raises CrawlError.

    A host is visited again when other hosts led to more of it; what it has is not fetched twice.
    """
    frontier = Frontier(what)
    results: dict[str, HostCrawl] = {}
    due = frontier.hosts()
    while due:
        found: list[Link] = []
        for host in due:
            results[host] = crawl_host(host, frontier.targets(host), what, where, folder, progress)
            found.extend(results[host].links)
        due = frontier.add(found)
    return sealed(results[host].index for host in sorted(results))

"""Several hosts at once: a crawl waits for the network, and hosts need not wait for each other."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from corpus.crawling.ask import Progress
from corpus.crawling.frontier import Target
from corpus.crawling.host import HostCrawl, crawl_host
from corpus.crawling.source import Crawl

Targets = Mapping[str, Target]


def crawl_hosts(
    hosts: Mapping[str, Targets],
    crawl: Callable[[str], Crawl],
    folder: Path,
    progress: Callable[[str], Progress] | None = None,
) -> list[HostCrawl]:
    """`crawl_host` for each host, a thread each; results by name of the host.

    When one fails, the others stop before their next request, and its error is raised. The threads are daemons:
    an interrupt waits for no server, and a journal is whole wherever it ends.
    """
    stop = threading.Event()
    done: dict[str, HostCrawl] = {}
    failed: list[Exception] = []

    def run(host: str) -> None:
        try:
            told = None if progress is None else progress(host)
            done[host] = crawl_host(host, hosts[host], crawl(host), folder, told, stop)
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            failed.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(host,), name=f"crawl {host}", daemon=True) for host in sorted(hosts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return [done[host] for host in sorted(done)]

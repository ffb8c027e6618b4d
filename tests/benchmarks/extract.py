"""`python -m tests.benchmarks.extract`: HTML to main text, Siku beside Resiliparse and, if installed, trafilatura.

Speed on the sample site by default. `--pages FOLDER --truth FILE.txt.gz` scores a manual against the publisher's
own plain text instead: distinct shingles of 4 words or 5 Chinese characters, precision, recall and F1.
"""

import argparse
import gzip
import importlib.util
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from resiliparse.extract.html2text import extract_plain_text

from corpus.charset import decode
from corpus.extract import Extract, extract_page
from corpus.sample.server import load

Tool = Callable[[bytes], str]


@dataclass(frozen=True)
class Row:
    """One tool on one language: median over repeats; F1 where the truth is known."""

    tool: str
    stage: str
    language: str
    mb_per_cpu_s: float
    docs_per_cpu_s: float
    peak_mb: float
    quality: dict[str, float] | None


def siku(page: bytes) -> str:
    """What the extract stage does."""
    return extract_page(decode(page).text, Extract()).text


def resiliparse(page: bytes) -> str:
    """Resiliparse's main-content mode as it is."""
    return extract_plain_text(decode(page).text, main_content=True, preserve_formatting=True, alt_texts=False)


def resiliparse_whole(page: bytes) -> str:
    """All visible text."""
    return extract_plain_text(decode(page).text, preserve_formatting=True, alt_texts=False)


def trafilatura(page: bytes) -> str:
    """Trafilatura favouring precision."""
    from trafilatura import extract

    return extract(decode(page).text, favor_precision=True) or ""


def tools() -> dict[str, Tool]:
    """The tools installed here."""
    found: dict[str, Tool] = {
        "siku": siku,
        "resiliparse main": resiliparse,
        "resiliparse whole": resiliparse_whole,
    }
    if importlib.util.find_spec("trafilatura"):
        found["trafilatura precision"] = trafilatura
    return found


def sample() -> dict[str, list[bytes]]:
    """Pages of the sample site by tree."""
    site = load()
    return {
        tree: [site[path] for path in sorted(site) if path.startswith(f"{tree}/text/")] for tree in ("en-US", "zh-CN")
    }


def shingles(text: str) -> set[object]:
    """Distinct 4-word or, where Chinese characters prevail, 5-character shingles."""
    chinese = len(re.findall("[\u4e00-\u9fff]", text))
    units = re.findall(r"\w+", text.lower()) if 10 * chinese < len(text) else re.findall(r"\w", text)
    width = 4 if 10 * chinese < len(text) else 5
    return {tuple(units[at : at + width]) for at in range(len(units) - width + 1)}


def score(texts: list[str], truth: str) -> dict[str, float]:
    """Precision, recall and F1 of the texts together."""
    found, wanted = shingles("\n".join(texts)), shingles(truth)
    shared = len(found & wanted)
    precision, recall = shared / max(len(found), 1), shared / max(len(wanted), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": round(precision, 3), "recall": round(recall, 3), "f1": round(f1, 3)}


def peak_mb(tool: Tool, pages: list[bytes]) -> float:
    """Resident peak of a child process that runs the tool once."""
    child = os.fork()
    if child == 0:
        for page in pages:
            tool(page)
        os._exit(0)
    _, _, usage = os.wait4(child, 0)
    return usage.ru_maxrss / 1024


def run(language: str, pages: list[bytes], truth: str | None, repeats: int) -> list[Row]:
    """All tools in turn, `repeats` times over."""
    size = sum(map(len, pages)) / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in tools()}
    texts: dict[str, list[str]] = {}
    for _ in range(repeats):
        for name, tool in tools().items():
            start = time.process_time()
            texts[name] = [tool(page) for page in pages]
            seconds[name].append(time.process_time() - start)
    rows = []
    for name, times in seconds.items():
        spent = median(times)
        quality = None if truth is None else score(texts[name], truth)
        speed = (round(size / spent, 2), round(len(pages) / spent, 1))
        rows.append(Row(name, "extract", language, *speed, round(peak_mb(tools()[name], pages), 1), quality))
    return rows


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, help="folder of a manual's HTML pages")
    parser.add_argument("--truth", type=Path, help="the manual as plain text, gzipped")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=400, help="pages a language")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    truth = None if options.truth is None else gzip.decompress(options.truth.read_bytes()).decode()
    sets = sample()
    if options.pages is not None:
        sets = {options.pages.name: [path.read_bytes() for path in sorted(options.pages.glob("*.html"))]}
    for language, pages in sets.items():
        for row in run(language, pages[: options.limit], truth, options.repeats):
            if options.json:
                print(json.dumps(asdict(row)))
                continue
            quality = "" if row.quality is None else "  ".join(f"{k} {v:.3f}" for k, v in row.quality.items())
            speed = f"{row.mb_per_cpu_s:8.2f} MB/s{row.docs_per_cpu_s:9.1f} docs/s{row.peak_mb:8.1f} MB peak"
            print(f"extract  {row.tool:24}{row.language:8}{speed}  {quality}")


if __name__ == "__main__":
    main()

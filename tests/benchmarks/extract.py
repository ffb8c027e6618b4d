"""`python -m tests.benchmarks.extract`: HTML to main text, Siku beside Resiliparse and, if installed, trafilatura.

Speed on the sample site by default. `--pages FOLDER --truth FILE.txt.gz` scores a manual against the publisher's
own plain text instead: distinct shingles of 4 words or 5 Chinese characters, precision, recall and F1.
"""

import argparse
import gzip
import importlib.util
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text

from corpus.charset import decode
from corpus.extract import Extract, extract_page
from corpus.sample.server import load
from tests.benchmarks.rows import Row, cpu_seconds, peak_mb, show

Tool = Callable[[bytes], str]


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


def run(language: str, pages: list[bytes], truth: str | None, repeats: int) -> Iterator[Row]:
    """All tools in turn, `repeats` times over."""
    over = {name: partial(_texts, tool) for name, tool in tools().items()}
    size = sum(map(len, pages)) / 1e6
    for name, seconds in cpu_seconds(over, pages, repeats).items():
        quality = {} if truth is None else score(over[name](pages), truth)
        peak = round(peak_mb(over[name], pages), 1)
        rate = round(size / seconds, 2)
        yield Row(tool=name, stage="extract", language=language, mb_per_cpu_s=rate, peak_mb=peak, **quality)


def _texts(tool: Tool, pages: list[bytes]) -> list[str]:
    return [tool(page) for page in pages]


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
            show(row, as_json=options.json)


if __name__ == "__main__":
    main()

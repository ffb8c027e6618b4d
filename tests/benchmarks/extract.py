"""`python -m tests.benchmarks.extract`: HTML to main text, Siku beside Resiliparse and, if installed, trafilatura.

Labelled pages of every kind by default (`tests/benchmarks/layouts`): precision and recall are means over pages of
distinct shingles of 4 words or 5 Chinese characters, F1 their harmonic mean; seconds are CPU, the tools in turn.
`--sample` measures speed on the sample site. `--pages FOLDER --truth FILE.txt.gz` scores a manual against the
publisher's own plain text: the shingles of all pages together.
"""

import argparse
import gzip
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text

from corpus.charset import decode
from corpus.extract.documents import Extract, extract_page
from corpus.extract.trafilatura import TrafilaturaExtractor
from corpus.sample.server import load
from tests.benchmarks.layouts.pages import LANGUAGES, LAYOUTS, labelled
from tests.benchmarks.layouts.text import Labelled
from tests.benchmarks.rows import Row, cpu_seconds, peak_mb, show

_MARKER = re.compile(r"^\s*(?:[•*-]|\d+\.)\s+", re.MULTILINE)  # of list items, which tools write each their way
Tool = Callable[[bytes], str]
Scores = dict[str, float]


def siku(page: bytes) -> str:
    """What the extract stage does."""
    return extract_page(decode(page).text, Extract()).text


def resiliparse(page: bytes) -> str:
    """Resiliparse's main-content mode as it is."""
    text = decode(page).text
    return extract_plain_text(text, main_content=True, preserve_formatting=True, alt_texts=False, comments=False)


def resiliparse_whole(page: bytes) -> str:
    """All visible text."""
    return extract_plain_text(decode(page).text, preserve_formatting=True, alt_texts=False)


def trafilatura(page: bytes, favor: str = "balance", fast: bool = False) -> str:
    """Trafilatura without comments."""
    from trafilatura import extract

    choice = {f"favor_{favor}": True} if favor != "balance" else {}
    return extract(decode(page).text, include_comments=False, fast=fast, **choice) or ""


def tools() -> dict[str, Tool]:
    """The tools installed here."""
    found: dict[str, Tool] = {"siku": siku, "resiliparse main": resiliparse, "resiliparse whole": resiliparse_whole}
    if importlib.util.find_spec(TrafilaturaExtractor.libraries[0]):
        found["trafilatura"] = trafilatura
        found["trafilatura precision"] = partial(trafilatura, favor="precision")
        found["trafilatura fast"] = partial(trafilatura, fast=True)
    return found


def sample() -> dict[str, list[bytes]]:
    """Pages of the sample site by language."""
    site = load()
    trees = {"en": "en-US", "zh": "zh-CN"}
    return {
        language: [site[path] for path in sorted(site) if path.startswith(f"{tree}/text/")]
        for language, tree in trees.items()
    }


def shingles(text: str) -> Counter[object]:
    """Shingles of 4 words or, where a tenth and more are Chinese characters, 5 characters; of a short text, itself."""
    text = _MARKER.sub("", text)
    chinese = 10 * len(re.findall("[\u4e00-\u9fff]", text)) > len(text)
    units = re.findall(r"\w", text) if chinese else re.findall(r"\w+", text.lower())
    width = 5 if chinese else 4
    return Counter(tuple(units[at : at + width]) for at in range(max(len(units) - width + 1, bool(units))))


def score(text: str, truth: str) -> Scores:
    """Precision and recall of one text by distinct shingles."""
    found, wanted = shingles(text).keys(), shingles(truth).keys()
    shared = len(found & wanted)
    return {"precision": shared / max(len(found), 1), "recall": shared / max(len(wanted), 1)}


def mean(scores: Sequence[Scores]) -> Scores:
    """Means over pages, and F1 of the means."""
    precision, recall = (sum(each[name] for each in scores) / len(scores) for name in ("precision", "recall"))
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": round(precision, 3), "recall": round(recall, 3), "f1": round(f1, 3)}


def run(stage: str, language: str, pages: Sequence[bytes], truths: Sequence[str], repeats: int) -> Iterator[Row]:
    """All tools in turn, `repeats` times over; `truths` one a page, one for all pages, or none."""
    over = {name: partial(_texts, tool) for name, tool in tools().items()}
    bytes_ = sum(map(len, pages)) / 1e6
    for name, seconds in cpu_seconds(over, pages, repeats).items():
        texts = over[name](pages)
        texts = ["\n".join(texts)] if len(truths) == 1 else texts
        quality = mean([score(text, truth) for text, truth in zip(texts, truths, strict=True)]) if truths else {}
        rate, peak = round(bytes_ / seconds, 2), round(peak_mb(over[name], pages), 1)
        yield Row(tool=name, stage=stage, language=language, mb_per_cpu_s=rate, peak_mb=peak, **quality)


def _texts(tool: Tool, pages: Sequence[bytes]) -> list[str]:
    return [tool(page) for page in pages]


def sets(options: argparse.Namespace) -> Iterator[tuple[str, str, list[bytes], list[str]]]:
    """Stage, language, pages and truths of each set asked for."""
    if options.pages is not None:
        truth = [] if options.truth is None else [gzip.decompress(options.truth.read_bytes()).decode()]
        yield "extract", options.pages.name, [path.read_bytes() for path in sorted(options.pages.glob("*.html"))], truth
    elif options.sample:
        for language, pages in sample().items():
            yield "extract", language, pages, []
    else:
        everything = list(labelled(options.seeds))
        for kind in LAYOUTS:
            for language in LANGUAGES:
                chosen: list[Labelled] = [page for page in everything if (page.kind, page.language) == (kind, language)]
                yield f"extract {kind}", language, [page.html for page in chosen], [page.truth for page in chosen]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="pages a layout and language")
    parser.add_argument("--sample", action="store_true", help="the sample site: speed alone")
    parser.add_argument("--pages", type=Path, help="folder of a manual's HTML pages")
    parser.add_argument("--truth", type=Path, help="the manual as plain text, gzipped")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=400, help="pages a set")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for stage, language, pages, truths in sets(options):
        some = truths if len(truths) == 1 else truths[: options.limit]
        for row in run(stage, language, pages[: options.limit], some, options.repeats):
            show(row, as_json=options.json)


if __name__ == "__main__":
    main()

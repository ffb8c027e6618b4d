"""What the text benchmarks share: real documents by language, and the loop over tools."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from corpus.charset import decode
from corpus.extract.documents import Extract, extract_page
from corpus.measures import Language
from corpus.sample.server import load
from tests.benchmarks.rows import Row, cpu_seconds, peak_mb, show

Tool = Callable[[pa.LargeStringArray], object]


def sample_texts() -> pa.LargeStringArray:
    """The main text of the sample site's pages, in the order of their paths."""
    site = load()
    pages = [site[path] for path in sorted(site) if path.endswith(".html")]
    texts = [extract_page(decode(page).text, Extract()).text for page in pages]
    return pa.array([text for text in texts if text], pa.large_string())


def documents(path: Path | None) -> dict[str, pa.LargeStringArray]:
    """Texts by language: of the `text` column of an Arrow file, or the sample's."""
    if path is None:
        text = sample_texts()
    else:
        text = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["text"].combine_chunks().cast(pa.large_string())
    codes = Language().compute(pa.record_batch([text], names=["text"]))["language"]
    return {language: text.filter(pc.equal(codes, language)) for language in ("en", "zh")}


def main(stage: str, tools: Mapping[str, Tool], tokens: Callable[[pa.LargeStringArray], int] | None = None) -> None:
    """Run every tool in turn, `--repeats` times over; `tokens` counts what a text has of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, help="Arrow file with a text column; the sample site's text without it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=2000, help="documents a language")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for language, text in documents(options.text).items():
        text = text.slice(0, options.limit)
        size = sum(len(value.encode()) for value in text.to_pylist()) / 1e6
        for tool in tools.values():
            tool(text.slice(0, 2))  # compile and load
        for name, seconds in cpu_seconds(tools, text, options.repeats).items():
            row = Row(
                tool=name,
                stage=stage,
                language=language,
                mb_per_cpu_s=round(size / seconds, 2),
                tokens_per_cpu_s=round(tokens(text) / seconds) if tokens else None,
                peak_mb=round(peak_mb(tools[name], text), 1),
            )
            show(row, as_json=options.json)

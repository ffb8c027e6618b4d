"""What the text benchmarks share: documents, alternated timing in CPU seconds, a table, and JSON lines."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Row:
    """One tool on one stage and language: median over repeats."""

    tool: str
    stage: str
    language: str
    mb_per_cpu_s: float
    docs_per_cpu_s: float


def documents(path: Path | None) -> dict[str, pa.LargeStringArray]:
    """Texts by language from the `text` column of an Arrow file, or drawn from words of both scripts."""
    from corpus.languages import identify
    from corpus.measures.language import LID

    if path is None:
        from tests.corpus.test_filters import CHINESE, ENGLISH

        made = {"en": [f"{ENGLISH} {k} " * (1 + k % 9) for k in range(2000)]}
        made["zh"] = [f"{CHINESE}{k}" * (1 + k % 9) for k in range(2000)]
        return {language: pa.array(texts, pa.large_string()) for language, texts in made.items()}
    text = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["text"].combine_chunks().cast(pa.large_string())
    codes = pa.array(identify(text, LID.resolve(), 1000, np.zeros(len(text), np.int64))[0])
    return {language: text.filter(pc.equal(codes, language)) for language in ("en", "zh")}


def main(stage: str, tools: dict[str, Callable[[pa.LargeStringArray], object]]) -> None:
    """Run every tool in turn, `--repeats` times over, and print one table or one JSON object a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, help="Arrow file with a text column; made text without it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=int, default=2000, help="documents a language")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for language, text in documents(options.text).items():
        text = text.slice(0, options.limit)
        size = sum(len(value.encode()) for value in text.to_pylist())
        seconds: dict[str, list[float]] = {name: [] for name in tools}
        for tool in tools.values():
            tool(text.slice(0, 2))  # compile and load
        for _ in range(options.repeats):
            for name, tool in tools.items():
                start = time.process_time()
                tool(text)
                seconds[name].append(time.process_time() - start)
        for name, times in seconds.items():
            spent = median(times)
            row = Row(name, stage, language, round(size / 1e6 / spent, 2), round(len(text) / spent, 1))
            if options.json:
                print(json.dumps(asdict(row)))
            else:
                print(
                    f"{stage:9}{row.tool:28}{language:4}{row.mb_per_cpu_s:9.2f} MB/s{row.docs_per_cpu_s:11.1f} docs/s"
                )

"""`python -m tests.benchmarks.safety`: masking and detox, by kind on labelled sentences, and their speed on real text.

`--presidio PYTHON` adds presidio, run by an interpreter that has it (presidio-analyzer 2.2.366, spaCy): recognizers of
shapes alone, for the kinds that it has. Recall and precision are of sentences: one that holds something to find, and
one in which nothing is found.
"""

import argparse
import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from corpus.measures import Toxicity
from corpus.pii import Mask, personal_data
from tests.benchmarks.labelled import Labelled, abuse, personal
from tests.benchmarks.rows import Row, cpu_seconds, show
from tests.benchmarks.text import documents

PRESIDIO = Path(__file__).parents[1] / "data" / "presidio" / "spans.py"


def _masked(one: Labelled, spans: Iterable[tuple[int, int, str]] | None = None) -> bool:
    """Whether all that is wanted is masked; in a trap, whether anything of the kind is."""
    found = [(a, b) for a, b, kind in (personal_data(one.text) if spans is None else spans) if kind == one.kind]
    if one.wanted is None:
        return bool(found)
    start = one.text.index(one.wanted)
    return any(a <= start and start + len(one.wanted) <= b for a, b in found)


def _flagged(one: Labelled) -> bool:
    batch = pa.record_batch([pa.array([one.text], pa.large_string())], names=["text"])
    return bool(Toxicity().compute(batch)["hits"][0].as_py())


def presidio(python: str) -> list[Row]:
    """Rows of presidio, for the kinds that it finds any of."""
    sentences = list(personal())
    given = "\n".join(json.dumps(one.text) for one in sentences)
    done = subprocess.run([python, str(PRESIDIO)], input=given, capture_output=True, encoding="utf-8", check=True)
    spans = {one: json.loads(line) for one, line in zip(sentences, done.stdout.splitlines(), strict=True)}
    kinds = {kind for found in spans.values() for _, _, kind in found}
    known = [one for one in sentences if one.kind in kinds]
    return judged(known, lambda one: _masked(one, spans[one]), "presidio")


def judged(sentences: Iterable[Labelled], found: Callable[[Labelled], bool], tool: str = "siku") -> list[Row]:
    """A row for each kind and language."""
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in sentences:
        of = counts[one.kind, one.language]
        of["wanted" if one.wanted else "traps"] += 1
        of["right" if one.wanted else "wrong"] += found(one)
    rows = []
    for (kind, language), of in counts.items():
        recall, precision = of["right"] / of["wanted"], of["right"] / max(of["right"] + of["wrong"], 1)
        f1 = 2 * recall * precision / max(recall + precision, 1e-9)
        figures = {"recall": round(recall, 4), "precision": round(precision, 4), "f1": round(f1, 4)}
        rows.append(Row(tool=f"{tool} {kind}", stage="safety", language=language, **figures))
    return rows


def _speed(repeats: int) -> Iterable[Row]:
    def both(text: pa.LargeStringArray) -> None:
        Mask().spans(text)
        Toxicity().compute(pa.record_batch([text], names=["text"]))

    tools = {
        "siku mask": Mask().spans,
        "siku toxicity": lambda text: Toxicity().compute(pa.record_batch([text], names=["text"])),
        "siku mask and toxicity": both,
    }
    for language, text in documents(None).items():
        size = sum(len(value.encode()) for value in text.to_pylist()) / 1e6
        both(text.slice(0, 2))  # compile and load
        for name, seconds in cpu_seconds(tools, text, repeats).items():
            yield Row(tool=name, stage="safety", language=language, mb_per_cpu_s=round(size / seconds, 2))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--presidio", help="an interpreter with presidio-analyzer and spaCy")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    peer = presidio(options.presidio) if options.presidio else []
    for row in [*judged(personal(), _masked), *peer, *judged(abuse(), _flagged), *_speed(options.repeats)]:
        show(row, as_json=options.json)


if __name__ == "__main__":
    main()

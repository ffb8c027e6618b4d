"""`python -m tests.benchmarks.agreement --python PYTHON`: what Gopher's and FineWeb's rules drop of the sample's pages.

Beside datatrove, run by an interpreter that has it (with spaCy): share dropped, and share of pages decided alike, rule
by rule and by any, in published units and in Siku's own.
"""

import argparse
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.measures import Length, Published, Quality, Repetition
from tests.benchmarks.text import documents

FLAGS = Path(__file__).parents[1] / "data" / "datatrove" / "flags.py"
LEAST = {"words": 50, "mean_word_length": 3, "alphabetic_words": 0.8, "stop_words": 2, "terminal_lines": 0.12}
MOST = {
    **{"words": 100_000, "mean_word_length": 10, "hashes": 0.1, "ellipses": 0.1, "bullet_lines": 0.9},
    **{"ellipsis_lines": 0.3, "duplicate_lines": 0.3, "duplicate_paragraphs": 0.3, "short_lines": 0.67},
    **{"duplicate_line_characters": 0.2, "duplicate_paragraph_characters": 0.2, "text_line_characters": 0.01},
    **{"top_2": 0.2, "top_3": 0.18, "top_4": 0.16, "newlines": 0.3},
    **{f"duplicate_{n}": round(0.2 - n / 100, 2) for n in range(5, 11)},
}
RULES = {column: (column,) for column in {**LEAST, **MOST} if column not in ("hashes", "ellipses", "mean_word_length")}
RULES |= {"symbols": ("hashes", "ellipses"), "word_length": ("mean_word_length",)}
Flags = dict[str, npt.NDArray[np.bool_]]


def dropped(columns: Mapping[str, npt.NDArray[np.float64]]) -> Flags:
    """What each rule drops, by the columns that were measured; what could not be measured goes."""
    out: Flags = {}
    for rule, names in RULES.items():
        values = [(columns[name], LEAST.get(name, -np.inf), MOST.get(name, np.inf)) for name in names]
        out[rule] = np.any([~((value >= low) & (value <= high)) for value, low, high in values], axis=0)
    return out


def measured(
    texts: list[str], *measures: Published | Quality | Repetition | Length
) -> dict[str, npt.NDArray[np.float64]]:
    """The measures' columns by name."""
    batch = pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])
    found = [(name, column) for m in measures for name, column in zip(m.schema.names, m.compute(batch), strict=True)]
    return {name: np.asarray(column, np.float64) for name, column in found}


def datatrove(python: str, texts: list[str]) -> Flags:
    """The same by datatrove."""
    given = "\n".join(map(json.dumps, texts))
    done = subprocess.run([python, str(FLAGS)], input=given, capture_output=True, encoding="utf-8", check=True)
    rows = [set(json.loads(line)) for line in done.stdout.splitlines()]
    return {rule: np.array([rule in row for row in rows]) for rule in RULES}


def main() -> None:
    """Print a line a rule."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True, help="an interpreter with datatrove 0.10.1 and spaCy")
    options = parser.parse_args()
    texts = documents(None)["en"].to_pylist()
    own = measured(texts, Length(), Quality(), Repetition())
    own["text_line_characters"] = own["duplicate_line_characters"]
    tools = {"published": dropped(measured(texts, Published())), "siku": dropped(own)}
    peer = datatrove(options.python, texts)
    print(f"{len(texts)} English pages of the sample; dropped, and decided as datatrove decides")
    for rule in [*RULES, "any"]:
        theirs = peer[rule] if rule in RULES else np.any([*peer.values()], axis=0)
        line = f"{rule:32} datatrove {theirs.mean():.3f}"
        for name, flags in tools.items():
            ours = flags[rule] if rule in RULES else np.any([*flags.values()], axis=0)
            line += f"   {name} {ours.mean():.3f} agree {(ours == theirs).mean():.4f}"
        print(line)


if __name__ == "__main__":
    main()

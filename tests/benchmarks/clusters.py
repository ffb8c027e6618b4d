"""Documents with planted clusters, and how a run dealt with them.

Of every hundred: 15 in near-duplicates of three (J = 0.9), 8 in exact copies of two, 6 in pairs of which one holds the
other's text between 1.3 times as much of its own on either side (J = 0.28), so that only decontamination may part them
where one is held out, and 71 alone. Every other cluster is Chinese; words and characters are drawn one by one as often
as the sample site has them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.buffers import fixed_width
from pipelines.past.history import History, open_run
from pipelines.stages.shard import HELD_OUT, TRAIN
from tests.benchmarks.extract import sample, siku
from tests.benchmarks.run import WORDS

EACH = 100
NEAR, COPIES, HELD = range(15), range(15, 23), range(23, 29)  # places of a hundred, in clusters of 3, 2 and 2
SENTENCES, WORDS_EACH, CHARACTERS_EACH = 5, 12, 20
PAGES = 60  # of the sample and language, for the words
SOURCE = "web"
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Findings:
    """Planted clusters that were not found, and documents taken for a cluster that they are not of."""

    missed: int
    wrong: int


@cache
def _words() -> dict[str, tuple[list[str], npt.NDArray[np.float64]]]:
    """Words by language, and their cumulated shares."""
    out = {}
    for language, pages in sample().items():
        text = "".join(siku(page) for page in pages[:PAGES])
        found = [word.lower() for word in WORDS.findall(text) if (ord(word[0]) > 0x4E00) == (language == "zh")]
        words, counts = np.unique(np.array(found, object), return_counts=True)
        out[language] = words.tolist(), np.cumsum(counts) / counts.sum()
    return out


def _heads() -> Ints:
    place = np.arange(EACH)
    return np.where(place < 15, place // 3 * 3, np.where(place < 29, 15 + (place - 15) // 2 * 2, place))


HEADS = _heads()  # of the places of a hundred


def clusters(numbers: Ints) -> Ints:
    """The first document of each one's cluster."""
    return numbers // EACH * EACH + HEADS[numbers % EACH]


def _drawn(language: str, seed: Sequence[int], sentences: int) -> list[list[str]]:
    """Sentences as their words."""
    words, shares = _words()[language]
    length = WORDS_EACH if language == "en" else CHARACTERS_EACH
    chosen = np.searchsorted(shares, np.random.default_rng(seed).random((sentences, length)))
    return [[words[i] for i in row] for row in chosen.tolist()]


def text(number: int) -> str:
    """A document's text: a function of its number alone."""
    place, head = number % EACH, number // EACH * EACH + int(HEADS[number % EACH])
    language = "zh" if head % 2 else "en"
    body = _drawn(language, [head], SENTENCES)
    if place in NEAR and number != head:  # its last words are others
        body[-1][-2:] = _drawn(language, [head, number], 1)[0][:2]
    if place in HELD and number != head:
        own = _drawn(language, [head, number], 2 * SENTENCES + 3)
        body = [*own[: SENTENCES + 1], *body, *own[SENTENCES + 1 :]]
    if language == "zh":
        return "".join("".join(words) + "。" for words in body)
    return " ".join(" ".join(words).capitalize() + "." for words in body)


def write(path: Path, documents: int) -> None:
    """JSON lines of so many documents."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            file.write(json.dumps({"id": str(number), "text": text(number)}, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True)
class _Fates:
    """What became of the documents, each by its number: group and side, the judge that dropped it, its keeper."""

    groups: npt.NDArray[np.bytes_]
    sides: npt.NDArray[np.uint8]
    judges: npt.NDArray[np.int8]  # place in `names`; -1 where none dropped it
    keepers: Ints
    names: Sequence[str]

    def dropped(self, judge: str) -> npt.NDArray[np.bool_]:
        """Whether a stage dropped each."""
        return np.asarray(self.judges == self.names.index(judge))


def _fates(history: History, documents: int) -> _Fates:
    lineage = history.lineage
    if lineage.split is None:
        raise ValueError(f"run {history.name} has no split")
    keys = [hashlib.sha256(f"{SOURCE}:{number}".encode()).digest()[:8] for number in range(documents)]
    prefixes = np.frombuffer(b"".join(keys), ">u8")
    order = np.argsort(prefixes)

    def numbers(ids: pa.Array) -> Ints:
        first = fixed_width(ids)[:, :8].copy().view(">u8").ravel()
        return order[np.searchsorted(prefixes, first, sorter=order)]

    names = [stage.name for stage in lineage.verdicts]
    fates = _Fates(
        np.empty(documents, "S16"),
        np.zeros(documents, np.uint8),
        np.full(documents, -1, np.int8),
        np.full(documents, -1),
        names,
    )
    split = history.artifact(lineage.split)
    for name in split.names("sides"):
        table = split.table(name)
        at = numbers(table["id"].combine_chunks())
        fates.sides[at] = table["side"].to_numpy()
        fates.groups[at] = np.array(table["group"].to_pylist(), "S16")
    for index, stage in enumerate(lineage.verdicts):
        artifact = history.artifact(stage)
        for name in artifact.names("verdicts"):
            table = artifact.table(name)
            table = table.filter(table["first"])
            at = numbers(table["id"].combine_chunks())
            fates.judges[at] = index
            known = table["keeper"].is_valid().to_numpy()
            if known.any():
                fates.keepers[at[known]] = numbers(table["keeper"].combine_chunks().drop_null())
    return fates


def findings(store: Path, documents: int) -> dict[str, Findings]:
    """How split, dedupe and decontaminate dealt with the planted clusters. Of split `wrong` are groups of several."""
    (run,) = (path.name for path in (store / "runs").iterdir())
    fates, planted = _fates(open_run(store, run), documents), clusters(np.arange(documents))
    place = planted % EACH
    same = place < COPIES.stop  # clusters of one group; of a pair only the texts overlap
    groups = np.unique(fates.groups, return_inverse=True)[1]
    pairs = np.unique(np.stack([groups, planted]), axis=1)
    among = np.isin(pairs[1], planted[same])
    split = Findings(_repeated(pairs[1][among]), _repeated(pairs[0]))
    near = fates.dropped("dedupe")
    left = (fates.sides == TRAIN) & ((fates.judges == -1) | (fates.judges > fates.names.index("dedupe")))
    away = near & (planted[fates.keepers] != planted)
    dedupe = Findings(_repeated(planted[left & same]), int(away.sum()))
    held = np.isin(planted, planted[fates.sides == HELD_OUT])
    trained, parted = (fates.sides == TRAIN) & (fates.judges == -1), fates.dropped("decontaminate")
    contaminated = Findings(int((trained & held).sum()), int((parted & ~held).sum()))
    return {"split": split, "dedupe": dedupe, "decontaminate": contaminated}


def _repeated(values: npt.NDArray[np.generic]) -> int:
    """How many values stand there more than once."""
    return int((np.unique(values, return_counts=True)[1] > 1).sum())

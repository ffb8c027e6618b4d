"""Run `siku` as a user does, and read back what it left."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.sample.build import with_indexes, write_archive
from corpus.sample.server import ARCHIVE, load
from pipelines.past.history import History, Past, open_run
from tests import forked

REPOSITORY = Path(__file__).resolve().parents[2]
MADE = re.compile(r"^(\S+)\s+[0-9a-f]{12}  new in ([0-9.]+) s$", re.M)
REUSED = re.compile(r"^(\S+)\s+[0-9a-f]{12}  reused$", re.M)
TO_DO = re.compile(r"^(\S+)\s+[0-9a-f]{12}  to do: (.*)$", re.M)

# A model and a trainer that cost next to nothing: what is tested is the path, not the loss.
TINY = (
    "model.layers=1",
    "model.hidden=32",
    "model.attention.heads=2",
    "model.attention.groups=1",
    "model.feed_forward.width=64",
    "model.sequence_length=64",
    "train.global_batch=2",
    "layout.micro_batch=2",
    "layout.device=cpu",
    "recipe.tokenizer.vocabulary=384",
    "evaluation.resamples=100",
    "site.threads=1",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left: exit status, what it printed as its result, what it said on the way."""

    code: int
    out: str
    said: str

    @property
    def made(self) -> list[str]:
        """Names of stages that were made."""
        return [name for name, _ in MADE.findall(self.said)]

    @property
    def reused(self) -> list[str]:
        """Names of stages that were reused."""
        return REUSED.findall(self.said)

    @property
    def why(self) -> dict[str, str]:
        """Why each new stage was to do."""
        return dict(TO_DO.findall(self.said))


@dataclass(frozen=True, slots=True)
class Built:
    """A store that a run has filled, the overrides of that run, and what it said."""

    root: Path
    arguments: tuple[str, ...]
    ended: Ended

    def history(self, run: str) -> History:
        """One of its runs."""
        return open_run(self.root, run)

    def copy(self, to: Path, *without: str) -> "Built":
        """The same store elsewhere, kinds of stages left out, to be changed at will."""
        shutil.copytree(self.root, to, ignore=lambda path, names: set(without) if Path(path) == self.root else set())
        old, new = f"site.store={self.root}", f"site.store={to}"
        return Built(to, tuple(new if each == old else each for each in self.arguments), self.ended)


def spoken(arguments: Sequence[str]) -> list[str]:
    """A run is asked to tell of every stage by itself, which is read back from what it says."""
    return [*arguments, "-v"] if arguments[:1] == ("run",) else [*arguments]


def siku(*arguments: str) -> Ended:
    """The command, in this process; trainers are forked."""
    from pipelines.cli.main import main
    from pipelines.stages import train

    before, train.subprocess = train.subprocess, forked.served  # type: ignore[misc]
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            code = main(spoken(arguments))
        except SystemExit as ended:  # argparse's way out
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            train.subprocess = before  # type: ignore[misc]
    return Ended(code, out.getvalue(), said.getvalue())


def ok(*arguments: str) -> Ended:
    """The command, in this process, which must succeed."""
    ended = siku(*arguments)
    assert ended.code == 0, ended.said[-4000:]
    return ended


def command(*arguments: str) -> list[str]:
    """The command line of `siku` as a process of its own."""
    return [sys.executable, "-m", "pipelines.cli.main", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of a process of its own; what it prints is UTF-8, whatever the locale."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **more}


def apart(*arguments: str, cwd: Path = REPOSITORY, **more: str) -> Ended:
    """The command, as a process of its own."""
    done = subprocess.run(
        command(*spoken(arguments)),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def small_site(path: Path, pairs: int = 20) -> Path:
    """A site archive of `pairs` translated pages of the sample, with its index pages and robots.txt."""
    write_archive(with_indexes(pairs_of(load(ARCHIVE), pairs)), path)
    return path


def pairs_of(pages: Mapping[str, bytes], pairs: int, least: int = 7000) -> dict[str, bytes]:
    """The first translated pages of the sample, both languages, whose English side has `least` bytes of HTML."""
    chosen: dict[str, bytes] = {}
    for path in sorted(pages):
        other = path.replace("en-US/", "zh-CN/", 1)
        chinese = pages.get(other, b"")
        translated = sum(byte >= 0xE4 for byte in chinese) > 300  # lead bytes of Han characters in UTF-8
        if path.startswith("en-US/text/") and translated and len(pages[path]) >= least:
            chosen |= {path: pages[path], other: chinese}
        if len(chosen) >= 2 * pairs:
            return chosen
    raise ValueError(f"the sample has {len(chosen) // 2} such pairs, not {pairs}")


def manifests(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every finished stage of a store: `kind/digest` and its manifest."""
    for path in sorted(root.glob("*/*/*/manifest.json")) + sorted(root.glob("crawl/*/*/*/manifest.json")):
        yield path.parent.relative_to(root).as_posix(), json.loads(path.read_text())


def fingerprint(root: Path) -> dict[str, Any]:
    """What must be equal however often a run was killed; nothing that tells when or how it was made."""
    found: dict[str, Any] = {}
    for name, body in manifests(root):
        if name.startswith("crawl/"):
            found["snapshot"] = body["figures"]["snapshot_digest"]
        else:
            found[name] = body["content_hash"]
        if name.startswith("evaluate/"):
            scores = body["figures"]["result"]["languages"]
            found[f"{name} bits per byte"] = {key: score["bits_per_byte"] for key, score in scores.items()}
    for path in sorted(root.glob("train/*/*/step-*/manifest.json")):
        found[path.parent.relative_to(root).as_posix()] = json.loads(path.read_text())["sha256"]
    for path in sorted(root.glob("train/*/*/journal.jsonl")):
        found[f"{path.parent.name} journal"] = journal(path)
    return found


def journal(path: Path) -> list[tuple[Any, ...]]:
    """Step, samples, loss and tokens of the steps that made the weights."""
    from pretrain.journal import effective, read

    rows = effective(read(path)).values()
    return [(row.step, row.first_sample, row.last_sample, row.loss, row.tokens) for row in rows]


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names under which two fingerprints differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]], bad: Sequence[bytes] = ()) -> Path:
    """JSON lines, `bad` ones spread among them."""
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    for number, line in enumerate(bad):
        lines.insert(1 + number * max(1, len(lines) // max(1, len(bad))), line)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def fates(history: History) -> dict[str, int]:
    """How many records ended where: trained on, held out, or dropped, by stage and reason. Counts only."""
    lineage, out = history.lineage, Counter[str]()
    for stage in (*lineage.editions, *((lineage.split,) if lineage.split else ()), *lineage.verdicts):
        for reason, count in history.artifact(stage).tally.dropped.items():
            name = reason if reason == "held_out" else f"{stage.name} {reason}"
            out[name] += count.documents
    if lineage.tokens:
        out["train"] = history.artifact(lineage.tokens).tally.kept.documents
    return dict(out)


def ids(history: History, part: str, stage: Past | None) -> set[bytes]:
    """Ids of all rows of one part of a stage's shards: `documents`, `dead`, or a component of tokens."""
    assert stage is not None
    artifact = history.artifact(stage)
    return {each for name in artifact.names(part) for each in artifact.table(name, ["id"])["id"].to_pylist()}


def trained_ids(history: History) -> set[bytes]:
    """Ids of every document with training tokens."""
    tokens = history.lineage.tokens
    assert tokens is not None
    return {each for name in history.artifact(tokens).figures["components"] for each in ids(history, name, tokens)}


def texts_by_url(history: History) -> dict[str, str]:
    """The last edition's texts by URL."""
    edition = history.artifact(history.lineage.editions[-1])
    tables = [edition.table(name, ["url", "text"]) for name in edition.names("documents")]
    return {row["url"]: row["text"] for table in tables for row in table.to_pylist()}


def reasons(history: History) -> dict[bytes, str]:
    """The first reason of every dropped document."""
    found: dict[bytes, str] = {}
    for stage in history.lineage.verdicts:
        artifact = history.artifact(stage)
        for name in artifact.names("verdicts"):
            for row in artifact.table(name).to_pylist():
                if row["first"]:
                    found[row["id"]] = row["reason"]
    return found

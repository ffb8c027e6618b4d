"""Bad input and bad disks: one clear error that names what is wrong, or a dead letter; nothing lost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.support import REPOSITORY, TINY, Built, environment, fates, ok, siku


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("train.optimiser.lr=0.1",), ("train.optimiser", "did you mean train.optimizer")),
        (("recipe.filter.rules.words.minimun.zh=3",), ("recipe.filter.rules.words.minimun", "minimum")),
        (("model.layers=many",), ("model.layers='many'", "whole number")),
        (("recipe.split.held_out=1.5",), ("recipe.split.held_out=1.5", "less than 1")),
        (("filters=nonsense",), ("filters=nonsense", "bilingual")),
        (("recipe.clean.input=nowhere",), ("recipe.clean.input='nowhere'", "extract")),
        (("source=jsonl",), ("recipe.source.path", "missing")),
        (("run.until=nowhere",), ("run.until='nowhere'", "tokens")),
    ],
)
def test_configuration_is_refused(small: Built, overrides: tuple[str, ...], named: tuple[str, ...]) -> None:
    ended = siku("run", *small.arguments, *overrides)
    assert ended.code in (1, 2) and ended.made == []
    assert all(each in ended.said for each in named), ended.said
    assert "Traceback" not in ended.said and len(ended.said.strip().splitlines()) <= 2


@pytest.mark.parametrize("source", ["html", "warc", "jsonl"])
def test_missing_input(source: str, tmp_path: Path) -> None:
    store = f"site.store={tmp_path / '.siku'}"
    ended = siku("run", f"source={source}", f"recipe.source.path={tmp_path / '没有'}", store)
    assert ended.code == 2 and "Traceback" not in ended.said
    assert f"{tmp_path / '没有'}" in ended.said and "does not exist" in ended.said
    empty = tmp_path / "空"
    empty.mkdir()
    ended = siku("run", f"source={source}", f"recipe.source.path={empty}", store)
    assert ended.code == 2 and f"{empty} holds no file named" in ended.said


def test_unreachable_host(tmp_path: Path) -> None:
    ended = siku(
        "run",
        "source=crawl",
        "recipe.source.seeds=[http://nowhere.sample/]",
        "recipe.source.retries=0",
        "site.hosts.other={name: nowhere.sample, address: '127.0.0.1:9'}",
        f"site.store={tmp_path / '.siku'}",
    )
    assert ended.code == 1 and "Traceback" not in ended.said
    last = ended.said.strip().splitlines()[-1]
    assert (
        "no page was fetched (http://nowhere.sample/robots.txt: unreachable_host: nowhere.sample at 127.0.0.1:9" in last
    )


def test_truncated_warc_is_a_dead_letter(small: Built, tmp_path: Path) -> None:
    (warc,) = small.root.glob("crawl/*/*/*/warc/*-00000.warc.gz")
    whole = tmp_path / "whole"
    for folder, share in ((whole, 1.0), (tmp_path / "cut", 0.4)):
        folder.mkdir()
        (folder / "a.warc.gz").write_bytes(warc.read_bytes()[: int(share * warc.stat().st_size)])
    found = []
    for folder in (whole, tmp_path / "cut"):
        store = f"site.store={folder / '.siku'}"
        ended = ok("run", *TINY, "source=warc", f"recipe.source.path={folder}", store, "run.until=extract")
        history = Built(folder / ".siku", (), ended).history("")
        tally = history.artifact(history.lineage.editions[0]).tally
        assert sum(tally.dropped.values(), tally.kept) == tally.born
        found.append(fates(history))
        kept = tally.kept.documents
        found[-1]["kept"] = kept
    assert found[1]["extract truncated_record"] == 1 and "extract truncated_record" not in found[0]
    assert 5 < found[1]["kept"] < found[0]["kept"]
    assert "truncated_record: 1 captures" in ok("explain", "--rule", "truncated_record", store).out


def test_corrupt_shard(small: Built, tmp_path: Path) -> None:
    store = small.copy(tmp_path / ".siku")
    (shard,) = store.root.glob("edit/*/*/documents-00000.*.arrow")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    ended = siku("run", *store.arguments, "recipe.filter.rules.words.minimum.zh=60", "run.until=tokens")
    last = ended.said.strip().splitlines()[-1]
    assert ended.code == 1 and f"remove {shard} and run again, which makes only item edit/00000 again" in last
    assert ended.said.count("Traceback") <= 1
    shard.unlink()
    wanted = dict.fromkeys(["clean", "filter", "dedupe", "decontaminate", "tokens"])
    ended = ok("run", *store.arguments, "recipe.filter.rules.words.minimum.zh=60", "run.until=tokens")
    assert set(ended.made) >= wanted.keys() and "is gone: item edit/00000 is made again" in ended.said


@pytest.mark.parametrize("change", ["content", "gone", "torn"])
def test_a_stage_that_lost_something_is_made_again_from_what_is_there(
    small: Built, tmp_path: Path, change: str
) -> None:
    store = small.copy(tmp_path / ".siku")
    (shard,) = store.root.glob("edit/*/*/documents-00000.*.arrow")
    manifest = shard.parent / "manifest.json"
    before = json.loads(manifest.read_text())
    if change == "gone":
        shard.unlink()
    elif change == "content":
        manifest.write_text(json.dumps({**before, "tally": {**before["tally"], "bytes_in": 1}}))
    else:
        manifest.write_text(manifest.read_text()[:-200])
    planned = ok("plan", *store.arguments)
    assert planned.said.count(f"{shard if change == 'gone' else manifest} ") == 1
    ended = ok("run", *store.arguments)
    assert ended.made == ["clean"] and json.loads(manifest.read_text())["content_hash"] == before["content_hash"]
    assert "Traceback" not in ended.said


def test_full_disk_and_what_then(small: Built, tmp_path: Path) -> None:
    """The tenth commit of a file finds the disk full; with room again the run goes on and ends like any other."""
    program = """
import errno, os, sys
import pipelines.engine.store as store
from pipelines.cli.main import main
real, left = os.fsync, [10]
def fsync(descriptor):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(descriptor)
os.fsync = fsync
sys.exit(main(sys.argv[1:]))
"""
    store = small.copy(tmp_path / ".siku", "filter", "dedupe", "decontaminate", "tokenize", "runs", "train", "evaluate")
    arguments = [*store.arguments, "run.until=tokens"]
    done = subprocess.run(
        [sys.executable, "-c", program, "run", *arguments],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "no space left to write" in last and "MB free" in last and "site.store" in last
    assert done.stderr.count("Traceback") <= 1
    ended = ok("run", *arguments, "run.name=after")
    assert ended.made[-1] == "tokens"
    history, wanted = store.history("after"), small.history("small")
    assert fates(history) == fates(wanted)
    tokens = [h.artifact(h.stages["tokens"]).content_hash for h in (history, wanted)]
    assert tokens[0] == tokens[1]

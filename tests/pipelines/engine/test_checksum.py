"""Files count by content; a warm plan reads none of them."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from corpus.configuration import FileRef
from pipelines.engine import checksum
from pipelines.engine.checksum import Checksums
from tests.waiting import until

OLD = 1_600_000_000


def write(path: Path, text: str, at: int = OLD) -> FileRef:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return FileRef(str(path))


@pytest.fixture
def read(monkeypatch):
    """Files whose bytes were read."""
    seen = []
    real = checksum.sha256_file
    monkeypatch.setattr(checksum, "sha256_file", lambda path: seen.append(path.name) or real(path))
    return seen


def test_content_counts_and_place_and_time_do_not(tmp_path):
    sums = Checksums(tmp_path / "cache")
    one = sums(write(tmp_path / "a/词.txt", "一"))
    assert sums(write(tmp_path / "b/词.txt", "一", OLD + 5)) == one
    assert Checksums(tmp_path / "elsewhere")(FileRef(str(tmp_path / "a/词.txt"))) == one
    assert sums(write(tmp_path / "c/词.txt", "二")) != one
    assert sums(write(tmp_path / "c/词.text", "一")) != one


def test_a_folder_is_its_names_and_bytes(tmp_path):
    sums = Checksums(tmp_path / "cache")

    def folder(name, files):
        for file, text in files.items():
            write(tmp_path / name / file, text)
        return sums(FileRef(str(tmp_path / name)))

    base = folder("a", {"x.html": "1", "深/y.html": "2"})
    assert folder("b", {"深/y.html": "2", "x.html": "1"}) == base
    others = [{"x.html": "1"}, {"x.html": "2", "深/y.html": "1"}, {"x.html": "1", "y.html": "2"}, {}]
    (tmp_path / "d3").mkdir()
    assert len({base, *(folder(f"d{i}", files) for i, files in enumerate(others))}) == 5


def test_a_warm_plan_reads_nothing_and_a_changed_file_only_itself(tmp_path, read):
    reference = write(tmp_path / "d/a", "1")
    write(tmp_path / "d/b", "2")
    reference = FileRef(str(tmp_path / "d"))
    first = Checksums(tmp_path / "cache")(reference)
    assert sorted(read) == ["a", "b"]
    assert Checksums(tmp_path / "cache")(reference) == first and len(read) == 2
    write(tmp_path / "d/b", "3", OLD + 1)
    assert Checksums(tmp_path / "cache")(reference) != first and read[2:] == ["b"]
    write(tmp_path / "d/b", "2", OLD + 2)
    assert Checksums(tmp_path / "cache")(reference) == first


def test_a_file_rewritten_with_its_old_time_is_read_again(tmp_path):
    reference = write(tmp_path / "a", "1")
    first = Checksums(tmp_path / "cache")(reference)
    before = (tmp_path / "a").stat()

    def rewritten() -> bool:  # in a later tick of the file system's clock
        write(tmp_path / "a", "2")
        return (tmp_path / "a").stat().st_ctime_ns != before.st_ctime_ns

    until(rewritten)
    assert (tmp_path / "a").stat().st_ino == before.st_ino
    assert Checksums(tmp_path / "cache")(reference) != first


def test_a_file_just_written_is_not_trusted_to_stay(tmp_path, read):
    """Within a tick of the clock it may change again without a trace."""
    (tmp_path / "a").write_text("1")
    reference = FileRef(str(tmp_path / "a"))
    Checksums(tmp_path / "cache")(reference)
    Checksums(tmp_path / "cache")(reference)
    assert len(read) == 2


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '{"stamp": [[1]], "each": [], "sha256": "x"}', '{"stamp": 3}', "\xff"]
)
def test_a_torn_cache_costs_one_more_read(tmp_path, read, body):
    reference = write(tmp_path / "a", "1")
    first = Checksums(tmp_path / "cache")(reference)
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_bytes(body.encode("latin-1"))
    assert Checksums(tmp_path / "cache")(reference) == first and len(read) == 2
    assert Checksums(tmp_path / "cache")(reference) == first and len(read) == 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [entry.name]


def test_a_name_may_hold_anything(tmp_path):
    """S12: a newline made a name look like another file's line."""
    sums, sha = Checksums(tmp_path / "cache"), hashlib.sha256(b"1").hexdigest()
    write(tmp_path / "a/x", "1")
    write(tmp_path / "a/y", "1")
    write(tmp_path / f"b/x\n{sha}  y", "1")
    (tmp_path / "c").mkdir()
    (tmp_path / os.fsdecode(b"c/\xff\xfe")).write_text("1")
    assert len({sums(FileRef(str(tmp_path / name))) for name in "abc"}) == 3


def test_names_that_begin_with_a_dot_are_no_part_of_a_folder(tmp_path):
    """As they are none of a source: a desktop's notes made everything new."""
    sums = Checksums(tmp_path / "cache")
    write(tmp_path / "a/深/x.html", "1")
    base, size = sums(FileRef(str(tmp_path / "a"))), sums.size(FileRef(str(tmp_path / "a")))
    for stray in (".DS_Store", ".git/HEAD", "深/.x.html.swp", ".siku/runs/r/run.json"):
        write(tmp_path / "a" / stray, "2")
    assert (sums(FileRef(str(tmp_path / "a"))), sums.size(FileRef(str(tmp_path / "a")))) == (base, size)
    assert sums(write(tmp_path / ".hidden", "1")) != base  # named itself, it counts


def test_what_is_hashed_is_kept_though_the_rest_is_not(tmp_path, monkeypatch):
    """H12: a kill after hours cost them all."""
    for number in range(40):
        write(tmp_path / f"d/{number:02d}", "x" * 100)
    monkeypatch.setattr(checksum, "SAVE_BYTES", 1000)
    monkeypatch.setattr(checksum, "THREADS", 4)
    real, seen = checksum.sha256_file, []

    def failing(path):
        seen.append(path.name)
        if path.name == "30":
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(checksum, "sha256_file", failing)
    with pytest.raises(KeyboardInterrupt):
        Checksums(tmp_path / "cache")(FileRef(str(tmp_path / "d")))
    monkeypatch.setattr(checksum, "sha256_file", lambda path: seen.append(path.name) or real(path))
    seen.clear()
    whole = Checksums(tmp_path / "cache")(FileRef(str(tmp_path / "d")))
    assert sorted(seen) == [f"{number:02d}" for number in range(30, 40)]
    assert Checksums(tmp_path / "elsewhere")(FileRef(str(tmp_path / "d"))) == whole


def test_files_are_hashed_together(tmp_path, monkeypatch):
    """H12: each waits for the other."""
    monkeypatch.setattr(checksum, "THREADS", 2)
    both, real = threading.Barrier(2, timeout=60), checksum.sha256_file
    monkeypatch.setattr(checksum, "sha256_file", lambda path: (both.wait() and "") or real(path))
    write(tmp_path / "d/a", "1")
    write(tmp_path / "d/b", "2")
    assert len(Checksums(tmp_path / "cache")(FileRef(str(tmp_path / "d")))) == 64


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'没有' does not exist .*: give a path that does"):
        Checksums(tmp_path)(FileRef("没有"))

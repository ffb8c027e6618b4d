"""What a store is promised of its files: whole or not there, first or refused, in order, and errors in one sentence."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import files as module
from pipelines.engine.files import Posix, ReadOnlyError, StoreError, by_number, explained
from tests.permissions import obey_permissions

HOME = Path(__file__).resolve().parents[3]


@pytest.fixture
def files(tmp_path):
    return Posix(tmp_path / "store")


def keys(files, prefix=""):
    return [each.key for each in files.list(prefix)]


def test_a_staged_object_is_there_once_its_context_ends_and_not_if_it_raises(files):
    with files.stage("甲/a.bin") as path:
        path.write_bytes(b"123456")
    assert files.read("甲/a.bin") == b"123456" and files.read("甲/a.bin", 1, 3) == b"23"
    assert files.read("甲/a.bin", 4) == b"56" and files.read("甲/a.bin", 9, 12) == b""
    assert files.local("甲/a.bin").read_bytes() == b"123456"
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), files.stage("甲/b.bin") as path:
            path.write_bytes(b"half")
            raise error
    assert keys(files) == ["甲/a.bin"]
    with pytest.raises(FileNotFoundError):
        files.read("甲/b.bin")
    assert files.head("甲/b.bin") is None and files.head("甲/a.bin/x") is None
    assert files.head("甲/a.bin") == files.list()[0] and files.list()[0].bytes == 6


def test_of_writers_that_race_for_a_key_one_is_first(files):
    first, barrier = [], threading.Barrier(8)

    def race(writer):
        for number in range(25):
            barrier.wait(10)
            if files.create(f"keys/{number}", b"writer %d" % writer):
                first.append((number, writer))

    threads = [threading.Thread(target=race, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in first) == list(range(25))
    assert all(files.read(f"keys/{number}") == b"writer %d" % writer for number, writer in first)
    assert len(keys(files)) == 25  # no temporary file stays


@pytest.mark.parametrize("lost", [FileExistsError(errno.EEXIST, "exists"), TimeoutError(errno.ETIMEDOUT, "no answer")])
def test_a_success_whose_reply_was_lost_is_a_success(files, monkeypatch, lost):
    """H1: a file server that is asked again answers EEXIST for the link it has made."""
    real = os.link

    def link(source, target):
        real(source, target)
        raise lost

    monkeypatch.setattr(os, "link", link)
    assert files.create("record", b"token 1")
    assert not files.create("record", b"token 2")
    assert files.swap("lease", b"token 1", None) == "1"
    assert files.tagged("lease") == (b"token 1", "1")

    def broken(source, target):
        raise OSError(errno.EIO, "bad cable")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(OSError, match="bad cable"):
        files.create("other", b"")
    assert keys(files) == ["lease/1", "record"]


def test_put_replaces_whole_and_concurrent_writers_do_not_meet(files):
    """H15: a temporary name of one's own."""
    texts = [bytes([65 + writer]) * 10_000 for writer in range(6)]
    failures, stop = [], threading.Event()

    def write(text):
        try:
            while not stop.is_set():
                files.put("report.html", text)
        except OSError as error:
            failures.append(error)

    files.put("report.html", texts[0])
    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    seen = {files.read("report.html") for _ in range(300)}
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == [] and seen <= set(texts)
    assert keys(files) == ["report.html"]


def test_what_is_written_is_synced_with_its_folders_before_it_counts(files, monkeypatch):
    synced, real = [], os.fsync

    def fsync(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    files.create("a/b/record", b"x")
    root = str(files.root)
    assert synced[:3] == [str(files.root.parent), root, f"{root}/a"] and synced[-1] == f"{root}/a/b"
    assert synced[3].startswith(f"{root}/a/b/record.tmp-")
    for write in (lambda: files.put("a/b/p", b"x"), lambda: files.create("a/b/c", b"x")):
        synced.clear()
        write()
        assert len(synced) == 2 and ".tmp-" in synced[0] and synced[1] == f"{root}/a/b"
    synced.clear()
    with files.stage("a/b/s") as path:
        path.write_bytes(b"x")
    assert synced == [f"{root}/a/b/s", f"{root}/a/b"]


def test_names_sort_as_numbers(files):
    """H16: `100000` comes after `99999`."""
    names = ["shard-99999", "shard-100000", "shard-0", "shard-00010", "shard-9", "shard-x"]
    for name in names:
        files.create(f"d/{name}/o", b"")
        files.create(f"d-{name}", b"")
    wanted = ["shard-0", "shard-9", "shard-00010", "shard-99999", "shard-100000", "shard-x"]
    assert files.folders("d") == wanted
    assert keys(files, "d/") == [f"d/{name}/o" for name in wanted]
    assert [key for key in keys(files) if "/" not in key] == [f"d-{name}" for name in wanted]
    assert files.folders("nothing") == files.list("nothing") == [] and files.folders("d-shard-9") == []


@given(st.lists(st.integers(0, 10**9), unique=True))
def test_zero_padded_or_not_numbers_are_in_order(numbers):
    names = [f"documents-{n:05d}" for n in numbers]
    assert sorted(names, key=by_number) == [f"documents-{n:05d}" for n in sorted(numbers)]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]))))
def test_any_names_have_one_order(names):
    assert sorted(names, key=by_number) == sorted(sorted(names, reverse=True), key=by_number)


# Swapping.


def test_a_swap_needs_the_latest_tag(files):
    assert files.tagged("lease") is None
    first = files.swap("lease", b"a", None)
    assert files.swap("lease", b"b", None) is None
    second = files.swap("lease", b"b", first)
    assert files.tagged("lease") == (b"b", second) and len({first, second}) == 2
    assert files.swap("lease", b"c", first) is None and files.swap("lease", b"c", "7") is not None
    assert files.tagged("lease")[0] == b"c"


def test_one_that_slept_over_many_swaps_does_not_win(files):
    """Its state is free again, for older ones are removed: it finds a later one."""
    early = tag = files.swap("lease", b"0", None)
    for number in range(1, 5):
        tag = files.swap("lease", b"%d" % number, tag)
    assert files.swap("lease", b"late", early) is None
    assert files.tagged("lease") == (b"4", tag) and len(keys(files)) == 1


def test_of_swaps_that_race_one_wins_each_round(files):
    won, barrier = [], threading.Barrier(6)

    def race(writer):
        for number in range(40):
            barrier.wait(10)
            before = files.tagged("lease")
            barrier.wait(10)
            if files.swap("lease", b"%d of %d" % (writer, number), before[1] if before else None):
                won.append(number)

    threads = [threading.Thread(target=race, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(40))


# Deleting.


def test_delete_takes_an_object_or_all_below_a_key_and_nothing_else(files, tmp_path):
    for key in ("a/1", "a/b/2", "a/b/c/3", "ab", "d/4"):
        files.create(key, b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("x")
    files.local("a/link").symlink_to(tmp_path / "outside")
    files.delete("a")
    assert keys(files) == ["ab", "d/4"] and (tmp_path / "outside/kept").exists()
    files.delete("ab")
    files.delete("nothing")
    files.delete("d/4")
    assert keys(files) == []


# A disk that takes nothing.


WRITE = """
import os, sys
from pathlib import Path
from pipelines.engine.files import Posix, StoreError
files = Posix(Path(sys.argv[1]))
def stage():
    with files.stage("deep/er/s") as path: path.write_bytes(b"x")
writers = stage, lambda: files.create("c", b"x"), lambda: files.put("p", b"x"), lambda: files.swap("l", b"x", None)
for write in writers:
    try: write()
    except StoreError as error: print(type(error).__name__, error)
"""


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path):
    """U9."""
    (tmp_path / "closed").mkdir(mode=0o555)
    for root in (tmp_path / "closed", tmp_path / "closed" / "store"):
        command = [sys.executable, "-c", WRITE, str(root)]
        done = subprocess.run(
            command, cwd=HOME, capture_output=True, text=True, check=False, preexec_fn=obey_permissions
        )
        lines = done.stdout.splitlines()
        assert done.returncode == 0 and len(lines) == 4, done.stderr
        assert all(line.startswith(f"ReadOnlyError {root}/") and "site.store" in line for line in lines)


def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path):
    """U9."""
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        for write in (lambda files: files.create("a/b", b"x"), lambda files: files.put("p", b"x")):
            with pytest.raises(StoreError, match=f"{tmp_path / 'file'} is a file: set site.store to a folder"):
                write(Posix(root))
        with pytest.raises(StoreError, match="is a file"), Posix(root).stage("s"):
            raise AssertionError
        assert Posix(root).folders() == [] and list(Posix(root).list()) == [] and Posix(root).head("x") is None


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, StoreError, "no space left to write"),
        (errno.EDQUOT, StoreError, "no space left to write"),
        (errno.EROFS, ReadOnlyError, "cannot be written"),
        (errno.EIO, OSError, "Input/output error"),
    ],
)
def test_a_failed_write_leaves_nothing_and_says_why(files, monkeypatch, number, kind, says):
    files.create("there", b"x")

    def fsync(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    for write in (lambda: files.create("c", b"x"), lambda: files.put("there", b"y"), lambda: staged(files)):
        with pytest.raises(kind, match=says) as caught:
            write()
        assert "\n" not in str(caught.value)
    assert keys(files) == ["there"] and files.read("there") == b"x"


def staged(files):
    with files.stage("s") as path:
        path.write_bytes(b"x")


def test_errors_of_what_is_read_meanwhile_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), explained(tmp_path / "s" / "x"):
        raise PermissionError(errno.EACCES, "no", "/elsewhere/source.jsonl")
    with pytest.raises(FileNotFoundError), explained(tmp_path / "x"):
        (tmp_path / "gone").read_text()
    with pytest.raises(ReadOnlyError), explained(tmp_path / "s" / "x"):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "s" / "y"))
    with pytest.raises(StoreError, match="no space left"), explained(tmp_path / "gone" / "x"):
        raise OSError(errno.EDQUOT, "quota", "/elsewhere")
    assert module.FULL == (errno.ENOSPC, errno.EDQUOT)
